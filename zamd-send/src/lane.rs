//! One session that sends: the streams of one dataset after the other, the next one made while the last is received.

use crate::{
    Send, copies,
    copies::Key,
    maker::{Maker, PIECE, Unmade, read_now},
    pace::{Meter, Pace},
    plan::{Base, Manner, Step, marks},
    session::{FINISH, STALL, Session, Trouble, odd, refusal},
    ticket::Ticket,
};
use std::{
    cell::Cell,
    collections::VecDeque,
    io,
    pin::pin,
    rc::Rc,
    time::{Duration, Instant},
};
use tokio_util::bytes::{Bytes, BytesMut};
use zam_names::{Bookmark, Dataset, DatasetName, RelPath, Snapshot, UnixTime};
use zam_policy::config::DestinationId;
use zam_protocol::{
    recv::{Failing, Offer, Outcome},
    send::{CopyState, Progress},
    words::{Answer, Frame, Word},
};
use zam_runtime::{
    audit::{Act, Op, Outcome as Told},
    keeper::Shared,
};
use zam_zfs::{Refusal, SendStep};

/// How often a stream that does not move is looked at.
const BEAT: Duration = Duration::from_secs(30);
/// After so long without a byte its rate is none.
const STILL: Duration = Duration::from_secs(10);
/// So many streams are not confirmed at most: one that is received, one that follows it.
const AHEAD: usize = 2;

/// What is to be sent of one dataset to one place.
pub struct Job {
    pub key: Key,
    pub dataset: Dataset,
    pub to: DestinationId,
    pub path: RelPath,
    /// Where it goes, for people.
    pub name: String,
    pub manner: Manner,
    /// Whether it is not there yet, so that what is below it must wait.
    pub first: Rc<Cell<bool>>,
    pub steps: VecDeque<Step>,
    /// How many there were.
    pub of: usize,
    /// Its bytes, as far as ZFS could tell, once that was asked; as many as there are steps left.
    pub bytes: Option<VecDeque<Option<u64>>>,
    /// The bookmarks that it has.
    pub bookmarks: Vec<Bookmark>,
    pub pace: Rc<Pace>,
    /// Whether streams are packed.
    pub packs: bool,
    /// Who asked for it.
    pub tickets: Vec<Rc<Ticket>>,
    pub started: UnixTime,
}

/// Why a job did not come to its end.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The session is of no use any more.
    #[error("{0}")]
    Lost(String),
    /// The other side refuses this one.
    #[error("{0}")]
    Refused(String),
    /// What became of its stream there.
    #[error("{1}")]
    Failed(Failing, String),
    /// Something on this side stands in the way.
    #[error("{0}")]
    Here(String),
    /// ZFS here does not go on where a cut stream ended.
    #[error("{0}")]
    Unresumable(String),
    /// There is no room for it.
    #[error(
        "no room there: it takes about {need} bytes, and {there} are left: free some, or raise the quota of its root"
    )]
    NoRoom {
        /// As estimated.
        need: u64,
        /// As the replica says.
        there: u64,
    },
}

impl Failure {
    /// Whether what a cut stream has left there is of no use, as far as this side can tell.
    pub fn clears(&self) -> bool {
        matches!(self, Self::Unresumable(_) | Self::Failed(Failing::Partial | Failing::Stream, _))
    }
}

impl From<Trouble> for Failure {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::Lost(why) | Trouble::Away(why) => Self::Lost(why),
            Trouble::Refused(why) => Self::Refused(why),
        }
    }
}

/// What sends.
pub struct Lane {
    pub session: Session,
    maker: Maker,
    /// The streams that are on their way, the oldest first.
    open: VecDeque<Step>,
    buffer: BytesMut,
    /// Whether this side is in the middle of a stream.
    cut: bool,
}

impl Lane {
    pub fn new(session: Session) -> Self {
        Self { session, maker: Maker::default(), open: VecDeque::new(), buffer: BytesMut::new(), cut: false }
    }

    /// Sends a job's streams, until all are there or `others` says that it was long enough. Gives whether all are there.
    pub async fn work(
        &mut self,
        shared: &Shared<Send>,
        job: &mut Job,
        others: impl Fn() -> bool,
    ) -> Result<bool, Failure> {
        let done = self.steps(shared, job, others).await;
        match &done {
            // There is nobody to hear of it, and what the maker is at is not heard to its end.
            Err(Failure::Lost(_)) => {
                self.open.clear();
                self.maker.give_up();
            }
            Err(_) => self.settle(shared, job).await?,
            Ok(_) => {}
        }
        done
    }

    async fn steps(
        &mut self,
        shared: &Shared<Send>,
        job: &mut Job,
        others: impl Fn() -> bool,
    ) -> Result<bool, Failure> {
        self.estimate(shared, job).await?;
        let mut last = None;
        while let Some(step) = job.steps.front().cloned() {
            if others() {
                break;
            }
            let bytes = job.bytes.as_ref().and_then(|bytes| bytes.front().copied()).flatten();
            while self.open.len() >= AHEAD {
                self.confirm(shared, job).await?;
            }
            if self.open.is_empty() && step.resume.is_none() {
                self.room(bytes).await?;
            }
            let have = self.open.front().unwrap_or(&step).base.clone();
            let ahead: Vec<Snapshot> = self.open.iter().chain([&step]).map(|step| step.to.clone()).collect();
            self.mark(job, &have, &ahead).await?;
            self.send(shared, job, &step, bytes.unwrap_or_default()).await?;
            last = Some(step.to);
            job.steps.pop_front();
            job.bytes.as_mut().map(VecDeque::pop_front);
        }
        while !self.open.is_empty() {
            self.confirm(shared, job).await?;
        }
        // It has its bookmark, unless there were too many ahead of what the replica had.
        if let Some(last) = last {
            self.mark(job, &Base::Snapshot(last), &[]).await?;
        }
        Ok(job.steps.is_empty())
    }

    /// Asks ZFS about how much there is to be sent.
    async fn estimate(&mut self, shared: &Shared<Send>, job: &mut Job) -> Result<(), Failure> {
        if job.bytes.is_some() {
            return Ok(());
        }
        let dataset = &job.dataset.name;
        let orders = job.steps.iter().map(|step| step.order(dataset, job.manner)).collect::<Result<Vec<_>, _>>();
        let orders = orders.map_err(|error| Failure::Here(error.to_string()))?;
        let (asked, estimate) = (orders.len(), self.maker.estimate(orders));
        // For people: without it the streams go out as well.
        let bytes = self.session.while_beating(estimate).await?.unwrap_or_else(|_| vec![None; asked]);
        let all = bytes.iter().copied().sum::<Option<u64>>();
        copies::touch(shared, &job.key, |copy| copy.status.lag_bytes = all);
        job.bytes = Some(bytes.into());
        Ok(())
    }

    /// Looks whether there is room for what comes next.
    async fn room(&mut self, need: Option<u64>) -> Result<(), Failure> {
        // What is small is not worth a question: the stream itself tells.
        let Some(need) = need.filter(|need| *need > PIECE as u64) else { return Ok(()) };
        let there = self.session.space().await?;
        if need > there { Err(Failure::NoRoom { need, there }) } else { Ok(()) }
    }

    /// Leaves the bookmarks that are due where the replica has `have`, before what is `ahead` of it may be there too.
    async fn mark(&mut self, job: &mut Job, have: &Base, ahead: &[Snapshot]) -> Result<(), Failure> {
        let marks = marks(&job.dataset.name, have, ahead, &job.bookmarks, job.to);
        let marks = marks.map_err(|error| Failure::Here(error.to_string()))?;
        if marks.is_empty() {
            return Ok(());
        }
        let why = format!("of what {} gets", job.name);
        let mark = self.maker.mark(marks.clone());
        let batch = self.session.while_beating(mark).await?.map_err(Failure::Here)?;
        for name in &batch.done {
            Act::new(Op::Bookmark, name, &why, Told::Done).log();
            let of =
                |snapshot: &&Snapshot| marks.iter().any(|(target, mark)| mark == name && target.guid == snapshot.guid);
            if let Some(snapshot) = job.dataset.snapshots.iter().find(of) {
                let (guid, createtxg) = (snapshot.guid, snapshot.createtxg);
                job.bookmarks.push(Bookmark { name: name.clone(), guid, createtxg });
            }
        }
        match batch.failed.first() {
            None => Ok(()),
            Some(failed) => {
                let refused = failed.why.to_string();
                Act::new(Op::Bookmark, &failed.what, &why, Told::Failed(&refused)).log();
                Err(Failure::Here(format!("bookmark {} cannot be left: {refused}{}", failed.what, hint(&failed.why))))
            }
        }
    }

    /// Announces a stream and passes it on, to its end.
    async fn send(&mut self, shared: &Shared<Send>, job: &Job, step: &Step, bytes: u64) -> Result<(), Failure> {
        let order = step.order(&job.dataset.name, job.manner).map_err(|error| Failure::Here(error.to_string()))?;
        let offer = Offer {
            path: job.path.clone(),
            tag: step.to.tag.clone(),
            guid: step.to.guid,
            from: step.base_guid(),
            raw: job.manner.raw,
            kind: job.dataset.kind,
            resume: step.resume.is_some(),
            bytes,
        };
        self.session.say(&Word::Receive(offer)).await?;
        self.open.push_back(step.clone());
        self.cut = true;
        let mut meter = Meter::default();
        let show = |meter: &Meter| {
            let progress = Progress {
                step: u32::try_from(job.of + 1 - job.steps.len()).unwrap_or(u32::MAX),
                of: u32::try_from(job.of).unwrap_or(u32::MAX),
                snapshot: step.to.tag.clone(),
                bytes: meter.bytes(),
                estimated: bytes,
                rate: meter.rate(),
                started: job.started,
            };
            copies::touch(shared, &job.key, |copy| copy.status.state = CopyState::Running(progress));
        };
        show(&meter);
        let Self { session, maker, open, buffer, .. } = self;
        let mut moved = Instant::now();
        let mut known = false;
        buffer.clear();
        {
            let mut making = maker.send(order.clone()).map_err(Failure::Here)?;
            loop {
                buffer.reserve(PIECE);
                tokio::select! {
                    heard = session.next() => {
                        let answer = session.answer(heard).await?;
                        note(shared, job, open, answer)?;
                        moved = Instant::now();
                    }
                    read = tokio::io::AsyncReadExt::read_buf(&mut *making.output, buffer) => match read {
                        Ok(0) => return Err(Failure::Here("the process that makes streams died".to_owned())),
                        Ok(read) => {
                            moved = Instant::now();
                            meter.add(read as u64);
                            if !known && buffer.len() < SendStep::FIRST {
                                continue;
                            }
                            known = known || meant(&order, buffer)?;
                            let mut passing = pin!(pass(session, job, buffer.split().freeze()));
                            loop {
                                let passed = tokio::time::timeout(STILL, &mut passing).await;
                                // When nothing moves, the status does not go on with how fast it went.
                                meter.add(0);
                                show(&meter);
                                if let Ok(passed) = passed {
                                    break passed?;
                                }
                            }
                        }
                        Err(error) => return Err(Failure::Here(format!("the stream cannot be read: {error}"))),
                    },
                    ended = &mut making.end => {
                        ended.map_err(|unmade| {
                            let why = format!("@{} cannot be sent: {unmade}", step.to.tag);
                            match unmade {
                                // ZFS has no name for it. For what it has one, the place where it was cut is none the worse.
                                Unmade::Refused(Refusal::Other(_)) if step.resume.is_some() => Failure::Unresumable(why),
                                _ => Failure::Here(why),
                            }
                        })?;
                        break;
                    }
                    () = tokio::time::sleep(BEAT) => {
                        if moved.elapsed() > STALL {
                            return Err(Failure::Here(format!("the stream has not moved for {} s", STALL.as_secs())));
                        }
                        session.beat().await?;
                    }
                }
            }
            // All of it is written; what is in the pipe still, is there now.
            let unread = |error: io::Error| Failure::Here(format!("the stream cannot be read: {error}"));
            while let Some(read) = read_now(making.output, buffer).map_err(unread)? {
                known = known || meant(&order, buffer)?;
                pass(session, job, buffer.split().freeze()).await?;
                meter.add(read as u64);
            }
        }
        show(&meter);
        self.session.frame(Frame::End).await?;
        self.cut = false;
        Ok(())
    }

    /// Waits until the oldest stream under way is there.
    async fn confirm(&mut self, shared: &Shared<Send>, job: &Job) -> Result<(), Failure> {
        let open = self.open.len();
        while self.open.len() == open {
            match self.session.hear(FINISH).await {
                Err(Trouble::Refused(why)) => {
                    self.open.pop_front();
                    return Err(Failure::Refused(why));
                }
                answer => note(shared, job, &mut self.open, answer?)?,
            }
        }
        Ok(())
    }

    /// After a failure: what was begun is cut, and what becomes of what is under way is heard, so that the session can go on.
    async fn settle(&mut self, shared: &Shared<Send>, job: &Job) -> Result<(), Failure> {
        if std::mem::take(&mut self.cut) {
            self.maker.give_up();
            self.session.frame(Frame::Cut).await?;
        }
        while !self.open.is_empty() {
            // Of the others, the first failure is the one that says why.
            if let Err(Failure::Lost(why)) = self.confirm(shared, job).await {
                self.open.clear();
                return Err(Failure::Lost(why));
            }
        }
        Ok(())
    }
}

/// Takes an answer about the streams under way.
fn note(shared: &Shared<Send>, job: &Job, open: &mut VecDeque<Step>, answer: Answer) -> Result<(), Failure> {
    match answer {
        Answer::Still => Ok(()),
        Answer::Go if !open.is_empty() => Ok(()),
        Answer::Received(outcome) if !open.is_empty() => {
            let Some(step) = open.pop_front() else { return Ok(()) };
            let name = format!("{}@{}", job.dataset.name, step.to.tag);
            let why = format!("to {}", job.name);
            let tell = |outcome| Act { guid: Some(step.to.guid), ..Act::new(Op::Send, &name, &why, outcome) }.log();
            match outcome {
                Outcome::Done => {
                    tell(Told::Done);
                    arrived(shared, job, &step);
                    Ok(())
                }
                Outcome::Failed(failing, why) => {
                    tell(Told::Failed(&why));
                    Err(Failure::Failed(failing, why))
                }
            }
        }
        Answer::Refused(refused) if !open.is_empty() => {
            open.pop_front();
            Err(refusal(&refused).into())
        }
        other => Err(odd(&other).into()),
    }
}

/// A snapshot is there, and held.
fn arrived(shared: &Shared<Send>, job: &Job, step: &Step) {
    if job.first.replace(false)
        && let Some(noted) = copies::noted(shared, job.dataset.guid, job.to)
    {
        copies::note(shared, job.dataset.guid, job.to, copies::Noted { arrived: true, ..noted });
        if let Err(error) = copies::save(shared) {
            tracing::warn!(error, "it is not written down that {} has arrived", job.name);
        }
    }
    copies::touch(shared, &job.key, |copy| {
        copy.status.newest = Some(step.to.tag.clone());
        copy.status.lag_snapshots = copy.status.lag_snapshots.saturating_sub(1);
    });
    for ticket in &job.tickets {
        ticket.say(format!("sent {}@{} to {}", job.dataset.name, step.to.tag, job.name));
    }
}

/// Nothing leaves but what is meant.
fn meant(order: &SendStep, stream: &[u8]) -> Result<bool, Failure> {
    let name = &order.to.name;
    let here = |why: String| Failure::Here(format!("{name} cannot be sent: {why}"));
    let first = stream.first_chunk().ok_or_else(|| here("its stream has no first record".to_owned()))?;
    order.check(first).map_err(|why| here(why.to_string()))?;
    Ok(true)
}

async fn pass(session: &mut Session, job: &Job, piece: Bytes) -> Result<(), Failure> {
    let length = piece.len();
    match Some(&piece).filter(|_| job.packs).and_then(|piece| Frame::packed(piece)) {
        Some(packed) => session.frame(packed).await?,
        None => session.chunk(piece).await?,
    }
    // All that goes there shares the pace, so a turn can be long in coming.
    session.while_beating(job.pace.wait(length as u64)).await?;
    Ok(())
}

fn hint(why: &Refusal) -> &'static str {
    match why {
        Refusal::NotPermitted => " (`zamctl grant --check` says which grant is missing)",
        _ => "",
    }
}

/// Whether `this` lies below `that`.
pub fn is_below(this: &RelPath, that: &RelPath) -> bool {
    let name = |path: &RelPath| path.as_str().parse::<DatasetName>().ok();
    match (name(this), name(that)) {
        (Some(this), Some(that)) => this.below(&that).is_some_and(|rest| !rest.is_empty()),
        _ => false,
    }
}
