//! A receiver of remote write as Prometheus has it, and stricter: what would be stored under a wrong name is refused.
//!
//! Serves 1.0 and, unless it is an old one, 2.0, in Snappy blocks. Refuses labels that are not sorted or not named as they
//! must be, samples out of order, counters and buckets that fall. Sources: prometheus/docs
//! `specs/prw/remote_write_spec{,_2_0}.md`, prometheus/prometheus @d15adb9a (read 2026-11).
//!
//! Used by the prometheus exporter's tests and the end-to-end tests.

mod messages;
#[cfg(test)]
mod tests;

use std::collections::HashSet;

use anyhow::Context as _;
use prost::Message as _;
use serde_json::{Value, json};

use self::messages::{RequestV2, WriteRequest};
use super::{Answer, Fake, Request, Stored};

/// Where Prometheus receives.
pub const WRITE: &str = "/api/v1/write";

/// Kind of a stored series.
pub const SERIES: &str = "series";

/// `Content-Type` of 2.0.
const V2: &str = "application/x-protobuf;proto=io.prometheus.write.v2.Request";

/// The fake.
#[derive(Clone, Debug)]
pub struct Prometheus {
    /// The bearer token.
    pub token: String,
    /// Whether it serves 2.0.
    pub knows_version_two: bool,
}

impl Default for Prometheus {
    fn default() -> Self {
        Self {
            token: "prom-token".to_owned(),
            knows_version_two: true,
        }
    }
}

/// One series of either version.
struct Written {
    labels: Vec<(String, String)>,
    value: f64,
    time: i64,
}

impl Prometheus {
    fn write(&self, request: &Request) -> Result<Answer, Answer> {
        if request.method != "POST" {
            return Err(refuse(405, format!("{} is not served", request.method)));
        }
        let bearer = format!("Bearer {}", self.token);
        if request.header("authorization") != Some(bearer.as_str()) {
            return Err(refuse(401, "the token is wrong".to_owned()));
        }
        if request.header("content-encoding") != Some("snappy") {
            return Err(refuse(415, "content-encoding is not snappy".to_owned()));
        }
        if request.header("user-agent").is_none() {
            return Err(refuse(400, "there is no user-agent".to_owned()));
        }
        let version = request.header("x-prometheus-remote-write-version");
        let series = match (request.header("content-type"), version) {
            (Some("application/x-protobuf"), Some("0.1.0")) => version_one(&request.body),
            (Some(V2), Some("2.0.0")) if self.knows_version_two => version_two(&request.body),
            (content_type, version) => {
                let reason = format!("{content_type:?} of version {version:?} is not served");
                return Err(refuse(415, reason));
            }
        };
        let series = series.map_err(|error| refuse(400, format!("{error:#}")))?;
        check(&series).map_err(|reason| refuse(400, reason))?;
        let count = series.len().to_string();
        let stored = series.into_iter().map(|one| Stored {
            kind: SERIES,
            id: one
                .labels
                .iter()
                .map(|(name, value)| format!("{name}={value},"))
                .collect(),
            value: json!({"value": one.value, "time": one.time}),
        });
        let answer = Answer::status(204).with_stored(stored.collect());
        Ok(if request.header("content-type") == Some(V2) {
            answer
                .with_header("x-prometheus-remote-write-samples-written", &count)
                .with_header("x-prometheus-remote-write-histograms-written", "0")
                .with_header("x-prometheus-remote-write-exemplars-written", "0")
        } else {
            answer
        })
    }
}

fn decompressed(body: &[u8]) -> anyhow::Result<Vec<u8>> {
    snap::raw::Decoder::new()
        .decompress_vec(body)
        .context("the body is no snappy block")
}

fn version_one(body: &[u8]) -> anyhow::Result<Vec<Written>> {
    let request = WriteRequest::decode(&decompressed(body)?[..]).context("no WriteRequest")?;
    let types: HashSet<_> = request.metadata.iter().map(|one| one.r#type).collect();
    anyhow::ensure!(
        types.iter().all(|one| (1..=7).contains(one)),
        "a type is unknown"
    );
    let mut written = Vec::new();
    for series in request.timeseries {
        anyhow::ensure!(!series.samples.is_empty(), "a series has no samples");
        for exemplar in &series.exemplars {
            anyhow::ensure!(!exemplar.labels.is_empty(), "an exemplar has no labels");
        }
        let labels: Vec<_> = series
            .labels
            .into_iter()
            .map(|label| (label.name, label.value))
            .collect();
        written.extend(series.samples.iter().map(|sample| Written {
            labels: labels.clone(),
            value: sample.value,
            time: sample.timestamp,
        }));
    }
    Ok(written)
}

fn version_two(body: &[u8]) -> anyhow::Result<Vec<Written>> {
    let request = RequestV2::decode(&decompressed(body)?[..]).context("no Request of 2.0")?;
    anyhow::ensure!(
        request.symbols.first().is_some_and(String::is_empty),
        "the first symbol is not empty"
    );
    let symbol = |number: &u32| {
        let text = request.symbols.get(usize::try_from(*number)?);
        text.cloned().context("a symbol is missing")
    };
    let mut written = Vec::new();
    for series in &request.timeseries {
        anyhow::ensure!(
            series.labels_refs.len().is_multiple_of(2),
            "labels are not pairs"
        );
        anyhow::ensure!(!series.samples.is_empty(), "a series has no samples");
        let kind = series
            .metadata
            .as_ref()
            .map_or(0, |metadata| metadata.r#type);
        anyhow::ensure!((1..=7).contains(&kind), "a type is unknown");
        let exemplars = &series.exemplars;
        anyhow::ensure!(
            exemplars.iter().all(|exemplar| exemplar.timestamp > 0),
            "an exemplar has no time"
        );
        let texts: Vec<String> = series
            .labels_refs
            .iter()
            .map(symbol)
            .collect::<Result<_, _>>()?;
        let mut texts = texts.into_iter();
        let mut labels = Vec::new();
        while let (Some(name), Some(value)) = (texts.next(), texts.next()) {
            labels.push((name, value));
        }
        for sample in &series.samples {
            anyhow::ensure!(
                sample.start_timestamp <= sample.timestamp,
                "a sample ends before it starts"
            );
            written.push(Written {
                labels: labels.clone(),
                value: sample.value,
                time: sample.timestamp,
            });
        }
    }
    Ok(written)
}

fn check(series: &[Written]) -> Result<(), String> {
    if series.is_empty() {
        return Err("there are no series".to_owned());
    }
    let mut seen = HashSet::new();
    for one in series {
        check_labels(&one.labels)?;
        if one.time <= 0 {
            return Err("a sample has no time".to_owned());
        }
        if !seen.insert((&one.labels, one.time)) {
            return Err("a sample is there twice".to_owned());
        }
        let name = one.labels.iter().find(|(name, _)| name == "__name__");
        let name = name.map(|(_, value)| value.as_str()).unwrap_or_default();
        let only_rises = ["_total", "_bucket", "_count"]
            .iter()
            .any(|suffix| name.ends_with(suffix));
        if only_rises && one.value < 0.0 {
            return Err(format!("{name} is negative"));
        }
        if name.ends_with("_bucket") && !one.labels.iter().any(|(name, _)| name == "le") {
            return Err(format!("{name} has no le"));
        }
    }
    Ok(())
}

fn check_labels(labels: &[(String, String)]) -> Result<(), String> {
    let is_sorted = labels
        .windows(2)
        .all(|pair| matches!(pair, [low, high] if low.0 < high.0));
    if !is_sorted {
        return Err("labels are not sorted, or there twice".to_owned());
    }
    let is_name = |name: &str, may_have_colon: bool| {
        let mut characters = name.chars();
        let is_letter = |character: char| {
            character.is_ascii_alphabetic()
                || character == '_'
                || (may_have_colon && character == ':')
        };
        characters.next().is_some_and(is_letter)
            && characters.all(|character| is_letter(character) || character.is_ascii_digit())
    };
    let metric = labels.iter().find(|(name, _)| name == "__name__");
    if !metric.is_some_and(|(_, value)| is_name(value, true)) {
        return Err("a series has no name, or a wrong one".to_owned());
    }
    match labels
        .iter()
        .find(|(name, value)| !is_name(name, false) || value.is_empty())
    {
        Some((name, _)) => Err(format!("label {name:?} has no right name, or no value")),
        None => Ok(()),
    }
}

/// Writes a request from its JSON form: of 2.0 when it has symbols.
///
/// # Errors
/// When it is no such request.
pub fn encode(body: &Value) -> anyhow::Result<Vec<u8>> {
    let message = if body.get("symbols").is_some() {
        serde_json::from_value::<RequestV2>(body.clone())?.encode_to_vec()
    } else {
        serde_json::from_value::<WriteRequest>(body.clone())?.encode_to_vec()
    };
    Ok(snap::raw::Encoder::new().compress_vec(&message)?)
}

/// Reads a request into its JSON form.
///
/// # Errors
/// When it is no such request.
pub fn decode(content_type: Option<&str>, body: &[u8]) -> anyhow::Result<Value> {
    let body = decompressed(body)?;
    Ok(if content_type == Some(V2) {
        serde_json::to_value(RequestV2::decode(&body[..])?)?
    } else {
        serde_json::to_value(WriteRequest::decode(&body[..])?)?
    })
}

impl Fake for Prometheus {
    fn answer(&self, request: &Request) -> Answer {
        let answer = match request.path.as_str() {
            WRITE => self.write(request),
            path => Err(refuse(404, format!("{path} is not served"))),
        };
        answer.unwrap_or_else(|refusal| refusal)
    }
}

/// Prometheus answers with plain text.
fn refuse(status: u16, reason: String) -> Answer {
    Answer {
        refused: Some(reason.clone()),
        ..Answer::status(status).with_body(reason)
    }
}
