//! Copying: what is sent, what may be received, and what a receive left behind.

pub(crate) mod begin;
mod nvlist;
pub(crate) mod pipe;
pub(crate) mod token;

use crate::batch::Refusal;
use serde::{Deserialize, Serialize};
use zam_names::{BookmarkName, DatasetName, Guid, Kind, SnapTag, Target};

/// What a stream builds on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SendFrom {
    /// Nothing: a full stream.
    Nothing,
    /// An older snapshot of the same dataset.
    Snapshot(Target),
    /// What is left of one.
    Bookmark {
        /// Its full name.
        name: BookmarkName,
        /// Whose it is.
        guid: Guid,
    },
}

impl SendFrom {
    /// Whose GUID the receiver must have; none for a full stream.
    #[must_use]
    pub fn guid(&self) -> Option<Guid> {
        match self {
            Self::Nothing => None,
            Self::Snapshot(target) => Some(target.guid),
            Self::Bookmark { guid, .. } => Some(*guid),
        }
    }

    /// As ZFS writes it.
    pub(crate) fn name(&self) -> Option<String> {
        match self {
            Self::Nothing => None,
            Self::Snapshot(target) => Some(target.name.to_string()),
            Self::Bookmark { name, .. } => Some(name.to_string()),
        }
    }
}

/// How blocks travel. Settled once per dataset: large blocks must never be switched off again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shape {
    /// Blocks above 128 KiB as they are (`zfs send -L`).
    pub large_blocks: bool,
    /// Compressed blocks as they are (`-c`).
    pub compressed: bool,
    /// Blocks that lie in their pointer as they are (`-e`).
    pub embedded: bool,
}

/// Where a stream that was cut goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResumePoint {
    /// The object.
    pub object: u64,
    /// The offset in it.
    pub offset: u64,
}

/// One stream to make: of one snapshot, from one base.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SendStep {
    /// What arrives.
    pub to: Target,
    /// What it builds on.
    pub from: SendFrom,
    /// Blocks of an encrypted dataset as they lie on disk; only for those, since no other stream says that it is raw.
    pub raw: bool,
    /// How blocks travel.
    pub shape: Shape,
    /// Where to go on.
    pub resume: Option<ResumePoint>,
}

impl SendStep {
    /// Bytes of a stream's first record, which come before anything else.
    pub const FIRST: usize = begin::LENGTH;

    /// Whether a stream that begins so is the one that is meant: names may have changed hands since the step was planned.
    ///
    /// # Errors
    /// [`Refusal::OtherGuid`] if it is of another snapshot, or upon another one.
    pub fn check(&self, first: &[u8; Self::FIRST]) -> Result<(), Refusal> {
        let begin = begin::Begin::read(first).map_err(Refusal::Other)?;
        let meant = (begin.to, begin.from) == (self.to.guid, self.from.guid());
        if meant { Ok(()) } else { Err(Refusal::OtherGuid) }
    }
}

/// One stream to take, as it was announced.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceiveStep {
    /// Where it goes; made by the receive if it is not there, its parent never.
    pub dataset: DatasetName,
    /// What the snapshot is called there.
    pub tag: SnapTag,
    /// Which snapshot it must be.
    pub guid: Guid,
    /// What it must build on; none for a full stream.
    pub from: Option<Guid>,
    /// Whether it must be raw.
    pub raw: bool,
    /// What it must hold.
    pub kind: Kind,
    /// Whether it must go on where a cut one ended.
    pub resume: bool,
}

/// What copying needs to know of a dataset besides its snapshots.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CopyFacts {
    /// Which.
    pub dataset: DatasetName,
    /// What a cut receive left; none if nothing waits to go on.
    pub partial: Option<PartialFacts>,
    /// Whether it is encrypted.
    pub encrypted: bool,
    /// Whether its content can be read: true too where nothing is encrypted.
    pub key_loaded: bool,
    /// Bytes that it and what is below may still take, with quotas.
    pub available: u64,
    /// Bytes written since its newest snapshot: a sign, no proof, that it has a life of its own.
    pub written: u64,
}

/// A receive that was cut, as its token tells. Listed on the receiving side; for the sender, a stranger's word.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartialFacts {
    /// The snapshot that was arriving; 0, which no snapshot has, where the token is not understood.
    pub to: Guid,
    /// What it builds on; none for a full stream.
    pub from: Option<Guid>,
    /// Its name at the sender, as the sender's kernel wrote it.
    pub to_name: String,
    /// Where to go on: the object.
    pub object: u64,
    /// Where to go on: the offset in it.
    pub offset: u64,
    /// Bytes that have arrived.
    pub bytes: u64,
    /// Whether the stream was raw.
    pub raw: bool,
}

impl PartialFacts {
    /// Of a token that is not understood.
    pub(crate) fn unknown() -> Self {
        Self { to: Guid(0), from: None, to_name: String::new(), object: 0, offset: 0, bytes: 0, raw: false }
    }
}

/// Why a stream was not received.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum ReceiveError {
    /// The first record is not what was announced; ZFS was not asked.
    #[error("the stream is not the announced one: {0}")]
    Unexpected(String),
    /// It ended early. What has arrived waits to go on, unless it was next to nothing.
    #[error("the stream was cut")]
    Cut,
    /// A checksum does not fit. What had arrived before waits to go on.
    #[error("the stream is damaged")]
    Damaged,
    /// The base is not there.
    #[error("the snapshot it builds on is not there")]
    NoBase,
    /// The dataset has changes of its own after the base.
    #[error("the dataset has changed since the snapshot it builds on")]
    Diverged,
    /// Everything went well, and more came.
    #[error("something follows the stream")]
    Trailing,
    /// What ZFS refuses elsewhere too.
    #[error(transparent)]
    Refused(#[from] Refusal),
}
