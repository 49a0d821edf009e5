//! (in work)
pub mod message;
