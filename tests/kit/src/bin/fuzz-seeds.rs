//! Writes what the fuzzer begins with, `fuzz-seeds DIRECTORY`: each recorded event, and each recorded span and log record as a
//! request of its own, in every form that the targets read.

#![allow(
    clippy::indexing_slicing,
    reason = "of JSON values: what is missing reads as null, and what is written to are recorded objects"
)]

use std::error::Error;
use std::fs;
use std::path::PathBuf;

use kit::{components, paths};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// One metric with points of each kind.
const METRICS: &str = r#"{"resourceMetrics":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"s"}}]},
"scopeMetrics":[{"metrics":[
{"name":"g","gauge":{"dataPoints":[{"timeUnixNano":"1780000000000000000","asInt":"-3","attributes":[{"key":"k","value":{"boolValue":true}}]}]}},
{"name":"s","sum":{"aggregationTemporality":2,"isMonotonic":true,"dataPoints":[{"timeUnixNano":"1780000000000000000","asDouble":2.5}]}},
{"name":"h","histogram":{"aggregationTemporality":1,"dataPoints":[{"timeUnixNano":"1780000000000000000","count":"3","sum":4.5,"bucketCounts":["1","2"],"explicitBounds":[1]}]}},
{"name":"e","exponentialHistogram":{"aggregationTemporality":1,"dataPoints":[{"timeUnixNano":"1780000000000000000","count":"2","scale":-1,"zeroCount":"1","positive":{"offset":-2,"bucketCounts":["1"]}}]}},
{"name":"q","summary":{"dataPoints":[{"timeUnixNano":"1780000000000000000","count":"2","sum":3,"quantileValues":[{"quantile":0.5,"value":1}]}]}}
]}]}]}"#;

struct Seeds {
    directory: PathBuf,
    count: u32,
}

impl Seeds {
    fn add(&mut self, target: &str, bytes: &[u8]) -> Result<(), Box<dyn Error>> {
        let directory = self.directory.join(target);
        fs::create_dir_all(&directory)?;
        fs::write(directory.join(format!("seed-{}", self.count)), bytes)?;
        self.count += 1;
        Ok(())
    }

    /// A request in every form; `signal` is the byte that the targets begin with.
    fn add_request<M: Message + DeserializeOwned>(
        &mut self,
        signal: u8,
        request: &Value,
    ) -> Result<(), Box<dyn Error>> {
        let message = serde_json::from_value::<M>(request.clone())?.encode_to_vec();
        self.add(
            "otlp_json",
            &[&[signal], request.to_string().as_bytes()].concat(),
        )?;
        self.add("otlp_protobuf", &[&[signal], &message[..]].concat())?;
        // The target's byte: the method, and three times the place of the encoding.
        for (encoding, sent) in [
            (0, message.clone()),
            (2, zstd::encode_all(&message[..], 1)?),
        ] {
            let length = u32::try_from(sent.len())?.to_be_bytes();
            let head = [signal + 3 * encoding, u8::from(encoding > 0)];
            self.add("otlp_grpc", &[&head[..], &length, &sent].concat())?;
        }
        Ok(())
    }
}

/// Each item of the recorded requests, alone below what they share.
fn single_items(signal: &str, scopes: &str, items: &str) -> Result<Vec<Value>, Box<dyn Error>> {
    let mut requests = Vec::new();
    for file in ["otel-http-json.json", "otel-http-protobuf.json"] {
        let recorded: Value = serde_json::from_slice(&fs::read(paths::corpus(file))?)?;
        for request in recorded["requests"].as_array().into_iter().flatten() {
            for resource in request["body"][signal].as_array().into_iter().flatten() {
                for scope in resource[scopes].as_array().into_iter().flatten() {
                    for item in scope[items].as_array().into_iter().flatten() {
                        let mut scope = scope.clone();
                        scope[items] = json!([item]);
                        let mut resource = resource.clone();
                        resource[scopes] = json!([scope]);
                        requests.push(json!({ signal: [resource] }));
                    }
                }
            }
        }
    }
    Ok(requests)
}

fn main() -> Result<(), Box<dyn Error>> {
    let directory = std::env::args_os().nth(1).ok_or("name a directory")?;
    let mut seeds = Seeds {
        directory: directory.into(),
        count: 0,
    };
    for line in fs::read_to_string(paths::corpus("events.ndjson"))?.lines() {
        seeds.add("events", line.as_bytes())?;
    }
    for request in single_items("resourceSpans", "scopeSpans", "spans")? {
        seeds.add_request::<ExportTraceServiceRequest>(0, &request)?;
    }
    for request in single_items("resourceLogs", "scopeLogs", "logRecords")? {
        seeds.add_request::<ExportLogsServiceRequest>(1, &request)?;
    }
    seeds.add_request::<ExportMetricsServiceRequest>(2, &serde_json::from_str(METRICS)?)?;
    add_components(&mut seeds)
}

/// The components that are changed, and a few inputs of the two targets that read them and their settings.
fn add_components(seeds: &mut Seeds) -> Result<(), Box<dyn Error>> {
    let files = seeds.directory.join("files");
    fs::create_dir_all(&files)?;
    for name in ["json", "webhook"] {
        fs::copy(
            components::exporter(name)?,
            files.join(format!("{name}.wasm")),
        )?;
    }
    let guest = components::package("security-guest", "security-guest")?;
    fs::copy(guest, files.join("security-guest.wasm"))?;
    seeds.add("components", b"\0\0asm\x0d\0\x01\0")?;
    for script in [
        r#"{"name":"a","version":"1.0.0","hosts":["https://a.example"]}"#,
        r#"{"describe":{"do":"trap"}}"#,
        r#"{"schema":{"type":"object","properties":{"a":{"type":"string","x-env":["A"]}}},"flush_interval":5}"#,
    ] {
        seeds.add("components", &[b"\x01", script.as_bytes()].concat())?;
    }
    for which in 0..3 {
        seeds.add(
            "components",
            &[2, which, 9, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8],
        )?;
    }
    for input in [
        "{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"integer\",\"x-env\":[\"A\"],\"minimum\":3}},\"required\":[\"a\"]}\0{\"a\":\"5\"}\0\"7\"",
        "{\"type\":\"object\",\"$defs\":{\"b\":{\"type\":\"string\",\"pattern\":\"^a+$\",\"x-secret\":true}},\"properties\":{\"b\":{\"$ref\":\"#/$defs/b\"},\"c\":{\"type\":\"array\",\"items\":{\"enum\":[1,null]}}},\"additionalProperties\":false}\0{\"b\":\"aa\",\"c\":[1]}\0\"x\"",
    ] {
        seeds.add("settings", input.as_bytes())?;
    }
    Ok(())
}
