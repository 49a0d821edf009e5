//! The hop header, which stops loops of hosts: every outgoing request names this process and the chain of hosts that
//! feed it; a receiver that finds itself in the chain, or a chain too long, refuses with 508.
//!
//! The chain is kept for the process, not for the event: two hosts that each forward to the other are a loop for this
//! rule, whatever signals they exchange. `receive` calls [`HopTrail::admit`], the client [`HopTrail::header_value`].

use std::fmt;
use std::sync::Mutex;
use std::time::Duration;

use tokio::time::Instant;

/// On every request that an exporter makes.
pub const HOP_HEADER: &str = "mastra-host-hop";

/// A chain of this many hosts is taken for a loop. Real ones have two or three (sidecar, gateway, region).
pub const MAX_HOPS: usize = 8;

/// How long a chain is remembered after it was last seen, so that a loop that was taken apart is forgotten.
const REMEMBERED_FOR: Duration = Duration::from_secs(600);

/// A process: 16 hex digits, random.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct HopId(String);

impl HopId {
    /// Not a secret, only unlikely to meet its like.
    #[must_use]
    pub fn random() -> Self {
        Self(format!("{:016x}", fastrand::u64(..)))
    }
}

impl fmt::Display for HopId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for HopId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The request has been here before: answer 508.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LoopDetected {
    /// This process is in the chain.
    #[error("the events come from this very host; remove the exporter that sends to it")]
    OwnId,
    /// More than [`MAX_HOPS`].
    #[error(
        "the events came through {hops} hosts, more than {MAX_HOPS}; look for a loop of exporters"
    )]
    TooManyHops {
        /// Hosts in the chain.
        hops: usize,
    },
}

/// Reads a hop header: the chain, nearest host first. Pure. Without a header the chain is empty; a part that is no id
/// of ours is counted but not compared, so that a later format is still bounded.
///
/// # Errors
/// [`LoopDetected`], which the receiver answers with 508.
pub fn check(own: &HopId, header: Option<&str>) -> Result<Vec<HopId>, LoopDetected> {
    let parts = || {
        header
            .into_iter()
            .flat_map(|value| value.split(','))
            .map(str::trim)
            .filter(|part| !part.is_empty())
    };
    if parts().any(|part| part == own.0) {
        return Err(LoopDetected::OwnId);
    }
    let hops = parts().count();
    if hops > MAX_HOPS {
        return Err(LoopDetected::TooManyHops { hops });
    }
    let is_id = |part: &&str| part.len() == 16 && part.bytes().all(|byte| byte.is_ascii_hexdigit());
    Ok(parts()
        .filter(is_id)
        .map(|part| HopId(part.to_owned()))
        .collect())
}

/// The chain of hosts that end in this process. One for a process, shared by receivers and clients.
#[derive(Debug)]
pub struct HopTrail {
    own: HopId,
    upstream: Mutex<Option<(Vec<HopId>, Instant)>>,
}

impl Default for HopTrail {
    fn default() -> Self {
        Self {
            own: HopId::random(),
            upstream: Mutex::new(None),
        }
    }
}

impl HopTrail {
    /// This process.
    #[must_use]
    pub const fn own(&self) -> &HopId {
        &self.own
    }

    /// Checks a received header and remembers its chain. Of the chains of the last ten minutes the longest counts, of
    /// equals the latest: in a loop the chain grows with each round until somebody finds itself in it.
    ///
    /// # Errors
    /// As [`check`]; a refused chain is not remembered.
    pub fn admit(&self, header: Option<&str>) -> Result<(), LoopDetected> {
        self.admit_at(Instant::now(), header)
    }

    fn admit_at(&self, now: Instant, header: Option<&str>) -> Result<(), LoopDetected> {
        let chain = check(&self.own, header)?;
        if chain.is_empty() {
            return Ok(());
        }
        let mut upstream = self
            .upstream
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        let keeps = upstream.as_ref().is_some_and(|(kept, seen)| {
            kept.len() > chain.len() && now.duration_since(*seen) < REMEMBERED_FOR
        });
        if !keeps {
            *upstream = Some((chain, now));
        }
        Ok(())
    }

    /// What outgoing requests carry: this process, then the hosts that feed it.
    #[must_use]
    pub fn header_value(&self) -> String {
        self.header_value_at(Instant::now())
    }

    fn header_value_at(&self, now: Instant) -> String {
        let upstream = self
            .upstream
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        let mut value = self.own.0.clone();
        if let Some((chain, seen)) = upstream.as_ref()
            && now.duration_since(*seen) < REMEMBERED_FOR
        {
            for hop in chain {
                value.push(',');
                value.push_str(&hop.0);
            }
        }
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_without_the_header_passes() {
        let trail = HopTrail::default();
        assert_eq!(trail.admit(None), Ok(()));
        assert_eq!(trail.header_value(), trail.own().to_string());
    }

    #[test]
    fn a_request_of_our_own_is_a_loop() {
        let trail = HopTrail::default();
        assert_eq!(
            trail.admit(Some(&trail.header_value())),
            Err(LoopDetected::OwnId)
        );
    }

    #[test]
    fn a_loop_of_three_is_found_in_one_round() {
        let [a, b, c] = [
            HopTrail::default(),
            HopTrail::default(),
            HopTrail::default(),
        ];
        b.admit(Some(&a.header_value())).unwrap();
        c.admit(Some(&b.header_value())).unwrap();
        assert_eq!(a.admit(Some(&c.header_value())), Err(LoopDetected::OwnId));
    }

    #[test]
    fn a_loop_is_found_beside_many_other_senders() {
        let [a, b] = [HopTrail::default(), HopTrail::default()];
        let mut rounds = 0;
        loop {
            rounds += 1;
            for _ in 0..20 {
                b.admit(Some(&HopTrail::default().header_value())).unwrap();
            }
            if a.admit(Some(&b.header_value())).is_err()
                || b.admit(Some(&a.header_value())).is_err()
            {
                break;
            }
            assert!(rounds < 3);
        }
    }

    #[test]
    fn a_chain_is_forgotten_when_it_is_no_longer_seen() {
        let [a, b, other] = [
            HopTrail::default(),
            HopTrail::default(),
            HopTrail::default(),
        ];
        let now = Instant::now();
        b.admit_at(now, Some(&a.header_value())).unwrap();
        let later = now + REMEMBERED_FOR;
        assert!(b.header_value_at(now).ends_with(&a.own().to_string()));
        assert_eq!(b.header_value_at(later), b.own().to_string());
        b.admit_at(later, Some(&other.header_value())).unwrap();
        assert!(b.header_value_at(later).ends_with(&other.own().to_string()));
    }

    #[test]
    fn too_many_hops_are_a_loop() {
        let own = HopId::random();
        let chain = |hops: usize| vec!["0123456789abcdef"; hops].join(", ");
        assert_eq!(
            check(&own, Some(&chain(MAX_HOPS))).map(|hops| hops.len()),
            Ok(MAX_HOPS)
        );
        assert_eq!(
            check(&own, Some(&chain(MAX_HOPS + 1))),
            Err(LoopDetected::TooManyHops { hops: MAX_HOPS + 1 })
        );
        assert_eq!(
            check(&own, Some(&"x,".repeat(9))),
            Err(LoopDetected::TooManyHops { hops: 9 })
        );
    }

    #[test]
    fn what_is_no_id_is_not_passed_on() {
        assert_eq!(check(&HopId::random(), Some("a\r\nb, , ;")), Ok(Vec::new()));
    }
}
