//! Promises of delivery, with a scripted component and a paused clock.

use std::time::Duration;

use super::*;
use crate::deliver::classify::Policy;
use crate::deliver::source::Settlement;
use crate::event::signal_set::SignalSet;
use crate::plugin::outcome::NotBefore;
use tokio::time::sleep;

mod fake;
mod holding;
mod isolation;
mod ordered;
mod outcomes;
mod pressure;
mod random;
mod stopping;
mod whole_traces;
