//! What a config says, checked.

use super::{Destination, Hook, Place, RunWhen, Watch};
use crate::{Pattern, Rule, Span, Zone};
use zam_names::{DatasetName, Kind, UnixTime};

/// A checked config.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// What zam's own snapshot names begin with (`prefix`).
    pub prefix: String,
    /// The zone whose calendar cuts the buckets, unless an entry says otherwise (`timezone`).
    pub timezone: Zone,
    /// Whom to believe about the clock before anything dies by it (`clock`).
    pub clock: ClockTrust,
    /// Whom zamd-watch tells (`watch`).
    pub watch: Watch,
    /// The entries, inheritance and defaults already in them, by the order of their sources; those of `replicas` too.
    pub entries: Vec<Entry>,
}

/// Whom to believe about the clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ClockTrust {
    /// A time server, which has to have set it (`"synchronised"`).
    #[default]
    WhenSynchronised,
    /// The machine, as it is (`"trust"`), for machines that no time server sets.
    Always,
}

/// One of `managed-datasets`: a dataset, perhaps with all below it, and what is to be done there. Or one of `replicas`, or
/// of the `datasets` in it: where a client's copies arrive, and how long they are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The dataset (`source`; of a replica its `root`, or what is below it).
    pub source: DatasetName,
    /// Whose copies arrive there; none: nobody's, an entry of `managed-datasets`.
    pub client: Option<String>,
    /// From when on nothing may arrive there any more (`retired`); what is there goes on ageing.
    pub retired: Option<UnixTime>,
    /// Whether what is below it is meant too.
    pub recursive: bool,
    /// Components below the source that stay out, with all below them.
    pub exclude: Vec<Pattern>,
    /// Only datasets of this kind (`type`); none: both.
    pub kind: Option<Kind>,
    /// Whether the entry acts; one that does not keeps its datasets out.
    pub enabled: bool,
    /// Whether its snapshots are held from birth on.
    pub hold: bool,
    /// How long its snapshots are kept.
    pub rule: Rule,
    /// How often a snapshot is taken; none: never.
    pub snapshot_period: Option<Span>,
    /// How often what has expired is looked for; none: never.
    pub prune_period: Option<Span>,
    /// How often snapshots are sent to the destinations; none: only when somebody asks.
    pub replication_period: Option<Span>,
    /// How long a snapshot stays after it was first seen both expired and unheld.
    pub grace: Span,
    /// Percent of a dataset's older snapshots that may die in a rolling day though no accepted policy foretold it.
    pub brake: u8,
    /// Periods without a good snapshot after which ageing out pauses; 0: it never does.
    pub silence: u32,
    /// After how long without a good snapshot, or on a replica without an arrival, there is an alarm; none: never.
    pub stale_after: Option<Span>,
    /// Within what time after a tick of the period a run starts; none: the program's choice.
    pub splay: Option<Span>,
    /// Whether the pool may be away without an alarm (`absent = "expected"`).
    pub absent_expected: bool,
    /// What its tasks wait for when they are due.
    pub run_when: RunWhen,
    /// What is run before and after its snapshots.
    pub hook: Option<Hook>,
    /// Where copies go.
    pub destinations: Vec<Destination>,
    /// Where the entry stands, for `explain`.
    pub place: Place,
}

impl Entry {
    /// Whether what it covers came from elsewhere, so that its dates are a stranger's word.
    #[must_use]
    pub fn is_replica(&self) -> bool {
        self.client.is_some()
    }

    /// Whether nothing may arrive there any more.
    #[must_use]
    pub fn is_retired(&self, now: UnixTime) -> bool {
        self.retired.is_some_and(|from| from <= now)
    }
}
