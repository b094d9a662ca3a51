//! What the listings say.

use super::stage::{RIGHTFUL, Stage, Trouble, cases, equal, holds_true};
use crate::door::{Grant, GrantScope, GrantWho, Scope};
use std::thread::sleep;
use std::time::Duration;
use zam_names::{Kind, UnixTime};

cases! {
    pools_list_with_their_health,
    datasets_list_in_the_order_of_their_names_with_their_kind,
    snapshots_list_in_the_order_in_which_they_were_made,
    the_listing_of_a_pool_and_that_of_a_dataset_agree,
    a_gone_dataset_is_left_out_of_a_scoped_listing,
    gone_snapshots_are_left_out_of_details_and_holds,
    details_tell_creation_clones_and_the_rest,
    holds_list_every_tag,
    bookmarks_list_with_the_identity_of_their_snapshot,
    a_renamed_dataset_keeps_its_guid_and_its_snapshots,
    a_renamed_snapshot_keeps_its_guid,
    snapshots_changed_moves_when_the_snapshots_do_and_not_with_a_hold,
    properties_are_as_set_and_inherited,
    grants_read_back_with_the_scope_that_each_permission_has_on_that_very_dataset,
}

fn pools_list_with_their_health(stage: &Stage<'_>) -> Result<(), Trouble> {
    let pools = stage.lister().pools().map_err(Trouble::new)?;
    let pool = pools.iter().find(|pool| pool.name == *stage.ground().pool());
    let pool = pool.ok_or_else(|| Trouble::new("the pool is not listed"))?;
    equal("health", pool.health.as_str(), "ONLINE")?;
    holds_true("some is free", pool.free > 0 && pool.capacity < 100)
}

fn datasets_list_in_the_order_of_their_names_with_their_kind(stage: &Stage<'_>) -> Result<(), Trouble> {
    stage.script("create $/b $/a/x $/a-b\n volume $/v")?;
    let top = stage.dataset("$")?;
    let datasets = stage.lister().datasets(stage.ground().pool()).map_err(Trouble::new)?;
    let below: Vec<_> = datasets.iter().filter(|d| d.name.below(&top).is_some_and(|rest| !rest.is_empty())).collect();
    let mut kinds: Vec<(String, Kind)> = below.iter().map(|d| (d.name.to_string(), d.kind)).collect();
    kinds.sort();
    let wanted = [("$/a", Kind::Filesystem), ("$/a-b", Kind::Filesystem), ("$/a/x", Kind::Filesystem)];
    let rest = [("$/b", Kind::Filesystem), ("$/v", Kind::Volume)];
    let wanted: Vec<_> = wanted.into_iter().chain(rest).map(|(name, kind)| (stage.full(name), kind)).collect();
    equal("kinds", &kinds, &wanted)?;
    let mut sorted = datasets.clone();
    sorted.sort_by(|a, b| a.name.cmp(&b.name));
    equal("order", &datasets, &sorted)
}

fn snapshots_list_in_the_order_in_which_they_were_made(stage: &Stage<'_>) -> Result<(), Trouble> {
    stage.script("create $/a\n snapshot $/a@z\n snapshot $/a@m\n snapshot $/a@b\n destroy $/a@m\n snapshot $/a@a")?;
    equal("tags", stage.tags("$/a")?.as_str(), "z b a")
}

fn the_listing_of_a_pool_and_that_of_a_dataset_agree(stage: &Stage<'_>) -> Result<(), Trouble> {
    stage.script("create $/a $/a/b\n volume $/v\n snapshot $/a@x $/a/b@x $/v@x\n snapshot $/a@y")?;
    let scope = [stage.dataset("$/a")?, stage.dataset("$/v")?];
    let mut all = stage.lister().snapshots(Scope::Pool(stage.ground().pool())).map_err(Trouble::new)?;
    let mut some = stage.lister().snapshots(Scope::Datasets(&scope)).map_err(Trouble::new)?;
    all.retain(|(name, _, _)| scope.contains(name.dataset()));
    all.sort();
    some.sort();
    equal("how many", &some.len(), &3)?;
    equal("rows", &some, &all)
}

fn a_gone_dataset_is_left_out_of_a_scoped_listing(stage: &Stage<'_>) -> Result<(), Trouble> {
    stage.script("create $/a\n snapshot $/a@x")?;
    let scope = [stage.dataset("$/gone")?, stage.dataset("$/a")?];
    let rows = stage.lister().snapshots(Scope::Datasets(&scope)).map_err(Trouble::new)?;
    equal("rows", &rows.len(), &1)?;
    let rows = stage.lister().snapshots(Scope::Datasets(&scope[..1])).map_err(Trouble::new)?;
    equal("rows of the gone one", &rows.len(), &0)?;
    let rows = stage.lister().snapshots(Scope::Datasets(&[])).map_err(Trouble::new)?;
    equal("rows of none", &rows.len(), &0)
}

fn gone_snapshots_are_left_out_of_details_and_holds(stage: &Stage<'_>) -> Result<(), Trouble> {
    stage.script("create $/a\n snapshot $/a@x\n hold t $/a@x")?;
    let names = stage.names("$/a@gone $/a@x $/gone@x")?;
    let there = stage.names("$/a@x")?;
    let details = stage.lister().details(&names).map_err(Trouble::new)?;
    equal("details", &details.into_iter().map(|(name, _)| name).collect(), &there)?;
    let holds = stage.lister().holds(&names).map_err(Trouble::new)?;
    equal("holds", &holds.into_iter().map(|(name, _)| name).collect(), &there)?;
    let gone = stage.names("$/a@gone $/gone@x")?;
    equal("details of gone ones", &stage.lister().details(&gone).map_err(Trouble::new)?.len(), &0)?;
    equal("holds of gone ones", &stage.lister().holds(&gone).map_err(Trouble::new)?.len(), &0)?;
    equal("details of none", &stage.lister().details(&[]).map_err(Trouble::new)?.len(), &0)
}

fn details_tell_creation_clones_and_the_rest(stage: &Stage<'_>) -> Result<(), Trouble> {
    stage.script("create $/a\n snapshot $/a@x\n snapshot $/a@y\n clone $/a@x $/c1\n clone $/a@x $/c2")?;
    let (x, y) = (stage.details("$/a@x")?, stage.details("$/a@y")?);
    equal("tag", x.tag.as_str(), "x")?;
    equal("clones", &(x.clones, y.clones), &(2, 0))?;
    equal("deferred", &x.deferred, &false)?;
    holds_true("createtxg and creation go up", x.createtxg < y.createtxg && x.creation <= y.creation)?;
    holds_true("creation is a time of this century", x.creation > UnixTime(1_000_000_000))?;
    holds_true("used is known", x.used.is_some())?;
    let rows = stage.lister().snapshots(Scope::Datasets(&[stage.dataset("$/a")?])).map_err(Trouble::new)?;
    holds_true("guids agree", rows.iter().any(|(_, guid, txg)| (*guid, *txg) == (x.guid, x.createtxg)))
}

fn holds_list_every_tag(stage: &Stage<'_>) -> Result<(), Trouble> {
    stage.script("create $/a\n snapshot $/a@x\n snapshot $/a@y\n hold one $/a@x\n hold two $/a@x")?;
    equal("x", stage.holds("$/a@x")?.as_str(), "one two")?;
    equal("y", stage.holds("$/a@y")?.as_str(), "")?;
    equal("details of y", &stage.details("$/a@y")?.holds, &vec![])
}

fn bookmarks_list_with_the_identity_of_their_snapshot(stage: &Stage<'_>) -> Result<(), Trouble> {
    stage.script("create $/a\n snapshot $/a@x\n bookmark $/a@x $/a#x")?;
    let snapshot = stage.details("$/a@x")?;
    stage.script("destroy $/a@x")?;
    let bookmarks = stage.lister().bookmarks(stage.ground().pool()).map_err(Trouble::new)?;
    let mark = bookmarks.into_iter().find(|mark| mark.name.to_string() == stage.full("$/a#x"));
    let mark = mark.ok_or_else(|| Trouble::new("the bookmark is not listed"))?;
    equal("identity", &(mark.guid, mark.createtxg), &(snapshot.guid, snapshot.createtxg))
}

fn a_renamed_dataset_keeps_its_guid_and_its_snapshots(stage: &Stage<'_>) -> Result<(), Trouble> {
    stage.script("create $/old/child $/other\n snapshot $/old/child@x")?;
    let before = (stage.guids("$/old $/old/child")?, stage.details("$/old/child@x")?);
    stage.script("rename $/old $/new")?;
    let mut guids = stage.guids("$/new $/new/child $/other $/old")?;
    let rest = guids.split_off(2);
    equal("identities", &(guids, stage.details("$/new/child@x")?), &before)?;
    holds_true("they are known", before.0.iter().all(Option::is_some))?;
    holds_true("the other has another GUID", rest[0].is_some() && !before.0.contains(&rest[0]))?;
    equal("the old name", &rest[1], &None)
}

fn a_renamed_snapshot_keeps_its_guid(stage: &Stage<'_>) -> Result<(), Trouble> {
    stage.script("create $/a\n snapshot $/a@x\n snapshot $/a@y")?;
    let before = stage.details("$/a@x")?;
    stage.script("rename $/a@x $/a@z")?;
    let after = stage.details("$/a@z")?;
    equal("identity", &(after.guid, after.createtxg), &(before.guid, before.createtxg))?;
    equal("tags", stage.tags("$/a")?.as_str(), "z y")
}

fn snapshots_changed_moves_when_the_snapshots_do_and_not_with_a_hold(stage: &Stage<'_>) -> Result<(), Trouble> {
    stage.script("create $/a\n snapshot $/a@x")?;
    let stamp = || {
        sleep(Duration::from_millis(1100));
        Ok::<_, Trouble>(stage.listed("$/a")?.snapshots_changed)
    };
    let first = stamp()?;
    if !stage.ground().tells_when_snapshots_changed() {
        return equal("no stamp", &first, &None);
    }
    holds_true("a snapshot sets it", first.is_some())?;
    stage.script("hold t $/a@x\n bookmark $/a@x $/a#x\n release t $/a@x")?;
    equal("after hold and bookmark", &stamp()?, &first)?;
    stage.script("snapshot $/a@y")?;
    let second = stamp()?;
    holds_true("a snapshot moves it", second > first)?;
    stage.script("rename $/a@y $/a@z")?;
    let third = stamp()?;
    holds_true("a rename moves it", third > second)?;
    stage.script("destroy $/a@z")?;
    holds_true("a destroy moves it", stamp()? > third)
}

fn properties_are_as_set_and_inherited(stage: &Stage<'_>) -> Result<(), Trouble> {
    stage.script("create $/a/b\n set readonly=on $/a\n set setuid=off $/a\n set setuid=on $/a/b")?;
    let of = |name: &str| -> Result<Vec<String>, Trouble> {
        stage.lister().properties(&stage.dataset(name)?, &["readonly", "setuid"]).map_err(Trouble::new)
    };
    equal("where they were set", &of("$/a")?, &vec!["on".to_owned(), "off".to_owned()])?;
    equal("below", &of("$/a/b")?, &vec!["on".to_owned(), "on".to_owned()])?;
    holds_true("a gone dataset is an error", of("$/gone").is_err())
}

fn grants_read_back_with_the_scope_that_each_permission_has_on_that_very_dataset(
    stage: &Stage<'_>,
) -> Result<(), Trouble> {
    stage.script(
        "create $/a/b
         allow zam-c1 both snapshot,hold,release $/a
         allow zam-c2 descendent mount,destroy $/a
         allow zam-c2 local destroy,bookmark $/a
         allow zam-c1 local bookmark $/a/b",
    )?;
    let dataset = stage.dataset("$/a")?;
    let grant = |user: &str, scope, permissions: &[&str]| Grant {
        dataset: dataset.clone(),
        who: GrantWho::User(user.to_owned()),
        scope,
        permissions: permissions.iter().map(|&p| p.to_owned()).collect(),
    };
    let mut wanted = vec![
        grant(RIGHTFUL, GrantScope::Both, &["hold", "release", "snapshot"]),
        // Given with `-d` and with `-l` is shown, and is, the same as given without a flag.
        grant("zam-c2", GrantScope::Both, &["destroy"]),
        grant("zam-c2", GrantScope::Descendent, &["mount"]),
        grant("zam-c2", GrantScope::Local, &["bookmark"]),
    ];
    let mut got = stage.lister().grants(&dataset).map_err(Trouble::new)?;
    wanted.sort();
    got.sort();
    equal("grants", &got, &wanted)?;
    equal("none", &stage.lister().grants(&stage.dataset("$")?).map_err(Trouble::new)?, &vec![])?;
    holds_true("a gone dataset is an error", stage.lister().grants(&stage.dataset("$/gone")?).is_err())
}
