//! sanoid: INI, a section for each dataset and for each template.

use super::{
    Asked,
    ini::{self, Section},
    keep::{self, Pace, kind, newest},
    land::{Care, Land, Scope},
    text::{At, File, Note},
    write,
};
use crate::failure::Failure;
use std::collections::BTreeMap;
use zam_names::DatasetName;
use zam_policy::{Span, Tier, Unit};

/// A value, and where it stands; none: it is sanoid's default.
type Settings = BTreeMap<String, (String, Option<At>)>;

/// Reads the files.
pub fn read(files: &[File], asked: &Asked<'_>) -> Result<Land, Failure> {
    let sections = ini::read(files)?;
    sections.iter().try_for_each(known_keys)?;
    let template = |name: &str| sections.iter().find(|section| section.name == format!("template_{name}"));
    let mut defaults: Settings =
        DEFAULTS.iter().map(|(key, value)| ((*key).to_owned(), ((*value).to_owned(), None))).collect();
    defaults.extend(template("default").into_iter().flat_map(|section| settings(section, &[])));
    let mut land = Land { remarks: REMARKS.to_vec(), ..Land::default() };
    land.notes.extend(sections.iter().filter(|section| is_template(section)).flat_map(notes));

    let mut modules: Vec<Module<'_>> = Vec::new();
    for section in sections.iter().filter(|section| !is_template(section) && section.name != "version") {
        let path = section.keys.get("path").filter(|(path, _)| !path.is_empty());
        let path = path.map_or_else(|| section.at.dataset(&section.name), |(path, at)| at.dataset(path))?;
        let around = modules.iter().rev().find(|module| module.reaches(&path, false));
        let mut settings = match around.map(|module| (&module.recursion, &module.settings)) {
            Some((Recursion::Down | Recursion::Atomic, settings)) => settings.clone(),
            _ => defaults.clone(),
        };
        settings.remove("process_children_only");
        let taken = around.filter(|module| module.recursion == Recursion::Atomic).map(|module| module.taken);
        let mut missing = Vec::new();
        for (name, at) in templates(section) {
            match template(&name) {
                Some(section) => settings.extend(self::settings(section, &["skip_children"])),
                None => missing.push(at.note(format!("there is no [template_{name}]: sanoid goes on without it"))),
            }
        }
        settings.extend(self::settings(section, &["skip_children"]));
        let mut module = Module { path, section, settings, recursion: recursion(section)?, taken: None, missing };
        module.taken = match taken {
            Some(taken) => taken,
            None => module.period()?,
        };
        modules.push(module);
    }
    for (nth, module) in modules.iter().enumerate() {
        // What came later and goes down over it has written over it.
        let over = modules[nth + 1..].iter().rev().find(|later| later.reaches(&module.path, false));
        let own = match over {
            Some(later) if later.recursion == Recursion::Skip => None,
            Some(later) => later.care(asked.adopt)?,
            None if module.flag("process_children_only")? => None,
            None => module.care(asked.adopt)?,
        };
        let below = match modules.iter().rev().find(|other| other.reaches(&module.path, true)) {
            Some(other) if other.recursion != Recursion::Skip => other.care(asked.adopt)?,
            _ => None,
        };
        let mut notes = module.missing.clone();
        notes.extend(self::notes(module.section));
        notes.extend(module.deferred()?);
        if own.as_ref().is_some_and(|own| own.taken.is_none()) {
            notes.push(module.section.at.note(
                "sanoid takes none here and thins what others bring. zam thins what it adopts; what zam shall bring needs a [[replicas]]",
            ));
        }
        let scope = Scope { at: module.section.at.clone(), own, below, notes };
        if land.scopes.insert(module.path.clone(), scope).is_some() {
            return Err(module.section.at.wrong(format!("{} has two sections", module.path)));
        }
    }
    if land.scopes.is_empty() {
        return Err(
            Failure::usage("no section of these files names a dataset").hint("sanoid.conf has one: [tank/home]")
        );
    }
    Ok(land)
}

/// The section of a dataset.
struct Module<'a> {
    path: DatasetName,
    section: &'a Section,
    settings: Settings,
    recursion: Recursion,
    /// How often snapshots come.
    taken: Option<Span>,
    missing: Vec<Note>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Recursion {
    /// The dataset alone.
    None,
    /// Each below it by itself.
    Down,
    /// All by one recursive snapshot.
    Atomic,
    /// None below it.
    Skip,
}

impl Module<'_> {
    /// Whether it says what is done for a dataset below it, or for what is below the dataset.
    fn reaches(&self, path: &DatasetName, within: bool) -> bool {
        self.recursion != Recursion::None && path.below(&self.path).is_some_and(|rest| within || !rest.is_empty())
    }

    fn value(&self, key: &str) -> (&str, &At) {
        let (value, at) = self.settings.get(key).map_or(("", None), |(value, at)| (value.as_str(), at.as_ref()));
        (value, at.unwrap_or(&self.section.at))
    }

    fn flag(&self, key: &str) -> Result<bool, Failure> {
        let (value, at) = self.value(key);
        flag(key, value, at)
    }

    fn number(&self, key: &str) -> Result<u32, Failure> {
        let (value, at) = self.value(key);
        at.number(key, value)
    }

    /// What is kept of each kind.
    fn kinds(&self) -> Result<Vec<(u32, Pace)>, Failure> {
        let mut kinds = Vec::new();
        if let Some(period) = Span::new(self.number("frequent_period")?, Unit::Minute) {
            kinds.push((self.number("frequently")?, (period, period.approximate_seconds())));
        }
        for name in ["hourly", "daily", "weekly", "monthly", "yearly"] {
            let count = self.number(name)?;
            kinds.extend(kind(name).map(|kind| (count, kind)));
        }
        kinds.retain(|(count, _)| *count > 0);
        Ok(kinds)
    }

    fn period(&self) -> Result<Option<Span>, Failure> {
        let finest =
            self.kinds()?.into_iter().map(|(_, (period, _))| period).min_by_key(|span| span.approximate_seconds());
        Ok(if self.flag("autosnap")? { finest } else { None })
    }

    fn tiers(&self) -> Result<Vec<Tier>, Failure> {
        Ok(keep::tiers(self.kinds()?.into_iter().map(|(count, kind)| newest(count, kind)).collect()))
    }

    fn care(&self, adopt: bool) -> Result<Option<Care>, Failure> {
        let prunes = self.flag("autoprune")?;
        let kinds = self.kinds()?;
        if kinds.is_empty() || (self.taken.is_none() && !prunes) {
            return Ok(None);
        }
        let windows = if prunes && self.number("prune_defer")? == 0 { self.tiers()? } else { Vec::new() };
        // The newest of all are the newest of a kind only where there is one.
        let at_least = match kinds[..] {
            [(count, _)] if !windows.is_empty() => count,
            _ => 0,
        };
        let adopt = adopt.then(|| "autosnap_*".to_owned()).into_iter().collect();
        Ok(Some(Care { taken: self.taken, windows, at_least, adopt, goals: Vec::new() }))
    }

    /// sanoid prunes only a pool that is fuller than so; zam would keep less.
    fn deferred(&self) -> Result<Option<Note>, Failure> {
        let (value, at) = self.value("prune_defer");
        if self.number("prune_defer")? == 0 || !self.flag("autoprune")? {
            return Ok(None);
        }
        Ok(Some(at.note(format!(
            "prune_defer = {value} keeps all until the pool is {value} % full, so nothing expires here. To thin by age: windows = {}",
            write::windows(&self.tiers()?)
        ))))
    }
}

fn is_template(section: &Section) -> bool {
    section.name.starts_with("template_")
}

fn known_keys(section: &Section) -> Result<(), Failure> {
    for (key, (_, at)) in &section.keys {
        let own = section.name == "version" && key == "version";
        if !own
            && DEFAULTS.iter().all(|(known, _)| known != key)
            && !MISC.contains(&key.as_str())
            && !is_scheduling(key)
            && !is_watching(key)
        {
            return Err(at.wrong(format!("sanoid has no key {key:?}")));
        }
    }
    Ok(())
}

/// The keys that a section hands on.
fn settings<'a>(section: &'a Section, not: &'a [&str]) -> impl Iterator<Item = (String, (String, Option<At>))> + 'a {
    let handed =
        |key: &&String| !["use_template", "recursive", "path"].contains(&key.as_str()) && !not.contains(&key.as_str());
    let keys = section.keys.iter().filter(move |(key, _)| handed(key));
    keys.map(|(key, (value, at))| (key.clone(), (value.clone(), Some(at.clone()))))
}

fn templates(section: &Section) -> Vec<(String, At)> {
    let Some((names, at)) = section.keys.get("use_template") else { return Vec::new() };
    names.split(',').map(|name| (name.trim().to_owned(), at.clone())).filter(|(name, _)| !name.is_empty()).collect()
}

fn recursion(section: &Section) -> Result<Recursion, Failure> {
    let said = |key: &str| section.keys.get(key).map_or(Ok(false), |(value, at)| flag(key, value, at));
    if section.keys.get("recursive").is_some_and(|(value, _)| value.to_lowercase().contains("zfs")) {
        return Ok(Recursion::Atomic);
    }
    Ok(match (said("skip_children")?, said("recursive")?) {
        (true, _) => Recursion::Skip,
        (false, true) => Recursion::Down,
        (false, false) => Recursion::None,
    })
}

fn flag(key: &str, value: &str, at: &At) -> Result<bool, Failure> {
    match value.to_lowercase().as_str() {
        "1" | "true" | "yes" | "on" => Ok(true),
        "" | "0" | "false" | "no" | "off" => Ok(false),
        _ => Err(at.wrong(format!("{key} = {value:?} is neither yes nor no"))),
    }
}

/// Which keys, and what to say of them.
type Sort = (fn(&str) -> bool, &'static str);

/// What zam has no word for, each sort of it once in a section.
fn notes(section: &Section) -> Vec<Note> {
    let sorts: [Sort; 4] = [
        (is_watching, "not needed: `zamctl status` and zamd-watch judge by the entry's own periods"),
        (
            is_scheduling,
            "zam keeps the first of each hour, day, week (from Monday), month and year; splay moves all of them",
        ),
        (
            |key| key == "no_inconsistent_snapshot" || key.contains("script"),
            "write it as a `hook` of the entry, see docs/hooks.md",
        ),
        (|key| key == "min_percent_free", "zam does not look at how full the pool is"),
    ];
    let mut notes = Vec::new();
    for (is, text) in sorts {
        let said = || section.keys.iter().filter(|(key, (value, _))| is(key) && !value.is_empty());
        let names: Vec<&str> = said().map(|(key, _)| key.as_str()).collect();
        let first = said().map(|(_, (_, at))| at).min();
        notes.extend(first.map(|at| at.note(format!("{}: {text}", names.join(", ")))));
    }
    notes
}

fn is_watching(key: &str) -> bool {
    key.ends_with("_warn") || key.ends_with("_crit") || key.starts_with("monitor")
}

fn is_scheduling(key: &str) -> bool {
    [
        "hourly_min",
        "daily_hour",
        "daily_min",
        "weekly_wday",
        "weekly_hour",
        "weekly_min",
        "monthly_mday",
        "monthly_hour",
        "monthly_min",
        "yearly_mon",
        "yearly_mday",
        "yearly_hour",
        "yearly_min",
    ]
    .contains(&key)
}

/// What holds where a section says nothing: those of Debian's sanoid.defaults.conf that matter here.
const DEFAULTS: [(&str, &str); 10] = [
    ("autosnap", "yes"),
    ("autoprune", "yes"),
    ("frequent_period", "15"),
    ("frequently", "0"),
    ("hourly", "48"),
    ("daily", "90"),
    ("weekly", "0"),
    ("monthly", "6"),
    ("yearly", "0"),
    ("prune_defer", "0"),
];

/// The other keys that it knows.
const MISC: [&str; 13] = [
    "path",
    "recursive",
    "use_template",
    "process_children_only",
    "skip_children",
    "pre_snapshot_script",
    "post_snapshot_script",
    "pruning_script",
    "pre_pruning_script",
    "script_timeout",
    "no_inconsistent_snapshot",
    "force_post_snapshot_script",
    "min_percent_free",
];

const REMARKS: [&str; 3] = [
    "sanoid keeps so many of each kind however old they are; zam goes by age. After a time in which nothing was taken, what is",
    "older than its window expires all the same once there is something newer; `at-least` keeps a number whatever the age.",
    "Each window is one period longer than the count: zam keeps the first of each piece, sanoid a later one.",
];
