//! zamctl as its users run it: the built program, on simulated pools, without any daemon.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod copies;
mod doctor;
mod import;
mod setup;
mod show;
mod stage;
