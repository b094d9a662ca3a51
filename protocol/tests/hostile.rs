//! What strangers write never panics the decoders, and what is wrong is an error and not a guess.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

mod samples;

use pretty_assertions::assert_eq;
use proptest::prelude::*;
use std::time::{Duration, Instant};
use tarpc::{ClientMessage, Request, Response, context};
use tokio_util::{
    bytes::{BufMut, BytesMut},
    codec::{Decoder, Encoder},
};
use zam_protocol::{
    Ask,
    codec::{ANSWER_BOUND, ClientCodec, MAX_DEADLINE, REQUEST_BOUND, ServerCodec},
    prune::PruneRequest,
    recv::RecvRequest,
    send::SendRequest,
    snap::{SnapRequest, SnapResponse},
    watch::WatchRequest,
    words::{self, Answer, CHUNK_BOUND, Frame, Frames, WORD_BOUND, Word},
};

/// What the daemon makes of one frame with this content.
fn received(content: &[u8]) -> std::io::Result<Option<ClientMessage<SnapRequest>>> {
    ServerCodec::default().decode(&mut framed(content))
}

fn framed(content: &[u8]) -> BytesMut {
    let mut bytes = BytesMut::new();
    bytes.put_u32(u32::try_from(content.len()).unwrap());
    bytes.put_slice(content);
    bytes
}

fn sent<Q: Ask>(message: Q) -> Vec<u8> {
    let mut bytes = BytesMut::new();
    let request = Request { context: context::current(), id: 3, message };
    ClientCodec::<Q>::default().encode(ClientMessage::Request(request), &mut bytes).unwrap();
    bytes.to_vec()
}

/// `hello` with id 1, and this deadline as it stands on the wire.
fn hello(deadline: &[u8]) -> Vec<u8> {
    [&[0, 1], deadline, &[0]].concat()
}

#[test]
fn a_deadline_is_clamped_and_one_that_does_not_fit_is_refused() {
    let left = |deadline: &[u8]| match received(&hello(deadline)).unwrap().unwrap() {
        ClientMessage::Request(request) => request.context.deadline.saturating_duration_since(Instant::now()),
        other => panic!("{other:?}"),
    };
    assert!(left(&[250]) <= Duration::from_millis(250));
    assert!(left(&[0]) <= Duration::from_millis(1));
    // u32::MAX ms: seven weeks.
    assert!(left(&[252, 255, 255, 255, 255]) <= MAX_DEADLINE);
    // 796 days in ms, and u64::MAX: both as bincode writes a u64.
    let days_796 = (796 * 86_400_000_u64).to_le_bytes();
    assert!(received(&hello(&[&[253], &days_796[..]].concat())).is_err());
    assert!(received(&hello(&[&[253], &[255; 8][..]].concat())).is_err());
}

#[test]
fn what_is_not_exactly_a_message_is_an_error() {
    assert!(received(&hello(&[10])).unwrap().is_some());
    let trailing = [hello(&[10]), vec![0]].concat();
    let unknown_method = [0, 1, 10, 200];
    let unknown_message = [9, 1];
    let cancel_with_more = [1, 1, 1];
    // A status request after a dataset whose name claims 2^40 bytes.
    let long_name = [&[0, 1, 10, 1, 1, 253][..], &(1_u64 << 40).to_le_bytes()].concat();
    let bad_name = [0, 1, 10, 1, 1, 2, b'/', b'x'];
    for bad in [&trailing[..], &unknown_method, &unknown_message, &cancel_with_more, &long_name, &bad_name, &[]] {
        assert!(received(bad).is_err(), "{bad:?}");
    }
}

#[test]
fn a_frame_beyond_the_bound_is_refused_at_its_header() {
    for claimed in [u32::MAX, u32::try_from(REQUEST_BOUND).unwrap() + 1] {
        let mut header = BytesMut::from(&claimed.to_be_bytes()[..]);
        assert!(ServerCodec::<SnapRequest>::default().decode(&mut header).is_err());
    }
    let mut header = BytesMut::from(&u32::try_from(REQUEST_BOUND).unwrap().to_be_bytes()[..]);
    assert!(ServerCodec::<SnapRequest>::default().decode(&mut header).unwrap().is_none());
}

#[test]
fn an_answer_that_is_too_long_fails_its_call_alone() {
    let mut wire = BytesMut::new();
    let mut server = ServerCodec::<SnapRequest>::default();
    let mut client = ClientCodec::<SnapRequest>::default();
    let ask = |id| ClientMessage::Request(Request { context: context::current(), id, message: SnapRequest::Pools {} });
    for id in [1, 2] {
        client.encode(ask(id), &mut BytesMut::new()).unwrap();
    }
    let long = zam_protocol::PoolStatus {
        name: "tank".parse().unwrap(),
        worker: zam_protocol::WorkerState::Idle,
        last_listing: None,
        last_error: Some("x".repeat(ANSWER_BOUND)),
        last_tick: None,
    };
    let answers = [Ok(SnapResponse::Pools(vec![long])), Ok(SnapResponse::Pools(vec![]))];
    for (request_id, message) in [1, 2].into_iter().zip(answers) {
        server.encode(Response { request_id, message }, &mut wire).unwrap();
    }
    let first = client.decode(&mut wire).unwrap().unwrap();
    let error = first.message.unwrap_err();
    assert_eq!((first.request_id, error.kind), (1, std::io::ErrorKind::FileTooLarge));
    let second = client.decode(&mut wire).unwrap().unwrap();
    assert!(matches!(second.message, Ok(SnapResponse::Pools(pools)) if pools.is_empty()));
}

#[test]
fn an_answer_to_another_question_is_an_error_and_no_panic() {
    let mut client = ClientCodec::<SnapRequest>::default();
    let ask = Request { context: context::current(), id: 1, message: SnapRequest::Hello {} };
    client.encode(ClientMessage::Request(ask), &mut BytesMut::new()).unwrap();
    let mut wire = BytesMut::new();
    let mut answer = |request_id| {
        let message = Ok(SnapResponse::Pools(vec![]));
        ServerCodec::<SnapRequest>::default().encode(Response { request_id, message }, &mut wire).unwrap();
    };
    // Nobody asked: passed over. Asked, but for something else: an error.
    answer(99);
    answer(1);
    assert!(client.decode(&mut wire).is_err());
}

#[test]
fn every_answer_that_fits_can_be_read() {
    // Numbers of one byte each count eightfold for bincode's limit.
    let tick = zam_protocol::Tick {
        when: zam_names::UnixTime(0),
        datasets: 0,
        done: 0,
        atomic: false,
        processes: 0,
        milliseconds: 0,
    };
    let pool = zam_protocol::PoolStatus {
        name: "t".parse().unwrap(),
        worker: zam_protocol::WorkerState::Idle,
        last_listing: Some(zam_names::UnixTime(0)),
        last_error: None,
        last_tick: Some(tick),
    };
    let each = zam_protocol::codec::size(&pool);
    let pools = vec![pool; (ANSWER_BOUND - 16) / each];
    let mut client = ClientCodec::<SnapRequest>::default();
    let ask = Request { context: context::current(), id: 1, message: SnapRequest::Pools {} };
    client.encode(ClientMessage::Request(ask), &mut BytesMut::new()).unwrap();
    let mut wire = BytesMut::new();
    let response = Response { request_id: 1, message: Ok(SnapResponse::Pools(pools.clone())) };
    ServerCodec::<SnapRequest>::default().encode(response, &mut wire).unwrap();
    assert!(wire.len() > ANSWER_BOUND - 64);
    let answer = client.decode(&mut wire).unwrap().unwrap();
    assert!(matches!(answer.message, Ok(SnapResponse::Pools(read)) if read == pools));
}

/// R-RECV-20
#[test]
fn a_frame_over_ssh_is_judged_by_its_head() {
    let head = |kind: u8, length: usize| {
        let mut bytes = BytesMut::from(&[kind][..]);
        bytes.put_u32(u32::try_from(length).unwrap());
        Frames.decode(&mut bytes)
    };
    for (kind, bound) in [(1, WORD_BOUND), (2, CHUNK_BOUND), (3, CHUNK_BOUND)] {
        assert!(head(kind, bound).unwrap().is_none(), "{kind}: waits for the rest");
        assert!(head(kind, bound + 1).is_err(), "{kind}");
        assert!(head(kind, 0xffff_ffff).is_err(), "{kind}");
    }
    for kind in [4, 5] {
        assert!(head(kind, 0).unwrap().is_some() && head(kind, 1).is_err(), "{kind}");
    }
    for kind in [0, 6, 255, b'S'] {
        assert!(head(kind, 0).is_err(), "{kind}");
    }
}

/// R-RECV-14
#[test]
fn a_word_that_names_what_is_not_below_the_root_is_no_word() {
    let clear = |path: &[u8]| [&[4, u8::try_from(path.len()).unwrap()], path].concat();
    assert!(matches!(words::read::<Word>(&clear(b"tank/home")), Ok(Word::Clear { .. })));
    for path in [
        &b""[..],
        b"/tank",
        b"..",
        b"../tank",
        b"tank/..",
        b"tank/../../x",
        b"a\0b",
        b"a\nb",
        b"a@b",
        b"-r",
        b"a//b",
        b"\xff",
    ] {
        let is_bad = path != b"-r";
        // A name may begin with a dash: it is never an argument of its own.
        assert_eq!(words::read::<Word>(&clear(path)).is_err(), is_bad, "{path:?}");
    }
    let behind = [&clear(b"tank")[..], &[0]].concat();
    assert!(words::read::<Word>(&behind).is_err());
    assert!(words::read::<Word>(&[9]).is_err() && words::read::<Word>(&[]).is_err());
}

#[test]
fn a_packed_chunk_does_not_swell_beyond_the_bound() {
    let chunk = vec![7; CHUNK_BOUND];
    let Some(Frame::Zchunk(packed)) = Frame::packed(&chunk) else { panic!("it packs well") };
    assert_eq!(Frame::unpacked(&packed).unwrap(), chunk);
    let bomb = vec![7; CHUNK_BOUND + 1];
    let Some(Frame::Zchunk(packed)) = Frame::packed(&bomb) else { panic!("it packs well") };
    assert!(packed.len() < 200 && Frame::unpacked(&packed).is_err());
    assert!(Frame::unpacked(b"no zstd").is_err());
    assert_eq!(Frame::packed(b"a"), None);
}

/// Feeds a stream to whoever reads words.
fn survive_words(stream: &[u8]) {
    let mut bytes = BytesMut::from(stream);
    while let Ok(Some(frame)) = Frames.decode(&mut bytes) {
        match frame {
            Frame::Word(word) => drop((words::read::<Word>(&word), words::read::<Answer>(&word))),
            Frame::Zchunk(packed) => drop(Frame::unpacked(&packed)),
            _ => {}
        }
    }
}

fn valid_words() -> Vec<Vec<u8>> {
    let said = samples::words().iter().map(|word| Frame::of(word).unwrap()).collect::<Vec<_>>();
    let answered = samples::word_answers().iter().map(|answer| Frame::of(answer).unwrap()).collect::<Vec<_>>();
    let chunk = Frame::packed(&[7; 1000]).unwrap();
    let framed = said.into_iter().chain(answered).chain([chunk]).map(|frame| {
        let mut bytes = BytesMut::new();
        Frames.encode(frame, &mut bytes).unwrap();
        bytes.to_vec()
    });
    framed.collect()
}

/// Feeds a stream to both sides until it ends or is refused.
fn survive<Q: Ask>(stream: &[u8]) {
    let mut bytes = BytesMut::from(stream);
    let mut server = ServerCodec::<Q>::default();
    while let Ok(Some(_)) = server.decode(&mut bytes) {}
    let mut bytes = BytesMut::from(stream);
    let mut client = ClientCodec::<Q>::default();
    for id in 0..16 {
        let mut asked = ServerCodec::<Q>::default();
        let hello = [&[0, id][..], &[10, 0]].concat();
        let Ok(Some(message)) = asked.decode(&mut framed(&hello)) else { panic!("hello") };
        client.encode(message, &mut BytesMut::new()).unwrap();
    }
    while let Ok(Some(_)) = client.decode(&mut bytes) {}
}

fn answered<Q: Ask>(answers: Vec<Q::Answer>) -> Vec<Vec<u8>> {
    let framed = answers.into_iter().map(|answer| {
        let mut bytes = BytesMut::new();
        let response = Response { request_id: 3, message: Ok(answer) };
        ServerCodec::<Q>::default().encode(response, &mut bytes).unwrap();
        bytes.to_vec()
    });
    framed.collect()
}

fn survive_all(stream: &[u8]) {
    survive::<SnapRequest>(stream);
    survive::<PruneRequest>(stream);
    survive::<SendRequest>(stream);
    survive::<RecvRequest>(stream);
    survive::<WatchRequest>(stream);
    survive_words(stream);
}

fn valid_frames() -> Vec<Vec<u8>> {
    let snap = samples::snap_requests().into_iter().map(sent);
    let prune = samples::prune_requests().into_iter().map(sent);
    let answers = answered::<SnapRequest>(samples::snap_answers());
    let answers = answers.into_iter().chain(answered::<PruneRequest>(samples::prune_answers()));
    let send = samples::send_requests().into_iter().map(sent);
    let recv = samples::recv_requests().into_iter().map(sent);
    let send_answers = answered::<SendRequest>(samples::send_answers());
    let watch = samples::watch_requests().into_iter().map(sent);
    let watch = watch.chain(answered::<WatchRequest>(samples::watch_answers()));
    let recv_answers = answered::<RecvRequest>(samples::recv_answers());
    let asked = snap.chain(prune).chain(send).chain(recv).chain(watch);
    asked.chain(answers).chain(send_answers).chain(recv_answers).collect()
}

proptest! {
    // 2048, or eight times what PROPTEST_CASES says.
    #![proptest_config(ProptestConfig { cases: 8 * ProptestConfig::default().cases, ..ProptestConfig::default() })]

    #[test]
    fn noise_never_panics(stream in proptest::collection::vec(any::<u8>(), 0..200)) {
        survive_all(&stream);
        survive_all(&framed(&stream));
    }

    #[test]
    fn changed_frames_never_panic(
        frame in proptest::sample::select(valid_frames()),
        flips in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in any::<prop::sample::Index>(),
        reframe in any::<bool>(),
    ) {
        let mut frame = frame;
        let from = if reframe { 4 } else { 0 };
        for (at, byte) in flips {
            let at = from + at.index(frame.len() - from);
            frame[at] = byte;
        }
        survive_all(&frame);
        let short = &frame[from..from + cut.index(frame.len() - from)];
        let short = if reframe { framed(short).to_vec() } else { short.to_vec() };
        survive_all(&short);
    }

    #[test]
    fn changed_words_never_panic(
        frame in proptest::sample::select(valid_words()),
        flips in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let mut frame = frame;
        for (at, byte) in flips {
            let at = at.index(frame.len());
            frame[at] = byte;
        }
        survive_words(&frame);
    }
}
