//! Decides which exporters want an event, from its kind alone: the signals that the component exports, the subset that
//! the operator configured, and the span phases that the component declared.
//!
//! Pure: no I/O, no clock, no payload is read. The queue asks once for every event kind of a group and exporter, so that
//! an event that nobody wants costs nothing further and a phase that an exporter does not want is counted as filtered
//! without a call.

use crate::event::EventKind;
use crate::event::signal_set::SignalSet;
use crate::event::span_phases::SpanPhases;

/// What is to be done with an event for one exporter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// The exporter gets it.
    Deliver,
    /// The exporter has the signal but does not want this phase: counted as received and filtered.
    Filter,
    /// The exporter lacks the signal: not counted at all.
    Ignore,
}

/// Which events one exporter wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    signals: SignalSet,
    phases: SpanPhases,
}

impl Route {
    /// `exported` is what the component supports, `configured` the operator's subset (`None`: no subset was named).
    #[must_use]
    pub fn new(exported: SignalSet, configured: Option<SignalSet>, phases: SpanPhases) -> Self {
        Self {
            signals: exported.and(configured.unwrap_or(SignalSet::ALL)),
            phases,
        }
    }

    /// The signals that appear in the exporter's report.
    #[must_use]
    pub const fn signals(&self) -> SignalSet {
        self.signals
    }

    /// The decision for every event of a kind.
    #[must_use]
    pub const fn decide(&self, kind: EventKind) -> Decision {
        if !self.signals.contains(kind.signal()) {
            return Decision::Ignore;
        }
        let wanted = match kind {
            EventKind::SpanStarted => self.phases.started,
            EventKind::SpanUpdated => self.phases.updated,
            EventKind::SpanEnded => self.phases.ended,
            EventKind::Log | EventKind::Metric | EventKind::Score | EventKind::Feedback => true,
        };
        if wanted {
            Decision::Deliver
        } else {
            Decision::Filter
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Signal;

    const ENDED_ONLY: SpanPhases = SpanPhases {
        started: false,
        updated: false,
        ended: true,
    };

    fn every_signal_set() -> impl Iterator<Item = SignalSet> {
        (0..32_u8).map(|bits| {
            Signal::ALL
                .into_iter()
                .filter(|signal| bits & (1 << signal.index()) != 0)
                .collect()
        })
    }

    #[test]
    fn exporter_gets_exactly_the_signals_that_it_exports_and_the_config_allows() {
        for exported in every_signal_set() {
            for configured in every_signal_set().map(Some).chain([None]) {
                let route = Route::new(exported, configured, SpanPhases::ALL);
                for kind in EventKind::ALL {
                    let signal = kind.signal();
                    let wanted = exported.contains(signal)
                        && configured.is_none_or(|set| set.contains(signal));
                    let expected = if wanted {
                        Decision::Deliver
                    } else {
                        Decision::Ignore
                    };
                    assert_eq!(
                        route.decide(kind),
                        expected,
                        "{exported:?} {configured:?} {kind:?}"
                    );
                }
            }
        }
    }

    #[test]
    fn unwanted_span_phases_are_filtered_and_other_signals_are_not_touched() {
        let route = Route::new(SignalSet::ALL, None, ENDED_ONLY);
        assert_eq!(route.decide(EventKind::SpanStarted), Decision::Filter);
        assert_eq!(route.decide(EventKind::SpanUpdated), Decision::Filter);
        assert_eq!(route.decide(EventKind::SpanEnded), Decision::Deliver);
        for kind in [
            EventKind::Log,
            EventKind::Metric,
            EventKind::Score,
            EventKind::Feedback,
        ] {
            assert_eq!(route.decide(kind), Decision::Deliver);
        }
    }

    #[test]
    fn phases_of_a_signal_that_the_exporter_lacks_are_not_counted() {
        let route = Route::new(SignalSet::NONE.with(Signal::Logs), None, ENDED_ONLY);
        assert_eq!(route.decide(EventKind::SpanStarted), Decision::Ignore);
    }
}
