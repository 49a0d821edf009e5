//! What wasmtime generates from `wit/` for the world `everything`.
//!
//! Parameters are borrowed, so that a batch is lowered into the guest's memory straight from the event's text. Only this
//! room sees these types: the other files of the room convert them to and from the host's own words.

#![allow(
    missing_docs,
    unreachable_pub,
    unused,
    clippy::all,
    reason = "generated code"
)]

wasmtime::component::bindgen!({
    path: "../wit",
    world: "everything",
    ownership: Borrowing { duplicate_if_necessary: true },
    imports: { default: async | trappable },
    exports: { default: async },
});

pub(super) use exports::mastra::observability as exported;
pub(super) use mastra::observability as imported;
pub(super) use mastra::observability::types;
