//! One value for each of the five signals. Pure; for every room that counts or queues by signal.

use super::Signal;

/// One `T` a signal, never absent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PerSignal<T> {
    traces: T,
    logs: T,
    metrics: T,
    scores: T,
    feedback: T,
}

impl<T> PerSignal<T> {
    /// The signal's value.
    #[must_use]
    pub const fn get(&self, signal: Signal) -> &T {
        match signal {
            Signal::Traces => &self.traces,
            Signal::Logs => &self.logs,
            Signal::Metrics => &self.metrics,
            Signal::Scores => &self.scores,
            Signal::Feedback => &self.feedback,
        }
    }

    /// The signal's value, to change it.
    pub const fn get_mut(&mut self, signal: Signal) -> &mut T {
        match signal {
            Signal::Traces => &mut self.traces,
            Signal::Logs => &mut self.logs,
            Signal::Metrics => &mut self.metrics,
            Signal::Scores => &mut self.scores,
            Signal::Feedback => &mut self.feedback,
        }
    }

    /// Signals and values, in the contract's order.
    pub fn iter(&self) -> impl Iterator<Item = (Signal, &T)> {
        Signal::ALL
            .into_iter()
            .map(|signal| (signal, self.get(signal)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_signal_has_a_value_of_its_own() {
        let mut values = PerSignal::<usize>::default();
        for signal in Signal::ALL {
            *values.get_mut(signal) = signal.index();
        }
        assert!(
            values
                .iter()
                .all(|(signal, value)| *value == signal.index())
        );
    }
}
