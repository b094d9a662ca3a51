//! How a copy stands, in words.

use crate::{shell::quoted, words};
use zam_names::{DatasetName, UnixTime};
use zam_protocol::send::{CopyState, CopyStatus, Progress};

/// Where it is.
#[must_use]
pub fn place(host: Option<&str>, path: &str) -> String {
    host.map_or_else(|| path.to_owned(), |host| format!("{host}:{path}"))
}

/// What is not there yet.
#[must_use]
pub fn lag(copy: &CopyStatus) -> String {
    match (copy.lag_snapshots, copy.lag_bytes) {
        (0, _) => "0".to_owned(),
        (snapshots, None) => snapshots.to_string(),
        (snapshots, Some(bytes)) => format!("{snapshots} ({})", words::bytes(bytes)),
    }
}

/// What happens to a copy of `dataset`, with what is wrong in front.
#[must_use]
pub fn state(dataset: &DatasetName, copy: &CopyStatus, now: UnixTime) -> String {
    let problems = || copy.problems.iter().map(String::as_str);
    let state = match &copy.state {
        CopyState::Idle if copy.problems.is_empty() => "ok".to_owned(),
        CopyState::Idle => String::new(),
        // What it waits for has been said then.
        CopyState::Waiting { why, until: None } if problems().any(|said| said == why) => "waits".to_owned(),
        CopyState::Waiting { why, until: Some(until) } if problems().any(|said| said == why) => {
            format!("tried again {}", words::relative(*until, now))
        }
        CopyState::Waiting { why, until: None } => format!("waits: {why}"),
        CopyState::Waiting { why, until: Some(until) } => {
            format!("waits, again {}: {why}", words::relative(*until, now))
        }
        CopyState::Running(progress) => format!("@{}: {}", progress.snapshot, running(progress, now)),
        CopyState::Diverged { common, beyond } => {
            let since = common.as_ref().map(|tag| format!("diverged after @{tag}"));
            let since = since.unwrap_or_else(|| "nothing in common".to_owned());
            let first = beyond.first().map_or_else(|| "changes".to_owned(), |tag| format!("@{tag}"));
            let more = if beyond.len() > 1 { format!(" and {} more", beyond.len() - 1) } else { String::new() };
            let (dataset, to) = (quoted(dataset.as_str()), &copy.id);
            let way = match common {
                Some(_) => format!("zamctl replicate --rotate {dataset} --to {to}"),
                None => format!("zamctl replicate {dataset} --to {to} --full"),
            };
            format!("{since}: the replica has {first}{more}; to go on from the source: {way}")
        }
    };
    let parts = other_problems(copy).chain([state.as_str()]);
    parts.filter(|part| !part.is_empty()).collect::<Vec<_>>().join("; ")
}

/// What is wrong with it, less that it has diverged, where its state says so.
pub fn other_problems(copy: &CopyStatus) -> impl Iterator<Item = &str> {
    let diverged = matches!(copy.state, CopyState::Diverged { .. });
    copy.problems.iter().map(String::as_str).filter(move |problem| !diverged || !problem.starts_with("diverged"))
}

/// How far it is, how fast, and how long it will take.
fn running(progress: &Progress, now: UnixTime) -> String {
    let all = words::bytes(progress.estimated.max(progress.bytes));
    let mut parts = vec![
        format!("step {} of {}", progress.step, progress.of),
        format!("{} of {all}", words::bytes(progress.bytes)),
    ];
    if progress.rate > 0 {
        parts.push(format!("{}/s", words::bytes(progress.rate)));
    }
    parts.extend(left(progress).map(|left| format!("{left} left")));
    parts.push(format!("for {}", words::span(now.since(progress.started))));
    parts.join(", ")
}

/// How long the step will take still, at this rate.
#[must_use]
pub fn left(progress: &Progress) -> Option<String> {
    let left = progress.estimated.checked_sub(progress.bytes).filter(|left| *left > 0)?;
    let seconds = left.checked_div(progress.rate)?;
    Some(words::span(i64::try_from(seconds).ok()?))
}
