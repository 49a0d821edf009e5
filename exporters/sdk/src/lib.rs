//! What a Rust author uses to write an exporter for `mastra-host`: one trait for each signal and one macro line. Batching,
//! retries, splitting, secrets and egress are the host's business. It does not run anything natively except tests: off
//! wasm an exporter compiles, its mapping can be tested, and requests go to a stand-in ([`http::testing`]).
//!
//! # A whole exporter
//! ```
//! use mastra_exporter_sdk::http::Request;
//! use mastra_exporter_sdk::json::JsonText;
//! use mastra_exporter_sdk::outcome::Statuses;
//! use mastra_exporter_sdk::records::{ScoreBatch, SendResult};
//! use mastra_exporter_sdk::settings::{Setting, SettingError, SettingsSchema};
//! use mastra_exporter_sdk::{Description, Exporter, Scores};
//!
//! #[derive(serde::Deserialize)]
//! struct Settings {
//!     endpoint: String,
//!     token: String,
//! }
//!
//! struct Board {
//!     settings: Settings,
//! }
//!
//! impl Exporter for Board {
//!     type Settings = Settings;
//!
//!     fn describe() -> Description {
//!         let schema = SettingsSchema::new()
//!             .with(Setting::uri("endpoint").about("Where scores go.").env(&["BOARD_BASE_URL"]).required())
//!             .with(Setting::text("token").about("Access token.").env(&["BOARD_TOKEN"]).secret().required());
//!         Description::new("board", env!("CARGO_PKG_VERSION"), schema).host_of_setting("endpoint")
//!     }
//!
//!     fn configure(settings: Settings) -> Result<Self, Vec<SettingError>> {
//!         Ok(Self { settings })
//!     }
//! }
//!
//! impl Scores for Board {
//!     fn send_scores(&self, batch: &ScoreBatch) -> SendResult {
//!         let mut body = JsonText::default();
//!         body.array(&batch.scores, |body, score| {
//!             let mut object = body.object();
//!             object.string("id", &score.score_id).float("value", score.value).time("at", score.time);
//!             object.end();
//!         });
//!         let reply = Request::post(&self.settings.endpoint).json(body).bearer(&self.settings.token).gzip().send();
//!         Statuses::COMMON.batch(&reply)
//!     }
//! }
//!
//! mastra_exporter_sdk::export!(Board: scores);
//! # fn main() {}
//! ```
//! Built with `cargo build --target wasm32-wasip2` as a `cdylib`, this is a component that supports scores and nothing
//! else. The settings' placeholders for secrets stay placeholders: the host fills them in on the way out.
//!
//! # Memory
//! The crate brings the component's allocator: what the host hands over comes from one region, which is given up when the
//! call ends, and the component exports the contract's `batch-memory`, so that the records of a batch come in one block.
//! Exports that are not this crate's must not keep what they allocate. Leave out the default feature `batch-memory` for
//! such exports, for threads, and to use an allocator of your own.

mod batch_memory;
mod bindings;
mod blocks;
pub mod clock;
mod exporter;
pub mod feedback;
pub mod http;
pub mod ids;
pub mod json;
pub mod log;
pub mod outcome;
pub mod output;
pub mod parts;
pub mod raw;
pub mod records;
pub mod settings;
pub mod store;
#[cfg(feature = "test-support")]
pub mod test_support;
pub mod time;

#[doc(hidden)]
pub use exporter::Component;
pub use exporter::{
    Acknowledgement, Description, Exporter, Feedback, Finding, Grouping, Logs, Metrics, Page,
    PageRequest, PageResponse, Phases, Probe, Scores, Signals, Traces, Verdict,
};

/// What [`export!`] refers to.
#[doc(hidden)]
pub mod generated {
    #[cfg(feature = "batch-memory")]
    pub use crate::bindings::batch_memory;
    pub use crate::bindings::{feedback, lifecycle, logs, metrics, page, probe, scores, traces};
}

/// Makes the component: exports its life cycle and exactly the signals named, among `traces`, `logs`, `metrics`,
/// `scores`, `feedback`, `page` and `probe`. The type implements [`Exporter`] and the trait of each. Once in a crate; natively
/// it only checks that the traits are implemented.
#[macro_export]
macro_rules! export {
    ($exporter:ty : $($interface:ident),+ $(,)?) => {
        #[cfg(target_arch = "wasm32")]
        const _: () = {
            type ExportedComponent = $crate::Component<$exporter>;
            $crate::generated::lifecycle::export_lifecycle!(ExportedComponent with_types_in $crate::generated::lifecycle);
            $crate::__export_batch_memory!(ExportedComponent);
            $($crate::__export_interface!($interface ExportedComponent);)+
        };
        #[cfg(not(target_arch = "wasm32"))]
        const _: () = {
            $($crate::__check_interface!($interface $exporter);)+
        };
    };
}

/// With the crate's allocator the component takes batches in one piece.
#[cfg(feature = "batch-memory")]
#[doc(hidden)]
#[macro_export]
macro_rules! __export_batch_memory {
    ($component:ident) => {
        $crate::generated::batch_memory::export_batch_memory!($component with_types_in $crate::generated::batch_memory);
    };
}

#[cfg(not(feature = "batch-memory"))]
#[doc(hidden)]
#[macro_export]
macro_rules! __export_batch_memory {
    ($component:ident) => {};
}

#[doc(hidden)]
#[macro_export]
macro_rules! __export_interface {
    (traces $component:ident) => {
        $crate::generated::traces::export_traces!($component with_types_in $crate::generated::traces);
    };
    (logs $component:ident) => {
        $crate::generated::logs::export_logs!($component with_types_in $crate::generated::logs);
    };
    (metrics $component:ident) => {
        $crate::generated::metrics::export_metrics!($component with_types_in $crate::generated::metrics);
    };
    (scores $component:ident) => {
        $crate::generated::scores::export_scores!($component with_types_in $crate::generated::scores);
    };
    (feedback $component:ident) => {
        $crate::generated::feedback::export_feedback!($component with_types_in $crate::generated::feedback);
    };
    (probe $component:ident) => {
        $crate::generated::probe::export_probe!($component with_types_in $crate::generated::probe);
    };
    (page $component:ident) => {
        $crate::generated::page::export_page!($component with_types_in $crate::generated::page);
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __check_interface {
    (traces $exporter:ty) => {
        const fn traces<E: $crate::Traces>() {}
        traces::<$exporter>();
    };
    (logs $exporter:ty) => {
        const fn logs<E: $crate::Logs>() {}
        logs::<$exporter>();
    };
    (metrics $exporter:ty) => {
        const fn metrics<E: $crate::Metrics>() {}
        metrics::<$exporter>();
    };
    (scores $exporter:ty) => {
        const fn scores<E: $crate::Scores>() {}
        scores::<$exporter>();
    };
    (feedback $exporter:ty) => {
        const fn feedback<E: $crate::Feedback>() {}
        feedback::<$exporter>();
    };
    (probe $exporter:ty) => {
        const fn probe<E: $crate::Probe>() {}
        probe::<$exporter>();
    };
    (page $exporter:ty) => {
        const fn page<E: $crate::Page>() {}
        page::<$exporter>();
    };
}
