//! What arrives on a replica: zam-receive and zamd-recv as processes, streams of the simulated pool.

use crate::{
    caller::{Caller, Odd, Sent},
    world::{World, all_held, wait_for},
};
use std::{
    io::{Read, Write},
    os::unix::net::UnixStream,
};
use zam_protocol::{
    Refused,
    recv::{Failing, Offer, Outcome, Ticket},
    words::{Answer, CHUNK_BOUND, Frame, Hi, WORD_BOUND, Word},
};
use zam_zfs::ResumePoint;

/// A source, and a replica with the grants of the README.
const POOLS: &str = "
    pool tank
    create tank/home
    volume tank/vm
    allow zam-send descendent send tank
    allow zam-snap both snapshot,hold,release tank
    write 300000 tank/home
    snapshot tank/home@a tank/vm@a
    write 50000 tank/home
    snapshot tank/home@b
    pool nas
    create nas/zam/host nas/zam/gone nas/other
    allow zam-recv both receive,create,mount,hold nas/zam
    allow creator destroy,mount nas/zam
    allow zam-snap both hold,release nas/zam
    allow zam-prune descendent destroy,mount nas/zam
    pool usb
    allow zam-recv both receive,create,mount,hold usb
";

const CONFIG: &str = r#"
    clock = "trust"
    [[replicas]]
    client = "host"
    root = "nas/zam/host"
    prune-period = "1s"
    grace = "2s"
    brake = 100
    windows = [ { max-age = "1h", period = "10m" } ]
    [[replicas]]
    client = "gone"
    root = "nas/zam/gone"
    retired = "2020-01-01"
    windows = [ { max-age = "1h", period = "10m" } ]
    [[managed-datasets]]
    source = "tank"
    recursive = true
    windows = [ { max-age = "1h", period = "10m" } ]
    destinations = [ { pool = "usb" } ]
"#;

const HOST: [&str; 4] = ["--client", "host", "--root", "nas/zam/host"];
const HOME: &str = "nas/zam/host/tank/home";

fn replica() -> World {
    let mut world = World::new(POOLS, CONFIG);
    world.start("recv");
    world
}

fn home<'a>(world: &'a World, tag: &'a str, from: Option<&'a str>) -> Sent<'a> {
    Sent { world, dataset: "tank/home", tag, from }
}

fn received(world: &World, dataset: &str) -> Vec<String> {
    world.dataset(dataset).snapshots.iter().map(|snapshot| snapshot.tag.to_string()).collect()
}

/// That all is well: a snapshot arrives that was not there.
fn control(world: &World, nth: usize) {
    let sent = Sent { world, dataset: "tank/vm", tag: "a", from: None };
    let offer = sent.offer(&format!("control/{nth}"));
    assert_eq!(Caller::greeted(world, &HOST).send(&offer, &sent.stream(None)), Outcome::Done);
}

#[test]
fn a_chain_of_steps_arrives_in_one_session_and_is_held() {
    let world = replica();
    let mut caller = Caller::greeted(&world, &HOST);
    assert!(caller.list().is_empty());
    caller.say(&Word::Space);
    assert!(matches!(caller.hear(), Answer::Space(space) if space.available > 0));
    // The second is offered, and sent, before the first has arrived.
    let steps = [home(&world, "a", None), home(&world, "b", Some("a"))];
    for step in &steps {
        caller.stream(&step.offer("tank/home"), &step.stream(None), Frame::End);
    }
    assert_eq!((caller.outcome(), caller.outcome()), (Outcome::Done, Outcome::Done));
    let copy = world.dataset(HOME);
    let guids = |dataset: &zam_names::Dataset| dataset.snapshots.iter().map(|s| s.guid).collect::<Vec<_>>();
    assert_eq!(guids(&copy), guids(&world.dataset("tank/home")));
    assert!(all_held(&copy));
    let row = caller.row("tank/home");
    assert_eq!(row.newest.last().unwrap().guid, copy.snapshots[1].guid);
    assert_eq!((row.count, row.partial, row.keeping.windows.len()), (2, None, 1));
    assert_eq!(caller.row("tank").count, 0, "made for what is below it");
    // What is there already is not what a complete stream goes to, and the session goes on.
    let again = caller.send(&steps[0].offer("tank/home"), &steps[0].stream(None));
    assert!(matches!(again, Outcome::Failed(..)), "{again:?}");
    let volume = Sent { world: &world, dataset: "tank/vm", tag: "a", from: None };
    assert_eq!(caller.send(&volume.offer("tank/vm"), &volume.stream(None)), Outcome::Done);
    assert_eq!(caller.end(), (vec![], true));
    let log = world.log("recv");
    for line in
        ["receive nas/zam/host/tank/home@b: done", "hold nas/zam/host/tank/home@b: done", "from host (nas/zam/host)"]
    {
        assert!(log.contains(line), "{line}");
    }
}

/// As if whoever received it had been killed in between. What comes dated in the future is put aside then too.
#[test]
fn what_arrived_and_is_not_held_is_held_before_anything_else_comes() {
    // Also where it has an override of its own.
    let own = "root = \"nas/zam/host\"\n    datasets = [ { dataset = \"tank/vm\", grace = \"3s\" } ]";
    let mut world = World::new(POOLS, &CONFIG.replacen("root = \"nas/zam/host\"", own, 1));
    world.start("recv");
    let tag = format!("zam-{}", jiff::Timestamp::now().strftime("%Y%m%dT%H%M%SZ"));
    world.admin(&format!("snapshot tank/vm@{tag}\nunallow zam-recv nas/zam"));
    world.admin("allow zam-recv both receive,create,mount nas/zam");
    let mut caller = Caller::greeted(&world, &HOST);
    let sent = Sent { world: &world, dataset: "tank/vm", tag: &tag, from: None };
    let outcome = caller.send(&sent.offer("tank/vm"), &sent.stream(None));
    assert!(matches!(&outcome, Outcome::Failed(_, why) if why.contains("not held")), "{outcome:?}");
    let copy = || world.dataset("nas/zam/host/tank/vm");
    // Once more it is tried, and told to who looks.
    assert_eq!(caller.row("tank/vm").newest.len(), 1);
    assert!(!all_held(&copy()));
    let row = world.row("nas/zam/host/tank/vm").unwrap();
    assert!(
        row.to_string().contains(&format!("@{tag} is not held: permission denied (`zamctl grant --check --replica`")),
        "{row}"
    );
    world.admin("allow zam-recv both hold nas/zam");
    let rows = caller.list();
    assert!(all_held(&copy()), "before the list is answered: {rows:?}");
    assert!(world.log("recv").contains(&format!("hold nas/zam/host/tank/vm@{tag}: done")));
    let ahead = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(24);
    let late = format!("zam-{}", ahead.strftime("%Y%m%dT%H%M%SZ"));
    world.admin(&format!("snapshot tank/vm@{late} at {}\nunallow zam-recv nas/zam", ahead.as_second()));
    world.admin("allow zam-recv both receive,create,mount nas/zam");
    let sent = Sent { world: &world, dataset: "tank/vm", tag: &late, from: Some(&tag) };
    let outcome = caller.send(&sent.offer("tank/vm"), &sent.stream(None));
    assert!(matches!(&outcome, Outcome::Failed(_, why) if why.contains("not held")), "{outcome:?}");
    world.admin("allow zam-recv both hold nas/zam");
    caller.list();
    assert!(all_held(&copy()) && copy().snapshots[1].is_held_by(zam_names::QUARANTINE_TAG), "{:?}", copy());
    // Somebody else's, and what is held: nothing happens to them.
    world.admin("snapshot nas/zam/host/tank/vm@mine");
    let lines = world.log("recv").matches("its hold was missing").count();
    caller.list();
    assert!(copy().snapshots[2].holds.is_empty());
    assert_eq!(world.log("recv").matches("its hold was missing").count(), lines);
}

#[test]
fn a_stream_that_was_cut_anywhere_goes_on_and_a_stale_one_is_cleared() {
    let world = replica();
    let sent = home(&world, "a", None);
    let (offer, stream) = (sent.offer("tank/home"), sent.stream(None));
    let mut caller = Caller::greeted(&world, &HOST);
    let cut_at = |caller: &mut Caller, offer: &Offer, bytes: &[u8]| {
        caller.stream(offer, bytes, Frame::Cut);
        let outcome = caller.outcome();
        assert!(matches!(outcome, Outcome::Failed(Failing::Cut, _)), "{} bytes: {outcome:?}", bytes.len());
    };
    // Before and in the first record: nothing is left.
    for bytes in [0, 100, 311] {
        cut_at(&mut caller, &offer, &stream[..bytes]);
        assert!(caller.list().iter().all(|row| row.partial.is_none()), "{bytes}");
    }
    cut_at(&mut caller, &offer, &stream[..stream.len() / 3]);
    let partial = caller.row("tank/home").partial.unwrap();
    assert_eq!((partial.to, partial.from, partial.raw), (offer.guid, None, false));
    assert!(partial.bytes > 0);
    // One that does not go on from there does not come in as long as that is there.
    let outcome = caller.send(&offer, &stream);
    assert!(matches!(outcome, Outcome::Failed(Failing::Partial, _)), "{outcome:?}");
    let resumed = |partial: &zam_protocol::recv::Partial| {
        sent.stream(Some(ResumePoint { object: partial.object, offset: partial.offset }))
    };
    let resume = Offer { resume: true, ..offer.clone() };
    let rest = resumed(&partial);
    cut_at(&mut caller, &resume, &rest[..rest.len() / 2]);
    // The client vanishes in the middle of it.
    let partial = caller.row("tank/home").partial.unwrap();
    let rest = resumed(&partial);
    let cuts = || world.log("recv").matches("the stream was cut").count();
    let before = cuts();
    caller.say(&Word::Receive(resume.clone()));
    caller.frame(Frame::Chunk(rest[..rest.len() / 2].to_vec().into()));
    assert_eq!(caller.hear(), Answer::Go);
    assert!(!caller.end().1);
    wait_for("the cut", || cuts() > before);
    let mut caller = Caller::greeted(&world, &HOST);
    let further = caller.row("tank/home").partial.unwrap();
    assert!(further.bytes > partial.bytes);
    assert_eq!(caller.send(&resume, &resumed(&further)), Outcome::Done);
    assert_eq!(received(&world, HOME), ["a"]);
    assert!(all_held(&world.dataset(HOME)));
    assert_eq!(caller.row("tank/home").partial, None);

    let sent = home(&world, "b", Some("a"));
    let (offer, stream) = (sent.offer("tank/home"), sent.stream(None));
    cut_at(&mut caller, &offer, &stream[..stream.len() / 2]);
    assert!(caller.row("tank/home").partial.is_some());
    caller.say(&Word::Clear { path: offer.path.clone() });
    assert_eq!(caller.hear(), Answer::Cleared);
    assert_eq!(caller.row("tank/home").partial, None);
    assert_eq!(caller.send(&offer, &stream), Outcome::Done);
    assert_eq!(received(&world, HOME), ["a", "b"]);
    assert!(world.log("recv").contains("clear nas/zam/host/tank/home: done"));
}

#[test]
fn a_silent_stream_is_given_up_and_can_go_on() {
    let world = replica();
    let sent = home(&world, "a", None);
    let (offer, stream) = (sent.offer("tank/home"), sent.stream(None));
    let mut caller = Caller::greeted(&world, &HOST);
    caller.say(&Word::Receive(offer.clone()));
    caller.frame(Frame::Chunk(stream[..stream.len() / 2].to_vec().into()));
    // It says that it is there; that does not help.
    caller.frame(Frame::Chunk(b""[..].into()));
    assert_eq!(caller.hear(), Answer::Go);
    wait_for("the end of patience", || world.log("recv").contains("it was silent for"));
    caller.frame(Frame::Chunk(stream[stream.len() / 2..].to_vec().into()));
    caller.frame(Frame::End);
    let answer = caller.hear();
    assert!(matches!(answer, Answer::Received(Outcome::Failed(Failing::Cut, _))), "{answer:?}");
    let partial = caller.row("tank/home").partial.unwrap();
    let rest = sent.stream(Some(ResumePoint { object: partial.object, offset: partial.offset }));
    assert_eq!(caller.send(&Offer { resume: true, ..offer }, &rest), Outcome::Done);
}

/// What a stranger sends in place of what was agreed on, after the hellos.
type Attack = fn(&mut Caller);

fn word(bytes: &[u8]) -> Frame {
    Frame::Word(bytes.to_vec().into())
}

/// `Clear` of this path, as it would be written down.
fn clear(path: &[u8]) -> Frame {
    word(&[&[4, u8::try_from(path.len()).unwrap()], path].concat())
}

/// R-RECV-14 R-RECV-20 R-RECV-21
#[test]
fn what_is_no_word_ends_the_session_and_leaves_a_line() {
    let world = replica();
    control(&world, 0);
    let attacks: [(&str, Attack); 15] = [
        ("garbage", |c| c.bytes(b"SSH-2.0-OpenSSH_9.2\r\n")),
        ("an oversized frame", |c| c.bytes(&[1, 0xff, 0xff, 0xff, 0xff])),
        ("an oversized word", |c| c.bytes(&[&[1][..], &(WORD_BOUND as u32 + 1).to_be_bytes()].concat())),
        ("an oversized chunk", |c| c.bytes(&[&[2][..], &(CHUNK_BOUND as u32 + 1).to_be_bytes()].concat())),
        ("an unknown word", |c| c.frame(word(&[77]))),
        ("bytes behind a word", |c| c.frame(word(&[2, 0]))),
        ("a second hello", |c| c.say(&Word::Hello(Hi::ours()))),
        ("a stream that was not announced", |c| c.frame(Frame::Chunk(b"zfs"[..].into()))),
        ("an end of nothing", |c| c.frame(Frame::End)),
        ("the parent", |c| c.frame(clear(b"../gone/x"))),
        ("a way out", |c| c.frame(clear(b"tank/../../gone"))),
        ("an absolute path", |c| c.frame(clear(b"/nas/other"))),
        ("a NUL", |c| c.frame(clear(b"tank\0x"))),
        ("a newline", |c| c.frame(clear(b"tank\nx"))),
        ("a snapshot for a dataset", |c| c.frame(clear(b"tank@a"))),
    ];
    for (what, attack) in attacks {
        let before = world.log("receive").matches("op=\"refuse\"").count();
        let mut caller = Caller::greeted(&world, &HOST);
        attack(&mut caller);
        let (said, well) = caller.wait();
        assert!(!well && said.is_empty(), "{what}: {said:?}");
        assert_eq!(world.log("receive").matches("op=\"refuse\"").count(), before + 1, "{what}");
    }
    // Before the hello, too, and of another version.
    for first in [Frame::End, word(&[1, 0])] {
        let mut caller = Caller::silent(&world, &HOST, &Odd::default());
        caller.frame(first);
        assert_eq!(caller.wait(), (vec![], false));
    }
    let mut caller = Caller::silent(&world, &HOST, &Odd::default());
    caller.say(&Word::Hello(Hi { major: 9, ..Hi::ours() }));
    let (said, well) = caller.wait();
    assert!(!well && matches!(&said[..], [Answer::Refused(Refused::Invalid { .. })]), "{said:?}");
    control(&world, 1);
    assert_eq!(world.managed("nas", "-").len(), 8, "nothing came of it");
}

/// R-RECV-20
#[test]
fn who_is_silent_or_wants_more_than_words_is_sent_away() {
    let world = replica();
    let odd = Odd { args: &["--silence", "3000"], command: None };
    let mut caller = Caller::silent(&world, &HOST, &odd);
    caller.greet();
    assert!(!caller.wait().1);
    assert!(world.log("receive").contains("silent for too long"));
    // Also in the middle of a stream, which is cut then.
    let sent = home(&world, "a", None);
    let (offer, stream) = (sent.offer("tank/home"), sent.stream(None));
    let mut caller = Caller::silent(&world, &HOST, &odd);
    caller.greet();
    caller.say(&Word::Receive(offer));
    caller.frame(Frame::Chunk(stream[..100_000].to_vec().into()));
    assert!(!caller.wait().1);
    wait_for("the cut", || world.log("recv").contains("the stream was cut"));
    for command in ["sh", "scp -t .", "\u{1b}[2J\nx"] {
        let caller = Caller::silent(&world, &HOST, &Odd { args: &[], command: Some(command) });
        assert!(!caller.wait().1, "{command}");
    }
    let log = world.log("receive");
    assert_eq!(log.matches("asked for a command").count(), 6, "in the trail, and to whoever called: {log}");
    assert!(!log.contains('\u{1b}'));
    let mut caller = Caller::silent(&world, &HOST, &Odd { args: &[], command: Some("") });
    caller.greet();
}

/// R-RECV-14 R-RECV-21 R-RECV-22
#[test]
fn one_client_leaves_room_for_the_others() {
    let world = replica();
    let mut open: Vec<Caller> = (0..12).map(|_| Caller::greeted(&world, &HOST)).collect();
    let mut caller = Caller::silent(&world, &HOST, &Odd::default());
    caller.say(&Word::Hello(Hi::ours()));
    let (said, well) = caller.wait();
    assert!(!well && matches!(&said[..], [Answer::Refused(Refused::Busy { .. })]), "{said:?}");
    assert!(world.log("recv").contains("what=greet for host (nas/zam/host)"));
    Caller::greeted(&world, &["--client", "gone", "--root", "nas/zam/gone"]);
    drop(open.pop());
    let again = || {
        let mut caller = Caller::silent(&world, &HOST, &Odd::default());
        caller.say(&Word::Hello(Hi::ours()));
        matches!(caller.hear(), Answer::Hello { .. })
    };
    wait_for("a free place", again);
}

#[test]
fn a_client_gets_below_its_own_root_and_nowhere_else() {
    let world = replica();
    for (client, root) in [("host", "nas/zam/gone"), ("host", "nas/zam"), ("host", "nas"), ("nobody", "nas/zam/host")] {
        let mut caller = Caller::silent(&world, &["--client", client, "--root", root], &Odd::default());
        caller.say(&Word::Hello(Hi::ours()));
        let (said, well) = caller.wait();
        assert!(!well && matches!(&said[..], [Answer::Refused(Refused::NotFound { .. })]), "{client} {root}: {said:?}");
        assert!(world.log("recv").contains(&format!("what=greet for {client} ({root})")), "{client} {root}");
    }
    // Retired: it sees what it has, and brings nothing any more.
    let sent = home(&world, "a", None);
    let mut caller = Caller::silent(&world, &["--client", "gone", "--root", "nas/zam/gone"], &Odd::default());
    caller.say(&Word::Hello(Hi::ours()));
    assert!(matches!(caller.hear(), Answer::Hello { retired: true, .. }));
    caller.stream(&sent.offer("tank/home"), &sent.stream(None), Frame::End);
    let answer = caller.hear();
    assert!(matches!(&answer, Answer::Refused(Refused::Invalid { why, .. }) if why.contains("retired")), "{answer:?}");
    assert!(caller.list().is_empty());
    assert!(world.log("recv").contains("what=receive for gone (nas/zam/gone)"));
    control(&world, 0);
}

/// R-RECV-17 R-RECV-21
#[test]
fn a_stream_that_is_not_what_was_announced_is_not_received() {
    let world = replica();
    let sent = home(&world, "a", None);
    let (offer, stream) = (sent.offer("tank/home"), sent.stream(None));
    let mut caller = Caller::greeted(&world, &HOST);
    let flipped = |at: usize| {
        let mut stream = stream.clone();
        stream[at] ^= 1;
        stream
    };
    let lies = [
        (Offer { guid: zam_names::Guid(7), ..offer.clone() }, stream.clone()),
        (Offer { from: Some(zam_names::Guid(7)), ..offer.clone() }, stream.clone()),
        (Offer { kind: zam_names::Kind::Volume, ..offer.clone() }, stream.clone()),
        (Offer { raw: true, ..offer.clone() }, stream.clone()),
        (offer.clone(), flipped(8)),
        (offer.clone(), b"this is no stream at all".repeat(100)),
    ];
    for (nth, (lie, stream)) in lies.into_iter().enumerate() {
        let outcome = caller.send(&lie, &stream);
        assert!(matches!(outcome, Outcome::Failed(Failing::Stream, _)), "{nth}: {outcome:?}");
        assert_eq!(world.log("recv").matches("receive nas/zam/host/tank/home@a: failed").count(), nth + 1);
    }
    let outcome = caller.send(&offer, &[&stream[..], b"more"].concat());
    assert!(matches!(outcome, Outcome::Failed(Failing::Stream, _)), "{outcome:?}");
    // A ticket that nobody gave out.
    let mut door = UnixStream::connect(world.path("run/recv/stream.sock")).unwrap();
    door.write_all(&Ticket(7).to_bytes()).unwrap();
    assert_eq!(door.read(&mut [0; 1]).unwrap_or_default(), 0);
    assert!(world.log("recv").contains("no stream was announced under this ticket"));
    control(&world, 0);
}

/// R-SEND-7
#[test]
fn this_host_brings_its_own_copies_where_its_config_sends_them() {
    let world = replica();
    let sent = home(&world, "a", None);
    let mut caller = Caller::greeted(&world, &["--local", "--root", "usb"]);
    assert_eq!(caller.send(&sent.offer("tank/home"), &sent.stream(None)), Outcome::Done);
    assert!(all_held(&world.dataset("usb/tank/home")));
    let mut caller = Caller::silent(&world, &["--local", "--root", "nas/zam/host"], &Odd::default());
    caller.say(&Word::Hello(Hi::ours()));
    assert!(matches!(&caller.wait().0[..], [Answer::Refused(Refused::NotFound { .. })]));
}

/// R-RECV-18
#[test]
fn what_arrived_ages_by_the_replicas_windows_and_a_date_in_the_future_displaces_nothing() {
    let mut world = replica();
    let now = jiff::Timestamp::now().as_second();
    let name = |ago: i64| {
        let date = jiff::Timestamp::from_second(now - ago).unwrap();
        (format!("zam-{}", date.strftime("%Y%m%dT%H%M%SZ")), now - ago)
    };
    let dates = [name(3 * 3600), name(2 * 3600), name(1800), name(-86_400), name(0)];
    for (tag, date) in &dates {
        world.admin(&format!("write 1000 tank/vm\nsnapshot tank/vm@{tag} at {date}"));
    }
    let mut caller = Caller::greeted(&world, &HOST);
    let mut from = None;
    for (tag, _) in &dates {
        let sent = Sent { world: &world, dataset: "tank/vm", tag, from };
        assert_eq!(caller.send(&sent.offer("vm"), &sent.stream(None)), Outcome::Done, "{tag}");
        from = Some(tag);
    }
    let future = |world: &World| world.dataset("nas/zam/host/vm").snapshots[3].clone();
    assert!(future(&world).is_held_by(zam_names::QUARANTINE_TAG), "{:?}", future(&world).holds);
    world.start("snap");
    world.start("prune");
    let left = || received(&world, "nas/zam/host/vm");
    wait_for("the old ones' end", || left().len() == 3);
    assert_eq!(left(), [dates[2].0.clone(), dates[3].0.clone(), dates[4].0.clone()]);
    let refused = world.zamctl(&["snapshot", "nas/zam/host/vm"]);
    assert!(String::from_utf8_lossy(&refused.stderr).contains("is a copy"), "{refused:?}");
}

#[test]
fn bookmarks_that_no_copy_needs_go_and_all_others_stay() {
    let config = CONFIG.replace("source = \"tank\"", "source = \"tank\"\nprune-period = \"1s\"");
    let mut world = World::new(POOLS, &config);
    world.admin("allow zam-prune both destroy,mount tank");
    let (config, _) = zam_policy::config::load(&[("a.toml".into(), config)], &zam_policy::Zone::utc()).unwrap();
    let destination = config.entries.iter().flat_map(|entry| &entry.destinations).next().unwrap().id();
    let ours = |nth: usize| {
        let tag = zam_policy::copy::bookmark_tag(destination, &format!("c{nth}").parse().unwrap()).unwrap();
        format!("tank/home#{tag}")
    };
    for nth in 0..5 {
        world.admin(&format!("snapshot tank/home@c{nth}\nbookmark tank/home@c{nth} {}", ours(nth)));
    }
    let others = ["tank/home#mine", "tank/home#zam-00000000-a"];
    others.iter().for_each(|other| world.admin(&format!("bookmark tank/home@c0 {other}")));
    world.start("prune");
    let left = || {
        let pools = zam_zfs::Open::Sim { folder: world.path("pools"), user: "nobody".to_owned() };
        let bookmarks = pools.lister().bookmarks(&"tank".parse().unwrap()).unwrap();
        bookmarks.iter().map(|bookmark| bookmark.name.to_string()).collect::<std::collections::BTreeSet<_>>()
    };
    wait_for("the end of the oldest", || left().len() <= 5);
    std::thread::sleep(std::time::Duration::from_secs(2));
    let expected = (2..5).map(ours).chain(others.map(str::to_owned)).collect();
    assert_eq!(left(), expected);
    assert!(world.log("prune").contains(&format!("destroy {}: done", ours(0))));
}
