//! What the delivery task does for a component that wants whole traces: takes spans from the queue as they come, keeps
//! what is known of them in [`Groups`], and reads those of a trace again when it may go.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::{ExporterTask, State};
use crate::config::component::Grouping;
use crate::deliver::groups::{Group, Groups};
use crate::deliver::jobs::Job;
use crate::deliver::settings::ExporterSettings;
use crate::deliver::shaping::Verdict;
use crate::deliver::source::{Cursor, CursorError, TakeLimits, Tokens};
use crate::event::Signal;
use crate::plugin::guest::{Guest, SpanAncestor};

/// Between tries of a queue that gives nothing.
const PAUSE: Duration = Duration::from_millis(200);

/// The spans that wait for their traces.
pub(super) struct Gathering {
    pub(super) groups: Groups,
    /// Nothing is taken before.
    not_before: Option<Instant>,
}

impl Gathering {
    /// For exporters that want whole traces.
    pub(super) fn new(settings: &ExporterSettings) -> Option<Self> {
        let Grouping::WholeTrace {
            max_wait,
            max_spans,
        } = settings.grouping
        else {
            return None;
        };
        let max_spans = usize::try_from(max_spans).unwrap_or(usize::MAX);
        Some(Self {
            groups: Groups::new(max_wait, max_spans, settings.batch),
            not_before: None,
        })
    }
}

impl<G: Guest, C: Cursor> ExporterTask<G, C> {
    /// When spans are to be taken from the queue, if any wait there and there is room for them.
    pub(super) fn gather_due(&self, now: Instant) -> Option<Instant> {
        let gathering = self.gathering.as_ref()?;
        let is_wanted = self.waiting.get(Signal::Traces).items > 0 && !gathering.groups.is_full();
        is_wanted.then(|| gathering.not_before.map_or(now, |until| until.max(now)))
    }

    /// When the next traces are to go; `None` while none waits.
    pub(super) fn group_due(&self, now: Instant) -> Option<Instant> {
        let groups = &self.gathering.as_ref()?.groups;
        let is_hurried = self.seen.flush && groups.has_complete();
        let due = groups.due(self.is_end_of_traces(), now)?;
        Some(if is_hurried { due.min(now) } else { due })
    }

    /// Whether no trace waits but those that are to stay in the queue.
    pub(super) fn has_no_traces_to_send(&self) -> bool {
        let is_done = |gathering: &Gathering| {
            let keeps = self.seen.flush && self.seen.keeps_unfinished;
            gathering.groups.is_empty() || (keeps && !gathering.groups.has_complete())
        };
        self.gathering.as_ref().is_none_or(is_done)
    }

    /// No more spans will come, and none is to stay.
    fn is_end_of_traces(&self) -> bool {
        self.seen.flush
            && !self.seen.keeps_unfinished
            && self.waiting.get(Signal::Traces).items == 0
    }

    /// Takes spans from the queue.
    pub(super) async fn gather(&mut self, now: Instant) -> Result<(), State> {
        let limits = TakeLimits {
            max_items: self.settings.batch.max_items,
            max_bytes: self.settings.batch.max_bytes,
            busy_lanes: None,
        };
        let taken = self.cursor.take(Signal::Traces, limits).await;
        let Some(gathering) = &mut self.gathering else {
            return Ok(());
        };
        match taken {
            Ok(items) => {
                gathering.not_before = items.is_empty().then(|| now + PAUSE);
                let mut filtered = Vec::new();
                for (item, verdict) in items.iter().zip(self.shaping.judge(&items)) {
                    match verdict {
                        Verdict::Keep => gathering.groups.add(item, false, now),
                        Verdict::LeaveOut => gathering.groups.add(item, true, now),
                        Verdict::Filter => filtered.push(item.token),
                    }
                }
                self.filter(Signal::Traces, filtered);
                Ok(())
            }
            Err(error) => {
                gathering.not_before = Some(now + PAUSE);
                self.queue_trouble(&error)
            }
        }
    }

    /// Calls the component with the traces that may go.
    pub(super) async fn send_group(&mut self, now: Instant) -> Result<(), State> {
        let is_end = self.is_end_of_traces();
        let Some(gathering) = &mut self.gathering else {
            return Ok(());
        };
        let Group {
            tokens,
            left_out,
            shape,
        } = gathering.groups.take(is_end, &*self.shaping, now);
        self.filter(Signal::Traces, left_out);
        let places: HashMap<u64, usize> = tokens.iter().copied().zip(0..).collect();
        let mut rising = tokens;
        rising.sort_unstable();
        match self.cursor.read(Signal::Traces, &rising).await {
            Ok(mut items) => {
                items.sort_unstable_by_key(|item| places.get(&item.token).copied());
                if !items.is_empty() {
                    self.shape_kept(&mut items);
                    let mut job = Job::new(Signal::Traces, items, now);
                    job.shape = Some(Arc::new(shape));
                    self.call(job);
                }
                Ok(())
            }
            Err(error @ CursorError::Store { .. }) => {
                // They wait again, and are put together anew.
                let tokens = Tokens::runs(rising);
                if let Err(error) = self.cursor.release(Signal::Traces, tokens).await {
                    self.queue_trouble(&error)?;
                }
                self.queue_trouble(&error)
            }
            Err(error) => self.queue_trouble(&error),
        }
    }

    /// What the component is told of spans that are not in the batch.
    pub(super) fn ancestors(&self, job: &Job) -> Arc<[SpanAncestor]> {
        match (&self.gathering, &job.shape) {
            (Some(gathering), Some(shape)) => gathering.groups.ancestors(&job.items, shape).into(),
            _ => Arc::default(),
        }
    }
}
