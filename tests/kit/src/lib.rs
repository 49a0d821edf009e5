//! What the black-box tests stand on: fake backends that are as strict as the real ones, a driver of the built host, a
//! builder of components, deterministic events, and the accounts that the host gives of them.
//!
//! Nothing here knows the host's code: everything goes through the command line, the configuration and the wire.
//! Called by the tests in `tests/e2e`, by the exporters' own tests, by the benches and, as `kit-backend`, by `make demo`.

pub mod accounts;
pub mod backend;
pub mod certificates;
pub mod client;
pub mod components;
pub mod corpus;
pub mod exporter;
pub mod fixtures;
pub mod golden;
pub mod host;
pub mod mutate;
pub mod paths;
