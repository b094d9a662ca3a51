//! What should happen. A listing, a config, notes of the past and an instant go in; a plan with a reason for every
//! snapshot comes out. Pure: no clock, no input or output, no async, so that two daemons under two users and a
//! spectator come to the same result.
#![forbid(unsafe_code)]

pub mod config;
mod pattern;
mod rule;
mod span;

pub use pattern::Pattern;
pub use rule::{Rule, Tier, Zone};
pub use span::{Span, SpanError, Unit};
