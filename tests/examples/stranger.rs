//! A client, or a replica, that does not keep to what was agreed, for the lab: it says the words of `zam_protocol::words` with
//! bytes of its own choice.
//!
//! ```text
//! stranger ACTION... -- COMMAND...      to the pipes of COMMAND, such as `ssh zam-ssh@replica`
//! stranger proxy SOCKET TARGET [OLD NEW]    passes on what comes to SOCKET, with NEW in the place of OLD
//! stranger replica ROOT FOLDER LIE...    in the place of zam-receive: on standard input and output
//! ```
//!
//! Actions, each waits for its answer where there is one:
//!
//! ```text
//! hello[=MAJOR]  list  space  clear=PATH  offer=PATH@TAG,guid=N[,from=N][,raw][,volume][,resume]
//! stream=FILE[:BYTES]  zeros=BYTES  end  cut  bytes=TEXT  word=TEXT  die  wait
//! ```
//!
//! In TEXT, PATH and TAG `\xNN` is a byte. `wait` lets the other side end it. A line for each answer; the exit code is the command's.
//!
//! A replica takes each stream, puts it into FOLDER, and says that all of it is received and held. It tells there what it was
//! asked, in a file `asked`. It says that nothing is there, but for what it is told to lie:
//!
//! ```text
//! has=PATH@TAG,guid=N[,to=N][,from=N][,raw]    that is there, and a part of what `to` is the GUID of
//! endless    its listing has no end          garbage    it answers with what is no frame
//! still      it says that it takes a while    silent    it says nothing but its hello
//! mute       not even that                    full      it has no room
//! ```

use serde::Serialize;
use std::{
    error::Error,
    fs::File,
    io::{self, Read, Write},
    os::unix::net::{UnixListener, UnixStream},
    path::PathBuf,
    process::{Child, ChildStdin, Command, ExitCode, Stdio},
    sync::mpsc::{Receiver, channel},
    thread,
    time::Duration,
};
use tokio_util::{
    bytes::BytesMut,
    codec::{Decoder, Encoder},
};
use zam_names::{Guid, Kind, UnixTime};
use zam_protocol::{
    recv::{Arrived, Keeping, Outcome, Partial, ReplicaPage, ReplicaRow, Space},
    words::{self, Answer, Frame, Frames, Hi},
};

type Fallible<T> = Result<T, Box<dyn Error>>;

/// How long an answer may take, on a busy emulated machine.
const PATIENCE: Duration = Duration::from_secs(600);
/// Rows of a listing without end that come at once.
const PAGE: u64 = 300;

/// As `words::Word`, with texts that nobody has checked.
#[derive(Serialize)]
enum Word {
    Hello(Hi),
    List { after: Option<String> },
    Space,
    Receive(Offer),
    Clear { path: String },
}

/// As `recv::Offer`.
#[derive(Serialize)]
struct Offer {
    path: String,
    tag: String,
    guid: u64,
    from: Option<u64>,
    raw: bool,
    kind: Kind,
    resume: bool,
    bytes: u64,
}

fn main() -> Fallible<ExitCode> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match words.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["proxy", socket, target, change @ ..] => {
            let change = match change {
                [] => None,
                [old, new] => Some((plain(old)?, plain(new)?)),
                _ => return Err("a proxy has one change".into()),
            };
            proxy(socket, target, change)
        }
        ["replica", root, folder, lies @ ..] => Replica::new(root, folder, lies)?.serve(),
        words => {
            let at = words.iter().position(|word| *word == "--").ok_or("no command: put one behind `--`")?;
            let mut stranger = Stranger::start(&words[at + 1..])?;
            for action in &words[..at] {
                stranger.act(action)?;
            }
            stranger.end()
        }
    }
}

struct Stranger {
    child: Child,
    input: Option<ChildStdin>,
    answers: Receiver<Answer>,
    /// Whether what was offered last was refused.
    refused: bool,
}

impl Stranger {
    fn start(command: &[&str]) -> Fallible<Self> {
        let (program, args) = command.split_first().ok_or("no command")?;
        let mut child = Command::new(program).args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let (input, mut output) = (child.stdin.take(), child.stdout.take().ok_or("no output")?);
        let (sender, answers) = channel();
        thread::spawn(move || {
            let (mut buffer, mut piece) = (BytesMut::new(), [0; 4096]);
            while let Ok(read @ 1..) = output.read(&mut piece) {
                buffer.extend_from_slice(&piece[..read]);
                loop {
                    match Frames.decode(&mut buffer) {
                        Ok(Some(Frame::Word(word))) => match words::read(&word) {
                            // Whoever listened may be done.
                            Ok(answer) => drop(sender.send(answer)),
                            Err(error) => println!("no answer: {error}"),
                        },
                        Ok(None) => break,
                        other => {
                            println!("no answer: {other:?}");
                            return;
                        }
                    }
                }
            }
        });
        Ok(Self { child, input, answers, refused: false })
    }

    fn act(&mut self, action: &str) -> Fallible<()> {
        let (verb, what) = action.split_once('=').unwrap_or((action, ""));
        match verb {
            "hello" => {
                let major = if what.is_empty() { words::MAJOR } else { what.parse()? };
                self.word(&Word::Hello(Hi { major, ..Hi::ours() }))?;
                self.hear();
            }
            "list" => {
                self.word(&Word::List { after: (!what.is_empty()).then(|| text(what)).transpose()? })?;
                while let Some(Answer::Rows(page)) = self.hear() {
                    if page.next.is_none() {
                        break;
                    }
                }
            }
            "space" => {
                self.word(&Word::Space)?;
                self.hear();
            }
            "clear" => {
                self.word(&Word::Clear { path: text(what)? })?;
                self.hear();
            }
            "offer" => {
                self.word(&Word::Receive(offer(what)?))?;
                self.refused = !matches!(self.hear(), Some(Answer::Go));
            }
            "stream" => {
                let (file, limit) = what.split_once(':').unwrap_or((what, "18446744073709551615"));
                let mut file = File::open(file)?.take(limit.parse()?);
                let mut piece = vec![0; 128 * 1024];
                while let read @ 1.. = file.read(&mut piece)? {
                    self.frame(Frame::Chunk(piece[..read].to_vec().into()))?;
                }
            }
            "zeros" => {
                for _ in 0..what.parse::<u64>()?.div_ceil(65536) {
                    self.frame(Frame::Chunk(vec![0; 65536].into()))?;
                }
            }
            "end" | "cut" => {
                self.frame(if verb == "end" { Frame::End } else { Frame::Cut })?;
                if !self.refused {
                    self.hear();
                }
            }
            "bytes" => self.bytes(&plain(what)?),
            "word" => self.frame(Frame::Word(plain(what)?.into()))?,
            "die" => self.child.kill()?,
            "wait" => while self.hear().is_some() {},
            _ => return Err(format!("no such action: {action}").into()),
        }
        Ok(())
    }

    fn word(&mut self, word: &Word) -> Fallible<()> {
        self.frame(Frame::of(word)?)
    }

    fn frame(&mut self, frame: Frame) -> Fallible<()> {
        let mut bytes = BytesMut::new();
        Frames.encode(frame, &mut bytes)?;
        self.bytes(&bytes);
        Ok(())
    }

    /// The other side may be gone, and that is for the exit code to say.
    fn bytes(&mut self, bytes: &[u8]) {
        if let Some(input) = &mut self.input {
            let _ = input.write_all(bytes);
        }
    }

    /// The next answer; none when the other side has ended.
    fn hear(&mut self) -> Option<Answer> {
        loop {
            match self.answers.recv_timeout(PATIENCE).ok() {
                Some(Answer::Still) => {}
                answer => {
                    println!("{}", answer.as_ref().map_or("(ended)".to_owned(), |answer| format!("{answer:?}")));
                    return answer;
                }
            }
        }
    }

    fn end(mut self) -> Fallible<ExitCode> {
        drop(self.input.take());
        let code = self.child.wait()?.code();
        while self.hear().is_some() {}
        Ok(code.and_then(|code| u8::try_from(code).ok()).map_or(ExitCode::from(77), ExitCode::from))
    }
}

struct Replica {
    root: String,
    folder: PathBuf,
    lies: Vec<String>,
    rows: Vec<ReplicaRow>,
    buffer: BytesMut,
}

impl Replica {
    fn new(root: &str, folder: &str, lies: &[&str]) -> Fallible<Self> {
        let rows = lies.iter().filter_map(|lie| lie.strip_prefix("has=")).map(row).collect::<Fallible<_>>()?;
        let lies = lies.iter().map(|lie| (*lie).to_owned()).collect();
        Ok(Self { root: root.to_owned(), folder: folder.into(), lies, rows, buffer: BytesMut::new() })
    }

    fn lies(&self, lie: &str) -> bool {
        self.lies.iter().any(|known| known == lie)
    }

    fn serve(mut self) -> Fallible<ExitCode> {
        while let Some(frame) = self.hear()? {
            let Frame::Word(word) = frame else { continue };
            self.tell(&word)?;
            match words::read(&word)? {
                _ if self.lies("mute") => {}
                words::Word::Hello(_) => {
                    let (root, build) = (self.root.parse()?, "0.0.0".to_owned());
                    say(&Answer::Hello { hi: Hi::ours(), build, root, retired: false })?;
                }
                _ if self.lies("silent") => {}
                _ if self.lies("garbage") => shout(&[0xff; 4096])?,
                _ if self.lies("still") => loop {
                    say(&Answer::Still)?;
                    thread::sleep(Duration::from_millis(100));
                },
                words::Word::List { .. } if self.lies("endless") => {
                    for page in 0_u64.. {
                        let name = |nth| format!("made/up-{:020}@s,guid={}", page * PAGE + nth, nth + 1);
                        let rows = (0..PAGE).map(|nth| row(&name(nth))).collect::<Fallible<Vec<_>>>()?;
                        let next = rows.last().map(|row| row.path.clone());
                        say(&Answer::Rows(ReplicaPage { rows, next }))?;
                    }
                }
                words::Word::List { .. } => say(&Answer::Rows(ReplicaPage { rows: self.rows.clone(), next: None }))?,
                words::Word::Space => {
                    say(&Answer::Space(Space { available: if self.lies("full") { 0 } else { u64::MAX } }))?;
                }
                words::Word::Clear { .. } => say(&Answer::Cleared)?,
                words::Word::Keeping { .. } => say(&Answer::Keeping(Keeping::default()))?,
                words::Word::Receive(offer) => {
                    say(&Answer::Go)?;
                    let name = format!("{}@{}", offer.path.as_str().replace('/', "_"), offer.tag);
                    let mut file = File::create(self.folder.join(name))?;
                    while let Some(frame @ (Frame::Chunk(_) | Frame::Zchunk(_))) = self.hear()? {
                        let (Frame::Chunk(bytes) | Frame::Zchunk(bytes)) = frame else { continue };
                        file.write_all(&bytes)?;
                    }
                    say(&Answer::Received(Outcome::Done))?;
                }
            }
        }
        Ok(ExitCode::SUCCESS)
    }

    fn tell(&self, word: &[u8]) -> Fallible<()> {
        let word: words::Word = words::read(word)?;
        let mut asked = File::options().create(true).append(true).open(self.folder.join("asked"))?;
        Ok(writeln!(asked, "{word:?}")?)
    }

    /// The next frame; none once the other side has closed.
    fn hear(&mut self) -> Fallible<Option<Frame>> {
        let mut piece = [0; 65536];
        loop {
            if let Some(frame) = Frames.decode(&mut self.buffer)? {
                return Ok(Some(frame));
            }
            match io::stdin().read(&mut piece)? {
                0 => return Ok(None),
                read => self.buffer.extend_from_slice(&piece[..read]),
            }
        }
    }
}

fn say(answer: &Answer) -> Fallible<()> {
    let mut bytes = BytesMut::new();
    Frames.encode(Frame::of(answer)?, &mut bytes)?;
    shout(&bytes)
}

fn shout(bytes: &[u8]) -> Fallible<()> {
    let mut out = io::stdout();
    out.write_all(bytes)?;
    Ok(out.flush()?)
}

/// What a liar has.
fn row(what: &str) -> Fallible<ReplicaRow> {
    let mut parts = what.split(',');
    let (path, tag) = parts.next().and_then(|name| name.split_once('@')).ok_or("what it has is PATH@TAG")?;
    let (mut guid, mut to, mut from, mut raw) = (0, None, None, false);
    for part in parts {
        match part.split_once('=').unwrap_or((part, "")) {
            ("guid", number) => guid = number.parse()?,
            ("to", number) => to = Some(number.parse()?),
            ("from", number) => from = Some(Guid(number.parse()?)),
            ("raw", "") => raw = true,
            _ => return Err(format!("what it has has no {part}").into()),
        }
    }
    Ok(ReplicaRow {
        path: path.parse()?,
        guid: Guid(guid),
        kind: Kind::Filesystem,
        newest: vec![Arrived { guid: Guid(guid), tag: tag.parse()?, creation: UnixTime(1) }],
        count: 1,
        partial: to.map(|to| Partial { to: Guid(to), from, object: 1 << 40, offset: 1 << 50, bytes: 1 << 60, raw }),
        encrypted: raw,
        written: 0,
        keeping: Keeping::default(),
        retired: false,
    })
}

fn offer(what: &str) -> Fallible<Offer> {
    let mut parts = what.split(',');
    let (path, tag) = parts.next().and_then(|name| name.split_once('@')).ok_or("an offer is PATH@TAG")?;
    let (path, tag) = (text(path)?, text(tag)?);
    let kind = Kind::Filesystem;
    let mut offer = Offer { path, tag, guid: 0, from: None, raw: false, kind, resume: false, bytes: 0 };
    for part in parts {
        match part.split_once('=').unwrap_or((part, "")) {
            ("guid", guid) => offer.guid = guid.parse()?,
            ("from", guid) => offer.from = Some(guid.parse()?),
            ("bytes", bytes) => offer.bytes = bytes.parse()?,
            ("raw", "") => offer.raw = true,
            ("volume", "") => offer.kind = Kind::Volume,
            ("resume", "") => offer.resume = true,
            _ => return Err(format!("an offer has no {part}").into()),
        }
    }
    Ok(offer)
}

fn text(escaped: &str) -> Fallible<String> {
    Ok(String::from_utf8(plain(escaped)?)?)
}

/// With `\xNN` as the byte that it stands for.
fn plain(escaped: &str) -> Fallible<Vec<u8>> {
    let mut parts = escaped.split("\\x");
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        let (number, rest) = part.split_at_checked(2).ok_or("\\x has two digits")?;
        bytes.push(u8::from_str_radix(number, 16)?);
        bytes.extend_from_slice(rest.as_bytes());
    }
    Ok(bytes)
}

fn proxy(socket: &str, target: &str, change: Option<(Vec<u8>, Vec<u8>)>) -> Fallible<ExitCode> {
    for guest in UnixListener::bind(socket)?.incoming() {
        let (guest, host) = (guest?, UnixStream::connect(target)?);
        let (back, forth) = (host.try_clone()?, guest.try_clone()?);
        let change = change.clone();
        thread::spawn(move || pass(forth, host, change.as_ref()));
        thread::spawn(move || pass(back, guest, None));
    }
    Ok(ExitCode::SUCCESS)
}

fn pass(mut from: UnixStream, mut to: UnixStream, change: Option<&(Vec<u8>, Vec<u8>)>) {
    let mut piece = vec![0; 65536];
    while let Ok(read @ 1..) = from.read(&mut piece) {
        if let Some((old, new)) = change
            && let Some(at) = piece[..read].windows(old.len()).position(|bytes| bytes == old)
        {
            piece[at..at + new.len()].copy_from_slice(new);
            println!("changed");
        }
        if to.write_all(&piece[..read]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(std::net::Shutdown::Write);
}
