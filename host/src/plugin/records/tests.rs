//! Conversion keeps every field and numbers what is shared.

use std::borrow::Cow;

use bumpalo::Bump;

use super::*;
use crate::event::records::{
    ExponentialHistogramPoint, Instrument, Metric, MetricNumber, MetricValue, OtelSpan, Span,
    SpanEvent, SpanKind, SpanLink, SpanPhase, StatusCode, Temporality,
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
    let batch = span_batch(&arena, &spans, &[1, 2, 3, 4, 5, 6], &Reads::default());
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
    for (record, fields) in packed::RECORDS {
        let declared = declared("record", &kebab(record));
        let named = declared.iter().filter_map(|line| {
            let (field, _) = line.split_once(':')?;
            Some(field.replace('-', "_"))
        });
        assert_eq!(*fields, named.collect::<Vec<_>>(), "{record}");
    }
    assert_eq!(packed::RECORDS.len(), 23);
}

#[test]
fn texts_are_borrowed_not_copied() {
    let spans = [span(None)];
    let arena = Bump::new();
    let batch = span_batch(&arena, &spans, &[1], &Reads::default());
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
    let batch = span_batch(&arena, &spans, &[1, 2], &Reads::default());
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
    let batch = metric_batch(&arena, &metrics, &[1, 2, 3], &Reads::default());
    assert_eq!(batch.metrics.elements[0].labels, [("k", "v")]);
    let values: Vec<_> = batch
        .metrics
        .elements
        .iter()
        .map(|metric| &metric.value)
        .collect();
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

/// What the contract declares under `keyword name`: the lines of its body without comments.
fn declared(keyword: &str, name: &str) -> Vec<String> {
    let contract = include_str!("../../../../wit/types.wit");
    let (_, body) = contract
        .split_once(&format!("{keyword} {name} {{"))
        .unwrap();
    let (body, _) = body.split_once("\n  }").unwrap();
    let lines = body.lines().map(str::trim);
    let lines = lines.filter(|line| !line.starts_with("//") && !line.is_empty());
    lines
        .map(|line| line.trim_start_matches('%').to_owned())
        .collect()
}

fn kebab(name: &str) -> String {
    let mut kebab = String::new();
    for letter in name.chars() {
        if letter.is_uppercase() && !kebab.is_empty() {
            kebab.push('-');
        }
        kebab.extend(letter.to_lowercase());
    }
    kebab
}

#[test]
fn cases_have_the_numbers_of_the_contract() {
    for (variant, cases) in packed::VARIANTS {
        let declared = declared("variant", &kebab(variant));
        assert_eq!(declared.len(), cases.len(), "{variant}");
        for (case, number) in *cases {
            let line = &declared[usize::from(*number)];
            assert!(
                line.starts_with(&format!("{}(", kebab(case))),
                "{line}: {case}"
            );
        }
    }
}

#[test]
fn every_optional_field_of_a_record_can_be_left_out() {
    for (record, fields) in reads::OPTIONAL {
        let declared = declared("record", &kebab(record));
        let optional = declared.iter().filter_map(|line| {
            let (field, ty) = line.split_once(": ")?;
            ty.starts_with("option<").then(|| field.replace('-', "_"))
        });
        assert_eq!(*fields, optional.collect::<Vec<_>>(), "{record}");
    }
}

#[test]
fn what_a_component_does_not_look_at_is_not_handed_over() {
    let listed = |signal, fields: &[&str]| {
        let fields = fields.iter().map(|field| (*field).to_owned());
        (signal, fields.collect::<Vec<_>>())
    };
    let reads = Reads::new(&[listed(crate::event::Signal::Traces, &["input", "end-time"])]);
    let spans = [span(Some(service("a")))];
    let arena = Bump::new();
    let reads = reads.unwrap();
    let batch = span_batch(&arena, &spans, &[1], &reads);
    let lowered = &batch.spans.elements[0];
    assert_eq!((lowered.input, lowered.end_time), (Some("null"), Some(2)));
    assert_eq!(
        (lowered.attributes, lowered.tags, lowered.resource_index),
        (None, None, None)
    );
    let metrics = [metric(MetricValue::Gauge(MetricNumber::Integer(1)))];
    let batch = metric_batch(&arena, &metrics, &[1], &reads);
    assert_eq!(
        batch.metrics.elements[0].unit,
        Some("ms"),
        "not listed: everything"
    );

    let error = Reads::new(&[listed(crate::event::Signal::Logs, &["input"])]).unwrap_err();
    assert!(
        error.contains("`input` is not an optional field") && error.contains("correlation"),
        "{error}"
    );
    let twice = [crate::event::Signal::Logs; 2].map(|signal| listed(signal, &[]));
    assert!(Reads::new(&twice).unwrap_err().contains("twice"));
    let many = [listed(crate::event::Signal::Logs, &["data"; 10])];
    assert!(Reads::new(&many).unwrap_err().contains("10 fields"));
}
