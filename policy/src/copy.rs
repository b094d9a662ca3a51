//! What is sent to a destination: from what is there on both sides to the single steps of a run.

use crate::{
    Rule,
    config::DestinationId,
    judge::{self, Origin},
    notes::DatasetNotes,
    tags::{self, Maker},
};
use std::collections::BTreeMap;
use zam_names::{Bookmark, BookmarkName, CreateTxg, DatasetName, Guid, NameError, SnapTag, Snapshot, UnixTime};

/// What the source has of a dataset.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    /// In createtxg order.
    pub snapshots: &'a [Snapshot],
    /// In any order.
    pub bookmarks: &'a [Bookmark],
}

/// A snapshot that a replica has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Copied {
    /// Its identity, the same on both sides.
    pub guid: Guid,
    /// Its own name there.
    pub tag: SnapTag,
    /// When it was made, as its stream said.
    pub creation: UnixTime,
}

/// A receive that was cut: what its resume token says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Partial {
    /// The snapshot that was being received.
    pub to: Guid,
    /// The one that it builds upon; none: all of it was being sent.
    pub from: Option<Guid>,
}

/// What a replica has of a dataset.
#[derive(Clone, Copy, Debug)]
pub struct Replica<'a> {
    /// The newest ones, in the replica's createtxg order.
    pub newest: &'a [Copied],
    /// The receive that was cut, if one was.
    pub partial: Option<Partial>,
}

/// What a step builds upon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum From<'a> {
    /// Nothing: all of it is sent.
    Nothing,
    /// A snapshot that both sides have.
    Snapshot(&'a Snapshot),
    /// What is left here of a snapshot that the replica has.
    Bookmark(&'a Bookmark),
}

/// One stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step<'a> {
    /// What the replica has when it begins.
    pub from: From<'a>,
    /// What the replica has when it ended well.
    pub to: &'a Snapshot,
    /// Whether it goes on with the receive that was cut.
    pub resume: bool,
}

/// The replica has what the source has not, behind what both have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diverged {
    /// The newest that both have.
    pub common: Guid,
    /// What the replica has behind it.
    pub beyond: Vec<SnapTag>,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum Plan<'a> {
    /// Nothing.
    UpToDate,
    /// These streams, each upon the one before it.
    Steps(Vec<Step<'a>>),
    /// The receive that was cut cannot go on: it is given up, and then planned again.
    ClearPartial,
    /// Nothing, until somebody chooses a side.
    Diverged(Diverged),
    /// Nothing, until somebody asks for a full stream.
    NeedsFull {
        /// Why there is no other way.
        why: String,
    },
}

/// What is wanted at the destination.
#[derive(Clone, Copy, Debug)]
pub struct Wants<'a> {
    /// The replica's rule, then the source's, which only narrows and says which names are its own.
    pub rules: &'a [&'a Rule],
    /// Whether somebody asked for a full stream where there is no other way.
    pub full: bool,
    /// The present.
    pub now: UnixTime,
}

/// Plans a run for one dataset. `replica` is none where the dataset is not there.
pub fn plan<'a>(source: Source<'a>, replica: Option<Replica<'_>>, wants: &Wants<'_>) -> Plan<'a> {
    let Some(replica) = replica else { return forward(source, From::Nothing, None, &[], wants) };
    let from = match replica.newest.last() {
        // The first receive was cut: what is there of the dataset is nothing but that.
        None if replica.partial.is_some() => From::Nothing,
        None if wants.full => From::Nothing,
        None => {
            return Plan::NeedsFull { why: "it is there and has no snapshot, so nothing can build upon it".to_owned() };
        }
        Some(newest) => match source.find(newest.guid) {
            Some(base) => base,
            None => match diverged(source, replica.newest) {
                Some(diverged) => return Plan::Diverged(diverged),
                None if wants.full => return forward(source, From::Nothing, None, &[], wants),
                None => {
                    let why = "the two sides have neither a snapshot nor a bookmark in common".to_owned();
                    return Plan::NeedsFull { why };
                }
            },
        },
    };
    match replica.partial {
        None => forward(source, from, None, replica.newest, wants),
        Some(partial) => match source.going_on(from, partial).filter(|step| may_go(step.to, wants)) {
            Some(step) => forward(source, from, Some(step), replica.newest, wants),
            None => Plan::ClearPartial,
        },
    }
}

/// The steps from what the replica has to the newest.
fn forward<'a>(
    source: Source<'a>,
    mut from: From<'a>,
    resumed: Option<Step<'a>>,
    there: &[Copied],
    wants: &Wants<'_>,
) -> Plan<'a> {
    let mut there: Vec<(&SnapTag, Guid, UnixTime)> = there.iter().map(|c| (&c.tag, c.guid, c.creation)).collect();
    let mut steps = Vec::new();
    if let Some(step) = resumed {
        there.push((&step.to.tag, step.to.guid, step.to.creation));
        from = From::Snapshot(step.to);
        steps.push(step);
    }
    for to in wanted(source.after(from), &there, wants) {
        steps.push(Step { from, to, resume: false });
        from = From::Snapshot(to);
    }
    if steps.is_empty() { Plan::UpToDate } else { Plan::Steps(steps) }
}

/// Whether a snapshot is one of those that are sent at all. What a replica says of a stream that was cut does not widen that.
fn may_go(snapshot: &Snapshot, wants: &Wants<'_>) -> bool {
    let ours = |own: &&Rule| tags::maker(&own.prefix, &snapshot.tag) != Maker::Other || own.adopts(&snapshot.tag);
    wants.rules.last().is_some_and(ours)
}

/// Those of the source's snapshots that every rule would keep beside what is there, and the newest that may be sent.
fn wanted<'a>(
    later: impl Iterator<Item = &'a Snapshot>,
    there: &[(&SnapTag, Guid, UnixTime)],
    wants: &Wants<'_>,
) -> Vec<&'a Snapshot> {
    let candidates: Vec<&Snapshot> = later.filter(|snapshot| may_go(snapshot, wants)).collect();
    if candidates.is_empty() {
        return candidates;
    }
    // As they would stand on the replica, in the order in which they would arrive.
    let arriving = candidates.iter().map(|snapshot| (&snapshot.tag, snapshot.guid, snapshot.creation));
    let row = |(nth, (tag, guid, creation)): (u64, (&SnapTag, Guid, UnixTime))| Snapshot {
        tag: tag.clone(),
        guid,
        createtxg: CreateTxg(nth),
        creation,
        holds: Vec::new(),
        clones: 0,
        deferred: false,
        used: None,
    };
    let all: Vec<Snapshot> = (0..).zip(there.iter().copied().chain(arriving)).map(row).collect();
    let mut kept = vec![true; all.len()];
    for rule in wants.rules {
        let verdicts = judge::judge(rule, &all, Origin::Elsewhere, &DatasetNotes::default(), 0, wants.now);
        for (nth, verdict) in verdicts.iter().enumerate() {
            kept[nth] &= !verdict.expired(wants.now) || nth + rule.at_least as usize >= all.len();
        }
    }
    if let Some(newest) = kept.last_mut() {
        *newest = true;
    }
    candidates.into_iter().zip(&kept[there.len()..]).filter(|(_, kept)| **kept).map(|(snapshot, _)| snapshot).collect()
}

fn diverged(source: Source<'_>, there: &[Copied]) -> Option<Diverged> {
    let common = there.iter().rposition(|copy| source.find(copy.guid).is_some())?;
    let beyond = there[common + 1..].iter().map(|copy| copy.tag.clone()).collect();
    Some(Diverged { common: there[common].guid, beyond })
}

impl<'a> Source<'a> {
    /// What is here of a snapshot: itself, or a bookmark of it.
    fn find(&self, guid: Guid) -> Option<From<'a>> {
        let snapshot = self.snapshots.iter().find(|snapshot| snapshot.guid == guid).map(From::Snapshot);
        snapshot.or_else(|| self.bookmarks.iter().find(|bookmark| bookmark.guid == guid).map(From::Bookmark))
    }

    /// The snapshots that came after this one.
    fn after(&self, from: From<'_>) -> impl Iterator<Item = &'a Snapshot> + use<'a> {
        let after = from.createtxg();
        self.snapshots.iter().filter(move |snapshot| Some(snapshot.createtxg) > after)
    }

    /// The step that a receive which was cut was part of, if it can still be made.
    fn going_on(&self, from: From<'a>, partial: Partial) -> Option<Step<'a>> {
        let to = self.after(from).find(|snapshot| snapshot.guid == partial.to)?;
        (partial.from == from.guid()).then_some(Step { from, to, resume: true })
    }
}

impl From<'_> {
    /// Which snapshot it is, or was.
    #[must_use]
    pub fn guid(&self) -> Option<Guid> {
        match self {
            Self::Nothing => None,
            Self::Snapshot(snapshot) => Some(snapshot.guid),
            Self::Bookmark(bookmark) => Some(bookmark.guid),
        }
    }

    fn createtxg(&self) -> Option<CreateTxg> {
        match self {
            Self::Nothing => None,
            Self::Snapshot(snapshot) => Some(snapshot.createtxg),
            Self::Bookmark(bookmark) => Some(bookmark.createtxg),
        }
    }
}

/// The name of the bookmark that stays of a snapshot after this destination has it: `zam-ID-STAMP`, or with the whole name
/// behind the id where that is not zam's own.
///
/// # Errors
/// If it becomes longer than 255 bytes.
pub fn bookmark_tag(to: DestinationId, snapshot: &SnapTag) -> Result<SnapTag, NameError> {
    let name = match tags::maker(BOOKMARKS, snapshot) {
        Maker::Schedule(_) => snapshot.as_str().trim_start_matches(BOOKMARKS).trim_start_matches('-'),
        _ => snapshot.as_str(),
    };
    format!("{BOOKMARKS}-{to}-{name}").parse()
}

/// Which snapshots get their bookmark now: `have`, which the replica is known to have, and those `ahead` of it that it may have
/// soon. If the source never hears how a stream ended, and has pruned its snapshot when it asks, the replica's newest is known by
/// its bookmark.
///
/// At most two of what is newer than `have` are marked, so that the newest bookmarks, which are the ones that stay, hold that of
/// `have` in any case.
#[must_use]
pub fn marks_due<'a>(
    have: From<'a>,
    ahead: impl IntoIterator<Item = &'a Snapshot>,
    bookmarks: &[Bookmark],
    to: DestinationId,
) -> Vec<&'a Snapshot> {
    let ours = || bookmarks.iter().filter(|bookmark| destination_of(bookmark.name.tag()) == Some(to));
    let unmarked = |snapshot: &&Snapshot| ours().all(|bookmark| bookmark.guid != snapshot.guid);
    let newer = ours().filter(|bookmark| Some(bookmark.createtxg) > have.createtxg()).count();
    let room = (BOOKMARKS_KEPT - 1).saturating_sub(newer);
    let have = if let From::Snapshot(have) = have { Some(have) } else { None };
    have.into_iter().filter(unmarked).chain(ahead.into_iter().filter(unmarked).take(room)).collect()
}

/// The destination for which zam made a bookmark of this name.
#[must_use]
pub fn destination_of(bookmark: &SnapTag) -> Option<DestinationId> {
    let rest = bookmark.as_str().strip_prefix(BOOKMARKS)?.strip_prefix('-')?;
    let (id, name) = rest.split_once('-')?;
    if name.is_empty() { None } else { id.parse().ok() }
}

/// When the scheduled snapshot was made for which zam made a bookmark of this name.
#[must_use]
pub fn date_of(bookmark: &SnapTag, prefix: &str) -> Option<UnixTime> {
    destination_of(bookmark)?;
    let name = bookmark.as_str().splitn(3, '-').nth(2)?;
    let date = |prefix: &str, name: String| match tags::maker(prefix, &name.parse().ok()?) {
        Maker::Schedule(date) => Some(date),
        _ => None,
    };
    date(BOOKMARKS, format!("{BOOKMARKS}-{name}")).or_else(|| date(prefix, name.to_owned()))
}

/// Whether a destination has had this dataset, as its bookmarks say: what is not there any more was not missing from the
/// start, and must not be sent anew unasked.
#[must_use]
pub fn copied_before(bookmarks: &[Bookmark], to: DestinationId) -> bool {
    bookmarks.iter().any(|bookmark| destination_of(bookmark.name.tag()) == Some(to))
}

/// The bookmarks that nothing needs: of those for each of the `live` destinations all but the newest of the dataset.
/// Those of other destinations stay, and whatever zam did not name.
#[must_use]
pub fn surplus_bookmarks(bookmarks: &[Bookmark], live: &[DestinationId]) -> Vec<BookmarkName> {
    let mut rows: BTreeMap<(&DatasetName, DestinationId), Vec<&Bookmark>> = BTreeMap::new();
    for bookmark in bookmarks {
        if let Some(id) = destination_of(bookmark.name.tag()).filter(|id| live.contains(id)) {
            rows.entry((bookmark.name.dataset(), id)).or_default().push(bookmark);
        }
    }
    let mut surplus = Vec::new();
    for mut row in rows.into_values() {
        row.sort_by_key(|bookmark| std::cmp::Reverse(bookmark.createtxg));
        surplus.extend(row.iter().skip(BOOKMARKS_KEPT).map(|bookmark| bookmark.name.clone()));
    }
    surplus
}

/// What the names of zam's bookmarks begin with, whatever its snapshots are called.
const BOOKMARKS: &str = "zam";
/// The last one may be of a step whose end the source has not heard of.
const BOOKMARKS_KEPT: usize = 3;
