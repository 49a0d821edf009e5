//! Remote write requests, before they are compressed: version 1.0
//! (<https://prometheus.io/docs/specs/prw/remote_write_spec/>) and 2.0
//! (<https://prometheus.io/docs/specs/prw/remote_write_spec_2_0/>, both read 2026-11).

use std::collections::HashMap;

use mastra_exporter_sdk::records::Exemplar;
use mastra_otlp::encode::{Encoder as _, Field};
use mastra_otlp::protobuf::ProtobufEncoder;

use super::{Family, Kind, Label, number};
use crate::wire::Version;

/// `WriteRequest`
const TIMESERIES: Field = Field::protobuf(1);
const METADATA: Field = Field::protobuf(3);
/// `TimeSeries`
const LABELS: Field = Field::protobuf(1);
const SAMPLES: Field = Field::protobuf(2);
const EXEMPLARS: Field = Field::protobuf(3);
/// `Label`
const NAME: Field = Field::protobuf(1);
const VALUE: Field = Field::protobuf(2);
/// `Sample`
const SAMPLE_VALUE: Field = Field::protobuf(1);
const SAMPLE_TIME: Field = Field::protobuf(2);
const SAMPLE_START: Field = Field::protobuf(3);
/// `Exemplar`
const EXEMPLAR_VALUE: Field = Field::protobuf(2);
const EXEMPLAR_TIME: Field = Field::protobuf(3);
/// `MetricMetadata`
const METADATA_TYPE: Field = Field::protobuf(1);
const METADATA_NAME: Field = Field::protobuf(2);
/// `Request` of 2.0
const SYMBOLS: Field = Field::protobuf(4);
const TIMESERIES_2: Field = Field::protobuf(5);
/// `TimeSeries` of 2.0
const LABELS_REFS: Field = Field::protobuf(1);
const EXEMPLARS_2: Field = Field::protobuf(4);
const METADATA_2: Field = Field::protobuf(5);

/// The request.
#[must_use]
pub fn request(families: &[Family<'_>], version: Version) -> Vec<u8> {
    match version {
        Version::One => version_one(families),
        Version::Two => version_two(families),
    }
}

/// Samples in a request, for the answer's count.
#[must_use]
pub fn sample_count(families: &[Family<'_>]) -> usize {
    let series = families.iter().flat_map(|family| family.series.values());
    series.map(|series| series.samples.len()).sum()
}

const fn type_number(kind: Kind, version: Version) -> u32 {
    match (kind, version) {
        (Kind::Counter, _) => 1,
        (Kind::Gauge, _) => 2,
        (Kind::Histogram, _) => 3,
        (Kind::Summary, _) => 5,
    }
}

/// One series a sample: labels with the name, sorted.
fn each_series(
    families: &[Family<'_>],
    mut write: impl FnMut(&Family<'_>, Vec<Label>, f64, (u64, u64), Option<(&Exemplar, f64)>),
) {
    for family in families {
        for series in family.series.values() {
            for sample in &series.samples {
                let mut labels = series.labels.clone();
                let name = format!("{}{}", family.name, sample.suffix);
                labels.push(("__name__".to_owned(), name));
                if let Some((name, value)) = &sample.own_label {
                    labels.retain(|(known, _)| known != name);
                    labels.push(((*name).to_owned(), value.clone()));
                }
                labels.sort();
                let times = (millis(series.time), millis(series.start));
                let exemplar = sample
                    .exemplar
                    .map(|found| (found, number(found.value) / series.divisor));
                write(family, labels, sample.value, times, exemplar);
            }
        }
    }
}

const fn millis(nanos: u64) -> u64 {
    nanos / 1_000_000
}

fn version_one(families: &[Family<'_>]) -> Vec<u8> {
    let mut encoder = ProtobufEncoder::default();
    each_series(families, |_, labels, value, (time, _), exemplar| {
        encoder.message(TIMESERIES, |encoder| {
            encoder.messages(LABELS, &labels, label);
            encoder.message(SAMPLES, |encoder| {
                encoder.double(SAMPLE_VALUE, value);
                encoder.wide_unsigned(SAMPLE_TIME, time);
            });
            if let Some((exemplar, value)) = exemplar {
                encoder.message(EXEMPLARS, |encoder| {
                    encoder.messages(LABELS, &exemplar_labels(exemplar), label);
                    encoder.double(EXEMPLAR_VALUE, value);
                    encoder.wide_unsigned(EXEMPLAR_TIME, millis(exemplar.time));
                });
            }
        });
    });
    for family in families {
        let suffix = if family.kind == Kind::Counter {
            "_total"
        } else {
            ""
        };
        encoder.message(METADATA, |encoder| {
            encoder.unsigned(METADATA_TYPE, type_number(family.kind, Version::One));
            encoder.text_of(METADATA_NAME, &[&family.name, suffix]);
        });
    }
    encoder.finish()
}

fn label(encoder: &mut ProtobufEncoder, (name, value): &Label) {
    encoder.text_of(NAME, &[name]);
    encoder.text_of(VALUE, &[value]);
}

fn exemplar_labels(exemplar: &Exemplar) -> Vec<Label> {
    [
        ("span_id", &exemplar.span_id),
        ("trace_id", &exemplar.trace_id),
    ]
    .into_iter()
    .filter_map(|(name, id)| Some((name.to_owned(), id.clone()?)))
    .collect()
}

/// Texts by number; number 0 is the empty text.
#[derive(Default)]
struct Symbols {
    numbers: HashMap<String, u64>,
    texts: Vec<String>,
}

impl Symbols {
    fn number(&mut self, text: &str) -> u64 {
        if let Some(number) = self.numbers.get(text) {
            return *number;
        }
        self.texts.push(text.to_owned());
        let number = self.texts.len() as u64;
        self.numbers.insert(text.to_owned(), number);
        number
    }

    fn references(&mut self, labels: &[Label]) -> Vec<u64> {
        labels
            .iter()
            .flat_map(|(name, value)| [name, value])
            .map(|text| self.number(text))
            .collect()
    }
}

fn version_two(families: &[Family<'_>]) -> Vec<u8> {
    let mut symbols = Symbols::default();
    let mut encoder = ProtobufEncoder::default();
    each_series(
        families,
        |family, labels, value, (time, start), exemplar| {
            let labels = symbols.references(&labels);
            let exemplar = exemplar
                .map(|(found, value)| (symbols.references(&exemplar_labels(found)), found, value));
            encoder.message(TIMESERIES_2, |encoder| {
                encoder.varying_counts(LABELS_REFS, &labels);
                encoder.message(SAMPLES, |encoder| {
                    encoder.double(SAMPLE_VALUE, value);
                    encoder.wide_unsigned(SAMPLE_TIME, time);
                    encoder.wide_unsigned(SAMPLE_START, start);
                });
                if let Some((labels, exemplar, value)) = exemplar {
                    encoder.message(EXEMPLARS_2, |encoder| {
                        encoder.varying_counts(LABELS_REFS, &labels);
                        encoder.double(EXEMPLAR_VALUE, value);
                        encoder.wide_unsigned(EXEMPLAR_TIME, millis(exemplar.time));
                    });
                }
                encoder.message(METADATA_2, |encoder| {
                    encoder.unsigned(METADATA_TYPE, type_number(family.kind, Version::Two));
                });
            });
        },
    );
    let mut body = ProtobufEncoder::default();
    // The first symbol is empty; an empty message is written as one.
    body.message(SYMBOLS, |_| {});
    for text in &symbols.texts {
        body.message(SYMBOLS, |body| body.raw(text.as_bytes()));
    }
    let mut body = body.finish();
    body.extend_from_slice(&encoder.finish());
    body
}
