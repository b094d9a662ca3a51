//! The doors over real Unix sockets, with clients that mean well and clients that do not.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

mod calls;
mod flood;
mod hostile;
mod house;
mod permission;
