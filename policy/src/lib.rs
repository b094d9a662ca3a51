//! What should happen. A listing, a config, notes of the past and an instant go in; a plan with a reason for every
//! snapshot comes out. Pure: no clock, no input or output, no async, so that two daemons under two users and a
//! spectator come to the same result.
#![forbid(unsafe_code)]

pub mod alarm;
pub mod assess;
pub mod config;
pub mod copy;
pub mod explain;
pub mod fresh;
pub mod judge;
pub mod notes;
mod pattern;
mod rule;
pub mod schedule;
mod span;
pub mod tags;
pub mod when;

pub use pattern::Pattern;
pub use rule::{Digest, Rule, Tier, Zone};
pub use span::{Bucket, Span, SpanError, Unit};
