//! What the verbs do, and that one bad name does not cost the others.

use super::stage::{OTHER, RIGHTFUL, Stage, Trouble, cases, equal, holds_true};
use crate::batch::Refusal;
use zam_names::Kind;

cases! {
    snapshots_of_one_call_share_a_createtxg,
    a_name_that_is_taken_fails_alone,
    a_denied_dataset_does_not_cost_the_others_their_snapshot,
    a_vanished_dataset_does_not_cost_the_others_their_snapshot,
    every_bad_name_among_many_has_its_own_reason,
    two_snapshots_of_one_dataset_take_two_calls,
    a_name_given_twice_counts_once,
    a_reached_snapshot_limit_stops_that_dataset_alone,
    a_snapshot_limit_stops_all_that_is_wanted_below_it_and_nothing_else,
    volumes_work_as_filesystems_do,
    holding_twice_is_done,
    a_missing_snapshot_does_not_cost_the_others_their_hold,
    releasing_a_missing_tag_is_done,
    releasing_a_gone_snapshot_is_done,
    a_hold_stops_destroy_of_that_snapshot_alone,
    the_last_of_two_holds_stops_destroy_as_well,
    what_was_released_can_be_destroyed,
    clones_stop_destroy,
    destroying_a_gone_snapshot_is_done,
    a_snapshot_remade_under_its_name_is_not_destroyed,
    a_snapshot_remade_under_its_name_is_not_released,
    a_snapshot_that_was_renamed_is_not_destroyed,
    a_mark_for_deferred_destroy_shows_and_fires_at_the_last_release,
    a_hundred_names_in_one_call_work,
}

fn snapshots_of_one_call_share_a_createtxg(stage: &Stage<'_>) -> Result<(), Trouble> {
    stage.script("create $/a/b $/c\n volume $/v\n allow zam-c1 both snapshot $")?;
    let names = "$/a@x $/a/b@x $/c@x $/v@x";
    let taken = stage.snapshot(RIGHTFUL, names)?;
    taken.all_done(names)?;
    taken.in_one_call(true)?;
    let createtxg = stage.details("$/a@x")?.createtxg;
    for name in ["$/a/b@x", "$/c@x", "$/v@x"] {
        equal(name, &stage.details(name)?.createtxg, &createtxg)?;
    }
    stage.snapshot(RIGHTFUL, "$/a@y")?.all_done("$/a@y")?;
    holds_true("the next call has a later one", stage.details("$/a@y")?.createtxg > createtxg)
}

fn a_name_that_is_taken_fails_alone(stage: &Stage<'_>) -> Result<(), Trouble> {
    stage.script("create $/a $/b $/c\n allow zam-c1 both snapshot $\n snapshot $/b@x")?;
    let before = stage.details("$/b@x")?;
    let taken = stage.snapshot(RIGHTFUL, "$/a@x $/b@x $/c@x")?;
    taken.did("$/a@x $/c@x", &[("$/b@x", Refusal::Exists)])?;
    taken.in_one_call(true)?;
    equal("the old one", &stage.details("$/b@x")?, &before)
}

fn a_denied_dataset_does_not_cost_the_others_their_snapshot(stage: &Stage<'_>) -> Result<(), Trouble> {
    stage.script("create $/a $/b $/c\n allow zam-c1 both snapshot $/a\n allow zam-c1 both snapshot $/c")?;
    stage.snapshot(RIGHTFUL, "$/a@x $/b@x $/c@x")?.did("$/a@x $/c@x", &[("$/b@x", Refusal::NotPermitted)])?;
    equal("the denied one", stage.tags("$/b")?.as_str(), "")?;
    stage.script("allow zam-c1 both snapshot $/b")?;
    stage.snapshot(RIGHTFUL, "$/b@x")?.all_done("$/b@x")
}

fn a_vanished_dataset_does_not_cost_the_others_their_snapshot(stage: &Stage<'_>) -> Result<(), Trouble> {
    stage.script("create $/a $/b $/c\n allow zam-c1 both snapshot $\n destroy $/b")?;
    stage.snapshot(RIGHTFUL, "$/a@x $/b@x $/c@x")?.did("$/a@x $/c@x", &[("$/b@x", Refusal::NotFound)])?;
    stage.script("create $/b")?;
    stage.snapshot(RIGHTFUL, "$/b@x")?.all_done("$/b@x")
}

fn every_bad_name_among_many_has_its_own_reason(stage: &Stage<'_>) -> Result<(), Trouble> {
    stage.script(
        "create $/mine/a $/mine/b $/mine/c $/mine/d $/theirs/a $/theirs/b
         allow zam-c1 both snapshot $/mine
         snapshot $/mine/b@x $/theirs/b@x",
    )?;
    let names = "$/theirs/a@x $/mine/a@x $/mine/b@x $/gone@x $/mine/c@x $/theirs/b@x $/mine/d@x $/mine/gone@x";
    stage.snapshot(RIGHTFUL, names)?.did(
        "$/mine/a@x $/mine/c@x $/mine/d@x",
        &[
            ("$/mine/b@x", Refusal::Exists),
            ("$/theirs/a@x $/theirs/b@x", Refusal::NotPermitted),
            ("$/gone@x $/mine/gone@x", Refusal::NotFound),
        ],
    )
}

fn two_snapshots_of_one_dataset_take_two_calls(stage: &Stage<'_>) -> Result<(), Trouble> {
    stage.script("create $/a\n allow zam-c1 both snapshot $")?;
    let taken = stage.snapshot(RIGHTFUL, "$/a@x $/a@y")?;
    taken.all_done("$/a@x $/a@y")?;
    taken.in_one_call(false)?;
    holds_true("in two", stage.details("$/a@x")?.createtxg < stage.details("$/a@y")?.createtxg)
}

fn a_name_given_twice_counts_once(stage: &Stage<'_>) -> Result<(), Trouble> {
    stage.script("create $/a $/b\n allow zam-c1 both snapshot $")?;
    let taken = stage.snapshot(RIGHTFUL, "$/a@x $/b@x $/a@x")?;
    taken.all_done("$/a@x $/b@x")?;
    taken.in_one_call(true)
}

fn a_reached_snapshot_limit_stops_that_dataset_alone(stage: &Stage<'_>) -> Result<(), Trouble> {
    stage.script("create $/a $/b $/c\n allow zam-c1 both snapshot $\n limit 1 $/b\n snapshot $/b@w")?;
    stage.snapshot(RIGHTFUL, "$/a@x $/b@x $/c@x")?.did("$/a@x $/c@x", &[("$/b@x", Refusal::NoSpace)])?;
    stage.script("limit none $/b")?;
    stage.snapshot(RIGHTFUL, "$/b@x")?.all_done("$/b@x")
}

fn a_snapshot_limit_stops_all_that_is_wanted_below_it_and_nothing_else(stage: &Stage<'_>) -> Result<(), Trouble> {
    stage.script("create $/a $/b/x $/b/y/z $/c\n allow zam-c1 both snapshot $\n limit 2 $/b")?;
    let taken = stage.snapshot(RIGHTFUL, "$/a@s $/b@s $/b/x@s $/b/y/z@s $/c@s")?;
    taken.did("$/a@s $/c@s", &[("$/b@s $/b/x@s $/b/y/z@s", Refusal::NoSpace)])?;
    stage.snapshot(RIGHTFUL, "$/b@s $/b/x@s")?.all_done("$/b@s $/b/x@s")?;
    stage.snapshot(RIGHTFUL, "$/b/y/z@s $/a@t")?.did("$/a@t", &[("$/b/y/z@s", Refusal::NoSpace)])
}

fn a_hundred_names_in_one_call_work(stage: &Stage<'_>) -> Result<(), Trouble> {
    let each = |suffix: &str| (0..10).map(|n| format!("$/many/d{n}{suffix}")).collect::<Vec<_>>().join(" ");
    stage.script(&format!("create $/many\n create {}\n allow zam-c1 both snapshot,hold,release $", each("")))?;
    stage.script("allow zam-c2 both destroy,mount $")?;
    let mut all = String::new();
    for tag in 0..10 {
        let names = each(&format!("@x{tag}"));
        let taken = stage.snapshot(RIGHTFUL, &names)?;
        taken.all_done(&names)?;
        taken.in_one_call(true)?;
        all = format!("{all} {names}");
    }
    let targets = stage.targets(&all)?;
    let held = stage.hold(RIGHTFUL, "t", &all)?;
    held.all_done(&all)?;
    held.in_one_call(true)?;
    let released = stage.release(RIGHTFUL, "t", targets.clone())?;
    released.all_done(&all)?;
    released.in_one_call(true)?;
    let destroyed = stage.destroy(OTHER, targets)?;
    destroyed.all_done(&all)?;
    destroyed.in_one_call(true)?;
    equal("left", stage.tags("$/many/d9")?.as_str(), "")
}

fn volumes_work_as_filesystems_do(stage: &Stage<'_>) -> Result<(), Trouble> {
    stage.script(
        "volume $/v\n allow zam-c1 both snapshot,hold,release $/v\n allow zam-c2 descendent destroy,mount $/v",
    )?;
    equal("kind", &stage.listed("$/v")?.kind, &Kind::Volume)?;
    stage.snapshot(RIGHTFUL, "$/v@x")?.all_done("$/v@x")?;
    stage.hold(RIGHTFUL, "t", "$/v@x")?.all_done("$/v@x")?;
    stage.destroy(OTHER, stage.targets("$/v@x")?)?.did("", &[("$/v@x", Refusal::Busy)])?;
    stage.release(RIGHTFUL, "t", stage.targets("$/v@x")?)?.all_done("$/v@x")?;
    stage.destroy(OTHER, stage.targets("$/v@x")?)?.all_done("$/v@x")?;
    equal("left", stage.tags("$/v")?.as_str(), "")
}

fn holding_twice_is_done(stage: &Stage<'_>) -> Result<(), Trouble> {
    stage.script("create $/a $/b $/c\n allow zam-c1 both hold $\n snapshot $/a@x $/b@x $/c@x\n hold t $/b@x")?;
    let names = "$/a@x $/b@x $/c@x";
    stage.hold(RIGHTFUL, "t", names)?.all_done(names)?;
    stage.hold(RIGHTFUL, "t", names)?.all_done(names)?;
    for name in names.split(' ') {
        equal(name, stage.holds(name)?.as_str(), "t")?;
    }
    Ok(())
}

fn a_missing_snapshot_does_not_cost_the_others_their_hold(stage: &Stage<'_>) -> Result<(), Trouble> {
    stage.script("create $/a $/b\n allow zam-c1 both hold $\n snapshot $/a@x $/b@x")?;
    let gone = [("$/a@gone $/gone@x", Refusal::NotFound)];
    stage.hold(RIGHTFUL, "t", "$/a@x $/a@gone $/gone@x $/b@x")?.did("$/a@x $/b@x", &gone)?;
    stage.hold(RIGHTFUL, "t", "$/a@gone $/gone@x")?.did("", &gone)?;
    equal("held", &(stage.holds("$/a@x")?, stage.holds("$/b@x")?), &("t".to_owned(), "t".to_owned()))
}

fn releasing_a_missing_tag_is_done(stage: &Stage<'_>) -> Result<(), Trouble> {
    stage
        .script("create $/a $/b\n allow zam-c1 both release $\n snapshot $/a@x $/b@x\n hold t $/a@x\n hold u $/b@x")?;
    let names = "$/a@x $/b@x";
    stage.release(RIGHTFUL, "t", stage.targets(names)?)?.all_done(names)?;
    equal("left", &(stage.holds("$/a@x")?, stage.holds("$/b@x")?), &(String::new(), "u".to_owned()))?;
    stage.release(RIGHTFUL, "t", stage.targets(names)?)?.all_done(names)
}

fn releasing_a_gone_snapshot_is_done(stage: &Stage<'_>) -> Result<(), Trouble> {
    stage.script("create $/a $/b\n allow zam-c1 both release $\n snapshot $/a@x $/b@x\n hold t $/b@x")?;
    let targets = stage.targets("$/a@x $/b@x")?;
    stage.script("destroy $/a@x")?;
    stage.release(RIGHTFUL, "t", targets)?.all_done("$/a@x $/b@x")?;
    equal("left", stage.holds("$/b@x")?.as_str(), "")
}

fn a_hold_stops_destroy_of_that_snapshot_alone(stage: &Stage<'_>) -> Result<(), Trouble> {
    stage.script(
        "create $/a $/b
         allow zam-c1 both hold $
         allow zam-c2 both destroy,mount $
         snapshot $/a@x $/b@x
         snapshot $/a@y",
    )?;
    stage.hold(RIGHTFUL, "zam", "$/a@x")?.all_done("$/a@x")?;
    let targets = stage.targets("$/a@x $/a@y $/b@x")?;
    stage.destroy(OTHER, targets)?.did("$/a@y $/b@x", &[("$/a@x", Refusal::Busy)])?;
    equal("left", &(stage.tags("$/a")?, stage.tags("$/b")?), &("x".to_owned(), String::new()))?;
    equal("no mark is left", &stage.details("$/a@x")?.deferred, &false)
}

fn the_last_of_two_holds_stops_destroy_as_well(stage: &Stage<'_>) -> Result<(), Trouble> {
    stage.script(
        "create $/a
         allow zam-c1 both release $
         allow zam-c2 both destroy,mount $
         snapshot $/a@x
         hold one $/a@x
         hold two $/a@x",
    )?;
    let target = stage.targets("$/a@x")?;
    stage.release(RIGHTFUL, "one", target.clone())?.all_done("$/a@x")?;
    stage.destroy(OTHER, target.clone())?.did("", &[("$/a@x", Refusal::Busy)])?;
    stage.release(RIGHTFUL, "two", target.clone())?.all_done("$/a@x")?;
    stage.destroy(OTHER, target)?.all_done("$/a@x")
}

fn what_was_released_can_be_destroyed(stage: &Stage<'_>) -> Result<(), Trouble> {
    stage.script("create $/a\n allow zam-c1 both snapshot,hold,release $\n allow zam-c2 both destroy,mount $")?;
    stage.snapshot(RIGHTFUL, "$/a@x")?.all_done("$/a@x")?;
    stage.hold(RIGHTFUL, "zam", "$/a@x")?.all_done("$/a@x")?;
    stage.release(RIGHTFUL, "zam", stage.targets("$/a@x")?)?.all_done("$/a@x")?;
    stage.destroy(OTHER, stage.targets("$/a@x")?)?.all_done("$/a@x")?;
    equal("left", stage.tags("$/a")?.as_str(), "")
}

fn clones_stop_destroy(stage: &Stage<'_>) -> Result<(), Trouble> {
    stage
        .script("create $/a\n allow zam-c2 both destroy,mount $\n snapshot $/a@x\n snapshot $/a@y\n clone $/a@x $/c")?;
    let targets = stage.targets("$/a@x $/a@y")?;
    stage.destroy(OTHER, targets.clone())?.did("$/a@y", &[("$/a@x", Refusal::HasClones)])?;
    stage.script("destroy $/c")?;
    stage.destroy(OTHER, targets)?.all_done("$/a@x $/a@y")
}

fn destroying_a_gone_snapshot_is_done(stage: &Stage<'_>) -> Result<(), Trouble> {
    stage.script("create $/a $/b\n allow zam-c2 both destroy,mount $\n snapshot $/a@x $/b@x")?;
    let targets = stage.targets("$/a@x $/b@x")?;
    stage.script("destroy $/a@x")?;
    stage.destroy(OTHER, targets.clone())?.all_done("$/a@x $/b@x")?;
    stage.destroy(OTHER, targets.clone())?.all_done("$/a@x $/b@x")?;
    stage.script("destroy $/b")?;
    stage.destroy(OTHER, targets)?.all_done("$/a@x $/b@x")
}

fn a_snapshot_remade_under_its_name_is_not_destroyed(stage: &Stage<'_>) -> Result<(), Trouble> {
    stage.script("create $/a $/b\n allow zam-c2 both destroy,mount $\n snapshot $/a@x $/b@x")?;
    let targets = stage.targets("$/a@x $/b@x")?;
    stage.script("destroy $/a@x\n snapshot $/a@x")?;
    stage.destroy(OTHER, targets)?.did("$/b@x", &[("$/a@x", Refusal::OtherGuid)])?;
    stage.destroy(OTHER, stage.targets("$/a@x")?)?.all_done("$/a@x")
}

fn a_snapshot_remade_under_its_name_is_not_released(stage: &Stage<'_>) -> Result<(), Trouble> {
    stage.script("create $/a\n allow zam-c1 both release $\n snapshot $/a@x")?;
    let target = stage.targets("$/a@x")?;
    stage.script("destroy $/a@x\n snapshot $/a@x\n hold t $/a@x")?;
    stage.release(RIGHTFUL, "t", target)?.did("", &[("$/a@x", Refusal::OtherGuid)])?;
    equal("held", stage.holds("$/a@x")?.as_str(), "t")?;
    stage.release(RIGHTFUL, "t", stage.targets("$/a@x")?)?.all_done("$/a@x")?;
    equal("held", stage.holds("$/a@x")?.as_str(), "")
}

fn a_snapshot_that_was_renamed_is_not_destroyed(stage: &Stage<'_>) -> Result<(), Trouble> {
    stage.script("create $/a\n allow zam-c2 both destroy,mount $\n snapshot $/a@x")?;
    let target = stage.targets("$/a@x")?;
    stage.script("rename $/a@x $/a@y")?;
    stage.destroy(OTHER, target)?.all_done("$/a@x")?;
    equal("left", stage.tags("$/a")?.as_str(), "y")
}

fn a_mark_for_deferred_destroy_shows_and_fires_at_the_last_release(stage: &Stage<'_>) -> Result<(), Trouble> {
    stage.script(
        "create $/a
         allow zam-c1 both release $
         snapshot $/a@x
         hold one $/a@x
         hold two $/a@x
         destroy -d $/a@x",
    )?;
    equal("marked", &stage.details("$/a@x")?.deferred, &true)?;
    let target = stage.targets("$/a@x")?;
    stage.release(RIGHTFUL, "one", target.clone())?.all_done("$/a@x")?;
    equal("still there", stage.tags("$/a")?.as_str(), "x")?;
    stage.release(RIGHTFUL, "two", target)?.all_done("$/a@x")?;
    equal("gone", stage.tags("$/a")?.as_str(), "")
}
