//! Connections: the pooled client of one exporter, and the resolver that checks every address before it is dialled.
//!
//! The library's resolver hook learns the name but not the port, and the policy is about both. So there is one inner
//! client a port, each with a resolver that knows its port; they share TLS settings and policy. A connection was never
//! shared between ports anyway. Which ports there are is known from the grants.

use std::collections::HashMap;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use rustls::ClientConfig;
use url::Url;

use super::client::ClientError;
use super::limits::Limits;
use super::origin::HostPort;
use super::policy::{AddressDenied, Policy};
use crate::config::secret::Secret;

/// Looks a name up: host and port to addresses. Tests put their own in.
pub(super) type Lookup = Arc<
    dyn Fn(String, u16) -> Pin<Box<dyn Future<Output = io::Result<Vec<SocketAddr>>> + Send>>
        + Send
        + Sync,
>;

/// The system's resolver.
pub(super) fn system_lookup() -> Lookup {
    Arc::new(|host, port| {
        Box::pin(async move { Ok(tokio::net::lookup_host((host, port)).await?.collect()) })
    })
}

/// Idle connections are closed by us before most servers close them, so that few requests meet a connection that is
/// being closed (nodejs 5 s is out of reach; ELB 60 s, nginx 75 s are not).
const POOL_IDLE: Duration = Duration::from_secs(20);

/// How to get out of here.
#[derive(Debug)]
pub(super) struct Proxy {
    url: Url,
    target: HostPort,
}

impl Proxy {
    /// `http`, `https`, `socks5` or `socks5h`, with or without user and password. Names are always resolved by the proxy.
    pub(super) fn parse(text: &Secret) -> Result<Self, ClientError> {
        let invalid = || ClientError::Proxy;
        let mut url = Url::parse(text.expose()).map_err(|_| invalid())?;
        let default_port = match url.scheme() {
            "http" => 80,
            "https" => 443,
            "socks5" | "socks5h" => 1080,
            _ => return Err(invalid()),
        };
        let port = url.port().unwrap_or(default_port);
        let host = url
            .host_str()
            .filter(|host| !host.is_empty())
            .ok_or_else(invalid)?
            .to_owned();
        // Only socks URLs keep a port that is written out; the others have it as their scheme's default.
        url.set_port(Some(port)).map_err(|()| invalid())?;
        if url.scheme() == "socks5" {
            let text = url.as_str().replacen("socks5:", "socks5h:", 1);
            url = Url::parse(&text).map_err(|_| invalid())?;
        }
        Ok(Self {
            url,
            target: HostPort { host, port },
        })
    }

    /// As it stands in the URL, for scrubbing.
    pub(super) fn password(&self) -> Option<&str> {
        self.url.password()
    }

    pub(super) fn is_tls(&self) -> bool {
        self.url.scheme() == "https"
    }
}

/// The clients of one exporter by port.
#[derive(Debug)]
pub(super) struct Dialer {
    clients: HashMap<u16, reqwest::Client>,
}

impl Dialer {
    pub(super) fn new(
        policy: &Arc<Policy>,
        limits: &Limits,
        tls: &ClientConfig,
        proxy: Option<&Proxy>,
        lookup: &Lookup,
    ) -> Result<Self, ClientError> {
        let mut clients = HashMap::new();
        for port in policy.origins.iter().map(super::origin::Origin::port) {
            if clients.contains_key(&port) {
                continue;
            }
            let proxy_target = proxy.map(|proxy| proxy.target.clone());
            let resolver = Resolver {
                policy: Arc::clone(policy),
                port,
                proxy: proxy_target,
                lookup: Arc::clone(lookup),
            };
            clients.insert(port, build(resolver, limits, tls.clone(), proxy)?);
        }
        Ok(Self { clients })
    }

    /// The client for a port; every granted port has one.
    pub(super) fn for_port(&self, port: u16) -> Option<&reqwest::Client> {
        self.clients.get(&port)
    }
}

fn build(
    resolver: Resolver,
    limits: &Limits,
    tls: ClientConfig,
    proxy: Option<&Proxy>,
) -> Result<reqwest::Client, ClientError> {
    let mut builder = reqwest::Client::builder()
        .no_proxy()
        .tls_backend_preconfigured(tls)
        .dns_resolver(Arc::new(resolver))
        .redirect(reqwest::redirect::Policy::none())
        .referer(false)
        .connect_timeout(limits.connect_timeout)
        .pool_idle_timeout(POOL_IDLE)
        .pool_max_idle_per_host(limits.max_in_flight)
        .http2_max_header_list_size(
            u32::try_from(limits.max_response_header_bytes).unwrap_or(u32::MAX),
        );
    if let Some(proxy) = proxy {
        builder =
            builder.proxy(reqwest::Proxy::all(proxy.url.as_str()).map_err(|_| ClientError::Proxy)?);
    }
    builder
        .build()
        .map_err(|error| ClientError::Build(error.without_url().to_string()))
}

/// Resolves the names of one port, and gives out only addresses that the policy allows.
struct Resolver {
    policy: Arc<Policy>,
    port: u16,
    proxy: Option<HostPort>,
    lookup: Lookup,
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let policy = Arc::clone(&self.policy);
        let lookup = Arc::clone(&self.lookup);
        let proxy = self.proxy.clone();
        let target = HostPort {
            host: name.as_str().to_owned(),
            port: self.port,
        };
        Box::pin(async move {
            let addresses = match proxy {
                // Where the proxy is, is the operator's choice. Nothing but the proxy is dialled then.
                Some(proxy) => look_up(&lookup, &proxy).await?,
                None => resolve_checked(&policy, &lookup, &target).await?,
            };
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}

/// Why a name gives no address to dial.
#[derive(Debug, thiserror::Error)]
pub(super) enum ResolveError {
    #[error(transparent)]
    Denied(#[from] AddressDenied),
    #[error("`{host}` cannot be resolved")]
    Failed { host: HostPort, source: io::Error },
    #[error("`{host}` has no address")]
    Nothing { host: HostPort },
}

/// Looks a target up and keeps the addresses that the policy allows.
async fn resolve_checked(
    policy: &Policy,
    lookup: &Lookup,
    target: &HostPort,
) -> Result<Vec<SocketAddr>, ResolveError> {
    allowed(policy, target, look_up(lookup, target).await?)
}

/// The addresses of a target that the policy allows; an error if there are none.
pub(super) fn allowed(
    policy: &Policy,
    target: &HostPort,
    mut addresses: Vec<SocketAddr>,
) -> Result<Vec<SocketAddr>, ResolveError> {
    let mut denied = None;
    addresses.retain(|address| match policy.check_address(target, address.ip()) {
        Ok(()) => true,
        Err(reason) => {
            denied.get_or_insert(reason);
            false
        }
    });
    match denied {
        Some(denied) if addresses.is_empty() => Err(denied.into()),
        _ => Ok(addresses),
    }
}

/// All addresses of a target, unchecked.
pub(super) async fn look_up(
    lookup: &Lookup,
    target: &HostPort,
) -> Result<Vec<SocketAddr>, ResolveError> {
    let literal = target
        .host
        .trim_start_matches('[')
        .trim_end_matches(']')
        .parse::<IpAddr>();
    let addresses = match literal {
        Ok(ip) => vec![SocketAddr::new(ip, target.port)],
        Err(_) => lookup(target.host.clone(), target.port)
            .await
            .map_err(|source| ResolveError::Failed {
                host: target.clone(),
                source,
            })?,
    };
    if addresses.is_empty() {
        return Err(ResolveError::Nothing {
            host: target.clone(),
        });
    }
    // A lookup may leave the port at zero; the target's is meant. Scope ids stay.
    let with_port = |mut address: SocketAddr| {
        address.set_port(target.port);
        address
    };
    Ok(addresses.into_iter().map(with_port).collect())
}
