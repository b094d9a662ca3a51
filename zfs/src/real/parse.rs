//! Text of `zfs` and `zpool` in, rows out. Strict: what is not as the manual says is an error that quotes the line.

use crate::copy::{CopyFacts, PartialFacts, token};
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

/// Datasets, and what copying needs to know of them, listed in one, as two listings.
pub(super) fn parted(text: &str) -> Result<(String, String), Bad> {
    const FACTS: usize = 5;
    fn part(cells: &[&str]) -> (String, String) {
        let (dataset, facts) = cells.split_at(cells.len() - FACTS);
        (dataset.join("\t") + "\n", [&cells[..1], facts].concat().join("\t") + "\n")
    }
    // With or without the stamp.
    let both = match text.lines().next().map_or(0, |line| line.split('\t').count()) {
        10 => rows(text, |row: Row<'_, 10>| Ok(part(&row.cells)))?,
        _ => rows(text, |row: Row<'_, 11>| Ok(part(&row.cells)))?,
    };
    Ok(both.into_iter().unzip())
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

/// A token that is not understood is one of a receive that cannot go on.
pub(super) fn copy_facts(text: &str) -> Result<Vec<CopyFacts>, Bad> {
    rows(text, |row: Row<'_, 6>| {
        let partial = row.or_none::<String>(1)?.map(|token| {
            token::decode(&token).unwrap_or_else(|why| {
                tracing::warn!(dataset = row.cells[0], why, "a resume token is not understood");
                PartialFacts::unknown()
            })
        });
        let encrypted = !["off", NONE].contains(&row.cells[2]);
        Ok(CopyFacts {
            dataset: row.get(0)?,
            partial,
            encrypted,
            key_loaded: !encrypted || row.cells[3] == "available",
            available: row.or_none(4)?.unwrap_or(0),
            written: row.or_none(5)?.unwrap_or(0),
        })
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
            // A received snapshot's is what its stream says: any 64 bits.
            creation: UnixTime(i64::try_from(row.get::<u64>(3)?).unwrap_or(i64::MAX)),
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

#[cfg(test)]
mod tests {
    use super::*;
    use pretty_assertions::assert_eq;
    use proptest::{collection::vec, prelude::*, sample::select};

    // All texts as OpenZFS wrote them, but for the bad ones.

    #[test]
    fn pools_are_read() {
        let found = pools("tank\tONLINE\t301575168\t0\ngone\tUNAVAIL\t-\t-\n").unwrap();
        assert_eq!(
            found[0],
            Pool { name: "tank".parse().unwrap(), health: "ONLINE".into(), free: 301_575_168, capacity: 0 }
        );
        assert_eq!((found[1].health.as_str(), found[1].free), ("UNAVAIL", 0));
        assert_eq!(pools("").unwrap(), []);
    }

    #[test]
    fn datasets_are_read_with_and_without_the_stamp_and_put_in_order() {
        let found = datasets(
            "tank\t10822174706894959923\tfilesystem\t10797568\t0\t-\n\
             tank/vol\t238576639905969955\tvolume\t10498048\t16\t1795333700\n\
             tank/a\t2821113078806981919\tfilesystem\t49152\t0\t1795333700\n",
        )
        .unwrap();
        assert_eq!(found.iter().map(|d| d.name.as_str()).collect::<Vec<_>>(), ["tank", "tank/a", "tank/vol"]);
        assert_eq!((found[0].snapshots_changed, found[2].snapshots_changed), (None, Some(UnixTime(1_795_333_700))));
        assert_eq!((found[2].kind, found[2].used_by_snapshots, found[2].used), (Kind::Volume, 16, 10_498_048));
        let old = datasets("tank\t10822174706894959923\tfilesystem\t10797568\t0\n").unwrap();
        assert_eq!((old[0].guid, old[0].snapshots_changed), (Guid(10_822_174_706_894_959_923), None));
    }

    #[test]
    fn datasets_that_come_with_what_copying_needs_are_two_listings() {
        let (datasets, facts) = parted(
            "tank\t1\tfilesystem\t2\t3\t1795333700\t-\toff\t-\t1000\t0\ntank/a\t4\tvolume\t5\t6\t-\t-\toff\t-\t1000\t7\n",
        )
        .unwrap();
        assert_eq!(datasets, "tank\t1\tfilesystem\t2\t3\t1795333700\ntank/a\t4\tvolume\t5\t6\t-\n");
        assert_eq!(facts, "tank\t-\toff\t-\t1000\t0\ntank/a\t-\toff\t-\t1000\t7\n");
        let (old, _) = parted("tank\t1\tfilesystem\t2\t3\t-\toff\t-\t1000\t0\n").unwrap();
        assert_eq!(old, "tank\t1\tfilesystem\t2\t3\n");
        assert_eq!(parted("").unwrap(), Default::default());
        assert!(parted("tank\t1\tfilesystem\t2\t3\t-\n").is_err(), "neither");
    }

    #[test]
    fn snapshots_and_bookmarks_are_read() {
        let found =
            snapshots("tank/a@x\t16657821226952965536\t11\ntank/c@with blank\t7954850975157429266\t14\n").unwrap();
        assert_eq!(found[0], ("tank/a@x".parse().unwrap(), Guid(16_657_821_226_952_965_536), CreateTxg(11)));
        assert_eq!(found[1].0.tag().as_str(), "with blank");
        let found = bookmarks("tank/a#x\t16657821226952965536\t11\n").unwrap();
        assert_eq!(found[0].name.to_string(), "tank/a#x");
    }

    #[test]
    fn details_are_read() {
        let found = details(
            "tank/a@x\t16657821226952965536\t11\t1795333699\t0\t2\toff\t-\n\
             tank/a@y\t11754028200229071343\t13\t1795333700\t24576\t0\toff\ttank/clone,tank/clone2\n\
             tank/vol@x\t11133718178328893018\t12\t1795333700\t0\t1\ton\t-\n",
        )
        .unwrap();
        let short: Vec<_> = found
            .iter()
            .map(|(_, s, held)| (s.tag.as_str(), s.creation.0, s.used, *held, s.deferred, s.clones))
            .collect();
        let expected = [
            ("x", 1_795_333_699, Some(0), Held::Yes, false, 0),
            ("y", 1_795_333_700, Some(24576), Held::No, false, 2),
            ("x", 1_795_333_700, Some(0), Held::Yes, true, 0),
        ];
        assert_eq!(short, expected);
    }

    #[test]
    fn holds_are_read_whatever_their_tags() {
        let found =
            holds("tank/a@x\tzam\tSun Nov 22 07:48 2026\ntank/a@x\t.send-1234-1\tSun Nov 22 07:48 2026\n").unwrap();
        assert_eq!(found.iter().map(|(_, tag)| tag.as_str()).collect::<Vec<_>>(), ["zam", ".send-1234-1"]);
        assert_eq!(hold_tag("a\tb\nc").unwrap().as_str(), "a\u{fffd}b\u{fffd}c");
        assert_eq!(hold_tag(&"é".repeat(200)).unwrap().as_str().len(), 254);
        assert_eq!(hold_tag(""), None);
    }

    #[test]
    fn a_line_that_is_not_understood_is_quoted() {
        let bad = snapshots("tank/a@x\t1\t11\ntank/a@y\t2\n").unwrap_err();
        assert_eq!(bad, Bad { why: "expected 3 columns, found 2".into(), line: "tank/a@y\t2".into() });
        assert_eq!(snapshots("tank/a@x\t1\t11\n\n").unwrap_err().line, "");
        assert_eq!(snapshots("tank/a@x\t1\t1").unwrap_err().why, "the last line is not complete");
        let bad = snapshots("tank/a\t1\t11\n").unwrap_err();
        assert_eq!(bad.why, "column 1: \"tank/a\" is not a snapshot name: it has no @");
        assert!(snapshots("tank/a@x\t1\t11\r\n").is_err());
        assert!(snapshots("tank/a@x\t-1\t11\n").is_err());
        assert!(details("tank/a@x\t1\t11\t1795333699\t0\t2\tmaybe\t-\n").unwrap_err().why.contains("defer_destroy"));
        assert!(datasets("tank\t1\tsnapshot\t1\t0\t-\n").unwrap_err().why.contains("as type"));
        assert!(datasets("tank\t1\tvolume\t1\t0\t-\ntank/a\t1\tvolume\t1\t0\n").is_err(), "one form per listing");
    }

    /// Lines as above, and pieces that do not belong.
    const PIECES: &[&str] = &[
        "tank\tONLINE\t301575168\t0\n",
        "tank/vol\t238576639905969955\tvolume\t10498048\t16\t1795333700\n",
        "tank/a@x\t16657821226952965536\t11\n",
        "tank/a@x\t16657821226952965536\t11\t1795333699\t0\t2\toff\t-\n",
        "tank/a@x\tzam\tSun Nov 22 07:48 2026\n",
        "tank/a\t1-11ddb56bb1-110-78\toff\t-\t1000\t0\n",
        "tank\t1\tfilesystem\t2\t3\t-\toff\t-\t1000\t0\n",
        "tank/a",
        "@x",
        "#x",
        "\t",
        "\n",
        "\r",
        "\0",
        "-",
        "-1",
        "18446744073709551615",
        "18446744073709551616",
        "on",
        "filesystem",
        ",",
        "é",
        " ",
    ];

    /// Either all of it is understood, a row for each line, or it is an error with a line of it.
    fn survive(text: &str) {
        fn rows<T>(text: &str, found: Result<Vec<T>, Bad>) -> Vec<T> {
            match found {
                Ok(rows) => {
                    assert_eq!(rows.len(), text.matches('\n').count(), "{text:?}");
                    rows
                }
                Err(bad) => {
                    assert!(text.contains(&bad.line), "{bad:?}");
                    Vec::new()
                }
            }
        }
        rows(text, pools(text));
        rows(text, datasets(text));
        match parted(text) {
            Ok(parts) => assert_eq!(parts.0.matches('\n').count(), text.matches('\n').count(), "{text:?}"),
            Err(bad) => assert!(text.contains(&bad.line), "{bad:?}"),
        }
        rows(text, bookmarks(text));
        rows(text, copy_facts(text));
        for (line, (name, ..)) in text.lines().zip(rows(text, snapshots(text))) {
            assert!(line.starts_with(&format!("{name}\t")), "{text:?}");
        }
        for (line, (name, ..)) in text.lines().zip(rows(text, details(text))) {
            assert!(line.starts_with(&format!("{name}\t")), "{text:?}");
        }
        for (line, (name, _)) in text.lines().zip(rows(text, holds(text))) {
            assert!(line.starts_with(&format!("{name}\t")), "{text:?}");
        }
        let dataset = "tank/a".parse().unwrap();
        if let Err(bad) = crate::real::grants::grants(text, &dataset) {
            assert!(text.contains(&bad.line), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn any_listing_is_understood_or_an_error(
            text in ".*",
            pieces in vec(select(PIECES), 0..12),
            nth in 0_usize..6,
            changes in vec((any::<prop::sample::Index>(), select(PIECES)), 0..3),
        ) {
            survive(&text);
            survive(&pieces.concat());
            let mut changed = PIECES[nth].repeat(2);
            for (at, piece) in changes {
                let ends: Vec<usize> = (0..=changed.len()).filter(|at| changed.is_char_boundary(*at)).collect();
                changed.insert_str(ends[at.index(ends.len())], piece);
            }
            survive(&changed);
        }
    }
}
