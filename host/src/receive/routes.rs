//! The paths of the listeners and what a request goes through: gate, loop check, project, body, records, queue, dead
//! letters, answer. Called by `server`.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::http::header::{CONTENT_TYPE, EXPECT};
use axum::http::{HeaderMap, Method, Request, Response};
use axum::routing::{MethodRouter, get, post};
use bytes::Bytes;

use super::answer::{self, RequestError};
use super::auth::Sender;
use super::batch::{Batch, RefusedItem};
use super::body::Framing;
use super::counts::Counts;
use super::gate::{self, Caller};
use super::limits::{InflightBytes, Share};
use super::platform::Target;
use super::server::Transport;
use super::{Accepted, Intake, Settings, body, events, grpc, otlp, platform};
use crate::event::fields::{FieldError, excerpt};
use crate::event::{EventKind, Source};
use crate::http::hop::Passed;

/// The receivers of one host: what requests share.
pub struct Receiver<I> {
    intake: Arc<I>,
    settings: Arc<Settings>,
    inflight: InflightBytes,
    counts: Arc<Counts>,
}

/// In which form a request brings its events.
enum Protocol {
    /// Lines or an array of envelopes.
    Events,
    Platform(Target),
    Otlp(otlp::Request, otlp::Encoding),
    Grpc(otlp::Request),
}

impl Protocol {
    /// Kept with every event as the receiver that it came by.
    const fn receiver(&self) -> &'static str {
        match self {
            Self::Events => "events",
            Self::Platform(_) => "platform",
            Self::Otlp(..) | Self::Grpc(_) => "otlp",
        }
    }

    fn project_id(&self) -> Option<&str> {
        match self {
            Self::Platform(target) => target.project_id.as_deref(),
            Self::Events | Self::Otlp(..) | Self::Grpc(_) => None,
        }
    }

    /// What a body is about that cannot be read.
    const fn kind(&self) -> Option<EventKind> {
        match self {
            Self::Platform(target) => Some(target.kind),
            Self::Events | Self::Otlp(..) | Self::Grpc(_) => None,
        }
    }

    const fn framing(&self) -> Framing {
        match self {
            Self::Events | Self::Platform(_) | Self::Otlp(..) => Framing::Http,
            Self::Grpc(_) => Framing::Grpc,
        }
    }

    async fn read(
        &self,
        body: &Bytes,
        received_at: u64,
        source: &Arc<Source>,
        is_forwarded: bool,
    ) -> Result<Batch, FieldError> {
        let otlp = |request, encoding| {
            let origin = otlp::Origin {
                received_at,
                source,
                is_forwarded,
            };
            otlp::read(body, request, encoding, origin)
        };
        match self {
            Self::Events => events::read(body, received_at, source).await,
            Self::Platform(target) => platform::read(body, target, received_at, source).await,
            Self::Otlp(request, encoding) => otlp(*request, *encoding).await,
            Self::Grpc(request) => otlp(*request, otlp::Encoding::Protobuf).await,
        }
    }
}

impl<I: Intake> Receiver<I> {
    /// Receivers that hand events to `intake`.
    #[must_use]
    pub fn new(intake: I, settings: Settings, counts: Arc<Counts>) -> Self {
        let inflight = InflightBytes::new(&settings.limits);
        Self {
            intake: Arc::new(intake),
            settings: Arc::new(settings),
            inflight,
            counts,
        }
    }

    /// What listens beside it: the same intake, settings and bounds, counted apart.
    #[must_use]
    pub fn beside(&self, counts: Arc<Counts>) -> Self {
        Self {
            intake: Arc::clone(&self.intake),
            settings: Arc::clone(&self.settings),
            inflight: self.inflight.clone(),
            counts,
        }
    }

    /// The methods of OTLP/gRPC.
    pub fn grpc_router(self) -> Router {
        let (gate, limits) = (
            Arc::clone(&self.settings.gate),
            self.settings.limits.clone(),
        );
        let counts = Arc::clone(&self.counts);
        let router = Router::new()
            .route(grpc::TRACES, grpc_method::<I>(otlp::Request::Traces))
            .route(grpc::LOGS, grpc_method::<I>(otlp::Request::Logs))
            .route(grpc::METRICS, grpc_method::<I>(otlp::Request::Metrics))
            .fallback(async || grpc::no_such_method())
            .with_state(Arc::new(self));
        gate.guard(router, Transport::Http2, &limits, Some(counts))
    }

    /// The paths of this room. `others` are the routes of other rooms; a path of theirs must not be one of these.
    pub fn router(self, others: Router) -> Router {
        let (gate, limits) = (
            Arc::clone(&self.settings.gate),
            self.settings.limits.clone(),
        );
        let counts = Arc::clone(&self.counts);
        let router = Router::new()
            .route("/v1/events", post(post_events::<I>))
            .route(otlp::TRACES, otlp_path::<I>(otlp::Request::Traces))
            .route(otlp::LOGS, otlp_path::<I>(otlp::Request::Logs))
            .route(otlp::METRICS, otlp_path::<I>(otlp::Request::Metrics))
            .route(
                "/healthz",
                get(|State(it): State<Arc<Self>>| async move {
                    answer::page(it.settings.status.health())
                }),
            )
            .route(
                "/readyz",
                get(
                    |State(it): State<Arc<Self>>, RawQuery(query): RawQuery| async move {
                        let verbose = gate::is_verbose(query.as_deref());
                        answer::page(it.settings.status.ready(verbose))
                    },
                ),
            )
            .route(
                "/metrics",
                get(|State(it): State<Arc<Self>>| async move {
                    answer::page(it.settings.status.metrics())
                }),
            )
            .fallback(publish_or_nothing::<I>)
            .method_not_allowed_fallback(async || answer::wrong_method())
            .with_state(Arc::new(self))
            .merge(others);
        gate.guard(router, Transport::Http1, &limits, Some(counts))
    }

    /// One request to a receiver.
    async fn receive(&self, request: Request<Body>, protocol: Protocol) -> Response<Body> {
        self.counts.request();
        let (parts, mut body) = request.into_parts();
        let caller = parts.extensions.get::<Caller>();
        let received = self.try_receive(caller, &parts.headers, &mut body, &protocol);
        match received.await {
            Ok(response) => response,
            Err(error) => {
                self.counts.refused_request();
                tracing::debug!(%error, "Request refused.");
                let leaves_the_rest = match protocol.framing() {
                    Framing::Http => parts.headers.contains_key(EXPECT),
                    // The stream ends alone, after the answer.
                    Framing::Grpc => true,
                };
                if error.is_early() && !leaves_the_rest {
                    body::discard(&mut body, &self.settings.limits).await;
                }
                match protocol {
                    Protocol::Grpc(_) => grpc::refused(&error),
                    Protocol::Otlp(_, encoding) => otlp::refused(encoding, &error),
                    Protocol::Events | Protocol::Platform(_) => error.response(),
                }
            }
        }
    }

    async fn try_receive(
        &self,
        caller: Option<&Caller>,
        headers: &HeaderMap,
        body: &mut Body,
        protocol: &Protocol,
    ) -> Result<Response<Body>, RequestError> {
        // Nothing comes here but through the gate.
        let caller = caller.ok_or(RequestError::Unauthorized)?;
        let passed = self.settings.hop.passed(headers);
        if caller.is_authenticated() && passed == Passed::ThisHost {
            return Err(RequestError::Loop);
        }
        let sender = caller.sender.as_deref();
        if let Some(sender) = sender.filter(|it| !it.may_write_to(protocol.project_id())) {
            return Err(other_project(sender, protocol.project_id()));
        }
        let (framing, limits) = (protocol.framing(), &self.settings.limits);
        let (body, share) = body::read(body, headers, framing, limits, &self.inflight).await?;
        self.counts.body(body.len());
        let source = Arc::new(Source {
            receiver: protocol.receiver().to_owned(),
            project_id: protocol.project_id().map(str::to_owned),
            token_label: sender.map(|sender| sender.label.clone()),
        });
        let received_at = (self.settings.clock)();
        let is_forwarded = passed != Passed::NoHost;
        match protocol
            .read(&body, received_at, &source, is_forwarded)
            .await
        {
            Ok(batch) => {
                self.hand_over(batch, received_at, source, share, protocol)
                    .await
            }
            Err(error) => {
                self.keep_unreadable(error.clone(), &body, protocol.kind(), received_at, &source);
                Err(RequestError::Shape(error))
            }
        }
    }

    /// Refused items are kept only once the good ones are safe: otherwise the sender sends all of them again.
    async fn hand_over(
        &self,
        batch: Batch,
        received_at: u64,
        source: Arc<Source>,
        share: Share,
        protocol: &Protocol,
    ) -> Result<Response<Body>, RequestError> {
        let Batch {
            events,
            refused,
            refused_total,
            drop_reports,
        } = batch;
        let accepted = if events.is_empty() {
            Accepted::default()
        } else {
            self.intake.accept(events).await?
        };
        drop(share);
        self.counts.taken(accepted, refused_total);
        for (signal, count) in &drop_reports {
            self.counts.drop_report(*signal, *count);
        }
        let reports = drop_reports.len() as u64;
        let max_rejected = self.settings.limits.max_rejected_in_answer;
        let response = match *protocol {
            Protocol::Otlp(request, encoding) => {
                otlp::taken(request, encoding, &refused, refused_total)
            }
            Protocol::Grpc(_) => grpc::taken(&refused, refused_total),
            Protocol::Events | Protocol::Platform(_) => {
                answer::taken(accepted, reports, &refused, refused_total, max_rejected)
            }
        };
        if refused_total > 0 {
            tracing::debug!(refused_total, receiver = %source.receiver, "Items refused.");
            let not_kept = refused_total.saturating_sub(refused.len() as u64);
            let letters = refused
                .into_iter()
                .map(|item| item.into_letter(received_at, &source));
            self.settings.refused.keep(letters.collect(), not_kept);
        }
        Ok(response)
    }

    fn keep_unreadable(
        &self,
        error: FieldError,
        body: &Bytes,
        kind: Option<EventKind>,
        received_at: u64,
        source: &Arc<Source>,
    ) {
        let item = RefusedItem::new(0, kind, error, body);
        self.settings
            .refused
            .keep(vec![item.into_letter(received_at, source)], 0);
    }
}

fn other_project(sender: &Sender, project: Option<&str>) -> RequestError {
    RequestError::OtherProject {
        label: sender.label.clone(),
        projects: sender.projects.join(", "),
        named: match project {
            Some(project) => format!("is for `{}`", excerpt(project)),
            None => "names no project".to_owned(),
        },
    }
}

async fn post_events<I: Intake>(
    State(receiver): State<Arc<Receiver<I>>>,
    request: Request<Body>,
) -> Response<Body> {
    receiver.receive(request, Protocol::Events).await
}

fn otlp_path<I: Intake>(kind: otlp::Request) -> MethodRouter<Arc<Receiver<I>>> {
    post(
        async move |State(receiver): State<Arc<Receiver<I>>>, request: Request<Body>| {
            match otlp::Encoding::of(request.headers()) {
                Ok(encoding) => {
                    receiver
                        .receive(request, Protocol::Otlp(kind, encoding))
                        .await
                }
                Err(media_type) => RequestError::ContentType(media_type).response(),
            }
        },
    )
}

fn grpc_method<I: Intake>(kind: otlp::Request) -> MethodRouter<Arc<Receiver<I>>> {
    post(
        async move |State(receiver): State<Arc<Receiver<I>>>, request: Request<Body>| {
            if grpc::is_spoken(request.headers().get(CONTENT_TYPE)) {
                receiver.receive(request, Protocol::Grpc(kind)).await
            } else {
                grpc::not_spoken()
            }
        },
    )
}

/// The platform's paths have any prefix, which no route pattern can say.
async fn publish_or_nothing<I: Intake>(
    State(receiver): State<Arc<Receiver<I>>>,
    request: Request<Body>,
) -> Response<Body> {
    match platform::target(request.uri().path()) {
        None => answer::no_such_path(),
        Some(_) if request.method() != Method::POST => answer::post_only(),
        Some(target) => receiver.receive(request, Protocol::Platform(target)).await,
    }
}
