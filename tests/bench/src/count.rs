//! Counts the spans in an OTLP trace export, JSON or protobuf, plain or gzip, without building it. Called by the sink.

use std::borrow::Cow;
use std::io::Read;

use anyhow::{Context, Result, bail};

/// Spans in a body with these headers. An export in JSON has the key `spanId` once a span unless spans carry links,
/// which generated ones do not.
///
/// # Errors
/// An encoding that no exporter here uses, or a body that is not what its headers say.
pub(crate) fn spans_in(
    body: &[u8],
    content_type: &str,
    content_encoding: Option<&str>,
) -> Result<u64> {
    let body = &*unpacked(body, content_encoding)?;
    match content_type.split(';').next().map(str::trim) {
        Some("application/json") => Ok(occurrences(body, br#""spanId""#)),
        Some("application/x-protobuf") => {
            // ExportTraceServiceRequest.resource_spans, ResourceSpans.scope_spans, ScopeSpans.spans
            let mut spans = 0;
            for resource_spans in fields(body, 1)? {
                for scope_spans in fields(resource_spans, 2)? {
                    spans += fields(scope_spans, 2)?.len() as u64;
                }
            }
            Ok(spans)
        }
        other => bail!("unknown content-type {other:?}"),
    }
}

/// Records in a body of a project of `mastra-host new`: each span has the key `trace_id` once.
///
/// # Errors
/// An encoding that no exporter here uses, or a body that is not what its headers say.
pub(crate) fn records_in(body: &[u8], content_encoding: Option<&str>) -> Result<u64> {
    let body = unpacked(body, content_encoding)?;
    Ok(occurrences(&body, br#""trace_id":"#))
}

fn unpacked<'a>(body: &'a [u8], content_encoding: Option<&str>) -> Result<Cow<'a, [u8]>> {
    match content_encoding {
        None | Some("identity") => Ok(body.into()),
        Some("gzip") => {
            let mut bytes = Vec::new();
            flate2::read::GzDecoder::new(body)
                .read_to_end(&mut bytes)
                .context("content-encoding says gzip")?;
            Ok(bytes.into())
        }
        Some(other) => bail!("unknown content-encoding {other}"),
    }
}

fn occurrences(haystack: &[u8], needle: &[u8]) -> u64 {
    let Some((first, _)) = needle.split_first() else {
        return 0;
    };
    let mut count = 0;
    let mut rest = haystack;
    while let Some(at) = rest.iter().position(|byte| byte == first) {
        let candidate = rest.get(at..).unwrap_or_default();
        let found = candidate.starts_with(needle);
        count += u64::from(found);
        rest = candidate
            .get(if found { needle.len() } else { 1 }..)
            .unwrap_or_default();
    }
    count
}

/// The length-delimited fields of this number in a protobuf message.
fn fields(mut message: &[u8], wanted: u64) -> Result<Vec<&[u8]>> {
    let mut found = Vec::new();
    while !message.is_empty() {
        let tag = varint(&mut message)?;
        let length = match tag & 7 {
            0 => {
                varint(&mut message)?;
                continue;
            }
            1 => 8,
            2 => usize::try_from(varint(&mut message)?)?,
            5 => 4,
            other => bail!("protobuf wire type {other}"),
        };
        let (value, rest) = message
            .split_at_checked(length)
            .context("protobuf field is cut off")?;
        if tag >> 3 == wanted && tag & 7 == 2 {
            found.push(value);
        }
        message = rest;
    }
    Ok(found)
}

fn varint(message: &mut &[u8]) -> Result<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = message
            .split_first()
            .context("protobuf varint is cut off")?;
        *message = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    bail!("protobuf varint is longer than 10 bytes")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    const JSON: &[u8] = br#"{"resourceSpans":[{"scopeSpans":[{"spans":[
        {"traceId":"a","spanId":"b","parentSpanId":"c","attributes":[{"value":{"stringValue":"{\"spanId\":1}"}}]},
        {"traceId":"a","spanId":"c"}]}]}]}"#;

    fn field(number: u8, value: &[u8]) -> Vec<u8> {
        [
            &[number << 3 | 2, u8::try_from(value.len()).unwrap()],
            value,
        ]
        .concat()
    }

    #[test]
    fn json_counts_spans_and_not_what_looks_alike() {
        assert_eq!(
            spans_in(JSON, "application/json; charset=utf-8", None).unwrap(),
            2
        );
    }

    #[test]
    fn records_are_counted_by_their_trace() {
        let body = br#"[{"trace_id":"a","input":"\"trace_id\":1"},{"trace_id":"a"}]"#;
        assert_eq!(records_in(body, None).unwrap(), 2);
    }

    #[test]
    fn gzip_is_unpacked() {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(JSON).unwrap();
        let packed = gzip.finish().unwrap();
        assert_eq!(
            spans_in(&packed, "application/json", Some("gzip")).unwrap(),
            2
        );
        assert!(spans_in(JSON, "application/json", Some("gzip")).is_err());
    }

    #[test]
    fn protobuf_counts_spans_of_all_scopes() {
        let span = field(2, &field(5, b"name"));
        let scope = field(2, &[span.clone(), span.clone()].concat());
        let other_scope = field(2, &span);
        let resource = field(1, &[field(1, b""), scope, other_scope].concat());
        assert_eq!(
            spans_in(&resource, "application/x-protobuf", None).unwrap(),
            3
        );
        assert!(
            spans_in(
                resource.split_last().unwrap().1,
                "application/x-protobuf",
                None
            )
            .is_err()
        );
    }

    #[test]
    fn an_unknown_encoding_is_refused() {
        assert!(spans_in(JSON, "text/plain", None).is_err());
        assert!(spans_in(JSON, "application/json", Some("br")).is_err());
    }
}
