//! What no other pool can be brought to, and the shape of a single call's failure, which the doors hide.

use super::*;
use crate::batch::Failed;
use crate::door::{Destroyer, Keeper, Open, Snapshotter};
use pretty_assertions::assert_eq;
use tempfile::TempDir;
use zam_names::Target;

const START: &str = "
    pool tank
    create tank/a tank/b tank/c
    pool other
    create other/a
    allow zam-snap both snapshot,hold,release tank
    allow zam-prune both destroy,mount tank
    snapshot tank/a@x tank/b@x
";

fn pools(then: &str) -> (TempDir, Admin) {
    let folder = tempfile::tempdir().unwrap();
    let admin = Admin::open(folder.path()).unwrap();
    admin.script(START).unwrap();
    admin.script(then).unwrap();
    (folder, admin)
}

fn open(folder: &TempDir, user: &str) -> Open {
    Open::Sim { folder: folder.path().to_owned(), user: user.to_owned() }
}

fn names(texts: &str) -> Vec<SnapshotName> {
    texts.split_whitespace().map(|text| text.parse().unwrap()).collect()
}

fn targets(folder: &TempDir, texts: &str) -> Vec<Target> {
    let details = Sim::open(folder.path(), "x").details(&names(texts)).unwrap();
    details.into_iter().map(|(name, snapshot)| Target { name, guid: snapshot.guid }).collect()
}

fn fails(whole: Refusal, each: &[(&str, Refusal)]) -> CallResult {
    let each = each.iter().map(|(name, why)| (name.parse().unwrap(), why.clone())).collect();
    Err(CallFailure { whole, each })
}

#[test]
fn one_denied_name_fails_the_whole_call_and_nobody_is_named() {
    let (folder, _) = pools("unallow zam-snap tank\n allow zam-snap both snapshot,hold tank/a");
    let sim = Sim::open(folder.path(), "zam-snap");
    assert_eq!(sim.call_snapshot(&names("tank/a@y tank/b@y")), fails(Refusal::NotPermitted, &[]));
    assert_eq!(sim.call_hold(&"t".parse().unwrap(), &names("tank/a@x tank/b@x")), fails(Refusal::NotPermitted, &[]));
    assert_eq!(sim.call_snapshot(&names("tank/a@y tank/gone@y")), fails(Refusal::NotFound, &[]));
    assert_eq!(sim.call_destroy(&names("tank/a@x")), fails(Refusal::NotPermitted, &[]));
    assert_eq!(sim.snapshots(Scope::Pool(&"tank".parse().unwrap())).unwrap().len(), 2);
}

#[test]
fn a_name_that_is_taken_fails_the_whole_call_and_is_named() {
    let (folder, _) = pools("");
    let sim = Sim::open(folder.path(), "zam-snap");
    let each = [("tank/a@x", Refusal::Exists), ("tank/b@x", Refusal::Exists)];
    assert_eq!(sim.call_snapshot(&names("tank/a@x tank/b@x tank/c@x")), fails(Refusal::Exists, &each));
    assert_eq!(sim.snapshots(Scope::Pool(&"tank".parse().unwrap())).unwrap().len(), 2);
}

#[test]
fn a_held_member_keeps_the_whole_call_from_destroying() {
    let (folder, _) = pools("hold t tank/b@x\n snapshot tank/a@y");
    let sim = Sim::open(folder.path(), "zam-prune");
    let all = names("tank/a@x tank/a@y tank/b@x tank/gone@x tank/a@gone");
    assert_eq!(sim.call_destroy(&all), fails(Refusal::Busy, &[("tank/b@x", Refusal::Busy)]));
    assert_eq!(sim.snapshots(Scope::Pool(&"tank".parse().unwrap())).unwrap().len(), 3);
    assert_eq!(sim.call_destroy(&names("tank/a@x tank/a@y tank/gone@x tank/a@gone")), Ok(vec![]));
    assert_eq!(sim.snapshots(Scope::Pool(&"tank".parse().unwrap())).unwrap().len(), 1);
}

#[test]
fn the_names_of_one_call_are_of_one_pool() {
    let (folder, _) = pools("");
    let sim = Sim::open(folder.path(), "root");
    let failure = sim.call_snapshot(&names("tank/a@y other/a@y")).unwrap_err();
    assert!(matches!(failure.whole, Refusal::Other(_)));
    let batch = open(&folder, "root").for_snap().snapshot(&names("tank/a@y other/a@y"));
    assert_eq!((batch.done.len(), batch.atomic), (2, false));
}

#[test]
fn a_suspended_pool_refuses_everything_and_no_other_pool_does() {
    let (folder, admin) = pools("suspended tank");
    let snap = open(&folder, "root").for_snap();
    let batch = snap.snapshot(&names("tank/a@y"));
    assert_eq!(batch.failed, [Failed { what: names("tank/a@y").remove(0), why: Refusal::Suspended }]);
    assert_eq!(snap.hold(&"t".parse().unwrap(), &names("tank/a@x")).failed[0].why, Refusal::Suspended);
    let prune = open(&folder, "root").for_prune();
    assert_eq!(prune.destroy(&targets(&folder, "tank/a@x")).failed[0].why, Refusal::Suspended);
    assert_eq!(snap.pools().unwrap().iter().map(|p| p.health.as_str()).collect::<Vec<_>>(), ["ONLINE", "SUSPENDED"]);
    assert_eq!(snap.snapshot(&names("other/a@y")).done.len(), 1);
    admin.script("suspended tank off").unwrap();
    assert_eq!(snap.snapshot(&names("tank/a@y")).done.len(), 1);
}

#[test]
fn a_full_pool_takes_no_snapshot_and_destroys() {
    let (folder, admin) = pools("full tank");
    let snap = open(&folder, "zam-snap").for_snap();
    assert_eq!(snap.snapshot(&names("tank/a@y")).failed[0].why, Refusal::NoSpace);
    let pool = snap.pools().unwrap().into_iter().find(|pool| pool.name.as_str() == "tank").unwrap();
    assert_eq!((pool.free, pool.capacity), (0, 100));
    let prune = open(&folder, "zam-prune").for_prune();
    assert_eq!(prune.destroy(&targets(&folder, "tank/a@x")).done.len(), 1);
    admin.script("full tank off").unwrap();
    assert_eq!(snap.snapshot(&names("tank/a@y")).done.len(), 1);
}

#[test]
fn an_exported_pool_is_not_there_until_it_is_imported() {
    let (folder, admin) = pools("exported tank");
    let snap = open(&folder, "zam-snap").for_snap();
    assert_eq!(snap.pools().unwrap().len(), 1);
    assert!(snap.datasets(&"tank".parse().unwrap()).is_err());
    assert_eq!(snap.snapshot(&names("tank/a@y")).failed[0].why, Refusal::NotFound);
    admin.script("exported tank off").unwrap();
    assert_eq!(snap.snapshot(&names("tank/a@y")).done.len(), 1);
}

#[test]
fn what_is_busy_fails_alone() {
    let (folder, admin) = pools("busy tank/a\n busy tank/b@x");
    let snap = open(&folder, "zam-snap").for_snap();
    let batch = snap.snapshot(&names("tank/a@y tank/b@y"));
    assert_eq!((batch.done, batch.failed[0].why.clone()), (names("tank/b@y"), Refusal::Busy));
    let prune = open(&folder, "zam-prune").for_prune();
    let batch = prune.destroy(&targets(&folder, "tank/a@x tank/b@x"));
    assert_eq!((batch.done.len(), batch.failed[0].why.clone()), (1, Refusal::Busy));
    admin.script("busy tank/a off\n busy tank/b@x off").unwrap();
    assert_eq!(snap.snapshot(&names("tank/a@y")).done.len(), 1);
    assert_eq!(prune.destroy(&targets(&folder, "tank/b@x")).done.len(), 1);
}

#[test]
fn times_are_as_the_administrator_says() {
    let (folder, admin) = pools("snapshot tank/a@old at 1700000000\n clock 86400");
    let sim = Sim::open(folder.path(), "x");
    assert_eq!(sim.details(&names("tank/a@old")).unwrap()[0].1.creation, UnixTime(1_700_000_000));
    admin.script("snapshot tank/a@tomorrow").unwrap();
    let [x, tomorrow] = ["tank/a@x", "tank/a@tomorrow"].map(|name| sim.details(&names(name)).unwrap()[0].1.creation);
    assert!((86_400..86_500).contains(&tomorrow.since(x)));
}

#[test]
fn space_is_counted_where_it_hangs() {
    let (folder, _) = pools("write 1000 tank/a\n create tank/a/child");
    let sim = Sim::open(folder.path(), "x");
    let datasets = sim.datasets(&"tank".parse().unwrap()).unwrap();
    let of = |name: &str| datasets.iter().find(|dataset| dataset.name.as_str() == name).unwrap().clone();
    assert_eq!(of("tank/a").used_by_snapshots, 1000);
    assert_eq!(of("tank/a").used, 2 * (24 << 10) + 1000);
    assert_eq!(of("tank").used, 5 * (24 << 10) + 1000);
    assert_eq!(sim.details(&names("tank/a@x")).unwrap()[0].1.used, Some(1000));
}

#[test]
fn many_at_once_lose_nothing() {
    let (folder, _) = pools("");
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let snap = open(&folder, "zam-snap").for_snap();
            scope.spawn(move || {
                for n in 0..10 {
                    assert_eq!(snap.snapshot(&names(&format!("tank/c@{thread}-{n}"))).done.len(), 1);
                }
            });
        }
    });
    let datasets = ["tank/c".parse().unwrap()];
    let mut rows = Sim::open(folder.path(), "x").snapshots(Scope::Datasets(&datasets)).unwrap();
    rows.sort_by_key(|(_, _, createtxg)| *createtxg);
    rows.dedup_by_key(|(_, _, createtxg)| *createtxg);
    assert_eq!(rows.len(), 40);
}

#[test]
fn the_administrator_is_told_which_command_failed() {
    let (_folder, admin) = pools("hold t tank/a@x");
    for (command, why) in [
        ("hold t tank/a@x", "there already"),
        ("destroy tank/a@x", "held"),
        ("destroy tank/a@gone", "not there"),
        ("destroy tank/a", "snapshots"),
        ("destroy -r tank/a", "held"),
        ("snapshot tank/a@x", "there already"),
        ("create tank/a", "there already"),
        ("create missing/a", "no such pool"),
        ("rename tank/a tank/a/b", "lies in the old one"),
        ("allow zam-snap sideways snapshot tank", "local, descendent or both"),
        ("snapshot tank/a", "@"),
        ("dance tank/a", "no such command"),
        ("", ""),
    ] {
        match admin.script(command) {
            Ok(()) => assert_eq!(command, ""),
            Err(error) => assert!(error.to_string().contains(command) && error.to_string().contains(why), "{error}"),
        }
    }
}
