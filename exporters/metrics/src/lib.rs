//! Mastra's measurements are raw observations; backends of metrics want sums, gauges and histograms. This crate holds the
//! state between: observations in, aggregated points out, and what became of them back to the host. Used by exporters
//! that are stateful (`Description::stateful`): `send` takes, `flush` delivers. No network and no clock: the caller says
//! what time it is.
//!
//! - [`series`]: one series: what it is known by, and what it holds;
//! - [`aggregator`]: all series, bounded; what is taken, what is due, what is settled;
//! - [`delivery`]: sends what is due in requests of bounded size, settles it, and says when credentials are refused.
//!
//! Data model: <https://opentelemetry.io/docs/specs/otel/metrics/data-model/> (read 2026-11).

pub mod aggregator;
pub mod delivery;
pub mod series;

#[cfg(test)]
mod tests;

pub use aggregator::{Aggregator, Options};
pub use delivery::Delivery;
