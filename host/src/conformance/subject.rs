//! The component under test: its settings, what it may reach, and instances that are called as the host calls them.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Map, Value};
use tempfile::TempDir;

use super::TestError;
use super::backend::{Script, Watched};
use super::settings::Ideas;
use crate::config::component::Grouping;
use crate::config::settings::Resolved;
use crate::event::decode;
use crate::event::records::Record;
use crate::event::{Event, Signal};
use crate::http::grant;
use crate::http::hop::HopId;
use crate::http::message::HttpError;
use crate::http::wire::{WireRequest, WireResponse};
use crate::http::{Client, ClientSettings, Limits, Transport};
use crate::plugin::guest::{Batch, BatchItem};
use crate::plugin::outcome::{CallError, ItemResult, NotBefore, SendOutcome};
use crate::plugin::{
    CallLimits, Component, GuestSettings, Output, OutputBounds, OutputTarget, StartError,
    StoreCapability, Trial,
};
use crate::route::{Decision, Route};
use crate::run::secrets::hide_secrets;
use crate::store::Row;

/// A test writes little; this is where it would stop.
const OUTPUT_BOUNDS: OutputBounds = OutputBounds { max_bytes: 1 << 30 };

/// A component with settings that it takes.
pub(super) struct Subject {
    pub(super) component: Arc<Component>,
    pub(super) script: Arc<Script>,
    /// As the operator would have set them, secrets included.
    pub(super) values: Map<String, Value>,
    pub(super) http: Arc<Watched>,
    pub(super) settings_json: String,
    route: Route,
    shelf: Arc<Shelf>,
    /// Wherever the settings say that lines go, they go here.
    output: Arc<Output>,
    directory: Arc<TempDir>,
}

/// A local store in memory.
#[derive(Debug, Default)]
struct Shelf(Mutex<Vec<(Signal, Row)>>);

impl StoreCapability for Shelf {
    fn upsert(&self, signal: Signal, rows: &[Row]) -> Result<(), String> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.extend(rows.iter().map(|row| (signal, row.clone())));
        Ok(())
    }
}

/// An instance, and where it is in the tokens.
pub(super) struct Live<'s> {
    subject: &'s Subject,
    pub(super) trial: Trial,
    token: u64,
}

/// What became of one batch.
#[derive(Clone, Debug)]
pub(super) struct Delivery {
    pub(super) answer: Result<Answered, CallError>,
    /// What the backend saw.
    pub(super) requests: Vec<WireRequest>,
    /// Requests that the host did not let out.
    pub(super) refused: Vec<HttpError>,
    /// What was appended to the output.
    pub(super) lines: String,
    pub(super) rows: Vec<(Signal, Row)>,
}

impl Delivery {
    /// Whether a flush gave something back.
    pub(super) fn is_retried_by_a_flush(&self) -> bool {
        let is_retried = |fate: &ItemResult| matches!(fate, ItemResult::Retry(_));
        self.answer
            .as_ref()
            .is_ok_and(|answered| answered.was_held && answered.has(is_retried))
    }

    /// Whether anything left the component, by whatever way.
    pub(super) fn has_left(&self) -> bool {
        !(self.requests.is_empty() && self.lines.is_empty() && self.rows.is_empty())
    }
}

/// An answer of the component, with what a flush said of what it held.
#[derive(Clone, Debug)]
pub(super) struct Answered {
    pub(super) outcome: SendOutcome,
    /// One an item; empty where the answer is about the batch.
    pub(super) fates: Vec<ItemResult>,
    pub(super) not_before: Option<NotBefore>,
    /// Whether a flush had to be asked.
    pub(super) was_held: bool,
    /// Whether the flush named tokens that were not held.
    pub(super) has_foreign_tokens: bool,
}

impl Answered {
    /// Whether an item has such a fate.
    pub(super) fn has(&self, wanted: impl Fn(&ItemResult) -> bool) -> bool {
        self.fates.iter().any(wanted)
    }
}

impl Subject {
    /// Finds settings that the component takes.
    pub(super) async fn prepare(
        component: &Arc<Component>,
        given: &Map<String, Value>,
        good: Option<WireResponse>,
    ) -> Result<Self, TestError> {
        let surroundings = |error: String| TestError::Surroundings(error);
        let directory = tempfile::tempdir().map_err(|error| surroundings(error.to_string()))?;
        let directory = Arc::new(directory);
        let target = OutputTarget::Directory(directory.path().to_owned());
        let description = component.description();
        let mut ideas = Ideas::new(&description.settings_schema, given, &target.to_string());
        let script = Arc::new(Script::new(good));
        let route = Route::new(component.signals(), None, description.phases);
        loop {
            let resolved = ideas.resolve().map_err(TestError::Settings)?;
            let (http, settings_json) = connect(component, &resolved, &script)?;
            let subject = Self {
                component: Arc::clone(component),
                script: Arc::clone(&script),
                values: resolved.values,
                http: Arc::new(http),
                settings_json,
                route,
                shelf: Arc::default(),
                output: Arc::new(Output::new(target.clone(), OUTPUT_BOUNDS)),
                directory: Arc::clone(&directory),
            };
            match subject.start().await {
                Err(StartError::Settings(refused)) => {
                    let names = refused.iter().map(|refusal| refusal.setting.as_str());
                    if !ideas.next(names) {
                        let lines = refused
                            .iter()
                            .map(|refusal| format!("\n  {}: {}", refusal.setting, refusal.reason));
                        return Err(TestError::Settings(lines.collect()));
                    }
                }
                // A component that traps there does so in the checks, too.
                Ok(_) | Err(StartError::Call(_)) => return Ok(subject),
            }
        }
    }

    /// A page, and what is added up, leave at another time than the events came.
    pub(super) fn keeps_state(&self) -> bool {
        self.component.is_stateful() || self.component.serves_page()
    }

    /// A new instance with these settings.
    pub(super) async fn start(&self) -> Result<Live<'_>, StartError> {
        self.start_with(self.settings_json.clone()).await
    }

    /// A new instance with other settings.
    pub(super) async fn start_with(&self, settings_json: String) -> Result<Live<'_>, StartError> {
        let guest = GuestSettings {
            settings_json,
            http: Arc::clone(&self.http) as Arc<_>,
            output: Some(Arc::clone(&self.output)),
            store: Some(Arc::clone(&self.shelf) as Arc<_>),
        };
        let name = &self.component.description().name;
        let trial = Trial::start(&self.component, name, guest, CallLimits::default()).await?;
        Ok(Live {
            subject: self,
            trial,
            token: 0,
        })
    }

    /// The events as the host would hand them over: without those that the component does not want, in its grouping,
    /// in batches within its limits.
    pub(super) fn batches(&self, events: &[Arc<Event>]) -> Vec<Vec<Arc<Event>>> {
        let description = self.component.description();
        let wanted = events.iter();
        let wanted = wanted.filter(|event| self.route.decide(event.kind) == Decision::Deliver);
        let mut events: Vec<_> = wanted.cloned().collect();
        if matches!(description.grouping, Grouping::WholeTrace { .. }) {
            events = parents_first(events);
        }
        let max_items = usize::try_from(description.max_items).unwrap_or(usize::MAX);
        let max_bytes = usize::try_from(description.max_bytes).unwrap_or(usize::MAX);
        let mut batches: Vec<Vec<Arc<Event>>> = Vec::new();
        let mut bytes = 0;
        for event in events {
            let size = event.size_bytes();
            match batches.last_mut() {
                Some(batch) if batch.len() < max_items && bytes + size <= max_bytes => {
                    bytes += size;
                    batch.push(event);
                }
                _ => {
                    bytes = size;
                    batches.push(vec![event]);
                }
            }
        }
        batches
    }

    fn take_lines(&self) -> String {
        let mut lines = String::new();
        let names = Signal::ALL.map(|signal| format!("{signal}.ndjson"));
        for name in names {
            let path: PathBuf = self.directory.path().join(name);
            // A file that is not there has no lines.
            if let Ok(text) = std::fs::read_to_string(&path) {
                lines.push_str(&text);
                let _ = std::fs::remove_file(&path);
            }
        }
        lines
    }

    fn take_rows(&self) -> Vec<(Signal, Row)> {
        let mut rows = self.shelf.0.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *rows)
    }

    /// What happened besides the answer since the last time.
    fn collect(&self, answer: Result<Answered, CallError>) -> Delivery {
        Delivery {
            answer,
            requests: self.script.take_seen(),
            refused: self.http.take_refused(),
            lines: self.take_lines(),
            rows: self.take_rows(),
        }
    }
}

/// The exporter's client, and the settings as the component gets them.
fn connect(
    component: &Component,
    resolved: &Resolved,
    script: &Arc<Script>,
) -> Result<(Watched, String), TestError> {
    let surroundings = |error: &dyn std::fmt::Display| TestError::Surroundings(error.to_string());
    let description = component.description();
    let hidden = hide_secrets(description, &resolved.values);
    let (settings, secrets) = hidden.map_err(|error| surroundings(&error))?;
    let origins = grant::requested_origins(&description.hosts, &resolved.values);
    let client = Client::with_backend(
        ClientSettings {
            exporter: description.name.clone(),
            origins: origins.map_err(|error| surroundings(&error))?,
            operator_hosts: Vec::new(),
            allows_metadata: false,
            own_listeners: Vec::new(),
            hop: HopId::random(),
            secrets,
            limits: Limits::default(),
            transport: Transport {
                compression: crate::config::Compress::Never,
                ..Transport::default()
            },
        },
        Arc::clone(script) as Arc<_>,
    );
    let client = client.map_err(|error| surroundings(&error))?;
    Ok((Watched::new(client), Value::Object(settings).to_string()))
}

/// Spans behind their parents, where those are among them; otherwise in the order given.
fn parents_first(events: Vec<Arc<Event>>) -> Vec<Arc<Event>> {
    let mut waiting: Vec<(Arc<Event>, Option<[String; 2]>)> = Vec::new();
    for event in events {
        let ids = match decode::record(&event) {
            Ok(Record::Span(span)) => {
                let parent = span.parent_span_id.as_deref().unwrap_or_default();
                Some([span.span_id.to_string(), parent.to_owned()])
            }
            _ => None,
        };
        waiting.push((event, ids));
    }
    let mut sorted = Vec::with_capacity(waiting.len());
    while !waiting.is_empty() {
        let is_free = |ids: &Option<[String; 2]>| {
            let Some([id, parent]) = ids else { return true };
            let others = waiting.iter().filter_map(|(_, other)| other.as_ref());
            !others
                .clone()
                .any(|[other, _]| other == parent && other != id)
        };
        // A ring of parents has no free one; then any may be the first.
        let first = waiting
            .iter()
            .position(|(_, ids)| is_free(ids))
            .unwrap_or(0);
        sorted.push(waiting.remove(first).0);
    }
    sorted
}

impl Live<'_> {
    /// Sends a batch, and asks for a flush where something is held.
    pub(super) async fn deliver(&mut self, signal: Signal, events: &[Arc<Event>]) -> Delivery {
        let first = self.token + 1;
        let items = events.iter().map(|event| {
            self.token += 1;
            BatchItem {
                token: self.token,
                event: Arc::clone(event),
            }
        });
        let batch = Batch {
            signal,
            items: items.collect(),
            ancestors: Arc::default(),
        };
        let answer = self.answer(&batch, first).await;
        self.subject.collect(answer)
    }

    async fn answer(&mut self, batch: &Batch, first: u64) -> Result<Answered, CallError> {
        let result = self.trial.send(batch).await?;
        let fates = match &result.outcome {
            SendOutcome::AllItems(fate) => vec![fate.clone(); batch.items.len()],
            SendOutcome::PerItem(fates) => fates.clone(),
            _ => Vec::new(),
        };
        let mut answered = Answered {
            was_held: fates.contains(&ItemResult::Held),
            outcome: result.outcome,
            fates,
            not_before: result.not_before,
            has_foreign_tokens: false,
        };
        if answered.was_held {
            for reported in self.trial.flush().await? {
                for token in reported.tokens {
                    let position = token.checked_sub(first);
                    let position = position.and_then(|position| usize::try_from(position).ok());
                    match position.and_then(|position| answered.fates.get_mut(position)) {
                        Some(fate) if *fate == ItemResult::Held => *fate = reported.fate.clone(),
                        // Of an earlier batch, which this one has not to do with.
                        None if token < first && token > 0 => {}
                        _ => answered.has_foreign_tokens = true,
                    }
                }
            }
        }
        Ok(answered)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::receive::read_event;

    fn span(id: u32, parent: u32) -> Arc<Event> {
        let line = format!(
            r#"{{"type":"span_ended","exportedSpan":{{"id":"{id:016x}","parentSpanId":"{parent:016x}","traceId":"{:032x}","name":"{id}","type":"generic","startTime":"2026-03-04T05:06:07.000Z","isEvent":false,"isRootSpan":false}}}}"#,
            1
        );
        Arc::new(read_event(&line.into()).unwrap())
    }

    fn names(events: &[Arc<Event>]) -> Vec<String> {
        let name = |event: &Arc<Event>| match decode::record(event).unwrap() {
            Record::Span(span) => span.name.to_string(),
            _ => String::new(),
        };
        events.iter().map(name).collect()
    }

    #[test]
    fn parents_come_first_and_all_come() {
        let late = vec![span(3, 2), span(2, 1), span(9, 8), span(1, 7)];
        assert_eq!(names(&parents_first(late)), ["9", "1", "2", "3"]);
        let ring = vec![span(1, 2), span(2, 1)];
        assert_eq!(names(&parents_first(ring)).len(), 2);
    }
}
