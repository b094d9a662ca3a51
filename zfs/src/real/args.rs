//! The command lines, one function each. Arguments are built from name types alone; `--` ends the options, so that no name
//! is taken for one.

use std::fmt;
use zam_names::{BookmarkName, DatasetName, HoldTag, PoolName, SnapTag, SnapshotName};

/// Bytes of arguments in one command: half of what Linux allows by default.
const MAX_ARGUMENTS: usize = 1 << 20;
/// Bytes in one argument: less than Linux's limit of 128 KiB.
const MAX_ARGUMENT: usize = 100 << 10;
/// Characters of a command line that are shown.
const SHOWN: usize = 300;

/// Which of the two commands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Program {
    Zfs,
    Zpool,
}

impl Program {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Zfs => "zfs",
            Self::Zpool => "zpool",
        }
    }
}

/// A command with its arguments, ready to start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct CommandLine {
    pub(super) program: Program,
    pub(super) arguments: Vec<String>,
}

impl fmt::Display for CommandLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = format!("{} {}", self.program.name(), self.arguments.join(" "));
        match text.char_indices().nth(SHOWN) {
            None => f.write_str(&text),
            Some((end, _)) => write!(f, "{} … ({} arguments)", &text[..end], self.arguments.len()),
        }
    }
}

/// Whether the `snapshots_changed` column is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Changed {
    Ask,
    /// This OpenZFS does not know it (before 2.2).
    Leave,
}

pub(super) fn pools() -> CommandLine {
    line(Program::Zpool, &["list", "-H", "-p", "-o", "name,health,free,capacity"], [])
}

/// What copying needs to know comes along: it costs nothing, for ZFS works out all properties of a dataset if one is asked for.
pub(super) fn datasets(pool: &PoolName, changed: Changed) -> CommandLine {
    let stamp = match changed {
        Changed::Ask => ",snapshots_changed",
        Changed::Leave => "",
    };
    let columns = format!("name,guid,type,used,usedbysnapshots{stamp},{COPY_FACTS}");
    line(Program::Zfs, &[&LIST[..], &[&columns, "-r", "--"]].concat(), [pool.to_string()])
}

/// On the fast path of OpenZFS 2.2 and later, as long as nobody adds a column or another order.
const FAST: [&str; 9] = ["list", "-H", "-p", "-t", "snapshot", "-o", "name,guid,createtxg", "-s", "name"];

pub(super) fn snapshots_of_pool(pool: &PoolName) -> CommandLine {
    line(Program::Zfs, &[&FAST[..], &["-r", "--"]].concat(), [pool.to_string()])
}

pub(super) fn snapshots_of(datasets: &[DatasetName]) -> CommandLine {
    line(Program::Zfs, &[&FAST[..], &["-d", "1", "--"]].concat(), datasets.iter().map(DatasetName::to_string))
}

pub(super) fn details(names: &[SnapshotName]) -> CommandLine {
    let columns = "name,guid,createtxg,creation,used,userrefs,defer_destroy,clones";
    let words = ["list", "-H", "-p", "-t", "snapshot", "-o", columns, "--"];
    line(Program::Zfs, &words, texts(names))
}

pub(super) fn bookmarks(pool: &PoolName) -> CommandLine {
    let words = ["list", "-H", "-p", "-t", "bookmark", "-o", "name,guid,createtxg", "-r", "--"];
    line(Program::Zfs, &words, [pool.to_string()])
}

pub(super) fn copy_facts(pool: &PoolName) -> CommandLine {
    let columns = format!("name,{COPY_FACTS}");
    line(Program::Zfs, &[&LIST[..], &[&columns, "-r", "--"]].concat(), [pool.to_string()])
}

pub(super) fn copy_facts_of(datasets: &[DatasetName]) -> CommandLine {
    let columns = format!("name,{COPY_FACTS}");
    line(Program::Zfs, &[&LIST[..], &[&columns, "--"]].concat(), datasets.iter().map(DatasetName::to_string))
}

const LIST: [&str; 6] = ["list", "-H", "-p", "-t", "filesystem,volume", "-o"];
const COPY_FACTS: &str = "receive_resume_token,encryption,keystatus,available,written";

pub(super) fn destroy_bookmark(name: &BookmarkName) -> CommandLine {
    line(Program::Zfs, &["destroy", "--"], [name.to_string()])
}

/// Gives up what a cut receive left, and refuses where there is nothing of the kind.
pub(super) fn clear(dataset: &DatasetName) -> CommandLine {
    line(Program::Zfs, &["receive", "-A", "--"], [dataset.to_string()])
}

pub(super) fn holds(names: &[SnapshotName]) -> CommandLine {
    line(Program::Zfs, &["holds", "-H", "--"], texts(names))
}

pub(super) fn properties(dataset: &DatasetName, names: &[&str]) -> CommandLine {
    let names = names.join(",");
    line(Program::Zfs, &["list", "-H", "-p", "-o", &names, "--"], [dataset.to_string()])
}

pub(super) fn grants(dataset: &DatasetName) -> CommandLine {
    line(Program::Zfs, &["allow", "--"], [dataset.to_string()])
}

pub(super) fn snapshot(names: &[SnapshotName]) -> CommandLine {
    line(Program::Zfs, &["snapshot", "--"], texts(names))
}

pub(super) fn hold(tag: &HoldTag, names: &[SnapshotName]) -> CommandLine {
    line(Program::Zfs, &["hold", "--", tag.as_str()], texts(names))
}

pub(super) fn release(tag: &HoldTag, names: &[SnapshotName]) -> CommandLine {
    line(Program::Zfs, &["release", "--", tag.as_str()], texts(names))
}

/// Snapshots of one dataset by an explicit list. No flag, no range: neither can be said in a [`SnapTag`].
pub(super) fn destroy(dataset: &DatasetName, tags: &[SnapTag]) -> CommandLine {
    let list = tags.iter().map(SnapTag::as_str).collect::<Vec<_>>().join(",");
    line(Program::Zfs, &["destroy", "--"], [format!("{dataset}@{list}")])
}

/// Cuts a list into pieces of which each fits on a command line.
pub(super) fn chunks<T: fmt::Display>(names: &[T]) -> impl Iterator<Item = &[T]> {
    let mut rest = names;
    std::iter::from_fn(move || {
        // With the closing NUL and the pointer.
        let mut room = MAX_ARGUMENTS;
        let fits = |name: &T| {
            room = room.saturating_sub(name.to_string().len() + 1 + size_of::<usize>());
            room > 0
        };
        let count = rest.iter().map(fits).take_while(|fits| *fits).count();
        let (piece, left) = rest.split_at(count);
        rest = left;
        (!piece.is_empty()).then_some(piece)
    })
}

/// Whether Linux takes this command line.
pub(super) fn fits(line: &CommandLine) -> bool {
    line.arguments.iter().all(|argument| argument.len() < MAX_ARGUMENT)
        && line.arguments.iter().map(|argument| argument.len() + 1 + size_of::<usize>()).sum::<usize>()
            < MAX_ARGUMENTS * 3 / 2
}

fn texts(names: &[SnapshotName]) -> impl Iterator<Item = String> {
    names.iter().map(SnapshotName::to_string)
}

fn line(program: Program, words: &[&str], names: impl IntoIterator<Item = String>) -> CommandLine {
    let words = words.iter().map(|word| (*word).to_owned());
    CommandLine { program, arguments: words.chain(names).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pretty_assertions::assert_eq;

    fn whole(line: &CommandLine) -> String {
        format!("{} {}", line.program.name(), line.arguments.join(" "))
    }

    #[test]
    fn each_command_line_is_as_it_should_be() {
        let pool: PoolName = "tank".parse().unwrap();
        let datasets: Vec<DatasetName> = ["tank/a", "tank/b"].map(|name| name.parse().unwrap()).into();
        let names: Vec<SnapshotName> = ["tank/a@x", "tank/b@y z"].map(|name| name.parse().unwrap()).into();
        let tags: Vec<SnapTag> = ["x", "y"].map(|tag| tag.parse().unwrap()).into();
        let tag: HoldTag = "zam".parse().unwrap();
        let lines = [
            super::pools(),
            super::datasets(&pool, Changed::Ask),
            super::datasets(&pool, Changed::Leave),
            snapshots_of_pool(&pool),
            snapshots_of(&datasets),
            details(&names),
            bookmarks(&pool),
            holds(&names),
            grants(&datasets[0]),
            snapshot(&names),
            hold(&tag, &names),
            release(&tag, &names),
            destroy(&datasets[0], &tags),
            super::copy_facts(&pool),
            copy_facts_of(&datasets),
            destroy_bookmark(&"tank/a#x".parse().unwrap()),
            clear(&datasets[0]),
        ];
        let expected = [
            "zpool list -H -p -o name,health,free,capacity",
            "zfs list -H -p -t filesystem,volume -o name,guid,type,used,usedbysnapshots,snapshots_changed,receive_resume_token,encryption,keystatus,available,written -r -- tank",
            "zfs list -H -p -t filesystem,volume -o name,guid,type,used,usedbysnapshots,receive_resume_token,encryption,keystatus,available,written -r -- tank",
            "zfs list -H -p -t snapshot -o name,guid,createtxg -s name -r -- tank",
            "zfs list -H -p -t snapshot -o name,guid,createtxg -s name -d 1 -- tank/a tank/b",
            "zfs list -H -p -t snapshot -o name,guid,createtxg,creation,used,userrefs,defer_destroy,clones -- tank/a@x tank/b@y z",
            "zfs list -H -p -t bookmark -o name,guid,createtxg -r -- tank",
            "zfs holds -H -- tank/a@x tank/b@y z",
            "zfs allow -- tank/a",
            "zfs snapshot -- tank/a@x tank/b@y z",
            "zfs hold -- zam tank/a@x tank/b@y z",
            "zfs release -- zam tank/a@x tank/b@y z",
            "zfs destroy -- tank/a@x,y",
            "zfs list -H -p -t filesystem,volume -o name,receive_resume_token,encryption,keystatus,available,written -r -- tank",
            "zfs list -H -p -t filesystem,volume -o name,receive_resume_token,encryption,keystatus,available,written -- tank/a tank/b",
            "zfs destroy -- tank/a#x",
            "zfs receive -A -- tank/a",
        ];
        assert_eq!(lines.each_ref().map(whole), expected);
        assert_eq!(details(&names).arguments.last().unwrap(), "tank/b@y z", "a blank does not cut a name in two");
    }

    #[test]
    fn a_long_list_is_cut_and_nothing_is_lost() {
        let names: Vec<SnapshotName> =
            (0..20_000).map(|n| format!("tank/{}@{n}", "x".repeat(200)).parse().unwrap()).collect();
        let pieces: Vec<&[SnapshotName]> = chunks(&names).collect();
        assert!(pieces.len() > 3 && pieces.len() < 7, "{}", pieces.len());
        assert_eq!(pieces.concat(), names);
        assert!(pieces.iter().all(|piece| fits(&details(piece))));
        assert!(!fits(&snapshot(&names)));
        assert_eq!(chunks::<SnapshotName>(&[]).count(), 0);
    }

    #[test]
    fn a_long_command_line_is_shown_short() {
        let names: Vec<SnapshotName> =
            (0..1000).map(|n| format!("tank/é@{n}").replace('é', "e").parse().unwrap()).collect();
        let shown = snapshot(&names).to_string();
        assert!(shown.starts_with("zfs snapshot -- tank/e@0 ") && shown.ends_with("… (1002 arguments)"), "{shown}");
    }
}
