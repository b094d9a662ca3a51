//! zrepl: YAML, a list of jobs.

use super::{
    Asked, cron,
    keep::down,
    land::{Care, Goal, Land, Replica, Scope},
    text::{At, File, Note},
    write::{self, quoted},
    yaml::{self, Fields, Node},
    zrepl_keep::{Kept, duration},
};
use crate::failure::Failure;
use std::collections::{BTreeMap, BTreeSet};
use zam_names::DatasetName;
use zam_policy::Span;

/// Reads the files.
pub fn read(files: &[File], asked: &Asked<'_>) -> Result<Land, Failure> {
    let mut land = Land { remarks: REMARKS.to_vec(), ..Land::default() };
    let mut jobs = Vec::new();
    for file in files {
        let Some(root) = yaml::read(file)? else { continue };
        let mut root = root.fields()?;
        for job in root.list("jobs")? {
            jobs.push(Job::of(job.fields()?, &mut land.notes)?);
        }
        for (key, node) in root.rest() {
            land.notes.push(node.at.note(match key.as_str() {
                "global" => "global: not needed: zam logs to the journal, and its doors are zamctl's".to_owned(),
                "include" => "include: name those files here too".to_owned(),
                _ => format!("{key}: zam has no word for it"),
            }));
        }
    }
    if jobs.is_empty() {
        return Err(
            Failure::usage("there are no jobs in these files").hint("zrepl.yml has a list of them: jobs: [ … ]")
        );
    }
    let names = jobs.iter().find_map(|job| job.names.clone()).unwrap_or_else(|| Names::of("zrepl_", "dense"));
    let mut cares: Vec<(&Job, Care)> = Vec::new();
    for job in jobs.iter().filter(|job| !job.filter.is_empty()) {
        cares.push((job, job.care(&jobs, &names, asked.adopt, &mut land.notes)?));
    }
    let mut named: BTreeMap<DatasetName, At> = BTreeMap::new();
    for (job, _) in &cares {
        for line in &job.filter {
            let all = if line.path.is_none() { (asked.pools)()? } else { Vec::new() };
            for dataset in line.path.iter().cloned().chain(all) {
                named.entry(dataset).or_insert_with(|| line.at.clone());
            }
        }
    }
    for (dataset, at) in named {
        let care = |within| {
            let of = |(job, care): &(&Job, Care)| job.takes(&dataset, within).then(|| care.clone());
            cares.iter().filter_map(of).reduce(Care::and)
        };
        let (own, below) = (care(false), care(true));
        land.scopes.insert(dataset, Scope { at, own, below, notes: Vec::new() });
    }
    for job in &jobs {
        job.arriving(&jobs, &names, asked.adopt, &mut land)?;
    }
    Ok(land)
}

/// What it does.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Snap,
    Push,
    Sink,
    Pull,
    Source,
}

struct Job {
    at: At,
    kind: Kind,
    filter: Vec<Filter>,
    names: Option<Names>,
    taken: Option<Span>,
    /// Rules for this side, and for the other one.
    here: Vec<Node>,
    there: Vec<Node>,
    root: Option<DatasetName>,
    /// The other side.
    line: Line,
    sending: Goal,
}

/// What a job calls its snapshots.
#[derive(Clone)]
struct Names {
    prefix: String,
    /// A whole name, for regular expressions to be tried on.
    example: String,
}

impl Names {
    fn of(prefix: &str, format: &str) -> Self {
        let date = match format.to_lowercase().as_str() {
            "dense" => "20260101_000000_000",
            "human" => "2026-01-01_00:00:00",
            "iso-8601" => "2026-01-01T00:00:00.000Z",
            "unix-seconds" => "1767225600",
            // A layout of Go's is itself a date in that form.
            _ => format,
        };
        Self { prefix: prefix.to_owned(), example: format!("{prefix}{date}") }
    }
}

/// A line of `filesystems`.
struct Filter {
    at: At,
    /// None: all datasets.
    path: Option<DatasetName>,
    /// Whether what is below is meant too.
    tree: bool,
    taken: bool,
}

/// How the two sides find each other.
enum Line {
    None,
    /// In this machine, by the name of a listener; of one that connects also who it is.
    Local(String, Option<String>),
    /// To a host.
    Host(String),
    /// From these clients.
    Clients(Vec<(String, At)>),
}

impl Job {
    fn of(mut fields: Fields, notes: &mut Vec<Note>) -> Result<Self, Failure> {
        let at = fields.at.clone();
        let (kind, name) = (fields.need("type")?, fields.text("name")?);
        let kind_at = kind.at.clone();
        let kind = match kind.text()?.as_str() {
            "snap" => Kind::Snap,
            "push" => Kind::Push,
            "sink" => Kind::Sink,
            "pull" => Kind::Pull,
            "source" => Kind::Source,
            other => {
                return Err(kind_at.wrong(format!("{other:?} is no job of zrepl's: snap, push, sink, pull, source")));
            }
        };
        let mut job = Self {
            at,
            kind,
            filter: Vec::new(),
            names: None,
            taken: None,
            here: Vec::new(),
            there: Vec::new(),
            root: None,
            line: Line::None,
            sending: Goal::new(),
        };
        if matches!(kind, Kind::Snap | Kind::Push | Kind::Source) {
            job.filter = filter(fields.need("filesystems")?)?;
            job.snapshotting(fields.need("snapshotting")?.fields()?, notes)?;
        }
        if let Some(mut pruning) = fields.fields("pruning")? {
            job.here = pruning.list(if kind == Kind::Snap { "keep" } else { "keep_sender" })?;
            job.there = pruning.list("keep_receiver")?;
        }
        if let Some(root) = fields.take("root_fs") {
            let at = root.at.clone();
            job.root = Some(at.dataset(&root.text()?)?);
        }
        if matches!(kind, Kind::Sink | Kind::Pull) && job.root.is_none() {
            return Err(job.at.wrong(format!("the job {name} has no root_fs")));
        }
        match kind {
            Kind::Push | Kind::Pull => job.line = connect(fields.need("connect")?.fields()?, notes)?,
            Kind::Sink | Kind::Source => job.line = serve(fields.need("serve")?.fields()?)?,
            Kind::Snap => {}
        }
        if let Some(send) = fields.fields("send")? {
            job.send(send, notes)?;
        }
        if let Some(mut replication) = fields.fields("replication")?
            && let Some(mut concurrency) = replication.fields("concurrency")?
            && let Some(steps) = concurrency.take("steps")
        {
            let at = steps.at.clone();
            job.sending.push(("concurrency", at.number("steps", &steps.text()?)?.clamp(1, 64).to_string()));
        }
        for (key, node) in fields.rest() {
            notes.push(
                node.at.note(match key.as_str() {
                    "recv" => {
                        "recv: zam receives without properties; `zamctl grant --print --replica` sets those of the root"
                            .to_owned()
                    }
                    "interval" => "interval: how often copies come is the sender's `replication-period`".to_owned(),
                    "conflict_resolution" => {
                        "conflict_resolution: zam never sends all anew unasked: zamctl replicate --full".to_owned()
                    }
                    _ => format!("{key}: zam has no word for it"),
                }),
            );
        }
        Ok(job)
    }

    fn snapshotting(&mut self, mut fields: Fields, notes: &mut Vec<Note>) -> Result<(), Failure> {
        let kind = fields.need("type")?;
        let at = kind.at.clone();
        match kind.text()?.as_str() {
            "manual" => return Ok(()),
            "periodic" => {
                let interval = fields.need("interval")?;
                let at = interval.at.clone();
                let text = interval.text()?;
                let seconds =
                    duration(&text).ok_or_else(|| at.wrong(format!("{text:?} is not an interval such as 10m")))?;
                self.taken = down(seconds);
            }
            "cron" => {
                let line = fields.need("cron")?;
                let at = line.at.clone();
                let text = line.text()?;
                let words: Vec<&str> = text.split_whitespace().collect();
                let (seconds, words) = if words.len() == 6 { (words[0], &words[1..]) } else { ("0", &words[..]) };
                let every = cron::every(words).filter(|_| seconds.parse::<u8>().is_ok());
                self.taken = Some(every.ok_or_else(|| at.wrong(format!("how often {text:?} comes cannot be told")))?.0);
                notes
                    .push(at.note(format!("cron: zam takes one at the beginning of each period, and not at {text:?}")));
            }
            other => return Err(at.wrong(format!("{other:?} is no way of snapshotting: periodic, cron, manual"))),
        }
        let format = fields.word("timestamp_format")?;
        self.names = Some(Names::of(&fields.text("prefix")?, format.as_deref().unwrap_or("dense")));
        if let Some(hooks) = fields.take("hooks") {
            notes.push(hooks.at.note("hooks: write it as a `hook` of the entry, see docs/hooks.md"));
        }
        Ok(())
    }

    fn send(&mut self, mut send: Fields, notes: &mut Vec<Note>) -> Result<(), Failure> {
        if send.flag("encrypted")? {
            self.sending.push(("raw", "true".to_owned()));
        }
        if let Some(limit) = send.take("bandwidth_limit") {
            let at = limit.at.clone();
            let most = limit.fields()?.word("max")?.unwrap_or_default();
            match kibibytes(&most) {
                Some(kibibytes) => self.sending.push(("bandwidth", quoted(&format!("{kibibytes}K")))),
                None => notes.push(at.note(format!("bandwidth_limit {most:?} is not understood: write `bandwidth`"))),
            }
        }
        for (key, node) in send.rest() {
            if ["send_properties", "backup_properties"].contains(&key.as_str()) && node.clone().flag()? {
                notes.push(node.at.note(format!("{key}: zam sends no properties")));
            }
        }
        Ok(())
    }

    /// Whether its filter takes a dataset, or what is made below it and not named.
    fn takes(&self, dataset: &DatasetName, within: bool) -> bool {
        let fits = |line: &&Filter| match &line.path {
            None => true,
            Some(path) if line.tree => dataset.below(path).is_some(),
            Some(path) => path == dataset && !within,
        };
        let longest = |line: &&Filter| (line.path.as_ref().map_or(0, |path| path.as_str().len()), !line.tree);
        self.filter.iter().filter(fits).max_by_key(longest).is_some_and(|line| line.taken)
    }

    fn care(&self, jobs: &[Self], names: &Names, adopt: bool, notes: &mut Vec<Note>) -> Result<Care, Failure> {
        let own = self.names.as_ref().unwrap_or(names);
        let mut goals = Vec::new();
        let (mut here, mut there) = (self.here.clone(), self.there.clone());
        let mut goal = Goal::new();
        match (self.kind, &self.line) {
            (Kind::Push, Line::Local(name, identity)) => {
                let sink = jobs.iter().find(|job| job.kind == Kind::Sink && job.listens(name));
                let root = sink.and_then(|sink| sink.root.as_ref()).ok_or_else(|| self.at.wrong(format!("no sink in these files listens as {name:?}")))?;
                let root = format!("{root}/{}", identity.as_deref().unwrap_or_default());
                goal.push(("root", quoted(self.at.dataset(&root)?.as_str())));
            }
            (Kind::Push, Line::Host(host)) => goal.push(("remote-host", quoted(host))),
            (Kind::Source, Line::Local(name, _)) => {
                if let Some(pull) = jobs.iter().find(|job| job.kind == Kind::Pull && job.listens(name)) {
                    (here, there) = (pull.here.clone(), pull.there.clone());
                    goal.extend(pull.root.iter().map(|root| ("root", quoted(root.as_str()))));
                }
            }
            (Kind::Source, _) => notes.push(self.at.note(
                "source: zam does not wait to be asked, it sends: write `destinations` here. The rules are in the other side's pull job: \
                 its keep_sender belongs here as `windows`, and until then this job lets nothing expire",
            )),
            _ => {}
        }
        let pace = self.taken.or_else(|| finest(jobs));
        let kept = Kept::by(here, &own.example, pace, notes)?;
        if !goal.is_empty() {
            let there = Kept::by(there, &own.example, pace, &mut Vec::new())?;
            goal.extend(self.sending.iter().cloned());
            if !there.windows.is_empty() && there.at_least == 0 {
                goal.push(("windows", write::windows(&there.windows)));
            }
            goals.push(goal);
        }
        let adopt: BTreeSet<String> = adopt.then(|| format!("{}*", own.prefix)).into_iter().collect();
        Ok(Care { taken: self.taken, windows: kept.windows, at_least: kept.at_least, adopt, goals })
    }

    fn listens(&self, name: &str) -> bool {
        matches!(&self.line, Line::Local(listener, _) if listener == name)
    }

    /// The copies that arrive by this job.
    fn arriving(&self, jobs: &[Self], names: &Names, adopt: bool, land: &mut Land) -> Result<(), Failure> {
        let Some(root) = &self.root else { return Ok(()) };
        let mut clients: Vec<(String, Option<&Self>, At)> = Vec::new();
        match (&self.line, self.kind) {
            (Line::Local(name, _), Kind::Sink) => {
                for push in jobs.iter().filter(|job| job.kind == Kind::Push && job.listens(name)) {
                    let Line::Local(_, Some(identity)) = &push.line else { continue };
                    clients.push((identity.clone(), Some(push), self.at.clone()));
                }
            }
            (Line::Clients(names), _) => {
                clients.extend(names.iter().map(|(name, at)| (name.clone(), None, at.clone())))
            }
            (Line::Host(host), _) => clients.push((host.clone(), Some(self), self.at.clone())),
            (Line::Local(name, _), _) => clients.push((name.clone(), Some(self), self.at.clone())),
            (Line::None, _) => {}
        }
        for (client, rules, at) in clients {
            let mut notes = Vec::new();
            let names = rules.and_then(|job| job.names.as_ref()).unwrap_or(names);
            let rules = match rules {
                Some(job) => job.there.clone(),
                None => {
                    notes.push(at.note(format!("what is kept here is keep_receiver of {client}'s push job: write it as `windows`; until then nothing expires")));
                    Vec::new()
                }
            };
            let pace = if matches!(self.line, Line::Local(..)) { finest(jobs) } else { None };
            let kept = Kept::by(rules, &names.example, pace, &mut notes)?;
            // A pull puts what it gets right below its root.
            let place = if self.kind == Kind::Sink { at.dataset(&format!("{root}/{client}"))? } else { root.clone() };
            if self.kind == Kind::Pull && !matches!(self.line, Line::Local(..)) {
                notes.push(self.at.note(format!(
                    "zam does not fetch: {client} sends, by a zam with `destinations` there; keep_sender belongs into its entry"
                )));
            }
            let adopt = adopt.then(|| format!("{}*", names.prefix)).into_iter().collect();
            let (windows, at_least) = (kept.windows, kept.at_least);
            land.replicas.push(Replica {
                client,
                root: place,
                windows,
                at_least,
                adopt,
                datasets: BTreeMap::new(),
                notes,
            });
        }
        Ok(())
    }
}

/// How often snapshots come, of whichever job.
fn finest(jobs: &[Job]) -> Option<Span> {
    jobs.iter().filter_map(|job| job.taken).min_by_key(|period| period.approximate_seconds())
}

fn filter(node: Node) -> Result<Vec<Filter>, Failure> {
    let mut filter = Vec::new();
    for (key, node) in node.fields()?.rest() {
        let at = node.at.clone();
        let (path, tree) = key.strip_suffix('<').map_or((key.as_str(), false), |path| (path, true));
        let path = if path.is_empty() && tree { None } else { Some(at.dataset(path)?) };
        filter.push(Filter { at, path, tree, taken: node.flag()? });
    }
    Ok(filter)
}

fn connect(mut fields: Fields, notes: &mut Vec<Note>) -> Result<Line, Failure> {
    let kind = fields.need("type")?;
    let at = kind.at.clone();
    let host = match kind.text()?.as_str() {
        "local" => return Ok(Line::Local(fields.text("listener_name")?, fields.word("client_identity")?)),
        "ssh+stdinserver" => fields.text("host")?,
        "tcp" | "tls" => {
            notes.push(at.note("zam goes by ssh: `zamctl ssh --print` prints what both sides need"));
            let address = fields.text("address")?;
            address.rsplit_once(':').map_or(address.clone(), |(host, _)| host.trim_matches(['[', ']']).to_owned())
        }
        other => {
            return Err(at.wrong(format!("{other:?} is no transport of zrepl's: local, tcp, tls, ssh+stdinserver")));
        }
    };
    Ok(Line::Host(host))
}

fn serve(mut fields: Fields) -> Result<Line, Failure> {
    let kind = fields.need("type")?;
    let at = kind.at.clone();
    let listed = |list: Vec<Node>| {
        list.into_iter().map(|node| Ok((node.clone().text()?, node.at))).collect::<Result<Vec<_>, Failure>>()
    };
    Ok(match kind.text()?.as_str() {
        "local" => Line::Local(fields.text("listener_name")?, None),
        "tls" => Line::Clients(listed(fields.list("client_cns")?)?),
        "stdinserver" => Line::Clients(listed(fields.list("client_identities")?)?),
        "tcp" => Line::Clients(listed(fields.need("clients")?.fields()?.rest().map(|(_, node)| node).collect())?),
        other => return Err(at.wrong(format!("{other:?} is no transport of zrepl's: local, tcp, tls, stdinserver"))),
    })
}

/// `23.5 MiB` a second, rounded up; small letters count bits.
fn kibibytes(text: &str) -> Option<u64> {
    let digits = text.bytes().take_while(|byte| byte.is_ascii_digit() || *byte == b'.').count();
    let (number, unit) = text.split_at(digits);
    let (scale, bits) = match unit.trim() {
        "B" => (1.0, 1.0),
        "b" => (1.0, 8.0),
        unit => {
            let base: f64 = if unit.contains('i') { 1024.0 } else { 1000.0 };
            let power =
                ["K", "M", "G", "T"].iter().zip(1..).find(|(letter, _)| unit.to_uppercase().starts_with(**letter))?.1;
            (base.powi(power), if unit.ends_with('b') { 8.0 } else { 1.0 })
        }
    };
    let kibibytes = (number.parse::<f64>().ok()? * scale / bits / 1024.0).ceil();
    // Above this it would be no limit of zam's.
    (1.0..=1e9).contains(&kibibytes).then_some(kibibytes as u64)
}

const REMARKS: [&str; 2] = [
    "zrepl destroys every snapshot that no rule keeps; zam only its own and what it adopts. Each window is one piece longer: zrepl counts",
    "pieces back from now, zam by the calendar.",
];
