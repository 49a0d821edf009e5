//! OTLP log records as a careful sender writes them (opentelemetry-proto 1.11.0 `logs.proto`). Pure; called by the fakes.

use serde_json::Value;

/// Checks an `ExportLogsServiceRequest` and returns its records in order.
///
/// # Errors
/// What is wrong, and where.
pub fn check_logs(body: &Value) -> Result<Vec<&Value>, String> {
    let mut records = Vec::new();
    for of_resource in list(body, "resourceLogs")? {
        attributes(of_resource.get("resource").unwrap_or(&Value::Null))?;
        for of_scope in list(of_resource, "scopeLogs")? {
            for record in list(of_scope, "logRecords")? {
                check(record)?;
                records.push(record);
            }
        }
    }
    if records.is_empty() {
        return Err("there are no log records".to_owned());
    }
    Ok(records)
}

pub(super) fn list<'a>(owner: &'a Value, key: &str) -> Result<&'a Vec<Value>, String> {
    let list = owner.get(key).and_then(Value::as_array);
    list.ok_or_else(|| format!("{key} is missing or no list"))
}

pub(super) fn text<'a>(record: &'a Value, key: &str) -> &'a str {
    record.get(key).and_then(Value::as_str).unwrap_or_default()
}

fn check(record: &Value) -> Result<(), String> {
    for key in ["timeUnixNano", "observedTimeUnixNano"] {
        if text(record, key).parse::<u64>().is_err() {
            return Err(format!("{key} is no text of nanoseconds"));
        }
    }
    let severity = record.get("severityNumber").and_then(Value::as_u64);
    if severity.is_none_or(|severity| severity > 24) {
        return Err("severityNumber is no number up to 24".to_owned());
    }
    for (key, digits) in [("traceId", 32), ("spanId", 16)] {
        let is_hex = |id: &str| {
            id.len() == digits
                && id
                    .bytes()
                    .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
        };
        if record.get(key).is_some() && !is_hex(text(record, key)) {
            return Err(format!("{key} is not {digits} lower-case hex digits"));
        }
    }
    any_value(record.get("body").ok_or("body is missing")?)?;
    attributes(record)
}

pub(super) fn attributes(owner: &Value) -> Result<(), String> {
    if owner.get("attributes").is_none() {
        return Ok(());
    }
    let mut keys = std::collections::HashSet::new();
    for attribute in list(owner, "attributes")? {
        if text(attribute, "key").is_empty() {
            return Err("an attribute has no key".to_owned());
        }
        if !keys.insert(text(attribute, "key")) {
            return Err(format!(
                "attribute {:?} is there twice",
                text(attribute, "key")
            ));
        }
        any_value(attribute.get("value").ok_or("an attribute has no value")?)?;
    }
    Ok(())
}

fn any_value(value: &Value) -> Result<(), String> {
    let members = value.as_object().ok_or("a value is bare")?;
    let mut members = members.iter();
    let is_right = match (members.next(), members.next()) {
        (None, _) => true,
        (Some((kind, value)), None) => match kind.as_str() {
            "stringValue" | "bytesValue" => value.is_string(),
            "boolValue" => value.is_boolean(),
            "doubleValue" => {
                value.is_number()
                    || matches!(value.as_str(), Some("NaN" | "Infinity" | "-Infinity"))
            }
            "intValue" => {
                value.is_i64()
                    || value
                        .as_str()
                        .is_some_and(|text| text.parse::<i64>().is_ok())
            }
            "arrayValue" | "kvlistValue" => value.is_object(),
            _ => false,
        },
        _ => false,
    };
    if is_right {
        Ok(())
    } else {
        Err(format!("{value} is no value"))
    }
}
