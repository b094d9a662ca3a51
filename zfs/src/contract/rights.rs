//! How far a grant reaches. Each refusal has its positive control.

use super::stage::{OTHER, RIGHTFUL, Stage, Trouble, cases, equal};
use crate::batch::Refusal;

cases! {
    without_any_grant_nothing_is_done,
    a_descendent_destroy_grant_on_a_leaf_reaches_its_snapshots,
    a_descendent_destroy_grant_on_a_parent_reaches_the_childrens_snapshots,
    a_local_destroy_grant_reaches_no_snapshot,
    destroy_needs_mount_and_mount_needs_destroy,
    a_local_snapshot_grant_on_the_parent_does_not_reach_a_child,
    a_descendent_snapshot_grant_reaches_children_and_not_the_dataset,
    a_local_hold_grant_is_enough_and_a_descendent_one_is_not,
    a_denied_snapshot_does_not_cost_the_others_their_hold,
    without_release_no_release,
    whoever_may_release_may_release_every_tag,
    a_denied_snapshot_does_not_cost_the_others_their_release,
    a_denied_snapshot_does_not_keep_the_others_from_destroy,
    who_may_snapshot_hold_and_release_may_not_destroy,
    who_may_destroy_may_not_snapshot_hold_or_release,
    destroying_bookmarks_needs_destroy_on_the_dataset_itself,
}

fn without_any_grant_nothing_is_done(stage: &Stage<'_>) -> Result<(), Trouble> {
    stage.script("create $/a $/b\n snapshot $/a@x $/b@x\n hold t $/a@x $/b@x\n allow zam-c1 both snapshot $")?;
    let (names, new) = ("$/a@x $/b@x", "$/a@y $/b@y");
    let denied = [(names, Refusal::NotPermitted)];
    stage.snapshot(OTHER, new)?.did("", &[(new, Refusal::NotPermitted)])?;
    stage.hold(OTHER, "u", names)?.did("", &denied)?;
    stage.release(OTHER, "t", stage.targets(names)?)?.did("", &denied)?;
    stage.destroy(OTHER, stage.targets(names)?)?.did("", &denied)?;
    equal("left", &(stage.tags("$/a")?, stage.tags("$/b")?), &("x".to_owned(), "x".to_owned()))?;
    stage.snapshot(RIGHTFUL, new)?.all_done(new)
}

fn a_descendent_destroy_grant_on_a_leaf_reaches_its_snapshots(stage: &Stage<'_>) -> Result<(), Trouble> {
    stage.script("create $/a $/b\n snapshot $/a@x $/b@x\n allow zam-c1 descendent destroy,mount $/a")?;
    stage.destroy(RIGHTFUL, stage.targets("$/a@x $/b@x")?)?.did("$/a@x", &[("$/b@x", Refusal::NotPermitted)])
}

fn a_descendent_destroy_grant_on_a_parent_reaches_the_childrens_snapshots(stage: &Stage<'_>) -> Result<(), Trouble> {
    stage
        .script("create $/a/b/c\n snapshot $@x $/a@x $/a/b@x $/a/b/c@x\n allow zam-c1 descendent destroy,mount $/a")?;
    let targets = stage.targets("$@x $/a@x $/a/b@x $/a/b/c@x")?;
    stage.destroy(RIGHTFUL, targets)?.did("$/a@x $/a/b@x $/a/b/c@x", &[("$@x", Refusal::NotPermitted)])
}

fn a_local_destroy_grant_reaches_no_snapshot(stage: &Stage<'_>) -> Result<(), Trouble> {
    stage.script("create $/a/b\n snapshot $/a@x $/a/b@x\n allow zam-c1 local destroy,mount $/a")?;
    let names = "$/a@x $/a/b@x";
    stage.destroy(RIGHTFUL, stage.targets(names)?)?.did("", &[(names, Refusal::NotPermitted)])?;
    stage.script("allow zam-c1 descendent destroy,mount $/a")?;
    stage.destroy(RIGHTFUL, stage.targets(names)?)?.all_done(names)
}

fn destroy_needs_mount_and_mount_needs_destroy(stage: &Stage<'_>) -> Result<(), Trouble> {
    stage.script(
        "create $/a $/b
         snapshot $/a@x $/b@x
         allow zam-c1 descendent destroy $/a
         allow zam-c1 descendent mount $/b",
    )?;
    let names = "$/a@x $/b@x";
    stage.destroy(RIGHTFUL, stage.targets(names)?)?.did("", &[(names, Refusal::NotPermitted)])?;
    stage.script("allow zam-c1 descendent mount $/a\n allow zam-c1 descendent destroy $/b")?;
    stage.destroy(RIGHTFUL, stage.targets(names)?)?.all_done(names)
}

fn a_local_snapshot_grant_on_the_parent_does_not_reach_a_child(stage: &Stage<'_>) -> Result<(), Trouble> {
    stage.script("create $/a/b\n allow zam-c1 local snapshot $/a")?;
    stage.snapshot(RIGHTFUL, "$/a@x $/a/b@x")?.did("$/a@x", &[("$/a/b@x", Refusal::NotPermitted)])?;
    stage.script("allow zam-c1 local snapshot $/a/b")?;
    stage.snapshot(RIGHTFUL, "$/a/b@x")?.all_done("$/a/b@x")
}

fn a_descendent_snapshot_grant_reaches_children_and_not_the_dataset(stage: &Stage<'_>) -> Result<(), Trouble> {
    stage.script("create $/a/b/c\n allow zam-c1 descendent snapshot $/a")?;
    let taken = stage.snapshot(RIGHTFUL, "$/a@x $/a/b@x $/a/b/c@x")?;
    taken.did("$/a/b@x $/a/b/c@x", &[("$/a@x", Refusal::NotPermitted)])
}

fn a_local_hold_grant_is_enough_and_a_descendent_one_is_not(stage: &Stage<'_>) -> Result<(), Trouble> {
    stage.script(
        "create $/a $/b
         snapshot $/a@x $/b@x
         allow zam-c1 local hold,release $/a
         allow zam-c1 descendent hold,release $/b",
    )?;
    let names = "$/a@x $/b@x";
    stage.hold(RIGHTFUL, "t", names)?.did("$/a@x", &[("$/b@x", Refusal::NotPermitted)])?;
    stage.script("hold t $/b@x")?;
    stage.release(RIGHTFUL, "t", stage.targets(names)?)?.did("$/a@x", &[("$/b@x", Refusal::NotPermitted)])
}

fn a_denied_snapshot_does_not_cost_the_others_their_hold(stage: &Stage<'_>) -> Result<(), Trouble> {
    stage.script(
        "create $/a $/b $/c\n snapshot $/a@x $/b@x $/c@x\n allow zam-c1 both hold $/a\n allow zam-c1 both hold $/c",
    )?;
    stage.hold(RIGHTFUL, "t", "$/a@x $/b@x $/c@x")?.did("$/a@x $/c@x", &[("$/b@x", Refusal::NotPermitted)])?;
    equal("held", &(stage.holds("$/a@x")?, stage.holds("$/b@x")?), &("t".to_owned(), String::new()))
}

fn without_release_no_release(stage: &Stage<'_>) -> Result<(), Trouble> {
    stage.script(
        "create $/a\n snapshot $/a@x\n allow zam-c1 both hold,snapshot,destroy,mount $\n allow zam-c2 both release $",
    )?;
    stage.hold(RIGHTFUL, "t", "$/a@x")?.all_done("$/a@x")?;
    let target = stage.targets("$/a@x")?;
    stage.release(RIGHTFUL, "t", target.clone())?.did("", &[("$/a@x", Refusal::NotPermitted)])?;
    equal("held", stage.holds("$/a@x")?.as_str(), "t")?;
    stage.release(OTHER, "t", target)?.all_done("$/a@x")
}

fn whoever_may_release_may_release_every_tag(stage: &Stage<'_>) -> Result<(), Trouble> {
    stage.script("create $/a\n snapshot $/a@x\n hold roots $/a@x\n allow zam-c1 both release $")?;
    stage.release(RIGHTFUL, "roots", stage.targets("$/a@x")?)?.all_done("$/a@x")?;
    equal("held", stage.holds("$/a@x")?.as_str(), "")
}

fn a_denied_snapshot_does_not_cost_the_others_their_release(stage: &Stage<'_>) -> Result<(), Trouble> {
    stage.script("create $/a $/b\n snapshot $/a@x $/b@x\n hold t $/a@x $/b@x\n allow zam-c1 both release $/b")?;
    stage.release(RIGHTFUL, "t", stage.targets("$/a@x $/b@x")?)?.did("$/b@x", &[("$/a@x", Refusal::NotPermitted)])?;
    equal("held", &(stage.holds("$/a@x")?, stage.holds("$/b@x")?), &("t".to_owned(), String::new()))
}

fn a_denied_snapshot_does_not_keep_the_others_from_destroy(stage: &Stage<'_>) -> Result<(), Trouble> {
    stage.script(
        "create $/a $/b $/c\n snapshot $/a@x $/b@x $/c@x\n hold t $/c@x\n allow zam-c1 descendent destroy,mount $/b",
    )?;
    stage.script("allow zam-c1 descendent destroy,mount $/c")?;
    let failed = [("$/a@x", Refusal::NotPermitted), ("$/c@x", Refusal::Busy)];
    stage.destroy(RIGHTFUL, stage.targets("$/a@x $/b@x $/c@x")?)?.did("$/b@x", &failed)
}

fn who_may_snapshot_hold_and_release_may_not_destroy(stage: &Stage<'_>) -> Result<(), Trouble> {
    stage.script("create $/a\n allow zam-c1 both snapshot,hold,release $\n allow zam-c2 both destroy,mount $")?;
    stage.snapshot(RIGHTFUL, "$/a@x")?.all_done("$/a@x")?;
    stage.destroy(RIGHTFUL, stage.targets("$/a@x")?)?.did("", &[("$/a@x", Refusal::NotPermitted)])?;
    stage.destroy(OTHER, stage.targets("$/a@x")?)?.all_done("$/a@x")
}

fn who_may_destroy_may_not_snapshot_hold_or_release(stage: &Stage<'_>) -> Result<(), Trouble> {
    stage.script("create $/a\n snapshot $/a@x\n hold t $/a@x\n allow zam-c2 both destroy,mount $")?;
    stage.snapshot(OTHER, "$/a@y")?.did("", &[("$/a@y", Refusal::NotPermitted)])?;
    stage.hold(OTHER, "u", "$/a@x")?.did("", &[("$/a@x", Refusal::NotPermitted)])?;
    stage.release(OTHER, "t", stage.targets("$/a@x")?)?.did("", &[("$/a@x", Refusal::NotPermitted)])?;
    stage.script("release t $/a@x")?;
    stage.destroy(OTHER, stage.targets("$/a@x")?)?.all_done("$/a@x")
}

fn destroying_bookmarks_needs_destroy_on_the_dataset_itself(stage: &Stage<'_>) -> Result<(), Trouble> {
    stage.script(
        "create $/a\n snapshot $/a@x\n bookmark $/a@x $/a#x\n allow zam-c1 descendent destroy,mount $/a
         allow zam-c2 local destroy $/a",
    )?;
    stage.unbookmarked(RIGHTFUL, "$/a#x", Err(Refusal::NotPermitted))?;
    stage.unbookmarked(OTHER, "$/a#x", Ok(()))?;
    let left = stage.lister().bookmarks(stage.ground().pool()).map_err(Trouble::new)?;
    equal("left", &left.iter().filter(|mark| mark.name.to_string() == stage.full("$/a#x")).count(), &0)?;
    stage.unbookmarked(OTHER, "$/a#x", Ok(()))?;
    equal("the snapshot stays", stage.tags("$/a")?.as_str(), "x")
}
