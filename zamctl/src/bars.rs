//! Progress on a terminal: a line for each stream, drawn over the last ones. In a pipe there is none.

use crate::{
    copies::{self, left},
    words,
};
use std::io::{self, IsTerminal as _, Write as _};
use zam_names::UnixTime;
use zam_protocol::send::{CopyState, CopyStatus, Progress, SendStatus};

/// The lines that are drawn now.
pub struct Bars {
    width: Option<usize>,
    drawn: usize,
}

impl Bars {
    /// For the terminal on standard error, if the answer goes to a terminal too.
    #[must_use]
    pub fn new() -> Self {
        let seen = io::stdout().is_terminal() && io::stderr().is_terminal();
        Self { width: crate::out::width().filter(|_| seen), drawn: 0 }
    }

    /// Whether anybody sees them.
    #[must_use]
    pub fn are_seen(&self) -> bool {
        self.width.is_some()
    }

    /// How long a line may be.
    #[must_use]
    pub fn width(&self) -> usize {
        self.width.unwrap_or(80)
    }

    /// Draws these in place of the last ones.
    pub fn draw(&mut self, lines: &[String]) {
        let back = if self.drawn > 0 { format!("\x1b[{}A\x1b[J", self.drawn) } else { String::new() };
        let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
        // Nobody is helped by a failure to draw.
        let _ = io::stderr().lock().write_all((back + &text).as_bytes());
        self.drawn = lines.len();
    }

    /// Takes them away.
    pub fn clear(&mut self) {
        if self.drawn > 0 {
            self.draw(&[]);
        }
    }
}

/// A line for each stream under way, no longer than the terminal is wide, the last for those that do not fit on it.
#[must_use]
pub fn lines(rows: &[SendStatus], now: UnixTime, width: usize) -> Vec<String> {
    let running = |row: &SendStatus| -> Vec<(String, String)> {
        let one = |copy: &CopyStatus| match &copy.state {
            CopyState::Running(progress) => Some((
                format!("{} -> {}", row.dataset, copies::place(copy.host.as_deref(), &copy.path)),
                bar(progress, now),
            )),
            _ => None,
        };
        row.destinations.iter().filter_map(one).collect()
    };
    let mut all: Vec<(String, String)> = rows.iter().flat_map(running).collect();
    let more = all.len().saturating_sub(MOST);
    all.truncate(MOST);
    let mut lines: Vec<String> = all
        .into_iter()
        .map(|(what, bar)| {
            // The bar is what moves, so the name is what is cut.
            let room = width.saturating_sub(bar.chars().count() + 2).max(8);
            format!("{}  {bar}", shortened(&what, room)).chars().take(width).collect()
        })
        .collect();
    if more > 0 {
        lines.push(format!("and {more} more"));
    }
    lines
}

fn bar(progress: &Progress, now: UnixTime) -> String {
    let all = progress.estimated.max(progress.bytes).max(1);
    let share = progress.bytes as f64 / all as f64;
    let full = (share * CELLS as f64) as usize;
    let cells = format!("{}{}", "#".repeat(full), "-".repeat(CELLS.saturating_sub(full)));
    let left = left(progress).unwrap_or_else(|| words::span(now.since(progress.started)));
    format!(
        "{:>3}/{} [{cells}] {:>3}% {:>6} {:>8} {left:>5}",
        progress.step,
        progress.of,
        (share * 100.0) as u32,
        words::bytes(progress.bytes),
        format!("{}/s", words::bytes(progress.rate)),
    )
}

fn shortened(text: &str, room: usize) -> String {
    let long = text.chars().count();
    if long <= room {
        return format!("{text:room$}");
    }
    let end: String = text.chars().skip(long - room + 1).collect();
    format!("…{end}")
}

const CELLS: usize = 20;
/// More than this does not help to see.
const MOST: usize = 10;

#[cfg(test)]
mod tests {
    use super::*;
    use pretty_assertions::assert_eq;

    fn row(dataset: &str, state: CopyState) -> SendStatus {
        let copy = CopyStatus {
            id: "0badcafe".into(),
            host: Some("olympus".into()),
            path: "tank/home".into(),
            last: None,
            newest: None,
            lag_snapshots: 0,
            lag_bytes: None,
            state,
            problems: vec![],
        };
        SendStatus { dataset: dataset.parse().unwrap(), destinations: vec![copy], problems: vec![] }
    }

    fn running(bytes: u64, rate: u64) -> CopyState {
        let snapshot = "zam-20260701T120000Z".parse().unwrap();
        let started = UnixTime(1000);
        CopyState::Running(Progress { step: 3, of: 17, snapshot, bytes, estimated: 400 << 20, rate, started })
    }

    #[test]
    fn a_line_each_that_fits() {
        let rows = [row("tank/home", running(100 << 20, 10 << 20)), row("tank/idle", CopyState::Idle)];
        let at = |width| lines(&rows, UnixTime(1060), width);
        let bar = "  3/17 [#####---------------]  25%   100M  10.0M/s   30s";
        assert_eq!(at(100), [format!("{:42}  {bar}", "tank/home -> olympus:tank/home")]);
        assert_eq!(at(80), [format!("… -> olympus:tank/home  {bar}")]);
        assert!(at(40).iter().all(|line| line.chars().count() <= 40));
        let many: Vec<_> = (0..14).map(|n| row(&format!("tank/{n}"), running(0, 0))).collect();
        assert_eq!(lines(&many, UnixTime(1060), 100).last().unwrap(), "and 4 more");
    }

    #[test]
    fn a_bar_never_runs_over() {
        let rows = [row("tank/home", running(900 << 20, 0))];
        assert!(lines(&rows, UnixTime(1060), 100)[0].contains("[####################] 100%   900M      0/s   60s"));
    }
}
