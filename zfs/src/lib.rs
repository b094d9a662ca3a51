//! The only door to ZFS. One capability type per role, over one of two machines: the real one (libzfs_core to act, the
//! `zfs` and `zpool` commands to list) and the simulated pool, which passes the same contract suite.
#![forbid(unsafe_code)]

mod batch;
pub mod contract;
mod copy;
mod door;
pub mod index;
pub mod real;
pub mod sim;

pub use batch::{Batch, CallFailure, CallResult, Failed, Refusal};
pub use copy::{CopyFacts, PartialFacts, ReceiveError, ReceiveStep, ResumePoint, SendFrom, SendStep, Shape};
pub use door::{
    ClearDoor, Clearer, Destroyer, Error, Grant, GrantScope, GrantWho, Keeper, Lister, Open, PruneDoor, Receiver,
    RecvDoor, Scope, SendDoor, Sender, SnapDoor, Snapshotter,
};
pub use real::processes_started;
