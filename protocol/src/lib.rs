//! What goes over zam's sockets: one service per role, who may ask what, and how it is written down.
//!
//! A connection begins with a [`preface`] in both directions, fixed bytes that name the service and its version. Frames
//! follow, each a length and a message in bincode ([`codec`]). The requests of a role stand on one page ([`snap`],
//! [`prune`], [`send`], [`recv`], [`watch`]), and so does its table of who may send them ([`permission`]).
//!
//! What goes over ssh instead of a socket is in [`words`].
//!
//! # Changing the protocol
//!
//! Bincode has no field names: a field or method put in the middle shifts all that follows, and an old daemon would read
//! one request as another. So methods and enum variants are only ever appended (raise [`preface::MINOR`]), a struct is
//! changed by a new struct and a new method, and anything else raises [`preface::MAJOR`]. `tests/golden` pins the bytes.
//! What is sent is flat: no recursive type, no list of empty structs, no path or text that may not be UTF-8.
#![forbid(unsafe_code)]

pub mod client;
pub mod codec;
pub mod permission;
pub mod preface;
pub mod prune;
pub mod recv;
mod refused;
pub mod send;
pub mod snap;
mod types;
pub mod watch;
pub mod words;

pub use permission::{Ask, COPIERS, Class, Door, Need, OPERATORS, Peer, Role, may};
pub use refused::Refused;
pub use types::{
    ConfigState, EndOrder, Hello, JobId, JobState, Page, PoolStatus, Reach, Reason, ReasonError, Row, Tick, Work,
    WorkerState,
};
pub use zam_policy::notes::{PlanId, PlanIdError};
