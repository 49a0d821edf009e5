//! The client of one exporter: policy, secrets, redirects, caps, around one pool of connections.
//!
//! `plugin` makes one client an exporter and hands it the components' requests. Dropping the future of
//! [`Client::send`] gives the request up; whether it was processed is then unknown.

use std::mem;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::{Bytes, BytesMut};
use reqwest::header::{CONTENT_ENCODING, HeaderMap, LOCATION, RETRY_AFTER};
use reqwest::{Method, StatusCode};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};
use url::{Host, Url};

use super::dial::{self, Dialer, Lookup, Proxy, ResolveError};
use super::fault;
use super::fill::Filler;
use super::hop::HopId;
use super::limits::Limits;
use super::message::{HttpError, Request, Response};
use super::origin::{HostPort, Origin, Scheme};
use super::outgoing::{Outgoing, SealedBody};
use super::pem::PemError;
use super::policy::Policy;
use super::redirect::{self, MAX_REDIRECTS, Next};
use super::retry_after;
use super::scrub::Scrubber;
use super::secrets::Secrets;
use super::tls;
use super::wire::{Backend, Wire};
use crate::config::secret::Secret;
use crate::config::{ClientCertificate, Compress};

/// Whatever the limits say: a clock cannot count to the largest duration.
const LONGEST_TIMEOUT: Duration = Duration::from_secs(24 * 60 * 60);

/// How the operator wants an exporter's connections made.
#[derive(Clone, Debug, Default)]
pub struct Transport {
    /// `http://`, `https://`, `socks5://` or `socks5h://`, with or without user and password. The proxy resolves the names of the
    /// targets. The environment's proxy variables are never read.
    pub proxy: Option<Secret>,
    /// PEM file of certificate authorities to trust beside the system's.
    pub ca_file: Option<PathBuf>,
    /// PEM files of a certificate chain and its private key; may be the same file.
    pub client_certificate: Option<ClientCertificate>,
    /// Whether bodies are compressed when the component asks for it.
    pub compression: Compress,
}

/// Everything that a client needs. No defaults: the caller knows all of it.
#[derive(Clone, Debug)]
pub struct ClientSettings {
    /// Exporter id, for the log.
    pub exporter: String,
    /// What was granted.
    pub origins: Vec<Origin>,
    /// What the operator's own settings name (`grant::operator_hosts`): only these may be at private addresses.
    pub operator_hosts: Vec<HostPort>,
    /// Whether hosts that the operator named may be metadata services (`http.allow_metadata`).
    pub allows_metadata: bool,
    /// Where this process listens, with the ports that were bound.
    pub own_listeners: Vec<SocketAddr>,
    /// Of this process.
    pub hop: HopId,
    /// Of this exporter.
    pub secrets: Secrets,
    /// Caps.
    pub limits: Limits,
    /// Proxy and certificates.
    pub transport: Transport,
}

/// Why there is no client. All of them are the operator's to mend, at start.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClientError {
    /// `ca_file`, `client_cert` or `client_key`.
    #[error(transparent)]
    Pem(#[from] PemError),
    /// The value is not shown: it may hold a password.
    #[error(
        "`proxy` must be a URL such as `http://host:3128` or `socks5://user:password@host:1080`"
    )]
    Proxy,
    /// Settings of TLS.
    #[error("cannot set up TLS: {0}")]
    Tls(String),
    /// The HTTP library refuses.
    #[error("cannot set up the HTTP client: {0}")]
    Build(String),
}

/// Sends the requests of one exporter. Clones share everything.
#[derive(Clone, Debug)]
pub struct Client {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    exporter: String,
    policy: Arc<Policy>,
    wire: Wire,
    lookup: LookupField,
    filler: Filler,
    scrubber: Scrubber,
    hop: HopId,
    limits: Limits,
    compression: Compress,
    in_flight: Semaphore,
}

/// A function has nothing to show.
struct LookupField(Lookup);

impl std::fmt::Debug for LookupField {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Lookup")
    }
}

impl Client {
    /// Builds the client; reads the PEM files.
    ///
    /// # Errors
    /// [`ClientError`] names the file or setting.
    pub fn new(settings: ClientSettings) -> Result<Self, ClientError> {
        Self::with_lookup(settings, dial::system_lookup())
    }

    /// As [`Client::new`], but what passes the checks goes to `backend`, and neither names nor certificates are used.
    ///
    /// # Errors
    /// As [`Client::new`].
    pub fn with_backend(
        settings: ClientSettings,
        backend: Arc<dyn Backend>,
    ) -> Result<Self, ClientError> {
        Self::build(settings, dial::system_lookup(), |_, _, _| {
            Ok(Wire::Backend(backend))
        })
    }

    /// As [`Client::new`], with another name service.
    pub(super) fn with_lookup(
        settings: ClientSettings,
        lookup: Lookup,
    ) -> Result<Self, ClientError> {
        Self::build(settings, Arc::clone(&lookup), |policy, settings, proxy| {
            network(policy, settings, proxy, &lookup)
        })
    }

    fn build(
        mut settings: ClientSettings,
        lookup: Lookup,
        wire: impl FnOnce(&Arc<Policy>, &ClientSettings, Option<&Proxy>) -> Result<Wire, ClientError>,
    ) -> Result<Self, ClientError> {
        let proxy = settings.transport.proxy.as_ref();
        let proxy = proxy.map(Proxy::parse).transpose()?;
        let policy = Arc::new(Policy {
            origins: mem::take(&mut settings.origins),
            operator_hosts: settings.operator_hosts.drain(..).collect(),
            allows_metadata: settings.allows_metadata,
            own_listeners: mem::take(&mut settings.own_listeners),
            is_proxied: proxy.is_some(),
        });
        let hidden = settings
            .secrets
            .entries()
            .iter()
            .map(|entry| entry.value.expose());
        let hidden = hidden.chain(settings.secrets.fragments());
        let scrubber = Scrubber::new(hidden.chain(proxy.iter().filter_map(Proxy::password)));
        let inner = Inner {
            wire: wire(&policy, &settings, proxy.as_ref())?,
            exporter: settings.exporter,
            policy,
            lookup: LookupField(lookup),
            filler: Filler::new(&settings.secrets)
                .map_err(|error| ClientError::Build(error.to_string()))?,
            scrubber: scrubber.map_err(|error| ClientError::Build(error.to_string()))?,
            hop: settings.hop,
            in_flight: Semaphore::new(settings.limits.max_in_flight),
            limits: settings.limits,
            compression: settings.transport.compression,
        };
        Ok(Self {
            inner: Arc::new(inner),
        })
    }

    /// Sends a request and waits for the whole response. Follows redirects. Bounded in time by the request's timeout
    /// and the limits.
    ///
    /// # Errors
    /// [`HttpError`] tells whether the request may have been processed. No text holds a secret.
    pub async fn send(&self, request: Request) -> Result<Response, HttpError> {
        let started = Instant::now();
        let limit = self.inner.limits.timeout.min(LONGEST_TIMEOUT);
        let timeout = request.timeout.map_or(limit, |wish| wish.min(limit));
        let result = self.inner.send(request, started + timeout).await;
        let exporter = &self.inner.exporter;
        let elapsed_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        match &result {
            Ok(response) => {
                tracing::debug!(%exporter, status = response.status, elapsed_ms, "Request was answered.");
            }
            Err(error) => {
                tracing::debug!(%exporter, %error, elapsed_ms, "Request has no answer.")
            }
        }
        result
    }

    /// The check at start: whether this URL may be reached, and is not one of our own listeners, as names resolve now. A
    /// name that a proxy resolves is only checked as far as it reads.
    ///
    /// # Errors
    /// `Invalid` and `Denied` are the operator's to mend. `Unreachable` (the name cannot be resolved now) is no reason
    /// not to start: dialling checks again.
    pub async fn check_target(&self, url: &str) -> Result<(), HttpError> {
        let mut url = Url::parse(url)
            .map_err(|error| HttpError::Invalid(format!("the URL cannot be read: {error}")))?;
        // A setting may be a URL with a user, such as a DSN; only requests must not have one.
        if url.set_username("").is_err() || url.set_password(None).is_err() {
            return Err(HttpError::Invalid("the URL has no host".to_owned()));
        }
        let target = self.inner.policy.check_url(&url)?;
        if self.inner.policy.is_proxied {
            return Ok(());
        }
        let lookup = dial::look_up(&self.inner.lookup.0, &target);
        let addresses = tokio::time::timeout(self.inner.limits.connect_timeout, lookup)
            .await
            .map_err(|_| {
                HttpError::Unreachable(format!("`{target}` could not be resolved in time"))
            })?
            .map_err(|error| HttpError::Unreachable(fault::causes(&error)))?;
        let denied = addresses
            .iter()
            .find_map(|address| self.inner.policy.check_not_own(&target, address.ip()).err());
        if let Some(denied) = denied {
            return Err(HttpError::Denied(denied.to_string()));
        }
        match dial::allowed(&self.inner.policy, &target, addresses) {
            Ok(_) => Ok(()),
            Err(ResolveError::Denied(denied)) => Err(HttpError::Denied(denied.to_string())),
            Err(error) => Err(HttpError::Unreachable(fault::causes(&error))),
        }
    }
}

/// Connections to the network, as the operator wants them made.
fn network(
    policy: &Arc<Policy>,
    settings: &ClientSettings,
    proxy: Option<&Proxy>,
    lookup: &Lookup,
) -> Result<Wire, ClientError> {
    let transport = &settings.transport;
    let mut origins = policy.origins.iter();
    let needs_tls =
        proxy.is_some_and(Proxy::is_tls) || origins.any(|origin| origin.scheme() == Scheme::Https);
    let tls = if needs_tls {
        tls::config(
            transport.ca_file.as_deref(),
            transport.client_certificate.as_ref(),
        )?
    } else {
        tls::without_authorities()?
    };
    Dialer::new(policy, &settings.limits, &tls, proxy, lookup).map(Wire::Network)
}

/// Whether the URL says so by itself; what a name resolves to is not asked.
fn is_this_machine(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        None => false,
    }
}

/// What a redirect left of the request.
struct Hop {
    url: Url,
    method: Method,
    /// A redirect turned the request into a `GET`.
    is_body_dropped: bool,
    /// A 303 says that the request itself was processed.
    is_processed: bool,
}

impl Inner {
    async fn send(&self, request: Request, deadline: Instant) -> Result<Response, HttpError> {
        let outgoing = Outgoing::check(request, &self.limits, &self.filler)?;
        self.policy.check_url(&outgoing.url)?;
        let Ok(permit) = timeout_at(deadline, self.in_flight.acquire()).await else {
            let max = self.limits.max_in_flight;
            return Err(HttpError::Unreachable(format!(
                "{max} other requests of this exporter were in flight all the time"
            )));
        };
        let result = timeout_at(deadline, self.exchange(&outgoing))
            .await
            .unwrap_or(Err(HttpError::TimedOut));
        drop(permit);
        result
    }

    async fn exchange(&self, outgoing: &Outgoing) -> Result<Response, HttpError> {
        let is_compressed = match self.compression {
            Compress::Always => true,
            Compress::Never => false,
            Compress::Auto => !is_this_machine(&outgoing.url),
        };
        let body = outgoing.seal_body(&self.filler, is_compressed).await?;
        let mut hop = Hop {
            url: outgoing.filled_url(&self.filler)?,
            method: outgoing.method.clone(),
            is_body_dropped: false,
            is_processed: false,
        };
        for _ in 0..=MAX_REDIRECTS {
            let result = self.ask(outgoing, &hop, &body).await;
            let response = result.map_err(|error| {
                if hop.is_processed {
                    after_processing(error)
                } else {
                    error
                }
            })?;
            let location = response
                .headers()
                .get(LOCATION)
                .and_then(|value| value.to_str().ok());
            let next = redirect::next(
                response.status(),
                &hop.method,
                outgoing.has_body() && !hop.is_body_dropped,
                &hop.url,
                location,
            );
            match next {
                Next::Answer => return self.read(response).await,
                Next::Downgrade => {
                    return Err(self.redirect_denied(
                        &hop,
                        "a redirect from `https` to `http` is not followed",
                    ));
                }
                Next::Follow {
                    url,
                    is_same_request,
                } => {
                    hop.is_processed |=
                        response.status() == StatusCode::SEE_OTHER && hop.method != Method::GET;
                    hop.url = url;
                    if !is_same_request {
                        hop.method = Method::GET;
                        hop.is_body_dropped = true;
                    }
                }
            }
        }
        Err(self.redirect_denied(&hop, &format!("more than {MAX_REDIRECTS} redirects")))
    }

    fn redirect_denied(&self, hop: &Hop, reason: &str) -> HttpError {
        let denied = HttpError::Denied(reason.to_owned());
        if hop.is_processed {
            after_processing(denied)
        } else {
            denied
        }
    }

    /// One request to one URL, up to the response's head.
    async fn ask(
        &self,
        outgoing: &Outgoing,
        hop: &Hop,
        body: &SealedBody,
    ) -> Result<reqwest::Response, HttpError> {
        let target = self
            .policy
            .check_url(&hop.url)
            .map_err(|error| self.scrubbed(error))?;
        let mut url = hop.url.clone();
        self.filler
            .refuse_in("host or path of the URL", url.path().as_bytes())?;
        let body = (!hop.is_body_dropped).then_some(body);
        let headers = outgoing.head(&mut url, body, &self.hop.to_string(), &self.filler)?;
        let mut request = reqwest::Request::new(hop.method.clone(), url);
        *request.headers_mut() = headers;
        *request.body_mut() = body
            .filter(|body| !body.wire.is_empty())
            .map(|body| body.wire.clone().into());
        self.wire
            .exchange(&target, request, &self.limits, &self.scrubber)
            .await
    }

    /// A redirect's URL is the server's text, which may hold a secret.
    fn scrubbed(&self, error: HttpError) -> HttpError {
        match error {
            HttpError::Denied(text) => {
                HttpError::Denied(self.scrubber.scrub_text(&text).into_owned())
            }
            error => error,
        }
    }

    /// The response in full, scrubbed.
    async fn read(&self, mut response: reqwest::Response) -> Result<Response, HttpError> {
        let head_bytes: usize = response
            .headers()
            .iter()
            .map(|(name, value)| name.as_str().len() + value.len())
            .sum();
        if head_bytes > self.limits.max_response_header_bytes {
            return Err(HttpError::ResponseTooLarge {
                limit_bytes: self.limits.max_response_header_bytes,
            });
        }
        let retry_after = retry_after_of(response.headers());
        let headers = self.scrubbed_headers(response.headers());
        let status = response.status().as_u16();
        // What we did not ask for we cannot look into for secrets.
        let is_readable = response
            .headers()
            .get(CONTENT_ENCODING)
            .is_none_or(|value| value == "identity");
        let body = if is_readable {
            self.read_body(&mut response).await?
        } else {
            Bytes::new()
        };
        Ok(Response {
            status,
            headers,
            body: self.scrubber.scrub(body),
            retry_after,
        })
    }

    async fn read_body(&self, response: &mut reqwest::Response) -> Result<Bytes, HttpError> {
        let limit_bytes = self.limits.max_response_bytes;
        let too_large = HttpError::ResponseTooLarge { limit_bytes };
        if response
            .content_length()
            .is_some_and(|length| length > limit_bytes as u64)
        {
            return Err(too_large);
        }
        let mut body = BytesMut::new();
        while let Some(chunk) = response
            .chunk()
            .await
            .map_err(|error| fault::of_reading(error, &self.scrubber))?
        {
            if body.len() + chunk.len() > limit_bytes {
                return Err(too_large);
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body.freeze())
    }

    fn scrubbed_headers(&self, headers: &HeaderMap) -> Vec<(String, String)> {
        let text = |bytes: &[u8]| {
            String::from_utf8_lossy(&self.scrubber.scrub(Bytes::copy_from_slice(bytes)))
                .into_owned()
        };
        headers
            .iter()
            .map(|(name, value)| (text(name.as_str().as_bytes()), text(value.as_bytes())))
            .collect()
    }
}

fn retry_after_of(headers: &HeaderMap) -> Option<Duration> {
    retry_after::parse(headers.get(RETRY_AFTER)?.to_str().ok()?, SystemTime::now())
}

/// The first request was processed, whatever became of the one that asks for its result.
fn after_processing(error: HttpError) -> HttpError {
    match error {
        HttpError::Denied(text) | HttpError::Unreachable(text) | HttpError::Invalid(text) => {
            HttpError::Interrupted(format!(
                "processed, but its result cannot be fetched: {text}"
            ))
        }
        error => error,
    }
}
