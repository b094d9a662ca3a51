//! Sending and receiving through libzfs_core. The `zfs` command links the same library, so there is no way around it to
//! fall back to, but for what other roles do with bookmarks (docs/decisions/0003-streams.md).

use super::args::{self, CommandLine};
use super::refusal::{self, Verb};
use super::{Real, with_causes};
use crate::batch::{CallFailure, CallResult, Refusal};
use crate::copy::begin::Begin;
use crate::copy::pipe;
use crate::copy::{ReceiveError, ReceiveStep, SendStep};
use crate::door::Copier;
use nix::errno::Errno;
use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use zam_names::{BookmarkName, DatasetName, Guid, SnapshotName, UnixTime};
use zam_zfs_core::{Failure, Library, SendFlags};

/// What `zfs receive -A` says where there is nothing to give up.
const NOTHING_PARTIAL: &str = "does not have any resumable receive state to abort";
/// What `zfs destroy` says of a missing bookmark.
const NO_BOOKMARK: &str = "does not exist.";

impl Copier for Real {
    fn estimate(&self, step: &SendStep) -> Result<u64, Refusal> {
        let (to, from) = (step.to.name.to_string(), step.from.name());
        let bytes = self.needed()?.send_space(&to, from.as_deref(), flags(step));
        bytes.map_err(|errno| refusal::of_errno(Verb::Send, errno))
    }

    fn send(&self, step: &SendStep, out: OwnedFd) -> Result<(), Refusal> {
        let core = self.needed()?;
        let (to, from) = (step.to.name.to_string(), step.from.name());
        let resume = step.resume.map(|point| (point.object, point.offset));
        pipe::widen(&out);
        let sent = core.send(&to, from.as_deref(), out.as_fd(), flags(step), resume);
        sent.map_err(|errno| refusal::of_errno(Verb::Send, errno))
    }

    fn call_bookmark(&self, marks: &[(BookmarkName, SnapshotName)]) -> CallResult<BookmarkName> {
        let core = self.needed().map_err(CallFailure::whole)?;
        let texts: Vec<_> = marks.iter().map(|(mark, snapshot)| (mark.to_string(), snapshot.to_string())).collect();
        let texts: Vec<_> = texts.iter().map(|(mark, snapshot)| (mark.as_str(), snapshot.as_str())).collect();
        core.bookmark(&texts).map_or_else(of_bookmarks, |()| Ok(Vec::new()))
    }

    fn bookmark_guid(&self, name: &BookmarkName) -> Result<Guid, Refusal> {
        let guid = self.needed()?.bookmark_guid(&name.to_string());
        guid.map(Guid).map_err(|errno| refusal::of_errno(Verb::Bookmark, errno))
    }

    fn call_destroy_bookmarks(&self, names: &[BookmarkName]) -> CallResult<BookmarkName> {
        if let Some(core) = self.core() {
            let texts: Vec<String> = names.iter().map(BookmarkName::to_string).collect();
            let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
            return core.destroy_bookmarks(&texts).map_or_else(of_bookmarks, |()| Ok(Vec::new()));
        }
        // The command takes one at a time.
        let destroy = |name| self.gone_after(&args::destroy_bookmark(name), NO_BOOKMARK);
        let refused = names.iter().filter_map(|name| Some((name.clone(), destroy(name).err()?)));
        Ok(refused.collect())
    }

    fn receive(&self, step: &ReceiveStep, stream: OwnedFd) -> Result<UnixTime, ReceiveError> {
        let core = self.needed()?;
        let name = step.dataset.at(&step.tag).map_err(|error| Refusal::Other(error.to_string()))?;
        let mut stream = File::from(stream);
        let record = pipe::first_record(&mut stream).map_err(|_| ReceiveError::Cut)?;
        let begin = Begin::read(&record).map_err(ReceiveError::Unexpected)?;
        begin.check(step).map_err(ReceiveError::Unexpected)?;
        core.receive(&name.to_string(), step.raw, &record, stream.as_fd()).map_err(of_receive)?;
        pipe::at_end(&mut stream)?;
        Ok(begin.created())
    }

    fn placeholder(&self, dataset: &DatasetName) -> Result<(), Refusal> {
        match self.needed()?.create_filesystem(dataset.as_str()) {
            Ok(()) => Ok(()),
            Err(errno) => match refusal::of_errno(Verb::Create, errno) {
                Refusal::Exists => Ok(()),
                why => Err(why),
            },
        }
    }

    fn clear(&self, dataset: &DatasetName) -> Result<(), Refusal> {
        self.gone_after(&args::clear(dataset), NOTHING_PARTIAL)
    }
}

impl Real {
    fn needed(&self) -> Result<&Library, Refusal> {
        self.core().ok_or_else(|| Refusal::Other("copying needs libzfs_core, which cannot be loaded".to_owned()))
    }

    /// A command after which something is gone, or which says that it was gone before.
    fn gone_after(&self, line: &CommandLine, was_gone: &str) -> Result<(), Refusal> {
        let output = self.runner.run(line).map_err(|error| Refusal::Other(with_causes(&error)))?;
        // The usage may follow.
        let said = output.stderr.lines().next().unwrap_or_default();
        match refusal::said_of(said) {
            _ if output.status.success() || said.ends_with(was_gone) => Ok(()),
            Some((_, Refusal::NotFound)) => Ok(()),
            Some((_, why)) => Err(why),
            None => Err(Refusal::Other(said.to_owned())),
        }
    }
}

fn flags(step: &SendStep) -> SendFlags {
    let shape = step.shape;
    SendFlags {
        embedded: shape.embedded,
        large_blocks: shape.large_blocks,
        compressed: shape.compressed,
        raw: step.raw,
    }
}

fn of_bookmarks(failure: Failure) -> CallResult<BookmarkName> {
    let of_key = |(key, errno): &(String, i32)| Some((key.parse().ok()?, refusal::of_errno(Verb::Bookmark, *errno)));
    let each = failure.each.iter().filter_map(of_key).collect();
    match failure.errno {
        0 => Ok(each),
        errno => Err(CallFailure { whole: refusal::of_errno(Verb::Bookmark, errno), each }),
    }
}

fn of_receive(errno: i32) -> ReceiveError {
    /// `ZFS_ERR_STREAM_TRUNCATED`
    const TRUNCATED: i32 = 1040;
    match Errno::from_raw(errno) {
        _ if errno == TRUNCATED => ReceiveError::Cut,
        Errno::EBADE => ReceiveError::Damaged,
        Errno::ENODEV => ReceiveError::NoBase,
        Errno::ETXTBSY => ReceiveError::Diverged,
        _ => refusal::of_errno(Verb::Receive, errno).into(),
    }
}
