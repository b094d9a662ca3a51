//! A session with zam-receive: words out, answers in. What comes is a stranger's: it is bounded in number, in length and
//! in time, and nothing in it is more than a claim about what is there.

use crate::place::{Place, Ways};
use futures::StreamExt;
use nix::{
    fcntl::{FcntlArg, fcntl},
    sys::signal::{Signal, killpg},
    unistd::Pid,
};
use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet, VecDeque},
    io,
    pin::pin,
    rc::Rc,
    time::Duration,
};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    process::{Child, ChildStderr, ChildStdin},
    sync::mpsc,
    time::{Instant, sleep, timeout},
};
use tokio_util::{
    bytes::{Buf, Bytes, BytesMut},
    codec::Encoder,
};
use zam_names::{DatasetName, Kind, RelPath};
use zam_protocol::{
    Refused,
    recv::{Keeping, Outcome, ReplicaRow},
    words::{self, Answer, Frame, Frames, Hi, Word},
};

/// How long nothing may move in the middle of a stream.
pub const STALL: Duration = Duration::from_secs(600);
/// After so long without a word of its own this side says that it is there.
const BEAT: Duration = Duration::from_secs(30);
/// How long the first answer may take: a name to be looked up, keys to be exchanged.
const GREETING: Duration = Duration::from_secs(120);
/// How long any other may, however often the other side says that it takes a while.
const ANSWER: Duration = Duration::from_secs(900);
/// How long ZFS there may be at a stream after its last byte.
pub const FINISH: Duration = Duration::from_secs(2 * 3600);
/// How long a listing may take in all.
const LISTING: Duration = Duration::from_secs(1800);
/// More rows than this no replica has,
const ROWS: usize = 200_000;
/// nor more bytes of names.
const BYTES: usize = 128 << 20;
/// Answers that wait to be heard; more make the other side wait.
const WAITING: usize = 16;

/// Why there is no answer, or not the hoped-for one.
#[derive(Debug, thiserror::Error)]
pub enum Trouble {
    /// Nobody is there: the host is not reached, the pool not imported.
    #[error("{0}")]
    Away(String),
    /// The session has ended, or is of no use any more.
    #[error("{0}")]
    Lost(String),
    /// The other side refuses; the session goes on.
    #[error("{0}")]
    Refused(String),
}

/// Both halves, and the process behind them.
pub struct Session {
    child: Child,
    output: ChildStdin,
    answers: mpsc::Receiver<io::Result<Answer>>,
    /// What came while this side was writing.
    early: VecDeque<io::Result<Answer>>,
    said: Rc<RefCell<String>>,
}

/// What the other side says of itself.
pub struct Greeted {
    /// Below what all paths lie there.
    pub root: DatasetName,
    /// Whether nothing may arrive there any more.
    pub retired: bool,
    /// Whether it unpacks what is packed.
    pub unpacks: bool,
}

impl Session {
    /// Goes there and greets. Sessions of one `run` share a connection.
    pub async fn open(ways: &Ways, place: &Place, run: u64) -> Result<(Self, Greeted), Trouble> {
        if let Some(lack) = ways.lack(place) {
            return Err(Trouble::Lost(lack));
        }
        let start = |error: io::Error| Trouble::Lost(format!("the way to {place} cannot be taken: {error}"));
        let mut child = ways.command(place, run).spawn().map_err(start)?;
        let (Some(output), Some(input), Some(errors)) = (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            return Err(Trouble::Lost(format!("the way to {place} has no pipes")));
        };
        // Fewer turns; it works with the small one too.
        let _ = fcntl(&output, FcntlArg::F_SETPIPE_SZ(1 << 20));
        let said = Rc::default();
        tokio::task::spawn_local(listen(errors, Rc::clone(&said)));
        let (sender, answers) = mpsc::channel(WAITING);
        tokio::task::spawn_local(async move {
            let mut input = words::reader(input);
            while let Some(frame) = input.next().await {
                let answer = frame.and_then(|frame| match frame {
                    Frame::Word(word) => words::read(&word),
                    _ => Err(io::Error::new(io::ErrorKind::InvalidData, "it sends a stream, and may only answer")),
                });
                let broken = answer.is_err();
                if sender.send(answer).await.is_err() || broken {
                    return;
                }
            }
        });
        let mut session = Self { child, output, answers, early: VecDeque::new(), said };
        // Before the first answer, what ends is the way there.
        let away = |trouble| match trouble {
            Trouble::Lost(why) => Trouble::Away(why),
            other => other,
        };
        session.say(&Word::Hello(Hi::ours())).await.map_err(away)?;
        match session.hear_within(GREETING, GREETING).await.map_err(away)? {
            Answer::Hello { hi, root, retired, .. } if hi.major == words::MAJOR => {
                let unpacks = hi.capabilities.iter().any(|capability| capability == words::ZSTD);
                Ok((session, Greeted { root, retired, unpacks }))
            }
            Answer::Hello { hi, .. } => Err(Trouble::Lost(format!(
                "it speaks version {} of the words, and this side {}: upgrade the older one",
                hi.major,
                words::MAJOR
            ))),
            other => Err(odd(&other)),
        }
    }

    /// Says a word.
    pub async fn say(&mut self, word: &Word) -> Result<(), Trouble> {
        let frame = Frame::of(word).map_err(|error| Trouble::Lost(error.to_string()))?;
        self.frame(frame).await
    }

    /// Sends a frame.
    pub async fn frame(&mut self, frame: Frame) -> Result<(), Trouble> {
        let mut bytes = BytesMut::new();
        Frames.encode(frame, &mut bytes).map_err(|error| Trouble::Lost(error.to_string()))?;
        self.write(bytes).await
    }

    /// Sends bytes of a stream, as they are.
    pub async fn chunk(&mut self, bytes: Bytes) -> Result<(), Trouble> {
        let length = u32::try_from(bytes.len()).map_err(|error| Trouble::Lost(error.to_string()))?;
        self.write(Buf::chain(Bytes::from_owner(Frame::chunk_head(length)), bytes)).await
    }

    /// Says that this side is there.
    pub async fn beat(&mut self) -> Result<(), Trouble> {
        self.frame(Frame::Chunk(Bytes::new())).await
    }

    /// Waits for something on this side, and lets the other one know meanwhile that it is there.
    pub async fn while_beating<T>(&mut self, work: impl Future<Output = T>) -> Result<T, Trouble> {
        let mut work = pin!(work);
        loop {
            tokio::select! {
                done = &mut work => return Ok(done),
                () = sleep(BEAT) => self.beat().await?,
            }
        }
    }

    /// Writes. As long as the other side does not take it and says that it takes a while, that is waited for.
    async fn write(&mut self, mut bytes: impl Buf) -> Result<(), Trouble> {
        let until = Instant::now() + FINISH;
        let Self { output, answers, early, .. } = self;
        let written = {
            let mut written = pin!(output.write_all_buf(&mut bytes));
            loop {
                tokio::select! {
                    written = &mut written => break Some(written),
                    // More than that is not needed to know that it lives.
                    Some(answer) = answers.recv(), if early.len() < WAITING => {
                        if !matches!(answer, Ok(Answer::Still)) {
                            early.push_back(answer);
                        }
                    }
                    () = sleep(STALL) => break None,
                }
                if Instant::now() > until {
                    break None;
                }
            }
        };
        match written {
            Some(Ok(())) => Ok(()),
            // It went, and has said why, or ssh has.
            Some(Err(_)) => Err(self.parted().await),
            None => Err(Trouble::Lost(format!("it has taken nothing for {} s", STALL.as_secs()))),
        }
    }

    /// The next answer, a refusal or a word that it takes a while included; for use beside other things that may happen.
    pub async fn next(&mut self) -> Option<io::Result<Answer>> {
        match self.early.pop_front() {
            Some(answer) => Some(answer),
            None => self.answers.recv().await,
        }
    }

    /// The next answer that is one. A refusal is trouble.
    pub async fn hear(&mut self, limit: Duration) -> Result<Answer, Trouble> {
        self.hear_within(words::SILENCE, limit).await
    }

    async fn hear_within(&mut self, silence: Duration, limit: Duration) -> Result<Answer, Trouble> {
        let until = Instant::now() + limit;
        loop {
            let left = until.saturating_duration_since(Instant::now()).min(silence);
            match timeout(left, self.next()).await {
                Err(_) => {
                    return Err(Trouble::Lost(format!("it has not answered for {} s", limit.min(silence).as_secs())));
                }
                Ok(heard) => match self.answer(heard).await? {
                    Answer::Still => {}
                    Answer::Refused(refused) => return Err(refusal(&refused)),
                    answer => return Ok(answer),
                },
            }
        }
    }

    /// What [`Self::next`] has brought, without what terminals should not see.
    pub async fn answer(&mut self, heard: Option<io::Result<Answer>>) -> Result<Answer, Trouble> {
        match heard {
            Some(Ok(Answer::Received(Outcome::Failed(failing, why)))) => {
                Ok(Answer::Received(Outcome::Failed(failing, clean(&why))))
            }
            Some(Ok(answer)) => Ok(answer),
            Some(Err(error)) => Err(Trouble::Lost(clean(&format!("what it answers is not understood: {error}")))),
            None => Err(self.parted().await),
        }
    }

    /// What is there, by path. Of what is none of `ours`, no more than is needed to find what was renamed.
    pub async fn list(&mut self, ours: &BTreeSet<RelPath>) -> Result<BTreeMap<RelPath, ReplicaRow>, Trouble> {
        self.say(&Word::List { after: None }).await?;
        let listing = async {
            let (mut rows, mut bytes) = (BTreeMap::new(), 0);
            loop {
                let page = match self.hear(ANSWER).await? {
                    Answer::Rows(page) => page,
                    other => return Err(odd(&other)),
                };
                for mut row in page.rows {
                    let newest = if ours.contains(&row.path) { ReplicaRow::NEWEST } else { 1 };
                    row.newest.drain(..row.newest.len().saturating_sub(newest));
                    row.newest.shrink_to_fit();
                    let names = row.newest.iter().map(|arrived| arrived.tag.as_str().len() + 64).sum::<usize>();
                    let patterns = row.keeping.adopt.iter().map(String::len).sum::<usize>();
                    bytes += 512 + row.path.as_str().len() + names + patterns + 64 * row.keeping.windows.len();
                    rows.insert(row.path.clone(), row);
                }
                if rows.len() > ROWS || bytes > BYTES {
                    return Err(Trouble::Lost("its listing is longer than any replica's".to_owned()));
                }
                if page.next.is_none() {
                    return Ok(rows);
                }
                // What comes without end must not keep the turn from others.
                tokio::task::yield_now().await;
            }
        };
        let endless = || Trouble::Lost(format!("its listing has no end: {} s", LISTING.as_secs()));
        timeout(LISTING, listing).await.unwrap_or_else(|_| Err(endless()))
    }

    /// Bytes that there is room for.
    pub async fn space(&mut self) -> Result<u64, Trouble> {
        self.say(&Word::Space).await?;
        match self.hear(ANSWER).await? {
            Answer::Space(space) => Ok(space.available),
            other => Err(odd(&other)),
        }
    }

    /// How long snapshots would be kept of datasets that are not there; of each, unless that is refused.
    pub async fn keeping(
        &mut self,
        datasets: &[(RelPath, Kind)],
    ) -> Result<BTreeMap<RelPath, Result<Keeping, String>>, Trouble> {
        let mut found = BTreeMap::new();
        for batch in datasets.chunks(WAITING) {
            for (path, kind) in batch {
                self.say(&Word::Keeping { path: path.clone(), kind: *kind }).await?;
            }
            for (path, _) in batch {
                let keeping = match self.hear(ANSWER).await {
                    Ok(Answer::Keeping(keeping)) => Ok(keeping),
                    Ok(other) => return Err(odd(&other)),
                    Err(Trouble::Refused(refused)) => Err(refused),
                    Err(trouble) => return Err(trouble),
                };
                found.insert(path.clone(), keeping);
            }
        }
        Ok(found)
    }

    /// Has what a cut stream left thrown away.
    pub async fn clear(&mut self, path: &RelPath) -> Result<(), Trouble> {
        self.say(&Word::Clear { path: path.clone() }).await?;
        match self.hear(ANSWER).await? {
            Answer::Cleared => Ok(()),
            other => Err(odd(&other)),
        }
    }

    /// Why there is nothing more to hear: what the process behind it said last.
    async fn parted(&mut self) -> Trouble {
        let ended = timeout(Duration::from_secs(5), self.child.wait()).await;
        // What it said arrives with its end.
        tokio::task::yield_now().await;
        let said = self.said.borrow().clone();
        Trouble::Lost(match ended {
            _ if !said.is_empty() => said,
            Ok(Ok(status)) => format!("the session ended ({status})"),
            _ => "the session ended".to_owned(),
        })
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if let Some(pid) = self.child.id().and_then(|pid| i32::try_from(pid).ok()) {
            // Gone already is as good.
            let _ = killpg(Pid::from_raw(pid), Signal::SIGTERM);
        }
    }
}

/// An answer that has no place where it came.
pub fn odd(answer: &Answer) -> Trouble {
    Trouble::Lost(clean(&format!("it answers out of turn: {answer:?}")))
}

/// What a refusal is to this side.
pub fn refusal(refused: &Refused) -> Trouble {
    let said = clean(&refused.to_string());
    match refused {
        Refused::Failed { why, .. } if why == "it is not imported" => Trouble::Away(said),
        _ => Trouble::Refused(said),
    }
}

/// Another machine's words as people may see them: not long, and without control characters.
fn clean(text: &str) -> String {
    text.trim().chars().filter(|c| !c.is_control()).take(300).collect()
}

/// Keeps the last thing that was said, for people.
async fn listen(errors: ChildStderr, said: Rc<RefCell<String>>) {
    let mut lines = BufReader::new(errors.take(1 << 20)).split(b'\n');
    while let Ok(Some(line)) = lines.next_segment().await {
        let text = clean(&String::from_utf8_lossy(&line));
        if !text.is_empty() {
            *said.borrow_mut() = text;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pretty_assertions::assert_eq;

    #[test]
    fn what_a_stranger_says_does_nothing_to_a_terminal() {
        assert_eq!(clean(" \u{1b}[2Jgone\r\n\u{7}"), "[2Jgone");
        assert_eq!(clean(&"x".repeat(1000)).len(), 300);
    }

    #[test]
    fn a_pool_that_is_not_imported_is_away_and_all_else_is_refused() {
        let failed = |why: &str| refusal(&Refused::Failed { what: "looking".into(), why: why.into() });
        assert!(matches!(failed("it is not imported"), Trouble::Away(_)));
        assert!(matches!(failed("it is on fire"), Trouble::Refused(_)));
    }
}
