//! OTLP/HTTP: the first byte says which signal, the rest is the body, `application/json`.
#![no_main]

use std::sync::LazyLock;

use fuzz::Receivers;
use libfuzzer_sys::fuzz_target;

static RECEIVERS: LazyLock<Receivers> = LazyLock::new(Receivers::new);

fuzz_target!(|data: &[u8]| {
    let Some((signal, body)) = data.split_first() else {
        return;
    };
    let paths = ["/v1/traces", "/v1/logs", "/v1/metrics"];
    let path = paths[usize::from(*signal) % paths.len()];
    RECEIVERS.post(path, "application/json", body);
});
