//! How long to wait before the next try: exponential, with full jitter, so that exporters that failed together do not
//! come back together. Pure; the caller brings the random numbers.

use std::time::Duration;

/// Bounds of the wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// Upper bound of the first wait; doubles with each try.
    pub initial: Duration,
    /// Upper bound of every wait.
    pub max: Duration,
}

impl Backoff {
    /// The upper bound of the wait after `failures` failures in a row (1: the first).
    #[must_use]
    pub fn ceiling(&self, failures: u32) -> Duration {
        let factor = 1_u32
            .checked_shl(failures.saturating_sub(1))
            .unwrap_or(u32::MAX);
        self.initial.saturating_mul(factor).min(self.max)
    }

    /// A wait drawn evenly from zero to the [`ceiling`](Self::ceiling).
    #[must_use]
    pub fn delay(&self, failures: u32, random: &mut fastrand::Rng) -> Duration {
        self.ceiling(failures).mul_f64(random.f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BACKOFF: Backoff = Backoff {
        initial: Duration::from_millis(500),
        max: Duration::from_secs(30),
    };

    #[test]
    fn ceiling_doubles_up_to_the_maximum() {
        let seconds: Vec<f64> = (1..=8)
            .map(|failures| BACKOFF.ceiling(failures).as_secs_f64())
            .collect();
        assert_eq!(seconds, [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0]);
        assert_eq!(BACKOFF.ceiling(u32::MAX), BACKOFF.max);
        assert_eq!(BACKOFF.ceiling(0), BACKOFF.initial);
    }

    #[test]
    fn delays_fill_the_whole_range_and_never_leave_it() {
        let mut random = fastrand::Rng::with_seed(7);
        for failures in 1..10 {
            let ceiling = BACKOFF.ceiling(failures);
            let delays: Vec<_> = (0..1000)
                .map(|_| BACKOFF.delay(failures, &mut random))
                .collect();
            assert!(delays.iter().all(|delay| *delay <= ceiling));
            let (low, high) = (ceiling / 10, ceiling * 9 / 10);
            assert!(
                delays.iter().any(|delay| *delay < low) && delays.iter().any(|delay| *delay > high)
            );
        }
    }
}
