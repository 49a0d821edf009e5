//! The traits that an author implements, and the glue from the generated exports to them. Each trait has one method to
//! write; the configured exporter lives as long as the instance. Called by the host through [`crate::export!`].

use std::any::Any;
use std::cell::RefCell;
use std::marker::PhantomData;
use std::rc::Rc;
use std::time::Duration;

use crate::batch_memory::{between, lend};
use crate::bindings::lifecycle::exports::mastra::observability::lifecycle as wit;
use crate::bindings::{feedback, logs, metrics, page, probe, scores, traces};
use crate::records::{
    FeedbackBatch, ItemResult, LogBatch, MetricBatch, ScoreBatch, SendResult, Signal, SpanBatch,
};
use crate::settings::{SettingError, SettingsSchema};

/// Who the exporter is, and how it is made from its settings.
pub trait Exporter: Sized + 'static {
    /// The settings, as the schema of [`Exporter::describe`] has them. The host has checked them against it; secrets
    /// are placeholders.
    type Settings: serde::de::DeserializeOwned;

    /// Pure: imports must not be called.
    fn describe() -> Description;

    /// Makes the exporter. May be called again with other settings; the old exporter is then dropped.
    ///
    /// # Errors
    /// Every setting at fault, with how to mend it; never the value of a secret.
    fn configure(settings: Self::Settings) -> Result<Self, Vec<SettingError>>;

    /// Delivers what is held and says what became of it. Only for exporters with a flush interval.
    fn flush(&self) -> Vec<Acknowledgement> {
        Vec::new()
    }

    /// The last call; may come twice.
    fn shutdown(&self) {}
}

/// Takes spans.
pub trait Traces: Exporter {
    /// Delivers one batch. Never called with an empty one.
    fn send_spans(&self, batch: &SpanBatch) -> SendResult;
}

/// Takes log records.
pub trait Logs: Exporter {
    /// Delivers one batch. Never called with an empty one.
    fn send_logs(&self, batch: &LogBatch) -> SendResult;
}

/// Takes measurements.
pub trait Metrics: Exporter {
    /// Delivers one batch. Never called with an empty one.
    fn send_metrics(&self, batch: &MetricBatch) -> SendResult;
}

/// Takes evaluation results.
pub trait Scores: Exporter {
    /// Delivers one batch. Never called with an empty one.
    fn send_scores(&self, batch: &ScoreBatch) -> SendResult;
}

/// Takes what people said of an answer.
pub trait Feedback: Exporter {
    /// Delivers one batch. Never called with an empty one.
    fn send_feedback(&self, batch: &FeedbackBatch) -> SendResult;
}

/// Serves a page at `/exporters/{id}/{path}` of the host.
pub trait Page: Exporter {
    /// The page.
    fn render(&self, request: &PageRequest) -> PageResponse;
}

pub use crate::bindings::page::exports::mastra::observability::page::{PageRequest, PageResponse};

/// Tells a person, who has just written the settings, whether they are right.
pub trait Probe: Exporter {
    /// Asks the backend without changing anything there.
    fn probe(&self) -> Finding;
}

pub use crate::bindings::probe::exports::mastra::observability::probe::{Finding, Verdict};

/// What became of held items.
#[derive(Clone, Debug, PartialEq)]
pub struct Acknowledgement {
    /// The items' signal.
    pub of_signal: Signal,
    /// As given in the batches.
    pub tokens: Vec<u64>,
    /// What became of all of them.
    pub fate: ItemResult,
}

/// Which span events are wanted; the others are filtered without a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the three phases of a span, by name")]
pub struct Phases {
    pub started: bool,
    pub updated: bool,
    pub ended: bool,
}

impl Phases {
    /// Ended spans only: what most backends want.
    pub const ENDED: Self = Self {
        started: false,
        updated: false,
        ended: true,
    };
    /// Every span event.
    pub const ALL: Self = Self {
        started: true,
        updated: true,
        ended: true,
    };
}

/// A set of signals.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the five signals, by name")]
pub struct Signals {
    pub traces: bool,
    pub logs: bool,
    pub metrics: bool,
    pub scores: bool,
    pub feedback: bool,
}

impl Signals {
    /// None of them.
    pub const NONE: Self = Self {
        traces: false,
        logs: false,
        metrics: false,
        scores: false,
        feedback: false,
    };
    /// All five.
    pub const ALL: Self = Self {
        traces: true,
        logs: true,
        metrics: true,
        scores: true,
        feedback: true,
    };
}

/// How events are to be put together in batches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grouping {
    /// Any event in any batch.
    Ungrouped,
    /// Events of one trace (metrics: of one series) in order.
    Ordered,
    /// A trace at a time, parents first.
    WholeTrace {
        /// How long an unfinished trace may wait.
        max_wait: Duration,
        /// How many spans a waiting trace may have.
        max_spans: u32,
    },
}

/// What [`Exporter::describe`] returns: the contract's `description`, with the usual values filled in.
#[derive(Clone, Debug)]
pub struct Description {
    name: String,
    version: String,
    schema: SettingsSchema,
    max_items: u32,
    max_bytes: u32,
    phases: Phases,
    grouping: Grouping,
    idempotent: Signals,
    flush_interval: Option<Duration>,
    hosts: Vec<wit::HostRequest>,
    reads: Vec<wit::SignalReads>,
}

impl Description {
    /// `name` is the destination, in kebab case. 512 items and 1 MiB a batch, ended spans only, ungrouped, nothing
    /// idempotent, stateless, no hosts.
    #[must_use]
    pub fn new(name: &str, version: &str, schema: SettingsSchema) -> Self {
        Self {
            name: name.to_owned(),
            version: version.to_owned(),
            schema,
            max_items: 512,
            max_bytes: 1 << 20,
            phases: Phases::ENDED,
            grouping: Grouping::Ungrouped,
            idempotent: Signals::NONE,
            flush_interval: None,
            hosts: Vec::new(),
            reads: Vec::new(),
        }
    }

    /// Caps on one batch; bytes are those of the events' JSON text.
    #[must_use]
    pub const fn limits(mut self, max_items: u32, max_bytes: u32) -> Self {
        self.max_items = max_items;
        self.max_bytes = max_bytes;
        self
    }

    /// Which span events are wanted.
    #[must_use]
    pub const fn phases(mut self, phases: Phases) -> Self {
        self.phases = phases;
        self
    }

    /// How events are grouped.
    #[must_use]
    pub const fn grouping(mut self, grouping: Grouping) -> Self {
        self.grouping = grouping;
        self
    }

    /// Signals whose records the backend recognises when they come twice. For the others, make one write a call.
    #[must_use]
    pub const fn idempotent(mut self, signals: Signals) -> Self {
        self.idempotent = signals;
        self
    }

    /// Makes the exporter stateful: one instance, items may be held, [`Exporter::flush`] is called this often.
    #[must_use]
    pub const fn stateful(mut self, flush_interval: Duration) -> Self {
        self.flush_interval = Some(flush_interval);
        self
    }

    /// Asks for an origin: `https://api.example.com`.
    #[must_use]
    pub fn host(mut self, origin: &str) -> Self {
        self.hosts.push(wit::HostRequest::Origin(origin.to_owned()));
        self
    }

    /// Asks for the origin of the URL that this setting holds.
    #[must_use]
    pub fn host_of_setting(mut self, setting: &str) -> Self {
        self.hosts
            .push(wit::HostRequest::FromSetting(setting.to_owned()));
        self
    }

    /// Names the optional fields of a signal's records that the exporter looks at, as the contract writes them:
    /// `request-context`. The others may be `None` then, which saves the work of handing them over.
    #[must_use]
    pub fn reads(mut self, of_signal: Signal, fields: &[&str]) -> Self {
        let fields = fields.iter().map(|field| (*field).to_owned()).collect();
        self.reads.push(wit::SignalReads { of_signal, fields });
        self
    }

    /// The settings' JSON Schema.
    #[must_use]
    pub fn settings_schema(&self) -> String {
        self.schema.to_json()
    }

    fn into_wit(self) -> wit::Description {
        let mut phases = wit::SpanPhases::empty();
        for (wanted, flag) in [
            (self.phases.started, wit::SpanPhases::STARTED),
            (self.phases.updated, wit::SpanPhases::UPDATED),
            (self.phases.ended, wit::SpanPhases::ENDED),
        ] {
            if wanted {
                phases = phases | flag;
            }
        }
        let mut idempotent = wit::Signals::empty();
        for (wanted, flag) in [
            (self.idempotent.traces, wit::Signals::TRACES),
            (self.idempotent.logs, wit::Signals::LOGS),
            (self.idempotent.metrics, wit::Signals::METRICS),
            (self.idempotent.scores, wit::Signals::SCORES),
            (self.idempotent.feedback, wit::Signals::FEEDBACK),
        ] {
            if wanted {
                idempotent = idempotent | flag;
            }
        }
        wit::Description {
            name: self.name,
            version: self.version,
            settings_schema: self.schema.to_json(),
            limits: wit::BatchLimits {
                max_items: self.max_items,
                max_bytes: self.max_bytes,
            },
            phases,
            grouping: match self.grouping {
                Grouping::Ungrouped => wit::Grouping::Ungrouped,
                Grouping::Ordered => wit::Grouping::Ordered,
                Grouping::WholeTrace {
                    max_wait,
                    max_spans,
                } => wit::Grouping::WholeTrace(wit::WholeTrace {
                    max_wait: nanos(max_wait),
                    max_spans,
                }),
            },
            idempotent,
            flush_interval: self.flush_interval.map(nanos),
            hosts: self.hosts,
            reads: self.reads,
            prefers_otlp: wit::Signals::empty(),
            extra: None,
        }
    }
}

pub(crate) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

thread_local! {
    /// The configured exporter. An instance runs one call at a time on one thread.
    static CONFIGURED: RefCell<Option<Rc<dyn Any>>> = const { RefCell::new(None) };
}

/// The type behind the exports of an exporter.
#[doc(hidden)]
#[derive(Debug)]
pub struct Component<E>(PhantomData<E>);

impl<E: Exporter> Component<E> {
    fn current() -> Option<Rc<E>> {
        CONFIGURED
            .with_borrow(|current| current.clone())
            .and_then(|current| current.downcast::<E>().ok())
    }

    /// `tokens` are the batch's, which has at least one.
    fn send<B>(
        batch: B,
        tokens: *const u64,
        deliver: impl FnOnce(&E, &B) -> SendResult,
    ) -> SendResult {
        lend(batch, tokens, |batch| match Self::current() {
            Some(exporter) => deliver(&exporter, batch),
            None => SendResult::all(ItemResult::Retry(
                "the exporter is not configured".to_owned(),
            )),
        })
    }
}

impl<E: Exporter> wit::Guest for Component<E> {
    fn describe() -> wit::Description {
        between((), |()| E::describe().into_wit())
    }

    fn configure(settings: String) -> Result<(), Vec<wit::SettingError>> {
        between(settings, |settings| {
            let configured = serde_json::from_str::<E::Settings>(settings)
                .map_err(|error| {
                    vec![SettingError::new(
                        "",
                        format!("the settings cannot be read: {error}"),
                    )]
                })
                .and_then(E::configure);
            match configured {
                Ok(exporter) => {
                    CONFIGURED.with_borrow_mut(|current| *current = Some(Rc::new(exporter)));
                    Ok(())
                }
                Err(errors) => Err(errors
                    .into_iter()
                    .map(|error| wit::SettingError {
                        setting: error.setting,
                        reason: error.reason,
                    })
                    .collect()),
            }
        })
    }

    fn flush() -> Vec<wit::Acknowledgement> {
        between((), |()| {
            let acknowledged = Self::current()
                .map(|exporter| exporter.flush())
                .unwrap_or_default();
            acknowledged
                .into_iter()
                .map(|one| wit::Acknowledgement {
                    of_signal: one.of_signal,
                    tokens: one.tokens,
                    fate: one.fate,
                })
                .collect()
        })
    }

    fn shutdown() {
        between((), |()| {
            if let Some(exporter) = Self::current() {
                exporter.shutdown();
            }
        });
    }
}

impl<E: Traces> traces::exports::mastra::observability::traces::Guest for Component<E> {
    fn send(batch: SpanBatch) -> SendResult {
        let tokens = batch.tokens.as_ptr();
        Self::send(batch, tokens, E::send_spans)
    }
}

impl<E: Logs> logs::exports::mastra::observability::logs::Guest for Component<E> {
    fn send(batch: LogBatch) -> SendResult {
        let tokens = batch.tokens.as_ptr();
        Self::send(batch, tokens, E::send_logs)
    }
}

impl<E: Metrics> metrics::exports::mastra::observability::metrics::Guest for Component<E> {
    fn send(batch: MetricBatch) -> SendResult {
        let tokens = batch.tokens.as_ptr();
        Self::send(batch, tokens, E::send_metrics)
    }
}

impl<E: Scores> scores::exports::mastra::observability::scores::Guest for Component<E> {
    fn send(batch: ScoreBatch) -> SendResult {
        let tokens = batch.tokens.as_ptr();
        Self::send(batch, tokens, E::send_scores)
    }
}

impl<E: Feedback> feedback::exports::mastra::observability::feedback::Guest for Component<E> {
    fn send(batch: FeedbackBatch) -> SendResult {
        let tokens = batch.tokens.as_ptr();
        Self::send(batch, tokens, E::send_feedback)
    }
}

#[cfg(all(target_family = "wasm", feature = "batch-memory"))]
impl<E: Exporter> crate::bindings::batch_memory::exports::mastra::observability::batch_memory::Guest
    for Component<E>
{
    fn capacity() -> u32 {
        crate::batch_memory::CAPACITY
    }
}

impl<E: Probe> probe::exports::mastra::observability::probe::Guest for Component<E> {
    fn probe() -> Finding {
        between((), |()| {
            Self::current().map_or_else(
                || Finding {
                    verdict: Verdict::Undecided,
                    reason: "the exporter is not configured".to_owned(),
                    said: None,
                },
                |exporter| exporter.probe(),
            )
        })
    }
}

impl<E: Page> page::exports::mastra::observability::page::Guest for Component<E> {
    fn render(request: PageRequest) -> PageResponse {
        between(request, |request| {
            Self::current().map_or_else(
                || PageResponse {
                    status: 503,
                    content_type: "text/plain".to_owned(),
                    body: b"not configured".to_vec(),
                },
                |exporter| exporter.render(request),
            )
        })
    }
}
