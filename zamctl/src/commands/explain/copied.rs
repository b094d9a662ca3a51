//! What a dataset's replicas have, and what they still need.

use crate::{copies, doors::Copies, words};
use serde::Serialize;
use zam_names::{Dataset, DatasetName, SnapTag, Snapshot, UnixTime};
use zam_protocol::send::{CopyStatus, PlannedCopy, SendStatus};

/// What zamd-send says of a dataset that has destinations.
pub(super) struct Copied {
    status: Option<SendStatus>,
    plan: Vec<PlannedCopy>,
    pub lack: Option<&'static str>,
}

impl Copied {
    /// Asks it.
    pub fn ask(send: &Copies, name: &DatasetName) -> Self {
        Self { status: send.status(name), plan: send.plan(name).unwrap_or_default(), lack: send.lack() }
    }

    /// Each replica: where it is, and a sentence on what it has and needs.
    pub fn lines(
        &self,
        dataset: &Dataset,
        now: UnixTime,
        moment: impl Fn(UnixTime) -> String,
    ) -> Vec<(String, String)> {
        let line = |copy: &CopyStatus| {
            let to = copies::place(copy.host.as_deref(), &copy.path);
            let has = match &copy.newest {
                Some(tag) => format!("has @{tag}"),
                None => "has nothing of it yet".to_owned(),
            };
            let needs = match self.needed(dataset, copy).first() {
                Some(first) => format!(
                    ", needs {} since {} ({})",
                    words::count(self.steps(copy).count(), "snapshot"),
                    moment(first.creation),
                    words::relative(first.creation, now)
                ),
                None => String::new(),
            };
            (to, format!("{has}{needs}; {}", copies::state(&dataset.name, copy, now)))
        };
        self.copies().map(line).collect()
    }

    /// What one snapshot is to each replica.
    pub fn of(&self, tag: &SnapTag) -> Vec<String> {
        let word = |copy: &CopyStatus| {
            let to = copies::place(copy.host.as_deref(), &copy.path);
            if copy.newest.as_ref() == Some(tag) {
                return Some(format!("{to} has it, and gets the next one on top of it"));
            }
            let step = self.steps(copy).find(|step| *step == tag)?;
            Some(format!("{to} still needs @{step}"))
        };
        self.copies().filter_map(word).collect()
    }

    /// For programs.
    pub fn json(&self, dataset: &Dataset) -> Vec<JsonCopy> {
        let one = |copy: &CopyStatus| JsonCopy {
            id: copy.id.clone(),
            host: copy.host.clone(),
            path: copy.path.clone(),
            newest: copy.newest.as_ref().map(ToString::to_string),
            needs: self.steps(copy).map(ToString::to_string).collect(),
            since: self.needed(dataset, copy).first().map(|first| words::stamp(first.creation)),
            problems: copy.problems.clone(),
        };
        self.copies().map(one).collect()
    }

    fn copies(&self) -> impl Iterator<Item = &CopyStatus> {
        self.status.iter().flat_map(|row| &row.destinations)
    }

    fn steps(&self, copy: &CopyStatus) -> impl Iterator<Item = &SnapTag> {
        let plan = self.plan.iter().filter(|plan| plan.id == copy.id && plan.path == copy.path);
        plan.flat_map(|plan| plan.steps.iter().map(|step| &step.snapshot))
    }

    fn needed<'a>(&self, dataset: &'a Dataset, copy: &CopyStatus) -> Vec<&'a Snapshot> {
        let of = |tag: &SnapTag| dataset.snapshots.iter().find(|snapshot| snapshot.tag == *tag);
        self.steps(copy).filter_map(of).collect()
    }
}

/// A replica in `explain --json`.
#[derive(Serialize)]
pub(super) struct JsonCopy {
    id: String,
    host: Option<String>,
    path: String,
    newest: Option<String>,
    needs: Vec<String>,
    since: Option<String>,
    problems: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use pretty_assertions::assert_eq;
    use zam_names::{CreateTxg, Guid, Kind};
    use zam_protocol::send::{CopyState, PlannedStep};

    fn snapshot(tag: &str, at: i64) -> Snapshot {
        Snapshot {
            tag: tag.parse().unwrap(),
            guid: Guid(7),
            createtxg: CreateTxg(1),
            creation: UnixTime(at),
            holds: vec![],
            clones: 0,
            deferred: false,
            used: None,
        }
    }

    #[test]
    fn a_replica_needs_what_the_plan_says_since_the_first_of_it() {
        let dataset = Dataset {
            name: "tank/home".parse().unwrap(),
            guid: Guid(1),
            kind: Kind::Filesystem,
            used: 0,
            used_by_snapshots: 0,
            snapshots_changed: None,
            snapshots: vec![snapshot("a", 0), snapshot("b", 600), snapshot("c", 1200)],
        };
        let step = |tag: &str| PlannedStep { snapshot: tag.parse().unwrap(), from: None, bytes: None, resume: false };
        let (id, host, path) = ("0badcafe".to_owned(), Some("olympus".to_owned()), "tank/home".to_owned());
        let plan = PlannedCopy {
            id: id.clone(),
            host: host.clone(),
            path: path.clone(),
            steps: vec![step("b"), step("c")],
            problem: None,
        };
        let state = CopyState::Waiting { why: "no route".into(), until: None };
        let newest = Some("a".parse().unwrap());
        let copy = CopyStatus {
            id,
            host,
            path,
            last: None,
            newest,
            lag_snapshots: 2,
            lag_bytes: None,
            state,
            problems: vec![],
        };
        let status = SendStatus { dataset: dataset.name.clone(), destinations: vec![copy], problems: vec![] };
        let copied = Copied { status: Some(status), plan: vec![plan], lack: None };
        let lines = copied.lines(&dataset, UnixTime(7800), |instant| instant.0.to_string());
        let said = "has @a, needs 2 snapshots since 600 (2h ago); waits: no route";
        assert_eq!(lines, [("olympus:tank/home".to_owned(), said.to_owned())]);
        let of = |tag: &str| copied.of(&tag.parse().unwrap());
        assert_eq!(of("a"), ["olympus:tank/home has it, and gets the next one on top of it"]);
        assert_eq!(of("c"), ["olympus:tank/home still needs @c"]);
        assert!(of("z").is_empty());
    }
}
