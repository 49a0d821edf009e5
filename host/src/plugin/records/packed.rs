//! Lowering of whole lists of records into one block of the guest's memory. The engine's own way stores each field by
//! itself, and asks the guest for a block for each of a span's thirty texts and lists; here a list is laid out, with all
//! its texts and lists, in one block that the guest's own allocator gives. The layout is the canonical ABI's (component
//! model, `CanonicalABI.md`, "Storing"); sizes and alignments are those of the generated types. Only for components that
//! export `batch-memory`; everything else is the engine's. Called by the engine, through the batch that `instance` sends.

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

/// `types.span-batch`.
#[derive(ComponentType, Lower)]
#[component(record)]
pub(in crate::plugin) struct SpanBatch<'a> {
    pub(in crate::plugin) spans: List<'a, wit::Span<'a>>,
    pub(in crate::plugin) tokens: &'a [u64],
    pub(in crate::plugin) resources: &'a [wit::EventResource<'a>],
    pub(in crate::plugin) scopes: &'a [wit::EventScope<'a>],
    pub(in crate::plugin) ancestors: &'a [wit::SpanAncestor<'a>],
}

/// `types.log-batch`.
#[derive(ComponentType, Lower)]
#[component(record)]
pub(in crate::plugin) struct LogBatch<'a> {
    pub(in crate::plugin) logs: List<'a, wit::Log<'a>>,
    pub(in crate::plugin) tokens: &'a [u64],
    pub(in crate::plugin) resources: &'a [wit::EventResource<'a>],
    pub(in crate::plugin) scopes: &'a [wit::EventScope<'a>],
}

/// `types.metric-batch`.
#[derive(ComponentType, Lower)]
#[component(record)]
pub(in crate::plugin) struct MetricBatch<'a> {
    pub(in crate::plugin) metrics: List<'a, wit::Metric<'a>>,
    pub(in crate::plugin) tokens: &'a [u64],
    pub(in crate::plugin) resources: &'a [wit::EventResource<'a>],
    pub(in crate::plugin) scopes: &'a [wit::EventScope<'a>],
}

/// A list that goes into one block, if the guest takes one of its size.
pub(in crate::plugin) struct List<'a, V> {
    pub(in crate::plugin) elements: &'a [V],
    /// Bytes of the largest block that the guest takes; 0 for the engine's own lowering.
    pub(in crate::plugin) capacity: u32,
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
        ty: InterfaceType,
        flat: &mut MaybeUninit<Self::Lower>,
    ) -> Result<()> {
        let Some([address, length]) = self.in_one_block(cx)? else {
            return self.elements.linear_lower_to_flat(cx, ty, flat);
        };
        flat.write([ValRaw::i64(address.into()), ValRaw::i64(length.into())]);
        Ok(())
    }

    fn linear_lower_to_memory<T>(
        &self,
        cx: &mut LowerContext<'_, T>,
        ty: InterfaceType,
        at: usize,
    ) -> Result<()> {
        let Some(both) = self.in_one_block(cx)? else {
            return self.elements.linear_lower_to_memory(cx, ty, at);
        };
        let mut bytes = [0; 8];
        pair(&mut bytes, both)?;
        *cx.get(at) = bytes;
        Ok(())
    }
}

impl<'a, V: Element> List<'a, V> {
    /// Of the engine's own lowering.
    pub(super) const fn new(elements: &'a [V]) -> Self {
        Self {
            elements,
            capacity: 0,
        }
    }

    /// Address and number of the elements in their block, or `None` if the guest does not take one.
    fn in_one_block<T>(&self, cx: &mut LowerContext<'_, T>) -> Result<Option<[u32; 2]>> {
        let bytes = self.elements.outside_bytes();
        let fits = u32::try_from(bytes).is_ok_and(|bytes| bytes <= self.capacity);
        if !fits || cx.options().string_encoding != StringEncoding::Utf8 {
            return Ok(None);
        }
        // The engine checks that the block is aligned and inside the guest's memory.
        let start = cx.realloc(0, 0, BLOCK_ALIGN, bytes)?;
        let memory = cx.as_slice_mut().get_mut(start..);
        let Some(memory) = memory.and_then(|memory| memory.get_mut(..bytes)) else {
            bail!("the guest's block of {bytes} bytes at {start} is not in its memory");
        };
        let mut block = Block {
            start,
            used: 0,
            memory,
        };
        store_list(self.elements, &mut block).map(Some)
    }
}

/// Alignment of a block: the largest of the canonical ABI.
const BLOCK_ALIGN: u32 = 8;

/// The block, which is taken from its beginning.
pub(in crate::plugin) struct Block<'m> {
    /// Its address.
    start: usize,
    /// Bytes that are taken.
    used: usize,
    memory: &'m mut [u8],
}

impl Block<'_> {
    /// Stores a text; its address and length.
    #[inline(always)]
    fn text(&mut self, text: &str) -> Result<[u32; 2]> {
        let at = self.used;
        self.store(at, text.as_bytes())?;
        self.used += text.len();
        Ok([u32::try_from(self.start + at)?, u32::try_from(text.len())?])
    }

    /// Where in the block so many free bytes are.
    fn take(&mut self, align: u32, bytes: usize) -> usize {
        let address = (self.start + self.used).next_multiple_of(align as usize);
        let at = address - self.start;
        self.used = at + bytes;
        at
    }

    #[inline(always)]
    fn store(&mut self, at: usize, bytes: &[u8]) -> Result<()> {
        let place = self.memory.get_mut(at..);
        let Some(place) = place.and_then(|rest| rest.get_mut(..bytes.len())) else {
            bail!("the block ends before byte {}", at + bytes.len());
        };
        place.copy_from_slice(bytes);
        Ok(())
    }
}

/// A value that can be laid out beside the guest's memory.
pub(in crate::plugin) trait Packed: ComponentType {
    /// Lays the value out in `bytes`: as many as [`ComponentType::SIZE32`], all zero.
    fn pack(&self, block: &mut Block<'_>, bytes: &mut [u8]) -> Result<()>;

    /// Bytes that its texts and lists take in a block, at most.
    fn outside_bytes(&self) -> usize;
}

/// An element of a list.
pub(in crate::plugin) trait Element: Packed + Lower + Sized {
    /// Stores the element in the block.
    fn store(&self, block: &mut Block<'_>, at: usize) -> Result<()>;
}

/// Stores the elements one behind the other. Returns their address and number.
fn store_list<V: Element>(list: &[V], block: &mut Block<'_>) -> Result<[u32; 2]> {
    let Some(size) = list.len().checked_mul(V::SIZE32) else {
        bail!("a list of {} elements does not fit a guest", list.len());
    };
    let start = block.take(V::ALIGN32, size);
    let mut at = start;
    for element in list {
        element.store(block, at)?;
        at += V::SIZE32;
    }
    let address = block.start + start;
    Ok([u32::try_from(address)?, u32::try_from(list.len())?])
}

/// Lays a field out behind those that end at `end`.
#[inline(always)]
fn field<V: Packed>(
    value: &V,
    block: &mut Block<'_>,
    bytes: &mut [u8],
    end: &mut usize,
) -> Result<()> {
    let start = end.next_multiple_of(V::ALIGN32 as usize);
    *end = start + V::SIZE32;
    let Some(bytes) = bytes.get_mut(start..*end) else {
        bail!("a field ends at byte {end} of a record of {}", bytes.len());
    };
    value.pack(block, bytes)
}

/// Fills `bytes` with a value of just that length.
#[inline(always)]
fn fill(bytes: &mut [u8], value: &[u8]) -> Result<()> {
    if bytes.len() != value.len() {
        bail!("{} bytes for a value of {}", bytes.len(), value.len());
    }
    bytes.copy_from_slice(value);
    Ok(())
}

macro_rules! plain {
    ($($kind:ty: |$value:ident| $plain:expr;)*) => {$(
        impl Packed for $kind {
            #[inline(always)]
            fn pack(&self, _: &mut Block<'_>, bytes: &mut [u8]) -> Result<()> {
                let $value = *self;
                fill(bytes, &$plain.to_le_bytes())
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
    u8: |value| value;
    u16: |value| value;
    u32: |value| value;
    i32: |value| value;
    u64: |value| value;
    i64: |value| value;
    f64: |value| value;
    wit::SpanPhase: |case| case as u8;
    wit::SpanKind: |case| case as u8;
    wit::StatusCode: |case| case as u8;
    wit::Instrument: |case| case as u8;
    wit::Temporality: |case| case as u8;
}

impl<V: Packed> Packed for Option<V> {
    #[inline(always)]
    fn pack(&self, block: &mut Block<'_>, bytes: &mut [u8]) -> Result<()> {
        let Some(value) = self else {
            return Ok(());
        };
        let mut end = 0;
        field(&true, block, bytes, &mut end)?;
        field(value, block, bytes, &mut end)
    }

    #[inline(always)]
    fn outside_bytes(&self) -> usize {
        self.as_ref().map_or(0, Packed::outside_bytes)
    }
}

impl<A: Packed, B: Packed> Packed for (A, B) {
    #[inline(always)]
    fn pack(&self, block: &mut Block<'_>, bytes: &mut [u8]) -> Result<()> {
        let mut end = 0;
        field(&self.0, block, bytes, &mut end)?;
        field(&self.1, block, bytes, &mut end)
    }

    #[inline(always)]
    fn outside_bytes(&self) -> usize {
        self.0.outside_bytes() + self.1.outside_bytes()
    }
}

impl Packed for &str {
    #[inline(always)]
    fn pack(&self, block: &mut Block<'_>, bytes: &mut [u8]) -> Result<()> {
        let both = block.text(self)?;
        pair(bytes, both)
    }

    #[inline(always)]
    fn outside_bytes(&self) -> usize {
        self.len()
    }
}

impl<V: Element> Packed for &[V] {
    fn pack(&self, block: &mut Block<'_>, bytes: &mut [u8]) -> Result<()> {
        let both = store_list(self, block)?;
        pair(bytes, both)
    }

    fn outside_bytes(&self) -> usize {
        let elements: usize = self.iter().map(Packed::outside_bytes).sum();
        (V::ALIGN32 as usize - 1) + self.len() * V::SIZE32 + elements
    }
}

/// Address and number of a text or a list.
#[inline(always)]
fn pair(bytes: &mut [u8], [address, number]: [u32; 2]) -> Result<()> {
    let both = u64::from(number) << 32 | u64::from(address);
    fill(bytes, &both.to_le_bytes())
}

/// Names each field of a record once, in the order of `wit/types.wit`.
macro_rules! records {
    ($($kind:ident $(<$life:lifetime>)? { $($name:ident)* })*) => {
        $(
            impl Packed for wit::$kind $(<$life>)? {
                #[inline(always)]
                fn pack(&self, block: &mut Block<'_>, bytes: &mut [u8]) -> Result<()> {
                    let Self { $($name),* } = self;
                    let mut end = 0;
                    $(field($name, block, bytes, &mut end)?;)*
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
    Correlation<'_> {
        trace_id span_id tags entity parent_entity root_entity user_id organization_id resource_id run_id session_id
        thread_id request_id environment source service_name experiment_id extra
    }
    Log<'_> {
        log_id time trace_id span_id level message data tags correlation metadata resource_index otel extra
    }
    OtelLog<'_> {
        severity_number severity_text body event_name observed_time flags attributes dropped_attributes_count scope_index
    }
    Metric<'_> {
        metric_id time trace_id span_id name value unit labels correlation cost metadata resource_index otel extra
    }
    OtelMetric<'_> { description start_time exemplars metadata attributes flags scope_index }
    Exemplar<'_> { time value trace_id span_id filtered_attributes }
    Observation { value instrument }
    SumPoint { value temporality is_monotonic }
    HistogramPoint<'_> { count sum min max bucket_counts bounds temporality }
    ExponentialBuckets<'_> { offset counts }
    ExponentialHistogramPoint<'_> {
        count sum min max scale zero_count zero_threshold positive negative temporality
    }
    QuantileValue { quantile value }
    SummaryPoint<'_> { count sum quantiles }
}

/// Names each case of a variant once, in the order of `wit/types.wit`; all of them have a value.
macro_rules! variants {
    ($($kind:ident $(<$life:lifetime>)? { $($case:ident = $number:literal)* })*) => {
        $(
            impl Packed for wit::$kind $(<$life>)? {
                fn pack(&self, block: &mut Block<'_>, bytes: &mut [u8]) -> Result<()> {
                    // The value lies behind the number of its case, aligned for the strictest of the cases.
                    let mut end = Self::ALIGN32 as usize;
                    match self {$(
                        Self::$case(value) => {
                            field(&$number, block, bytes, &mut 0)?;
                            field(value, block, bytes, &mut end)
                        }
                    )*}
                }

                fn outside_bytes(&self) -> usize {
                    match self {
                        $(Self::$case(value) => value.outside_bytes(),)*
                    }
                }
            }
        )*

        /// The variants and their cases.
        #[cfg(test)]
        pub(super) const VARIANTS: &[(&str, &[(&str, u8)])] =
            &[$((stringify!($kind), &[$((stringify!($case), $number)),*])),*];
    };
}

variants! {
    MetricNumber { Integer = 0_u8 Floating = 1_u8 }
    MetricValue<'_> {
        Single = 0_u8 Sum = 1_u8 Gauge = 2_u8 Histogram = 3_u8 ExponentialHistogram = 4_u8 Summary = 5_u8
    }
}

macro_rules! elements {
    ($($kind:ty,)*) => {$(
        impl Element for $kind {
            fn store(&self, block: &mut Block<'_>, at: usize) -> Result<()> {
                let mut bytes = [0; <Self as ComponentType>::SIZE32];
                self.pack(block, &mut bytes)?;
                block.store(at, &bytes)
            }
        }
    )*};
}

elements! {
    &str, (&str, &str), u64, f64, wit::Span<'_>, wit::SpanLink<'_>, wit::SpanEvent<'_>, wit::Log<'_>, wit::Metric<'_>,
    wit::Exemplar<'_>, wit::QuantileValue,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(start: usize, memory: &mut [u8]) -> Block<'_> {
        Block {
            start,
            used: 0,
            memory,
        }
    }

    #[test]
    fn lists_behind_texts_of_any_length_are_aligned() {
        for length in 0..9 {
            let mut memory = [0; 64];
            let mut block = block(1_024, &mut memory);
            let text = "x".repeat(length);
            block.text(&text).unwrap();
            let [address, count] = store_list(&[7_u64, 8], &mut block).unwrap();
            assert_eq!((address % 8, count), (0, 2), "{length}");
            let at = address as usize - 1_024;
            assert_eq!(memory.get(at..at + 8), Some(&7_u64.to_le_bytes()[..]));
        }
    }

    #[test]
    fn what_does_not_fit_is_an_error() {
        let tags: &[&str] = &["one", "two"];
        let enough = tags.outside_bytes();
        let mut bytes = [0; 8];
        let mut memory = vec![0; enough];
        assert!(
            tags.pack(&mut block(1_024, &mut memory), &mut bytes)
                .is_ok()
        );
        for short in 0..22 {
            let mut memory = vec![0; short];
            let packed = tags.pack(&mut block(1_024, &mut memory), &mut bytes);
            assert!(packed.is_err(), "{short}");
        }
        let packed = 1_u64.pack(&mut block(0, &mut []), &mut bytes[..7]);
        assert!(packed.is_err(), "a field of another length");
    }
}
