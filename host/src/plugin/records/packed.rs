//! Lowering of whole records. The engine's own way stores each field by itself, and looks the guest's memory up for each
//! of a span's hundred fields and cases; here a record is laid out beside the guest's memory and goes there in one write.
//! Texts are lowered by the engine. The layout is the canonical ABI's (component model, `CanonicalABI.md`, "Storing");
//! sizes and alignments are those of the generated types. Called by the engine, through the batch that `instance` sends.

#![allow(
    unsafe_code,
    reason = "the engine's traits for lowering are unsafe to implement"
)]

use std::mem::MaybeUninit;

use wasmtime::component::__internal::{
    CanonicalAbiInfo, InstanceType, InterfaceType, LowerContext,
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
pub(in crate::plugin) struct List<'a, V>(pub(in crate::plugin) &'a [V]);

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
        let [address, length] = store_list(self.0, cx)?;
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
        self.0.pack(cx, &mut bytes)?;
        *cx.get(at) = bytes;
        Ok(())
    }
}

/// A value that can be laid out beside the guest's memory.
pub(in crate::plugin) trait Packed: ComponentType {
    /// Lays the value out in `bytes`: as many as [`ComponentType::SIZE32`], all zero.
    fn pack<T>(&self, cx: &mut LowerContext<'_, T>, bytes: &mut [u8]) -> Result<()>;
}

/// An element of a list.
pub(in crate::plugin) trait Element: ComponentType + Sized {
    /// Stores the element in the guest's memory.
    fn store<T>(&self, cx: &mut LowerContext<'_, T>, at: usize) -> Result<()>;
}

/// Has the guest make room and stores the elements there. Returns their address and number.
fn store_list<V: Element, T>(list: &[V], cx: &mut LowerContext<'_, T>) -> Result<[u32; 2]> {
    let Some(size) = list.len().checked_mul(V::SIZE32) else {
        bail!("a list of {} elements does not fit a guest", list.len());
    };
    let start = cx.realloc(0, 0, V::ALIGN32, size)?;
    let mut at = start;
    for element in list {
        element.store(cx, at)?;
        at += V::SIZE32;
    }
    Ok([u32::try_from(start)?, u32::try_from(list.len())?])
}

/// Lays a field out behind those that end at `end`.
#[inline(always)]
fn field<V: Packed, T>(
    value: &V,
    cx: &mut LowerContext<'_, T>,
    bytes: &mut [u8],
    end: &mut usize,
) -> Result<()> {
    let start = end.next_multiple_of(V::ALIGN32 as usize);
    *end = start + V::SIZE32;
    value.pack(cx, bytes.get_mut(start..*end).unwrap_or_default())
}

macro_rules! plain {
    ($($kind:ty: |$value:ident| $plain:expr;)*) => {$(
        impl Packed for $kind {
            #[inline(always)]
            fn pack<T>(&self, _: &mut LowerContext<'_, T>, bytes: &mut [u8]) -> Result<()> {
                let $value = *self;
                bytes.copy_from_slice(&$plain.to_le_bytes());
                Ok(())
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
    fn pack<T>(&self, cx: &mut LowerContext<'_, T>, bytes: &mut [u8]) -> Result<()> {
        let Some(value) = self else {
            return Ok(());
        };
        let mut end = 0;
        field(&true, cx, bytes, &mut end)?;
        field(value, cx, bytes, &mut end)
    }
}

impl Packed for &str {
    #[inline(always)]
    fn pack<T>(&self, cx: &mut LowerContext<'_, T>, bytes: &mut [u8]) -> Result<()> {
        let mut flat = MaybeUninit::new([ValRaw::i64(0); 2]);
        self.linear_lower_to_flat(cx, InterfaceType::String, &mut flat)?;
        // SAFETY: the line above the last initialized it.
        let [address, length] = unsafe { flat.assume_init() };
        pair(bytes, [address.get_u32(), length.get_u32()]);
        Ok(())
    }
}

impl Element for &str {
    fn store<T>(&self, cx: &mut LowerContext<'_, T>, at: usize) -> Result<()> {
        self.linear_lower_to_memory(cx, InterfaceType::String, at)
    }
}

impl<V: Element> Packed for &[V] {
    fn pack<T>(&self, cx: &mut LowerContext<'_, T>, bytes: &mut [u8]) -> Result<()> {
        let list = store_list(self, cx)?;
        pair(bytes, list);
        Ok(())
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
                fn pack<T>(&self, cx: &mut LowerContext<'_, T>, bytes: &mut [u8]) -> Result<()> {
                    let Self { $($name),* } = self;
                    let mut end = 0;
                    $(field($name, cx, bytes, &mut end)?;)*
                    Ok(())
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
    ($($kind:ident)*) => {$(
        impl Element for wit::$kind<'_> {
            fn store<T>(&self, cx: &mut LowerContext<'_, T>, at: usize) -> Result<()> {
                let mut bytes = [0; <Self as ComponentType>::SIZE32];
                self.pack(cx, &mut bytes)?;
                *cx.get(at) = bytes;
                Ok(())
            }
        }
    )*};
}

elements! { Span SpanLink SpanEvent }
