//! Starts one exporter: its secrets are hidden, its grants become a client, its component gets a pool, its cursor a
//! delivery task.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::str::FromStr as _;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};
use tracing::warn;

use crate::config::component::Grouping;
use crate::config::secret::Secret;
use crate::config::select::Planned;
use crate::config::{self, Config, ExporterConfig, ExporterId, SignalChoice};
use crate::deliver::Delivery;
use crate::deliver::backoff::Backoff;
use crate::deliver::batch::BatchLimits;
use crate::deliver::classify::{OnUnknown, Policy};
use crate::deliver::settings::{ExporterSettings, HoldingSettings};
use crate::event::Signal;
use crate::event::instrument::{Instruments, Override};
use crate::event::signal_set::SignalSet;
use crate::event::span_phases::SpanPhases;
use crate::hardening;
use crate::http::grant::{self, GrantError, HostRequest};
use crate::http::hop::HopId;
use crate::http::message::{HttpError, Request};
use crate::http::secrets::{HideError, Secrets};
use crate::http::{Client, ClientError, ClientSettings, Limits, Transport};
use crate::plugin::{
    CallLimits, Component, Description, GuestSettings, HttpCapability, HttpFuture, Output,
    OutputBounds, OutputTarget, Pool, PoolSettings, UnknownTarget,
};
use crate::queue::any::AnyQueue;
use crate::queue::{CursorOptions, OnFull, Queue as _, QueueError, StartAt};
use crate::route::Route;
use crate::shape::Shaper;
use crate::store::StoreError;

use super::secrets::hide_secrets;
use super::store::LocalStore;

/// How long calls under way may still take once the host no longer waits for the rest ([`DRAIN_TIME`](super::DRAIN_TIME)).
const STOP_GRACE: Duration = Duration::from_millis(250);

/// Spans of one trace that wait for the rest of it where span types are dropped.
const MAX_WAITING_SPANS: u32 = 10_000;

/// What all exporters of a host have in common.
pub(super) struct Shared {
    pub(super) queue: AnyQueue,
    pub(super) hop: HopId,
    pub(super) own_listeners: Vec<SocketAddr>,
    pub(super) instruments: Arc<Instruments>,
    pub(super) store: LocalStore,
}

/// Why an exporter does not start. The operator's to mend.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A setting that names a host is not a URL.
    #[error(transparent)]
    Grant(#[from] GrantError),
    /// A secret cannot be hidden.
    #[error(transparent)]
    Hide(#[from] HideError),
    /// The HTTP client cannot be built.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The target is one of this host's own listeners.
    #[error("setting {setting}: {reason}")]
    OwnListener {
        /// The setting that holds the URL.
        setting: String,
        /// What the policy said.
        reason: String,
    },
    /// The kernel was told at the start which folders there are.
    #[error(
        "cannot write to `{0}`: this process was started without access to that folder; restart to apply"
    )]
    BeyondFolders(OutputTarget),
    /// The output target is not understood.
    #[error(transparent)]
    Output(#[from] UnknownTarget),
    /// The component refuses its settings.
    #[error(transparent)]
    Component(#[from] crate::plugin::StartError),
    /// The queue has no place for it.
    #[error(transparent)]
    Queue(#[from] QueueError),
    /// The local store cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// An exporter whose component runs and that delivers nothing yet.
pub(super) struct Ready {
    id: String,
    pool: Pool,
    options: CursorOptions,
    settings: ExporterSettings,
    shaper: Shaper,
}

/// Does all that can fail for a reason that is the operator's to mend.
pub(super) async fn prepare(
    id: &ExporterId,
    planned: &Planned,
    component: &Arc<Component>,
    shared: &Shared,
) -> Result<Ready, StartError> {
    let description = component.description();
    let (settings, secrets) = hide_secrets(description, &planned.settings.values)?;
    let client = client(id, planned, secrets, shared)?;
    refuse_own_listener(&client, planned).await?;
    let output = planned
        .settings
        .output
        .as_deref()
        .map(OutputTarget::from_str)
        .transpose()?;
    if let Some(target) = output.iter().find(|target| !hardening::allows(target)) {
        return Err(StartError::BeyondFolders(target.clone()));
    }
    let guest = GuestSettings {
        settings_json: Value::Object(settings).to_string(),
        http: Arc::new(client),
        output: output.map(|target| Arc::new(Output::new(target, output_bounds(&planned.config)))),
        store: wants_store(component)
            .then(|| shared.store.of(id, planned.config.limits.store_bytes))
            .transpose()?,
    };
    let mut pool_settings = PoolSettings::new(id.to_string(), guest);
    let instances = usize::try_from(planned.config.delivery.num_consumers).unwrap_or(1);
    pool_settings.max_instances = instances;
    pool_settings.instruments = Arc::clone(&shared.instruments);
    pool_settings.limits = CallLimits {
        call_cpu: planned.config.limits.cpu_time,
        call_wall: planned.config.limits.call_timeout,
        memory_bytes: usize::try_from(planned.config.limits.memory_bytes).unwrap_or(usize::MAX),
        written_bytes: written_bytes(&planned.config),
        ..CallLimits::default()
    };
    let pool = Pool::start(component, pool_settings).await?;
    let options = options(planned, component, None);
    Ok(Ready {
        id: id.to_string(),
        pool,
        options,
        settings: delivery_settings(&planned.config, description, instances),
        shaper: Shaper::new(&planned.config.shape),
    })
}

/// How the exporter's cursor is opened; a new one at `begin`, or where its config says.
pub(super) fn options(
    planned: &Planned,
    component: &Component,
    begin: Option<StartAt>,
) -> CursorOptions {
    options_of_route(
        route(component, &planned.config.signals),
        &planned.config,
        begin,
    )
}

/// The same for an exporter of which only the signals are known: every phase of its spans is kept.
pub(super) fn options_of_signals(
    signals: &BTreeSet<Signal>,
    config: &ExporterConfig,
    begin: Option<StartAt>,
) -> CursorOptions {
    let exported = signals.iter().copied().collect();
    let route = Route::new(exported, configured(&config.signals), SpanPhases::ALL);
    options_of_route(route, config, begin)
}

fn options_of_route(
    route: Route,
    config: &ExporterConfig,
    begin: Option<StartAt>,
) -> CursorOptions {
    let queue = &config.delivery.queue;
    let configured = match queue.start_at {
        config::StartAt::Head => StartAt::Head,
        config::StartAt::Oldest => StartAt::Oldest,
    };
    CursorOptions {
        route,
        start: begin.unwrap_or(configured),
        on_full: match queue.on_full {
            config::OnFull::Refuse => OnFull::Refuse,
            config::OnFull::DropOldest => OnFull::DropOldest,
        },
        max_lag_bytes: queue.max_lag_bytes,
    }
}

impl Ready {
    /// Takes the exporter's place in the queue and delivers from there.
    pub(super) async fn deliver(
        self,
        begin: Option<StartAt>,
        shared: &Shared,
        delivery: &mut Delivery,
    ) -> Result<Pool, QueueError> {
        let options = CursorOptions {
            start: begin.unwrap_or(self.options.start),
            ..self.options
        };
        let cursor = shared.queue.open(&self.id, options).await?;
        let guest = Arc::new(self.pool.clone());
        delivery.start(guest, cursor, self.settings, Box::new(self.shaper));
        Ok(self.pool)
    }
}

fn output_bounds(config: &ExporterConfig) -> OutputBounds {
    OutputBounds {
        max_bytes: config.limits.output_bytes,
    }
}

/// What one call may write: the default, or four times a batch where the operator asked for large ones.
fn written_bytes(config: &ExporterConfig) -> u64 {
    let of_batch = config.delivery.batch.max_bytes.saturating_mul(4);
    CallLimits::default().written_bytes.max(of_batch)
}

fn wants_store(component: &Component) -> bool {
    let imports = component.imports().iter();
    imports
        .filter_map(|import| import.split('@').next())
        .any(|import| import == "mastra:observability/store")
}

/// Which raw metrics the operator has decided about.
pub(super) fn instruments(config: &Config) -> Instruments {
    let kinds = config.receivers.metric_kinds.iter();
    Instruments::new(
        kinds
            .map(|(name, instrument)| Override {
                name: name.clone(),
                instrument: *instrument,
                unit: None,
            })
            .collect(),
    )
}

fn client(
    id: &ExporterId,
    planned: &Planned,
    secrets: Secrets,
    shared: &Shared,
) -> Result<Client, StartError> {
    let hosts = &planned.component.hosts;
    let values = &planned.settings.values;
    let set_by_operator = |name: &String| {
        planned.config.settings.values.contains_key(name)
            || planned.settings.from_environment.contains_key(name)
    };
    let operators: Map<String, Value> = values
        .iter()
        .filter(|(name, _)| set_by_operator(name))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    let http = &planned.config.http;
    Ok(Client::new(ClientSettings {
        exporter: id.to_string(),
        origins: grant::requested_origins(hosts, values)?,
        operator_hosts: grant::operator_hosts(hosts, &operators)?,
        allows_metadata: http.allows_metadata,
        own_listeners: shared.own_listeners.clone(),
        hop: shared.hop.clone(),
        secrets,
        limits: Limits {
            timeout: http.timeout,
            max_response_bytes: usize::try_from(http.max_response_body_bytes).unwrap_or(usize::MAX),
            ..Limits::default()
        },
        transport: Transport {
            proxy: http
                .proxy
                .as_ref()
                .map(|proxy| Secret::new(proxy.to_string())),
            ca_file: http.ca_file.clone(),
            client_certificate: http.client_certificate.clone(),
            compression: http.compression,
        },
    })?)
}

/// An exporter that sends to this host's own receiver would feed itself for ever.
async fn refuse_own_listener(client: &Client, planned: &Planned) -> Result<(), StartError> {
    for request in &planned.component.hosts {
        let HostRequest::FromSetting(setting) = request else {
            continue;
        };
        let Some(url) = planned.settings.values.get(setting).and_then(Value::as_str) else {
            continue;
        };
        match client.check_target(url).await {
            Ok(()) => {}
            // The name service may be down, too: events wait until it is back, and dialling checks again.
            Err(error @ HttpError::Unreachable(_)) => {
                warn!(setting, %error, "A host cannot be resolved yet.");
            }
            Err(error) => {
                return Err(StartError::OwnListener {
                    setting: setting.clone(),
                    reason: error.to_string(),
                });
            }
        }
    }
    Ok(())
}

fn route(component: &Component, choice: &SignalChoice) -> Route {
    let phases = component.description().phases;
    Route::new(component.signals(), configured(choice), phases)
}

fn configured(choice: &SignalChoice) -> Option<SignalSet> {
    match choice {
        SignalChoice::AllSupported => None,
        SignalChoice::Only(signals) => Some(signals.iter().copied().collect()),
    }
}

fn delivery_settings(
    config: &ExporterConfig,
    description: &Description,
    instances: usize,
) -> ExporterSettings {
    let (batch, retry) = (&config.delivery.batch, &config.delivery.retry);
    let lower = |operator: u64, component: u32| {
        usize::try_from(operator.min(u64::from(component))).unwrap_or(usize::MAX)
    };
    ExporterSettings {
        batch: BatchLimits {
            max_items: lower(u64::from(batch.max_items), description.max_items),
            max_bytes: lower(batch.max_bytes, description.max_bytes),
            max_age: batch.timeout,
        },
        concurrency: if description.flush_interval.is_some() {
            1
        } else {
            instances
        },
        retry: Backoff {
            initial: retry.initial_interval,
            max: retry.max_interval,
        },
        policy: Policy {
            max_elapsed: retry.max_elapsed_time,
            on_unknown: match retry.on_unknown_outcome {
                config::OnUnknownOutcome::Resend => OnUnknown::Resend,
                config::OnUnknownOutcome::DeadLetter => OnUnknown::DeadLetter,
            },
        },
        idempotent: description.idempotent,
        stop_grace: STOP_GRACE,
        grouping: grouping(config, description),
        holding: description.flush_interval.map(HoldingSettings::new),
        ..ExporterSettings::default()
    }
}

/// Senders give children before their parents: where spans are left out, the others wait for their whole trace.
fn grouping(config: &ExporterConfig, description: &Description) -> Grouping {
    let shape = &config.shape;
    match description.grouping {
        Grouping::Ungrouped if shape.span_types.is_some() && !shape.max_wait.is_zero() => {
            Grouping::WholeTrace {
                max_wait: shape.max_wait,
                max_spans: MAX_WAITING_SPANS,
            }
        }
        grouping => grouping,
    }
}

/// The engine sees the client only as something that sends.
impl HttpCapability for Client {
    fn send(&self, request: Request) -> HttpFuture<'_> {
        Box::pin(Self::send(self, request))
    }
}
