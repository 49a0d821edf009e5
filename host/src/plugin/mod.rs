//! (in work)
pub mod guest;
pub mod outcome;
