//! A backend that takes everything while it is available: counts the spans of OTLP trace exports and answers 200, or
//! counts nothing and answers 503. It runs in the benchmark's
//! own process, so that its work is not billed to the process under test.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, StatusCode, Uri, header};
use bytes::Bytes;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::count::{records_in, spans_in};

/// A load that delivers nothing for this long has failed. A big component compiles before its first delivery.
const STALL: Duration = Duration::from_secs(120);

/// Path of the records that projects of `mastra-host new` post.
pub(crate) const RECORDS: &str = "/records";

/// What arrived so far.
#[derive(Clone, Debug, Default)]
struct Arrived {
    spans: u64,
    /// The first body that could not be read.
    fault: Option<String>,
}

/// A running sink; dropping it stops it.
pub(crate) struct Sink {
    address: SocketAddr,
    arrived: watch::Receiver<Arrived>,
    is_available: Arc<AtomicBool>,
    _server: JoinSet<()>,
}

impl Sink {
    /// Listens on a free port of the loopback interface.
    ///
    /// # Errors
    /// No port could be had.
    pub(crate) async fn start() -> Result<Self> {
        let (sender, arrived) = watch::channel(Arrived::default());
        let is_available = Arc::new(AtomicBool::new(true));
        let router = axum::Router::new()
            .fallback(take)
            .layer(DefaultBodyLimit::disable())
            .with_state((Arc::new(sender), Arc::clone(&is_available)));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
            .await
            .context("the sink found no port")?;
        let address = listener.local_addr()?;
        let mut server = JoinSet::new();
        server.spawn(async move {
            // Ends only with the set; an accept error is retried inside.
            let _ = axum::serve(listener, router).await;
        });
        Ok(Self {
            address,
            arrived,
            is_available,
            _server: server,
        })
    }

    /// `http://127.0.0.1:PORT`
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Whether it takes what comes from now on.
    pub(crate) fn set_available(&self, is_available: bool) {
        self.is_available.store(is_available, Ordering::Relaxed);
    }

    /// Spans so far.
    pub(crate) fn spans(&self) -> u64 {
        self.arrived.borrow().spans
    }

    /// Waits until at least this many spans have arrived since the start of the sink.
    ///
    /// # Errors
    /// A body that could not be read, or nothing new for two minutes.
    pub(crate) async fn wait_for(&self, spans: u64) -> Result<()> {
        let mut arrived = self.arrived.clone();
        loop {
            let now = arrived.borrow_and_update().clone();
            if let Some(fault) = now.fault {
                bail!("the sink got a body that it cannot count: {fault}");
            }
            if now.spans >= spans {
                return Ok(());
            }
            match tokio::time::timeout(STALL, arrived.changed()).await {
                Ok(changed) => changed.context("the sink has stopped")?,
                Err(_) => bail!(
                    "nothing arrived for {} s: {} of {spans} spans are here",
                    STALL.as_secs(),
                    now.spans
                ),
            }
        }
    }
}

async fn take(
    State((arrived, is_available)): State<(Arc<watch::Sender<Arrived>>, Arc<AtomicBool>)>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> (
    StatusCode,
    [(header::HeaderName, &'static str); 1],
    &'static str,
) {
    let answer = |status| {
        let json = [(header::CONTENT_TYPE, "application/json")];
        (status, json, "{}")
    };
    if !is_available.load(Ordering::Relaxed) {
        return answer(StatusCode::SERVICE_UNAVAILABLE);
    }
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let content_type = text(header::CONTENT_TYPE).unwrap_or_default();
    let encoding = text(header::CONTENT_ENCODING);
    let counted = match uri.path() {
        RECORDS => Some(records_in(&body, encoding)),
        path if path.ends_with("/traces") => Some(spans_in(&body, content_type, encoding)),
        _ => None,
    };
    if let Some(counted) = counted {
        arrived.send_modify(|now| match counted {
            Ok(spans) => now.spans += spans,
            Err(error) => now.fault = Some(format!("{error:#}")),
        });
    }
    answer(StatusCode::OK)
}
