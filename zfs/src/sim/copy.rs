//! Sending and receiving among simulated pools. A stream is a true first record, how many bytes there are and from which
//! on they come, the bytes, which follow from the snapshot's GUID, and a last record. It can be cut anywhere.

use super::Sim;
use super::state::{BookmarkState, DatasetState, PartialState, PoolState, SnapshotState, Space};
use crate::batch::{CallFailure, CallResult, Refusal};
use crate::copy::begin::{self, Begin};
use crate::copy::{PartialFacts, ReceiveError, ReceiveStep, SendFrom, SendStep, pipe};
use crate::door::{Copier, Error};
use std::fs::File;
use std::io::{self, Read, Write};
use std::ops::Range;
use std::os::fd::OwnedFd;
use zam_names::{BookmarkName, CreateTxg, DatasetName, Guid, Kind, SnapshotName, UnixTime};

/// Bytes of a stream that are made and read at once.
const PIECE: u64 = 256 << 10;
/// The object in which all bytes lie.
const OBJECT: u64 = 1;
/// The type of a stream's last record.
const END: u8 = 5;

impl Copier for Sim {
    fn estimate(&self, step: &SendStep) -> Result<u64, Refusal> {
        Ok(self.there(step.to.name.dataset())?.stream_of(step)?.total)
    }

    fn send(&self, step: &SendStep, out: OwnedFd) -> Result<(), Refusal> {
        let dataset = step.to.name.dataset();
        let pool = self.there(dataset)?;
        pool.may_below(&self.user, "send", dataset)?;
        let stream = pool.stream_of(step)?;
        stream.write(&step.to.name.to_string(), File::from(out)).map_err(|error| Refusal::Other(error.to_string()))
    }

    fn call_bookmark(&self, marks: &[(BookmarkName, SnapshotName)]) -> CallResult<BookmarkName> {
        self.in_pool_of(marks.first().map(|(mark, _)| mark.dataset()), |pool, _| pool.call_bookmark(&self.user, marks))
    }

    fn bookmark_guid(&self, name: &BookmarkName) -> Result<Guid, Refusal> {
        let pool = self.there(name.dataset())?;
        let mark = pool.datasets.get(name.dataset()).and_then(|dataset| dataset.bookmarks.get(name.tag()));
        mark.map(|mark| mark.guid).ok_or(Refusal::NotFound)
    }

    fn call_destroy_bookmarks(&self, names: &[BookmarkName]) -> CallResult<BookmarkName> {
        self.in_pool_of(names.first().map(BookmarkName::dataset), |pool, _| {
            for name in names {
                pool.may(&self.user, "destroy", name.dataset()).map_err(CallFailure::whole)?;
            }
            for name in names {
                if let Some(dataset) = pool.datasets.get_mut(name.dataset()) {
                    dataset.bookmarks.remove(name.tag());
                }
            }
            Ok(Vec::new())
        })
    }

    fn receive(&self, step: &ReceiveStep, stream: OwnedFd) -> Result<UnixTime, ReceiveError> {
        let mut stream = File::from(stream);
        let record = pipe::first_record(&mut stream).map_err(|_| ReceiveError::Cut)?;
        let begin = Begin::read(&record).map_err(ReceiveError::Unexpected)?;
        begin.check(step).map_err(ReceiveError::Unexpected)?;
        let created = begin.created();
        let to_name = String::from_utf8_lossy(&record[56..]).trim_end_matches('\0').to_owned();
        let _until_the_end = self.store.alone(&step.dataset)?;
        let mut bytes = self.in_pool(&step.dataset, |pool, _| pool.begin_receive(&self.user, step, begin, to_name))?;
        let (total, offset) = (number(&mut stream)?, number(&mut stream)?);
        if offset != bytes {
            return Err(Refusal::Other("Invalid argument".to_owned()).into());
        }
        while bytes < total {
            let mut piece = Vec::new();
            let read = (&mut stream).take(PIECE.min(total - bytes)).read_to_end(&mut piece);
            match bytes + piece.len() as u64 {
                end if piece != content(step.guid, bytes..end) => return Err(ReceiveError::Damaged),
                end if end == bytes || read.is_err() => return Err(ReceiveError::Cut),
                end => bytes = end,
            }
            self.in_pool(&step.dataset, |pool, _| pool.receive_until(&step.dataset, bytes))?;
        }
        let end = pipe::first_record(&mut stream).map_err(|_| ReceiveError::Cut)?;
        if end[0] != END {
            return Err(ReceiveError::Damaged);
        }
        self.in_pool(&step.dataset, |pool, now| pool.end_receive(step, total, now))?;
        match stream.read(&mut [0]) {
            Ok(0) => Ok(created),
            _ => Err(ReceiveError::Trailing),
        }
    }

    fn placeholder(&self, dataset: &DatasetName) -> Result<(), Refusal> {
        self.in_pool(dataset, |pool, _| {
            let parent = dataset.parent().ok_or(Refusal::NotFound)?;
            pool.may(&self.user, "create", &parent)?;
            pool.may(&self.user, "mount", &parent)?;
            if !pool.datasets.contains_key(&parent) {
                return Err(Refusal::NotFound);
            }
            if !pool.datasets.contains_key(dataset) {
                pool.make(&self.user, dataset, Kind::Filesystem);
            }
            Ok(())
        })
    }

    fn clear(&self, dataset: &DatasetName) -> Result<(), Refusal> {
        let _until_the_end = self.store.alone(dataset)?;
        self.in_pool(dataset, |pool, now| pool.clear(&self.user, dataset, now))
    }
}

impl Sim {
    fn there(&self, dataset: &DatasetName) -> Result<PoolState, Refusal> {
        let pool = self.store.imported(&dataset.pool())?.ok_or(Refusal::NotFound)?;
        pool.must_answer()?;
        Ok(pool)
    }

    fn in_pool<T, E: From<Error> + From<Refusal>>(
        &self,
        dataset: &DatasetName,
        change: impl FnOnce(&mut PoolState, UnixTime) -> Result<T, E>,
    ) -> Result<T, E> {
        self.store.change(&dataset.pool(), |pool, now| match pool {
            Some(pool) => {
                pool.must_answer()?;
                change(pool, now)
            }
            None => Err(Refusal::NotFound.into()),
        })
    }

    fn in_pool_of<N>(
        &self,
        dataset: Option<&DatasetName>,
        change: impl FnOnce(&mut PoolState, UnixTime) -> CallResult<N>,
    ) -> CallResult<N> {
        dataset.map_or_else(|| Ok(Vec::new()), |dataset| self.in_pool(dataset, change))
    }
}

impl PoolState {
    /// The stream of a step: all that was written up to its snapshot, or since its base.
    fn stream_of(&self, step: &SendStep) -> Result<Stream, Refusal> {
        let name = &step.to.name;
        let dataset = self.datasets.get(name.dataset()).ok_or(Refusal::NotFound)?;
        let to = dataset.snapshots.get(name.tag()).ok_or(Refusal::NotFound)?;
        let base = match &step.from {
            SendFrom::Nothing => None,
            SendFrom::Snapshot(from) => {
                Some(self.snapshot(&from.name).map(|from| (from.guid, from.createtxg)).ok_or(Refusal::NotFound)?)
            }
            SendFrom::Bookmark { name, .. } => {
                let mark = self.datasets.get(name.dataset()).and_then(|dataset| dataset.bookmarks.get(name.tag()));
                Some(mark.map(|mark| (mark.guid, mark.createtxg)).ok_or(Refusal::NotFound)?)
            }
        };
        let since = base.map_or(CreateTxg(0), |(_, createtxg)| createtxg);
        if since >= to.createtxg {
            return Err(Refusal::Other("its base is no earlier snapshot of it".to_owned()));
        }
        if dataset.encrypted && !dataset.key_loaded && !step.raw {
            return Err(Refusal::Other("its key is not loaded".to_owned()));
        }
        let sent = dataset.snapshots.values().filter(|s| s.createtxg > since && s.createtxg <= to.createtxg);
        let features = [
            (step.raw && dataset.encrypted, begin::RAW),
            (step.resume.is_some(), begin::RESUMING),
            (step.shape.large_blocks, begin::LARGE_BLOCKS),
            (step.shape.compressed || step.raw, begin::COMPRESSED),
            (step.shape.embedded, begin::EMBED_DATA),
        ];
        let features = features.iter().filter(|(set, _)| *set).map(|(_, bit)| bit).sum();
        let creation = to.creation.0.unsigned_abs();
        Ok(Stream {
            begin: Begin::new(dataset.kind, to.guid, base.map(|(guid, _)| guid), creation, features),
            total: sent.map(SnapshotState::size).sum(),
            offset: step.resume.map_or(0, |point| point.offset),
        })
    }

    fn call_bookmark(&mut self, user: &str, marks: &[(BookmarkName, SnapshotName)]) -> CallResult<BookmarkName> {
        for (mark, _) in marks {
            self.may(user, "bookmark", mark.dataset()).map_err(CallFailure::whole)?;
        }
        let is_there = |mark: &BookmarkName| {
            self.datasets.get(mark.dataset()).is_some_and(|dataset| dataset.bookmarks.contains_key(mark.tag()))
        };
        let refuse = |(mark, snapshot): &(BookmarkName, SnapshotName)| match self.snapshot(snapshot) {
            None => Some((mark.clone(), Refusal::NotFound)),
            Some(_) => is_there(mark).then(|| (mark.clone(), Refusal::Exists)),
        };
        super::calls::all_or_nothing(marks.iter().filter_map(refuse).collect())?;
        for (mark, snapshot) in marks {
            let made = self.snapshot(snapshot).map(|s| BookmarkState { guid: s.guid, createtxg: s.createtxg });
            if let (Some(made), Some(dataset)) = (made, self.datasets.get_mut(mark.dataset())) {
                dataset.bookmarks.insert(mark.tag().clone(), made);
            }
        }
        Ok(Vec::new())
    }

    /// Whether the stream may come, and how much of it is there already (`dmu_recv_begin_check`).
    fn begin_receive(
        &mut self,
        user: &str,
        step: &ReceiveStep,
        begin: Begin,
        to_name: String,
    ) -> Result<u64, ReceiveError> {
        let there = self.datasets.get(&step.dataset);
        let judged = if there.is_some() { step.dataset.clone() } else { parent(&step.dataset)? };
        self.may(user, "receive", &judged).or_else(|_| self.may(user, "receive:append", &judged))?;
        self.may(user, "mount", &judged)?;
        self.may(user, "create", &judged)?;
        if !self.datasets.contains_key(&judged) {
            return Err(Refusal::NotFound.into());
        }
        if self.space == Space::Full {
            return Err(Refusal::NoSpace.into());
        }
        match there.map(|dataset| (dataset, &dataset.partial)) {
            Some((_, Some(partial))) if step.resume => {
                let is_it = (partial.facts.to, partial.facts.from) == (step.guid, step.from);
                return if is_it { Ok(partial.facts.bytes) } else { Err(invalid()) };
            }
            _ if step.resume => return Err(invalid()),
            Some((_, Some(_))) => return Err(Refusal::Busy.into()),
            Some((dataset, None)) => dataset.may_receive(step)?,
            None if step.from.is_some() => return Err(Refusal::NotFound.into()),
            None => {
                self.make(user, &step.dataset, step.kind);
            }
        }
        let facts = PartialFacts {
            to: step.guid,
            from: step.from,
            to_name,
            object: OBJECT,
            offset: 0,
            bytes: 0,
            raw: begin.is_raw(),
        };
        let creation = UnixTime(i64::try_from(begin.creation).unwrap_or(i64::MAX));
        let granted = self.granted_to_creator(Some(step.dataset.clone()));
        if let Some(dataset) = self.datasets.get_mut(&step.dataset) {
            dataset.partial = Some(PartialState { facts, creation, receiver: user.to_owned(), granted });
        }
        Ok(0)
    }

    fn receive_until(&mut self, name: &DatasetName, bytes: u64) -> Result<(), ReceiveError> {
        let so_far = self.partial_mut(name)?.bytes;
        if self.available(name) < bytes - so_far {
            return Err(Refusal::NoSpace.into());
        }
        let facts = self.partial_mut(name)?;
        (facts.offset, facts.bytes) = (bytes, bytes);
        Ok(())
    }

    fn partial_mut(&mut self, name: &DatasetName) -> Result<&mut PartialFacts, ReceiveError> {
        let partial = self.datasets.get_mut(name).and_then(|dataset| dataset.partial.as_mut());
        Ok(&mut partial.ok_or(Refusal::NotFound)?.facts)
    }

    fn end_receive(&mut self, step: &ReceiveStep, total: u64, now: UnixTime) -> Result<(), ReceiveError> {
        let createtxg = self.next_txg();
        let dataset = self.datasets.get_mut(&step.dataset).ok_or(Refusal::NotFound)?;
        let partial = dataset.partial.take().ok_or(Refusal::NotFound)?;
        if step.from.is_none() && partial.facts.raw {
            (dataset.encrypted, dataset.key_loaded) = (true, false);
        }
        let mut snapshot = SnapshotState::new(step.guid, createtxg, partial.creation);
        snapshot.written = total.saturating_sub(SnapshotState::OWN);
        dataset.live += total;
        dataset.snapshots.insert(step.tag.clone(), snapshot);
        dataset.snapshots_changed = Some(now);
        Ok(())
    }

    /// `zfs receive -A`: whoever received it has what the create-time grants gave him.
    fn clear(&mut self, user: &str, name: &DatasetName, now: UnixTime) -> Result<(), Refusal> {
        let Some(dataset) = self.datasets.get(name) else {
            return Ok(());
        };
        let Some(partial) = &dataset.partial else {
            return Ok(());
        };
        let is_new = dataset.snapshots.is_empty();
        for permission in ["mount", "destroy"] {
            match () {
                () if is_new => self.may(user, permission, name)?,
                () if partial.receiver == user && partial.granted.contains(permission) => {}
                () => self.may_below(user, permission, name)?,
            }
        }
        if is_new {
            self.remove(name, now);
        } else if let Some(dataset) = self.datasets.get_mut(name) {
            dataset.partial = None;
        }
        Ok(())
    }
}

impl DatasetState {
    /// `recv_begin_check_existing_impl`
    fn may_receive(&self, step: &ReceiveStep) -> Result<(), ReceiveError> {
        if self.snapshots.contains_key(&step.tag) {
            return Err(Refusal::Exists.into());
        }
        let Some(from) = step.from else {
            return Err(Refusal::Exists.into());
        };
        let base = self.snapshots.values().find(|s| s.guid == from).ok_or(ReceiveError::NoBase)?;
        let mut newer = self.snapshots.values().filter(|s| s.createtxg > base.createtxg).peekable();
        if self.unsnapped > 0 || (step.raw && newer.peek().is_some()) || newer.any(|s| s.written > 0) {
            return Err(ReceiveError::Diverged);
        }
        if step.raw != self.encrypted || step.kind != self.kind {
            return Err(invalid());
        }
        Ok(())
    }
}

/// A stream as it will be written.
struct Stream {
    begin: Begin,
    total: u64,
    offset: u64,
}

impl Stream {
    fn write(&self, to_name: &str, mut out: File) -> io::Result<()> {
        out.write_all(&self.begin.record(to_name))?;
        out.write_all(&self.total.to_ne_bytes())?;
        out.write_all(&self.offset.to_ne_bytes())?;
        let mut at = self.offset;
        while at < self.total {
            let end = self.total.min(at + PIECE);
            out.write_all(&content(self.begin.to, at..end))?;
            at = end;
        }
        let mut end = [0; begin::LENGTH];
        end[0] = END;
        out.write_all(&end)
    }
}

/// What stands at these places of a snapshot's stream.
fn content(guid: Guid, places: Range<u64>) -> Vec<u8> {
    let first = places.start / 8;
    let words = (first..places.end.div_ceil(8)).map(|word| guid.0 ^ word.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let mut bytes: Vec<u8> = words.flat_map(u64::to_le_bytes).collect();
    bytes.truncate(usize::try_from(places.end - first * 8).unwrap_or(0));
    bytes.split_off(usize::try_from(places.start % 8).unwrap_or(0))
}

fn number(stream: &mut File) -> Result<u64, ReceiveError> {
    let mut bytes = [0; 8];
    stream.read_exact(&mut bytes).map_err(|_| ReceiveError::Cut)?;
    Ok(u64::from_ne_bytes(bytes))
}

fn parent(dataset: &DatasetName) -> Result<DatasetName, Refusal> {
    dataset.parent().ok_or(Refusal::NotFound)
}

/// The kernel's only word for many things.
fn invalid() -> ReceiveError {
    Refusal::Other("Invalid argument".to_owned()).into()
}
