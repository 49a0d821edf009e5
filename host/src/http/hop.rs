//! The hop header, which stops loops: every request of an exporter names the process that sends it, and nothing that a
//! sender said. The receivers refuse an authenticated request that names this process, with 508.
//!
//! A header says nothing about who wrote it. So it decides about its own request alone, it is never remembered, and it
//! goes into no other request: a sender that writes ids of others reaches itself. Longer loops and those without a token
//! end at the duplicate check, where a forwarded event that comes a second time is a repeat.

use std::fmt;

use axum::http::HeaderMap;

/// On every request that an exporter makes.
pub const HOP_HEADER: &str = "mastra-host-hop";

/// A process: 16 hex digits, random.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct HopId(String);

/// Where a request says that it was before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Passed {
    /// In no host.
    NoHost,
    /// In a host: the one that sends it, or one before.
    AHost,
    /// In this very process.
    ThisHost,
}

impl HopId {
    /// Not a secret, only unlikely to meet its like.
    #[must_use]
    pub fn random() -> Self {
        Self(format!("{:016x}", fastrand::u64(..)))
    }

    /// Where a request with these headers says that it was.
    #[must_use]
    pub fn passed(&self, headers: &HeaderMap) -> Passed {
        let mut passed = Passed::NoHost;
        for value in headers.get_all(HOP_HEADER) {
            let mut parts = value.as_bytes().split(|byte| *byte == b',');
            if parts.any(|part| part.trim_ascii() == self.0.as_bytes()) {
                return Passed::ThisHost;
            }
            passed = Passed::AHost;
        }
        passed
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_of_our_own_is_told_from_those_of_others() {
        let [own, other] = [HopId::random(), HopId::random()];
        let passed = |values: &[String]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(HOP_HEADER, value.parse().unwrap());
            }
            own.passed(&headers)
        };
        assert_eq!(passed(&[]), Passed::NoHost);
        assert_eq!(passed(&[other.to_string()]), Passed::AHost);
        assert_eq!(passed(&[format!("{own}0")]), Passed::AHost);
        assert_eq!(passed(&[own.to_string()]), Passed::ThisHost);
        assert_eq!(passed(&[format!("{other}, {own}")]), Passed::ThisHost);
        let several = [other.to_string(), own.to_string()];
        assert_eq!(passed(&several), Passed::ThisHost);
    }
}
