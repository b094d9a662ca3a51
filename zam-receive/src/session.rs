//! A session: a hello each way, then words and their answers, one after the other.

use crate::{
    Setting,
    pipes::{Input, Output},
    relay,
};
use futures::{SinkExt, StreamExt};
use std::{io, time::Duration};
use tokio::time::{error::Elapsed, timeout};
use zam_names::RelPath;
use zam_protocol::{
    Door, Refused, Role,
    client::{self, CallError, ConnectError},
    recv::{Client, RecvClient},
    words::{self, Answer, Frame, Hi, Reader, Word, Writer},
};

/// How long zamd-recv gets for one call; a listing of a large pool may take several.
const CALL: Duration = Duration::from_secs(20);
/// How often a listing is asked for again that took too long.
const TRIES: u32 = 30;

/// Why a session ended early.
#[derive(Debug, thiserror::Error)]
pub enum Parting {
    /// What came is no frame, or no word.
    #[error("what the client sent is not understood")]
    Malformed(#[source] io::Error),
    /// It is one, and has no place there.
    #[error("the client is out of turn: {0}")]
    OutOfTurn(&'static str),
    /// Nothing came.
    #[error("the client was silent for too long, or did not read its answers")]
    Silent(#[from] Elapsed),
    /// The client speaks another version.
    #[error("the client speaks version {theirs} of the words, this side {}", words::MAJOR)]
    Version {
        /// Its major version.
        theirs: u16,
    },
    /// Zamd-recv does not know the client.
    #[error("the client is not let in")]
    Refused(#[source] Refused),
    /// Zamd-recv is not there.
    #[error("zamd-recv is not reached")]
    Connect(#[from] ConnectError),
    /// Zamd-recv does not answer.
    #[error("zamd-recv does not answer")]
    Call(#[source] CallError),
    /// The client went away.
    #[error("the client went away in the middle of a stream")]
    Gone,
    /// The answers do not go out.
    #[error("the client does not take its answers")]
    Write(#[source] io::Error),
}

/// Both sides of the conversation, and zamd-recv.
pub struct Session<'a> {
    pub setting: &'a Setting,
    pub recv: RecvClient,
    input: Reader<Input>,
    output: Writer<Output>,
}

/// Serves until the client closes.
///
/// # Errors
/// If the client does not keep to the protocol, or zamd-recv is not there.
pub async fn run(setting: &Setting, input: Input, output: Output) -> Result<(), Parting> {
    let (mut input, mut output) = (words::reader(input), words::writer(output));
    let hi = hello(setting, &mut input).await?;
    let recv = match client::connect_recv(&Role::Recv.socket(&setting.runtime_dir, Door::Peer)).await {
        Ok(recv) => recv,
        Err(error) => {
            let why = "zamd-recv does not run there, or does not let zam-receive in".to_owned();
            let refused = Refused::Failed { what: "reaching zamd-recv".to_owned(), why };
            answer(setting, &mut output, &Answer::Refused(refused)).await?;
            return Err(error.into());
        }
    };
    let mut session = Session { setting, recv, input, output };
    session.greet(&hi).await?;
    while let Some(frame) = session.frame().await? {
        match frame {
            Frame::Word(word) => session.heed(words::read(&word).map_err(Parting::Malformed)?).await?,
            Frame::Chunk(bytes) if bytes.is_empty() => {}
            _ => return Err(Parting::OutOfTurn("a stream that was not announced")),
        }
    }
    Ok(())
}

async fn hello(setting: &Setting, input: &mut Reader<Input>) -> Result<Hi, Parting> {
    let Some(frame) = timeout(setting.silence, input.next()).await? else { return Err(Parting::Gone) };
    let Frame::Word(word) = frame.map_err(Parting::Malformed)? else {
        return Err(Parting::OutOfTurn("the first thing is to be its hello"));
    };
    match words::read(&word).map_err(Parting::Malformed)? {
        Word::Hello(hi) => Ok(hi),
        _ => Err(Parting::OutOfTurn("the first word is to be its hello")),
    }
}

async fn answer(setting: &Setting, output: &mut Writer<Output>, answer: &Answer) -> Result<(), Parting> {
    let frame = Frame::of(answer).map_err(Parting::Write)?;
    timeout(setting.silence, output.send(frame)).await?.map_err(Parting::Write)
}

impl Session<'_> {
    pub fn client(&self) -> Client {
        self.setting.client.clone()
    }

    /// The next frame; none once the client has closed.
    pub async fn frame(&mut self) -> Result<Option<Frame>, Parting> {
        timeout(self.setting.silence, self.input.next()).await?.transpose().map_err(Parting::Malformed)
    }

    pub async fn answer(&mut self, said: Answer) -> Result<(), Parting> {
        answer(self.setting, &mut self.output, &said).await
    }

    async fn greet(&mut self, theirs: &Hi) -> Result<(), Parting> {
        if theirs.major != words::MAJOR {
            let why = format!("this side speaks version {} of the words: upgrade the older one", words::MAJOR);
            self.answer(Answer::Refused(Refused::Invalid { what: "hello".to_owned(), why })).await?;
            return Err(Parting::Version { theirs: theirs.major });
        }
        match client::act(self.recv.greet(client::within(CALL), self.client())).await {
            Ok(greeting) => {
                let (root, build, retired) = (self.setting.client.root.clone(), greeting.build, greeting.retired);
                self.answer(Answer::Hello { hi: Hi::ours(), root, build, retired }).await
            }
            Err(CallError::Refused(refused)) => {
                self.answer(Answer::Refused(refused.clone())).await?;
                Err(Parting::Refused(refused))
            }
            Err(error) => Err(Parting::Call(error)),
        }
    }

    async fn heed(&mut self, word: Word) -> Result<(), Parting> {
        let said = match word {
            Word::Hello(_) => return Err(Parting::OutOfTurn("a second hello")),
            Word::List { after } => return self.list(after).await,
            Word::Receive(offer) => return relay::receive(self, offer).await,
            Word::Space => client::act(self.recv.space(client::within(CALL), self.client())).await.map(Answer::Space),
            Word::Clear { path } => {
                let cleared = self.recv.clear(client::within(CALL * 3), self.client(), path);
                client::act(cleared).await.map(|()| Answer::Cleared)
            }
            Word::Keeping { path, kind } => {
                let keeping = self.recv.keeping(client::within(CALL), self.client(), path, kind);
                client::act(keeping).await.map(Answer::Keeping)
            }
        };
        self.said(said).await
    }

    /// Passes an answer on, or a refusal.
    pub async fn said(&mut self, said: Result<Answer, CallError>) -> Result<(), Parting> {
        match said {
            Ok(said) => self.answer(said).await,
            Err(CallError::Refused(refused)) => self.answer(Answer::Refused(refused)).await,
            Err(error) => Err(Parting::Call(error)),
        }
    }

    /// Page after page, so that their number costs the client no waiting.
    async fn list(&mut self, mut after: Option<RelPath>) -> Result<(), Parting> {
        loop {
            let page = self.page(&after).await;
            let next = page.as_ref().ok().and_then(|page| page.next.clone());
            self.said(page.map(Answer::Rows)).await?;
            after = match next {
                Some(next) => Some(next),
                None => return Ok(()),
            };
        }
    }

    async fn page(&mut self, after: &Option<RelPath>) -> Result<zam_protocol::recv::ReplicaPage, CallError> {
        let mut tries = 0;
        loop {
            match client::act(self.recv.list(client::within(CALL), self.client(), after.clone())).await {
                Err(CallError::Lost(_)) if tries < TRIES => {
                    tries += 1;
                    // A connection that broke fails at once: not again and again.
                    tokio::time::sleep(Duration::from_secs(1)).await;
                    // Whether it is taken shows at the next answer.
                    let _ = self.answer(Answer::Still).await;
                }
                page => return page,
            }
        }
    }
}
