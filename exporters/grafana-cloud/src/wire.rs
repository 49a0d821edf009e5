//! Where the gateway takes each signal
//! (<https://grafana.com/docs/grafana-cloud/send-data/otlp/send-data-otlp/>, read 2026-11). Its records are OTLP's own, see
//! [`mastra_otlp`].

/// Tempo.
pub const TRACES: &str = "/v1/traces";
/// Loki.
pub const LOGS: &str = "/v1/logs";
/// Mimir.
pub const METRICS: &str = "/v1/metrics";
