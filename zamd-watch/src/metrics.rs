//! What Prometheus and its like read: OpenMetrics, on the loopback; the older text format for who does not ask for that.

use crate::{Watch, ears::Rows, now};
use std::{collections::BTreeMap, fmt::Write as _, rc::Rc, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;
use zam_names::UnixTime;
use zam_protocol::{Role, watch::WatchStatus};
use zam_runtime::keeper::Shared;

/// How long one reader may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often a changed config is noticed.
const NAP: Duration = Duration::from_secs(1);
/// The longest request.
const LONGEST: usize = 8 << 10;
const OPEN: &str = "application/openmetrics-text";

/// Answers, where the config says so, until told to stop.
pub async fn keep(shared: Rc<Shared<Watch>>, stop: CancellationToken) {
    stop.run_until_cancelled(serve(&shared)).await;
}

async fn serve(shared: &Shared<Watch>) {
    let mut open = None;
    loop {
        let wanted = shared.config().watch.metrics;
        if open.as_ref().map(|(at, _)| *at) != wanted {
            open = None;
            if let Some(at) = wanted {
                match TcpListener::bind(at).await {
                    Ok(listener) => open = Some((at, listener)),
                    Err(error) => {
                        tracing::error!(%error, "cannot serve metrics at {at}");
                        sleep(PATIENCE).await;
                    }
                }
            }
        }
        let Some((_, listener)) = &open else {
            sleep(NAP).await;
            continue;
        };
        if let Ok(Ok((stream, _))) = timeout(NAP, listener.accept()).await {
            // One after the other; whoever is slow or breaks off is not waited for.
            let _ = timeout(PATIENCE, answer(stream, shared)).await;
        }
    }
}

async fn answer(mut stream: TcpStream, shared: &Shared<Watch>) -> std::io::Result<()> {
    let mut request = Vec::new();
    while !request.windows(4).any(|end| end == b"\r\n\r\n") {
        if request.len() > LONGEST || stream.read_buf(&mut request).await? == 0 {
            return Ok(());
        }
    }
    let (status, kind, body) = if request.starts_with(b"GET /metrics ") {
        // Names of media types may be written in any case.
        let open = String::from_utf8_lossy(&request).to_ascii_lowercase().contains(OPEN);
        let kind = if open {
            "application/openmetrics-text; version=1.0.0; charset=utf-8"
        } else {
            "text/plain; version=0.0.4; charset=utf-8"
        };
        ("200 OK", kind, exposition(shared, now(), open))
    } else {
        ("404 Not Found", "text/plain", "what there is is at /metrics\n".to_owned())
    };
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all((head + &body).as_bytes()).await
}

/// A text that is being written, family by family.
#[derive(Default)]
struct Text {
    text: String,
    /// OpenMetrics, where a counter's family goes without the ending of its samples.
    open: bool,
}

/// A value and its labels.
type Sample<'a> = (Vec<(&'static str, &'a str)>, f64);

impl Text {
    /// Adds a family, unless it is empty. A counter's samples get their ending.
    fn family<'a>(&mut self, kind: &str, name: &str, help: &str, samples: impl IntoIterator<Item = Sample<'a>>) {
        let mut samples = samples.into_iter().peekable();
        if samples.peek().is_none() {
            return;
        }
        let ending = if kind == "counter" { "_total" } else { "" };
        let head = if self.open { "" } else { ending };
        // Writing into a String does not fail.
        let _ = writeln!(self.text, "# TYPE zam_{name}{head} {kind}\n# HELP zam_{name}{head} {help}");
        for (labels, value) in samples {
            let labels = labels.iter().map(|(key, value)| format!("{key}=\"{}\"", escaped(value)));
            let labels = labels.collect::<Vec<_>>().join(",");
            let braced = if labels.is_empty() { labels } else { format!("{{{labels}}}") };
            let _ = writeln!(self.text, "zam_{name}{ending}{braced} {value}");
        }
    }

    fn gauge<'a>(&mut self, name: &str, help: &str, samples: impl IntoIterator<Item = Sample<'a>>) {
        self.family("gauge", name, help, samples);
    }
}

fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

fn seconds(at: UnixTime) -> f64 {
    at.0 as f64
}

/// All of it, as of now.
fn exposition(shared: &Shared<Watch>, now: UnixTime, open: bool) -> String {
    let mut text = Text { open, ..Text::default() };
    text.gauge("build_info", "The version of zamd-watch.", [(vec![("version", env!("CARGO_PKG_VERSION"))], 1.0)]);
    let rows = shared.rows();
    own(&mut text, &rows, now);
    let ears = shared.common.ears.borrow();
    let up = ears.said.iter().map(|(role, said)| (vec![("role", role.folder())], f64::from(u8::from(said.is_ok()))));
    text.gauge("up", "Whether a daemon answers.", up);
    let said = || ears.said.iter().filter_map(|(role, said)| Some((*role, said.as_ref().ok()?)));
    let problems = said().map(|(role, said)| (vec![("role", role.folder())], said.rows.problems() as f64));
    text.gauge("problems", "What a daemon finds wrong with datasets and copies.", problems);
    let pools = || said().flat_map(|(role, said)| said.pools.iter().map(move |pool| (role, pool)));
    let ticks =
        || pools().filter_map(|(role, pool)| Some((labels(role, pool.name.as_str()), pool.last_tick.as_ref()?)));
    let took = ticks().map(|(labels, tick)| (labels, f64::from(tick.milliseconds) / 1000.0));
    text.gauge("last_round_duration_seconds", "How long the last round with something to do took.", took);
    let done = ticks().map(|(labels, tick)| (labels, f64::from(tick.done)));
    text.gauge("last_round_snapshots", "How many snapshots it took, released or destroyed.", done);
    let failed =
        pools().map(|(role, pool)| (labels(role, pool.name.as_str()), f64::from(u8::from(pool.last_error.is_some()))));
    text.gauge("round_failed", "Whether the last round over a pool failed.", failed);
    for (_, said) in said() {
        others(&mut text, &said.rows);
    }
    alarms(&mut text, shared);
    text.text + if open { "# EOF\n" } else { "" }
}

fn labels(role: Role, pool: &str) -> Vec<(&'static str, &str)> {
    vec![("role", role.folder()), ("pool", pool)]
}

/// What it has seen itself.
fn own(text: &mut Text, rows: &[WatchStatus], now: UnixTime) {
    let each = || rows.iter().map(|row| (vec![("dataset", row.dataset.as_str())], row));
    let newest = each().filter_map(|(labels, row)| Some((labels, seconds(row.newest?))));
    text.gauge("newest_snapshot_timestamp_seconds", "When the newest good snapshot was made, or came.", newest);
    let age = each().filter_map(|(labels, row)| Some((labels, now.since(row.newest?).max(0) as f64)));
    text.gauge("newest_snapshot_age_seconds", "How old that is.", age);
    let after = each().filter_map(|(labels, row)| Some((labels, row.stale_after? as f64)));
    text.gauge("stale_after_seconds", "How old it may be.", after);
    text.gauge(
        "snapshots",
        "How many snapshots there are.",
        each().map(|(labels, row)| (labels, f64::from(row.snapshots))),
    );
    let copies = || {
        each().flat_map(|(labels, row)| {
            row.copies.iter().map(move |copy| ([labels.clone(), vec![("to", copy.to.as_str())]].concat(), copy))
        })
    };
    let behind =
        copies().map(|(labels, copy)| (labels, copy.behind.map_or(0.0, |since| now.since(since).max(0) as f64)));
    text.gauge("copy_lag_seconds", "For how long something has waited to be sent.", behind);
    let newest = copies().filter_map(|(labels, copy)| Some((labels, seconds(copy.newest?))));
    text.gauge("copy_newest_timestamp_seconds", "When the newest that was sent was made.", newest);
}

/// What the others say of datasets.
fn others(text: &mut Text, rows: &Rows) {
    match rows {
        Rows::Send(rows) => {
            let copies = || {
                rows.iter().flat_map(|row| {
                    row.destinations.iter().map(move |copy| {
                        let to = copy.host.as_deref().unwrap_or(&copy.path);
                        (vec![("dataset", row.dataset.as_str()), ("to", to)], copy)
                    })
                })
            };
            let last = copies().filter_map(|(labels, copy)| Some((labels, seconds(copy.last?))));
            text.gauge("copy_last_success_timestamp_seconds", "When a run last ended well.", last);
            let snapshots = copies().map(|(labels, copy)| (labels, f64::from(copy.lag_snapshots)));
            text.gauge("copy_lag_snapshots", "How many snapshots wait to be sent.", snapshots);
            let bytes = copies().filter_map(|(labels, copy)| Some((labels, copy.lag_bytes? as f64)));
            text.gauge("copy_lag_bytes", "About how many bytes they have.", bytes);
        }
        Rows::Prune(rows) => {
            let each = || rows.iter().map(|row| (vec![("dataset", row.dataset.as_str())], row));
            let braked =
                each().map(|(labels, row)| (labels, row.braked.as_ref().map_or(0.0, |brake| f64::from(brake.deaths))));
            text.gauge("braked_snapshots", "How many deaths wait for an approval.", braked);
            let destroyed = each().map(|(labels, row)| (labels, row.destroyed as f64));
            text.family(
                "counter",
                "destroyed_snapshots",
                "How many were destroyed since zamd-prune started.",
                destroyed,
            );
        }
        Rows::Snap(rows) => {
            let each = || rows.iter().map(|row| (vec![("dataset", row.dataset.as_str())], row));
            let held = each().map(|(labels, row)| (labels, f64::from(row.protected)));
            text.gauge("held_snapshots", "How many snapshots zam holds.", held);
        }
        Rows::Recv(_) => {}
    }
}

fn alarms(text: &mut Text, shared: &Shared<Watch>) {
    let Some(kept) = shared.common.kept() else { return };
    let kept = kept.borrow();
    let mut counts: BTreeMap<(&str, &str, &str), u32> = BTreeMap::new();
    for alarm in kept.get().board.standing() {
        let level = if alarm.key.kind.level() == zam_policy::alarm::Level::Critical { "critical" } else { "warning" };
        let known = if alarm.known.is_some() { "true" } else { "false" };
        *counts.entry((alarm.key.kind.name(), level, known)).or_default() += 1;
    }
    // One that is always there, so that its absence is told apart from all being well.
    let all: u32 = counts.values().sum();
    text.gauge("alarms_standing", "How many alarms there are.", [(vec![], f64::from(all))]);
    let samples = counts.into_iter().map(|((kind, level, known), count)| {
        (vec![("kind", kind), ("level", level), ("known", known)], f64::from(count))
    });
    text.gauge("alarms", "How many alarms there are, by kind, level, and whether an operator knows.", samples);
}

#[cfg(test)]
mod tests {
    use super::*;
    use pretty_assertions::assert_eq;
    use zam_protocol::watch::WatchedCopy;

    #[test]
    fn the_format_is_that_of_openmetrics_or_the_older_one() {
        for (open, head) in [(true, "zam_x"), (false, "zam_x_total")] {
            let mut text = Text { open, ..Text::default() };
            text.family("counter", "x", "Things.", [(vec![("dataset", "a\"b\\c\nd")], 3.0), (vec![], 0.5)]);
            text.gauge("none", "Nothing.", []);
            assert_eq!(
                text.text,
                format!(
                    "# TYPE {head} counter\n# HELP {head} Things.\nzam_x_total{{dataset=\"a\\\"b\\\\c\\nd\"}} 3\nzam_x_total 0.5\n"
                )
            );
        }
    }

    #[test]
    fn datasets_and_copies_are_told_with_age_and_lag() {
        let copy = |to: &str, behind| WatchedCopy {
            id: "0".into(),
            to: to.into(),
            newest: Some(UnixTime(800)),
            behind,
            stale_after: None,
        };
        let row = WatchStatus {
            dataset: "tank/a".parse().unwrap(),
            newest: Some(UnixTime(900)),
            snapshots: 7,
            stale_after: Some(60),
            copies: vec![copy("olympus", Some(UnixTime(400))), copy("usb", None)],
        };
        let bare = WatchStatus {
            newest: None,
            stale_after: None,
            copies: vec![],
            dataset: "tank/b".parse().unwrap(),
            ..row.clone()
        };
        let mut text = Text::default();
        own(&mut text, &[row, bare], UnixTime(1000));
        for line in [
            "zam_newest_snapshot_age_seconds{dataset=\"tank/a\"} 100",
            "zam_newest_snapshot_timestamp_seconds{dataset=\"tank/a\"} 900",
            "zam_stale_after_seconds{dataset=\"tank/a\"} 60",
            "zam_snapshots{dataset=\"tank/b\"} 7",
            "zam_copy_lag_seconds{dataset=\"tank/a\",to=\"olympus\"} 600",
            "zam_copy_lag_seconds{dataset=\"tank/a\",to=\"usb\"} 0",
        ] {
            assert!(text.text.lines().any(|have| have == line), "{line}\n{}", text.text);
        }
        assert!(!text.text.contains("age_seconds{dataset=\"tank/b\"}"));
        // Each family once, and all of it below its head.
        let heads: Vec<&str> = text.text.lines().filter_map(|line| line.strip_prefix("# TYPE ")).collect();
        let mut names: Vec<&str> = heads.iter().filter_map(|head| head.split(' ').next()).collect();
        names.sort_unstable();
        let count = names.len();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}
