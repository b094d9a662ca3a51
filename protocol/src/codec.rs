//! How messages are written: a length of four bytes, then bincode, bounded both ways.
//!
//! The envelope is zam's own and not tarpc's: its deadline is milliseconds that are clamped when they are read, since
//! tarpc panics on one that lies years ahead. Bytes behind a message are an error, and so is a message too long to be
//! read; an answer too long to be sent becomes an error answer, so that only the call that asked for it fails.

use crate::Ask;
use bincode::config::{Configuration, Limit, LittleEndian, Varint};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::{
    collections::BTreeMap,
    io,
    marker::PhantomData,
    time::{Duration, Instant},
};
use tarpc::{ClientMessage, Request, Response, ServerError, context, trace};
use tokio_util::{
    bytes::{Bytes, BytesMut},
    codec::{Decoder, Encoder, LengthDelimitedCodec},
};

/// The longest request, in bytes.
pub const REQUEST_BOUND: usize = 64 * 1024;
/// The longest answer, in bytes.
pub const ANSWER_BOUND: usize = 256 * 1024;
/// The longest time a request may take.
pub const MAX_DEADLINE: Duration = Duration::from_secs(60);

/// How many calls a client remembers that never got an answer.
const REMEMBERED: usize = 1024;

/// What a client sends: the head of a message, in front of the request itself.
#[derive(Debug, Serialize, Deserialize)]
enum Head {
    Ask { id: u64, deadline_ms: u32 },
    Cancel { id: u64 },
}

/// What a server sends.
#[derive(Debug, Serialize, Deserialize)]
struct Answer<T> {
    id: u64,
    result: Result<T, Fault>,
}

/// A call that failed for no reason of the service's own.
#[derive(Debug, Serialize, Deserialize)]
struct Fault {
    kind: FaultKind,
    detail: String,
}

/// The kinds of [`Fault`]. Only ever appended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum FaultKind {
    Internal,
    NotPermitted,
    TooManyRequests,
    TooLong,
}

/// The daemon's side: reads requests, writes answers.
#[derive(Debug)]
pub struct ServerCodec<Q: Ask> {
    requests: LengthDelimitedCodec,
    answers: LengthDelimitedCodec,
    of: PhantomData<fn() -> Q>,
}

/// The client's side: writes requests, reads answers.
#[derive(Debug)]
pub struct ClientCodec<Q: Ask> {
    requests: LengthDelimitedCodec,
    answers: LengthDelimitedCodec,
    /// The method of each call in flight: tarpc panics if the answer is another method's.
    methods: BTreeMap<u64, u8>,
    of: PhantomData<fn() -> Q>,
}

impl<Q: Ask> Default for ServerCodec<Q> {
    fn default() -> Self {
        Self { requests: frames(REQUEST_BOUND), answers: frames(ANSWER_BOUND), of: PhantomData }
    }
}

impl<Q: Ask> Default for ClientCodec<Q> {
    fn default() -> Self {
        let (requests, answers) = (frames(REQUEST_BOUND), frames(ANSWER_BOUND));
        Self { requests, answers, methods: BTreeMap::new(), of: PhantomData }
    }
}

impl<Q: Ask> Decoder for ServerCodec<Q> {
    type Item = ClientMessage<Q>;
    type Error = io::Error;

    fn decode(&mut self, buffer: &mut BytesMut) -> io::Result<Option<Self::Item>> {
        let Some(frame) = self.requests.decode(buffer)? else { return Ok(None) };
        let (head, rest) = take::<Head>(&frame)?;
        match head {
            Head::Ask { id, deadline_ms } => {
                let message = read(rest)?;
                Ok(Some(ClientMessage::Request(Request { context: context_of(deadline_ms), id, message })))
            }
            Head::Cancel { id } => {
                nothing_behind(rest)?;
                Ok(Some(ClientMessage::Cancel { trace_context: trace::Context::default(), request_id: id }))
            }
        }
    }

    /// A client that closes has no more use for answers: an error, where tarpc would let its calls run on.
    fn decode_eof(&mut self, buffer: &mut BytesMut) -> io::Result<Option<Self::Item>> {
        match self.decode(buffer)? {
            Some(message) => Ok(Some(message)),
            None => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the client went away")),
        }
    }
}

impl<Q: Ask> Encoder<Response<Q::Answer>> for ServerCodec<Q> {
    type Error = io::Error;

    fn encode(&mut self, response: Response<Q::Answer>, buffer: &mut BytesMut) -> io::Result<()> {
        let id = response.request_id;
        let mut bytes = write(&Answer { id, result: response.message.map_err(Fault::from) })?;
        if bytes.len() > ANSWER_BOUND {
            let detail = format!("the answer has {} bytes, and {ANSWER_BOUND} is the bound; ask for less", bytes.len());
            let fault = Fault { kind: FaultKind::TooLong, detail };
            bytes = write(&Answer::<()> { id, result: Err(fault) })?;
        }
        self.answers.encode(Bytes::from(bytes), buffer)
    }
}

impl<Q: Ask> Encoder<ClientMessage<Q>> for ClientCodec<Q> {
    type Error = io::Error;

    fn encode(&mut self, message: ClientMessage<Q>, buffer: &mut BytesMut) -> io::Result<()> {
        let bytes = match message {
            ClientMessage::Request(Request { context, id, message }) => {
                let mut bytes = write(&Head::Ask { id, deadline_ms: left_until(context.deadline) })?;
                let request = write(&message)?;
                self.methods.insert(id, request.first().copied().unwrap_or_default());
                if self.methods.len() > REMEMBERED {
                    self.methods.pop_first();
                }
                bytes.extend(request);
                bytes
            }
            ClientMessage::Cancel { request_id: id, .. } => {
                self.methods.remove(&id);
                write(&Head::Cancel { id })?
            }
            _ => return Err(malformed("this message has no place in the protocol")),
        };
        if bytes.len() > REQUEST_BOUND {
            return Err(malformed("the request is too long"));
        }
        self.requests.encode(Bytes::from(bytes), buffer)
    }
}

impl<Q: Ask> Decoder for ClientCodec<Q> {
    type Item = Response<Q::Answer>;
    type Error = io::Error;

    fn decode(&mut self, buffer: &mut BytesMut) -> io::Result<Option<Self::Item>> {
        while let Some(frame) = self.answers.decode(buffer)? {
            let (id, rest) = take::<u64>(&frame)?;
            // Nobody waits for it: cancelled, or out of time.
            let Some(method) = self.methods.remove(&id) else { continue };
            // Behind the id stands the tag of the result, then that of the method: one byte each.
            if let [0, answered, ..] = rest
                && *answered != method
            {
                return Err(malformed("an answer to another request than was made"));
            }
            let Answer { id, result } = read::<Answer<Q::Answer>>(&frame)?;
            return Ok(Some(Response { request_id: id, message: result.map_err(ServerError::from) }));
        }
        Ok(None)
    }
}

/// How many bytes a value takes on the wire.
pub fn size<T: Serialize>(value: &T) -> usize {
    write(value).map_or(0, |bytes| bytes.len())
}

fn frames(bound: usize) -> LengthDelimitedCodec {
    LengthDelimitedCodec::builder().max_frame_length(bound).new_codec()
}

/// Bincode's limit counts a number as wide as its type, so a frame of numbers that take a byte each counts eightfold.
/// What it is for is the length that is claimed and not there.
type Written = Configuration<LittleEndian, Varint, Limit<{ 8 * ANSWER_BOUND }>>;

fn write<T: Serialize>(value: &T) -> io::Result<Vec<u8>> {
    bincode::serde::encode_to_vec(value, Written::default()).map_err(malformed)
}

fn read<T: DeserializeOwned>(bytes: &[u8]) -> io::Result<T> {
    let (value, rest) = take(bytes)?;
    nothing_behind(rest)?;
    Ok(value)
}

fn take<T: DeserializeOwned>(bytes: &[u8]) -> io::Result<(T, &[u8])> {
    let (value, length) = bincode::serde::decode_from_slice(bytes, Written::default()).map_err(malformed)?;
    Ok((value, bytes.get(length..).unwrap_or_default()))
}

fn nothing_behind(rest: &[u8]) -> io::Result<()> {
    if rest.is_empty() { Ok(()) } else { Err(malformed(format!("{} bytes behind the message", rest.len()))) }
}

fn malformed(why: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

fn context_of(deadline_ms: u32) -> context::Context {
    let asked = Duration::from_millis(u64::from(deadline_ms));
    let mut context = context::current();
    context.deadline = Instant::now() + asked.clamp(Duration::from_millis(1), MAX_DEADLINE);
    context.trace_context = trace::Context::default();
    context
}

fn left_until(deadline: Instant) -> u32 {
    let left = deadline.saturating_duration_since(Instant::now()).clamp(Duration::from_millis(1), MAX_DEADLINE);
    u32::try_from(left.as_millis()).unwrap_or(u32::MAX)
}

impl From<ServerError> for Fault {
    fn from(error: ServerError) -> Self {
        let kind = match error.kind {
            io::ErrorKind::PermissionDenied => FaultKind::NotPermitted,
            io::ErrorKind::WouldBlock => FaultKind::TooManyRequests,
            io::ErrorKind::FileTooLarge => FaultKind::TooLong,
            _ => FaultKind::Internal,
        };
        Self { kind, detail: error.detail }
    }
}

impl From<Fault> for ServerError {
    fn from(fault: Fault) -> Self {
        let kind = match fault.kind {
            FaultKind::Internal => io::ErrorKind::Other,
            FaultKind::NotPermitted => io::ErrorKind::PermissionDenied,
            FaultKind::TooManyRequests => io::ErrorKind::WouldBlock,
            FaultKind::TooLong => io::ErrorKind::FileTooLarge,
        };
        Self::new(kind, fault.detail)
    }
}
