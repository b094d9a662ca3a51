//! Sending and receiving.

use super::stage::{OTHER, RIGHTFUL, Stage, Trouble, cases, equal, holds_true};
use crate::batch::Refusal;
use crate::copy::{PartialFacts, ReceiveError, ReceiveStep, ResumePoint, SendStep};
use crate::door::Scope;
use zam_names::{Guid, Kind, UnixTime};

cases! {
    a_full_stream_and_those_that_build_on_it_arrive_with_their_guids_and_dates,
    a_volume_travels_as_a_filesystem_does,
    a_bookmark_is_a_base_when_its_snapshot_is_gone,
    an_encrypted_dataset_travels_raw_without_its_key,
    a_cut_stream_goes_on_where_it_ended,
    a_cut_first_stream_goes_on_where_it_ended,
    a_cut_raw_stream_goes_on_where_it_ended,
    while_a_cut_stream_waits_no_other_comes_in_until_it_is_cleared,
    clearing_takes_away_what_is_partial_and_nothing_else,
    clearing_a_first_stream_takes_the_dataset_away,
    without_the_create_time_grant_nothing_is_cleared,
    what_follows_the_stream_is_an_error,
    another_stream_than_the_announced_one_is_refused,
    a_package_of_streams_is_refused,
    a_damaged_stream_is_refused,
    a_diverged_dataset_is_left_alone,
    a_missing_base_is_told,
    a_full_stream_does_not_replace_a_dataset,
    a_snapshot_remade_under_its_name_is_not_sent,
    a_reached_quota_stops_it_and_it_goes_on_later,
    sending_needs_send_below,
    receiving_needs_receive_mount_and_create,
    what_was_received_is_held_and_its_receiver_destroys_nothing,
    bookmarking_needs_bookmark_and_can_be_done_twice,
    a_placeholder_needs_create_and_mount_and_can_be_made_twice,
    an_estimate_needs_no_right,
}

/// A source with rights to send and bookmark, and a root to receive below.
const GROUND: &str = "create $/a $/r
    allow zam-c1 descendent send $/a
    allow zam-c1 local bookmark $/a
    allow zam-c2 both receive,create,mount,hold $/r
    allow creator destroy,mount $/r\n";

fn start(stage: &Stage<'_>, then: &str) -> Result<(), Trouble> {
    stage.script(&format!("{GROUND}{then}"))
}

/// Sends and receives, and both go well.
fn copy(stage: &Stage<'_>, send: &SendStep, to: &str) -> Result<(), Trouble> {
    let stream = stage.sent(RIGHTFUL, send)?;
    stage.received(OTHER, &stage.announced(send, to)?, &stream)
}

fn a_full_stream_and_those_that_build_on_it_arrive_with_their_guids_and_dates(
    stage: &Stage<'_>,
) -> Result<(), Trouble> {
    start(stage, "write 300000 $/a\n snapshot $/a@x\n write 200000 $/a\n snapshot $/a@y\n snapshot $/a@z")?;
    copy(stage, &stage.step("$/a@x", "")?, "$/r/a")?;
    copy(stage, &stage.step("$/a@y", "$/a@x")?, "$/r/a")?;
    copy(stage, &stage.step("$/a@z", "$/a@y")?, "$/r/a")?;
    equal("tags", stage.tags("$/r/a")?.as_str(), "x y z")?;
    for tag in ["x", "y", "z"] {
        let [sent, got] = ["a", "r/a"].map(|dataset| stage.details(&format!("$/{dataset}@{tag}")));
        let (sent, got) = (sent?, got?);
        equal(tag, &(got.guid, got.creation), &(sent.guid, sent.creation))?;
    }
    let facts = stage.facts("$/r/a")?;
    equal("partial", &facts.partial, &None)?;
    holds_true("nothing was written there", facts.written == 0 && facts.available > 0)?;
    equal("encrypted", &(facts.encrypted, facts.key_loaded), &(false, true))?;
    let all = stage.lister().copy_facts(Scope::Pool(stage.ground().pool())).map_err(Trouble::new)?;
    holds_true("it is listed with the pool", all.iter().any(|f| f.dataset == facts.dataset && f.partial.is_none()))?;
    let again = stage.sent(RIGHTFUL, &stage.step("$/a@z", "$/a@y")?)?;
    let step = stage.announced(&stage.step("$/a@z", "$/a@y")?, "$/r/a")?;
    stage.not_received(OTHER, &step, &again, Refusal::Exists)
}

fn a_volume_travels_as_a_filesystem_does(stage: &Stage<'_>) -> Result<(), Trouble> {
    stage.script(
        "create $/r\n volume $/v\n snapshot $/v@x\n snapshot $/v@y
         allow zam-c1 descendent send $/v\n allow zam-c2 both receive,create,mount $/r",
    )?;
    for step in [stage.step("$/v@x", "")?, stage.step("$/v@y", "$/v@x")?] {
        let announced = ReceiveStep { kind: Kind::Volume, ..stage.announced(&step, "$/r/v")? };
        stage.received(OTHER, &announced, &stage.sent(RIGHTFUL, &step)?)?;
    }
    equal("kind", &stage.listed("$/r/v")?.kind, &Kind::Volume)?;
    equal("tags", stage.tags("$/r/v")?.as_str(), "x y")
}

fn a_bookmark_is_a_base_when_its_snapshot_is_gone(stage: &Stage<'_>) -> Result<(), Trouble> {
    start(stage, "snapshot $/a@x\n write 100000 $/a\n snapshot $/a@y")?;
    copy(stage, &stage.step("$/a@x", "")?, "$/r/a")?;
    stage.bookmarked(RIGHTFUL, "$/a@x", "$/a#x", Ok(()))?;
    stage.script("destroy $/a@x")?;
    copy(stage, &stage.step("$/a@y", "$/a#x")?, "$/r/a")?;
    equal("tags", stage.tags("$/r/a")?.as_str(), "x y")
}

fn an_encrypted_dataset_travels_raw_without_its_key(stage: &Stage<'_>) -> Result<(), Trouble> {
    stage.script(
        "create $/r\n encrypted $/e\n write 200000 $/e\n snapshot $/e@x\n write 100000 $/e\n snapshot $/e@y
         allow zam-c1 descendent send $/e\n allow zam-c2 both receive,create,mount $/r\n unload-key $/e",
    )?;
    let facts = stage.facts("$/e")?;
    equal("encrypted", &(facts.encrypted, facts.key_loaded), &(true, false))?;
    stage.not_sent(RIGHTFUL, &stage.step("$/e@x", "")?, Refusal::Other(String::new()))?;
    copy(stage, &SendStep { raw: true, ..stage.step("$/e@x", "")? }, "$/r/e")?;
    copy(stage, &SendStep { raw: true, ..stage.step("$/e@y", "$/e@x")? }, "$/r/e")?;
    equal("tags", stage.tags("$/r/e")?.as_str(), "x y")?;
    let facts = stage.facts("$/r/e")?;
    equal("encrypted there", &(facts.encrypted, facts.key_loaded), &(true, false))
}

/// Cuts the step's stream, looks at what is left, goes on there and cuts again, until it is all there.
fn cut_and_go_on(stage: &Stage<'_>, step: &SendStep, to: &str) -> Result<(), Trouble> {
    let announced = stage.announced(step, to)?;
    let stream = stage.sent(RIGHTFUL, step)?;
    let whole = stage.length(&stream)?;
    stage.not_received_as(OTHER, &announced, &stage.cut(&stream, 100)?, &ReceiveError::Cut)?;
    holds_true("less than a record leaves nothing", stage.facts(to).map_or(true, |facts| facts.partial.is_none()))?;
    stage.not_received_as(OTHER, &announced, &stage.cut(&stream, whole / 3)?, &ReceiveError::Cut)?;
    let mut before = 0;
    for percent in [5, 20, 50, 80] {
        let partial = stage.partial(to)?;
        let PartialFacts { to, from, raw, .. } = partial;
        equal("what is left", &(to, from, raw), &(step.to.guid, step.from.guid(), step.raw))?;
        holds_true("it grows", partial.bytes >= before)?;
        before = partial.bytes;
        let (announced, rest) = go_on(stage, step, &announced, &partial)?;
        let length = stage.length(&rest)?;
        holds_true("what has arrived is not sent again", length < whole)?;
        let cut = stage.cut(&rest, length * percent / 100)?;
        stage.not_received_as(OTHER, &announced, &cut, &ReceiveError::Cut)?;
    }
    let (announced, rest) = go_on(stage, step, &announced, &stage.partial(to)?)?;
    stage.received(OTHER, &announced, &rest)?;
    equal("partial", &stage.facts(to)?.partial, &None)
}

/// The announcement and the stream of the rest.
fn go_on(
    stage: &Stage<'_>,
    step: &SendStep,
    announced: &ReceiveStep,
    partial: &PartialFacts,
) -> Result<(ReceiveStep, String), Trouble> {
    let resume = Some(ResumePoint { object: partial.object, offset: partial.offset });
    let stream = stage.sent(RIGHTFUL, &SendStep { resume, ..step.clone() })?;
    Ok((ReceiveStep { resume: true, ..announced.clone() }, stream))
}

fn a_cut_stream_goes_on_where_it_ended(stage: &Stage<'_>) -> Result<(), Trouble> {
    start(stage, "snapshot $/a@x\n write 3000000 $/a\n snapshot $/a@y\n bookmark $/a@x $/a#x")?;
    copy(stage, &stage.step("$/a@x", "")?, "$/r/a")?;
    cut_and_go_on(stage, &stage.step("$/a@y", "$/a#x")?, "$/r/a")?;
    equal("tags", stage.tags("$/r/a")?.as_str(), "x y")
}

fn a_cut_first_stream_goes_on_where_it_ended(stage: &Stage<'_>) -> Result<(), Trouble> {
    start(stage, "write 3000000 $/a\n snapshot $/a@x")?;
    cut_and_go_on(stage, &stage.step("$/a@x", "")?, "$/r/a")?;
    equal("tags", stage.tags("$/r/a")?.as_str(), "x")
}

fn a_cut_raw_stream_goes_on_where_it_ended(stage: &Stage<'_>) -> Result<(), Trouble> {
    stage.script(
        "create $/r\n encrypted $/e\n write 3000000 $/e\n snapshot $/e@x\n unload-key $/e
         allow zam-c1 descendent send $/e\n allow zam-c2 both receive,create,mount $/r",
    )?;
    cut_and_go_on(stage, &SendStep { raw: true, ..stage.step("$/e@x", "")? }, "$/r/e")?;
    equal("tags", stage.tags("$/r/e")?.as_str(), "x")
}

/// Leaves a partial receive of `$/a@y` in `$/r/a`, which has `x`. Gives its announcement and its stream.
fn leave_partial(stage: &Stage<'_>) -> Result<(ReceiveStep, String), Trouble> {
    start(stage, "snapshot $/a@x\n write 1000000 $/a\n snapshot $/a@y\n snapshot $/a@z")?;
    copy(stage, &stage.step("$/a@x", "")?, "$/r/a")?;
    let step = stage.step("$/a@y", "$/a@x")?;
    let stream = stage.sent(RIGHTFUL, &step)?;
    let announced = stage.announced(&step, "$/r/a")?;
    let cut = stage.cut(&stream, stage.length(&stream)? / 2)?;
    stage.not_received_as(OTHER, &announced, &cut, &ReceiveError::Cut)?;
    equal("partial", &stage.partial("$/r/a")?.to, &step.to.guid)?;
    Ok((announced, stream))
}

fn while_a_cut_stream_waits_no_other_comes_in_until_it_is_cleared(stage: &Stage<'_>) -> Result<(), Trouble> {
    let (announced, stream) = leave_partial(stage)?;
    let z = stage.step("$/a@z", "$/a@x")?;
    let other = stage.sent(RIGHTFUL, &z)?;
    stage.not_received(OTHER, &stage.announced(&z, "$/r/a")?, &other, Refusal::Busy)?;
    stage.not_received(OTHER, &announced, &stream, Refusal::Busy)?;
    // The rest of another one does not go on with it either.
    let start = Some(ResumePoint { object: 1, offset: 0 });
    let rest = stage.sent(RIGHTFUL, &SendStep { resume: start, ..z.clone() })?;
    let step = ReceiveStep { resume: true, ..stage.announced(&z, "$/r/a")? };
    stage.not_received(OTHER, &step, &rest, Refusal::Other(String::new()))?;
    stage.cleared(OTHER, "$/r/a", Ok(()))?;
    stage.received(OTHER, &announced, &stream)
}

fn clearing_takes_away_what_is_partial_and_nothing_else(stage: &Stage<'_>) -> Result<(), Trouble> {
    let (announced, stream) = leave_partial(stage)?;
    stage.cleared(OTHER, "$/r/a", Ok(()))?;
    equal("partial", &stage.facts("$/r/a")?.partial, &None)?;
    stage.received(OTHER, &announced, &stream)?;
    stage.cleared(OTHER, "$/r/a", Ok(()))?;
    stage.cleared(OTHER, "$/r/gone", Ok(()))?;
    equal("tags", stage.tags("$/r/a")?.as_str(), "x y")
}

fn clearing_a_first_stream_takes_the_dataset_away(stage: &Stage<'_>) -> Result<(), Trouble> {
    start(stage, "write 1000000 $/a\n snapshot $/a@x")?;
    let step = stage.step("$/a@x", "")?;
    let stream = stage.sent(RIGHTFUL, &step)?;
    let cut = stage.cut(&stream, stage.length(&stream)? / 2)?;
    stage.not_received_as(OTHER, &stage.announced(&step, "$/r/a")?, &cut, &ReceiveError::Cut)?;
    stage.partial("$/r/a")?;
    stage.cleared(OTHER, "$/r/a", Ok(()))?;
    holds_true("the dataset is gone", stage.facts("$/r/a").is_err())?;
    stage.received(OTHER, &stage.announced(&step, "$/r/a")?, &stream)?;
    stage.cleared(OTHER, "$/r/a", Ok(()))?;
    equal("tags", stage.tags("$/r/a")?.as_str(), "x")
}

fn without_the_create_time_grant_nothing_is_cleared(stage: &Stage<'_>) -> Result<(), Trouble> {
    stage.script(
        "create $/a $/r\n write 1000000 $/a\n snapshot $/a@x
         allow zam-c1 descendent send $/a\n allow zam-c2 both receive,create,mount $/r",
    )?;
    let step = stage.step("$/a@x", "")?;
    let stream = stage.sent(RIGHTFUL, &step)?;
    let cut = stage.cut(&stream, stage.length(&stream)? / 2)?;
    stage.not_received_as(OTHER, &stage.announced(&step, "$/r/a")?, &cut, &ReceiveError::Cut)?;
    stage.cleared(OTHER, "$/r/a", Err(Refusal::NotPermitted))?;
    stage.partial("$/r/a")?;
    stage.script("allow zam-c2 local destroy $/r/a")?;
    stage.cleared(OTHER, "$/r/a", Ok(()))
}

fn what_follows_the_stream_is_an_error(stage: &Stage<'_>) -> Result<(), Trouble> {
    start(stage, "snapshot $/a@x\n snapshot $/a@y")?;
    let x = stage.step("$/a@x", "")?;
    let stream = stage.appended(&stage.sent(RIGHTFUL, &x)?, b"x")?;
    stage.not_received_as(OTHER, &stage.announced(&x, "$/r/a")?, &stream, &ReceiveError::Trailing)?;
    equal("what came before is there", stage.tags("$/r/a")?.as_str(), "x")?;
    copy(stage, &stage.step("$/a@y", "$/a@x")?, "$/r/a")
}

fn another_stream_than_the_announced_one_is_refused(stage: &Stage<'_>) -> Result<(), Trouble> {
    start(stage, "snapshot $/a@x\n snapshot $/a@y")?;
    let x = stage.step("$/a@x", "")?;
    let stream = stage.sent(RIGHTFUL, &x)?;
    let right = stage.announced(&x, "$/r/a")?;
    let guid = Guid(right.guid.0 ^ 1);
    for wrong in [
        ReceiveStep { guid, ..right.clone() },
        ReceiveStep { from: Some(guid), ..right.clone() },
        ReceiveStep { raw: true, ..right.clone() },
        ReceiveStep { kind: Kind::Volume, ..right.clone() },
        ReceiveStep { resume: true, ..right.clone() },
    ] {
        stage.not_received_as(OTHER, &wrong, &stream, &ReceiveError::Unexpected(String::new()))?;
    }
    holds_true("nothing was made", stage.facts("$/r/a").is_err())?;
    stage.received(OTHER, &right, &stream)?;
    let y = stage.step("$/a@y", "$/a@x")?;
    let stream = stage.sent(RIGHTFUL, &y)?;
    let wrong = ReceiveStep { from: Some(guid), ..stage.announced(&y, "$/r/a")? };
    stage.not_received_as(OTHER, &wrong, &stream, &ReceiveError::Unexpected(String::new()))?;
    stage.received(OTHER, &stage.announced(&y, "$/r/a")?, &stream)
}

fn a_package_of_streams_is_refused(stage: &Stage<'_>) -> Result<(), Trouble> {
    start(stage, "snapshot $/a@x")?;
    let x = stage.step("$/a@x", "")?;
    let stream = stage.sent(RIGHTFUL, &x)?;
    let package = stage.changed(&stream, 16, |byte| byte & !3 | 2)?;
    let why = ReceiveError::Unexpected("it is a package of several streams".to_owned());
    stage.not_received_as(OTHER, &stage.announced(&x, "$/r/a")?, &package, &why)?;
    let garbage = stage.changed(&stream, 8, |byte| !byte)?;
    let why = ReceiveError::Unexpected(String::new());
    stage.not_received_as(OTHER, &stage.announced(&x, "$/r/a")?, &garbage, &why)?;
    stage.received(OTHER, &stage.announced(&x, "$/r/a")?, &stream)
}

fn a_damaged_stream_is_refused(stage: &Stage<'_>) -> Result<(), Trouble> {
    start(stage, "write 1000000 $/a\n snapshot $/a@x")?;
    let x = stage.step("$/a@x", "")?;
    let stream = stage.sent(RIGHTFUL, &x)?;
    let damaged = stage.changed(&stream, stage.length(&stream)? / 2, |byte| !byte)?;
    stage.not_received_as(OTHER, &stage.announced(&x, "$/r/a")?, &damaged, &ReceiveError::Damaged)?;
    equal("tags", stage.tags("$/r/a").unwrap_or_default().as_str(), "")?;
    stage.cleared(OTHER, "$/r/a", Ok(()))?;
    stage.received(OTHER, &stage.announced(&x, "$/r/a")?, &stream)
}

fn a_diverged_dataset_is_left_alone(stage: &Stage<'_>) -> Result<(), Trouble> {
    start(stage, "snapshot $/a@x\n snapshot $/a@y\n snapshot $/a@z")?;
    copy(stage, &stage.step("$/a@x", "")?, "$/r/a")?;
    stage.script("write 100000 $/r/a")?;
    let y = stage.step("$/a@y", "$/a@x")?;
    let stream = stage.sent(RIGHTFUL, &y)?;
    stage.not_received_as(OTHER, &stage.announced(&y, "$/r/a")?, &stream, &ReceiveError::Diverged)?;
    stage.script("snapshot $/r/a@own")?;
    stage.not_received_as(OTHER, &stage.announced(&y, "$/r/a")?, &stream, &ReceiveError::Diverged)?;
    equal("left alone", stage.tags("$/r/a")?.as_str(), "x own")?;
    // A snapshot without changes of its own is not in the way.
    copy(stage, &stage.step("$/a@x", "")?, "$/r/b")?;
    stage.script("snapshot $/r/b@own")?;
    copy(stage, &y, "$/r/b")?;
    equal("beside it", stage.tags("$/r/b")?.as_str(), "x own y")
}

fn a_missing_base_is_told(stage: &Stage<'_>) -> Result<(), Trouble> {
    start(stage, "snapshot $/a@x\n snapshot $/a@y\n snapshot $/a@z")?;
    copy(stage, &stage.step("$/a@x", "")?, "$/r/a")?;
    let z = stage.step("$/a@z", "$/a@y")?;
    let stream = stage.sent(RIGHTFUL, &z)?;
    stage.not_received_as(OTHER, &stage.announced(&z, "$/r/a")?, &stream, &ReceiveError::NoBase)?;
    stage.not_received(OTHER, &stage.announced(&z, "$/r/new")?, &stream, Refusal::NotFound)?;
    copy(stage, &stage.step("$/a@y", "$/a@x")?, "$/r/a")?;
    stage.received(OTHER, &stage.announced(&z, "$/r/a")?, &stream)
}

fn a_full_stream_does_not_replace_a_dataset(stage: &Stage<'_>) -> Result<(), Trouble> {
    start(stage, "snapshot $/a@x\n create $/r/there\n snapshot $/r/there@own")?;
    let x = stage.step("$/a@x", "")?;
    let stream = stage.sent(RIGHTFUL, &x)?;
    stage.not_received(OTHER, &stage.announced(&x, "$/r/there")?, &stream, Refusal::Exists)?;
    stage.not_received(OTHER, &stage.announced(&x, "$/r/gone/a")?, &stream, Refusal::NotFound)?;
    equal("left alone", stage.tags("$/r/there")?.as_str(), "own")?;
    stage.received(OTHER, &stage.announced(&x, "$/r/a")?, &stream)
}

fn a_snapshot_remade_under_its_name_is_not_sent(stage: &Stage<'_>) -> Result<(), Trouble> {
    start(stage, "snapshot $/a@x\n snapshot $/a@y")?;
    let (x, y) = (stage.step("$/a@x", "")?, stage.step("$/a@y", "$/a@x")?);
    stage.script("destroy $/a@x\n snapshot $/a@x")?;
    stage.not_sent(RIGHTFUL, &x, Refusal::OtherGuid)?;
    stage.script("destroy $/a@x")?;
    stage.not_sent(RIGHTFUL, &x, Refusal::NotFound)?;
    stage.not_sent(RIGHTFUL, &y, Refusal::NotFound)?;
    stage.sent(RIGHTFUL, &stage.step("$/a@y", "")?).map(drop)
}

fn a_reached_quota_stops_it_and_it_goes_on_later(stage: &Stage<'_>) -> Result<(), Trouble> {
    start(stage, "write 8000000 $/a\n snapshot $/a@x\n quota 2000000 $/r")?;
    let x = stage.step("$/a@x", "")?;
    let stream = stage.sent(RIGHTFUL, &x)?;
    let announced = stage.announced(&x, "$/r/a")?;
    stage.not_received(OTHER, &announced, &stream, Refusal::NoSpace)?;
    stage.script("quota none $/r")?;
    let (announced, rest) = go_on(stage, &x, &announced, &stage.partial("$/r/a")?)?;
    stage.received(OTHER, &announced, &rest)
}

fn sending_needs_send_below(stage: &Stage<'_>) -> Result<(), Trouble> {
    stage.script("create $/a\n snapshot $/a@x")?;
    let x = stage.step("$/a@x", "")?;
    stage.not_sent(RIGHTFUL, &x, Refusal::NotPermitted)?;
    stage.script("allow zam-c1 local send $/a")?;
    stage.not_sent(RIGHTFUL, &x, Refusal::NotPermitted)?;
    stage.script("allow zam-c1 descendent send $/a")?;
    stage.sent(RIGHTFUL, &x)?;
    stage.not_sent(OTHER, &x, Refusal::NotPermitted)
}

fn receiving_needs_receive_mount_and_create(stage: &Stage<'_>) -> Result<(), Trouble> {
    stage.script("create $/a $/r\n snapshot $/a@x\n snapshot $/a@y\n allow zam-c1 descendent send $/a")?;
    let (x, y) = (stage.step("$/a@x", "")?, stage.step("$/a@y", "$/a@x")?);
    let stream = stage.sent(RIGHTFUL, &x)?;
    let announced = stage.announced(&x, "$/r/a")?;
    for permission in ["mount", "create", "receive"] {
        stage.not_received(OTHER, &announced, &stream, Refusal::NotPermitted)?;
        stage.script(&format!("allow zam-c2 both {permission} $/r"))?;
    }
    stage.received(OTHER, &announced, &stream)?;
    let stream = stage.sent(RIGHTFUL, &y)?;
    let announced = stage.announced(&y, "$/r/a")?;
    stage.not_received(RIGHTFUL, &announced, &stream, Refusal::NotPermitted)?;
    stage.received(OTHER, &announced, &stream)
}

fn what_was_received_is_held_and_its_receiver_destroys_nothing(stage: &Stage<'_>) -> Result<(), Trouble> {
    start(stage, "snapshot $/a@x\n snapshot $/a@y")?;
    copy(stage, &stage.step("$/a@x", "")?, "$/r/a")?;
    stage.hold(OTHER, "zam", "$/r/a@x")?.all_done("$/r/a@x")?;
    equal("held", stage.holds("$/r/a@x")?.as_str(), "zam")?;
    let target = stage.targets("$/r/a@x")?;
    stage.release(OTHER, "zam", target.clone())?.did("", &[("$/r/a@x", Refusal::NotPermitted)])?;
    stage.destroy(OTHER, target.clone())?.did("", &[("$/r/a@x", Refusal::NotPermitted)])?;
    copy(stage, &stage.step("$/a@y", "$/a@x")?, "$/r/a")?;
    stage.script("allow zam-c1 both release,destroy,mount $/r")?;
    stage.destroy(RIGHTFUL, target.clone())?.did("", &[("$/r/a@x", Refusal::Busy)])?;
    stage.release(RIGHTFUL, "zam", target.clone())?.all_done("$/r/a@x")?;
    stage.destroy(RIGHTFUL, target)?.all_done("$/r/a@x")
}

fn bookmarking_needs_bookmark_and_can_be_done_twice(stage: &Stage<'_>) -> Result<(), Trouble> {
    start(stage, "snapshot $/a@x\n snapshot $/a@y")?;
    stage.bookmarked(OTHER, "$/a@x", "$/a#b", Err(Refusal::NotPermitted))?;
    stage.bookmarked(RIGHTFUL, "$/a@x", "$/a#b", Ok(()))?;
    stage.bookmarked(RIGHTFUL, "$/a@x", "$/a#b", Ok(()))?;
    stage.bookmarked(RIGHTFUL, "$/a@y", "$/a#b", Err(Refusal::OtherGuid))?;
    stage.bookmarked(RIGHTFUL, "$/a@y", "$/a#c", Ok(()))?;
    let targets = stage.targets("$/a@x")?;
    stage.script("destroy $/a@x")?;
    stage.bookmarked_as(RIGHTFUL, targets, "$/a#d", Err(Refusal::NotFound))
}

fn a_placeholder_needs_create_and_mount_and_can_be_made_twice(stage: &Stage<'_>) -> Result<(), Trouble> {
    start(stage, "")?;
    stage.placed(RIGHTFUL, "$/r/p", Err(Refusal::NotPermitted))?;
    stage.placed(OTHER, "$/r/p", Ok(()))?;
    stage.placed(OTHER, "$/r/p/q", Ok(()))?;
    stage.placed(OTHER, "$/r/p", Ok(()))?;
    stage.placed(OTHER, "$/r/gone/q", Err(Refusal::NotFound))?;
    equal("kind", &stage.listed("$/r/p/q")?.kind, &Kind::Filesystem)?;
    stage.script("snapshot $/a@x")?;
    copy(stage, &stage.step("$/a@x", "")?, "$/r/p/q/a")?;
    holds_true("with its date", stage.details("$/r/p/q/a@x")?.creation > UnixTime(0))
}

fn an_estimate_needs_no_right(stage: &Stage<'_>) -> Result<(), Trouble> {
    stage.script("create $/a\n snapshot $/a@x\n write 1000000 $/a\n snapshot $/a@y\n bookmark $/a@x $/a#x")?;
    for (from, least) in [("", 1_000_000), ("$/a@x", 1_000_000), ("$/a#x", 1_000_000)] {
        let bytes = stage.estimate(&stage.step("$/a@y", from)?)?;
        holds_true(format!("from {from:?}: {bytes}"), (least..least * 2).contains(&bytes))?;
    }
    let bytes = stage.estimate(&stage.step("$/a@x", "")?)?;
    holds_true(format!("of nothing: {bytes}"), bytes < 200_000)
}
