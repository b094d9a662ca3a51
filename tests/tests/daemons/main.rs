//! The daemons and zamctl, end to end, on simulated pools: how the parts are wired. What a policy decides is tested in
//! `policy`, what ZFS does in the lab.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod alarms;
mod caller;
mod copies;
mod faults;
mod hooks;
mod orders;
mod sending;
mod ticks;
mod waiting;
mod world;
