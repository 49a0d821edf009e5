//! Settings of this destination: what the host is told of them, and the checked form that the rest uses. Names of
//! environment variables are those of the OpenTelemetry specification
//! (<https://opentelemetry.io/docs/specs/otel/protocol/exporter/>, read 2026-11) and of the vendors.

use std::collections::BTreeMap;
use std::time::Duration;

use mastra_exporter_sdk::http::Auth;
use mastra_exporter_sdk::settings::{Setting, SettingError, SettingsSchema};
use mastra_metrics::Options;
use mastra_metrics::aggregator::{DEFAULT_BOUNDS, DEFAULT_MAX_SERIES};
use mastra_otlp::encode::Encoding;
use serde::Deserialize;

use crate::wire::{KeyIn, SIGNOZ_REGIONS, VENDORS, Vendor};

/// Items a batch.
pub const MAX_ITEMS: u32 = 512;

/// Bytes a batch, of the events' JSON text; vendors take 1 to 4 MB.
pub const MAX_BYTES: u32 = 1 << 20;

/// How often metrics are sent.
pub const FLUSH_INTERVAL: Duration = Duration::from_secs(15);

/// What Mastra itself calls a service without a name.
const DEFAULT_SERVICE_NAME: &str = "mastra-service";

const PRESETS: &[&str] = &[
    "custom",
    "dash0",
    "signoz",
    "newrelic",
    "traceloop",
    "laminar",
    "honeycomb",
    "grafana",
];
const PROTOCOLS: &[&str] = &["http/protobuf", "http/json"];
const COMPRESSIONS: &[&str] = &["gzip", "none"];
const TEMPORALITIES: &[&str] = &[
    "delta",
    "cumulative",
    "lowmemory",
    "DELTA",
    "CUMULATIVE",
    "LOWMEMORY",
];

/// The settings as the host hands them over.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Settings {
    /// One of [`PRESETS`].
    pub preset: Option<String>,
    /// Base URL; `/v1/traces` and its like are appended.
    pub endpoint: Option<String>,
    /// Verbatim.
    pub traces_endpoint: Option<String>,
    /// Verbatim.
    pub logs_endpoint: Option<String>,
    /// Verbatim.
    pub metrics_endpoint: Option<String>,
    /// One of [`PROTOCOLS`].
    pub protocol: Option<String>,
    /// One of [`COMPRESSIONS`].
    pub compression: Option<String>,
    /// On every request.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// `name=value,name=value`, values percent-encoded.
    pub header_list: Option<String>,
    /// Placeholder of a key of a backend without preset.
    pub api_key: Option<String>,
    /// The header that carries it; else it is a bearer token.
    pub api_key_header: Option<String>,
    /// Milliseconds.
    pub timeout: Option<u64>,
    /// `service.name` of events that name no service.
    pub service_name: Option<String>,
    /// On every resource.
    #[serde(default)]
    pub resource_attributes: BTreeMap<String, String>,
    /// `name=value,name=value`, values percent-encoded.
    pub resource_attribute_list: Option<String>,
    /// One of [`TEMPORALITIES`].
    pub temporality: Option<String>,
    /// Numbers with commas between them.
    pub histogram_bounds: Option<String>,
    /// Series that are held.
    pub max_series: Option<usize>,
    /// Keys, endpoints and whatever else the vendors have of their own.
    #[serde(flatten)]
    pub of_vendors: BTreeMap<String, String>,
}

/// What the host is told of the settings.
#[must_use]
pub fn schema() -> SettingsSchema {
    let schema = endpoints(
        SettingsSchema::new().with(
            Setting::choice("preset", PRESETS)
                .about("A vendor, or custom. Without it, the vendor whose key is set."),
        ),
    );
    let schema = vendors(requests(schema));
    schema
        .with(
            Setting::choice("temporality", TEMPORALITIES)
                .about("Whether sums start anew with each point, or are running totals.")
                .env(&["OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE"]),
        )
        .with(
            Setting::text("histogram_bounds")
                .about("Upper bounds of the buckets of histograms, rising: 5,10,25.")
                .pattern(r"^[0-9eE.+\-, ]*$"),
        )
        .with(Setting::integer("max_series", 1, 1_000_000).about(
            "Series of metrics that are held; what comes beyond is counted in an overflow series.",
        ))
}

fn endpoints(schema: SettingsSchema) -> SettingsSchema {
    let verbatim = "Where this signal goes, verbatim.";
    schema
        .with(
            Setting::uri("endpoint")
                .about("Base URL; /v1/traces, /v1/logs and /v1/metrics are appended.")
                .env(&["OTEL_EXPORTER_OTLP_ENDPOINT"]),
        )
        .with(
            Setting::uri("traces_endpoint")
                .about(verbatim)
                .env(&["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"]),
        )
        .with(
            Setting::uri("logs_endpoint")
                .about(verbatim)
                .env(&["OTEL_EXPORTER_OTLP_LOGS_ENDPOINT"]),
        )
        .with(
            Setting::uri("metrics_endpoint")
                .about(verbatim)
                .env(&["OTEL_EXPORTER_OTLP_METRICS_ENDPOINT"]),
        )
}

fn requests(schema: SettingsSchema) -> SettingsSchema {
    schema
        .with(
            Setting::choice("protocol", PROTOCOLS)
                .about("Encoding of requests; http/protobuf, or what the preset takes best.")
                .env(&["OTEL_EXPORTER_OTLP_PROTOCOL"]),
        )
        .with(
            Setting::choice("compression", COMPRESSIONS)
                .about("Compression of requests; gzip.")
                .env(&["OTEL_EXPORTER_OTLP_COMPRESSION"]),
        )
        .with(Setting::text_map("headers").about("Headers of every request; not for secrets."))
        .with(
            Setting::text("header_list")
                .about("As headers: name=value,name=value, values percent-encoded. The component sees them.")
                .env(&["OTEL_EXPORTER_OTLP_HEADERS"]),
        )
        .with(
            Setting::text("api_key")
                .about("Key of a backend without preset: a bearer token.")
                .secret(),
        )
        .with(Setting::text("api_key_header").about("The header that carries api_key instead."))
        .with(
            Setting::integer("timeout", 1, 600_000)
                .about("Milliseconds that a request may take; 10000.")
                .env(&["OTEL_EXPORTER_OTLP_TIMEOUT"]),
        )
        .with(
            Setting::text("service_name")
                .about("Service of events that name none.")
                .env(&["OTEL_SERVICE_NAME"]),
        )
        .with(
            Setting::text_map("resource_attributes")
                .about("Resource attributes of everything sent; they win over the event's."),
        )
        .with(
            Setting::text("resource_attribute_list")
                .about("As resource_attributes: name=value,name=value.")
                .env(&["OTEL_RESOURCE_ATTRIBUTES"]),
        )
}

fn vendors(mut schema: SettingsSchema) -> SettingsSchema {
    for vendor in &VENDORS {
        schema = schema
            .with(
                Setting::text(vendor.key.0)
                    .about("Key of this vendor.")
                    .env(vendor.key.1)
                    .secret(),
            )
            .with(
                Setting::uri(vendor.endpoint.0)
                    .about("Base URL of this vendor, where it is not its usual one.")
                    .env(vendor.endpoint.1),
            );
    }
    schema
        .with(
            Setting::choice("signoz_region", SIGNOZ_REGIONS)
                .about("Region of SigNoz Cloud; us.")
                .env(&["SIGNOZ_REGION"]),
        )
        .with(
            Setting::text("dash0_dataset")
                .about("Dataset of Dash0.")
                .env(&["DASH0_DATASET"]),
        )
        .with(
            Setting::text("traceloop_destination_id")
                .about("Destination of Traceloop.")
                .env(&["TRACELOOP_DESTINATION_ID"]),
        )
        .with(
            Setting::text("honeycomb_dataset")
                .about("Dataset of Honeycomb for metrics.")
                .env(&["HONEYCOMB_DATASET"]),
        )
        .with(
            Setting::text("grafana_instance_id")
                .about("Numeric instance id of the Grafana Cloud stack.")
                .env(&["GRAFANA_CLOUD_INSTANCE_ID"]),
        )
}

/// The checked settings.
#[derive(Clone, Debug)]
pub struct Config {
    /// `.../v1/traces`
    pub traces_url: String,
    /// `.../v1/logs`
    pub logs_url: String,
    /// `.../v1/metrics`
    pub metrics_url: String,
    /// Of every request.
    pub encoding: Encoding,
    /// Whether the host compresses requests.
    pub is_compressed: bool,
    /// Of every request.
    pub headers: BTreeMap<String, String>,
    /// Credentials, as placeholders.
    pub auth: Option<Auth>,
    /// Of a request.
    pub timeout: Duration,
    /// `service.name` of events that name no service.
    pub service_name: String,
    /// On every resource.
    pub resource_attributes: Vec<(String, String)>,
    /// How metrics are aggregated.
    pub metrics: Options,
}

impl Settings {
    /// Finds the vendor and what follows from it.
    ///
    /// # Errors
    /// Every setting at fault.
    pub fn check(self) -> Result<Config, Vec<SettingError>> {
        let mut errors = Vec::new();
        let vendor = self.vendor().map_err(|error| vec![error])?;
        let base = self.base(vendor);
        let mut url = |own: &Option<String>, setting: &str, path: &str| {
            let url = some(own)
                .map(str::to_owned)
                .or_else(|| Some(format!("{}{path}", base.as_deref()?)));
            match url {
                Some(url) => {
                    errors.extend(SettingError::of_url(setting, &url));
                    url
                }
                None => {
                    let missing = vendor.map_or("endpoint", |vendor| vendor.endpoint.0);
                    if !errors.iter().any(|error| error.setting == missing) {
                        errors.push(SettingError::new(missing, "is needed"));
                    }
                    String::new()
                }
            }
        };
        let urls = [
            url(&self.traces_endpoint, "traces_endpoint", "/v1/traces"),
            url(&self.logs_endpoint, "logs_endpoint", "/v1/logs"),
            url(&self.metrics_endpoint, "metrics_endpoint", "/v1/metrics"),
        ];
        let auth = self.auth(vendor).unwrap_or_else(|error| {
            errors.push(error);
            None
        });
        let bounds = self.bounds().unwrap_or_else(|error| {
            errors.push(error);
            Vec::new()
        });
        if !errors.is_empty() {
            return Err(errors);
        }
        let [traces_url, logs_url, metrics_url] = urls;
        Ok(Config {
            traces_url,
            logs_url,
            metrics_url,
            encoding: match self.protocol.as_deref() {
                Some("http/json") => Encoding::Json,
                Some(_) => Encoding::Protobuf,
                None => vendor.map_or(Encoding::Protobuf, |vendor| vendor.encoding),
            },
            is_compressed: self.compression.as_deref() != Some("none"),
            headers: self.all_headers(vendor),
            auth,
            timeout: Duration::from_millis(self.timeout.unwrap_or(10_000)),
            service_name: some(&self.service_name)
                .unwrap_or(DEFAULT_SERVICE_NAME)
                .to_owned(),
            resource_attributes: {
                let mut all = pairs(self.resource_attribute_list.as_deref().unwrap_or_default());
                all.extend(self.resource_attributes.clone());
                all.into_iter().collect()
            },
            metrics: Options {
                is_cumulative: match self.temporality.as_deref() {
                    Some(word) => word.eq_ignore_ascii_case("cumulative"),
                    None => vendor.is_some_and(|vendor| vendor.is_cumulative),
                },
                bounds: bounds.into(),
                max_series: self.max_series.unwrap_or(DEFAULT_MAX_SERIES),
                keeps_points: false,
            },
        })
    }

    fn of_vendor(&self, setting: &str) -> Option<&str> {
        self.of_vendors
            .get(setting)
            .map(String::as_str)
            .filter(|text| !text.is_empty())
    }

    /// The vendor by name, or the only one whose key is set. `None` is custom.
    fn vendor(&self) -> Result<Option<&'static Vendor>, SettingError> {
        if let Some(preset) = some(&self.preset) {
            return Ok(VENDORS.iter().find(|vendor| vendor.name == preset));
        }
        let mut keyed = VENDORS
            .iter()
            .filter(|vendor| self.of_vendor(vendor.key.0).is_some());
        match (keyed.next(), keyed.next()) {
            _ if self.endpoint.is_some() => Ok(None),
            (vendor, None) => Ok(vendor),
            (Some(first), Some(second)) => Err(SettingError::new(
                "preset",
                format!(
                    "is needed: keys of {} and {} are set",
                    first.name, second.name
                ),
            )),
            (None, Some(_)) => Ok(None),
        }
    }

    /// Without the slash at the end, and without the path of a signal that some documentation puts there.
    fn base(&self, vendor: Option<&Vendor>) -> Option<String> {
        let own = vendor.and_then(|vendor| self.of_vendor(vendor.endpoint.0));
        let usual = || {
            let region = self.of_vendor("signoz_region").unwrap_or("us");
            Some(vendor?.base?.replace("{}", region))
        };
        let set = own.or(some(&self.endpoint)).map(str::to_owned);
        let base = set.or_else(usual)?;
        let base = base.trim().trim_end_matches('/');
        let base = ["/v1/traces", "/v1/logs", "/v1/metrics"]
            .iter()
            .find_map(|path| base.strip_suffix(path))
            .unwrap_or(base);
        Some(base.to_owned())
    }

    fn auth(&self, vendor: Option<&Vendor>) -> Result<Option<Auth>, SettingError> {
        let Some(vendor) = vendor else {
            let key = some(&self.api_key).map(str::to_owned);
            return Ok(key.map(|key| match some(&self.api_key_header) {
                Some(name) => Auth::Header(name.to_owned(), key),
                None => Auth::Bearer(key),
            }));
        };
        let key = self
            .of_vendor(vendor.key.0)
            .ok_or_else(|| SettingError::new(vendor.key.0, "is needed"))?
            .to_owned();
        Ok(Some(match vendor.key_in {
            KeyIn::Bearer => Auth::Bearer(key),
            KeyIn::Header(name) => Auth::Header(name.to_owned(), key),
            KeyIn::Basic => {
                let user = self
                    .of_vendor("grafana_instance_id")
                    .ok_or_else(|| SettingError::new("grafana_instance_id", "is needed"))?;
                Auth::Basic(user.to_owned(), key)
            }
        }))
    }

    fn all_headers(&self, vendor: Option<&Vendor>) -> BTreeMap<String, String> {
        let mut headers = pairs(self.header_list.as_deref().unwrap_or_default());
        let of_vendor = match vendor.map(|vendor| vendor.name) {
            Some("dash0") => Some(("dash0-dataset", "dash0_dataset")),
            Some("traceloop") => Some(("x-traceloop-destination-id", "traceloop_destination_id")),
            Some("honeycomb") => Some(("x-honeycomb-dataset", "honeycomb_dataset")),
            _ => None,
        };
        if let Some((name, setting)) = of_vendor
            && let Some(value) = self.of_vendor(setting)
        {
            headers.insert(name.to_owned(), value.to_owned());
        }
        headers.extend(self.headers.clone());
        headers
    }

    fn bounds(&self) -> Result<Vec<f64>, SettingError> {
        let Some(text) = some(&self.histogram_bounds) else {
            return Ok(DEFAULT_BOUNDS.to_vec());
        };
        let bounds: Option<Vec<f64>> = text
            .split(',')
            .map(|bound| {
                bound
                    .trim()
                    .parse()
                    .ok()
                    .filter(|bound: &f64| bound.is_finite())
            })
            .collect();
        bounds
            .filter(|bounds| bounds.windows(2).all(|pair| pair.first() < pair.last()))
            .ok_or_else(|| SettingError::new("histogram_bounds", "must be numbers that rise"))
    }
}

fn some(text: &Option<String>) -> Option<&str> {
    text.as_deref().filter(|text| !text.is_empty())
}

/// `name=value,name=value` as the specification has it: values are percent-encoded, spaces around are not part of them.
fn pairs(text: &str) -> BTreeMap<String, String> {
    text.split(',')
        .filter_map(|pair| pair.split_once('='))
        .map(|(name, value)| (name.trim().to_owned(), percent_decoded(value.trim())))
        .filter(|(name, _)| !name.is_empty())
        .collect()
}

fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let code = after
            .get(..2)
            .and_then(|digits| std::str::from_utf8(digits).ok());
        match code.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) if *first == b'%' => {
                bytes.push(byte);
                rest = after.get(2..).unwrap_or_default();
            }
            _ => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests;
