//! OTLP/gRPC: the first byte says which method and how messages are compressed, the rest is the body, its frame included.
#![no_main]

use std::sync::LazyLock;

use fuzz::Receivers;
use libfuzzer_sys::fuzz_target;

static RECEIVERS: LazyLock<Receivers> = LazyLock::new(Receivers::new);

fuzz_target!(|data: &[u8]| {
    let Some((choice, body)) = data.split_first() else {
        return;
    };
    let services = ["trace.v1.Trace", "logs.v1.Logs", "metrics.v1.Metrics"];
    let encodings = ["identity", "gzip", "zstd"];
    let choice = usize::from(*choice);
    let service = services[choice % services.len()];
    let encoding = encodings[choice / services.len() % encodings.len()];
    let method = format!("/opentelemetry.proto.collector.{service}Service/Export");
    RECEIVERS.call(&method, encoding, body);
});
