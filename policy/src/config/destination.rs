//! Where copies go.

use super::{
    Entry,
    decode::{block, flag, list, number, parsed, period, read, span, text, word},
    entry::absent,
    findings::Findings,
    node::{Node, Value},
    schema,
    tiers::tiers,
};
use crate::{Rule, Span, Tier, Unit};
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};
use zam_names::{DatasetName, PoolName, RelPath};

/// Where copies of an entry's datasets go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destination {
    /// The host as ssh knows it; none: this one.
    pub remote_host: Option<String>,
    /// As whom ssh logs in there.
    pub user: String,
    /// The pool there, if it is named.
    pub pool: Option<PoolName>,
    /// On another host: the path of the entry's source there, within `pool` if that is named, else within the root that the
    /// replica gives this client. On this host, without `root`: where below `pool` the root is.
    pub dataset: Option<RelPath>,
    /// On this host: the dataset below which the copies lie.
    pub root: Option<DatasetName>,
    /// What is sent at most; empty: what the replica keeps.
    pub windows: Vec<Tier>,
    /// Bytes a second; none: as many as there are.
    pub bandwidth: Option<u64>,
    /// How many datasets are sent at a time.
    pub concurrency: u32,
    /// What the wire carries.
    pub compress: Compress,
    /// Whether streams are raw; none: those of encrypted datasets are.
    pub raw: Option<bool>,
    /// Whether it may be away without an alarm (`absent = "expected"`).
    pub absent_expected: bool,
    /// After how long in which something waited to be sent there is an alarm; none: never.
    pub stale_after: Option<Span>,
    /// After how long without a good run it is given up: that is told, and it is tried once a day. All that the source keeps
    /// for it are bookmarks, which take no room.
    pub give_up: Span,
}

/// What is done to a stream between the hosts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Compress {
    /// Nothing.
    #[default]
    None,
    /// It is packed with zstd.
    Zstd,
}

/// Names a destination in what must outlive a change of the config's order: bookmarks, notes. Written as 8 hexadecimal
/// digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DestinationId(u32);

/// Why a text is not a [`DestinationId`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a destination's id: expected 8 hexadecimal digits")]
pub struct DestinationIdError(String);

/// Why a dataset has no place at a destination.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Misplaced(String);

impl Destination {
    /// Its id: FNV-1a over where it is, as configured.
    #[must_use]
    pub fn id(&self) -> DestinationId {
        let part = |part: Option<&str>| part.unwrap_or_default().to_owned();
        let mut text = format!(
            "{}|{}|{}",
            part(self.remote_host.as_deref()),
            part(self.pool.as_ref().map(PoolName::as_str)),
            part(self.dataset.as_ref().map(RelPath::as_str)),
        );
        text.extend(self.root.iter().map(|root| format!("|{root}")));
        DestinationId(text.bytes().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)))
    }

    /// The host, less a user in front of it; none: this one.
    #[must_use]
    pub fn host(&self) -> Option<&str> {
        let remote = self.remote_host.as_deref()?;
        Some(remote.rsplit_once('@').map_or(remote, |(_, host)| host))
    }

    /// Whether people call it so: by its host, or on this host by its root or pool; or by its id.
    #[must_use]
    pub fn is_called(&self, name: &str) -> bool {
        let root = self.local_root();
        self.host() == Some(name)
            || self.remote_host.as_deref() == Some(name)
            || root.is_some_and(|root| root.as_str() == name || root.pool().as_str() == name)
            || self.id().to_string() == name
    }

    /// What people call it: its host, or on this host the root.
    #[must_use]
    pub fn called(&self) -> String {
        let root = self.local_root().map(|root| root.to_string());
        self.host().map(str::to_owned).or(root).unwrap_or_else(|| self.id().to_string())
    }

    /// Whether it is on this host.
    #[must_use]
    pub fn is_local(&self) -> bool {
        self.remote_host.is_none()
    }

    /// The dataset below which the copies lie on this host: `root`, else `pool` with `dataset`. None for another host, whose
    /// own config says it.
    #[must_use]
    pub fn local_root(&self) -> Option<DatasetName> {
        if !self.is_local() {
            return None;
        }
        self.root.clone().or_else(|| {
            let pool = DatasetName::from(self.pool.clone()?);
            match &self.dataset {
                Some(path) => path.below(&pool).ok(),
                None => Some(pool),
            }
        })
    }

    /// The path of `dataset`, which `entry` covers, below the client's root there. None where only the replica can tell: it
    /// is on another host, and `pool` is named.
    #[must_use]
    pub fn relative(&self, entry: &Entry, dataset: &DatasetName) -> Option<RelPath> {
        match (self.local_root(), &self.pool) {
            (Some(root), _) => self.relative_to(entry, dataset, &root).ok(),
            (None, None) => self.path(entry, dataset).ok(),
            (None, Some(_)) => None,
        }
    }

    /// The same where the client's root is known: what is written with a `pool` must lie below it.
    ///
    /// # Errors
    /// If it does not, or if the path becomes too long.
    pub fn relative_to(&self, entry: &Entry, dataset: &DatasetName, root: &DatasetName) -> Result<RelPath, Misplaced> {
        let path = self.path(entry, dataset)?;
        let Some(pool) = self.pool.as_ref().filter(|_| !self.is_local() || self.root.is_some()) else {
            return Ok(path);
        };
        let full = path.below(&DatasetName::from(pool.clone())).map_err(misplaced)?;
        let outside = || Misplaced(format!("{full} is not below {root}, which is this client's root there"));
        RelPath::of(&full, root).ok_or_else(outside)
    }

    /// Within the pool or the root: where the source lies there, and behind that what is below the source.
    fn path(&self, entry: &Entry, dataset: &DatasetName) -> Result<RelPath, Misplaced> {
        let base = match &self.dataset {
            Some(path) if !self.is_local() || self.root.is_some() => path.clone(),
            _ => return Ok(dataset.clone().into()),
        };
        match dataset.below(&entry.source) {
            None => Err(Misplaced(format!("{dataset} is not below {}", entry.source))),
            Some("") => Ok(base),
            Some(below) => base.join(&below.parse().map_err(misplaced)?).map_err(misplaced),
        }
    }

    /// The windows of this destination as a rule for what `entry` covers. Without windows it keeps everything.
    #[must_use]
    pub fn narrowing(&self, entry: &Entry) -> Rule {
        Rule { windows: self.windows.clone(), at_least: 0, ..entry.rule.clone() }
    }
}

fn misplaced(why: zam_names::NameError) -> Misplaced {
    Misplaced(why.to_string())
}

impl fmt::Display for DestinationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", self.0)
    }
}

impl FromStr for DestinationId {
    type Err = DestinationIdError;
    fn from_str(text: &str) -> Result<Self, DestinationIdError> {
        let digits = text.len() == 8 && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        let number = if digits { u32::from_str_radix(text, 16).ok() } else { None };
        number.map(Self).ok_or_else(|| DestinationIdError(text.to_owned()))
    }
}

impl TryFrom<String> for DestinationId {
    type Error = DestinationIdError;
    fn try_from(text: String) -> Result<Self, DestinationIdError> {
        text.parse()
    }
}

impl From<DestinationId> for String {
    fn from(id: DestinationId) -> Self {
        id.to_string()
    }
}

/// Decodes a list of destinations, to which nothing may go for so long before it is `late`.
pub(super) fn destinations(node: &Node, late: Option<Span>, out: &mut Findings<'_>) -> Option<Vec<Destination>> {
    let nodes = list(node, "a list of destinations, such as [{ remote-host = \"olympus\" }]", out);
    Some(nodes.iter().filter_map(|node| destination(node, late, out)).collect())
}

fn destination(node: &Node, late: Option<Span>, out: &mut Findings<'_>) -> Option<Destination> {
    let table = block(node, "a destination, such as { remote-host = \"olympus\" }", out)?;
    schema::refuse_unknown(table, schema::DESTINATION, out);
    match (table.get("remote-host"), table.get("pool"), table.get("root")) {
        (None, None, None) => {
            out.error_with(node.at, "this destination is nowhere", "name a `remote-host`, or a `pool` of this host");
        }
        (Some(_), _, Some(root)) => {
            out.error_with(
                root.at,
                "`root` beside `remote-host`: a client's root is what the replica says it is",
                "write it in that host's `[[replicas]]`, and here a `dataset` below it, if not the source's full name",
            );
        }
        _ => {}
    }
    let absent_expected = read(table, "absent", out, absent).unwrap_or(false);
    // A night without a network, or a replica that is restarted, is nobody's business.
    let patience = late.into_iter().chain(Span::new(1, Unit::Day)).max_by_key(|span| span.approximate_seconds());
    let stale_after = patience.filter(|_| late.is_some() && !absent_expected);
    let destination = Destination {
        remote_host: read(table, "remote-host", out, host),
        user: read(table, "user", out, user).unwrap_or_else(|| DEFAULT_USER.to_owned()),
        pool: read(table, "pool", out, |node, out| parsed(node, "the name of a pool", out)),
        dataset: read(table, "dataset", out, |node, out| parsed(node, "the path of a dataset", out)),
        root: read(table, "root", out, |node, out| parsed(node, "a dataset, such as \"usb/zam\"", out)),
        windows: tiers(table, out).unwrap_or_default(),
        bandwidth: read(table, "bandwidth", out, bandwidth),
        concurrency: read(table, "concurrency", out, concurrency).unwrap_or(DEFAULT_CONCURRENCY),
        compress: read(table, "compress", out, compress).unwrap_or_default(),
        raw: read(table, "raw", out, flag),
        absent_expected,
        stale_after: read(table, "stale-after", out, period).unwrap_or(stale_after),
        give_up: read(table, "give-up", out, span).or_else(default_give_up)?,
    };
    if destination.is_local()
        && let (Some(root), Some(pool)) = (&destination.root, &destination.pool)
        && root.pool() != *pool
    {
        out.error(node.at, format!("the root {root} is not in the pool {pool}"));
    }
    Some(destination)
}

/// A host as ssh knows it. It will stand on a command line, so nothing that could pass for an option or a second word.
fn host(node: &Node, out: &mut Findings<'_>) -> Option<String> {
    let written = text(node, "a host, such as \"olympus\"", out)?;
    if !plain(written, "-_.:@%[]") {
        out.error_with(node.at, format!("{written:?} is not a host"), "write a name or an address as ssh takes it");
        return None;
    }
    Some(written.to_owned())
}

fn user(node: &Node, out: &mut Findings<'_>) -> Option<String> {
    let written = text(node, "a user, such as \"zam-ssh\"", out)?;
    if !plain(written, "-_.") {
        out.error(node.at, format!("{written:?} is not a user"));
        return None;
    }
    Some(written.to_owned())
}

/// Whether it has only letters, digits and `others`, and does not begin like an option.
pub(super) fn plain(text: &str, others: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || others.contains(c);
    !text.is_empty() && !text.starts_with('-') && text.chars().all(fits)
}

/// Bytes a second, as a number or with one of the letters of [`SIZES`].
fn bandwidth(node: &Node, out: &mut Findings<'_>) -> Option<u64> {
    let number = match &node.value {
        Value::Whole(number) => u64::try_from(*number).ok(),
        Value::Text(text) => {
            let shift = |(letter, shift): &(char, u32)| Some((text.strip_suffix(*letter)?, *shift));
            let (digits, shift) = SIZES.iter().find_map(shift).unwrap_or((text, 0));
            let digits = digits.parse::<u32>().ok().filter(|_| digits.bytes().all(|b| b.is_ascii_digit()));
            digits.map(|number| u64::from(number) << shift)
        }
        _ => None,
    };
    // A limit below this is a slip: no run would ever end.
    let number = number.filter(|bytes| (SLOWEST..=FASTEST).contains(bytes));
    if number.is_none() && !matches!(node.value, Value::Broken) {
        out.error_with(
            node.at,
            "expected bytes a second, from 1K to 1024G",
            "write a number, or one with K, M or G behind it, such as \"10M\"",
        );
    }
    number
}

fn concurrency(node: &Node, out: &mut Findings<'_>) -> Option<u32> {
    let number = number(node, MOST_AT_A_TIME, out)?;
    if number == 0 {
        out.error_with(node.at, "none at a time would never send", "write at least 1");
        return None;
    }
    Some(number)
}

fn compress(node: &Node, out: &mut Findings<'_>) -> Option<Compress> {
    Some(if word(node, &["none", "zstd"], out)? == "zstd" { Compress::Zstd } else { Compress::None })
}

/// After how long a destination is given up that says nothing else.
pub(super) fn default_give_up() -> Option<Span> {
    Span::new(90, Unit::Day)
}

pub(super) const DEFAULT_USER: &str = "zam-ssh";
pub(super) const DEFAULT_CONCURRENCY: u32 = 2;
const MOST_AT_A_TIME: u32 = 64;
const SIZES: [(char, u32); 3] = [('K', 10), ('M', 20), ('G', 30)];
const SLOWEST: u64 = 1 << 10;
const FASTEST: u64 = 1 << 40;
