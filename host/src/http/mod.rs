//! What a component may reach, and with which secrets. The only room that names reqwest.
//!
//! A request comes from `plugin` as plain data ([`message`]) and passes, in this order: its shape (`outgoing`), the
//! policy (`policy`), the secrets (`fill`), the addresses at dial time (`dial`); the response passes caps and scrubbing
//! (`scrub`) on its way back. [`grant`] turns what components ask for into what the policy checks. Nothing here logs a
//! secret, a header value or a payload, and no environment variable is read.

pub mod grant;
pub mod hop;
pub mod message;
pub mod origin;
pub mod pem;
pub mod retry_after;
pub mod secrets;
pub mod wire;

mod address;
mod client;
mod dial;
mod fault;
mod fill;
mod limits;
mod outgoing;
mod policy;
mod redirect;
mod scrub;
mod spelling;
mod tls;

#[cfg(test)]
mod tests;

pub use client::{Client, ClientError, ClientSettings, Transport};
pub use limits::Limits;
