//! Bounds on what a sender can make the host hold: size of a body, bytes of all bodies at once, connections, time.
//! Called by every file of this room.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// All bounds of the receivers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Of one body, as sent and after decompression. The platform's client sends up to 1000 records of any length, so
    /// this is generous.
    pub max_body_bytes: usize,
    /// Of all bodies that are being read or handed to the queue.
    pub max_inflight_bytes: usize,
    /// Open connections of a listener; more wait until one is free or gives way.
    pub max_connections: usize,
    /// Of these, from one address.
    pub max_connections_per_peer: usize,
    /// From the first byte of TLS to the last of its handshake.
    pub handshake_timeout: Duration,
    /// How long a client may leave an answer unread.
    pub write_timeout: Duration,
    /// Age at which a connection ends with the request that is under way.
    pub max_connection_age: Duration,
    /// From the start of a request, or the end of the one before, to the end of its headers.
    pub header_timeout: Duration,
    /// Between two parts of a body.
    pub body_idle_timeout: Duration,
    /// From the first part of a body to the last.
    pub body_timeout: Duration,
    /// How long a body waits for its share of `max_inflight_bytes`.
    pub inflight_timeout: Duration,
    /// How long requests may go on after the shutdown has begun.
    pub drain_timeout: Duration,
    /// Length of the `rejected` list of an answer.
    pub max_rejected_in_answer: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_body_bytes: 64 << 20,
            max_inflight_bytes: 256 << 20,
            max_connections: 1024,
            max_connections_per_peer: 1024,
            handshake_timeout: Duration::from_secs(10),
            write_timeout: Duration::from_secs(15),
            max_connection_age: Duration::from_secs(600),
            header_timeout: Duration::from_secs(30),
            body_idle_timeout: Duration::from_secs(30),
            body_timeout: Duration::from_secs(300),
            inflight_timeout: Duration::from_secs(10),
            drain_timeout: Duration::from_secs(10),
            max_rejected_in_answer: 100,
        }
    }
}

/// Shares of [`Limits::max_inflight_bytes`]. Taken as bytes arrive, so that a promised length alone holds nothing.
#[derive(Clone, Debug)]
pub(super) struct InflightBytes {
    units: Arc<Semaphore>,
    total_units: usize,
    timeout: Duration,
}

/// What a request holds; given back when dropped.
#[derive(Debug, Default)]
pub(super) struct Share {
    permit: Option<OwnedSemaphorePermit>,
    units: usize,
}

/// Semaphores count in 32 bits, and small steps would cost an operation for each packet.
const UNIT_BYTES: usize = 64 << 10;

impl InflightBytes {
    pub(super) fn new(limits: &Limits) -> Self {
        // One body must always fit, gzipped and decoded at once.
        let bytes = limits
            .max_inflight_bytes
            .max(limits.max_body_bytes.saturating_mul(2));
        let total_units = bytes.div_ceil(UNIT_BYTES).clamp(1, Semaphore::MAX_PERMITS);
        Self {
            units: Arc::new(Semaphore::new(total_units)),
            total_units,
            timeout: limits.inflight_timeout,
        }
    }

    /// Makes the share at least `bytes`; waits for others to finish. `false` when none did in time.
    pub(super) async fn grow(&self, share: &mut Share, bytes: usize) -> bool {
        let wanted = bytes.div_ceil(UNIT_BYTES).min(self.total_units);
        let Some(more) = wanted.checked_sub(share.units).filter(|more| *more > 0) else {
            return true;
        };
        let Ok(count) = u32::try_from(more) else {
            return false;
        };
        let acquired = tokio::time::timeout(
            self.timeout,
            Arc::clone(&self.units).acquire_many_owned(count),
        )
        .await;
        let Ok(Ok(permit)) = acquired else {
            return false;
        };
        match &mut share.permit {
            Some(held) => held.merge(permit),
            None => share.permit = Some(permit),
        }
        share.units = wanted;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn bodies_wait_for_their_share_and_give_up_in_time() {
        let limits = Limits {
            max_body_bytes: 1 << 20,
            max_inflight_bytes: 2 << 20,
            ..Limits::default()
        };
        let inflight = InflightBytes::new(&limits);
        let mut first = Share::default();
        assert!(inflight.grow(&mut first, 2 << 20).await);
        let mut second = Share::default();
        assert!(!inflight.grow(&mut second, 1).await);
        drop(first);
        assert!(inflight.grow(&mut second, 1).await);
        // What is held counts towards what is wanted.
        assert!(inflight.grow(&mut second, 1 << 20).await);
        assert!(inflight.grow(&mut second, 2 << 20).await);
    }

    #[tokio::test]
    async fn one_body_of_the_largest_size_always_fits() {
        let limits = Limits {
            max_body_bytes: 8 << 20,
            max_inflight_bytes: 1,
            ..Limits::default()
        };
        assert!(
            InflightBytes::new(&limits)
                .grow(&mut Share::default(), 16 << 20)
                .await
        );
    }
}
