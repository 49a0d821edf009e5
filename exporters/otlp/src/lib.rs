//! OTLP and the GenAI semantic conventions, shared by the exporters whose backends speak them, so that no two exporters
//! carry the same mapping. Pure: records in, bytes out; no network, no clock. Used by `langfuse` and whoever sends OTLP.
//!
//! - [`attributes`]: a sink for attributes, so that one mapping serves every encoding;
//! - [`genai`]: a Mastra span as OpenTelemetry sees it: name, kind, status, attributes;
//! - [`messages`]: Mastra's model messages as GenAI messages;
//! - [`json`]: the OTLP/JSON encoding of a request;
//! - [`reply`]: what an OTLP server's answer means.

pub mod attributes;
pub mod genai;
pub mod json;
pub mod messages;
pub mod reply;
