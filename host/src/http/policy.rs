//! What may be reached: granted origins, and the addresses that they may resolve to. Deny by default.
//!
//! Asked twice for every request: about the URL before anything is filled in, and about each address at dial time (by
//! `dial`), so that a name that changes its address in between gains nothing.
//!
//! The rules for addresses:
//! - One of our own listeners: never.
//! - Public: yes, if the origin is granted.
//! - Loopback, private, link-local and every other inner range: only if the operator's own setting names that host and port.
//! - A metadata service, by address or by name: only if, besides, `http.allow_metadata` is set for the exporter.

use std::collections::HashSet;
use std::net::{IpAddr, SocketAddr};

use url::{Host, Url};

use super::address::{self, AddressKind};
use super::message::HttpError;
use super::origin::{HostPort, Origin};

/// The policy of one exporter.
#[derive(Debug)]
pub(super) struct Policy {
    pub(super) origins: Vec<Origin>,
    pub(super) operator_hosts: HashSet<HostPort>,
    /// `http.allow_metadata`
    pub(super) allows_metadata: bool,
    pub(super) own_listeners: Vec<SocketAddr>,
    /// A proxy resolves names, so that only literal addresses can be checked here.
    pub(super) is_proxied: bool,
}

/// An address that may not be dialled. The resolver's error; `fault` finds it again inside the client's error.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum AddressDenied {
    #[error("`{host}` is this host's own listener")]
    OwnListener { host: HostPort },
    #[error(
        "`{host}` resolves to {ip}, which is {range}; only a host that a setting of the operator names may be there"
    )]
    Inner {
        host: HostPort,
        ip: IpAddr,
        range: &'static str,
    },
    #[error(
        "`{host}` is a metadata service, which hands out the machine's credentials; if it is meant, name it in a setting and write `http.allow_metadata: true` for this exporter"
    )]
    Metadata { host: HostPort },
}

impl Policy {
    /// Whether a request may be made to this URL, as far as the URL tells. Returns the host and port to dial.
    pub(super) fn check_url(&self, url: &Url) -> Result<HostPort, HttpError> {
        let Some(target) = HostPort::of(url) else {
            return Err(HttpError::Invalid(
                "the URL is not an absolute `https` or `http` URL".to_owned(),
            ));
        };
        if !url.username().is_empty() || url.password().is_some() {
            return Err(HttpError::Invalid(
                "the URL has a user or password; use `auth` instead".to_owned(),
            ));
        }
        if !self.origins.iter().any(|origin| origin.matches(url)) {
            return Err(HttpError::Denied(self.not_granted(url)));
        }
        match url.host() {
            Some(Host::Ipv4(ip)) => self.check_literal(&target, ip.into())?,
            Some(Host::Ipv6(ip)) => self.check_literal(&target, ip.into())?,
            Some(Host::Domain(name))
                if address::is_metadata_name(name, self.is_proxied)
                    && !self.may_reach_metadata(&target) =>
            {
                let denied = AddressDenied::Metadata { host: target };
                return Err(HttpError::Denied(denied.to_string()));
            }
            Some(Host::Domain(name))
                if self.is_proxied
                    && is_localhost(name)
                    && !self.operator_hosts.contains(&target) =>
            {
                return Err(HttpError::Denied(format!(
                    "`{target}` is the proxy's own machine, and no setting names it"
                )));
            }
            _ => {}
        }
        Ok(target)
    }

    fn check_literal(&self, target: &HostPort, ip: IpAddr) -> Result<(), HttpError> {
        self.check_address(target, ip)
            .map_err(|denied| HttpError::Denied(denied.to_string()))
    }

    /// Whether `target` may be dialled at this address.
    pub(super) fn check_address(&self, target: &HostPort, ip: IpAddr) -> Result<(), AddressDenied> {
        self.check_not_own(target, ip)?;
        let is_named = self.operator_hosts.contains(target);
        match address::kind(ip) {
            AddressKind::Public => Ok(()),
            AddressKind::Inner(_) if is_named => Ok(()),
            AddressKind::Metadata if self.may_reach_metadata(target) => Ok(()),
            AddressKind::Inner(range) => Err(AddressDenied::Inner {
                host: target.clone(),
                ip,
                range,
            }),
            AddressKind::Metadata => Err(AddressDenied::Metadata {
                host: target.clone(),
            }),
        }
    }

    fn may_reach_metadata(&self, target: &HostPort) -> bool {
        self.allows_metadata && self.operator_hosts.contains(target)
    }

    /// Whether `target` at this address is somebody else.
    pub(super) fn check_not_own(&self, target: &HostPort, ip: IpAddr) -> Result<(), AddressDenied> {
        if address::is_own_listener(SocketAddr::new(ip, target.port), &self.own_listeners) {
            return Err(AddressDenied::OwnListener {
                host: target.clone(),
            });
        }
        Ok(())
    }

    fn not_granted(&self, url: &Url) -> String {
        let granted = self
            .origins
            .iter()
            .map(|origin| format!("`{origin}`"))
            .collect::<Vec<_>>()
            .join(", ");
        let granted = if granted.is_empty() {
            "nothing".to_owned()
        } else {
            granted
        };
        let origin =
            Origin::of(url).map_or_else(|| "this URL".to_owned(), |origin| format!("`{origin}`"));
        format!("{origin} is not granted; granted is {granted}")
    }
}

fn is_localhost(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    name == "localhost" || name.ends_with(".localhost")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(origins: &[&str], operator_hosts: &[&str]) -> Policy {
        let hosts = operator_hosts
            .iter()
            .map(|url| HostPort::of(&Url::parse(url).unwrap()).unwrap());
        Policy {
            origins: origins.iter().map(|text| text.parse().unwrap()).collect(),
            operator_hosts: hosts.collect(),
            allows_metadata: false,
            own_listeners: vec!["127.0.0.1:4318".parse().unwrap()],
            is_proxied: false,
        }
    }

    fn check(policy: &Policy, url: &str) -> Result<HostPort, HttpError> {
        policy.check_url(&Url::parse(url).unwrap())
    }

    fn is_denied<T>(result: &Result<T, HttpError>) -> bool {
        matches!(result, Err(HttpError::Denied(_)))
    }

    #[test]
    fn nothing_is_reachable_without_a_grant() {
        assert!(is_denied(&check(&policy(&[], &[]), "https://a.example/")));
        assert!(is_denied(&check(
            &policy(&["https://b.example"], &[]),
            "https://a.example/"
        )));
        assert!(is_denied(&check(
            &policy(&["https://a.example"], &[]),
            "http://a.example/"
        )));
        assert!(is_denied(&check(
            &policy(&["https://a.example"], &[]),
            "https://a.example:8443/"
        )));
        assert!(
            check(
                &policy(&["https://a.example"], &[]),
                "https://a.example:443/x?y"
            )
            .is_ok()
        );
    }

    #[test]
    fn userinfo_in_a_url_is_refused() {
        let policy = policy(&["https://a.example"], &[]);
        for url in [
            "https://user@a.example/",
            "https://user:word@a.example/",
            "https://:word@a.example/",
        ] {
            assert!(
                matches!(check(&policy, url), Err(HttpError::Invalid(_))),
                "{url}"
            );
        }
    }

    #[test]
    fn a_url_that_only_looks_granted_is_denied() {
        let policy = policy(&["https://a.example"], &[]);
        for url in [
            "https://a.example.evil/",
            "https://evil/a.example",
            "https://a.example@evil/",
            "https://evil\\@a.example/",
            "https://evil#a.example",
            "https://evil?https://a.example",
            "https://xn--a.example/",
        ] {
            assert!(
                Url::parse(url).map_or(true, |url| policy.check_url(&url).is_err()),
                "{url}"
            );
        }
    }

    #[test]
    fn a_granted_literal_address_still_needs_the_operators_setting_in_every_notation() {
        let granted = [
            "http://127.0.0.1",
            "http://[::1]",
            "http://[::ffff:127.0.0.1]",
            "http://10.0.0.1",
            "http://169.254.169.254",
            "http://[fd00:ec2::254]",
            "http://0.0.0.0",
        ];
        let policy = policy(&granted, &[]);
        for url in [
            "http://127.0.0.1/",
            "http://0x7f.1/",
            "http://2130706433/",
            "http://0177.0.0.1/",
            "http://127.1/",
            "http://%31%32%37.0.0.1/",
            "http://１２７.0.0.1/",
            "http://127.0.0.1:80/",
            "http://[::1]/",
            "http://[0::0:1]/",
            "http://[::ffff:127.0.0.1]/",
            "http://[::ffff:7f00:1]/",
            "http://167772161/",
            "http://0xa9fea9fe/",
            "http://[fd00:ec2::254]/",
            "http://0/",
        ] {
            assert!(is_denied(&check(&policy, url)), "{url}");
        }
        assert!(
            Url::parse("http://[fe80::1%25eth0]/").is_err(),
            "zone ids are no URL"
        );
        assert!(Url::parse("http://127.0.0.1.1/").is_err());
        assert!(Url::parse("http://0x100000000/").is_err());
    }

    #[test]
    fn what_the_operators_setting_names_may_be_inside() {
        let policy = policy(
            &["http://127.0.0.1:3000", "http://127.0.0.1:9000"],
            &["http://127.0.0.1:3000"],
        );
        assert!(check(&policy, "http://0x7f.1:3000/").is_ok());
        assert!(
            is_denied(&check(&policy, "http://127.0.0.1:9000/")),
            "the setting names another port"
        );
    }

    #[test]
    fn a_metadata_service_needs_the_setting_and_allow_metadata() {
        let urls = [
            "http://169.254.169.254",
            "http://[fd00:ec2::254]",
            "http://100.100.100.200",
            "http://[::ffff:169.254.169.254]",
            "http://metadata.google.internal",
        ];
        let (named, not_named) = (policy(&urls, &urls), policy(&urls, &[]));
        let allowing = |mut policy: Policy| {
            policy.allows_metadata = true;
            policy
        };
        let (allowed, only_allowed) =
            (allowing(policy(&urls, &urls)), allowing(policy(&urls, &[])));
        for url in urls {
            assert!(is_denied(&check(&not_named, url)), "{url}");
            assert!(is_denied(&check(&named, url)), "{url}");
            assert!(is_denied(&check(&only_allowed, url)), "{url}");
            assert!(check(&allowed, url).is_ok(), "{url}");
        }
    }

    #[test]
    fn a_public_name_may_not_resolve_inside() {
        let policy = policy(&["https://a.example"], &[]);
        let target = HostPort {
            host: "a.example".into(),
            port: 443,
        };
        assert!(
            policy
                .check_address(&target, "127.0.0.1".parse().unwrap())
                .is_err()
        );
        assert!(
            policy
                .check_address(&target, "::ffff:10.0.0.1".parse().unwrap())
                .is_err()
        );
        assert!(
            policy
                .check_address(&target, "1.1.1.1".parse().unwrap())
                .is_ok()
        );
    }

    #[test]
    fn a_named_host_may_be_private_but_never_a_metadata_service() {
        let policy = policy(&["https://a.example"], &["https://a.example"]);
        let target = HostPort {
            host: "a.example".into(),
            port: 443,
        };
        assert!(
            policy
                .check_address(&target, "10.0.0.1".parse().unwrap())
                .is_ok()
        );
        let denied = policy.check_address(&target, "169.254.169.254".parse().unwrap());
        assert!(matches!(denied, Err(AddressDenied::Metadata { .. })));
    }

    #[test]
    fn our_own_listener_is_denied_even_when_named() {
        let policy = policy(&["http://127.0.0.1:4318"], &["http://127.0.0.1:4318"]);
        assert!(is_denied(&check(
            &policy,
            "http://127.0.0.1:4318/v1/events"
        )));
    }

    #[test]
    fn behind_a_proxy_localhost_needs_the_operators_setting() {
        let mut policy = policy(
            &["http://localhost", "http://x.localhost", "http://a.example"],
            &[],
        );
        policy.is_proxied = true;
        assert!(is_denied(&check(&policy, "http://localhost/")));
        assert!(is_denied(&check(&policy, "http://x.localhost/")));
        assert!(check(&policy, "http://a.example/").is_ok());
    }

    #[test]
    fn a_denial_says_what_is_granted() {
        let error = check(
            &policy(&["https://a.example"], &[]),
            "https://b.example/secret-path",
        )
        .unwrap_err();
        assert_eq!(
            error.to_string(),
            "denied: `https://b.example` is not granted; granted is `https://a.example`"
        );
    }
}
