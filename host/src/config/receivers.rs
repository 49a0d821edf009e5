//! `receivers`: where the host listens, who may use what listens, and how connections are bounded.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use super::problem::Problems;
use super::read::{Found, Section, text_of};
use super::tree::Kind;
use super::units::show_size;
use super::{Endpoint, Listen, Secret, SendingQueue, Tls, defaults};
use crate::event::is_project_id;
use crate::event::records::Instrument;

/// `receivers`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receivers {
    /// `http`: the platform protocol, events, OTLP/HTTP, health and metrics on one listener.
    pub http: HttpReceiver,
    /// `grpc`: OTLP/gRPC, with the bounds and tokens of `http`.
    pub grpc: GrpcReceiver,
    /// `metric_kinds`: what a raw metric of this name is, where the rule by name is wrong.
    pub metric_kinds: BTreeMap<String, Instrument>,
}

impl Receivers {
    /// The files of all listeners' TLS.
    pub fn tls_files(&self) -> impl Iterator<Item = &PathBuf> {
        let tls = self.http.tls.iter().chain(&self.grpc.tls);
        tls.flat_map(Tls::all)
    }
}

/// `receivers.http`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpReceiver {
    /// Where to listen.
    pub endpoint: Endpoint,
    /// `tls`: without it the listener speaks plain HTTP.
    pub tls: Option<Tls>,
    /// Decoded bytes of one request.
    pub max_request_body_bytes: u64,
    /// Bounds on connections.
    pub connections: Connections,
    /// Who may use the listener.
    pub access: Access,
}

/// `receivers.grpc`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GrpcReceiver {
    /// Where to listen, if at all.
    pub endpoint: Listen,
    /// `tls`; the one of `http` where the section is not written.
    pub tls: Option<Tls>,
}

/// Bounds on connections: `max_connections` and its neighbours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connections {
    /// `max_connections`: connections at once.
    pub max: u32,
    /// `max_connections_per_peer`: of these, from one address; `None`: half of them.
    pub max_per_peer: Option<u32>,
    /// `write_timeout`: how long a client may leave an answer unread.
    pub write_timeout: Duration,
    /// `max_connection_age`: after that a connection ends with the request that is under way.
    pub max_age: Duration,
}

impl Connections {
    /// Of one address at once.
    #[must_use]
    pub fn of_a_peer(&self) -> u32 {
        let half = self.max.div_ceil(2);
        self.max_per_peer.unwrap_or(half).min(self.max)
    }
}

/// Who may use a listener.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Access {
    /// `auth.tokens`: accepted bearer tokens. Empty: everybody who reaches the endpoint may send.
    pub tokens: Vec<AcceptedToken>,
    /// `allowed_hosts`: names beside the listen addresses that a request without a token may name as its host.
    pub allowed_hosts: Vec<String>,
    /// `cors.allowed_origins`: web pages that may send events.
    pub allowed_origins: Vec<String>,
    /// `cors.allowed_headers`: what these pages may send beside the headers that the receivers read.
    pub allowed_headers: Vec<String>,
}

/// An accepted token: one of `receivers.http.auth.tokens`, or of the command line or the environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AcceptedToken {
    /// Kept with every event that was sent with the token, and part of the event's identity.
    pub label: String,
    /// The token itself.
    pub token: Secret,
    /// `projects`: the projects that it may send to. Empty: all, and whatever names no project.
    pub projects: Vec<String>,
}

impl AcceptedToken {
    /// What is wrong with it beside those that are accepted already; the token is in no message.
    #[must_use]
    pub fn trouble(&self, others: &[Self]) -> Option<(&'static str, String, &'static str)> {
        let is_sendable = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic());
        if !is_sendable(self.token.expose()) {
            let message = "a token has no spaces, control characters or letters beyond ASCII";
            return Some(("token", message.to_owned(), "choose another token"));
        }
        if others.iter().any(|other| other.label == self.label) {
            let message = "label used twice".to_owned();
            return Some(("label", message, "give each token its own label"));
        }
        let same = |other: &&Self| other.token == self.token;
        if let Some(other) = others.iter().find(same) {
            let message = format!("the same token as `{}`", other.label);
            return Some(("token", message, "give each label its own token"));
        }
        let is_not_id = |project: &&String| !is_project_id(project);
        let project = self.projects.iter().find(is_not_id)?;
        let message = format!("`{project}` is not a project id");
        let fix = "write ids as they stand in /projects/{id}/: letters, digits, `_` and `-`";
        Some(("projects", message, fix))
    }
}

/// Reads the section.
pub(super) fn read(
    mut section: Section<'_>,
    queue: &SendingQueue,
    problems: &Problems,
) -> Receivers {
    let http = http_receiver(section.child("http"), queue, problems);
    let grpc = grpc_receiver(section.child("grpc"), http.tls.as_ref(), problems);
    let metric_kinds = metric_kinds(&section.child("metric_kinds"), problems);
    section.finish();
    Receivers {
        http,
        grpc,
        metric_kinds,
    }
}

fn grpc_receiver(
    mut section: Section<'_>,
    tls_of_http: Option<&Tls>,
    problems: &Problems,
) -> GrpcReceiver {
    let fix = "write `address:port`, such as `127.0.0.1:4317`, or `off`";
    let endpoint = section
        .parsed("endpoint", "an endpoint", fix)
        .map(|found: Found<Listen>| found.value);
    let tls = tls(section.child("tls"), problems);
    section.finish();
    let endpoint = endpoint
        .or_else(|| defaults::GRPC_ENDPOINT.parse().ok())
        .unwrap_or(Listen::Off);
    GrpcReceiver {
        endpoint,
        tls: tls.or_else(|| tls_of_http.cloned()),
    }
}

fn http_receiver(
    mut section: Section<'_>,
    queue: &SendingQueue,
    problems: &Problems,
) -> HttpReceiver {
    let fix = "write `address:port`, such as `127.0.0.1:4318`, or `0.0.0.0:4318` for all addresses";
    let endpoint = section
        .parsed("endpoint", "an endpoint", fix)
        .map(|found: Found<Endpoint>| found.value);
    let max_request_body_bytes =
        section.size("max_request_body_size", defaults::MAX_REQUEST_BODY_BYTES);
    let tls = tls(section.child("tls"), problems);
    let connections = connections(&mut section);
    let access = access(&mut section, problems);
    // The queue must be able to take a request while another is on its way out.
    if max_request_body_bytes.saturating_mul(2) > queue.max_memory_bytes {
        let message = format!(
            "two requests of {} do not fit into sending_queue.max_memory of {}",
            show_size(max_request_body_bytes),
            show_size(queue.max_memory_bytes)
        );
        let path = section.path_of("max_request_body_size");
        problems.add_with_fix(
            section.place("max_request_body_size"),
            &path,
            message,
            "lower the one or raise the other",
        );
    }
    section.finish();
    let endpoint = endpoint
        .or_else(|| defaults::ENDPOINT.parse().ok())
        .unwrap_or(Endpoint {
            host: "127.0.0.1".to_owned(),
            port: 4318,
        });
    HttpReceiver {
        endpoint,
        tls,
        max_request_body_bytes,
        connections,
        access,
    }
}

fn connections(section: &mut Section<'_>) -> Connections {
    const MOST: u32 = 65_536;
    let max = section.count("max_connections", defaults::MAX_CONNECTIONS, MOST);
    let per_peer = section.count("max_connections_per_peer", 0, MOST);
    Connections {
        max,
        max_per_peer: (per_peer > 0).then_some(per_peer),
        write_timeout: section.positive_duration("write_timeout", defaults::WRITE_TIMEOUT),
        max_age: section.positive_duration("max_connection_age", defaults::MAX_CONNECTION_AGE),
    }
}

fn access(section: &mut Section<'_>, problems: &Problems) -> Access {
    let mut auth = section.child("auth");
    let tokens = tokens(&mut auth, problems);
    auth.finish();
    let fix = "write a name or an address, without a scheme and a port";
    let allowed_hosts = words(section, "allowed_hosts", problems, |text| {
        let is_host = format!("[{text}]:1").parse::<Endpoint>().is_ok()
            || format!("{text}:1").parse::<Endpoint>().is_ok();
        is_host.then(|| text.to_ascii_lowercase()).ok_or(fix)
    });
    let mut cors = section.child("cors");
    let fix =
        "write scheme, host and port as a browser sends them, such as `https://app.example.com`";
    let allowed_origins = words(&mut cors, "allowed_origins", problems, |text| {
        let origin = url::Url::parse(text).ok().filter(url::Url::has_host);
        let origin = origin.map(|url| url.origin().ascii_serialization());
        origin
            .filter(|origin| text.trim_end_matches('/').eq_ignore_ascii_case(origin))
            .ok_or(fix)
    });
    let fix = "write the name of a header, such as `x-request-id`";
    let allowed_headers = words(&mut cors, "allowed_headers", problems, |text| {
        let name = text.parse::<http::HeaderName>();
        name.map(|name| name.as_str().to_owned()).map_err(|_| fix)
    });
    cors.finish();
    Access {
        tokens,
        allowed_hosts,
        allowed_origins,
        allowed_headers,
    }
}

/// A list of texts, each as `read` makes it, which says what to write instead of a wrong one.
fn words(
    section: &mut Section<'_>,
    key: &'static str,
    problems: &Problems,
    read: impl Fn(&str) -> Result<String, &'static str>,
) -> Vec<String> {
    let path = section.path_of(key);
    let mut all = Vec::new();
    for (index, node) in section.list(key).unwrap_or_default().iter().enumerate() {
        let path = format!("{path}[{index}]");
        let Some(word) = text_of(node, &path, problems) else {
            continue;
        };
        match read(&word.value) {
            Ok(word) => all.push(word),
            Err(fix) => {
                let message = format!("{} does not belong here", node.describe());
                problems.add_with_fix(word.at, &path, message, fix);
            }
        }
    }
    all
}

fn tls(mut section: Section<'_>, problems: &Problems) -> Option<Tls> {
    let mut file = |key| section.text(key).map(|found| PathBuf::from(found.value));
    let (cert_file, key_file) = (file("cert_file"), file("key_file"));
    let client_ca_file = file("client_ca_file");
    let tls = match (cert_file, key_file) {
        (Some(cert_file), Some(key_file)) => Some(Tls {
            cert_file,
            key_file,
            client_ca_file,
        }),
        (None, None) if client_ca_file.is_none() => None,
        _ => {
            let message = "TLS needs cert_file and key_file";
            let path = section.path_of("cert_file");
            problems.add_with_fix(section.at(), &path, message, "write both");
            None
        }
    };
    section.finish();
    tls
}

fn tokens(auth: &mut Section<'_>, problems: &Problems) -> Vec<AcceptedToken> {
    let path = auth.path_of("tokens");
    let mut tokens: Vec<AcceptedToken> = Vec::new();
    for (index, node) in auth.list("tokens").unwrap_or_default().iter().enumerate() {
        let path = format!("{path}[{index}]");
        let mut section = Section::open(node, &path, problems);
        let label = section.text("label");
        let token = secret_text(&mut section, "token", problems);
        let has_projects = section.entry("projects").is_some();
        let projects = words(&mut section, "projects", problems, |text| {
            Ok(text.to_owned())
        });
        // An empty list must not open what it was to close.
        if has_projects && projects.is_empty() {
            problems.add_with_fix(
                section.place("projects"),
                &section.path_of("projects"),
                "no project is listed",
                "list at least one, or remove the key for all",
            );
        }
        let is_complete = section.entry("label").is_some() && section.entry("token").is_some();
        if !is_complete {
            problems.add_with_fix(
                section.at(),
                &path,
                "a token needs `label` and `token`",
                "write both",
            );
        }
        if let (Some(label), Some(token)) = (label, token) {
            let token = AcceptedToken {
                label: label.value,
                token,
                projects,
            };
            if let Some((key, message, fix)) = token.trouble(&tokens) {
                let place = section.place(key);
                problems.add_with_fix(place, &section.path_of(key), message, fix);
            }
            tokens.push(token);
        }
        section.finish();
    }
    tokens
}

/// Text of a secret: its value is in no message.
fn secret_text(
    section: &mut Section<'_>,
    key: &'static str,
    problems: &Problems,
) -> Option<Secret> {
    let path = section.path_of(key);
    let node = &section.entry(key)?.value;
    match &node.kind {
        Kind::Scalar(scalar) if scalar.is_text() && !scalar.text.is_empty() => {
            Some(Secret::new(scalar.text.clone()))
        }
        Kind::Scalar(scalar) if scalar.text.is_empty() => {
            problems.add_with_fix(node.at, &path, "empty", "write a token, or remove the item");
            None
        }
        Kind::Scalar(_) | Kind::List(_) | Kind::Map(_) => {
            problems.add_with_fix(node.at, &path, "not text", "put the token in quotes");
            None
        }
    }
}

fn metric_kinds(section: &Section<'_>, problems: &Problems) -> BTreeMap<String, Instrument> {
    let choices = [
        ("counter", Instrument::Counter),
        ("histogram", Instrument::Histogram),
        ("gauge", Instrument::Gauge),
    ];
    let mut kinds = BTreeMap::new();
    for entry in section.own_entries() {
        let path = section.path_of(&entry.key);
        let Some(word) = text_of(&entry.value, &path, problems) else {
            continue;
        };
        match choices.iter().find(|(name, _)| *name == word.value) {
            Some((_, kind)) => {
                kinds.insert(entry.key.clone(), *kind);
            }
            None => {
                let message = format!("`{}` is not a kind of metric", word.value);
                problems.add_with_fix(
                    word.at,
                    &path,
                    message,
                    "write one of counter, histogram, gauge",
                );
            }
        }
    }
    kinds
}
