//! Lowering of whole records. The engine's own way stores each field by itself, and looks the guest's memory up for each
//! of a span's hundred fields and cases; here a record is laid out beside the guest's memory and goes there in one write.
//! Its texts and lists go into one piece of memory if the guest gives it, else by the engine into blocks of their own. The
//! layout is the canonical ABI's (component model, `CanonicalABI.md`, "Storing"); sizes and alignments are those of the
//! generated types. Called by the engine, through the batch that `instance` sends.

#![allow(
    unsafe_code,
    reason = "the engine's traits for lowering are unsafe to implement"
)]

use std::mem::MaybeUninit;

use wasmtime::component::__internal::{
    CanonicalAbiInfo, InstanceType, InterfaceType, LowerContext,
    wasmtime_environ::component::StringEncoding,
};
use wasmtime::component::{ComponentType, Lower};
use wasmtime::{Result, ValRaw, bail};

use crate::plugin::bindings::types as wit;

/// `types.span-batch`, with spans that are stored in one write each.
#[derive(ComponentType, Lower)]
#[component(record)]
pub(in crate::plugin) struct SpanBatch<'a> {
    pub(in crate::plugin) spans: List<'a, wit::Span<'a>>,
    pub(in crate::plugin) tokens: &'a [u64],
    pub(in crate::plugin) resources: &'a [wit::EventResource<'a>],
    pub(in crate::plugin) scopes: &'a [wit::EventScope<'a>],
    pub(in crate::plugin) ancestors: &'a [wit::SpanAncestor<'a>],
}

/// A list whose elements are stored in one write each.
pub(in crate::plugin) struct List<'a, V> {
    pub(in crate::plugin) elements: &'a [V],
    /// Address and bytes of a piece of the guest's memory that has room for [`List::bytes`]; without it each text and each
    /// list gets a block of its own.
    pub(in crate::plugin) piece: Option<(u32, u32)>,
}

// SAFETY: for the engine it is the slice: of the same layout, checked against the same type.
unsafe impl<V: Element> ComponentType for List<'_, V> {
    type Lower = <[V] as ComponentType>::Lower;
    const ABI: CanonicalAbiInfo = <[V] as ComponentType>::ABI;

    fn typecheck(ty: &InterfaceType, types: &InstanceType<'_>) -> Result<()> {
        <[V] as ComponentType>::typecheck(ty, types)
    }
}

// SAFETY: what is written is what the slice's own functions write: where the elements are and how many.
unsafe impl<V: Element> Lower for List<'_, V> {
    fn linear_lower_to_flat<T>(
        &self,
        cx: &mut LowerContext<'_, T>,
        _: InterfaceType,
        flat: &mut MaybeUninit<Self::Lower>,
    ) -> Result<()> {
        let [address, length] = self.lower(cx)?;
        flat.write([ValRaw::i64(address.into()), ValRaw::i64(length.into())]);
        Ok(())
    }

    fn linear_lower_to_memory<T>(
        &self,
        cx: &mut LowerContext<'_, T>,
        _: InterfaceType,
        at: usize,
    ) -> Result<()> {
        let mut bytes = [0; 8];
        pair(&mut bytes, self.lower(cx)?);
        *cx.get(at) = bytes;
        Ok(())
    }
}

impl<'a, V: Element> List<'a, V> {
    pub(super) const fn new(elements: &'a [V]) -> Self {
        Self {
            elements,
            piece: None,
        }
    }

    /// What the elements take with their texts and lists, at most.
    pub(in crate::plugin) fn bytes(&self) -> usize {
        self.elements.outside_bytes()
    }

    fn lower<T>(&self, cx: &mut LowerContext<'_, T>) -> Result<[u32; 2]> {
        let Some((start, bytes)) = self.piece else {
            return store_list(self.elements, &mut Blocks(cx));
        };
        if cx.options().string_encoding != StringEncoding::Utf8 {
            bail!("`batch-memory` is for components whose strings are UTF-8");
        }
        let start = start as usize;
        let memory = cx.as_slice_mut().get_mut(start..);
        let Some(memory) = memory.and_then(|memory| memory.get_mut(..bytes as usize)) else {
            bail!("`room` returned {start}, and the guest's memory ends before {bytes} bytes more");
        };
        let mut piece = Piece {
            start,
            used: 0,
            memory,
        };
        store_list(self.elements, &mut piece)
    }
}

/// Where the texts and lists of a record go.
pub(in crate::plugin) trait Place {
    /// Stores a text; its address and length.
    fn text(&mut self, text: &str) -> Result<[u32; 2]>;

    /// The address of so many free bytes.
    fn block(&mut self, align: u32, bytes: usize) -> Result<usize>;

    /// Stores what was laid out for a part of a block.
    fn fill(&mut self, at: usize, bytes: &[u8]) -> Result<()>;
}

/// A block of its own for each text and each list, as the engine has it.
struct Blocks<'c, 'a, T: 'static>(&'c mut LowerContext<'a, T>);

impl<T> Place for Blocks<'_, '_, T> {
    #[inline(always)]
    fn text(&mut self, text: &str) -> Result<[u32; 2]> {
        let mut flat = MaybeUninit::new([ValRaw::i64(0); 2]);
        text.linear_lower_to_flat(self.0, InterfaceType::String, &mut flat)?;
        // SAFETY: the line above the last initialized it.
        let [address, length] = unsafe { flat.assume_init() };
        Ok([address.get_u32(), length.get_u32()])
    }

    fn block(&mut self, align: u32, bytes: usize) -> Result<usize> {
        self.0.realloc(0, 0, align, bytes)
    }

    fn fill(&mut self, at: usize, bytes: &[u8]) -> Result<()> {
        store(self.0.as_slice_mut(), at, bytes)
    }
}

/// One piece of memory for all of them, one after the other.
struct Piece<'m> {
    /// Its address.
    start: usize,
    /// Bytes that are taken.
    used: usize,
    memory: &'m mut [u8],
}

impl Place for Piece<'_> {
    #[inline(always)]
    fn text(&mut self, text: &str) -> Result<[u32; 2]> {
        let at = self.used;
        store(self.memory, at, text.as_bytes())?;
        self.used += text.len();
        Ok([u32::try_from(self.start + at)?, u32::try_from(text.len())?])
    }

    fn block(&mut self, align: u32, bytes: usize) -> Result<usize> {
        let at = (self.start + self.used).next_multiple_of(align as usize);
        self.used = at + bytes - self.start;
        Ok(at)
    }

    fn fill(&mut self, at: usize, bytes: &[u8]) -> Result<()> {
        store(self.memory, at - self.start, bytes)
    }
}

#[inline(always)]
fn store(memory: &mut [u8], at: usize, bytes: &[u8]) -> Result<()> {
    let place = memory
        .get_mut(at..)
        .and_then(|rest| rest.get_mut(..bytes.len()));
    let Some(place) = place else {
        bail!("the guest's memory ends before byte {}", at + bytes.len());
    };
    place.copy_from_slice(bytes);
    Ok(())
}

/// A value that can be laid out beside the guest's memory.
pub(in crate::plugin) trait Packed: ComponentType {
    /// Lays the value out in `bytes`: as many as [`ComponentType::SIZE32`], all zero.
    fn pack(&self, place: &mut impl Place, bytes: &mut [u8]) -> Result<()>;

    /// Bytes that its texts and lists take in one piece of memory, at most.
    fn outside_bytes(&self) -> usize;
}

/// An element of a list.
pub(in crate::plugin) trait Element: Packed + Sized {
    /// Stores the element in the guest's memory.
    fn store(&self, place: &mut impl Place, at: usize) -> Result<()>;
}

/// Has the guest make room and stores the elements there. Returns their address and number.
fn store_list<V: Element>(list: &[V], place: &mut impl Place) -> Result<[u32; 2]> {
    let Some(size) = list.len().checked_mul(V::SIZE32) else {
        bail!("a list of {} elements does not fit a guest", list.len());
    };
    let start = place.block(V::ALIGN32, size)?;
    let mut at = start;
    for element in list {
        element.store(place, at)?;
        at += V::SIZE32;
    }
    Ok([u32::try_from(start)?, u32::try_from(list.len())?])
}

/// Lays a field out behind those that end at `end`.
#[inline(always)]
fn field<V: Packed>(
    value: &V,
    place: &mut impl Place,
    bytes: &mut [u8],
    end: &mut usize,
) -> Result<()> {
    let start = end.next_multiple_of(V::ALIGN32 as usize);
    *end = start + V::SIZE32;
    value.pack(place, bytes.get_mut(start..*end).unwrap_or_default())
}

macro_rules! plain {
    ($($kind:ty: |$value:ident| $plain:expr;)*) => {$(
        impl Packed for $kind {
            #[inline(always)]
            fn pack(&self, _: &mut impl Place, bytes: &mut [u8]) -> Result<()> {
                let $value = *self;
                bytes.copy_from_slice(&$plain.to_le_bytes());
                Ok(())
            }

            #[inline(always)]
            fn outside_bytes(&self) -> usize {
                0
            }
        }
    )*};
}

plain! {
    bool: |value| u8::from(value);
    u16: |value| value;
    u32: |value| value;
    u64: |value| value;
    f64: |value| value;
    wit::SpanPhase: |case| case as u8;
    wit::SpanKind: |case| case as u8;
    wit::StatusCode: |case| case as u8;
}

impl<V: Packed> Packed for Option<V> {
    #[inline(always)]
    fn pack(&self, place: &mut impl Place, bytes: &mut [u8]) -> Result<()> {
        let Some(value) = self else {
            return Ok(());
        };
        let mut end = 0;
        field(&true, place, bytes, &mut end)?;
        field(value, place, bytes, &mut end)
    }

    #[inline(always)]
    fn outside_bytes(&self) -> usize {
        self.as_ref().map_or(0, Packed::outside_bytes)
    }
}

impl Packed for &str {
    #[inline(always)]
    fn pack(&self, place: &mut impl Place, bytes: &mut [u8]) -> Result<()> {
        pair(bytes, place.text(self)?);
        Ok(())
    }

    #[inline(always)]
    fn outside_bytes(&self) -> usize {
        self.len()
    }
}

impl<V: Element> Packed for &[V] {
    fn pack(&self, place: &mut impl Place, bytes: &mut [u8]) -> Result<()> {
        pair(bytes, store_list(self, place)?);
        Ok(())
    }

    fn outside_bytes(&self) -> usize {
        let elements: usize = self.iter().map(Packed::outside_bytes).sum();
        (V::ALIGN32 as usize - 1) + self.len() * V::SIZE32 + elements
    }
}

/// Address and number of a text or a list.
#[inline(always)]
fn pair(bytes: &mut [u8], [address, number]: [u32; 2]) {
    let both = u64::from(number) << 32 | u64::from(address);
    bytes.copy_from_slice(&both.to_le_bytes());
}

/// Names each field of a record once, in the order of `wit/types.wit`.
macro_rules! records {
    ($($kind:ident $(<$life:lifetime>)? { $($name:ident)* })*) => {
        $(
            impl Packed for wit::$kind $(<$life>)? {
                #[inline(always)]
                fn pack(&self, place: &mut impl Place, bytes: &mut [u8]) -> Result<()> {
                    let Self { $($name),* } = self;
                    let mut end = 0;
                    $(field($name, place, bytes, &mut end)?;)*
                    Ok(())
                }

                #[inline(always)]
                fn outside_bytes(&self) -> usize {
                    let Self { $($name),* } = self;
                    0 $(+ $name.outside_bytes())*
                }
            }
        )*

        /// The records and their fields.
        #[cfg(test)]
        pub(super) const RECORDS: &[(&str, &[&str])] =
            &[$((stringify!($kind), &[$(stringify!($name)),*])),*];
    };
}

records! {
    Span<'_> {
        phase trace_id span_id parent_span_id external_parent_span_id name span_type entity start_time end_time
        is_event is_root is_internal resource_index attributes metadata tags input output request_context error model
        otel extra
    }
    Entity<'_> { entity_type entity_id entity_name entity_version_id }
    ErrorInfo<'_> { message error_id error_name stack domain category details extra }
    ModelCall<'_> {
        model provider response_model response_id finish_reason streaming completion_start_time parameters usage cost
        server_address server_port
    }
    Usage {
        input_tokens output_tokens input_text input_cache_read input_cache_write input_cache_write_short
        input_cache_write_long input_audio input_image output_text output_reasoning output_audio output_image
    }
    Cost<'_> { provider model estimated_cost cost_unit metadata }
    OtelSpan<'_> {
        kind status trace_state flags links events dropped_attributes_count dropped_events_count dropped_links_count
        scope_index
    }
    SpanStatus<'_> { code message }
    SpanLink<'_> { trace_id span_id trace_state attributes dropped_attributes_count flags }
    SpanEvent<'_> { time name attributes dropped_attributes_count }
}

macro_rules! elements {
    ($($kind:ty)*) => {$(
        impl Element for $kind {
            fn store(&self, place: &mut impl Place, at: usize) -> Result<()> {
                let mut bytes = [0; <Self as ComponentType>::SIZE32];
                self.pack(place, &mut bytes)?;
                place.fill(at, &bytes)
            }
        }
    )*};
}

elements! { &str wit::Span<'_> wit::SpanLink<'_> wit::SpanEvent<'_> }

/// The elements as they lie in one piece of memory at this address, and how much of it they do not take.
#[cfg(test)]
pub(super) fn in_one_piece<V: Element>(
    list: &List<'_, V>,
    start: usize,
) -> Result<(Vec<u8>, usize)> {
    let mut memory = vec![0xaa; list.bytes()];
    let mut piece = Piece {
        start,
        used: 0,
        memory: &mut memory,
    };
    store_list(list.elements, &mut piece)?;
    let spare = list.bytes() - piece.used;
    Ok((memory, spare))
}
