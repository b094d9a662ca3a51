//! What is to be done for one copy, from what is known of both sides.

use crate::copies::{Item, Noted, Remote, Table, name_of};
use zam_names::{Bookmark, BookmarkName, DatasetName, Guid, NameError, RelPath, SnapTag, Snapshot, Target, UnixTime};
use zam_policy::{
    Rule,
    config::DestinationId,
    copy::{self, Copied, From, Partial, Plan, Replica, Source, Wants},
};
use zam_protocol::recv::ReplicaRow;
use zam_zfs::{ResumePoint, SendFrom, SendStep, Shape};

use crate::place::Place;

/// What a step builds on.
#[derive(Clone, Debug)]
pub enum Base {
    Nothing,
    Snapshot(Snapshot),
    Bookmark(Bookmark),
}

/// One stream.
#[derive(Clone, Debug)]
pub struct Step {
    /// What the replica has when it begins.
    pub base: Base,
    /// What it has at the end.
    pub to: Snapshot,
    /// Where a stream that was cut goes on.
    pub resume: Option<ResumePoint>,
}

/// How a copy's streams are made, once and for all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Manner {
    pub raw: bool,
    pub shape: Shape,
}

/// What is to be done.
pub enum Verdict {
    /// Nothing.
    UpToDate,
    /// These, in their order.
    Steps(Vec<Step>, Manner),
    /// What a cut stream left there is thrown away, and then planned again.
    Clear,
    /// Nothing, until somebody chooses a side.
    Diverged { common: Option<SnapTag>, beyond: Vec<SnapTag> },
    /// Nothing, until somebody does this.
    Stopped(String),
}

/// What is asked for.
pub struct Asked<'a> {
    pub place: &'a Place,
    /// Whether somebody asked for everything anew.
    pub full: bool,
    /// What was left there cannot be continued.
    pub clear: bool,
    pub now: UnixTime,
}

/// Plans.
pub fn plan(
    item: Item<'_>,
    table: &Table,
    remote: &Remote,
    path: &RelPath,
    noted: Option<&Noted>,
    asked: &Asked<'_>,
) -> Verdict {
    let dataset = item.dataset;
    let row = remote.rows.get(path);
    if remote.retired || row.is_some_and(|row| row.retired) {
        return Verdict::Stopped("it is retired there (`retired`): nothing may arrive any more".to_owned());
    }
    let none = Vec::new();
    let bookmarks = table.bookmarks.get(&dataset.name).unwrap_or(&none);
    let manner = match manner(item, table, remote, path, noted, asked) {
        Ok(manner) => manner,
        Err(why) => return Verdict::Stopped(why),
    };
    let rules = match rules(item, remote, path) {
        Ok(rules) => rules,
        Err(why) => return Verdict::Stopped(why),
    };
    let rules: Vec<&Rule> = rules.iter().collect();
    let wants = Wants { rules: &rules, full: asked.full, now: asked.now };
    let source = Source { snapshots: &dataset.snapshots, bookmarks };
    // A bookmark is left before the first stream has arrived: it tells only where nothing is remembered.
    let bookmarked = || copy::copied_before(bookmarks, item.destination.id());
    let before = noted.map_or_else(bookmarked, |noted| noted.arrived);
    if before && !asked.full && row.is_none_or(|row| row.count == 0) {
        return Verdict::Stopped(gone(item, table, remote, path, asked));
    }
    let Some(row) = row else {
        return verdict(copy::plan(source, None, &wants), None, item, manner, asked);
    };
    if row.count == 0 && row.partial.is_none() {
        // A first stream cannot come to where something is, be it only a place for what is below.
        return Verdict::Stopped(placeholder(item, remote, path, asked));
    }
    let newest: Vec<Copied> = row
        .newest
        .iter()
        .map(|arrived| Copied { guid: arrived.guid, tag: arrived.tag.clone(), creation: arrived.creation })
        .collect();
    // What the plan does not know: how streams are made, and what cannot be continued from here.
    if row.partial.as_ref().is_some_and(|partial| partial.raw != manner.raw || asked.clear) {
        return Verdict::Clear;
    }
    let partial = row.partial.as_ref().map(|partial| Partial { to: partial.to, from: partial.from });
    let replica = Replica { newest: &newest, partial };
    verdict(copy::plan(source, Some(replica), &wants), Some((row, &remote.root)), item, manner, asked)
}

fn verdict(
    plan: Plan<'_>,
    row: Option<(&ReplicaRow, &DatasetName)>,
    item: Item<'_>,
    manner: Manner,
    asked: &Asked<'_>,
) -> Verdict {
    let (dataset, id) = (&item.dataset.name, item.destination.id());
    match plan {
        Plan::UpToDate => Verdict::UpToDate,
        Plan::ClearPartial => Verdict::Clear,
        Plan::NeedsFull { why } => {
            Verdict::Stopped(format!("{why}: `zamctl replicate {dataset} --to {id} --full` sends everything anew"))
        }
        Plan::Diverged(diverged) => Verdict::Diverged {
            common: row
                .and_then(|(row, _)| row.newest.iter().find(|there| there.guid == diverged.common))
                .map(|there| there.tag.clone()),
            beyond: diverged.beyond,
        },
        Plan::Steps(steps) => {
            if let (Some(copy::Step { from: From::Nothing, resume: false, .. }), Some((row, root))) =
                (steps.first(), row)
            {
                // Never by force: what is there stays, under another name.
                let there = row.path.below(root).map_or_else(|error| error.to_string(), |there| there.to_string());
                return Verdict::Stopped(format!(
                    "everything can be sent anew only where nothing is: at {} as root, `zfs rename {there} {there}-old`",
                    asked.place
                ));
            }
            let point = row.and_then(|(row, _)| row.partial.as_ref());
            let point = point.map(|partial| ResumePoint { object: partial.object, offset: partial.offset });
            let own = |step: copy::Step<'_>| Step {
                base: match step.from {
                    From::Nothing => Base::Nothing,
                    From::Snapshot(snapshot) => Base::Snapshot(snapshot.clone()),
                    From::Bookmark(bookmark) => Base::Bookmark(bookmark.clone()),
                },
                to: step.to.clone(),
                resume: if step.resume { point } else { None },
            };
            Verdict::Steps(steps.into_iter().map(own).collect(), manner)
        }
    }
}

/// How many snapshots a place lacks that cannot be asked now: behind the `newest` that it was seen to have, or else the newest
/// that has its bookmark.
pub fn behind(item: Item<'_>, table: &Table, remote: Option<&Remote>, newest: Option<&SnapTag>, now: UnixTime) -> u32 {
    let (dataset, to) = (item.dataset, item.destination.id());
    let seen = dataset.snapshots.iter().rfind(|snapshot| Some(&snapshot.tag) == newest);
    let seen = seen.map(|s| Copied { guid: s.guid, tag: s.tag.clone(), creation: s.creation });
    let bookmarks = table.bookmarks.get(&dataset.name).map_or(&[][..], Vec::as_slice);
    let ours = bookmarks.iter().filter(|bookmark| copy::destination_of(bookmark.name.tag()) == Some(to));
    let marked = ours.max_by_key(|bookmark| bookmark.createtxg);
    let marked = marked.map(|b| Copied { guid: b.guid, tag: b.name.tag().clone(), creation: UnixTime(0) });
    let newest = Vec::from_iter(seen.or(marked));
    let path = remote.and_then(|remote| item.destination.relative_to(item.entry, &dataset.name, &remote.root).ok());
    let rules = remote.zip(path).and_then(|(remote, path)| rules(item, remote, &path).ok());
    let rules = rules.unwrap_or_else(|| vec![item.destination.narrowing(item.entry)]);
    let wants = Wants { rules: &rules.iter().collect::<Vec<_>>(), full: false, now };
    let replica = (!newest.is_empty()).then_some(Replica { newest: &newest, partial: None });
    match copy::plan(Source { snapshots: &dataset.snapshots, bookmarks }, replica, &wants) {
        Plan::Steps(steps) => u32::try_from(steps.len()).unwrap_or(u32::MAX),
        _ => 0,
    }
}

/// The replica's rule, if this side understands it, and the own one, which only narrows.
fn rules(item: Item<'_>, remote: &Remote, path: &RelPath) -> Result<Vec<Rule>, String> {
    let keeping = match (remote.rows.get(path), remote.keeping.get(path)) {
        (Some(row), _) => Some(&row.keeping),
        (None, Some(Ok(keeping))) => Some(keeping),
        (None, Some(Err(why))) => return Err(why.clone()),
        (None, None) => None,
    };
    // What is not understood here, a zone that this machine does not know, narrows nothing: more is sent than is kept.
    let theirs = keeping.and_then(|keeping| remote.rule(keeping));
    Ok(theirs.into_iter().chain([item.destination.narrowing(item.entry)]).collect())
}

/// How its streams are made: as they always were, else as the config has it.
fn manner(
    item: Item<'_>,
    table: &Table,
    remote: &Remote,
    path: &RelPath,
    noted: Option<&Noted>,
    asked: &Asked<'_>,
) -> Result<Manner, String> {
    let facts = table.facts.get(&item.dataset.name).ok_or("it has vanished since it was listed")?;
    if !facts.encrypted && item.destination.raw == Some(true) {
        // The grant may be for raw streams alone, and the config says so.
        return Err("it is not encrypted, and by `raw = true` nothing else is sent: leave `raw` away there".to_owned());
    }
    let wanted = facts.encrypted && item.destination.raw.unwrap_or(true);
    let row = remote.rows.get(path).filter(|row| row.count > 0 || row.partial.is_some());
    let raw = match (row, noted) {
        (Some(_), Some(noted)) => noted.raw,
        // Without notes: what arrived raw is encrypted there. What is not known here is judged later, as diverged.
        (Some(row), None) if facts.encrypted && is_known(item, table, row) => row.encrypted,
        _ => wanted,
    };
    if raw != wanted {
        let [was, is] = [raw, wanted].map(|raw| if raw { "raw" } else { "not raw" });
        // No word on which is right: whoever says so for the replica could get contents in clear by it.
        return Err(format!(
            "it was begun {was} and would go on {is}, which ZFS does not mend: leave `raw` as it was, or begin anew beside it"
        ));
    }
    if facts.encrypted && !raw && !facts.key_loaded {
        return Err(format!("its key is not loaded, and it is not sent raw: `zfs load-key {}`", item.dataset.name));
    }
    let kept = noted.filter(|noted| noted.raw == raw && (row.is_some() || !asked.full)).map(|noted| noted.shape);
    // Blocks within pointers cannot lie in what the replica encrypts.
    let above = std::iter::successors(Some(path.clone()), RelPath::parent);
    let encrypts = above.filter_map(|path| remote.rows.get(&path)).any(|row| row.encrypted);
    let shape = kept.unwrap_or(Shape { large_blocks: true, compressed: true, embedded: raw || !encrypts });
    Ok(Manner { raw, shape })
}

/// What makes room for a dataset where there is only a place for what is below it.
fn placeholder(item: Item<'_>, remote: &Remote, path: &RelPath, asked: &Asked<'_>) -> String {
    let there = path.below(&remote.root).map_or_else(|_| path.to_string(), |there| there.to_string());
    let (dataset, place) = (&item.dataset.name, asked.place);
    let below: Vec<&str> = remote
        .rows
        .keys()
        .filter(|row| row.parent().as_ref() == Some(path))
        .filter_map(|row| row.as_str().rsplit('/').next())
        .collect();
    let back = match below.as_slice() {
        [] => String::new(),
        [child, ..] => {
            format!(", then `zfs rename {there}-old/{child} {there}/{child}` and so for all that lies below")
        }
    };
    format!(
        "{there} is there and has nothing of it: at {place} as root `zfs rename {there} {there}-old`, here `zamctl replicate \
         {dataset} --to {} --wait`{back}",
        item.destination.id()
    )
}

/// Why a copy is not where it was.
fn gone(item: Item<'_>, table: &Table, remote: &Remote, path: &RelPath, asked: &Asked<'_>) -> String {
    let dataset = item.dataset;
    let elsewhere = remote.rows.values().find(|row| is_known(item, table, row));
    let full = format!("`zamctl replicate {} --to {} --full`", dataset.name, item.destination.id());
    let name = |path: &RelPath| path.below(&remote.root).map_or_else(|_| path.to_string(), |name| name.to_string());
    match elsewhere {
        Some(row) => format!(
            "renamed: its copy lies at {} there. At {} as root: `zfs rename -p {} {}`; or name that `dataset` in {}:{}; \
             {full} sends everything anew",
            row.path,
            asked.place,
            name(&row.path),
            name(path),
            item.entry.place.file,
            item.entry.place.line,
        ),
        None => format!("{} is not there any more: {full} sends everything anew", name_of(asked.place, path.as_str())),
    }
}

/// Whether the source knows the newest snapshot of a row.
fn is_known(item: Item<'_>, table: &Table, row: &ReplicaRow) -> bool {
    let bookmarks = table.bookmarks.get(&item.dataset.name);
    row.newest.last().is_some_and(|newest| {
        item.dataset.snapshots.iter().any(|snapshot| snapshot.guid == newest.guid)
            || bookmarks.into_iter().flatten().any(|bookmark| bookmark.guid == newest.guid)
    })
}

/// The bookmarks that are due where the replica has `have` and may soon have what is `ahead`.
///
/// # Errors
/// If a name becomes too long.
pub fn marks(
    dataset: &DatasetName,
    have: &Base,
    ahead: &[Snapshot],
    there: &[Bookmark],
    to: DestinationId,
) -> Result<Vec<(Target, BookmarkName)>, NameError> {
    let mark = |snapshot: &Snapshot| {
        let name = BookmarkName::new(dataset.clone(), copy::bookmark_tag(to, &snapshot.tag)?)?;
        Ok((Target { name: dataset.at(&snapshot.tag)?, guid: snapshot.guid }, name))
    };
    copy::marks_due(have.as_planned(), ahead, there, to).into_iter().map(mark).collect()
}

impl Base {
    fn as_planned(&self) -> From<'_> {
        match self {
            Self::Nothing => From::Nothing,
            Self::Snapshot(snapshot) => From::Snapshot(snapshot),
            Self::Bookmark(bookmark) => From::Bookmark(bookmark),
        }
    }
}

impl Step {
    /// Whose GUID the replica must have.
    pub fn base_guid(&self) -> Option<Guid> {
        self.base.as_planned().guid()
    }

    /// As people write it.
    pub fn base_name(&self) -> Option<String> {
        match &self.base {
            Base::Nothing => None,
            Base::Snapshot(snapshot) => Some(format!("@{}", snapshot.tag)),
            Base::Bookmark(bookmark) => Some(format!("#{}", bookmark.name.tag())),
        }
    }

    /// As ZFS makes it.
    ///
    /// # Errors
    /// If a name becomes too long.
    pub fn order(&self, dataset: &DatasetName, manner: Manner) -> Result<SendStep, NameError> {
        let target = |s: &Snapshot| Ok(Target { name: dataset.at(&s.tag)?, guid: s.guid });
        Ok(SendStep {
            to: target(&self.to)?,
            from: match &self.base {
                Base::Nothing => SendFrom::Nothing,
                Base::Snapshot(snapshot) => SendFrom::Snapshot(target(snapshot)?),
                Base::Bookmark(bookmark) => SendFrom::Bookmark { name: bookmark.name.clone(), guid: bookmark.guid },
            },
            raw: manner.raw,
            shape: manner.shape,
            resume: self.resume,
        })
    }
}
