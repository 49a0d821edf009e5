//! The vendors that this exporter knows by name: where they live, how they want to be told who sends, which encoding and
//! which sums they take. From their documentation (read 2026-11); presets of the same names in Mastra's own OTel exporter
//! (1.4.0) go to the same places, Dash0 by HTTP instead of gRPC.

use mastra_otlp::encode::Encoding;

/// How a vendor's key travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyIn {
    /// `Authorization: Bearer`
    Bearer,
    /// A header of their own.
    Header(&'static str),
    /// `Authorization: Basic`; the user is the setting `grafana_instance_id`.
    Basic,
}

/// A vendor.
#[derive(Clone, Copy, Debug)]
pub struct Vendor {
    /// As the setting `preset` names it.
    pub name: &'static str,
    /// The setting that holds the key, and the variable that fills it.
    pub key: (&'static str, &'static [&'static str]),
    /// The setting that takes the place of `base`, and the variable that fills it.
    pub endpoint: (&'static str, &'static [&'static str]),
    /// Where it lives; `{}` is the setting `signoz_region`. `None` when the endpoint has to be set.
    pub base: Option<&'static str>,
    /// How the key travels.
    pub key_in: KeyIn,
    /// What it takes best.
    pub encoding: Encoding,
    /// Whether it takes running totals only.
    pub is_cumulative: bool,
}

/// All vendors.
pub const VENDORS: [Vendor; 7] = [
    // https://www.dash0.com/documentation/dash0/get-started/send-data-to-dash0
    Vendor {
        name: "dash0",
        key: ("dash0_api_key", &["DASH0_API_KEY"]),
        endpoint: ("dash0_endpoint", &["DASH0_ENDPOINT"]),
        base: None,
        key_in: KeyIn::Bearer,
        encoding: Encoding::Protobuf,
        is_cumulative: false,
    },
    // https://signoz.io/docs/ingestion/signoz-cloud/overview/
    Vendor {
        name: "signoz",
        key: ("signoz_api_key", &["SIGNOZ_API_KEY"]),
        endpoint: ("signoz_endpoint", &["SIGNOZ_ENDPOINT"]),
        base: Some("https://ingest.{}.signoz.cloud"),
        key_in: KeyIn::Header("signoz-ingestion-key"),
        encoding: Encoding::Protobuf,
        is_cumulative: false,
    },
    // https://docs.newrelic.com/docs/opentelemetry/best-practices/opentelemetry-otlp/
    Vendor {
        name: "newrelic",
        key: ("newrelic_api_key", &["NEW_RELIC_LICENSE_KEY"]),
        endpoint: ("newrelic_endpoint", &["NEW_RELIC_ENDPOINT"]),
        base: Some("https://otlp.nr-data.net"),
        key_in: KeyIn::Header("api-key"),
        encoding: Encoding::Protobuf,
        is_cumulative: false,
    },
    // https://www.traceloop.com/docs/openllmetry/integrations/traceloop
    Vendor {
        name: "traceloop",
        key: ("traceloop_api_key", &["TRACELOOP_API_KEY"]),
        endpoint: ("traceloop_endpoint", &["TRACELOOP_ENDPOINT"]),
        base: Some("https://api.traceloop.com"),
        key_in: KeyIn::Bearer,
        encoding: Encoding::Json,
        is_cumulative: false,
    },
    // https://docs.laminar.sh
    Vendor {
        name: "laminar",
        key: ("laminar_api_key", &["LMNR_PROJECT_API_KEY"]),
        endpoint: ("laminar_endpoint", &["LAMINAR_ENDPOINT"]),
        base: Some("https://api.lmnr.ai"),
        key_in: KeyIn::Bearer,
        encoding: Encoding::Protobuf,
        is_cumulative: false,
    },
    // https://docs.honeycomb.io/send-data/opentelemetry/
    Vendor {
        name: "honeycomb",
        key: ("honeycomb_api_key", &["HONEYCOMB_API_KEY"]),
        endpoint: ("honeycomb_endpoint", &["HONEYCOMB_API_ENDPOINT"]),
        base: Some("https://api.honeycomb.io"),
        key_in: KeyIn::Header("x-honeycomb-team"),
        encoding: Encoding::Protobuf,
        is_cumulative: false,
    },
    // https://grafana.com/docs/grafana-cloud/send-data/otlp/send-data-otlp/
    Vendor {
        name: "grafana",
        key: ("grafana_token", &["GRAFANA_CLOUD_TOKEN"]),
        endpoint: ("grafana_endpoint", &["GRAFANA_CLOUD_OTLP_ENDPOINT"]),
        base: None,
        key_in: KeyIn::Basic,
        encoding: Encoding::Protobuf,
        is_cumulative: true,
    },
];

/// Regions of SigNoz Cloud.
pub const SIGNOZ_REGIONS: &[&str] = &["us", "eu", "in", "us2", "eu2", "in2"];
