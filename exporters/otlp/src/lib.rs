//! OTLP and the GenAI semantic conventions, shared by the exporters whose backends speak them, so that no two exporters
//! carry the same mapping. Pure: records in, bytes out; no network, no clock. Used by `langfuse` and whoever sends OTLP.
//!
//! - [`attributes`]: a sink for attributes, so that one mapping serves every encoding;
//! - [`genai`]: a Mastra span as OpenTelemetry sees it: name, kind, status, attributes;
//! - [`messages`]: Mastra's model messages as GenAI messages;
//! - [`envelope`], [`span`], [`log`], [`metric`], [`evaluation`]: OTLP's messages, each described once;
//! - [`requests`]: whole requests for any OTLP backend, `mastra.` names included;
//! - [`encode`], [`json`], [`protobuf`]: their two encodings;
//! - [`reply`]: what an OTLP server's answer means.

pub mod attributes;
pub mod encode;
pub mod envelope;
pub mod evaluation;
pub mod genai;
pub mod json;
pub mod log;
pub mod messages;
pub mod metric;
pub mod protobuf;
pub mod reply;
pub mod requests;
pub mod span;
