//! zfs-auto-snapshot: command lines in crontabs, cron scripts and units, and properties of datasets.

use super::{
    Asked, cron,
    keep::{self, Pace, kind, newest},
    land::{Care, Land, Scope},
    text::{At, File, Note},
};
use crate::failure::Failure;
use std::collections::{BTreeMap, BTreeSet};
use zam_names::DatasetName;
use zam_policy::Tier;

/// Reads the files.
pub fn read(files: &[File], asked: &Asked<'_>) -> Result<Land, Failure> {
    let (mut calls, mut set, mut land) =
        (Vec::new(), Properties::new(), Land { remarks: REMARKS.to_vec(), ..Land::default() });
    for file in files {
        for (at, line) in file.lines() {
            if let Some((dataset, property, value)) = property(line) {
                set.entry(dataset).or_default().insert(property, value);
            } else if let Some((before, words)) = command(line) {
                calls.push(Call::parse(at, before, words, &mut land.notes)?);
            }
        }
    }
    let Some(first) = calls.first() else {
        return Err(Failure::usage("no line of these files runs zfs-auto-snapshot")
            .hint("name /etc/cron.d/zfs-auto-snapshot and /etc/cron.*/zfs-auto-snapshot, or the units that run it"));
    };
    let mut named: BTreeSet<DatasetName> = set.keys().cloned().collect();
    named.extend(calls.iter().flat_map(|call| call.targets.iter().cloned()));
    if set.is_empty() {
        if let Some(call) = calls.iter().find(|call| call.only_marked) {
            let fault = call.at.wrong("--default-exclude, and no file says which datasets are marked");
            return Err(fault.hint(PROPERTIES));
        }
        if calls.iter().any(|call| call.targets.is_empty()) {
            named.extend((asked.pools)()?);
        }
        land.notes.push(
            first.at.note(format!(
                "no file says where com.sun:auto-snapshot is false, so nothing is left out; {PROPERTIES}"
            )),
        );
    }
    for dataset in named {
        let care = |within| care(calls.iter().filter(|call| call.takes(&dataset, within, &set)), asked.adopt);
        let scope = Scope { at: first.at.clone(), own: care(false), below: care(true), notes: Vec::new() };
        land.scopes.insert(dataset, scope);
    }
    Ok(land)
}

/// What the datasets say themselves.
type Properties = BTreeMap<DatasetName, BTreeMap<String, String>>;

/// A command line.
struct Call {
    at: At,
    label: Option<String>,
    keep: Option<u32>,
    prefix: String,
    separator: String,
    /// Empty: all datasets.
    targets: Vec<DatasetName>,
    recursive: bool,
    /// Whether only datasets are meant that say so.
    only_marked: bool,
    takes_none: bool,
    every: Pace,
}

impl Call {
    fn parse(at: At, before: &str, words: Vec<String>, notes: &mut Vec<Note>) -> Result<Self, Failure> {
        let mut values: BTreeMap<char, String> = BTreeMap::new();
        let (mut names, mut words) = (Vec::new(), words.into_iter());
        while let Some(word) = words.next() {
            let mut options: Vec<(char, Option<String>)> = Vec::new();
            if let Some(long) = word.strip_prefix("--") {
                let (name, value) = long.split_once('=').map_or((long, None), |(name, value)| (name, Some(value)));
                let letter = OPTIONS.iter().find(|(known, _)| *known == name).map(|(_, letter)| *letter);
                let letter = letter.ok_or_else(|| at.wrong(format!("zfs-auto-snapshot has no option --{name}")))?;
                options.push((letter, value.map(str::to_owned)));
            } else if let Some(letters) = word.strip_prefix('-') {
                for (place, letter) in letters.char_indices() {
                    let rest = &letters[place + letter.len_utf8()..];
                    if TAKE_VALUES.contains(letter) && !rest.is_empty() {
                        options.push((letter, Some(rest.to_owned())));
                        break;
                    }
                    options.push((letter, None));
                }
            } else {
                names.push(word);
            }
            for (letter, value) in options {
                if OPTIONS.iter().all(|(_, known)| *known != letter) {
                    return Err(at.wrong(format!("zfs-auto-snapshot has no option -{letter}")));
                }
                let value =
                    if TAKE_VALUES.contains(letter) { value.or_else(|| words.next()) } else { Some(String::new()) };
                let value = value.ok_or_else(|| at.wrong(format!("the option -{letter} lacks its value")))?;
                values.insert(letter, value);
            }
        }
        let label = values.get(&'l').cloned();
        let fields: Vec<&str> = before.split_whitespace().take(5).collect();
        // Where a crontab says it, the label is only a name.
        let says = fields.len() == 5 && fields[0].starts_with(|c: char| c.is_ascii_digit() || c == '*');
        let every = if says { cron::every(&fields) } else { label.as_deref().and_then(kind) };
        let Some(every) = every else {
            let fault =
                at.wrong("how often this comes cannot be told: neither a crontab's five fields nor a known label");
            return Err(fault.hint(
                "days and months are read as numbers; the labels are frequent, hourly, daily, weekly, monthly, yearly",
            ));
        };
        let keep = values.get(&'k').map(|count| at.number("--keep", count)).transpose()?;
        let all = names.iter().any(|name| name == "//");
        let targets = names.iter().filter(|_| !all).map(|name| at.dataset(name)).collect::<Result<Vec<_>, _>>()?;
        if !all && targets.is_empty() {
            return Err(at.wrong("zfs-auto-snapshot is told no dataset, and not // for all"));
        }
        for (letter, text) in [
            ('s', "--skip-scrub: zam takes snapshots during a scrub too"),
            ('1', "--pre-snapshot: write it as a `hook` of the entry, see docs/hooks.md"),
            ('2', "--post-snapshot: write it as a `hook` of the entry, see docs/hooks.md"),
        ] {
            if values.contains_key(&letter) {
                notes.push(at.note(text));
            }
        }
        if keep.is_none() {
            notes.push(at.note("no --keep: nothing of this ever expires"));
        }
        let value = |letter, default: &str| values.get(&letter).cloned().unwrap_or_else(|| default.to_owned());
        let has = |letter| values.contains_key(&letter);
        Ok(Self {
            label,
            keep,
            prefix: value('p', "zfs-auto-snap"),
            separator: value('S', "_"),
            targets,
            recursive: has('r'),
            only_marked: has('x'),
            takes_none: has('o'),
            every,
            at,
        })
    }

    /// Whether it is for a dataset, or for what is made below it and says nothing itself.
    fn takes(&self, dataset: &DatasetName, within: bool, set: &Properties) -> bool {
        let is = |target: &DatasetName| match dataset.below(target) {
            Some("") => !within || self.recursive,
            Some(_) => self.recursive,
            None => false,
        };
        if !self.targets.is_empty() && !self.targets.iter().any(is) {
            return false;
        }
        let says = |word: &str| {
            let label = self.label.as_deref().unwrap_or_default();
            let names = ["com.sun:auto-snapshot".to_owned(), format!("com.sun:auto-snapshot:{label}")];
            names
                .iter()
                .any(|name| inherited(set, dataset, name).is_some_and(|value| value.to_lowercase().contains(word)))
        };
        if self.only_marked { says("true") } else { !says("false") }
    }

    fn tier(&self) -> Tier {
        match self.keep {
            Some(count) => newest(count, self.every),
            None => Tier { max_age: None, period: self.every.0 },
        }
    }

    fn names(&self) -> String {
        match &self.label {
            Some(label) => format!("{}{}{label}-*", self.prefix, self.separator),
            None => format!("{}-*", self.prefix),
        }
    }
}

/// What these calls together do for a dataset.
fn care<'a>(calls: impl Iterator<Item = &'a Call>, adopt: bool) -> Option<Care> {
    let calls: Vec<&Call> = calls.collect();
    let taken = calls.iter().filter(|call| !call.takes_none).map(|call| call.every.0);
    let at_least = match calls[..] {
        [] => return None,
        [only] => only.keep.unwrap_or(0),
        _ => 0,
    };
    Some(Care {
        taken: taken.min_by_key(|period| period.approximate_seconds()),
        windows: keep::tiers(calls.iter().map(|call| call.tier()).collect()),
        at_least,
        adopt: calls.iter().filter(|_| adopt).map(|call| call.names()).collect(),
        goals: Vec::new(),
    })
}

/// A property's value on a dataset or the nearest above it that says it.
fn inherited<'a>(set: &'a Properties, dataset: &DatasetName, name: &str) -> Option<&'a str> {
    let mut above = std::iter::successors(Some(dataset.clone()), DatasetName::parent);
    above.find_map(|dataset| set.get(&dataset)?.get(name)).map(String::as_str)
}

/// A line of `zfs get -H`.
fn property(line: &str) -> Option<(DatasetName, String, String)> {
    let mut fields = line.split('\t');
    let (name, property, value) = (fields.next()?, fields.next()?, fields.next()?);
    let dataset = name.parse().ok().filter(|_| property.contains(|c: char| c.is_ascii_lowercase()))?;
    let tells = property.starts_with("com.sun:auto-snapshot") && value != "-";
    Some((dataset, property.to_owned(), if tells { value.to_owned() } else { String::new() }))
}

/// What stands before and behind the name of the program, if the line runs it.
fn command(line: &str) -> Option<(&str, Vec<String>)> {
    let (before, rest) = line.rsplit_once("zfs-auto-snapshot")?;
    let ends = |word: &&str| !word.contains(['>', '|', ';', '&', '<']);
    let words = rest.split_whitespace().take_while(ends).map(|word| word.trim_matches(['"', '\'']).to_owned());
    let words: Vec<String> = words.collect();
    (!words.is_empty() && rest.starts_with(char::is_whitespace)).then_some((before, words))
}

const REMARKS: [&str; 3] = [
    "zfs-auto-snapshot keeps so many of each label however old they are; zam goes by age. After a time in which nothing was taken, what is",
    "older than its window expires all the same once there is something newer; `at-least` keeps a number whatever the age.",
    "Each window is one period longer than the count: zam keeps the first of each piece of the calendar.",
];

const PROPERTIES: &str = "to tell, name one more file, with what this says: zfs get -H -o name,property,value all | grep com.sun:auto-snapshot";

/// Its long options, with a letter for each, which is its own where it has one.
const OPTIONS: [(&str, char); 21] = [
    ("default-exclude", 'x'),
    ("date", 'D'),
    ("debug", 'd'),
    ("event", 'e'),
    ("fast", 'f'),
    ("dry-run", 'n'),
    ("skip-scrub", 's'),
    ("help", 'h'),
    ("keep", 'k'),
    ("label", 'l'),
    ("prefix", 'p'),
    ("quiet", 'q'),
    ("send-full", 'F'),
    ("send-incr", 'I'),
    ("sep", 'S'),
    ("syslog", 'g'),
    ("recursive", 'r'),
    ("verbose", 'v'),
    ("destroy-only", 'o'),
    ("pre-snapshot", '1'),
    ("post-snapshot", '2'),
];
const TAKE_VALUES: &str = "DeklpFIS12";
