//! What every daemon does: its command line, its config, its walls, its workers, its notes, its log, its doors.
#![forbid(unsafe_code)]

pub mod args;
pub mod audit;
pub mod clock;
pub mod config;
pub mod daemon;
pub mod doors;
pub mod jobs;
pub mod keeper;
pub mod machine;
pub mod notes_store;
pub mod role;
pub mod sandbox;
pub mod signals;
pub mod systemd;
pub mod worker;

pub use zam_protocol::Role;
