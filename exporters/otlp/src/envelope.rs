//! A whole request: items grouped by what they came from. One for each OTLP signal.

use mastra_exporter_sdk::json::JsonText;
use mastra_exporter_sdk::records::{EventResource, EventScope, FeedbackItem, Log, Score, Span};

use crate::attributes::{Attributes, Key};
use crate::encode::{Encoder, Encoding, Field, field};
use crate::json::JsonEncoder;
use crate::protobuf::ProtobufEncoder;

/// Fields of the three levels of a request.
#[derive(Clone, Copy, Debug)]
pub struct Envelope {
    resources: Field,
    scopes: Field,
    items: Field,
}

/// `ExportTraceServiceRequest`
pub const SPANS: Envelope = Envelope {
    resources: field!(1, "resourceSpans").wide(3),
    scopes: field!(2, "scopeSpans").wide(3),
    items: field!(2, "spans").wide(2),
};
/// `ExportLogsServiceRequest`
pub const LOGS: Envelope = Envelope {
    resources: field!(1, "resourceLogs").wide(3),
    scopes: field!(2, "scopeLogs").wide(3),
    items: field!(2, "logRecords").wide(2),
};
/// `ExportMetricsServiceRequest`
pub const METRICS: Envelope = Envelope {
    resources: field!(1, "resourceMetrics").wide(2),
    scopes: field!(2, "scopeMetrics").wide(2),
    items: field!(2, "metrics").wide(2),
};

const RESOURCE: Field = field!(1, "resource");
const SCOPE: Field = field!(1, "scope");
const SCHEMA_URL: Field = field!(3, "schemaUrl");
/// Fields of `Resource`.
const RESOURCE_ATTRIBUTES: Field = field!(1, "attributes");
const RESOURCE_DROPPED: Field = field!(2, "droppedAttributesCount");
/// Fields of `InstrumentationScope`.
const NAME: Field = field!(1, "name");
const VERSION: Field = field!(2, "version");
const SCOPE_ATTRIBUTES: Field = field!(3, "attributes");
const SCOPE_DROPPED: Field = field!(4, "droppedAttributesCount");

/// Where an item belongs: indices into the batch's resources and scopes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// Index into `resources`.
    pub resource: Option<u32>,
    /// Index into `scopes`.
    pub scope: Option<u32>,
}

/// What belongs to a resource, and to a scope when an OTLP sender said so.
pub trait Placed {
    /// Where it belongs.
    fn place(&self) -> Place;
}

impl<T: Placed> Placed for &T {
    fn place(&self) -> Place {
        (**self).place()
    }
}

impl Placed for Span {
    fn place(&self) -> Place {
        Place {
            resource: self.resource_index,
            scope: self.otel.as_ref().and_then(|otel| otel.scope_index),
        }
    }
}

impl Placed for Log {
    fn place(&self) -> Place {
        Place {
            resource: self.resource_index,
            scope: self.otel.as_ref().and_then(|otel| otel.scope_index),
        }
    }
}

impl Placed for Score {
    fn place(&self) -> Place {
        Place {
            resource: self.resource_index,
            scope: None,
        }
    }
}

impl Placed for FeedbackItem {
    fn place(&self) -> Place {
        Place {
            resource: self.resource_index,
            scope: None,
        }
    }
}

/// What the items of a request are and where they came from.
pub trait Parts<T: Placed> {
    /// What resources and scopes look like.
    fn origin(&self) -> Origin<'_>;
    /// The fields of an item.
    fn item<E: Encoder>(&mut self, encoder: &mut E, item: &T);
}

/// Whoever sends, as resources and scopes of Mastra's own events say it. What an OTLP sender said stays as it is.
#[derive(Clone, Copy, Debug)]
pub struct Sender<'a> {
    /// `service.name` of events that name no service.
    pub service_name: &'a str,
    /// Resource attributes that the operator sets; they win over the event's.
    pub attributes: &'a [(String, String)],
    /// Whether resources name the event's environment, `deployment.environment.name`.
    pub names_environment: bool,
    /// `telemetry.sdk.name` and `.version`.
    pub sdk: Option<(&'a str, &'a str)>,
    /// Name and version of the scope of events that have none.
    pub scope: (&'a str, &'a str),
}

/// Resources and scopes of a batch.
#[derive(Clone, Copy, Debug)]
pub struct Origin<'a> {
    /// Of the batch.
    pub resources: &'a [EventResource],
    /// Of the batch.
    pub scopes: &'a [EventScope],
    /// For what they leave open.
    pub sender: Sender<'a>,
}

impl Origin<'_> {
    fn resource(&self, index: Option<u32>) -> Option<&EventResource> {
        self.resources.get(usize::try_from(index?).ok()?)
    }

    fn scope(&self, index: Option<u32>) -> Option<&EventScope> {
        self.scopes.get(usize::try_from(index?).ok()?)
    }

    fn write_resource<E: Encoder>(&self, encoder: &mut E, index: Option<u32>) {
        let from = self.resource(index);
        let own = from.and_then(|from| from.attributes.as_deref());
        let set = self.sender.attributes;
        let is_set = |key: &str| set.iter().any(|(name, _)| name == key);
        encoder.attributes(RESOURCE_ATTRIBUTES, |sink| {
            if let Some(own) = own {
                for (key, value) in mastra_exporter_sdk::raw::members(own) {
                    if !is_set(key) {
                        sink.value(Key::under("", key), value);
                    }
                }
            } else {
                self.name_service(sink, from, is_set);
            }
            for (key, value) in set {
                let mut name = JsonText::default();
                name.escaped(key);
                sink.text(Key::under("", name.as_str()), value);
            }
        });
        let dropped = from.map_or(0, |from| from.dropped_attributes_count);
        encoder.unsigned(RESOURCE_DROPPED, dropped);
    }

    fn name_service<S: Attributes>(
        &self,
        sink: &mut S,
        from: Option<&EventResource>,
        is_set: impl Fn(&str) -> bool,
    ) {
        let service = from.and_then(|from| from.service_name.as_deref());
        let texts = [
            (
                "service.name",
                Some(service.unwrap_or(self.sender.service_name)),
            ),
            (
                "service.version",
                from.and_then(|from| from.service_version.as_deref()),
            ),
            (
                "deployment.environment.name",
                from.and_then(|from| from.environment.as_deref())
                    .filter(|_| self.sender.names_environment),
            ),
            // The SDK that recorded the events is Mastra's, which runs on Node.
            ("telemetry.sdk.language", self.sender.sdk.map(|_| "nodejs")),
            ("telemetry.sdk.name", self.sender.sdk.map(|(name, _)| name)),
            (
                "telemetry.sdk.version",
                self.sender.sdk.map(|(_, version)| version),
            ),
        ];
        for (key, value) in texts {
            if let Some(value) = value.filter(|_| !is_set(key)) {
                sink.text(Key::of(key), value);
            }
        }
    }

    fn write_scope<E: Encoder>(&self, encoder: &mut E, index: Option<u32>) {
        match self.scope(index) {
            Some(scope) => {
                encoder.text_of(NAME, &[&scope.name]);
                encoder.text_if(VERSION, scope.version.as_ref());
                encoder.attribute_object(SCOPE_ATTRIBUTES, scope.attributes.as_ref());
                encoder.unsigned(SCOPE_DROPPED, scope.dropped_attributes_count);
            }
            None => {
                let (name, version) = self.sender.scope;
                encoder.text_of(NAME, &[name]);
                if !version.is_empty() {
                    encoder.text_of(VERSION, &[version]);
                }
            }
        }
    }
}

impl Envelope {
    /// A whole request: items grouped by resource and scope, each group in the batch's order. `capacity` is about how
    /// many bytes it takes.
    pub fn encode<T: Placed, P: Parts<T>>(
        self,
        encoding: Encoding,
        capacity: usize,
        items: &[T],
        parts: &mut P,
    ) -> Vec<u8> {
        match encoding {
            Encoding::Protobuf => {
                let mut encoder = ProtobufEncoder::with_capacity(capacity);
                self.write(&mut encoder, items, parts);
                encoder.finish()
            }
            Encoding::Json => self.json(capacity, items, parts).into_bytes(),
        }
    }

    /// As [`Envelope::encode`], in JSON.
    pub fn json<T: Placed, P: Parts<T>>(
        self,
        capacity: usize,
        items: &[T],
        parts: &mut P,
    ) -> JsonText {
        let mut encoder = JsonEncoder::with_capacity(capacity);
        self.write(&mut encoder, items, parts);
        encoder.finish()
    }

    fn write<T: Placed, P: Parts<T>, E: Encoder>(
        self,
        encoder: &mut E,
        items: &[T],
        parts: &mut P,
    ) {
        let mut places: Vec<Place> = Vec::new();
        let mut resources: Vec<Option<u32>> = Vec::new();
        for item in items {
            let place = item.place();
            if places.last() == Some(&place) || places.contains(&place) {
                continue;
            }
            places.push(place);
            if !resources.contains(&place.resource) {
                resources.push(place.resource);
            }
        }
        encoder.messages(self.resources, resources, |encoder, resource| {
            encoder.message(RESOURCE, |encoder| {
                parts.origin().write_resource(encoder, resource);
            });
            let of_resource = places.iter().filter(|place| place.resource == resource);
            encoder.messages(self.scopes, of_resource, |encoder, place| {
                encoder.message(SCOPE, |encoder| {
                    parts.origin().write_scope(encoder, place.scope);
                });
                let of_scope = items.iter().filter(|item| item.place() == *place);
                encoder.messages(self.items, of_scope, |encoder, item| {
                    parts.item(encoder, item);
                });
                let origin = parts.origin();
                let scope = origin.scope(place.scope);
                encoder.text_if(
                    SCHEMA_URL,
                    scope.and_then(|scope| scope.schema_url.as_ref()),
                );
            });
            let origin = parts.origin();
            let from = origin.resource(resource);
            encoder.text_if(SCHEMA_URL, from.and_then(|from| from.schema_url.as_ref()));
        });
    }
}
