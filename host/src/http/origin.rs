//! Origins: where an exporter may speak to. An origin is scheme, host pattern and port; paths never matter.
//!
//! Pure. `grant` turns a component's requests into origins, `policy` matches URLs against them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use url::{Host, Url};

/// `https` or `http`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scheme {
    /// Plain.
    Http,
    /// TLS.
    Https,
}

impl Scheme {
    /// The scheme of a URL, if it is one of the two.
    #[must_use]
    pub fn of(url: &Url) -> Option<Self> {
        match url.scheme() {
            "http" => Some(Self::Http),
            "https" => Some(Self::Https),
            _ => None,
        }
    }

    /// As in a URL.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    /// 80 or 443.
    #[must_use]
    pub const fn default_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}

/// A host and port as a URL names them: the host in the spelling of the `url` crate (lower case, punycode, IP literals
/// in their one canonical form, IPv6 in brackets).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostPort {
    /// Host, canonical.
    pub host: String,
    /// Port, never implied.
    pub port: u16,
}

impl HostPort {
    /// The host and port of an `http` or `https` URL; nothing for any other.
    #[must_use]
    pub fn of(url: &Url) -> Option<Self> {
        Scheme::of(url)?;
        Some(Self {
            host: url.host_str()?.to_owned(),
            port: url.port_or_known_default()?,
        })
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

/// An exact host, or one label under a domain.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum HostPattern {
    Exact(String),
    /// The domain without `*.`.
    OneLabelUnder(String),
}

/// One place: `https://cloud.langfuse.com`, `http://127.0.0.1:3000`, `https://*.example.com`. As text it has no path
/// and no default port.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Origin {
    scheme: Scheme,
    host: HostPattern,
    port: u16,
}

/// Why a text is not an origin.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not an origin: {reason}; write it as `https://host` or `https://host:port`")]
pub struct OriginError {
    /// What was given, without userinfo.
    pub text: String,
    /// What is wrong.
    pub reason: &'static str,
}

impl Origin {
    /// The origin of a URL. Userinfo, path, query and fragment are left out.
    #[must_use]
    pub fn of(url: &Url) -> Option<Self> {
        let scheme = Scheme::of(url)?;
        let host = url.host_str()?;
        if host.contains('*') {
            return None;
        }
        Some(Self {
            scheme,
            host: HostPattern::Exact(host.to_owned()),
            port: url.port_or_known_default()?,
        })
    }

    /// Whether a request to this URL is a request to this origin.
    #[must_use]
    pub fn matches(&self, url: &Url) -> bool {
        Scheme::of(url) == Some(self.scheme)
            && url.port_or_known_default() == Some(self.port)
            && match (&self.host, url.host()) {
                (HostPattern::Exact(exact), Some(_)) => url.host_str() == Some(exact),
                (HostPattern::OneLabelUnder(domain), Some(Host::Domain(host))) => {
                    is_one_label_under(host, domain)
                }
                _ => false,
            }
    }

    /// Whether every URL of `other` is one of this origin.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        self == other
            || (self.scheme == other.scheme
                && self.port == other.port
                && match (&self.host, &other.host) {
                    (HostPattern::OneLabelUnder(domain), HostPattern::Exact(host)) => {
                        Host::parse(host).is_ok_and(|host| matches!(host, Host::Domain(_)))
                            && is_one_label_under(host, domain)
                    }
                    _ => false,
                })
    }

    /// Host and port, unless the host is a pattern.
    #[must_use]
    pub fn exact_host(&self) -> Option<HostPort> {
        match &self.host {
            HostPattern::Exact(host) => Some(HostPort {
                host: host.clone(),
                port: self.port,
            }),
            HostPattern::OneLabelUnder(_) => None,
        }
    }

    /// `https` or `http`.
    #[must_use]
    pub const fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// The port, never implied.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }
}

fn is_one_label_under(host: &str, domain: &str) -> bool {
    host.strip_suffix(domain)
        .and_then(|rest| rest.strip_suffix('.'))
        .is_some_and(|label| !label.is_empty() && !label.contains('.'))
}

impl FromStr for Origin {
    type Err = OriginError;

    fn from_str(text: &str) -> Result<Self, OriginError> {
        let fail = |reason| OriginError {
            text: without_userinfo(text),
            reason,
        };
        let (scheme, rest) = text
            .split_once("://")
            .ok_or_else(|| fail("it has no scheme"))?;
        let (is_pattern, rest) = rest
            .strip_prefix("*.")
            .map_or((false, rest), |rest| (true, rest));
        if rest.contains('*') {
            return Err(fail(
                "`*.` may only lead the host, and stands for one label",
            ));
        }
        let url = Url::parse(&format!("{scheme}://{rest}")).map_err(|_| fail("it is not a URL"))?;
        let scheme =
            Scheme::of(&url).ok_or_else(|| fail("its scheme is neither `https` nor `http`"))?;
        if !url.username().is_empty() || url.password().is_some() || rest.contains('@') {
            return Err(fail("it has a user or password"));
        }
        if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
            return Err(fail("it has a path, query or fragment"));
        }
        let host = match (url.host(), is_pattern) {
            (Some(Host::Domain(domain)), true) if is_shared(domain) => {
                return Err(fail(
                    "`*.` leads a public suffix, below which everybody may register names; name the hosts, or a domain of one owner",
                ));
            }
            (Some(Host::Domain(domain)), true) => HostPattern::OneLabelUnder(domain.to_owned()),
            (Some(_), true) => return Err(fail("`*.` cannot lead an IP address")),
            (Some(host), false) => HostPattern::Exact(host.to_string()),
            (None, _) => return Err(fail("it has no host")),
        };
        let port = url.port().unwrap_or_else(|| scheme.default_port());
        Ok(Self { scheme, host, port })
    }
}

/// Whether hosts one label below this domain belong to different owners: the domain is a public suffix (`com`, `co.uk`,
/// `github.io`), or all names below it are.
fn is_shared(domain: &str) -> bool {
    let domain = domain.strip_suffix('.').unwrap_or(domain);
    let host = format!("a.{domain}");
    let suffix_bytes =
        |name: &str| psl::suffix(name.as_bytes()).map(|suffix| suffix.as_bytes().len());
    suffix_bytes(&host).is_none_or(|bytes| bytes >= domain.len())
}

fn without_userinfo(text: &str) -> String {
    match (text.split_once("://"), text.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, host))) => format!("{scheme}://***@{host}"),
        (None, Some((_, host))) => format!("***@{host}"),
        _ => text.to_owned(),
    }
}

impl TryFrom<String> for Origin {
    type Error = OriginError;

    fn try_from(text: String) -> Result<Self, OriginError> {
        text.parse()
    }
}

impl From<Origin> for String {
    fn from(origin: Origin) -> Self {
        origin.to_string()
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (star, host) = match &self.host {
            HostPattern::Exact(host) => ("", host),
            HostPattern::OneLabelUnder(domain) => ("*.", domain),
        };
        write!(f, "{}://{star}{host}", self.scheme.as_str())?;
        if self.port != self.scheme.default_port() {
            write!(f, ":{}", self.port)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(text: &str) -> Origin {
        text.parse().unwrap()
    }

    fn matches(pattern: &str, url: &str) -> bool {
        origin(pattern).matches(&Url::parse(url).unwrap())
    }

    #[test]
    fn scheme_host_and_port_must_all_be_equal() {
        assert!(matches("https://a.example", "https://a.example/any?q=1"));
        assert!(matches("https://a.example", "https://A.EXAMPLE:443/"));
        assert!(matches("https://a.example:443", "https://a.example/"));
        assert!(!matches("https://a.example", "http://a.example/"));
        assert!(!matches("https://a.example", "https://a.example:444/"));
        assert!(!matches("https://a.example", "https://b.a.example/"));
        assert!(!matches("https://a.example", "https://a.example.evil/"));
        assert!(!matches("https://a.example", "https://a.example./"));
    }

    #[test]
    fn a_star_is_exactly_one_label() {
        assert!(matches("https://*.a.example", "https://eu.a.example/"));
        assert!(!matches("https://*.a.example", "https://a.example/"));
        assert!(!matches("https://*.a.example", "https://x.eu.a.example/"));
        assert!(!matches("https://*.a.example", "https://evila.example/"));
        assert!(!matches("https://*.a.example", "https://.a.example/"));
    }

    #[test]
    fn a_star_never_covers_an_address() {
        assert!("https://*.0.0.1".parse::<Origin>().is_err());
        assert!("https://*.[::1]".parse::<Origin>().is_err());
        assert!(!matches("https://*.a.example", "https://127.0.0.1/"));
    }

    #[test]
    fn notations_of_an_address_are_one_origin() {
        for text in [
            "http://0x7f.1",
            "http://2130706433",
            "http://0177.0.0.1",
            "http://127.1",
            "http://１２７.0.0.1",
        ] {
            assert_eq!(origin(text).to_string(), "http://127.0.0.1", "{text}");
        }
        assert_eq!(origin("http://[0:0::1]:80").to_string(), "http://[::1]");
    }

    #[test]
    fn text_goes_there_and_back() {
        for text in [
            "https://a.example",
            "http://a.example:8080",
            "https://*.a.example:444",
            "http://[::1]:3000",
        ] {
            assert_eq!(origin(text).to_string(), text);
            let json = serde_json::to_string(&origin(text)).unwrap();
            assert_eq!(serde_json::from_str::<Origin>(&json).unwrap(), origin(text));
        }
    }

    #[test]
    fn what_is_no_origin_is_refused_without_its_password() {
        for text in [
            "a.example",
            "ftp://a.example",
            "https://a.example/path",
            "https://a.example?q",
            "https://a.*.example",
            "https://*",
            "https://",
            "https://*.*.example",
        ] {
            assert!(text.parse::<Origin>().is_err(), "{text}");
        }
        let error = "https://user:hunter2@a.example"
            .parse::<Origin>()
            .unwrap_err();
        assert!(!error.to_string().contains("hunter2"));
    }

    #[test]
    fn a_star_below_a_public_suffix_is_refused() {
        for text in [
            "https://*.com",
            "https://*.com.",
            "https://*.COM:8443",
            "https://*.co.uk",
            "https://*.github.io",
            "https://*.s3.amazonaws.com",
            "https://*.vercel.app",
            "https://*.internal",
            "https://*.localhost",
            "https://*.ck",
            "https://*.xn--p1ai",
        ] {
            let error = text.parse::<Origin>().unwrap_err();
            assert!(error.reason.contains("public suffix"), "{text}: {error}");
        }
        for text in [
            "https://*.grafana.net",
            "https://*.example.co.uk",
            "https://*.me.github.io",
            "https://*.acme.internal",
        ] {
            assert!(text.parse::<Origin>().is_ok(), "{text}");
        }
    }

    #[test]
    fn a_pattern_covers_its_hosts_but_not_wider_patterns() {
        assert!(origin("https://*.a.example").covers(&origin("https://eu.a.example")));
        assert!(origin("https://*.a.example").covers(&origin("https://*.a.example")));
        assert!(!origin("https://*.a.example").covers(&origin("https://*.eu.a.example")));
        assert!(!origin("https://eu.a.example").covers(&origin("https://*.a.example")));
        assert!(!origin("https://*.a.example").covers(&origin("http://eu.a.example")));
    }
}
