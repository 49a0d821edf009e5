//! Files of components, through static reading and, where that passes, through the whole load with `describe`. The first
//! byte says how the input is meant: as a file, as changes of a component that is read from `FUZZ_COMPONENTS`, or as the
//! script of the security tests' guest, which is what its description says.
#![no_main]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    missing_docs,
    reason = "a panic is what the fuzzer looks for"
)]

use std::path::PathBuf;
use std::sync::LazyLock;
use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use mastra_host::plugin::compiler::CompileIn;
use mastra_host::plugin::file::ComponentFile;
use mastra_host::plugin::{CallLimits, Engine, EngineSettings, statics};

/// A change: where (four bytes), and what stands there then.
const CHANGE_BYTES: usize = 12;

struct Fixture {
    components: Vec<Vec<u8>>,
    guest: Vec<u8>,
    engine: Engine,
    runtime: tokio::runtime::Runtime,
}

static FIXTURE: LazyLock<Fixture> = LazyLock::new(|| {
    let directory = PathBuf::from(std::env::var_os("FUZZ_COMPONENTS").unwrap());
    let mut paths: Vec<PathBuf> = std::fs::read_dir(&directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    let guest = directory.join("security-guest.wasm");
    let settings = EngineSettings {
        limits: CallLimits {
            start_cpu: Duration::from_millis(500),
            start_wall: Duration::from_secs(1),
            ..CallLimits::default()
        },
        ..EngineSettings::new(CompileIn::ThisProcess)
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let entered = runtime.enter();
    let engine = Engine::new(settings).unwrap();
    drop(entered);
    Fixture {
        components: paths
            .iter()
            .map(|path| std::fs::read(path).unwrap())
            .collect(),
        guest: std::fs::read(guest).unwrap(),
        engine,
        runtime,
    }
});

fn file_of(data: &[u8]) -> Option<Vec<u8>> {
    let (mode, rest) = data.split_first()?;
    match mode % 4 {
        0 => Some(rest.to_vec()),
        1 => {
            let script = serde_json::from_slice(rest).ok()?;
            security::field::patched(&FIXTURE.guest, &script).ok()
        }
        _ => {
            let (which, changes) = rest.split_first()?;
            let known = &FIXTURE.components;
            let mut file = known.get(usize::from(*which) % known.len())?.clone();
            for change in changes.chunks(CHANGE_BYTES) {
                let (at, new) = change.split_first_chunk::<4>()?;
                let at = u32::from_le_bytes(*at) as usize % file.len();
                for (byte, new) in file.iter_mut().skip(at).zip(new) {
                    *byte = *new;
                }
            }
            Some(file)
        }
    }
}

fuzz_target!(|data: &[u8]| {
    let Some(bytes) = file_of(data) else { return };
    let Ok(file) = ComponentFile::from_bytes(bytes.into()) else {
        return;
    };
    let facts = match statics::examine(&file) {
        Ok(facts) => facts,
        Err(error) => {
            assert!(error.to_string().len() < 64 << 10, "an error of megabytes");
            return;
        }
    };
    assert!(facts.imports.iter().all(|name| name.is_ascii()));
    let fixture = &*FIXTURE;
    let loaded = fixture
        .runtime
        .block_on(fixture.engine.load(&file, "fuzzed", |_| {}));
    match loaded {
        Ok(component) => {
            let description = component.description();
            assert!(description.name.len() <= 4096, "{}", description.name.len());
        }
        Err(error) => assert!(error.to_string().len() < 64 << 10, "an error of megabytes"),
    }
});
