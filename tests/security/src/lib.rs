//! Hostile components beside a healthy one, in one running host. Every case is a script of the guest in `guest/`; each
//! must stay its exporter's own trouble.
//!
//! A dozen cases run with `make test`, all of them with `make security`.

pub mod cases;
pub mod field;
pub mod files;
mod healthy;
