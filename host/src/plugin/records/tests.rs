//! Conversion keeps every field and numbers what is shared.

use std::borrow::Cow;

use bumpalo::Bump;

use super::*;
use crate::event::records::{
    ErrorInfo, ExponentialHistogramPoint, Instrument, Metric, MetricNumber, MetricValue, ModelCall,
    OtelSpan, Span, SpanEvent, SpanKind, SpanLink, SpanPhase, StatusCode, Temporality, Usage,
};

fn span(resource: Option<Resource<'static>>) -> Box<Span<'static>> {
    Box::new(Span {
        phase: SpanPhase::Ended,
        trace_id: "t".into(),
        span_id: "s".into(),
        parent_span_id: None,
        external_parent_span_id: None,
        name: "n".into(),
        span_type: "agent_run".into(),
        entity: Entity::default(),
        start_time: 1,
        end_time: Some(2),
        is_event: false,
        is_root: true,
        is_internal: false,
        resource,
        attributes: Some("{}".into()),
        metadata: None,
        tags: Some(vec!["a".into(), "b".into()]),
        input: Some("null".into()),
        output: None,
        request_context: None,
        error: None,
        model: None,
        otel: None,
        extra: None,
    })
}

fn service(name: &'static str) -> Resource<'static> {
    Resource {
        service_name: Some(name.into()),
        ..Resource::default()
    }
}

#[test]
fn equal_resources_are_numbered_once_wherever_they_come() {
    let spans = [Some("a"), Some("a"), None, Some("b"), Some("a"), Some("b")]
        .map(|name| span(name.map(service)));
    let arena = Bump::new();
    let batch = span_batch(&arena, &spans, &[1, 2, 3, 4, 5, 6]);
    let indices: Vec<_> = batch
        .spans
        .elements
        .iter()
        .map(|span| span.resource_index)
        .collect();
    assert_eq!(indices, [Some(0), Some(0), None, Some(1), Some(0), Some(1)]);
    let names: Vec<_> = batch
        .resources
        .iter()
        .map(|resource| resource.service_name)
        .collect();
    assert_eq!(names, [Some("a"), Some("b")]);
    assert_eq!(batch.tokens, [1, 2, 3, 4, 5, 6]);
}

/// The compiler sees that no field is left out, and the engine that the types are the contract's; neither sees two
/// fields of one type change places.
#[test]
fn records_are_laid_out_in_the_order_of_the_contract() {
    let contract = include_str!("../../../../wit/types.wit");
    for (record, fields) in packed::RECORDS {
        let mut name = String::new();
        for letter in record.chars() {
            if letter.is_uppercase() && !name.is_empty() {
                name.push('-');
            }
            name.extend(letter.to_lowercase());
        }
        let (_, body) = contract.split_once(&format!("record {name} {{")).unwrap();
        let (body, _) = body.split_once('}').unwrap();
        let lines = body.lines().map(str::trim);
        let named = lines
            .filter(|line| !line.starts_with("//"))
            .filter_map(|line| {
                let (field, _) = line.split_once(':')?;
                Some(field.trim_start_matches('%').replace('-', "_"))
            });
        assert_eq!(*fields, named.collect::<Vec<_>>(), "{name}");
    }
    assert_eq!(packed::RECORDS.len(), 10);
}

#[test]
fn texts_are_borrowed_not_copied() {
    let spans = [span(None)];
    let arena = Bump::new();
    let batch = span_batch(&arena, &spans, &[1]);
    let lowered = &batch.spans.elements[0];
    assert_eq!(lowered.name.as_ptr(), spans[0].name.as_ptr());
    assert_eq!(lowered.tags, Some(["a", "b"].as_slice()));
    assert_eq!(
        (lowered.input, lowered.output),
        (Some("null"), None),
        "null and absent stay distinct"
    );
}

#[test]
fn what_only_opentelemetry_knows_is_kept() {
    let mut with_otel = span(None);
    let scope = Scope {
        name: "lib".into(),
        version: Some("1".into()),
        ..Scope::default()
    };
    with_otel.otel = Some(Box::new(OtelSpan {
        kind: SpanKind::Consumer,
        status_code: StatusCode::Error,
        status_message: Cow::Borrowed("why"),
        links: vec![SpanLink {
            trace_id: "lt".into(),
            flags: 0x301,
            ..SpanLink::default()
        }],
        events: vec![SpanEvent {
            time: 9,
            name: "e".into(),
            ..SpanEvent::default()
        }],
        scope: Some(scope),
        ..OtelSpan::default()
    }));
    let spans = [span(None), with_otel];
    let arena = Bump::new();
    let batch = span_batch(&arena, &spans, &[1, 2]);
    assert!(batch.spans.elements[0].otel.is_none());
    let otel = batch.spans.elements[1].otel.as_ref().unwrap();
    assert!(matches!(otel.kind, wit::SpanKind::Consumer));
    assert!(matches!(
        otel.status,
        wit::SpanStatus {
            code: wit::StatusCode::Error,
            message: "why"
        }
    ));
    assert_eq!(
        (
            otel.links[0].trace_id,
            otel.links[0].flags,
            otel.events[0].time
        ),
        ("lt", 0x301, 9)
    );
    assert_eq!(otel.scope_index, Some(0));
    assert_eq!(batch.scopes[0].name, "lib");
}

fn metric(value: MetricValue) -> Box<Metric<'static>> {
    Box::new(Metric {
        metric_id: "m".into(),
        time: 1,
        trace_id: None,
        span_id: None,
        name: "n".into(),
        value,
        unit: Some("ms".into()),
        labels: vec![("k".into(), "v".into())],
        correlation: None,
        cost: None,
        metadata: None,
        resource: None,
        otel: None,
        extra: None,
    })
}

#[test]
fn metric_values_keep_their_kind() {
    let point = ExponentialHistogramPoint {
        count: 3,
        scale: -1,
        zero_count: 1,
        ..ExponentialHistogramPoint::default()
    };
    let metrics = [
        metric(MetricValue::Single {
            value: 1.5,
            instrument: Instrument::Counter,
        }),
        metric(MetricValue::Sum {
            value: MetricNumber::Integer(-3),
            temporality: Temporality::Delta,
            is_monotonic: true,
        }),
        metric(MetricValue::ExponentialHistogram(point)),
    ];
    let arena = Bump::new();
    let batch = metric_batch(&arena, &metrics, &[1, 2, 3]);
    assert_eq!(batch.metrics[0].labels, [("k", "v")]);
    let values: Vec<_> = batch.metrics.iter().map(|metric| &metric.value).collect();
    assert!(matches!(
        values[0],
        wit::MetricValue::Single(wit::Observation {
            instrument: wit::Instrument::Counter,
            ..
        })
    ));
    let wit::MetricValue::Sum(sum) = values[1] else {
        panic!("not a sum")
    };
    assert!(matches!(sum.value, wit::MetricNumber::Integer(-3)) && sum.is_monotonic);
    assert!(
        matches!(values[2], wit::MetricValue::ExponentialHistogram(point) if point.scale == -1)
    );
}

/// Every text and list that a span may have; each text is another one.
fn full_span() -> Box<Span<'static>> {
    let mut full = span(None);
    full.parent_span_id = Some("parent".into());
    full.entity.entity_version_id = Some("entity version".into());
    full.metadata = Some("{\"metadata\":1}".into());
    full.request_context = Some("{\"context\":1}".into());
    full.extra = Some("{\"extra\":1}".into());
    full.error = Some(ErrorInfo {
        message: "message".into(),
        stack: Some("stack".into()),
        ..ErrorInfo::default()
    });
    full.model = Some(ModelCall {
        parameters: Some("{\"parameters\":1}".into()),
        usage: Some(Usage::default()),
        cost: Some(Cost {
            cost_unit: Some("unit".into()),
            ..Cost::default()
        }),
        ..ModelCall::default()
    });
    full.otel = Some(Box::new(OtelSpan {
        status_message: "status".into(),
        links: vec![
            SpanLink {
                trace_id: "link".into(),
                ..SpanLink::default()
            };
            3
        ],
        events: vec![
            SpanEvent {
                name: "event".into(),
                attributes: Some("{\"event\":1}".into()),
                ..SpanEvent::default()
            };
            2
        ],
        ..OtelSpan::default()
    }));
    full
}

#[test]
fn a_batch_in_one_piece_fits_the_room_that_was_asked_for_wherever_that_is() {
    // With the outer list: tags twice, links and events.
    const LISTS: usize = 5;
    let spans = [full_span(), span(None)];
    let arena = Bump::new();
    let batch = span_batch(&arena, &spans, &[1, 2]);
    for start in [64, 72, 77] {
        let (memory, spare) = packed::in_one_piece(&batch.spans, start).unwrap();
        assert!(spare <= LISTS * 7, "{spare} bytes too many");
        let number = |at: usize| {
            let bytes = memory[at..at + 4].try_into().unwrap();
            u32::from_le_bytes(bytes) as usize
        };
        let first = start.next_multiple_of(8) - start;
        let size = <wit::Span<'_> as wasmtime::component::ComponentType>::SIZE32;
        for at in [first, first + size] {
            // The trace's id stands behind the phase: its address and its length.
            let text = number(at + 4) - start;
            assert_eq!(&memory[text..text + number(at + 8)], b"t");
        }
        for text in [
            "parent",
            "entity version",
            "{\"metadata\":1}",
            "{\"context\":1}",
            "{\"extra\":1}",
            "message",
            "stack",
            "{\"parameters\":1}",
            "unit",
            "status",
            "link",
            "event",
            "{\"event\":1}",
        ] {
            let mut stretches = memory.windows(text.len());
            assert!(
                stretches.any(|stretch| stretch == text.as_bytes()),
                "{text}"
            );
        }
    }
}
