//! What goes over ssh between zamd-send and zam-receive, on the latter's standard input and output.
//!
//! Frames: a byte that says what it is, four of length (the highest first), and as many bytes. The first frame of either
//! side is its hello. Then the sender says words, and for each gets the answers that stand at [`Word`], in the order of
//! the words; it need not wait for one answer before the next word.
//!
//! A [`Word::Receive`] is always followed by a stream: any number of chunks, then `End` if it is complete or `Cut` if it
//! is not, also where it is refused (what comes is thrown away then). An empty chunk says that its sender is still there.

use crate::{
    Refused,
    recv::{Keeping, Offer, Outcome, ReplicaPage, Space},
};
use bincode::{
    config::{Configuration, Limit, LittleEndian, Varint},
    error::DecodeError,
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::{io, time::Duration};
use tokio_util::{
    bytes::{Buf, BufMut, BytesMut},
    codec::{Decoder, Encoder, FramedRead, FramedWrite},
};
use zam_names::{DatasetName, Kind, RelPath};

pub use tokio_util::bytes::Bytes;

/// Raised when anything changes that an older side would misread. [`Hi`] itself never changes.
pub const MAJOR: u16 = 1;
/// Raised when words or answers are appended.
pub const MINOR: u16 = 0;
/// The longest word, in bytes.
pub const WORD_BOUND: usize = 64 * 1024;
/// The longest chunk, in bytes, as it is sent and as it is unpacked.
pub const CHUNK_BOUND: usize = 1024 * 1024;
/// A side that hears nothing for so long gives up. Who has nothing to say says [`Answer::Still`] or an empty chunk before.
pub const SILENCE: Duration = Duration::from_secs(300);
/// That the side unpacks [`Frame::Zchunk`].
pub const ZSTD: &str = "zstd";

/// Bytes in front of a frame's own.
pub const HEAD: usize = 5;
/// How a chunk begins.
const CHUNK: u8 = 2;

/// The first thing that either side says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hi {
    /// See [`MAJOR`]; sides with different ones part.
    pub major: u16,
    /// See [`MINOR`].
    pub minor: u16,
    /// What it can beyond what every side can, such as [`ZSTD`].
    pub capabilities: Vec<String>,
}

/// What the sender may say; there is nothing else.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Word {
    /// Before all else; answered by [`Answer::Hello`].
    Hello(Hi),
    /// What is there, behind `after`: answered by one [`Answer::Rows`] after the other until one has no `next`.
    List {
        /// Behind which path; none: all.
        after: Option<RelPath>,
    },
    /// How much room there is: answered by [`Answer::Space`].
    Space,
    /// A stream follows: answered by [`Answer::Go`] and, when it has ended, [`Answer::Received`].
    Receive(Offer),
    /// Throw away what a stream that was cut has left: answered by [`Answer::Cleared`].
    Clear {
        /// Of which dataset.
        path: RelPath,
    },
    /// How long snapshots would be kept of a dataset that is not there yet: answered by [`Answer::Keeping`].
    Keeping {
        /// Where it would be.
        path: RelPath,
        /// Filesystem or volume.
        kind: Kind,
    },
}

/// What the receiver answers. Instead of each (but of `Still`) may come [`Answer::Refused`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    /// Who is there.
    Hello {
        /// What it speaks.
        hi: Hi,
        /// The version of zamd-recv there.
        build: String,
        /// Below which dataset all paths lie: the client's root there.
        root: DatasetName,
        /// Whether this client is retired: nothing may arrive any more.
        retired: bool,
    },
    /// Some of what is there.
    Rows(ReplicaPage),
    /// How much room there is.
    Space(Space),
    /// The stream is being received.
    Go,
    /// What became of it.
    Received(Outcome),
    /// It is gone.
    Cleared,
    /// Not done, and why.
    Refused(Refused),
    /// It takes a while; no answer to anything.
    Still,
    /// How long snapshots would be kept.
    Keeping(Keeping),
}

/// What goes over the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    /// A [`Word`] or an [`Answer`], written down.
    Word(Bytes),
    /// Bytes of a stream.
    Chunk(Bytes),
    /// Bytes of a stream, packed with zstd, each frame by itself.
    Zchunk(Bytes),
    /// The stream is complete.
    End,
    /// The sender gives it up.
    Cut,
}

/// Reads and writes frames.
#[derive(Clone, Copy, Debug, Default)]
pub struct Frames;

/// Frames out of bytes.
pub type Reader<R> = FramedRead<R, Frames>;
/// Frames into bytes.
pub type Writer<W> = FramedWrite<W, Frames>;

/// A reader of frames.
pub fn reader<R: tokio::io::AsyncRead>(bytes: R) -> Reader<R> {
    FramedRead::new(bytes, Frames)
}

/// A writer of frames.
pub fn writer<W: tokio::io::AsyncWrite>(bytes: W) -> Writer<W> {
    FramedWrite::new(bytes, Frames)
}

impl Hi {
    /// What this build says.
    #[must_use]
    pub fn ours() -> Self {
        Self { major: MAJOR, minor: MINOR, capabilities: vec![ZSTD.to_owned()] }
    }
}

impl Frame {
    /// A word or an answer, written down.
    ///
    /// # Errors
    /// If it is too long.
    pub fn of<T: Serialize>(said: &T) -> io::Result<Self> {
        let bytes = bincode::serde::encode_to_vec(said, Written::default()).map_err(malformed)?;
        if bytes.len() > WORD_BOUND {
            return Err(malformed(format!("a word of {} bytes, and {WORD_BOUND} is the bound", bytes.len())));
        }
        Ok(Self::Word(bytes.into()))
    }

    /// What goes in front of so many bytes of a stream, for who writes them without a copy in between; see [`CHUNK_BOUND`].
    #[must_use]
    pub fn chunk_head(length: u32) -> [u8; HEAD] {
        let [l0, l1, l2, l3] = length.to_be_bytes();
        [CHUNK, l0, l1, l2, l3]
    }

    /// Bytes of a stream, packed; none where that makes them no shorter.
    #[must_use]
    pub fn packed(chunk: &[u8]) -> Option<Self> {
        let packed = zstd::bulk::compress(chunk, LEVEL).ok()?;
        (packed.len() < chunk.len()).then(|| Self::Zchunk(packed.into()))
    }

    /// The bytes of a packed chunk.
    ///
    /// # Errors
    /// If it is not packed, or is longer than [`CHUNK_BOUND`] when it is not.
    pub fn unpacked(packed: &[u8]) -> io::Result<Bytes> {
        zstd::bulk::decompress(packed, CHUNK_BOUND).map(Bytes::from)
    }

    fn parts(&self) -> (u8, &[u8]) {
        match self {
            Self::Word(bytes) => (1, bytes),
            Self::Chunk(bytes) => (CHUNK, bytes),
            Self::Zchunk(bytes) => (3, bytes),
            Self::End => (4, &[]),
            Self::Cut => (5, &[]),
        }
    }
}

/// Reads a word or an answer.
///
/// # Errors
/// If it is none, or has bytes behind it.
pub fn read<T: DeserializeOwned>(word: &[u8]) -> io::Result<T> {
    let (value, length) = bincode::serde::decode_from_slice(word, Written::default()).map_err(|error| match error {
        // What a name's own check has to say.
        DecodeError::OtherString(why) => malformed(why),
        error => malformed(error),
    })?;
    if length == word.len() { Ok(value) } else { Err(malformed("bytes behind the word")) }
}

impl Decoder for Frames {
    type Item = Frame;
    type Error = io::Error;

    fn decode(&mut self, buffer: &mut BytesMut) -> io::Result<Option<Frame>> {
        let Some(head) = buffer.first_chunk::<HEAD>() else { return Ok(None) };
        let [kind, l0, l1, l2, l3] = *head;
        let length = usize::try_from(u32::from_be_bytes([l0, l1, l2, l3])).map_err(malformed)?;
        let bound = match kind {
            1 => WORD_BOUND,
            CHUNK | 3 => CHUNK_BOUND,
            4 | 5 => 0,
            _ => return Err(malformed(format!("no frame begins with {kind}"))),
        };
        if length > bound {
            return Err(malformed(format!("a frame of {length} bytes, and {bound} is the bound")));
        }
        if buffer.len() < HEAD + length {
            buffer.reserve(HEAD + length - buffer.len());
            return Ok(None);
        }
        buffer.advance(HEAD);
        let bytes = buffer.split_to(length).freeze();
        Ok(Some(match kind {
            1 => Frame::Word(bytes),
            CHUNK => Frame::Chunk(bytes),
            3 => Frame::Zchunk(bytes),
            4 => Frame::End,
            _ => Frame::Cut,
        }))
    }
}

impl Encoder<Frame> for Frames {
    type Error = io::Error;

    fn encode(&mut self, frame: Frame, buffer: &mut BytesMut) -> io::Result<()> {
        let (kind, bytes) = frame.parts();
        buffer.reserve(HEAD + bytes.len());
        buffer.put_u8(kind);
        buffer.put_u32(u32::try_from(bytes.len()).map_err(malformed)?);
        buffer.put_slice(bytes);
        Ok(())
    }
}

/// See `codec`: numbers of one byte each count eightfold for the limit.
type Written = Configuration<LittleEndian, Varint, Limit<{ 8 * WORD_BOUND }>>;

/// Fast: what it is for is a line that is slower than a disk.
const LEVEL: i32 = 1;

fn malformed(why: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}
