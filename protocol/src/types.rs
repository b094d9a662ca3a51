//! What the services share: greetings, pages, pools, jobs.

use crate::{Role, codec};
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};
use zam_names::{DatasetName, PoolName, Target, UnixTime};

/// Who serves, for people to read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// The role.
    pub role: Role,
    /// The version it was built as, such as `0.1.0`.
    pub build: String,
    /// The newest minor version of the protocol it speaks.
    pub minor: u16,
    /// Its process.
    pub pid: u32,
    /// When it started.
    pub started: UnixTime,
    /// What it runs by.
    pub config: ConfigState,
    /// What is wrong with the daemon as a whole: a clock that jumped, notes that could not be read.
    pub problems: Vec<String>,
}

/// The config a daemon runs by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfigState {
    /// The file it was read from.
    pub file: String,
    /// When it was last taken over.
    pub loaded: UnixTime,
    /// Why a newer one was refused, if so; the old one stays.
    pub problem: Option<String>,
}

/// Some rows of a long table, in the order of their names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Page<T> {
    /// The rows.
    pub rows: Vec<T>,
    /// If there are more: what to ask for next (`after`).
    pub next: Option<DatasetName>,
}

/// A row of a [`Page`].
pub trait Row: Serialize {
    /// What it is about, and sorted by.
    fn dataset(&self) -> &DatasetName;
}

/// A pool and the process that works on it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PoolStatus {
    /// Its name.
    pub name: PoolName,
    /// What its worker does.
    pub worker: WorkerState,
    /// When it was last listed.
    pub last_listing: Option<UnixTime>,
    /// What last went wrong, until something goes well.
    pub last_error: Option<String>,
    /// The last round over its datasets.
    pub last_tick: Option<Tick>,
}

/// What a pool's worker does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WorkerState {
    /// It waits for work.
    Idle,
    /// It works.
    Working(Work),
    /// It has not answered for too long, and was given up.
    Stuck(Work),
    /// The pool is not imported.
    Absent,
}

/// Something that takes a while.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Work {
    /// What.
    pub what: String,
    /// Since when.
    pub since: UnixTime,
}

/// One round over a pool's datasets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tick {
    /// When it began.
    pub when: UnixTime,
    /// How many datasets it was for.
    pub datasets: u32,
    /// How many snapshots it took, released or destroyed.
    pub done: u32,
    /// Whether it was one transaction; not so after a retry.
    pub atomic: bool,
    /// How many processes were started for it.
    pub processes: u32,
    /// How long it took.
    pub milliseconds: u32,
}

/// Names a job of one daemon, until that daemon restarts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct JobId(pub u64);

/// How far a job is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum JobState {
    /// Its pool's worker has not come to it.
    Waiting,
    /// It is being done.
    Running,
    /// It was done.
    Done {
        /// What changed, a line each.
        lines: Vec<String>,
    },
    /// It was not done, or not all.
    Failed {
        /// Why.
        why: String,
        /// What changed before that.
        lines: Vec<String>,
    },
}

/// Whether a request is for a dataset alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reach {
    /// The dataset alone.
    Only,
    /// The dataset and all below it.
    Below,
}

/// Asks that a snapshot end at a set time, or again by the policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndOrder {
    /// The snapshot, by name and identity.
    pub snapshot: Target,
    /// When it expires; none: by the policy.
    pub end: Option<UnixTime>,
}

/// A line that a person wrote to be found in the audit trail: at most 200 characters, no control characters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Reason(String);

/// Why a text is not a [`Reason`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a reason is one line of at most {} characters", Reason::MAX)]
pub struct ReasonError;

impl<T: Row> Page<T> {
    /// About how many bytes of rows a page takes: well below the bound of a frame, and small enough that many unread
    /// pages are no burden.
    const FULL: usize = 48 * 1024;

    /// The rows behind `after` of a table sorted by name, as many as fit.
    pub fn of(table: impl IntoIterator<Item = T>, after: Option<&DatasetName>) -> Self {
        let mut bytes = 0;
        let mut rows: Vec<T> = Vec::new();
        for row in table {
            if after.is_some_and(|after| row.dataset() <= after) {
                continue;
            }
            bytes += codec::size(&row);
            if bytes > Self::FULL && !rows.is_empty() {
                let next = rows.last().map(|row| row.dataset().clone());
                return Self { rows, next };
            }
            rows.push(row);
        }
        Self { rows, next: None }
    }
}

impl JobState {
    /// A job that was done, whose lines are cut where the answer would grow too long.
    #[must_use]
    pub fn done(lines: Vec<String>) -> Self {
        Self::Done { lines: cut(lines) }
    }

    /// A job that failed, whose lines are cut where the answer would grow too long.
    #[must_use]
    pub fn failed(why: impl Into<String>, lines: Vec<String>) -> Self {
        Self::Failed { why: why.into(), lines: cut(lines) }
    }

    /// Whether nothing more will happen to it.
    #[must_use]
    pub fn is_over(&self) -> bool {
        matches!(self, Self::Done { .. } | Self::Failed { .. })
    }
}

/// Keeps the first lines, and says how many it left out.
fn cut(mut lines: Vec<String>) -> Vec<String> {
    let mut bytes = 0;
    let kept = lines.iter().take_while(|line| {
        bytes += line.len() + 4;
        bytes < 48 * 1024
    });
    let kept = kept.count();
    if kept < lines.len() {
        let left_out = lines.len() - kept;
        lines.truncate(kept);
        lines.push(format!("… and {left_out} more; the journal has them all"));
    }
    lines
}

impl Reason {
    /// The longest one, in characters.
    pub const MAX: usize = 200;

    /// The line.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Reason {
    type Error = ReasonError;
    fn try_from(text: String) -> Result<Self, ReasonError> {
        if text.chars().count() > Self::MAX || text.chars().any(char::is_control) {
            return Err(ReasonError);
        }
        Ok(Self(text))
    }
}

impl FromStr for Reason {
    type Err = ReasonError;
    fn from_str(text: &str) -> Result<Self, ReasonError> {
        text.to_owned().try_into()
    }
}

impl From<Reason> for String {
    fn from(reason: Reason) -> String {
        reason.0
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pretty_assertions::assert_eq;

    #[derive(Clone, Debug, PartialEq, Serialize)]
    struct Fat(DatasetName, String);

    impl Row for Fat {
        fn dataset(&self) -> &DatasetName {
            &self.0
        }
    }

    #[test]
    fn pages_hold_every_row_once_and_none_passes_the_bound() {
        let table: Vec<Fat> =
            (0..300).map(|n| Fat(format!("tank/{n:04}").parse().unwrap(), "x".repeat(1000))).collect();
        let (mut seen, mut after, mut pages) = (Vec::new(), None, 0);
        loop {
            let page = Page::of(table.clone(), after.as_ref());
            assert!(codec::size(&page) < codec::ANSWER_BOUND / 2);
            seen.extend(page.rows);
            pages += 1;
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(seen, table);
        assert!(pages > 5);
    }

    #[test]
    fn a_row_that_is_too_fat_does_not_stop_the_table() {
        let fat = Fat("tank/a".parse().unwrap(), "x".repeat(100_000));
        let thin = Fat("tank/b".parse().unwrap(), String::new());
        let page = Page::of([fat.clone(), thin.clone()], None);
        assert_eq!((page.rows, page.next.clone()), (vec![fat.clone()], Some(fat.0.clone())));
        assert_eq!(Page::of([fat, thin.clone()], page.next.as_ref()).rows, [thin]);
    }

    #[test]
    fn long_results_are_cut_and_say_so() {
        let JobState::Done { lines } = JobState::done(vec!["x".repeat(100); 10_000]) else { panic!("done") };
        assert!(lines.len() < 600);
        assert_eq!(lines.last().unwrap(), &format!("… and {} more; the journal has them all", 10_001 - lines.len()));
        assert_eq!(JobState::done(vec!["a".into()]), JobState::Done { lines: vec!["a".into()] });
    }

    #[test]
    fn reasons_are_parsed_once() {
        assert!("two\nlines".parse::<Reason>().is_err());
        assert!("x".repeat(201).parse::<Reason>().is_err());
        assert!("before the upgrade".parse::<Reason>().is_ok());
    }
}
