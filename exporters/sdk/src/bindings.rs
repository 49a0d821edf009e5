//! Bindings that wit-bindgen generates from `wit/`: the types and imports once, and one macro for each exported
//! interface, because a component supports a signal exactly when it exports that interface. Nothing here is written by
//! hand; the rest of the crate gives it names.

#![allow(
    unsafe_code,
    missing_docs,
    unreachable_pub,
    clippy::all,
    clippy::pedantic,
    clippy::restriction
)]
#![allow(clippy::indexing_slicing, clippy::unwrap_used, clippy::too_many_lines)]

/// Types and imports. Imports that a component does not call do not end up in it.
pub mod base {
    wit_bindgen::generate!({
        path: "../../wit",
        inline: "package mastra:sdk-base; world base {
            import mastra:observability/types@0.1.0;
            import mastra:observability/http@0.1.0;
            import mastra:observability/store@0.1.0;
            import mastra:observability/output@0.1.0;
            import mastra:observability/log@0.1.0;
        }",
        world: "mastra:sdk-base/base",
        generate_all,
        generate_unused_types: true,
        additional_derives: [PartialEq],
    });
}

/// The exported interface `lifecycle`.
pub mod lifecycle {
    wit_bindgen::generate!({
        path: "../../wit",
        inline: "package mastra:sdk-lifecycle; world export-lifecycle { export mastra:observability/lifecycle@0.1.0; }",
        world: "mastra:sdk-lifecycle/export-lifecycle",
        with: { "mastra:observability/types@0.1.0": crate::bindings::base::mastra::observability::types },
        generate_all,
        pub_export_macro: true,
        export_macro_name: "export_lifecycle",
        additional_derives: [PartialEq],
    });
}

/// The exported interface `traces`.
pub mod traces {
    wit_bindgen::generate!({
        path: "../../wit",
        inline: "package mastra:sdk-traces; world export-traces { export mastra:observability/traces@0.1.0; }",
        world: "mastra:sdk-traces/export-traces",
        with: { "mastra:observability/types@0.1.0": crate::bindings::base::mastra::observability::types },
        generate_all,
        pub_export_macro: true,
        export_macro_name: "export_traces",
        additional_derives: [PartialEq],
    });
}

/// The exported interface `logs`.
pub mod logs {
    wit_bindgen::generate!({
        path: "../../wit",
        inline: "package mastra:sdk-logs; world export-logs { export mastra:observability/logs@0.1.0; }",
        world: "mastra:sdk-logs/export-logs",
        with: { "mastra:observability/types@0.1.0": crate::bindings::base::mastra::observability::types },
        generate_all,
        pub_export_macro: true,
        export_macro_name: "export_logs",
        additional_derives: [PartialEq],
    });
}

/// The exported interface `metrics`.
pub mod metrics {
    wit_bindgen::generate!({
        path: "../../wit",
        inline: "package mastra:sdk-metrics; world export-metrics { export mastra:observability/metrics@0.1.0; }",
        world: "mastra:sdk-metrics/export-metrics",
        with: { "mastra:observability/types@0.1.0": crate::bindings::base::mastra::observability::types },
        generate_all,
        pub_export_macro: true,
        export_macro_name: "export_metrics",
        additional_derives: [PartialEq],
    });
}

/// The exported interface `scores`.
pub mod scores {
    wit_bindgen::generate!({
        path: "../../wit",
        inline: "package mastra:sdk-scores; world export-scores { export mastra:observability/scores@0.1.0; }",
        world: "mastra:sdk-scores/export-scores",
        with: { "mastra:observability/types@0.1.0": crate::bindings::base::mastra::observability::types },
        generate_all,
        pub_export_macro: true,
        export_macro_name: "export_scores",
        additional_derives: [PartialEq],
    });
}

/// The exported interface `feedback`.
pub mod feedback {
    wit_bindgen::generate!({
        path: "../../wit",
        inline: "package mastra:sdk-feedback; world export-feedback { export mastra:observability/feedback@0.1.0; }",
        world: "mastra:sdk-feedback/export-feedback",
        with: { "mastra:observability/types@0.1.0": crate::bindings::base::mastra::observability::types },
        generate_all,
        pub_export_macro: true,
        export_macro_name: "export_feedback",
        additional_derives: [PartialEq],
    });
}

/// The exported interface `page`.
pub mod page {
    wit_bindgen::generate!({
        path: "../../wit",
        inline: "package mastra:sdk-page; world export-page { export mastra:observability/page@0.1.0; }",
        world: "mastra:sdk-page/export-page",
        generate_all,
        pub_export_macro: true,
        export_macro_name: "export_page",
        additional_derives: [PartialEq],
    });
}

/// The exported interface `probe`.
pub mod probe {
    wit_bindgen::generate!({
        path: "../../wit",
        inline: "package mastra:sdk-probe; world export-probe { export mastra:observability/probe@0.1.0; }",
        world: "mastra:sdk-probe/export-probe",
        generate_all,
        pub_export_macro: true,
        export_macro_name: "export_probe",
        additional_derives: [PartialEq],
    });
}

/// The exported interface `batch-memory`.
#[cfg(feature = "batch-memory")]
pub mod batch_memory {
    wit_bindgen::generate!({
        path: "../../wit",
        inline: "package mastra:sdk-batch-memory; world export-batch-memory { export mastra:observability/batch-memory@0.1.0; }",
        world: "mastra:sdk-batch-memory/export-batch-memory",
        generate_all,
        pub_export_macro: true,
        export_macro_name: "export_batch_memory",
    });
}
