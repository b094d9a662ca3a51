//! A stream on its way from the client to zamd-recv's stream door.

use crate::session::{Parting, Session};
use tokio::{io::AsyncWriteExt, net::UnixStream};
use zam_protocol::{
    Door, Role,
    client::{self, CallError},
    recv::{Offer, Outcome, Ticket},
    words::{Answer, Frame},
};

/// Announces the stream, passes it on to its end, and says what became of it.
pub async fn receive(session: &mut Session<'_>, offer: Offer) -> Result<(), Parting> {
    let ticket = match client::act(session.recv.receive(client::soon(), session.client(), offer)).await {
        Ok(ticket) => ticket,
        refused => {
            session.said(refused.map(|_| Answer::Go)).await?;
            return skip(session).await;
        }
    };
    session.answer(Answer::Go).await?;
    let door = Role::Recv.socket(&session.setting.runtime_dir, Door::Stream);
    let mut taker = match UnixStream::connect(&door).await {
        Ok(mut stream) => stream.write_all(&ticket.to_bytes()).await.is_ok().then_some(stream),
        Err(_) => None,
    };
    while let Some(stream) = &mut taker {
        match next(session).await? {
            Part::Bytes(bytes) if stream.write_all(&bytes).await.is_ok() => {}
            // It takes no more, and knows why: the client learns it before it sends the rest.
            Part::Bytes(_) => {
                drop(taker.take());
                session.outcome(ticket).await?;
                return skip(session).await;
            }
            Part::End => break,
        }
    }
    let came = taker.is_some();
    // Closed, it has come to its end there, complete or cut.
    drop(taker);
    session.outcome(ticket).await?;
    if came { Ok(()) } else { skip(session).await }
}

/// What comes in the place of a stream.
enum Part {
    Bytes(zam_protocol::words::Bytes),
    End,
}

async fn next(session: &mut Session<'_>) -> Result<Part, Parting> {
    match session.frame().await?.ok_or(Parting::Gone)? {
        Frame::Chunk(bytes) => Ok(Part::Bytes(bytes)),
        Frame::Zchunk(packed) => Frame::unpacked(&packed).map(Part::Bytes).map_err(Parting::Malformed),
        Frame::End | Frame::Cut => Ok(Part::End),
        Frame::Word(_) => Err(Parting::OutOfTurn("a word in the middle of a stream")),
    }
}

/// Throws away what comes of a stream that nobody takes.
async fn skip(session: &mut Session<'_>) -> Result<(), Parting> {
    while !matches!(next(session).await?, Part::End) {}
    Ok(())
}

impl Session<'_> {
    /// Waits for what becomes of a stream, and says so. Meanwhile the client hears that it takes a while.
    async fn outcome(&mut self, ticket: Ticket) -> Result<(), Parting> {
        loop {
            let outcome: Result<Option<Outcome>, CallError> =
                client::act(self.recv.outcome(client::within(std::time::Duration::from_secs(20)), ticket)).await;
            match outcome.transpose() {
                Some(outcome) => return self.said(outcome.map(Answer::Received)).await,
                None => self.answer(Answer::Still).await?,
            }
        }
    }
}
