//! Promises of the room as a whole, over components made for the purpose: dummies of every shape (`dummies`) and one that
//! misbehaves on request (`tests/guests/misbehaving`), which is built on first use.

mod cache;
mod detection;
mod dummies;
mod faults;
mod guest_build;
mod layouts;
mod log;
mod pool;
mod promise;
mod stateful;
mod wasi_http;

use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;

use super::compiler::CompileIn;
use super::file::ComponentFile;
use super::guest::{Batch, BatchItem, Guest};
use super::outcome::{CallError, ItemResult, SendOutcome, SendResult};
use super::statics::{self, StaticFacts};
use super::{
    CallLimits, Component, Engine, EngineSettings, GuestSettings, HttpCapability, HttpFuture,
    LoadError, Pool, PoolSettings,
};
use crate::event::{Event, EventKind, Signal};
use crate::http::message::{HttpError, Request, Response};

/// A backend that answers nothing, 200 with the length of the request as its body, breaks the connection, or
/// stands for a fault of the host's own.
pub(super) enum FakeBackend {
    Silent,
    Answers,
    Breaks,
    Panics,
}

impl HttpCapability for FakeBackend {
    fn send(&self, request: Request) -> HttpFuture<'_> {
        Box::pin(async move {
            match self {
                Self::Silent => std::future::pending().await,
                Self::Panics => panic!("the client's own fault"),
                Self::Breaks => Err(HttpError::Interrupted("reset".to_owned())),
                Self::Answers => Ok(Response {
                    status: 200,
                    headers: Vec::new(),
                    body: Bytes::from(request.body.len().to_string()),
                    retry_after: None,
                }),
            }
        })
    }
}

/// Enough for a loaded machine, little enough for a test that waits for the end of it.
pub(super) const LIMITS: CallLimits = CallLimits {
    call_cpu: Duration::from_millis(400),
    call_wall: Duration::from_secs(60),
    start_cpu: Duration::from_secs(5),
    describe_cpu: Duration::from_secs(1),
    start_wall: Duration::from_secs(60),
    shutdown_wall: Duration::from_millis(200),
    memory_bytes: 32 << 20,
    table_elements: 65_536,
    written_bytes: 32 << 20,
};

pub(super) fn engine(cache_dir: Option<&Path>) -> Engine {
    let cache_dir = cache_dir.map(Path::to_owned);
    Engine::new(EngineSettings {
        cache_dir,
        max_instances: 16,
        limits: LIMITS,
        compile_in: CompileIn::ThisProcess,
    })
    .unwrap()
}

/// Reads what a component is, and compiles it and checks its types, too. Nothing of it runs.
pub(super) async fn examine(engine: &Engine, bytes: &[u8]) -> Result<StaticFacts, LoadError> {
    let file = ComponentFile::from_bytes(Bytes::copy_from_slice(bytes)).unwrap();
    let facts = statics::examine(&file)?;
    engine.detect(&file, &facts, |_| {}).await?;
    Ok(facts)
}

/// The misbehaving component, loaded once for all tests.
pub(super) fn misbehaving() -> Arc<Component> {
    static COMPONENT: OnceLock<Arc<Component>> = OnceLock::new();
    Arc::clone(COMPONENT.get_or_init(|| load(&guest_build::misbehaving())))
}

/// The stateful component, loaded once for all tests.
pub(super) fn keeper() -> Arc<Component> {
    static COMPONENT: OnceLock<Arc<Component>> = OnceLock::new();
    Arc::clone(COMPONENT.get_or_init(|| load(&guest_build::keeper())))
}

/// The component that speaks `wasi:http`, loaded once for all tests.
pub(super) fn wanderer() -> Arc<Component> {
    static COMPONENT: OnceLock<Arc<Component>> = OnceLock::new();
    Arc::clone(COMPONENT.get_or_init(|| load(&guest_build::wanderer())))
}

/// On a thread of its own, since the tests that ask are inside runtimes with paused clocks.
fn load(path: &Path) -> Arc<Component> {
    let load = || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let file = ComponentFile::read(path).unwrap();
        let component = runtime.block_on(engine(None).load(&file, "test", |_| {}));
        component.unwrap()
    };
    std::thread::scope(|scope| scope.spawn(load).join().unwrap())
}

pub(super) fn guest_settings(settings_json: &str, backend: FakeBackend) -> GuestSettings {
    GuestSettings {
        settings_json: settings_json.to_owned(),
        http: Arc::new(backend),
        output: None,
        store: None,
    }
}

pub(super) fn pool_settings(settings_json: &str) -> PoolSettings {
    PoolSettings {
        limits: LIMITS,
        ..PoolSettings::new(
            "misbehaving/test",
            guest_settings(settings_json, FakeBackend::Silent),
        )
    }
}

pub(super) async fn pool() -> Pool {
    Pool::start(&misbehaving(), pool_settings("{}"))
        .await
        .unwrap()
}

pub(super) fn event(kind: EventKind, payload: &str) -> Arc<Event> {
    Arc::new(Event {
        kind,
        payload: Bytes::from(payload.to_owned()),
        received_at: 1,
        source: Arc::default(),
        repeat_key: 1,
        lane: 1,
    })
}

pub(super) fn span_event(name: &str) -> Arc<Event> {
    let payload = format!(
        r#"{{"id":"2ef715a36f006237","traceId":"4cdc4db2c6dcc0694acd43abc49c8214","name":"{name}","type":"agent_run","startTime":"2026-03-04T05:06:07.000Z","endTime":"2026-03-04T05:06:08.000Z","isEvent":false,"isRootSpan":true,"input":{{"b":1,"a":null}}}}"#
    );
    event(EventKind::SpanEnded, &payload)
}

pub(super) fn batch(signal: Signal, events: impl IntoIterator<Item = Arc<Event>>) -> Batch {
    let items = events
        .into_iter()
        .zip(1..)
        .map(|(event, token)| BatchItem { token, event });
    Batch {
        signal,
        items: items.collect(),
        ancestors: Arc::default(),
    }
}

/// One span, whose name tells the component what to do.
pub(super) async fn ask(pool: &Pool, name: &str) -> Result<SendResult, CallError> {
    pool.send(batch(Signal::Traces, [span_event(name)])).await
}

/// What the component answers to `name` in the reason of `skipped`.
pub(super) async fn told(pool: &Pool, name: &str) -> String {
    match ask(pool, name).await.unwrap().outcome {
        SendOutcome::AllItems(ItemResult::Skipped(text)) => text,
        other => panic!("{other:?}"),
    }
}

pub(super) const DELIVERED: SendResult = SendResult {
    outcome: SendOutcome::AllItems(ItemResult::Delivered),
    not_before: None,
    has_unknown_outcome: false,
    holder: 0,
};
