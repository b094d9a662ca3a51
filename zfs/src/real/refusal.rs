//! What ZFS's error numbers and messages mean.

use crate::batch::Refusal;
use nix::errno::Errno;
use zam_names::{DatasetName, SnapshotName};

/// What was asked: the same number means another thing with each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verb {
    Snapshot,
    Hold,
    Release,
    Destroy,
    Bookmark,
    Create,
    Send,
    Receive,
}

/// The first of ZFS's own error numbers (`zfs_errno_t`).
const ZFS_ERRORS: i32 = 1024;

pub(super) fn of_errno(verb: Verb, errno: i32) -> Refusal {
    match (verb, Errno::from_raw(errno)) {
        (_, Errno::ENOENT) => Refusal::NotFound,
        (Verb::Snapshot | Verb::Bookmark | Verb::Create | Verb::Receive, Errno::EEXIST) => Refusal::Exists,
        (Verb::Hold, Errno::EEXIST) => Refusal::TagExists,
        (Verb::Destroy, Errno::EEXIST) => Refusal::HasClones,
        (Verb::Release, Errno::ESRCH) => Refusal::NoTag,
        (_, Errno::EBUSY) => Refusal::Busy,
        (Verb::Send | Verb::Receive, Errno::EACCES) => Refusal::Other("its key is not loaded".to_owned()),
        (_, Errno::EPERM | Errno::EACCES) => Refusal::NotPermitted,
        (_, Errno::ENOSPC | Errno::EDQUOT) => Refusal::NoSpace,
        // What each of these calls answers at once on a suspended pool (`POOL_CHECK_SUSPENDED`).
        (_, Errno::EAGAIN) => Refusal::Suspended,
        (_, Errno::EROFS) => Refusal::Other("the pool is read-only".to_owned()),
        (Verb::Snapshot, Errno::EXDEV) => two_of_one(),
        (Verb::Send, Errno::EXDEV) => Refusal::Other("its base is no earlier snapshot of it".to_owned()),
        // A cut receive waits to go on (`ZFS_ERR_RESUME_EXISTS`, which older ones call busy too).
        (Verb::Receive, _) if errno == 1047 => Refusal::Busy,
        (_, Errno::UnknownErrno) if errno > ZFS_ERRORS => Refusal::Other(match errno {
            1029 => "the kernel module does not know this call: it does not fit the library".to_owned(),
            1030..=1032 => format!("the kernel module does not know this form of the call (ZFS error {errno})"),
            _ => format!("ZFS error {errno}"),
        }),
        (_, Errno::UnknownErrno) => Refusal::Other(format!("error {errno}")),
        (_, errno) => Refusal::Other(errno.desc().to_owned()),
    }
}

/// Whom ZFS blames: nobody if the pool is suspended, whatever it names. Else it names a snapshot; or the dataset that is
/// gone, whose snapshots are then all blamed; or a dataset whose `snapshot_limit` is in the way, which blames all that are
/// wanted below it: which of them still fit, nobody said.
pub(super) fn blamed(key: &str, why: &Refusal, names: &[SnapshotName]) -> Option<Vec<(SnapshotName, Refusal)>> {
    if *why == Refusal::Suspended {
        return Some(Vec::new());
    }
    let with_why = |found: Vec<&SnapshotName>| found.into_iter().map(|name| (name.clone(), why.clone())).collect();
    if let Ok(name) = key.parse::<SnapshotName>() {
        return names.contains(&name).then(|| vec![(name, why.clone())]);
    }
    let dataset: DatasetName = key.parse().ok()?;
    let below: Vec<&SnapshotName> = names.iter().filter(|name| name.dataset().below(&dataset).is_some()).collect();
    match why {
        Refusal::NotFound => Some(with_why(below.into_iter().filter(|name| *name.dataset() == dataset).collect())),
        Refusal::NoSpace => Some(with_why(below)),
        _ => None,
    }
}

/// What a failed command said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Said {
    /// The last refusal.
    pub(super) whole: Refusal,
    /// Of single names; may be empty.
    pub(super) each: Vec<(SnapshotName, Refusal)>,
}

/// What a failed command said of these names; none unless every line is understood.
pub(super) fn of_stderr(stderr: &str, names: &[SnapshotName]) -> Option<Said> {
    let (mut each, mut unnamed) = (Vec::new(), Vec::new());
    let mut whole = None;
    let mut lines = stderr.lines().filter(|line| !REMARKS.contains(line)).take_while(|line| *line != "usage:");
    while let Some(line) = lines.next() {
        if line == "use '-R' to destroy the following datasets:" {
            // The clones follow, to the end: the command looks no further.
            lines.all(|line| line.parse::<DatasetName>().is_ok()).then_some(())?;
            break;
        }
        let (key, why) = said_of(line)?;
        match key {
            Some(key) => each.extend(blamed(key, &why, names)?),
            None => unnamed.push(why.clone()),
        }
        whole = Some((why, key));
    }
    let (whole, key) = whole?;
    // Nobody knows whom a line without a name is about, so it must be all that is said, however often.
    let is_clear = unnamed.is_empty() || (key.is_none() && each.is_empty() && unnamed.iter().all(|why| *why == whole));
    is_clear.then_some(Said { whole, each })
}

/// Lines that add nothing.
pub(super) const REMARKS: [&str; 2] = ["no snapshots were created", "no datasets available"];

/// Name and refusal of a line like `cannot hold snapshot 'tank@a': tag already exists on this dataset`; some have no name.
pub(super) fn said_of(line: &str) -> Option<(Option<&str>, Refusal)> {
    let rest = line.strip_prefix("cannot ")?;
    let starts =
        ["create snapshot", "destroy snapshot", "hold snapshot", "release hold from snapshot", "open", "destroy"];
    if let Some(rest) = starts.iter().find_map(|start| rest.strip_prefix(start)?.strip_prefix(" '")) {
        let (name, reason) = rest.split_once("': ")?;
        return Some((Some(name), reason_of(reason)?));
    }
    if let Some((name, reason)) = rest.strip_prefix("destroy snapshot ").and_then(|rest| rest.split_once(": ")) {
        let holders = format!("it's being held. Run 'zfs holds -r {name}' to see holders.");
        return Some((Some(name), if reason == holders { Refusal::Busy } else { reason_of(reason)? }));
    }
    let starts = ["create snapshots : ", "destroy snapshots: ", "destroy bookmark: ", "hold: ", "release: "];
    let reason = starts.iter().find_map(|start| rest.strip_prefix(start))?;
    Some((None, reason_of(reason)?))
}

fn reason_of(reason: &str) -> Option<Refusal> {
    Some(match reason {
        "dataset does not exist" => Refusal::NotFound,
        "dataset already exists" => Refusal::Exists,
        "dataset is busy" => Refusal::Busy,
        "snapshot has dependent clones" => Refusal::HasClones,
        "permission denied" => Refusal::NotPermitted,
        "out of space" => Refusal::NoSpace,
        "tag already exists on this dataset" => Refusal::TagExists,
        "no such tag on this dataset" => Refusal::NoTag,
        "pool I/O is currently suspended" => Refusal::Suspended,
        "multiple snapshots of same fs not allowed" => two_of_one(),
        _ => return None,
    })
}

fn two_of_one() -> Refusal {
    Refusal::Other("two snapshots of one dataset, or two pools, in one call".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use pretty_assertions::assert_eq;

    fn names(texts: &[&str]) -> Vec<SnapshotName> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    fn said(stderr: &str, texts: &[&str]) -> Option<(Refusal, Vec<(String, Refusal)>)> {
        let said = of_stderr(stderr, &names(texts))?;
        Some((said.whole, said.each.into_iter().map(|(name, why)| (name.to_string(), why)).collect()))
    }

    // All texts as OpenZFS 2.3.9 wrote them.

    #[test]
    fn each_bad_name_has_its_reason() {
        let text = "cannot create snapshot 'tank/a@x': dataset already exists\n\
                    cannot create snapshot 'tank/a/b@x': dataset already exists\n\
                    no snapshots were created\n";
        let each = [("tank/a@x".into(), Refusal::Exists), ("tank/a/b@x".into(), Refusal::Exists)];
        assert_eq!(said(text, &["tank/a@x", "tank/a/b@x", "tank/c@x"]), Some((Refusal::Exists, each.to_vec())));
        let text = "cannot hold snapshot 'tank/a@x': tag already exists on this dataset\n\
                    cannot hold snapshot 'tank/a@gone': dataset does not exist\n\
                    cannot open 'tank/gone': dataset does not exist\n";
        let each =
            [("tank/a@x", Refusal::TagExists), ("tank/a@gone", Refusal::NotFound), ("tank/gone@x", Refusal::NotFound)];
        let each = each.map(|(name, why)| (name.to_owned(), why)).to_vec();
        assert_eq!(
            said(text, &["tank/a@x", "tank/a@gone", "tank/gone@x", "tank/a@y"]),
            Some((Refusal::NotFound, each))
        );
        let text = "cannot release hold from snapshot 'tank/a/b@x': no such tag on this dataset\n";
        let each = vec![("tank/a/b@x".to_owned(), Refusal::NoTag)];
        assert_eq!(said(text, &["tank/a/b@x"]), Some((Refusal::NoTag, each)));
        let text = "cannot destroy snapshot tank/busy@s: dataset is busy\n";
        assert_eq!(
            said(text, &["tank/busy@s"]),
            Some((Refusal::Busy, vec![("tank/busy@s".to_owned(), Refusal::Busy)]))
        );
        let text = "cannot destroy snapshot tank/a@x: it's being held. Run 'zfs holds -r tank/a@x' to see holders.\n";
        assert_eq!(said(text, &["tank/a@x"]), Some((Refusal::Busy, vec![("tank/a@x".to_owned(), Refusal::Busy)])));
        let text = "cannot destroy 'tank/a@y': snapshot has dependent clones\n\
                    use '-R' to destroy the following datasets:\ntank/clone\ntank/clone2\n";
        let each = vec![("tank/a@y".to_owned(), Refusal::HasClones)];
        assert_eq!(said(text, &["tank/a@x", "tank/a@y"]), Some((Refusal::HasClones, each)));
    }

    #[test]
    fn the_usage_after_a_missing_dataset_adds_nothing() {
        let text =
            "cannot open 'tank/gone': dataset does not exist\nusage:\n\tsnapshot [-r] …\n\nFor the property list …\n";
        let each = vec![("tank/gone@x".to_owned(), Refusal::NotFound)];
        assert_eq!(said(text, &["tank/gone@x", "tank/c@z"]), Some((Refusal::NotFound, each)));
    }

    #[test]
    fn a_refusal_without_a_name_stands_for_the_whole() {
        let text = "cannot create snapshots : permission denied\nno snapshots were created\n";
        assert_eq!(said(text, &["tank/c@n", "tank/a@n"]), Some((Refusal::NotPermitted, vec![])));
        let text = "cannot release: permission denied\ncannot release: permission denied\n";
        assert_eq!(said(text, &["tank/c@n", "tank/a@n"]), Some((Refusal::NotPermitted, vec![])));
        let text = "cannot hold: permission denied\n";
        assert_eq!(said(text, &["tank/c@n"]), Some((Refusal::NotPermitted, vec![])));
        let text = "cannot destroy snapshots: permission denied\n";
        assert_eq!(said(text, &["tank/c@n"]), Some((Refusal::NotPermitted, vec![])));
        let text = "cannot create snapshots : multiple snapshots of same fs not allowed\nno snapshots were created\n";
        assert_eq!(said(text, &["tank/c@n", "tank/c@m"]), Some((two_of_one(), vec![])));
    }

    #[test]
    fn a_suspended_pool_is_nobodys_fault() {
        let text = "cannot open 'sus': pool I/O is currently suspended\nusage:\n\tsnapshot [-r] …\n";
        assert_eq!(said(text, &["sus@b", "sus/a@b"]), Some((Refusal::Suspended, vec![])));
        let text = "cannot open 'sus': pool I/O is currently suspended\n".repeat(2);
        assert_eq!(said(&text, &["sus@b", "sus/a@b"]), Some((Refusal::Suspended, vec![])));
    }

    #[test]
    fn a_limit_blames_all_that_are_below_it() {
        let text = "cannot create snapshot 'tank/c': out of space\nno snapshots were created\n";
        let each = vec![("tank/c@n".to_owned(), Refusal::NoSpace)];
        assert_eq!(said(text, &["tank/c@n", "tank/a@n"]), Some((Refusal::NoSpace, each)));
        let each = ["tank/c@n", "tank/c/d@n"].map(|name| (name.to_owned(), Refusal::NoSpace)).to_vec();
        assert_eq!(said(text, &["tank/c@n", "tank/a@n", "tank/c/d@n"]), Some((Refusal::NoSpace, each)));
    }

    #[test]
    fn half_understood_is_not_understood() {
        for text in [
            "",
            "cannot hold: permission denied\ncannot hold snapshot 'tank/a@x': tag already exists on this dataset\n",
            "cannot hold snapshot 'tank/a@x': tag already exists on this dataset\ncannot hold: permission denied\n",
            "cannot create snapshot 'tank/other@x': dataset already exists\n",
            "cannot create snapshot 'tank/a@x': the moon is full\n",
            "internal error: cannot create snapshots: Invalid argument\n",
            "cannot destroy 'tank/a@x': snapshot has dependent clones\nuse '-R' to destroy the following datasets:\n\n",
        ] {
            assert_eq!(said(text, &["tank/a@x", "tank/b@x"]), None, "{text:?}");
        }
    }

    #[test]
    fn a_number_means_what_the_verb_makes_of_it() {
        let eexist = Errno::EEXIST as i32;
        assert_eq!(of_errno(Verb::Snapshot, eexist), Refusal::Exists);
        assert_eq!(of_errno(Verb::Hold, eexist), Refusal::TagExists);
        assert_eq!(of_errno(Verb::Destroy, eexist), Refusal::HasClones);
        assert_eq!(of_errno(Verb::Hold, 1033), Refusal::Other("ZFS error 1033".to_owned()));
        assert_eq!(of_errno(Verb::Hold, 7), Refusal::Other("Argument list too long".to_owned()));
    }
}
