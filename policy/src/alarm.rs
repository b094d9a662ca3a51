//! What is wrong, from when it begins until it ends, and when somebody is told. What was found wrong goes in, look by look;
//! messages come out. Whoever cannot be heard at a look ends nothing: unknown is not well.

use crate::{Zone, explain::moment};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet, btree_map::Entry},
    fmt::{self, Write as _},
};
use zam_names::UnixTime;

/// What kind of thing is wrong. Alarms of one kind and place have one cause, as far as anybody can tell, and are told together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A daemon does not answer; the place is the daemon, as in the next three.
    Down,
    /// systemd saw a unit fail.
    Failed,
    /// A daemon starts again and again.
    Restarts,
    /// A config was refused, and the old one stays in force.
    Config,
    /// A dataset has no good new snapshot; the place is the pool.
    Stale,
    /// A copy was not brought up to date; the place is the destination.
    Behind,
    /// A replica's source stopped sending; the place is the client.
    Quiet,
    /// A pool is away, or does not answer; the place is the pool.
    Pool,
    /// Somebody marked snapshots to go with their last hold; the place is the pool, as in the next two.
    Marked,
    /// What policy keeps is not held.
    Unheld,
    /// zam's hold where no entry asks for one.
    Stray,
    /// Deaths wait for an approval; the place is the plan.
    Brake,
    /// What a daemon itself finds wrong; the place is the daemon.
    Trouble,
    /// Messages cannot be delivered; the place is the way.
    Undelivered,
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// It can wait for a day.
    Warning,
    /// Data is less safe than it should be.
    Critical,
}

/// What an alarm is about: there is one alarm of a key at a time.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Key {
    /// What kind of thing.
    pub kind: Kind,
    /// Where the cause is.
    pub place: String,
    /// What suffers: a dataset, a pool, a unit.
    pub about: String,
}

/// Who says so.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// zamd-watch's own eyes, beside its listings.
    Watch,
    /// Its listing of this pool.
    Pool(String),
    /// The status door of this daemon.
    Daemon(String),
}

/// Something that is wrong at this look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// What.
    pub key: Key,
    /// Who says so.
    pub source: Source,
    /// In words, one line, cut to [`LONGEST`].
    pub text: String,
    /// For how many seconds it may be so before it is an alarm.
    pub patience: i64,
}

/// All that was found at a look.
#[derive(Clone, Debug, Default)]
pub struct Look {
    /// What is wrong.
    pub troubles: Vec<Trouble>,
    /// Who should have been heard and was not: what they said before stands.
    pub unheard: BTreeSet<Source>,
}

/// Something that is wrong, since when, and who knows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alarm {
    /// What.
    pub key: Key,
    /// Who says so.
    pub source: Source,
    /// In words, as of the last look.
    pub text: String,
    /// Since when it is so.
    pub since: UnixTime,
    /// When it became an alarm; none: it is still within its patience.
    pub raised: Option<UnixTime>,
    /// When it was last told.
    pub told: Option<UnixTime>,
    /// When an operator said that it is known: it is told no more, but for its end.
    pub known: Option<UnixTime>,
}

/// What a message says of its alarms.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum News {
    /// Some of them are new.
    Begins,
    /// They are still there.
    Lasts,
    /// They are over.
    Ends,
}

/// Something to tell: alarms of one cause.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// What of them.
    pub news: News,
    /// The alarms, by their keys; at least one.
    pub alarms: Vec<Alarm>,
}

/// When to tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// After how many seconds it is told again; none: never.
    pub repeat: Option<i64>,
    /// For how many seconds what is new of one cause is gathered after a message about it.
    pub bundle: i64,
}

/// The alarms there are, kept over restarts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Board {
    /// By their keys.
    alarms: Vec<Alarm>,
    /// When something new was last told of a cause.
    begun: BTreeMap<String, UnixTime>,
}

/// The longest text, in characters.
pub const LONGEST: usize = 300;
/// So many alarms of one message are written out.
const WRITTEN: usize = 25;

impl Kind {
    /// How bad it is.
    #[must_use]
    pub fn level(self) -> Level {
        match self {
            Self::Stale | Self::Behind | Self::Quiet | Self::Down | Self::Pool | Self::Marked => Level::Critical,
            Self::Failed | Self::Restarts | Self::Config | Self::Unheld | Self::Stray => Level::Warning,
            Self::Brake | Self::Trouble | Self::Undelivered => Level::Warning,
        }
    }

    /// Its name, as in JSON.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Down => "down",
            Self::Failed => "failed",
            Self::Restarts => "restarts",
            Self::Config => "config",
            Self::Stale => "stale",
            Self::Behind => "behind",
            Self::Quiet => "quiet",
            Self::Pool => "pool",
            Self::Marked => "marked",
            Self::Unheld => "unheld",
            Self::Stray => "stray",
            Self::Brake => "brake",
            Self::Trouble => "trouble",
            Self::Undelivered => "undelivered",
        }
    }
}

impl Key {
    /// A key.
    pub fn new(kind: Kind, place: impl fmt::Display, about: impl fmt::Display) -> Self {
        Self { kind, place: place.to_string(), about: about.to_string() }
    }

    /// What to do about it: commands, or where to look.
    #[must_use]
    pub fn todo(&self) -> String {
        let Self { kind, place, about } = self;
        match kind {
            Kind::Down => format!("`systemctl status {place}` says why; `systemctl start {place}` starts it"),
            Kind::Failed => format!(
                "`journalctl -u {about}` has all of it; this ends a day after it was last so, or with `zamctl alerts --ack --all`"
            ),
            Kind::Restarts => format!("`journalctl -u {place}` says why it ends"),
            Kind::Config => format!("`zamctl check`, mend it, `systemctl reload {place}`"),
            Kind::Stale => {
                format!("`zamctl status {about}` says why; `zamctl snapshot {about}` tries at once")
            }
            Kind::Behind => {
                format!("`zamctl status {about}` says why; `zamctl replicate {about} --to {place}` tries at once")
            }
            Kind::Quiet => format!(
                "`zamctl status` on {place}: is it on, does its zamd-send run, has its key been let in? `retired` in the config ends this"
            ),
            Kind::Pool => format!("`zpool status {place}`; `zpool import {place}` where it is away"),
            Kind::Marked => format!(
                "zam never does that: `zpool history -i {place}` says who did; `zamctl keep` holds a snapshot that is to stay"
            ),
            Kind::Unheld => format!("`systemctl status zamd-snap`, `zamctl grant --check`, `zamctl status {about}`"),
            Kind::Stray => format!(
                "write an entry for {about}, or take them off, as root: `zfs holds SNAPSHOT`, `zfs release zam SNAPSHOT`"
            ),
            Kind::Brake => format!(
                "`zamctl plan` shows what would go; `zamctl prune --approve {place}` lets it, or correct the config and reload"
            ),
            Kind::Trouble if about == place => format!("`systemctl status {place}`, `journalctl -t {place}`"),
            Kind::Trouble => format!("`zamctl status {about}`, `journalctl -t {place}`"),
            Kind::Undelivered => format!("`[watch]` in the config says where {place} goes; `journalctl -t zamd-watch`"),
        }
    }

    fn cause(&self) -> String {
        format!("{} {}", self.kind.name(), self.place)
    }
}

impl Trouble {
    /// Takes in another one of the same key: what bears less waiting counts, and both are said.
    fn join(&mut self, other: &Self) {
        self.patience = self.patience.min(other.patience);
        if !self.text.contains(&other.text) && self.text.len() < LONGEST {
            self.text = format!("{}; {}", self.text, other.text);
        }
    }
}

impl Alarm {
    /// Whether anybody is to be bothered with it.
    #[must_use]
    pub fn stands(&self) -> bool {
        self.raised.is_some()
    }

    /// For how many seconds it has been so.
    #[must_use]
    pub fn age(&self, now: UnixTime) -> i64 {
        now.since(self.since).max(0)
    }

    fn is_due(&self, now: UnixTime, rules: Rules) -> bool {
        self.stands()
            && self.known.is_none()
            && self.told.is_none_or(|told| rules.repeat.is_some_and(|repeat| now.since(told) >= repeat))
    }
}

impl Board {
    /// The alarms that are more than a moment's trouble, by their keys.
    pub fn standing(&self) -> impl Iterator<Item = &Alarm> {
        self.alarms.iter().filter(|alarm| alarm.stands())
    }

    /// An operator knows of all that stand now. Gives how many that was news of.
    pub fn acknowledge(&mut self, now: UnixTime) -> usize {
        let new = self.alarms.iter_mut().filter(|alarm| alarm.stands() && alarm.known.is_none());
        new.map(|alarm| alarm.known = Some(now)).count()
    }

    /// Takes in what was found at `now`, and gives what is to be told.
    #[must_use]
    pub fn look(&mut self, look: Look, now: UnixTime, rules: Rules) -> Vec<Message> {
        self.follow_the_clock(now);
        let mut found: BTreeMap<Key, Trouble> = BTreeMap::new();
        for trouble in look.troubles {
            match found.entry(trouble.key.clone()) {
                Entry::Vacant(free) => drop(free.insert(trouble)),
                Entry::Occupied(mut first) => first.get_mut().join(&trouble),
            }
        }
        let (stay, over): (Vec<Alarm>, Vec<Alarm>) = std::mem::take(&mut self.alarms)
            .into_iter()
            .partition(|alarm| found.contains_key(&alarm.key) || look.unheard.contains(&alarm.source));
        self.alarms = stay;
        for alarm in &mut self.alarms {
            if let Some(trouble) = found.remove(&alarm.key) {
                alarm.text = one_line(&trouble.text);
                alarm.source = trouble.source;
                if alarm.raised.is_none() && now.since(alarm.since) >= trouble.patience {
                    alarm.raised = Some(now);
                }
            }
        }
        let begun = found.into_values().map(|trouble| Alarm {
            raised: (trouble.patience <= 0).then_some(now),
            text: one_line(&trouble.text),
            key: trouble.key,
            source: trouble.source,
            since: now,
            told: None,
            known: None,
        });
        self.alarms.extend(begun);
        self.alarms.sort_by(|a, b| a.key.cmp(&b.key));
        let mut messages = self.tell(now, rules);
        messages.extend(by_cause(over.into_iter().filter(|alarm| alarm.told.is_some()), News::Ends));
        self.begun.retain(|_, at| now.since(*at) < rules.bundle);
        messages
    }

    /// What is due: with one alarm of a cause, all of it that nobody said is known.
    fn tell(&mut self, now: UnixTime, rules: Rules) -> Vec<Message> {
        let mut due: BTreeMap<String, News> = BTreeMap::new();
        for alarm in self.alarms.iter().filter(|alarm| alarm.is_due(now, rules)) {
            let cause = alarm.key.cause();
            if alarm.told.is_some() {
                due.entry(cause).or_insert(News::Lasts);
            } else if self.begun.get(&cause).is_none_or(|at| now.since(*at) >= rules.bundle) {
                due.insert(cause, News::Begins);
            }
        }
        for cause in due.iter().filter(|(_, news)| **news == News::Begins).map(|(cause, _)| cause) {
            self.begun.insert(cause.clone(), now);
        }
        let mut told: BTreeMap<String, Vec<Alarm>> = BTreeMap::new();
        for alarm in self.alarms.iter_mut().filter(|alarm| alarm.stands() && alarm.known.is_none()) {
            let cause = alarm.key.cause();
            if due.contains_key(&cause) {
                alarm.told = Some(now);
                told.entry(cause).or_default().push(alarm.clone());
            }
        }
        told.into_iter().filter_map(|(cause, alarms)| Some(Message { news: *due.get(&cause)?, alarms })).collect()
    }

    /// Nothing happened in the future, whatever the clock said then.
    fn follow_the_clock(&mut self, now: UnixTime) {
        for alarm in &mut self.alarms {
            alarm.since = alarm.since.min(now);
            alarm.told = alarm.told.map(|told| told.min(now));
            alarm.raised = alarm.raised.map(|raised| raised.min(now));
        }
        for at in self.begun.values_mut() {
            *at = (*at).min(now);
        }
    }
}

impl Message {
    /// One line: how bad, where, and what of it.
    #[must_use]
    pub fn subject(&self, host: &str) -> String {
        let Some(first) = self.alarms.first() else { return format!("[zam] {host}") };
        let word = match (self.news, first.key.kind.level()) {
            (News::Ends, _) => "over",
            (_, Level::Critical) => "critical",
            (_, Level::Warning) => "warning",
        };
        let still = if self.news == News::Lasts { "still: " } else { "" };
        let more = match self.alarms.len() - 1 {
            0 => String::new(),
            more => format!(" (and {more} more)"),
        };
        format!("[zam] {host}: {word}: {still}{}: {}{more}", first.key.about, first.text)
    }

    /// What is wrong, since when, and what to do about it.
    #[must_use]
    pub fn text(&self, zone: &Zone) -> String {
        let mut text = String::new();
        for alarm in self.alarms.iter().take(WRITTEN) {
            // Writing into a String does not fail.
            let _ = writeln!(text, "{}: {}\n  since {}", alarm.key.about, alarm.text, moment(alarm.since, zone));
            if self.news != News::Ends {
                let _ = writeln!(text, "  what to do: {}", alarm.key.todo());
            }
        }
        if let Some(more @ 1..) = self.alarms.len().checked_sub(WRITTEN) {
            let _ = writeln!(text, "… and {more} more: `zamctl alerts` lists them");
        }
        if self.news == News::Ends {
            text += "\nThis is over.\n";
        }
        text
    }
}

fn by_cause(alarms: impl Iterator<Item = Alarm>, news: News) -> Vec<Message> {
    let mut causes: BTreeMap<String, Vec<Alarm>> = BTreeMap::new();
    for alarm in alarms {
        causes.entry(alarm.key.cause()).or_default().push(alarm);
    }
    causes.into_values().map(|alarms| Message { news, alarms }).collect()
}

/// What others say may be long, and goes to terminals.
fn one_line(text: &str) -> String {
    let plain = text.trim().chars().map(|c| if c.is_control() { ' ' } else { c });
    let mut line: String = plain.take(LONGEST + 1).collect();
    if line.chars().count() > LONGEST {
        line = line.chars().take(LONGEST - 1).chain(['…']).collect();
    }
    line
}
