//! Events as Mastra writes them: the whole input is the body of `POST /v1/events`.
#![no_main]

use std::sync::LazyLock;

use fuzz::Receivers;
use libfuzzer_sys::fuzz_target;

static RECEIVERS: LazyLock<Receivers> = LazyLock::new(Receivers::new);

fuzz_target!(|data: &[u8]| RECEIVERS.post("/v1/events", "application/x-ndjson", data));
