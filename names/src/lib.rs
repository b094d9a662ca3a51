//! The words that every part of zam shares. Types only: a name is parsed once, at the edge, and is a type from then on.
//!
//! The grammar is OpenZFS's own (`module/zcommon/zfs_namecheck.c`): components of ASCII alphanumerics and `-_.: `
//! (a blank inside is legal), at most 255 bytes for the whole name, and never `.` or `..` as a component.
//!
//! Names of different kinds do not mix:
//!
//! ```compile_fail
//! use zam_names::{DatasetName, SnapshotName};
//! fn destroy(_: &SnapshotName) {}
//! let dataset: DatasetName = "tank/data".parse().unwrap();
//! destroy(&dataset);
//! ```
#![forbid(unsafe_code)]

mod ids;
mod listing;
mod name;

pub use ids::{CreateTxg, Guid, UnixTime};
pub use listing::{Bookmark, Dataset, Kind, Pool, Snapshot, Target};
pub use name::{BookmarkName, DatasetName, HoldTag, NameError, PoolName, RelPath, SnapTag, SnapshotName};

/// The tag of zam's own holds: what the policy keeps carries it (`zfs holds`).
pub const HOLD_TAG: &str = "zam";
/// The tag of zam's second hold on what arrived with a date in the future: on a replica it is never judged by that date,
/// however long one waits.
pub const QUARANTINE_TAG: &str = "zam-quarantine";
/// The tag of holds that people ask for with `zamctl keep`.
pub const KEEP_TAG: &str = "zam-keep";
