//! A session with zam-receive: words out, answers in. What comes is a stranger's: it is bounded in number, in length and
//! in time, and nothing in it is more than a claim about what is there.

use crate::place::{Place, Ways};
use futures::{SinkExt, StreamExt};
use nix::{
    fcntl::{FcntlArg, fcntl},
    sys::signal::{Signal, killpg},
    unistd::Pid,
};
use std::{cell::RefCell, collections::BTreeMap, io, rc::Rc, time::Duration};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    process::{Child, ChildStderr, ChildStdin},
    sync::mpsc,
    time::{error::Elapsed, timeout},
};
use tokio_util::bytes::{Buf, Bytes};
use zam_names::{DatasetName, Kind, RelPath};
use zam_protocol::{
    Refused,
    recv::{Keeping, ReplicaRow},
    words::{self, Answer, Frame, Hi, Word, Writer},
};

/// How long nothing may move in the middle of a stream.
pub const STALL: Duration = Duration::from_secs(600);
/// How long the first answer may take: a name to be looked up, keys to be exchanged.
const GREETING: Duration = Duration::from_secs(120);
/// More rows than this no replica has.
const ROWS: usize = 200_000;
/// How long a listing may take in all.
const LISTING: Duration = Duration::from_secs(1800);
/// Answers that wait to be heard; more make the other side wait.
const WAITING: usize = 16;

/// Why there is no answer, or not the hoped-for one.
#[derive(Debug, thiserror::Error)]
pub enum Trouble {
    /// The session has ended, or is of no use any more.
    #[error("{0}")]
    Lost(String),
    /// The other side refuses; the session goes on.
    #[error("{0}")]
    Refused(Refused),
}

/// Both halves, and the process behind them.
pub struct Session {
    child: Child,
    output: Writer<ChildStdin>,
    answers: mpsc::Receiver<io::Result<Answer>>,
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
    /// Goes there and greets.
    pub async fn open(ways: &Ways, place: &Place) -> Result<(Self, Greeted), Trouble> {
        if let Some(lack) = ways.lack(place) {
            return Err(Trouble::Lost(lack));
        }
        let start = |error: io::Error| Trouble::Lost(format!("the way to {place} cannot be taken: {error}"));
        let mut child = ways.command(place).spawn().map_err(start)?;
        let (Some(input), Some(output), Some(errors)) = (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            return Err(Trouble::Lost(format!("the way to {place} has no pipes")));
        };
        // Fewer turns; it works with the small one too.
        let _ = fcntl(&input, FcntlArg::F_SETPIPE_SZ(1 << 20));
        let said = Rc::default();
        tokio::task::spawn_local(listen(errors, Rc::clone(&said)));
        let (sender, answers) = mpsc::channel(WAITING);
        tokio::task::spawn_local(async move {
            let mut input = words::reader(output);
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
        let mut session = Self { child, output: words::writer(input), answers, said };
        session.say(&Word::Hello(Hi::ours())).await?;
        match session.hear_within(GREETING).await? {
            Answer::Hello { hi, root, retired, .. } if hi.major == words::MAJOR => {
                let unpacks = hi.capabilities.iter().any(|capability| capability == words::ZSTD);
                Ok((session, Greeted { root, retired, unpacks }))
            }
            Answer::Hello { hi, .. } => Err(Trouble::Lost(format!(
                "it speaks version {} of the words, and this side {}: upgrade the older one",
                hi.major,
                words::MAJOR
            ))),
            other => Err(session.odd(&other)),
        }
    }

    /// Says a word.
    pub async fn say(&mut self, word: &Word) -> Result<(), Trouble> {
        let frame = Frame::of(word).map_err(|error| Trouble::Lost(error.to_string()))?;
        self.frame(frame).await
    }

    /// Sends a frame.
    pub async fn frame(&mut self, frame: Frame) -> Result<(), Trouble> {
        let sent = timeout(STALL, self.output.send(frame)).await;
        self.sent(sent).await
    }

    /// Sends bytes of a stream, as they are.
    pub async fn chunk(&mut self, bytes: Bytes) -> Result<(), Trouble> {
        let length = u32::try_from(bytes.len()).map_err(|error| Trouble::Lost(error.to_string()))?;
        let mut whole = Buf::chain(Bytes::from_owner(Frame::chunk_head(length)), bytes);
        // What was framed before has been flushed.
        let sent = timeout(STALL, self.output.get_mut().write_all_buf(&mut whole)).await;
        self.sent(sent).await
    }

    async fn sent(&mut self, sent: Result<io::Result<()>, Elapsed>) -> Result<(), Trouble> {
        match sent {
            Ok(Ok(())) => Ok(()),
            // It went, and has said why, or ssh has.
            Ok(Err(_)) => Err(self.parted().await),
            Err(_) => Err(Trouble::Lost(format!("nothing has moved for {} s", STALL.as_secs()))),
        }
    }

    /// The next answer, a refusal or a word that it takes a while included; for use beside other things that may happen.
    pub async fn next(&mut self) -> Option<io::Result<Answer>> {
        self.answers.recv().await
    }

    /// The next answer that is one. A refusal is trouble.
    pub async fn hear(&mut self) -> Result<Answer, Trouble> {
        self.hear_within(words::SILENCE).await
    }

    async fn hear_within(&mut self, silence: Duration) -> Result<Answer, Trouble> {
        loop {
            match timeout(silence, self.next()).await {
                Err(_) => return Err(Trouble::Lost(format!("it has not answered for {} s", silence.as_secs()))),
                Ok(heard) => match self.answer(heard).await? {
                    Answer::Still => {}
                    Answer::Refused(refused) => return Err(Trouble::Refused(refused)),
                    answer => return Ok(answer),
                },
            }
        }
    }

    /// What [`Self::next`] has brought.
    pub async fn answer(&mut self, heard: Option<io::Result<Answer>>) -> Result<Answer, Trouble> {
        match heard {
            Some(Ok(answer)) => Ok(answer),
            Some(Err(error)) => Err(Trouble::Lost(format!("what it answers is not understood: {error}"))),
            None => Err(self.parted().await),
        }
    }

    /// What is there, by path.
    pub async fn list(&mut self) -> Result<BTreeMap<RelPath, ReplicaRow>, Trouble> {
        self.say(&Word::List { after: None }).await?;
        let listing = async {
            let mut rows = BTreeMap::new();
            loop {
                match self.hear().await? {
                    Answer::Rows(page) => {
                        rows.extend(page.rows.into_iter().map(|row| (row.path.clone(), row)));
                        if page.next.is_none() {
                            return Ok(rows);
                        }
                        if rows.len() > ROWS {
                            return Err(Trouble::Lost(format!("it says that it has more than {ROWS} datasets")));
                        }
                    }
                    other => return Err(self.odd(&other)),
                }
            }
        };
        let endless = || Trouble::Lost(format!("its listing has no end: {} s", LISTING.as_secs()));
        timeout(LISTING, listing).await.unwrap_or_else(|_| Err(endless()))
    }

    /// Bytes that there is room for.
    pub async fn space(&mut self) -> Result<u64, Trouble> {
        self.say(&Word::Space).await?;
        match self.hear().await? {
            Answer::Space(space) => Ok(space.available),
            other => Err(self.odd(&other)),
        }
    }

    /// How long snapshots would be kept of datasets that are not there; of each, unless that is refused.
    pub async fn keeping(
        &mut self,
        datasets: &[(RelPath, Kind)],
    ) -> Result<BTreeMap<RelPath, Result<Keeping, Refused>>, Trouble> {
        let mut found = BTreeMap::new();
        for batch in datasets.chunks(WAITING) {
            for (path, kind) in batch {
                self.say(&Word::Keeping { path: path.clone(), kind: *kind }).await?;
            }
            for (path, _) in batch {
                let keeping = match self.hear().await {
                    Ok(Answer::Keeping(keeping)) => Ok(keeping),
                    Ok(other) => return Err(self.odd(&other)),
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
        match self.hear().await? {
            Answer::Cleared => Ok(()),
            other => Err(self.odd(&other)),
        }
    }

    /// An answer that has no place where it came.
    pub fn odd(&self, answer: &Answer) -> Trouble {
        let mut text = format!("{answer:?}");
        text.truncate(text.char_indices().nth(100).map_or(text.len(), |(at, _)| at));
        Trouble::Lost(format!("it answers out of turn: {text}"))
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

/// Keeps the last thing that was said, for people: bounded, without control characters.
async fn listen(errors: ChildStderr, said: Rc<RefCell<String>>) {
    let mut lines = BufReader::new(tokio::io::AsyncReadExt::take(errors, 1 << 20)).split(b'\n');
    while let Ok(Some(line)) = lines.next_segment().await {
        let text = String::from_utf8_lossy(&line);
        let text: String = text.trim().chars().filter(|c| !c.is_control()).take(300).collect();
        if !text.is_empty() {
            *said.borrow_mut() = text;
        }
    }
}
