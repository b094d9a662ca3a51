//! What ZFS's error numbers and messages mean.

use crate::batch::Refusal;
use nix::errno::Errno;
use std::collections::HashSet;
use zam_names::SnapshotName;

/// What was asked: the same number means another thing with each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verb {
    Snapshot,
    Hold,
    Release,
    Destroy,
}

/// The first of ZFS's own error numbers (`zfs_errno_t`).
const ZFS_ERRORS: i32 = 1024;

pub(super) fn of_errno(verb: Verb, errno: i32) -> Refusal {
    match (verb, Errno::from_raw(errno)) {
        (_, Errno::ENOENT) => Refusal::NotFound,
        (Verb::Snapshot, Errno::EEXIST) => Refusal::Exists,
        (Verb::Hold, Errno::EEXIST) => Refusal::TagExists,
        (Verb::Destroy, Errno::EEXIST) => Refusal::HasClones,
        (Verb::Release, Errno::ESRCH) => Refusal::NoTag,
        (_, Errno::EBUSY) => Refusal::Busy,
        (_, Errno::EPERM | Errno::EACCES) => Refusal::NotPermitted,
        (_, Errno::ENOSPC | Errno::EDQUOT) => Refusal::NoSpace,
        // What each of these calls answers at once on a suspended pool (`POOL_CHECK_SUSPENDED`).
        (_, Errno::EAGAIN) => Refusal::Suspended,
        (_, Errno::EROFS) => Refusal::Other("the pool is read-only".to_owned()),
        (Verb::Snapshot, Errno::EXDEV) => {
            Refusal::Other("two snapshots of one dataset, or two pools, in one call".to_owned())
        }
        (_, Errno::UnknownErrno) if errno > ZFS_ERRORS => Refusal::Other(match errno {
            1029 => "the kernel module does not know this call: it does not fit the library".to_owned(),
            1030..=1032 => format!("the kernel module does not know this form of the call (ZFS error {errno})"),
            _ => format!("ZFS error {errno}"),
        }),
        (_, Errno::UnknownErrno) => Refusal::Other(format!("error {errno}")),
        (_, errno) => Refusal::Other(errno.desc().to_owned()),
    }
}

/// What a failed command said of its names; none unless every line is understood.
pub(super) fn of_stderr(stderr: &str, names: &[SnapshotName]) -> Option<Vec<(SnapshotName, Refusal)>> {
    let ours: HashSet<&SnapshotName> = names.iter().collect();
    let mut each = Vec::new();
    for line in stderr.lines().filter(|line| !REMARKS.contains(line)) {
        let (name, why) = said_of(line)?;
        let name: SnapshotName = name.parse().ok()?;
        if !ours.contains(&name) {
            return None;
        }
        each.push((name, why));
    }
    (!each.is_empty()).then_some(each)
}

/// The one refusal that a failed command gave without a name; none unless every line is understood.
pub(super) fn of_whole(stderr: &str) -> Option<Refusal> {
    let mut lines = stderr.lines().filter(|line| !REMARKS.contains(line));
    let (_, reason) = lines.next()?.rsplit_once(": ")?;
    match lines.next() {
        None => reason_of(reason),
        Some(_) => None,
    }
}

/// Lines that add nothing.
const REMARKS: [&str; 2] = ["no snapshots were created", "no snapshots destroyed"];

/// The name and the refusal of a line like `cannot hold snapshot 'tank@a': tag already exists on this dataset`.
pub(super) fn said_of(line: &str) -> Option<(&str, Refusal)> {
    let rest = ["cannot create snapshot ", "cannot hold snapshot ", "cannot open ", "cannot destroy snapshot "]
        .iter()
        .chain(&["cannot release hold from snapshot ", "cannot destroy "])
        .find_map(|start| line.strip_prefix(start))?;
    let (name, reason) = match rest.strip_prefix('\'') {
        Some(quoted) => quoted.split_once("': ")?,
        None => rest.split_once(": ")?,
    };
    Some((name, reason_of(reason)?))
}

fn reason_of(reason: &str) -> Option<Refusal> {
    Some(match reason {
        "dataset does not exist" => Refusal::NotFound,
        "dataset already exists" => Refusal::Exists,
        "dataset is busy" => Refusal::Busy,
        "snapshot has dependent clones" | "snapshot is cloned" => Refusal::HasClones,
        "permission denied" => Refusal::NotPermitted,
        "out of space" => Refusal::NoSpace,
        "tag already exists on this dataset" => Refusal::TagExists,
        "no such tag on this dataset" => Refusal::NoTag,
        "pool I/O is currently suspended" => Refusal::Suspended,
        _ => return None,
    })
}
