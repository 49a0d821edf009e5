//! How many calls an exporter may have under way while its backend takes them: one more after each round of good answers,
//! half as many when the backend does not keep up (additive increase, multiplicative decrease, as TCP does). Pure.
//!
//! It begins with as many as there are instances, since the operator chose that number and most backends take it.

use tokio::time::Instant;

/// See the module.
#[derive(Debug)]
pub(crate) struct Window {
    max: usize,
    size: usize,
    /// Good answers since the last change.
    answered: usize,
    /// Calls that began before say nothing about the present size.
    halved_at: Option<Instant>,
}

impl Window {
    pub(crate) fn new(max: usize) -> Self {
        let max = max.max(1);
        Self {
            max,
            size: max,
            answered: 0,
            halved_at: None,
        }
    }

    /// Calls that may be under way at once, from 1 to the maximum.
    pub(crate) const fn size(&self) -> usize {
        self.size
    }

    /// The most that it may become.
    pub(crate) const fn max(&self) -> usize {
        self.max
    }

    /// A call got through.
    pub(crate) fn widen(&mut self) {
        self.answered += 1;
        if self.answered >= self.size {
            self.size = (self.size + 1).min(self.max);
            self.answered = 0;
        }
    }

    /// A call that `began` then was put off or had no answer.
    pub(crate) fn narrow(&mut self, began: Instant, now: Instant) {
        if self.halved_at.is_some_and(|halved| began < halved) {
            return;
        }
        self.size = (self.size / 2).max(1);
        self.answered = 0;
        self.halved_at = Some(now);
    }

    /// As in the beginning.
    pub(crate) fn reset(&mut self) {
        *self = Self::new(self.max);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn it_grows_by_one_a_round_and_shrinks_by_half_once_a_round() {
        let (mut window, start) = (Window::new(8), Instant::now());
        assert_eq!(window.size(), 8);
        let later = start + Duration::from_secs(1);
        for _ in 0..8 {
            window.narrow(start, later);
        }
        assert_eq!(window.size(), 4, "they all began before");
        window.narrow(later, later);
        assert_eq!(window.size(), 2);
        let sizes: Vec<_> = (0..9)
            .map(|_| {
                window.widen();
                window.size()
            })
            .collect();
        assert_eq!(sizes, [2, 3, 3, 3, 4, 4, 4, 4, 5]);
        for _ in 0..100 {
            window.widen();
        }
        assert_eq!(window.size(), 8);
        for _ in 0..5 {
            window.narrow(later, later);
        }
        assert_eq!(window.size(), 1);
        window.reset();
        assert_eq!(window.size(), 8);
        assert_eq!(Window::new(0).size(), 1);
    }
}
