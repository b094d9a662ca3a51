//! A client, as zamd-send is one: zam-receive as a process, and words on its pipes.

use crate::world::{World, built};
use std::{
    fs,
    io::{Read, Write},
    process::{Child, ChildStdin, Command, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError, channel},
    time::Duration,
};
use tokio_util::{
    bytes::BytesMut,
    codec::{Decoder, Encoder},
};
use zam_names::{Guid, Target};
use zam_protocol::{
    recv::{Offer, Outcome, ReplicaRow},
    words::{self, Answer, Frame, Frames, Hi, Word},
};
use zam_zfs::{Open, ResumePoint, SendFrom, SendStep, Sender, Shape};

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(60);

pub struct Caller {
    child: Child,
    input: Option<ChildStdin>,
    answers: Receiver<Answer>,
}

/// What is unusual about a caller.
#[derive(Default)]
pub struct Odd<'a> {
    pub args: &'a [&'a str],
    pub command: Option<&'a str>,
}

impl Caller {
    /// The client of the replica, before its first word.
    pub fn silent(world: &World, who: &[&str], odd: &Odd<'_>) -> Self {
        let log = fs::File::options().create(true).append(true).open(world.path("receive.log")).unwrap();
        let mut command = Command::new(built("zam-receive"));
        command.args(who).args(odd.args).arg("--stderr").arg("--runtime-dir").arg(world.path("run"));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(log).env_remove("SSH_ORIGINAL_COMMAND");
        command.envs(odd.command.map(|command| ("SSH_ORIGINAL_COMMAND", command)));
        let mut child = command.spawn().unwrap();
        let (input, mut output) = (child.stdin.take(), child.stdout.take().unwrap());
        let (sender, answers) = channel();
        std::thread::spawn(move || {
            let (mut buffer, mut piece) = (BytesMut::new(), [0; 4096]);
            while let Ok(read @ 1..) = output.read(&mut piece) {
                buffer.extend_from_slice(&piece[..read]);
                while let Some(frame) = Frames.decode(&mut buffer).unwrap() {
                    let Frame::Word(word) = frame else { panic!("{frame:?}") };
                    // Whoever listened may be done.
                    let _ = sender.send(words::read(&word).unwrap());
                }
            }
        });
        Self { child, input, answers }
    }

    /// The same, after the hellos.
    pub fn greeted(world: &World, who: &[&str]) -> Self {
        let mut caller = Self::silent(world, who, &Odd::default());
        caller.greet();
        caller
    }

    pub fn greet(&mut self) {
        self.say(&Word::Hello(Hi::ours()));
        let answer = self.hear();
        assert!(matches!(answer, Answer::Hello { .. }), "{answer:?}");
    }

    pub fn say(&mut self, word: &Word) {
        self.frame(Frame::of(word).unwrap());
    }

    pub fn frame(&mut self, frame: Frame) {
        let mut bytes = BytesMut::new();
        Frames.encode(frame, &mut bytes).unwrap();
        self.bytes(&bytes);
    }

    /// Whatever it is; the other side may be gone.
    pub fn bytes(&mut self, bytes: &[u8]) {
        let _ = self.input.as_mut().unwrap().write_all(bytes);
    }

    /// The next answer that is one.
    pub fn hear(&mut self) -> Answer {
        loop {
            match self.answers.recv_timeout(PATIENCE) {
                Ok(Answer::Still) => {}
                Ok(answer) => return answer,
                Err(error) => panic!("no answer: {error}"),
            }
        }
    }

    pub fn list(&mut self) -> Vec<ReplicaRow> {
        self.say(&Word::List { after: None });
        let mut rows = Vec::new();
        loop {
            match self.hear() {
                Answer::Rows(page) => {
                    rows.extend(page.rows);
                    if page.next.is_none() {
                        return rows;
                    }
                }
                answer => panic!("{answer:?}"),
            }
        }
    }

    pub fn row(&mut self, path: &str) -> ReplicaRow {
        let rows = self.list();
        let found = rows.iter().find(|row| row.path.as_str() == path).cloned();
        found.unwrap_or_else(|| panic!("no {path} among {rows:?}"))
    }

    /// Offers a stream and sends these bytes of it, to its end or not.
    pub fn stream(&mut self, offer: &Offer, bytes: &[u8], last: Frame) {
        self.say(&Word::Receive(offer.clone()));
        for chunk in bytes.chunks(10_000) {
            self.frame(Frame::packed(chunk).unwrap_or(Frame::Chunk(chunk.to_vec().into())));
        }
        self.frame(last);
    }

    pub fn outcome(&mut self) -> Outcome {
        let answer = self.hear();
        assert_eq!(answer, Answer::Go);
        match self.hear() {
            Answer::Received(outcome) => outcome,
            answer => panic!("{answer:?}"),
        }
    }

    pub fn send(&mut self, offer: &Offer, bytes: &[u8]) -> Outcome {
        self.stream(offer, bytes, Frame::End);
        self.outcome()
    }

    /// What is still said until it ends, and whether it ended well.
    pub fn end(mut self) -> (Vec<Answer>, bool) {
        drop(self.input.take());
        self.wait()
    }

    /// The same where it ends by itself.
    pub fn wait(mut self) -> (Vec<Answer>, bool) {
        let mut said = Vec::new();
        loop {
            match self.answers.recv_timeout(PATIENCE) {
                Ok(answer) => said.push(answer),
                Err(RecvTimeoutError::Disconnected) => return (said, self.child.wait().unwrap().success()),
                Err(error) => panic!("it does not end: {error}"),
            }
        }
    }
}

impl Drop for Caller {
    fn drop(&mut self) {
        // Gone already is well too.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A snapshot of the simulated pools, and what its stream builds on.
pub struct Sent<'a> {
    pub world: &'a World,
    pub dataset: &'a str,
    pub tag: &'a str,
    pub from: Option<&'a str>,
}

impl Sent<'_> {
    pub fn offer(&self, path: &str) -> Offer {
        Offer {
            path: path.parse().unwrap(),
            tag: self.tag.parse().unwrap(),
            guid: self.guid(self.tag),
            from: self.from.map(|from| self.guid(from)),
            raw: false,
            kind: self.world.dataset(self.dataset).kind,
            resume: false,
            bytes: 0,
        }
    }

    pub fn guid(&self, tag: &str) -> Guid {
        let snapshots = self.world.dataset(self.dataset).snapshots;
        snapshots.iter().find(|snapshot| snapshot.tag.as_str() == tag).unwrap().guid
    }

    fn target(&self, tag: &str) -> Target {
        Target { name: format!("{}@{tag}", self.dataset).parse().unwrap(), guid: self.guid(tag) }
    }

    pub fn stream(&self, resume: Option<ResumePoint>) -> Vec<u8> {
        let from = self.from.map_or(SendFrom::Nothing, |from| SendFrom::Snapshot(self.target(from)));
        let step = SendStep { to: self.target(self.tag), from, raw: false, shape: Shape::default(), resume };
        let sim = Open::Sim { folder: self.world.path("pools"), user: "zam-send".to_owned() };
        let file = self.world.path("stream");
        sim.for_send().send(&step, fs::File::create(&file).unwrap().into()).unwrap();
        fs::read(&file).unwrap()
    }
}
