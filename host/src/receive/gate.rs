//! Decides who may ask a listener anything, before a path is looked at: valid tokens may; without one, a request must
//! name this host as its host and must not come from a foreign web page, and it gets no more than the open pages where
//! tokens are configured. Every listener stands behind a gate. Called by `routes`, and by rooms that have a listener of
//! their own.
//!
//! Browsers send what any page tells them to. A page cannot choose the `Host`, `Origin` and `Sec-Fetch-*` headers of its
//! requests: a name of the attacker that was made to resolve to this host stays in `Host`, and a foreign page in the
//! other two. Tokens need no such check, because a page does not know them.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_METHOD,
    AUTHORIZATION, CONTENT_TYPE, EXPECT, HOST, HeaderName, HeaderValue, ORIGIN, VARY,
};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, Method, Request, Response, StatusCode, Uri};
use axum::middleware::{Next, from_fn_with_state};
use tokio::time::Instant;

use super::answer::RequestError;
use super::auth::{Sender, Tokens};
use super::counts::Counts;
use super::limits::Limits;
use super::server::Transport;
use super::{body, grpc, otlp};
use crate::event::fields::excerpt;

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const REQUEST_PRIVATE_NETWORK: HeaderName =
    HeaderName::from_static("access-control-request-private-network");
const ALLOW_PRIVATE_NETWORK: HeaderName =
    HeaderName::from_static("access-control-allow-private-network");

/// What pages of allowed origins may send: the headers that receivers read.
const ALLOWED_HEADERS: [&str; 3] = ["authorization", "content-encoding", "content-type"];

/// How long a browser may remember the answer to a preflight, in seconds. Browsers cap it at two hours or less.
const PREFLIGHT_AGE: &str = "7200";

/// Between two lines of the log about refused tokens.
const REFUSALS_INTERVAL: Duration = Duration::from_secs(10);

/// What a listener knows of the connection that a request came by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connection {
    /// The address that the client reached.
    pub local: SocketAddr,
    /// The client's own address.
    pub peer: SocketAddr,
    /// Whether the client has shown a certificate of the configured authorities.
    pub is_client_verified: bool,
}

impl Default for Connection {
    /// A connection within this machine.
    fn default() -> Self {
        let local = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
        Self {
            local,
            peer: local,
            is_client_verified: false,
        }
    }
}

/// Who may ask.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GateSettings {
    /// Names and addresses beside those of the connection and `localhost` that requests may name as their host.
    pub hosts: Vec<String>,
    /// Origins whose pages may send events, as browsers write them.
    pub origins: Vec<String>,
    /// Headers that these pages may send beside those that receivers read; lower case.
    pub headers: Vec<String>,
}

/// See the module.
#[derive(Debug)]
pub struct Gate {
    tokens: Tokens,
    settings: GateSettings,
    refusals: Mutex<Refusals>,
}

/// Refused tokens since the last line about them.
#[derive(Debug, Default)]
struct Refusals {
    said: Option<Instant>,
    count: u64,
}

/// Who asks; every request behind a gate has one among its extensions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Caller {
    /// The owner of the request's token.
    pub(super) sender: Option<Arc<Sender>>,
    is_client_verified: bool,
}

impl Caller {
    /// Whether the caller has shown a token or a certificate.
    pub(super) const fn is_authenticated(&self) -> bool {
        self.sender.is_some() || self.is_client_verified
    }
}

/// A gate before one router.
#[derive(Clone)]
struct Guard {
    gate: Arc<Gate>,
    transport: Transport,
    limits: Limits,
    counts: Option<Arc<Counts>>,
}

impl Gate {
    /// A gate for these tokens; without any, everybody passes whose request may not be a foreign web page's.
    #[must_use]
    pub fn new(tokens: Tokens, settings: GateSettings) -> Self {
        Self {
            tokens,
            settings,
            refusals: Mutex::default(),
        }
    }

    /// Puts the gate before all paths of a router. `counts` are those of the receivers behind it.
    pub fn guard(
        self: &Arc<Self>,
        router: Router,
        transport: Transport,
        limits: &Limits,
        counts: Option<Arc<Counts>>,
    ) -> Router {
        let guard = Guard {
            gate: Arc::clone(self),
            transport,
            limits: limits.clone(),
            counts,
        };
        router.layer(from_fn_with_state(guard, pass))
    }

    /// Who asks, or why the request is refused.
    fn admit<B>(&self, request: &Request<B>) -> Result<Caller, RequestError> {
        let connection = request.extensions().get::<Connection>();
        let connection = connection.copied().unwrap_or_default();
        let caller = Caller {
            sender: self.tokens.sender(request.headers()),
            is_client_verified: connection.is_client_verified,
        };
        let is_open = is_open(request.uri());
        if let Some(sender) = &caller.sender {
            // What is no event is about all projects.
            if sender.is_bound() && request.method() != Method::POST && !is_open {
                return Err(RequestError::ForSendersOnly(sender.label.clone()));
            }
            return Ok(caller);
        }
        if !self.tokens.is_empty() && !is_open {
            self.note_refusal(&connection, request.headers());
            return Err(RequestError::Unauthorized);
        }
        self.check_host(request.uri(), request.headers(), connection.local)?;
        self.check_page(request)?;
        Ok(caller)
    }

    /// The origin whose page may read the answer to this request, if it is an allowed one.
    fn allowed_origin<B>(&self, request: &Request<B>) -> Option<HeaderValue> {
        let origin = one(request.headers(), &ORIGIN).ok()??;
        let is_allowed = self.settings.origins.iter().any(|own| own == origin);
        let is_sending = request.method() == Method::POST || is_preflight(request);
        (is_allowed && is_sending).then(|| origin.clone())
    }

    /// A request names its host up to twice: in its target and in a header. Clients that are no browsers may leave both
    /// out.
    fn check_host(
        &self,
        uri: &Uri,
        headers: &HeaderMap,
        local: SocketAddr,
    ) -> Result<(), RequestError> {
        let foreign = |text: &str| RequestError::ForeignHost(excerpt(text));
        let header = one(headers, &HOST).map_err(|()| foreign("several"))?;
        let header = header.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
        let target = uri
            .authority()
            .map(|authority| authority.as_str().to_owned());
        for named in [header, target].into_iter().flatten() {
            if !named.parse().is_ok_and(|it| self.is_own(&it, local)) {
                return Err(foreign(&named));
            }
        }
        Ok(())
    }

    fn is_own(&self, authority: &Authority, local: SocketAddr) -> bool {
        if authority.as_str().contains('@') {
            return false;
        }
        let host = authority.host();
        let host = host.strip_suffix('.').unwrap_or(host);
        if let Some(address) = address(host) {
            let reached = local.ip().to_canonical();
            return address == reached
                || (address.is_loopback() && reached.is_loopback())
                || self
                    .settings
                    .hosts
                    .iter()
                    .any(|own| own.parse() == Ok(address));
        }
        let mut own = self.settings.hosts.iter().map(String::as_str);
        host.eq_ignore_ascii_case("localhost") || own.any(|own| host.eq_ignore_ascii_case(own))
    }

    /// Whether a web page may have made a browser send this, and which one.
    fn check_page<B>(&self, request: &Request<B>) -> Result<(), RequestError> {
        let headers = request.headers();
        let foreign = |text: &str| RequestError::ForeignOrigin(excerpt(text));
        let origin = one(headers, &ORIGIN).map_err(|()| foreign("several"))?;
        if self.allowed_origin(request).is_none() {
            if let Some(origin) = origin
                && !is_same_origin(origin, request.uri(), headers)
            {
                return Err(foreign(&String::from_utf8_lossy(origin.as_bytes())));
            }
            let site = one(headers, &SEC_FETCH_SITE).map_err(|()| RequestError::ForeignSite)?;
            if site.is_some_and(|site| site != "same-origin" && site != "none") {
                return Err(RequestError::ForeignSite);
            }
        }
        let is_sec_fetch = |name: &HeaderName| name.as_str().starts_with("sec-fetch-");
        let is_browser = origin.is_some() || headers.keys().any(is_sec_fetch);
        if is_browser && request.method() == Method::POST && !headers.contains_key(CONTENT_TYPE) {
            return Err(RequestError::NoContentType);
        }
        Ok(())
    }

    fn preflight<B>(&self, request: &Request<B>) -> Response<Body> {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NO_CONTENT;
        let own = self.settings.headers.iter().map(String::as_str);
        let names: Vec<&str> = ALLOWED_HEADERS.into_iter().chain(own).collect();
        let headers = response.headers_mut();
        if let Ok(names) = HeaderValue::try_from(names.join(", ")) {
            headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, names);
        }
        headers.insert(
            ACCESS_CONTROL_ALLOW_METHODS,
            HeaderValue::from_static("POST"),
        );
        headers.insert(
            ACCESS_CONTROL_MAX_AGE,
            HeaderValue::from_static(PREFLIGHT_AGE),
        );
        if request.headers().contains_key(REQUEST_PRIVATE_NETWORK) {
            headers.insert(ALLOW_PRIVATE_NETWORK, HeaderValue::from_static("true"));
        }
        response
    }

    /// One line for many refusals: whoever guesses must not fill the log.
    fn note_refusal(&self, connection: &Connection, headers: &HeaderMap) {
        let mut refusals = self.refusals.lock().unwrap_or_else(PoisonError::into_inner);
        refusals.count += 1;
        let now = Instant::now();
        let is_due = |said: Instant| now.duration_since(said) >= REFUSALS_INTERVAL;
        if refusals.said.is_none_or(is_due) {
            let peer = connection.peer.ip().to_canonical();
            let reason = if headers.contains_key(AUTHORIZATION) {
                "unknown token"
            } else {
                "no token"
            };
            tracing::warn!(%peer, reason, requests = refusals.count, "Requests without a valid token were refused.");
            *refusals = Refusals {
                said: Some(now),
                count: 0,
            };
        }
    }
}

/// One request before the gate.
async fn pass(
    State(guard): State<Guard>,
    mut request: Request<Body>,
    next: Next,
) -> Response<Body> {
    let origin = guard.gate.allowed_origin(&request);
    let mut response = match guard.gate.admit_or_preflight(&request) {
        Ok(Some(caller)) => {
            request.extensions_mut().insert(caller);
            next.run(request).await
        }
        Ok(None) => guard.gate.preflight(&request),
        Err(error) => guard.refuse(request, &error).await,
    };
    if let Some(origin) = origin {
        let headers = response.headers_mut();
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.insert(
            ACCESS_CONTROL_EXPOSE_HEADERS,
            HeaderValue::from_static("retry-after"),
        );
        headers.append(VARY, HeaderValue::from_static("origin"));
    }
    response
}

impl Gate {
    /// `None` for the preflight of an allowed page, which browsers send without a token.
    fn admit_or_preflight<B>(&self, request: &Request<B>) -> Result<Option<Caller>, RequestError> {
        if is_preflight(request) && self.allowed_origin(request).is_some() {
            let connection = request.extensions().get::<Connection>();
            let local = connection.copied().unwrap_or_default().local;
            self.check_host(request.uri(), request.headers(), local)?;
            return Ok(None);
        }
        self.admit(request).map(Some)
    }
}

impl Guard {
    async fn refuse(&self, request: Request<Body>, error: &RequestError) -> Response<Body> {
        tracing::debug!(%error, "Request refused.");
        let (parts, mut body) = request.into_parts();
        if let Some(counts) = self
            .counts
            .as_ref()
            .filter(|_| parts.method == Method::POST)
        {
            counts.request();
            counts.refused_request();
        }
        match self.transport {
            // The stream ends alone, after the answer.
            Transport::Http2 => grpc::refused(error),
            Transport::Http1 => {
                if !parts.headers.contains_key(EXPECT) {
                    body::discard(&mut body, &self.limits).await;
                }
                match otlp::Encoding::of(&parts.headers) {
                    Ok(encoding) if otlp::is_path(parts.uri.path()) => {
                        otlp::refused(encoding, error)
                    }
                    _ => error.response(),
                }
            }
        }
    }
}

/// What is answered without a token: whether the host lives and takes events, without details.
fn is_open(uri: &Uri) -> bool {
    matches!(uri.path(), "/healthz" | "/readyz") && !is_verbose(uri.query())
}

/// Whether a page is asked for its details: `?verbose`.
pub(super) fn is_verbose(query: Option<&str>) -> bool {
    let mut pairs = query.unwrap_or_default().split('&');
    pairs.any(|pair| pair.split('=').next() == Some("verbose"))
}

fn is_preflight<B>(request: &Request<B>) -> bool {
    let method = request.headers().get(ACCESS_CONTROL_REQUEST_METHOD);
    request.method() == Method::OPTIONS && method.is_some_and(|method| method == "POST")
}

/// Whether the page is one that this host served: it has the request's own host and port.
fn is_same_origin(origin: &HeaderValue, uri: &Uri, headers: &HeaderMap) -> bool {
    let origin = origin.as_bytes();
    let schemes: [&[u8]; 2] = [b"http://", b"https://"];
    let authority = schemes
        .iter()
        .find_map(|scheme| origin.strip_prefix(*scheme));
    let target = uri
        .authority()
        .map(|authority| authority.as_str().as_bytes());
    let own = target.or_else(|| headers.get(HOST).map(HeaderValue::as_bytes));
    authority
        .zip(own)
        .is_some_and(|(authority, own)| authority.eq_ignore_ascii_case(own))
}

/// The header's value, if there is one.
///
/// # Errors
/// There are several.
fn one<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Result<Option<&'h HeaderValue>, ()> {
    let mut values = headers.get_all(name).iter();
    let value = values.next();
    match values.next() {
        None => Ok(value),
        Some(_) => Err(()),
    }
}

/// An IP address as it stands in a URL; a v4 address within v6 is that v4 address.
fn address(host: &str) -> Option<IpAddr> {
    let bare = host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    let address: IpAddr = bare.unwrap_or(host).parse().ok()?;
    Some(address.to_canonical())
}

#[cfg(test)]
mod tests;
