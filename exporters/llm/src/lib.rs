//! What trackers of language-model calls have in common and OpenTelemetry has not: metadata made of layers, chat messages,
//! names of judgements, money and time in seconds. Pure; called by the mappings of the exporters.

pub mod chat;
pub mod cost;
pub mod error;
pub mod judgement;
pub mod merged;
pub mod seconds;
