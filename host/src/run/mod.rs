//! The running host, put together: which rooms there are, and who stops in which order.
//!
//! Start: the queue and the places of the exporters in it first, then the listener, so that no event comes before an
//! exporter is owed it; components are [prepared](change) beside that, each on its own. Stop: the listener, then the
//! queue, then delivery (calls under way get their grace), then the components. Called by the command `run`.

pub mod change;
pub mod components;
mod exporter;
mod exporter_pages;
mod intake;
mod pages;
pub mod queue;
mod refused;
mod reloads;
mod report;
pub(crate) mod secrets;
mod store;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::config::select::Planned;
use crate::config::{Config, ExporterId, HttpReceiver};
use crate::deliver::{Delivery, Statuses};
use crate::event::signal_set::SignalSet;
use crate::event::span_phases::SpanPhases;
use crate::http::hop::HopId;
use crate::plugin::{Component, Pool};
use crate::print::report::{InputCounts, RunReport};
use crate::queue::any::AnyQueue;
use crate::queue::{CursorOptions, OnFull, Queue as _, QueueError, StartAt};
use crate::receive::auth::{Sender, Tokens};
use crate::receive::counts::Counts;
use crate::receive::gate::{Gate, GateSettings};
use crate::receive::limits::Limits;
use crate::receive::tls::Tls;
use crate::receive::{self, Listener, Receiver, Transport};
use crate::route::Route;

pub use exporter::StartError;
pub use intake::QueueIntake;
pub use refused::Refused;

use change::Slots;
use intake::Appends;
use pages::Pages;
use reloads::Reloads;

/// How long a host that is told to stop goes on delivering what it has. The whole stop is to end within 5 s.
pub const DRAIN_TIME: Duration = Duration::from_secs(4);

/// How long open requests may go on once the host is told to stop; part of the same 5 s.
const REQUEST_GRACE: Duration = Duration::from_millis(500);

/// How long components may take to end.
const POOL_GRACE: Duration = Duration::from_millis(500);

/// The cursor that keeps events while components are prepared that have not said their names; no exporter can have this id.
const LATER: &str = "(preparing)";

/// What is to run: ids, plans, and the components that the plans name.
pub type Exporters = Vec<(ExporterId, Planned, Arc<Component>)>;

/// A running host. Clones are one.
#[derive(Clone)]
pub struct Host {
    queue: AnyQueue,
    delivery: Arc<Mutex<Delivery>>,
    pools: Arc<Pools>,
    exporters: Arc<exporter::Shared>,
    refused: Arc<Refused>,
    counts: TransportCounts,
    appends: Arc<Appends>,
    statuses: Statuses,
    reloads: Arc<Reloads>,
    /// How far each exporter is.
    slots: Arc<Slots>,
    started: Instant,
}

/// What receivers count, by transport.
#[derive(Clone, Default)]
struct TransportCounts {
    http: Arc<Counts>,
    grpc: Arc<Counts>,
}

/// Where a host listens; nowhere when it only reads an input.
pub struct Listeners {
    /// HTTP/1.1: every receiver but gRPC, health and metrics.
    pub http: Option<Listener>,
    /// OTLP/gRPC.
    pub grpc: Option<Listener>,
}

/// Where [`Listeners`] are.
pub struct Addresses {
    /// HTTP/1.1
    pub http: Option<SocketAddr>,
    /// OTLP/gRPC
    pub grpc: Option<SocketAddr>,
}

impl Listeners {
    /// Their addresses, with the ports that the system chose.
    ///
    /// # Errors
    /// The system does not say.
    pub fn addresses(&self) -> std::io::Result<Addresses> {
        let of = |listener: &Option<Listener>| {
            let address = listener.as_ref().map(|it| it.tcp.local_addr());
            address.transpose()
        };
        Ok(Addresses {
            http: of(&self.http)?,
            grpc: of(&self.grpc)?,
        })
    }
}

impl Listeners {
    /// TLS of those that have it.
    #[must_use]
    pub fn tls(&self) -> Vec<Tls> {
        let listeners = self.http.iter().chain(&self.grpc);
        listeners.filter_map(|it| it.tls.clone()).collect()
    }
}

impl Addresses {
    /// All of them.
    #[must_use]
    pub fn all(&self) -> Vec<SocketAddr> {
        self.http.into_iter().chain(self.grpc).collect()
    }
}

/// By exporter id; grows when a component has been compiled.
type Pools = RwLock<BTreeMap<String, Pool>>;

impl Host {
    /// A host without exporters; [`Host::change`] gives it some. `own_listeners` are where the receivers listen, so that no
    /// exporter sends there.
    #[must_use]
    pub fn new(config: &Config, queue: AnyQueue, own_listeners: Vec<SocketAddr>) -> Self {
        let shared = exporter::Shared {
            queue: queue.clone(),
            hop: HopId::random(),
            own_listeners,
            instruments: Arc::new(exporter::instruments(config)),
            store: store::LocalStore::new(&config.storage),
        };
        let delivery = Delivery::new(fastrand::Rng::new());
        let refused = Arc::new(Refused::new(&queue, queue::refused_in_memory(config)));
        Self {
            queue,
            statuses: delivery.watch(),
            delivery: Arc::new(Mutex::new(delivery)),
            pools: Arc::default(),
            exporters: Arc::new(shared),
            refused,
            counts: TransportCounts::default(),
            appends: Arc::default(),
            reloads: Arc::default(),
            slots: Arc::default(),
            started: Instant::now(),
        }
    }

    /// From here on every event is kept for exporters whose names are not known yet, until [`Host::keep_no_longer`].
    ///
    /// # Errors
    /// The queue's store failed.
    pub async fn keep_for_later(&self) -> Result<(), QueueError> {
        let options = CursorOptions {
            route: Route::new(SignalSet::ALL, None, SpanPhases::ALL),
            start: StartAt::Head,
            on_full: OnFull::Refuse,
            max_lag_bytes: None,
        };
        self.queue.open(LATER, options).await.map(drop)
    }

    /// All exporters have their places in the queue.
    pub async fn keep_no_longer(&self) {
        if let Err(error) = self.queue.forget(LATER).await {
            warn!(%error, "Events stay in the queue for exporters that have started.");
        }
    }

    /// Serves the receivers until `stop` and until open requests are done.
    pub async fn serve(
        &self,
        listeners: Listeners,
        config: &HttpReceiver,
        stop: &CancellationToken,
    ) {
        let connections = &config.connections;
        let limits = Limits {
            max_body_bytes: usize::try_from(config.max_request_body_bytes).unwrap_or(usize::MAX),
            max_connections: connections.max as usize,
            max_connections_per_peer: connections.of_a_peer() as usize,
            write_timeout: connections.write_timeout,
            max_connection_age: connections.max_age,
            drain_timeout: REQUEST_GRACE,
            ..Limits::default()
        };
        let receiver = self.receiver(&limits, config);
        let grpc = receiver.beside(Arc::clone(&self.counts.grpc)).grpc_router();
        let http = receiver.router(exporter_pages::router(Arc::clone(&self.pools)));
        let served = [
            (listeners.http, http, Transport::Http1),
            (listeners.grpc, grpc, Transport::Http2),
        ];
        let [http, grpc] = served.map(|(listener, router, transport)| {
            let limits = &limits;
            async move {
                let Some(listener) = listener else {
                    stop.cancelled().await;
                    return 0;
                };
                let shutdown = stop.cancelled();
                let closed = receive::serve(listener, router, transport, limits, shutdown).await;
                closed.cut
            }
        });
        let (http, grpc) = tokio::join!(http, grpc);
        if http + grpc > 0 {
            warn!(
                connections = http + grpc,
                "Connections were cut: they were not done in time."
            );
        }
    }

    fn receiver(&self, limits: &Limits, config: &HttpReceiver) -> Receiver<QueueIntake> {
        let hop = self.exporters.hop.clone();
        let pages = Pages::new(
            self.queue.clone(),
            self.statuses.clone(),
            Arc::clone(&self.pools),
            self.counts.clone(),
            Arc::clone(&self.appends),
            Arc::clone(&self.reloads),
            Arc::clone(&self.slots),
        );
        let settings = receive::Settings {
            limits: limits.clone(),
            gate: Arc::new(gate(config)),
            refused: Arc::clone(&self.refused) as _,
            status: Arc::new(pages),
            hop,
            clock: receive::system_clock,
        };
        Receiver::new(self.intake(), settings, Arc::clone(&self.counts.http))
    }

    /// What receivers and readers hand events to.
    #[must_use]
    pub fn intake(&self) -> QueueIntake {
        QueueIntake {
            queue: self.queue.clone(),
            appends: Arc::clone(&self.appends),
        }
    }

    /// Where refused items of an input go.
    #[must_use]
    pub fn refused(&self) -> Arc<Refused> {
        Arc::clone(&self.refused)
    }

    /// No more events will come: waits until all are settled or the time has come. Returns the exporters not done.
    pub async fn drain(&self, until: Instant) -> Vec<String> {
        self.queue.close();
        self.delivery.lock().await.drain(until).await
    }

    /// The same before the host stops: what the queue keeps and cannot be delivered whole, stays.
    pub async fn wind_down(&self, until: Instant) -> Vec<String> {
        if !self.queue.is_durable() {
            return self.drain(until).await;
        }
        self.queue.close();
        self.delivery.lock().await.wind_down(until).await
    }

    /// Events with a fate, and events that wait, over all exporters.
    #[must_use]
    pub fn progress(&self) -> (u64, u64) {
        report::progress(&self.queue.report())
    }

    /// How reloads went.
    #[must_use]
    pub fn reloads(&self) -> &Reloads {
        &self.reloads
    }

    /// Stops: no new events, no new calls; calls under way get their grace. What has no fate by then is in the report as
    /// queued.
    pub async fn stop(self, input: InputCounts) -> RunReport {
        let statuses = self.delivery.lock().await.stop().await;
        self.shut_pools().await;
        self.refused.finish().await;
        self.queue.shut_down().await;
        let report = report::of_run(&self.queue.report(), input, self.started.elapsed());
        for (exporter, signals) in &report.exporters {
            let queued: u64 = signals.values().map(|counts| counts.queued).sum();
            if queued > 0 {
                let error = statuses
                    .get(exporter)
                    .and_then(|status| status.last_error.as_deref());
                let error = error.unwrap_or("none");
                warn!(
                    exporter,
                    queued, error, "Events were not delivered before the host stopped."
                );
            }
        }
        info!("The host has stopped.");
        report
    }
}

impl Host {
    /// An instance that is still in a call is not waited for: its events are queued.
    async fn shut_pools(&self) {
        let pools: Vec<Pool> = {
            let pools = self.pools.read().unwrap_or_else(PoisonError::into_inner);
            pools.values().cloned().collect()
        };
        let mut pools: JoinSet<()> = pools
            .into_iter()
            .map(|pool| async move { pool.shutdown().await })
            .collect();
        let all = async { while pools.join_next().await.is_some() {} };
        if tokio::time::timeout(POOL_GRACE, all).await.is_err() {
            warn!("Some components were still at work when the host stopped.");
        }
    }
}

/// Who may use the listeners.
fn gate(config: &HttpReceiver) -> Gate {
    let access = &config.access;
    let tokens = access.tokens.iter().map(|accepted| {
        let sender = Sender {
            label: accepted.label.clone(),
            projects: accepted.projects.clone(),
        };
        (sender, accepted.token.expose())
    });
    let mut hosts = access.allowed_hosts.clone();
    hosts.push(config.endpoint.host.clone());
    let settings = GateSettings {
        hosts,
        origins: access.allowed_origins.clone(),
        headers: access.allowed_headers.clone(),
    };
    Gate::new(Tokens::new(tokens), settings)
}
