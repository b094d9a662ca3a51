//! How long the snapshots of a dataset are kept.

use crate::{Span, pattern::Pattern};
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use zam_names::SnapTag;

/// One tier of windows: for ages below `max_age` (and from the previous tier's on), one snapshot a `period`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Tier {
    /// Where the tier ends; the last one may have no end.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub max_age: Option<Span>,
    /// The length of its buckets, each of which keeps its earliest snapshot.
    pub period: Span,
}

/// All that decides when a snapshot of a dataset expires. Equal rules make equal decisions, so its JSON form is what the
/// daemons write down as "the policy under which".
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Rule {
    /// The tiers, each longer than the one before. Empty: nothing ever expires.
    pub windows: Vec<Tier>,
    /// So many of the newest zam snapshots stay however old.
    pub at_least: u32,
    /// The zone whose calendar cuts the buckets: an IANA name, checked to be known.
    pub zone: Zone,
    /// What zam's own snapshot names begin with, before the dash and the date.
    pub prefix: String,
    /// Snapshots of other makers that compete like zam's own.
    pub adopt: Vec<Pattern>,
}

/// Tells rules apart in notes. Equal rules have equal digests, also in the next version of zam as long as rules have the
/// same keys; if they should ever differ, snapshots are only kept longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Digest(pub(crate) u64);

impl Rule {
    /// Whether a name that is not zam's own is taken in.
    pub(crate) fn adopts(&self, tag: &SnapTag) -> bool {
        self.adopt.iter().any(|pattern| pattern.matches(tag.as_str()))
    }

    /// The rule's digest (FNV-1a over its TOML form).
    #[must_use]
    pub fn digest(&self) -> Digest {
        let text = toml::to_string(self).unwrap_or_default();
        Digest(
            text.bytes()
                .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)),
        )
    }
}

/// A time zone that is known on this machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Zone(TimeZone, String);

impl Zone {
    /// The zone of this IANA name.
    ///
    /// # Errors
    /// If this machine's time zone database does not know it.
    pub fn named(name: &str) -> Result<Self, String> {
        match TimeZone::get(name) {
            Ok(zone) => Ok(Self(zone, name.to_owned())),
            Err(_) => Err(format!(
                "{name:?} is not a time zone that this machine knows: write an IANA name, such as \"Europe/Vienna\" or \"UTC\""
            )),
        }
    }

    /// Greenwich.
    #[must_use]
    pub fn utc() -> Self {
        Self(TimeZone::UTC, "UTC".to_owned())
    }

    /// The calendar.
    #[must_use]
    pub fn calendar(&self) -> &TimeZone {
        &self.0
    }
}

impl TryFrom<String> for Zone {
    type Error = String;
    fn try_from(name: String) -> Result<Self, String> {
        Self::named(&name)
    }
}

impl From<Zone> for String {
    fn from(zone: Zone) -> String {
        zone.1
    }
}

impl std::fmt::Display for Zone {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.1)
    }
}
