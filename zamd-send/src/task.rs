//! What the process does that makes streams: behind the daemon's walls, one thing after the other, and easy to kill.

use serde::{Deserialize, Serialize};
use std::{io, os::fd::AsFd};
use zam_names::{BookmarkName, Target};
use zam_runtime::worker;
use zam_zfs::{Batch, Open, Refusal, SendStep, Sender};

/// What it is asked.
#[derive(Debug, Serialize, Deserialize)]
pub enum Ask {
    /// How many bytes each step will take.
    Estimate(Vec<SendStep>),
    /// Leave a bookmark of each.
    Mark(Vec<(Target, BookmarkName)>),
    /// Write a stream to standard output; the answer comes when all of it is written.
    Send(SendStep),
}

/// What it answers.
#[derive(Debug, Serialize, Deserialize)]
pub enum Said {
    /// As far as ZFS could tell.
    Bytes(Vec<Option<u64>>),
    /// What became of the bookmarks.
    Marked(Batch<BookmarkName>),
    /// The stream is written, or a part of it, and why no more.
    Sent(Result<(), Refusal>),
}

/// The word that starts it.
pub const COPY: &str = "copy";

/// Serves until the daemon closes.
pub fn run(zfs: &Open, order: &str) -> Result<(), String> {
    if order != COPY {
        return Err(format!("this is no task: {order}"));
    }
    let zfs = zfs.for_send();
    let answer = |ask| match ask {
        Ask::Estimate(steps) => Said::Bytes(steps.iter().map(|step| zfs.estimate(step).ok()).collect()),
        Ask::Mark(marks) => Said::Marked(zfs.bookmark(&marks)),
        Ask::Send(step) => Said::Sent(match io::stdout().as_fd().try_clone_to_owned() {
            Ok(out) => zfs.send(&step, out),
            Err(error) => Err(Refusal::Other(error.to_string())),
        }),
    };
    worker::serve(answer).map_err(|error| error.to_string())
}
