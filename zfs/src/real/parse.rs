//! Text of `zfs` and `zpool` in, rows out. Strict: what is not as the manual says is an error that quotes the line.

use std::fmt;
use std::str::FromStr;
use zam_names::{
    Bookmark, BookmarkName, CreateTxg, Dataset, Guid, HoldTag, Kind, Pool, Snapshot, SnapshotName, UnixTime,
};

/// A line that is not understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Bad {
    pub(super) why: String,
    pub(super) line: String,
}

/// How ZFS writes that there is no value.
const NONE: &str = "-";

pub(super) fn pools(text: &str) -> Result<Vec<Pool>, Bad> {
    rows(text, |row: Row<'_, 4>| {
        Ok(Pool {
            name: row.get(0)?,
            health: row.cells[1].to_owned(),
            // A pool that could not be opened has neither.
            free: row.or_none(2)?.unwrap_or(0),
            capacity: row.or_none(3)?.unwrap_or(0),
        })
    })
}

/// With or without the column `snapshots_changed`.
pub(super) fn datasets(text: &str) -> Result<Vec<Dataset>, Bad> {
    let dataset = |name, guid, kind, used, used_by_snapshots, snapshots_changed| Dataset {
        name,
        guid,
        kind,
        used,
        used_by_snapshots,
        snapshots_changed,
        snapshots: Vec::new(),
    };
    let common = |row: &Row<'_, 5>| -> Result<Dataset, Bad> {
        let kind = match row.cells[2] {
            "filesystem" => Kind::Filesystem,
            "volume" => Kind::Volume,
            _ => return Err(row.bad("expected filesystem or volume as type")),
        };
        Ok(dataset(
            row.get(0)?,
            Guid(row.get(1)?),
            kind,
            row.or_none(3)?.unwrap_or(0),
            row.or_none(4)?.unwrap_or(0),
            None,
        ))
    };
    let mut found = if text.lines().next().is_some_and(|line| line.split('\t').count() == 5) {
        rows(text, |row: Row<'_, 5>| common(&row))?
    } else {
        rows(text, |row: Row<'_, 6>| {
            let [a, b, c, d, e, _] = row.cells;
            let mut dataset = common(&Row { cells: [a, b, c, d, e], line: row.line })?;
            dataset.snapshots_changed = row.or_none(5)?.map(UnixTime);
            Ok(dataset)
        })?
    };
    found.sort_by(|a: &Dataset, b| a.name.cmp(&b.name));
    Ok(found)
}

pub(super) fn snapshots(text: &str) -> Result<Vec<(SnapshotName, Guid, CreateTxg)>, Bad> {
    rows(text, |row: Row<'_, 3>| Ok((row.get(0)?, Guid(row.get(1)?), CreateTxg(row.get(2)?))))
}

pub(super) fn bookmarks(text: &str) -> Result<Vec<Bookmark>, Bad> {
    rows(text, |row: Row<'_, 3>| {
        Ok(Bookmark { name: row.get::<BookmarkName>(0)?, guid: Guid(row.get(1)?), createtxg: CreateTxg(row.get(2)?) })
    })
}

/// Whether somebody holds a snapshot (`userrefs`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Held {
    Yes,
    No,
}

pub(super) fn details(text: &str) -> Result<Vec<(SnapshotName, Snapshot, Held)>, Bad> {
    rows(text, |row: Row<'_, 8>| {
        let name: SnapshotName = row.get(0)?;
        let deferred = match row.cells[6] {
            "on" => true,
            "off" => false,
            _ => return Err(row.bad("expected on or off as defer_destroy")),
        };
        let clones = match row.cells[7] {
            "" | NONE => 0,
            clones => clones.split(',').count(),
        };
        let snapshot = Snapshot {
            tag: name.tag().clone(),
            guid: Guid(row.get(1)?),
            createtxg: CreateTxg(row.get(2)?),
            creation: UnixTime(row.get(3)?),
            holds: Vec::new(),
            clones: u32::try_from(clones).unwrap_or(u32::MAX),
            deferred,
            used: row.or_none(4)?,
        };
        let held = if row.get::<u64>(5)? > 0 { Held::Yes } else { Held::No };
        Ok((name, snapshot, held))
    })
}

/// `zfs holds -H`: name, tag, time in words (which has no use here).
pub(super) fn holds(text: &str) -> Result<Vec<(SnapshotName, HoldTag)>, Bad> {
    rows(text, |row: Row<'_, 3>| Ok((row.get(0)?, hold_tag(row.cells[1]).ok_or_else(|| row.bad("the tag is empty"))?)))
}

/// A tag as a stranger may have written it: what cannot stand in a listing is replaced, so that the hold still counts and
/// no line is broken by it. None only for an empty tag, which ZFS does not take.
pub(super) fn hold_tag(text: &str) -> Option<HoldTag> {
    let shown: String = text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    let end = (0..=shown.len().min(255)).rev().find(|end| shown.is_char_boundary(*end))?;
    shown[..end].parse().ok()
}

struct Row<'a, const COLUMNS: usize> {
    cells: [&'a str; COLUMNS],
    line: &'a str,
}

impl<const COLUMNS: usize> Row<'_, COLUMNS> {
    fn get<T: FromStr<Err: fmt::Display>>(&self, column: usize) -> Result<T, Bad> {
        self.cells[column].parse().map_err(|error| self.bad(format!("column {}: {error}", column + 1)))
    }

    fn or_none<T: FromStr<Err: fmt::Display>>(&self, column: usize) -> Result<Option<T>, Bad> {
        if self.cells[column] == NONE { Ok(None) } else { self.get(column).map(Some) }
    }

    fn bad(&self, why: impl Into<String>) -> Bad {
        Bad { why: why.into(), line: self.line.to_owned() }
    }
}

fn rows<const COLUMNS: usize, T>(text: &str, read: impl Fn(Row<'_, COLUMNS>) -> Result<T, Bad>) -> Result<Vec<T>, Bad> {
    let whole = |line: &str| Bad { why: "the last line is not complete".to_owned(), line: line.to_owned() };
    if !text.is_empty() && !text.ends_with('\n') {
        return Err(whole(text.lines().last().unwrap_or_default()));
    }
    // Not `lines()`, which would also take a carriage return away.
    let lines = text.strip_suffix('\n').into_iter().flat_map(|text| text.split('\n'));
    lines
        .map(|line| {
            let cells: Vec<&str> = line.split('\t').collect();
            let count = cells.len();
            let cells = cells.try_into().map_err(|_| Bad {
                why: format!("expected {COLUMNS} columns, found {count}"),
                line: line.to_owned(),
            })?;
            read(Row { cells, line })
        })
        .collect()
}
