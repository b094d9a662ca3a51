//! One stream as zamd-send and zamd-recv move it, for the lab to measure and to break.
//!
//! ```text
//! stream send SNAPSHOT GUID [BASE GUID]          to standard output; BASE is a snapshot or a bookmark
//! stream receive SNAPSHOT GUID [GUID]            from standard input; the second GUID is the base's
//! ```
//!
//! With `raw` in front, of encrypted datasets.

use std::error::Error;
use std::io::{stdin, stdout};
use std::os::fd::AsFd;
use zam_names::{Guid, Kind, SnapshotName, Target};
use zam_zfs::{Open, ReceiveStep, Receiver, SendFrom, SendStep, Sender, Shape};

fn main() -> Result<(), Box<dyn Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let (raw, words) = match words.as_slice() {
        ["raw", rest @ ..] => (true, rest),
        rest => (false, rest),
    };
    let guid = |text: &str| text.parse().map(Guid);
    match words {
        ["send", to, of, base @ ..] => {
            let from = match base {
                [] => SendFrom::Nothing,
                [name, of] if name.contains('#') => SendFrom::Bookmark { name: name.parse()?, guid: guid(of)? },
                [name, of] => SendFrom::Snapshot(Target { name: name.parse()?, guid: guid(of)? }),
                _ => return Err("a base has a GUID".into()),
            };
            let shape = Shape { large_blocks: true, compressed: true, embedded: true };
            let step = SendStep { to: Target { name: to.parse()?, guid: guid(of)? }, from, raw, shape, resume: None };
            Ok(Open::Real.for_send().send(&step, stdout().as_fd().try_clone_to_owned()?)?)
        }
        ["receive", to, of, base @ ..] => {
            let name: SnapshotName = to.parse()?;
            let (dataset, tag) = (name.dataset().clone(), name.tag().clone());
            let from = base.first().map(|base| guid(base)).transpose()?;
            let (guid, kind) = (guid(of)?, Kind::Filesystem);
            let step = ReceiveStep { dataset, tag, guid, from, raw, kind, resume: false };
            Ok(Open::Real.for_recv().receive(&step, stdin().as_fd().try_clone_to_owned()?)?)
        }
        _ => {
            Err("usage: stream [raw] send SNAPSHOT GUID [BASE GUID] | stream [raw] receive SNAPSHOT GUID [GUID]".into())
        }
    }
}
