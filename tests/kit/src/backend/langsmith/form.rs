//! Takes a `multipart/form-data` body apart (RFC 7578), with LangSmith's rule that each part is JSON and says its length.
//! Pure; called by the fake.

use serde_json::Value;

use crate::backend::Request;

/// Names and values, in order.
pub(super) fn parts(request: &Request) -> Result<Vec<(String, Value)>, String> {
    let content_type = request.header("content-type").unwrap_or_default();
    let boundary = content_type
        .split_once("boundary=")
        .map(|(_, boundary)| boundary.trim_matches('"'))
        .filter(|boundary| !boundary.is_empty())
        .ok_or("content-type names no boundary")?;
    let body = std::str::from_utf8(&request.body).map_err(|_| "the form is not UTF-8")?;
    let end = format!("--{boundary}--");
    let inner = body
        .trim_end_matches("\r\n")
        .strip_suffix(&end)
        .ok_or("the form does not end with its boundary")?;
    let delimiter = format!("--{boundary}\r\n");
    let mut pieces = inner.split(&delimiter);
    if pieces.next() != Some("") {
        return Err("the form does not begin with its boundary".to_owned());
    }
    pieces.map(part).collect()
}

fn part(piece: &str) -> Result<(String, Value), String> {
    let (head, content) = piece
        .split_once("\r\n\r\n")
        .ok_or("a part has no headers")?;
    let content = content
        .strip_suffix("\r\n")
        .ok_or("a part does not end with a line")?;
    let header = |name: &str| {
        let mut lines = head.split("\r\n").filter_map(|line| line.split_once(':'));
        let found = lines.find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.trim())
    };
    let name = header("content-disposition")
        .and_then(|value| value.strip_prefix("form-data; name=\"")?.strip_suffix('"'))
        .ok_or("a part has no name")?;
    let content_type = header("content-type").unwrap_or_default();
    let media_type = content_type.split(';').next().unwrap_or_default().trim();
    if media_type != "application/json" {
        return Err(format!("part {name:?} is of type {media_type:?}"));
    }
    let length = header("content-length")
        .or_else(|| content_type.split_once("length=").map(|(_, length)| length));
    if length.and_then(|length| length.parse().ok()) != Some(content.len()) {
        return Err(format!(
            "part {name:?} has {} bytes and says length {length:?}",
            content.len()
        ));
    }
    let value = serde_json::from_str(content).map_err(|_| format!("part {name:?} is not JSON"))?;
    Ok((name.to_owned(), value))
}
