//! What goes out to replicas: zamd-send, zam-receive and zamd-recv as processes, streams of the simulated pool.

use crate::world::{World, all_held, wait_for};
use serde_json::Value;
use std::{
    io::{Read, Write},
    os::{fd::OwnedFd, unix::net::UnixStream},
    process::Command,
};
use zam_names::{Dataset, Guid};

/// A source with a tree and a volume, and two replicas: one behind an ssh, one on this host.
pub const POOLS: &str = "
    pool tank
    create tank/home tank/home/ann tank/mail
    volume tank/vm
    allow zam-send descendent send tank
    allow zam-send both bookmark tank
    allow zam-snap both snapshot,hold,release tank
    allow zam-prune both destroy,mount tank
    write 300000 tank/home
    write 20000 tank/home/ann
    pool nas
    create nas/zam/olympus
    allow zam-recv both receive,create,mount,hold nas/zam
    allow creator destroy,mount nas/zam
    allow zam-snap both hold,release nas/zam
    allow zam-prune descendent destroy,mount nas/zam
    pool usb
    allow zam-recv both receive,create,mount,hold usb
    allow creator destroy,mount usb
";

pub const CONFIG: &str = r#"
    clock = "trust"
    [[managed-datasets]]
    source = "tank"
    recursive = true
    exclude = ["mail"]
    snapshot-period = "never"
    replication-period = "1s"
    windows = [ { period = "1h" } ]
    destinations = [ { remote-host = "olympus" } ]
    [[replicas]]
    client = "host"
    root = "nas/zam/olympus"
    windows = [ { period = "1s" } ]
"#;

/// Both sides on one machine, and an ssh that leads nowhere else.
fn both(pools: &str, config: &str) -> World {
    let mut world = World::new(pools, config);
    world.ssh("receive");
    world.start("recv");
    world.start("send");
    world
}

fn copy_of(dataset: &str) -> String {
    format!("nas/zam/olympus/{dataset}")
}

fn guids(dataset: &Dataset) -> Vec<Guid> {
    dataset.snapshots.iter().map(|snapshot| snapshot.guid).collect()
}

/// So long ago, as zam names what it takes.
fn name(ago: i64) -> (String, i64) {
    let at = jiff::Timestamp::now().as_second() - ago;
    let stamp = jiff::Timestamp::from_second(at).unwrap().strftime("%Y%m%dT%H%M%SZ").to_string();
    (format!("zam-{stamp}"), at)
}

/// Takes snapshots of all these, so many seconds ago.
pub fn take(world: &World, datasets: &[&str], ago: i64) -> String {
    let (name, at) = name(ago);
    let names: Vec<String> = datasets.iter().map(|dataset| format!("{dataset}@{name}")).collect();
    world.admin(&format!("write 10000 {}\nsnapshot {} at {at}", datasets[0], names.join(" ")));
    name
}

fn there(world: &World, dataset: &str) -> Option<Dataset> {
    let pools = zam_zfs::Open::Sim { folder: world.path("pools"), user: "nobody".to_owned() };
    let all = pools.lister().datasets(&dataset.split('/').next().unwrap().parse().unwrap()).unwrap();
    all.iter().any(|there| there.name.as_str() == dataset).then(|| world.dataset(dataset))
}

pub fn has(world: &World, dataset: &str, tag: &str) -> bool {
    there(world, dataset).is_some_and(|copy| copy.snapshots.iter().any(|snapshot| snapshot.tag.as_str() == tag))
}

/// The same, and it is held, as it is a moment later.
pub fn has_held(world: &World, dataset: &str, tag: &str) -> bool {
    has(world, dataset, tag) && all_held(&world.dataset(dataset))
}

/// The row of one of a dataset's copies, in the order of the config.
fn nth_copy(world: &World, dataset: &str, nth: usize) -> Value {
    let status = world.json(&["status", "--json"]);
    let copies = status["copies"].as_array().unwrap();
    copies.iter().filter(|copy| copy["dataset"] == dataset).nth(nth).cloned().unwrap_or(Value::Null)
}

/// That of its only one.
pub fn copy(world: &World, dataset: &str) -> Value {
    nth_copy(world, dataset, 0)
}

fn says(world: &World, dataset: &str, what: &str) -> bool {
    copy(world, dataset).to_string().contains(what)
}

const ALL: [&str; 4] = ["tank", "tank/home", "tank/home/ann", "tank/vm"];

#[test]
fn a_tree_arrives_step_by_step_with_its_bookmarks_and_goes_on_after_the_source_has_thinned() {
    let world = both(POOLS, CONFIG);
    let first = take(&world, &ALL, 7200);
    let second = take(&world, &ALL, 3600);
    wait_for("all of the first two", || ALL.iter().all(|dataset| has_held(&world, &copy_of(dataset), &second)));
    for dataset in ALL {
        let copy = world.dataset(&copy_of(dataset));
        assert_eq!(guids(&copy), guids(&world.dataset(dataset)), "{dataset}");
        assert!(all_held(&copy), "{dataset}");
    }
    assert!(there(&world, &copy_of("tank/mail")).is_none(), "it is left out");
    // The base goes at the source; a bookmark of it stays.
    wait_for("calm", || says(&world, "tank/home", "\"idle\""));
    world.admin(&format!("destroy tank/home@{second}\ndestroy tank/home@{first}"));
    let third = take(&world, &ALL, 0);
    wait_for("the third", || has(&world, &copy_of("tank/home"), &third));
    assert_eq!(world.dataset(&copy_of("tank/home")).snapshots.len(), 3);
    wait_for("its line in the audit trail", || world.log("send").contains(&format!("send tank/home@{third}: done")));
    assert!(world.log("send").contains("bookmark tank/home#zam-"));
    wait_for("calm", || copy(&world, "tank/home")["lag_snapshots"] == 0);
    let row = copy(&world, "tank/home");
    assert_eq!((row["host"].as_str(), row["newest"].as_str()), (Some("olympus"), Some(third.as_str())), "{row}");
}

#[test]
fn the_first_snapshot_of_a_period_need_not_wait_for_the_next_run() {
    let config = CONFIG.replace("\"never\"", "\"1h\"").replace("replication-period = \"1s\"", "");
    let mut world = both(POOLS, &config);
    wait_for("a run that finds nothing", || says(&world, "tank/home", "\"idle\""));
    world.start("snap");
    wait_for("a tick", || !world.dataset("tank/home").snapshots.is_empty());
    let first = world.dataset("tank/home").snapshots[0].tag.to_string();
    wait_for("it arrives", || has(&world, &copy_of("tank/home"), &first));
}

#[test]
fn only_what_the_replica_would_keep_is_sent() {
    let config =
        CONFIG.replace("windows = [ { period = \"1s\" } ]", "windows = [ { max-age = \"30d\", period = \"1d\" } ]");
    let world = World::new(POOLS, &config);
    // Three days of a snapshot in four hours.
    let all: Vec<String> = (0..18).rev().map(|n| take(&world, &["tank/vm"], n * 4 * 3600 + 60)).collect();
    let mut world = world;
    world.ssh("receive");
    world.start("recv");
    world.start("send");
    wait_for("the newest", || has(&world, &copy_of("tank/vm"), &all[17]));
    let copies = world.dataset(&copy_of("tank/vm")).snapshots.len();
    assert!((4..=5).contains(&copies), "one a day and the newest, not {copies}");
}

#[test]
fn what_is_cut_goes_on_where_it_was_cut() {
    let mut world = World::new(POOLS, CONFIG);
    world.admin("write 5000000 tank/home");
    // A line that breaks after so many bytes, the first times.
    world.ssh("n=$(cat $own/n 2>/dev/null || echo 0); echo $((n + 1)) >$own/n\n[ $n -ge 4 ] && receive\ndd bs=64k count=$((1000000 * (n + 1))) iflag=count_bytes status=none | receive");
    world.start("recv");
    let tag = take(&world, &["tank/home"], 60);
    world.start("send");
    wait_for("the end of it", || has(&world, &copy_of("tank/home"), &tag));
    assert_eq!(guids(&world.dataset(&copy_of("tank/home"))), guids(&world.dataset("tank/home")));
    let cuts = world.log("recv").matches("the stream was cut").count();
    assert!(cuts >= 2, "{cuts}");
    wait_for("calm", || says(&world, "tank/home", "\"idle\""));
    // zamd-recv dies in the middle, then zamd-send.
    world.admin("write 5000000 tank/home");
    let tag = take(&world, &["tank/home"], 30);
    world.end("recv", "-KILL");
    world.end("send", "-KILL");
    world.start("send");
    wait_for("a word about it", || !says(&world, "tank/home", "\"idle\""));
    world.start("recv");
    wait_for("it", || has(&world, &copy_of("tank/home"), &tag));
}

/// A replica at which the first stream of `tank/home` was cut, and the snapshot that it was of. zamd-recv runs on.
fn with_a_cut_stream() -> (World, String) {
    let mut world = World::new(POOLS, CONFIG);
    world.admin("write 5000000 tank/home");
    world.ssh("dd bs=64k count=1000000 iflag=count_bytes status=none | receive");
    world.start("recv");
    let tag = take(&world, &["tank/home"], 7200);
    world.start("send");
    wait_for("a cut", || world.log("recv").contains("the stream was cut"));
    world.end("send", "-TERM");
    (world, tag)
}

/// R-UNIT-6: what clears is no way around the wall of files. Its pools are a link here, which leads elsewhere once it runs.
#[test]
fn what_clears_writes_nowhere_but_to_its_pools() {
    let (mut world, _) = with_a_cut_stream();
    world.end("recv", "-TERM");
    if world.log("recv").contains("Landlock is not to be had") {
        eprintln!("SKIPPED: this kernel has no Landlock");
        return;
    }
    let (pools, own, other) = (world.path("pools"), world.path("own"), world.path("other"));
    std::fs::rename(&pools, &other).unwrap();
    assert!(Command::new("cp").arg("-r").args([&other, &own]).status().unwrap().success());
    let lead_to = |folder| {
        let _ = std::fs::remove_file(&pools);
        std::os::unix::fs::symlink(folder, &pools).unwrap();
    };
    lead_to(&own);
    let (mut ours, theirs) = UnixStream::pair().unwrap();
    let mut clearer = world.command("zamd-recv");
    let mut clearer = clearer.args(["task", "\"clearer\""]).stdin(OwnedFd::from(theirs)).spawn().unwrap();
    // A frame has its length before it, and the answer begins with which of the two it is.
    let mut clears = |dataset: &str| {
        let length = u8::try_from(dataset.len()).unwrap();
        ours.write_all(&[&[0, 0, 0, length + 1, length], dataset.as_bytes()].concat()).unwrap();
        let mut head = [0; 4];
        ours.read_exact(&mut head).unwrap();
        let mut answer = vec![0; u32::from_be_bytes(head).try_into().unwrap()];
        ours.read_exact(&mut answer).unwrap();
        answer[0] == 0
    };
    let copy = copy_of("tank/home");
    assert!(clears("nas/zam/olympus/nothing"), "its walls are up by now, and nothing is clear already");
    lead_to(&other);
    assert!(!clears(&copy) && there(&world, &copy).is_some());
    let task = format!("{{\"clear\":\"{copy}\"}}");
    assert!(world.command("zamd-recv").args(["task", &task]).status().unwrap().success(), "control: without the wall");
    assert!(there(&world, &copy).is_none());
    lead_to(&own);
    assert!(there(&world, &copy).is_some());
    assert!(clears(&copy) && there(&world, &copy).is_none(), "control: on its own pools");
    drop(ours);
    clearer.wait().unwrap();
}

#[test]
fn a_stale_partial_receive_is_thrown_away_first() {
    let (mut world, tag) = with_a_cut_stream();
    world.admin(&format!("destroy tank/home@{tag}"));
    let next = take(&world, &["tank/home"], 0);
    world.ssh("receive");
    world.start("send");
    wait_for("the next one", || has(&world, &copy_of("tank/home"), &next));
    assert!(world.log("recv").contains("clear nas/zam/olympus/tank/home: done"));
}

#[test]
fn what_diverged_is_left_alone_and_the_way_on_is_printed() {
    let world = both(POOLS, CONFIG);
    let common = take(&world, &["tank/vm"], 7200);
    wait_for("it", || has(&world, &copy_of("tank/vm"), &common));
    world.admin(&format!("snapshot {}@strange", copy_of("tank/vm")));
    let next = take(&world, &["tank/vm"], 0);
    wait_for("a word about it", || says(&world, "tank/vm", "diverged"));
    assert!(!has(&world, &copy_of("tank/vm"), &next));
    let said = world.say(&["replicate", "tank/vm", "--to", "olympus", "--rotate"]);
    let to = copy_of("tank/vm");
    for line in [format!("zfs rename {to} {to}-diverged-"), format!("@{common} {to}"), format!("zfs promote {to}")] {
        assert!(said.contains(&line), "{said}");
    }
    let output = world.zamctl(&["replicate", "tank/vm", "--wait"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
}

#[test]
fn a_renamed_dataset_is_not_sent_anew_unasked() {
    let world = both(POOLS, CONFIG);
    let first = take(&world, &["tank/vm"], 7200);
    wait_for("it", || has(&world, &copy_of("tank/vm"), &first));
    wait_for("calm", || says(&world, "tank/vm", "\"idle\""));
    world.admin("rename tank/vm tank/disk");
    let second = take(&world, &["tank/disk"], 0);
    wait_for("a word about it", || says(&world, "tank/disk", "renamed"));
    let row = copy(&world, "tank/disk").to_string();
    assert!(row.contains("zfs rename -p nas/zam/olympus/tank/vm nas/zam/olympus/tank/disk"), "{row}");
    assert!(there(&world, &copy_of("tank/disk")).is_none());
    world.admin("rename nas/zam/olympus/tank/vm nas/zam/olympus/tank/disk");
    wait_for("the next step", || has_held(&world, &copy_of("tank/disk"), &second));
    // What has vanished there is sent anew only on demand.
    world.admin(&format!(
        "release zam nas/zam/olympus/tank/disk@{first} nas/zam/olympus/tank/disk@{second}\ndestroy -r nas/zam/olympus/tank/disk"
    ));
    wait_for("a word about it", || says(&world, "tank/disk", "is not there any more"));
    let said = world.say(&["replicate", "tank/disk", "--to", "olympus", "--full", "--wait"]);
    assert!(said.contains(&format!("sent tank/disk@{second}")), "{said}");
    assert!(has(&world, &copy_of("tank/disk"), &second));
}

#[test]
fn a_host_that_is_not_reached_is_told_and_others_go_on() {
    let config = CONFIG.replace(
        "{ remote-host = \"olympus\" } ]",
        "{ remote-host = \"delphi\" }, { pool = \"usb\", absent = \"expected\" } ]",
    );
    let mut world = World::new(POOLS, &config);
    world.ssh("echo \"ssh: connect to host $host: Connection refused\" >&2; exit 255");
    world.admin("exported usb");
    world.start("recv");
    world.start("send");
    let tag = take(&world, &["tank/vm"], 0);
    wait_for("a word about it", || says(&world, "tank/vm", "Connection refused"));
    let row = |nth: usize| nth_copy(&world, "tank/vm", nth);
    // The disk in the drawer is no problem.
    wait_for("the other", || row(1).to_string().contains("not imported"));
    assert_eq!(row(1)["problems"], serde_json::json!([]), "{}", row(1));
    assert_ne!(row(0)["problems"], serde_json::json!([]));
    world.admin("exported usb off");
    wait_for("the copy", || has(&world, "usb/tank/vm", &tag));
    let said = world.say(&["replicate", "tank/vm", "--to", "usb", "--wait"]);
    assert!(said.contains("nothing was there to send"), "{said}");
    let failed = world.zamctl(&["replicate", "tank/vm", "--to", "delphi", "--wait"]);
    assert!(String::from_utf8_lossy(&failed.stderr).contains("Connection refused"), "{failed:?}");
    // What each lacks is known while it is away, after a new start too.
    world.admin("exported usb");
    wait_for("a later second", || name(0).0 != tag);
    take(&world, &["tank/vm"], 0);
    let lag = |world: &World, nth| nth_copy(world, "tank/vm", nth)["lag_snapshots"].clone();
    wait_for("what each lacks", || (lag(&world, 0), lag(&world, 1)) == (2.into(), 1.into()));
    assert!(world.end("send", "-TERM"));
    world.start("send");
    wait_for("the same", || (lag(&world, 0), lag(&world, 1)) == (2.into(), 1.into()));
}

/// Below a place that is made for its children, the first copy of what lies there could not arrive any more.
#[test]
fn what_gets_its_first_snapshot_late_keeps_its_children_waiting() {
    let world = both(POOLS, &CONFIG.replace("snapshot-period = \"never\"", "snapshot-period = \"1d\""));
    let child = take(&world, &["tank/home/ann"], 3600);
    wait_for("a word about it", || says(&world, "tank/home/ann", "it waits for what is above it"));
    assert!(there(&world, &copy_of("tank/home")).is_none(), "no place is made");
    let late = take(&world, &["tank", "tank/home"], 0);
    wait_for("it", || has(&world, &copy_of("tank/home"), &late));
    wait_for("and its child", || has(&world, &copy_of("tank/home/ann"), &child));
}

#[test]
fn encrypted_datasets_go_raw_without_their_keys_and_never_mixed() {
    let pools = format!("{POOLS}\nencrypted tank/secret\nwrite 5000 tank/secret");
    let world = both(&pools, CONFIG);
    let first = take(&world, &["tank/secret"], 7200);
    world.admin("unload-key tank/secret");
    wait_for("it", || has(&world, &copy_of("tank/secret"), &first));
    let second = take(&world, &["tank/secret"], 0);
    wait_for("the next", || has(&world, &copy_of("tank/secret"), &second));
    wait_for("calm", || says(&world, "tank/secret", "\"idle\""));
    world.configure(&CONFIG.replace("remote-host = \"olympus\"", "remote-host = \"olympus\", raw = false"));
    world.signal("send", "-HUP");
    wait_for("a word about it", || says(&world, "tank/secret", "it was begun raw"));
}

/// R-SEND-9
#[test]
fn a_replica_that_lies_or_babbles_takes_nothing_from_the_source_and_keeps_nobody_waiting() {
    let config = CONFIG.replace("{ remote-host = \"olympus\" } ]", "{ remote-host = \"liar\" }, { pool = \"usb\" } ]");
    for (nth, lie) in [
        "cat /dev/urandom",
        "yes",
        "cat /dev/zero",
        "sleep 1000",
        "exit 0",
        "printf '\\001\\377\\377\\377\\377'",
        "cat",
    ]
    .iter()
    .enumerate()
    {
        let mut world = World::new(POOLS, &config);
        world.ssh(lie);
        world.start("recv");
        world.start("send");
        let tag = take(&world, &["tank/vm"], 0);
        wait_for("the copy that is well", || has(&world, "usb/tank/vm", &tag));
        // R-SEND-10: sleeping is silence, whose end comes later; all else is heard at once.
        if *lie != "sleep 1000" {
            let problems = || nth_copy(&world, "tank/vm", 0)["problems"].to_string();
            wait_for("a word about it", || problems().len() > 4);
        }
        assert_eq!(world.dataset("tank/vm").snapshots.len(), 1, "{nth}");
        assert!(world.end("send", "-TERM"), "{lie}");
    }
}
