//! The bytes of every message stay what they are. `tests/golden/*.txt` has them, one message a line.
//!
//! After a deliberate change: raise `MAJOR` (or `MINOR`, if messages were only appended) in `protocol/src/preface.rs`, then
//! `ZAM_BLESS=1 cargo test -p zam-protocol --test golden`. Before the first release, `ZAM_BLESS=unreleased` writes the
//! files anew under the same version.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

mod samples;

use pretty_assertions::assert_eq;
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
    io::ErrorKind,
    path::PathBuf,
    time::{Duration, Instant},
};
use tarpc::{ClientMessage, Request, Response, ServerError, context, trace};
use tokio_util::{
    bytes::BytesMut,
    codec::{Decoder, Encoder},
};
use zam_protocol::{
    Ask,
    codec::{ClientCodec, ServerCodec},
    preface::{MAJOR, MINOR},
    prune::PruneRequest,
    recv::RecvRequest,
    send::SendRequest,
    snap::SnapRequest,
    watch::WatchRequest,
    words::{self, Frame, Frames},
};

#[test]
fn the_messages_of_zamd_snap_keep_their_bytes() {
    check::<SnapRequest>("snap", samples::snap_requests(), samples::snap_answers());
}

#[test]
fn the_messages_of_zamd_prune_keep_their_bytes() {
    check::<PruneRequest>("prune", samples::prune_requests(), samples::prune_answers());
}

#[test]
fn the_messages_of_zamd_send_keep_their_bytes() {
    check::<SendRequest>("send", samples::send_requests(), samples::send_answers());
}

#[test]
fn the_messages_of_zamd_recv_keep_their_bytes() {
    check::<RecvRequest>("recv", samples::recv_requests(), samples::recv_answers());
}

#[test]
fn the_messages_of_zamd_watch_keep_their_bytes() {
    check::<WatchRequest>("watch", samples::watch_requests(), samples::watch_answers());
}

#[test]
fn the_words_over_ssh_keep_their_bytes() {
    fn bytes<T: serde::Serialize + serde::de::DeserializeOwned + PartialEq + std::fmt::Debug>(said: &T) -> Vec<u8> {
        let frame = Frame::of(said).unwrap();
        let Frame::Word(word) = &frame else { panic!("{frame:?}") };
        assert_eq!(words::read::<T>(word).unwrap(), *said);
        framed(frame)
    }
    fn framed(frame: Frame) -> Vec<u8> {
        let mut bytes = BytesMut::new();
        Frames.encode(frame.clone(), &mut bytes).unwrap();
        assert_eq!(Frames.decode(&mut bytes.clone()).unwrap(), Some(frame));
        bytes.to_vec()
    }
    let mut lines = BTreeMap::new();
    samples::words().iter().for_each(|word| add(&mut lines, "word", &bytes(word)));
    samples::word_answers().iter().for_each(|answer| add(&mut lines, "answer", &bytes(answer)));
    for frame in [Frame::Chunk(b"bytes"[..].into()), Frame::Zchunk(b"packed"[..].into()), Frame::End, Frame::Cut] {
        add(&mut lines, "frame", &framed(frame));
    }
    compare("words", &lines);
}

fn check<Q: Ask>(file: &str, requests: Vec<Q>, answers: Vec<Q::Answer>) {
    let mut lines = BTreeMap::new();
    let mut asked = BTreeMap::new();
    for request in requests {
        let (method, text) = (request.method().to_owned(), format!("{request:?}"));
        let bytes = encode_request(request);
        // Length, head, id 7, a deadline of 60,000 ms: the tag is the ninth byte behind the length's four.
        let tag = usize::from(bytes[9]);
        assert_eq!(Q::METHODS.get(tag), Some(&method.as_str()), "METHODS and the service differ in order");
        assert_eq!(decode_request::<Q>(&bytes), text);
        add(&mut lines, &format!("request {tag:02} {method}"), &bytes);
        asked.insert(tag, bytes);
    }
    assert!(asked.keys().copied().eq(0..Q::METHODS.len()), "a request of each method, please: {:?}", asked.keys());

    let mut seen = BTreeSet::new();
    for answer in answers {
        let text = format!("{answer:?}");
        let bytes = encode_answer::<Q>(Ok(answer));
        let tag = usize::from(bytes[6]);
        assert_eq!(decode_answer::<Q>(&bytes, &asked[&tag]), text);
        seen.insert(tag);
        add(&mut lines, &format!("answer {tag:02} {}", Q::METHODS[tag]), &bytes);
    }
    assert!(seen.iter().copied().eq(0..Q::METHODS.len()), "an answer of each method, please: {seen:?}");

    for kind in [ErrorKind::Other, ErrorKind::PermissionDenied, ErrorKind::WouldBlock, ErrorKind::FileTooLarge] {
        let bytes = encode_answer::<Q>(Err(ServerError::new(kind, "why".into())));
        add(&mut lines, &format!("fault {kind:?}"), &bytes);
    }
    let cancel = ClientMessage::Cancel { trace_context: trace::Context::default(), request_id: 7 };
    add(&mut lines, "cancel", &encode_message::<Q>(cancel));
    compare(file, &lines);
}

/// Adds a message under its name and its number among those of that name.
fn add(lines: &mut BTreeMap<String, String>, name: &str, bytes: &[u8]) {
    let number = (0..).find(|number| !lines.contains_key(&format!("{name} {number:02}"))).unwrap();
    lines.insert(format!("{name} {number:02}"), hex(bytes));
}

/// Compares with the file; writes it where asked to, but never a change under an old version.
fn compare(file: &str, lines: &BTreeMap<String, String>) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("tests/golden/{file}.txt"));
    let version = format!("protocol {MAJOR}.{MINOR}");
    let bless = std::env::var("ZAM_BLESS").unwrap_or_default();
    let old = std::fs::read_to_string(&path).unwrap_or_default();
    let (old_version, old_lines) = old.split_once('\n').unwrap_or_default();
    let old_major = old_version.split('.').next().unwrap_or_default();
    let old_lines: BTreeMap<String, String> = old_lines
        .lines()
        .filter_map(|line| line.split_once(": "))
        .map(|(name, bytes)| (name.to_owned(), bytes.to_owned()))
        .collect();

    let changed: Vec<_> = old_lines.iter().filter(|(name, bytes)| lines.get(*name) != Some(*bytes)).collect();
    let added: Vec<_> = lines.keys().filter(|name| !old_lines.contains_key(*name)).collect();
    let raised_major = !version.starts_with(&format!("{old_major}."));
    let allowed = changed.is_empty() || raised_major || old.is_empty() || bless == "unreleased";
    assert!(
        allowed,
        "the bytes of messages changed, which a daemon of the same version would misread: raise MAJOR in \
         protocol/src/preface.rs, then run this test with ZAM_BLESS=1 (before the first release: ZAM_BLESS=unreleased). \
         Changed: {changed:#?}"
    );
    assert!(
        added.is_empty() || version != old_version || bless == "unreleased",
        "messages were appended: raise MINOR in protocol/src/preface.rs, then run this test with ZAM_BLESS=1 (before the \
         first release: ZAM_BLESS=unreleased). Appended: {added:#?}"
    );
    if bless.is_empty() {
        assert_eq!((version.as_str(), lines), (old_version, &old_lines), "run this test with ZAM_BLESS=1");
        return;
    }
    let mut text = format!("{version}\n");
    for (name, bytes) in lines {
        writeln!(text, "{name}: {bytes}").unwrap();
    }
    std::fs::write(&path, text).unwrap();
}

fn encode_request<Q: Ask>(message: Q) -> Vec<u8> {
    let mut context = context::current();
    // Beyond the clamp, so that the bytes do not depend on how long this test takes.
    context.deadline = Instant::now() + Duration::from_secs(3600);
    encode_message(ClientMessage::Request(Request { context, id: 7, message }))
}

fn encode_message<Q: Ask>(message: ClientMessage<Q>) -> Vec<u8> {
    let mut bytes = BytesMut::new();
    ClientCodec::<Q>::default().encode(message, &mut bytes).unwrap();
    bytes.to_vec()
}

fn decode_request<Q: Ask>(bytes: &[u8]) -> String {
    match ServerCodec::<Q>::default().decode(&mut BytesMut::from(bytes)).unwrap() {
        Some(ClientMessage::Request(request)) => format!("{:?}", request.message),
        other => panic!("{other:?}"),
    }
}

fn encode_answer<Q: Ask>(message: Result<Q::Answer, ServerError>) -> Vec<u8> {
    let mut bytes = BytesMut::new();
    ServerCodec::<Q>::default().encode(Response { request_id: 7, message }, &mut bytes).unwrap();
    bytes.to_vec()
}

/// Only an answer to a request that was made is decoded, so `asked` is sent before.
fn decode_answer<Q: Ask>(bytes: &[u8], asked: &[u8]) -> String {
    let asked = ServerCodec::<Q>::default().decode(&mut BytesMut::from(asked)).unwrap().unwrap();
    let mut codec = ClientCodec::<Q>::default();
    codec.encode(asked, &mut BytesMut::new()).unwrap();
    let answer = codec.decode(&mut BytesMut::from(bytes)).unwrap().unwrap();
    format!("{:?}", answer.message.unwrap())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}
