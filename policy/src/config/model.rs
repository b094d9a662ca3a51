//! What a config says, checked.

use super::Place;
use crate::{Pattern, Rule, Span, Tier, Zone};
use zam_names::{DatasetName, Kind, PoolName};

/// A checked config.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// What zam's own snapshot names begin with (`prefix`).
    pub prefix: String,
    /// The zone whose calendar cuts the buckets, unless an entry says otherwise (`timezone`).
    pub timezone: Zone,
    /// Whom to believe about the clock before anything dies by it (`clock`).
    pub clock: ClockTrust,
    /// The entries, inheritance and defaults already in them, by the order of their sources.
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

/// One of `managed-datasets`: a dataset, perhaps with all below it, and what is to be done there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The dataset (`source`).
    pub source: DatasetName,
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
    /// How often snapshots are to be sent. Not acted on by this version.
    pub replication_period: Option<Span>,
    /// How long a snapshot stays after it was first seen both expired and unheld.
    pub grace: Span,
    /// Percent of a dataset's older snapshots that may die in a rolling day though no accepted policy foretold it.
    pub brake: u8,
    /// Periods without a good snapshot after which ageing out pauses; 0: it never does.
    pub silence: u32,
    /// Within what time after a tick of the period a run starts; none: the program's choice.
    pub splay: Option<Span>,
    /// Whether the pool may be away without an alarm (`absent = "expected"`).
    pub absent_expected: bool,
    /// Where copies go. Not acted on by this version.
    pub destinations: Vec<Destination>,
    /// Where the entry stands, for `explain`.
    pub place: Place,
}

/// Where copies of an entry's datasets go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destination {
    /// The host as ssh knows it; none: this one.
    pub remote_host: Option<String>,
    /// The pool there, if it is named.
    pub pool: Option<PoolName>,
    /// The path there: within `pool` if that is named, else within the client's root; none: the source's full name.
    pub dataset: Option<DatasetName>,
    /// What is kept there, as far as the source has a say; empty: whatever the replica keeps.
    pub windows: Vec<Tier>,
}
