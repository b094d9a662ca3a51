//! The words of the cases that copy.

use super::Act;
use super::stage::{Stage, Trouble, equal};
use crate::batch::Refusal;
use crate::copy::{CopyFacts, PartialFacts, ReceiveError, ReceiveStep, SendFrom, SendStep, Shape};
use crate::door::Scope;
use std::fs;
use zam_names::{BookmarkName, Kind, Target};

impl Stage<'_> {
    /// A step to a snapshot, from a snapshot, a bookmark or, if that is empty, nothing.
    pub(super) fn step(&self, to: &str, from: &str) -> Result<SendStep, Trouble> {
        let from = match from {
            "" => SendFrom::Nothing,
            _ if from.contains('#') => {
                let name: BookmarkName = self.full(from).parse().map_err(Trouble::new)?;
                let bookmarks = self.lister().bookmarks(self.ground().pool()).map_err(Trouble::new)?;
                let mark = bookmarks.into_iter().find(|mark| mark.name == name);
                let guid = mark.ok_or_else(|| Trouble::new(format!("{name} is not there")))?.guid;
                SendFrom::Bookmark { name, guid }
            }
            _ => SendFrom::Snapshot(self.target(from)?),
        };
        let shape = Shape { large_blocks: true, compressed: true, embedded: true };
        Ok(SendStep { to: self.target(to)?, from, raw: false, shape, resume: None })
    }

    /// What is rightly announced of it, if it is of a filesystem.
    pub(super) fn announced(&self, step: &SendStep, to: &str) -> Result<ReceiveStep, Trouble> {
        Ok(ReceiveStep {
            dataset: self.dataset(to)?,
            tag: step.to.name.tag().clone(),
            guid: step.to.guid,
            from: step.from.guid(),
            raw: step.raw,
            kind: Kind::Filesystem,
            resume: step.resume.is_some(),
        })
    }

    /// Sends into a file, and that must go well.
    pub(super) fn sent(&self, user: &str, step: &SendStep) -> Result<String, Trouble> {
        let file = self.file();
        self.must("sent", Ok(()), self.copied(user, Act::Send(step.clone(), (&file).into()))?)?;
        Ok(file)
    }

    pub(super) fn not_sent(&self, user: &str, step: &SendStep, why: Refusal) -> Result<(), Trouble> {
        let file = self.file();
        self.must("sent", Err(why.into()), self.copied(user, Act::Send(step.clone(), (&file).into()))?)?;
        equal("bytes written", &self.length(&file)?, &0)
    }

    pub(super) fn received(&self, user: &str, step: &ReceiveStep, file: &str) -> Result<(), Trouble> {
        self.must("received", Ok(()), self.copied(user, Act::Receive(step.clone(), file.into()))?)?;
        let name = step.dataset.at(&step.tag).map_err(Trouble::new)?;
        equal("guid", &self.details(&name.to_string())?.guid, &step.guid)
    }

    pub(super) fn not_received(&self, user: &str, step: &ReceiveStep, file: &str, why: Refusal) -> Result<(), Trouble> {
        self.not_received_as(user, step, file, &why.into())
    }

    pub(super) fn not_received_as(
        &self,
        user: &str,
        step: &ReceiveStep,
        file: &str,
        why: &ReceiveError,
    ) -> Result<(), Trouble> {
        let what = format!("received {file}");
        self.must(&what, Err(why.clone()), self.copied(user, Act::Receive(step.clone(), file.into()))?)
    }

    pub(super) fn cleared(&self, user: &str, dataset: &str, wanted: Result<(), Refusal>) -> Result<(), Trouble> {
        let outcome = self.copied(user, Act::Clear(self.dataset(dataset)?))?;
        self.must("cleared", wanted.map_err(Into::into), outcome)
    }

    pub(super) fn placed(&self, user: &str, dataset: &str, wanted: Result<(), Refusal>) -> Result<(), Trouble> {
        let outcome = self.copied(user, Act::Placeholder(self.dataset(dataset)?))?;
        self.must("placed", wanted.map_err(Into::into), outcome)
    }

    pub(super) fn bookmarked(
        &self,
        user: &str,
        snapshot: &str,
        name: &str,
        wanted: Result<(), Refusal>,
    ) -> Result<(), Trouble> {
        self.bookmarked_as(user, self.targets(snapshot)?, name, wanted)
    }

    pub(super) fn bookmarked_as(
        &self,
        user: &str,
        targets: Vec<Target>,
        name: &str,
        wanted: Result<(), Refusal>,
    ) -> Result<(), Trouble> {
        for target in targets {
            let name = self.full(name).parse().map_err(Trouble::new)?;
            let outcome = self.copied(user, Act::Bookmark(target, name))?;
            self.must("bookmarked", wanted.clone().map_err(Into::into), outcome)?;
        }
        Ok(())
    }

    pub(super) fn unbookmarked(&self, user: &str, name: &str, wanted: Result<(), Refusal>) -> Result<(), Trouble> {
        let outcome = self.copied(user, Act::DestroyBookmark(self.full(name).parse().map_err(Trouble::new)?))?;
        self.must("bookmark destroyed", wanted.map_err(Into::into), outcome)
    }

    pub(super) fn estimate(&self, step: &SendStep) -> Result<u64, Trouble> {
        self.copied(super::OTHER, Act::Estimate(step.clone()))?.map_err(Trouble::new)
    }

    pub(super) fn facts(&self, dataset: &str) -> Result<CopyFacts, Trouble> {
        let name = self.dataset(dataset)?;
        let rows = self.lister().copy_facts(Scope::Datasets(&[name])).map_err(Trouble::new)?;
        rows.into_iter().next().ok_or_else(|| Trouble::new(format!("{dataset} is not there")))
    }

    pub(super) fn partial(&self, dataset: &str) -> Result<PartialFacts, Trouble> {
        self.facts(dataset)?.partial.ok_or_else(|| Trouble::new(format!("nothing partial is in {dataset}")))
    }

    pub(super) fn length(&self, file: &str) -> Result<u64, Trouble> {
        Ok(fs::metadata(file).map_err(Trouble::new)?.len())
    }

    /// The first bytes of a stream.
    pub(super) fn cut(&self, file: &str, length: u64) -> Result<String, Trouble> {
        self.edited(file, |bytes| bytes.truncate(usize::try_from(length).unwrap_or(usize::MAX)))
    }

    /// A stream and more.
    pub(super) fn appended(&self, file: &str, more: &[u8]) -> Result<String, Trouble> {
        self.edited(file, |bytes| bytes.extend_from_slice(more))
    }

    /// A stream with one byte changed.
    pub(super) fn changed(&self, file: &str, at: u64, change: impl Fn(u8) -> u8) -> Result<String, Trouble> {
        self.edited(file, |bytes| {
            if let Some(byte) = usize::try_from(at).ok().and_then(|at| bytes.get_mut(at)) {
                *byte = change(*byte);
            }
        })
    }

    fn edited(&self, file: &str, edit: impl FnOnce(&mut Vec<u8>)) -> Result<String, Trouble> {
        let mut bytes = fs::read(file).map_err(Trouble::new)?;
        edit(&mut bytes);
        let file = self.file();
        fs::write(&file, bytes).map_err(Trouble::new)?;
        Ok(file)
    }

    fn target(&self, name: &str) -> Result<Target, Trouble> {
        self.targets(name)?.pop().ok_or_else(|| Trouble::new("no snapshot is named"))
    }

    /// Compares; what is in words is compared only where words are wanted.
    fn must(
        &self,
        what: &str,
        wanted: Result<(), ReceiveError>,
        got: Result<u64, ReceiveError>,
    ) -> Result<(), Trouble> {
        let without_words = |error| match error {
            ReceiveError::Refused(Refusal::Other(_)) => ReceiveError::Refused(Refusal::Other(String::new())),
            ReceiveError::Unexpected(_) => ReceiveError::Unexpected(String::new()),
            other => other,
        };
        let wants_words = matches!(&wanted, Err(ReceiveError::Unexpected(words)) if !words.is_empty());
        let got_kind = if wants_words { got.clone() } else { got.clone().map_err(without_words) };
        if got_kind.map(drop) == wanted {
            Ok(())
        } else {
            Err(Trouble(format!("{what}: {got:?} instead of {wanted:?}")))
        }
    }
}
