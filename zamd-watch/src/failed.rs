//! Units that failed, as zam-failed@.service writes them down: a file each, with the last lines of its log.

use std::{fs, path::Path, time::UNIX_EPOCH};
use zam_names::UnixTime;
use zam_policy::alarm::{Key, Kind, Source, Trouble};

/// How long a failure is told that did not happen again, in seconds.
const TOLD: i64 = 86_400;
/// Of a log, so many bytes are read, and so many characters told.
const READ: u64 = 16 << 10;
const SHOWN: usize = 220;

/// The failures of the last day.
pub fn troubles(folder: &Path, now: UnixTime) -> Vec<Trouble> {
    let files = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut found = Vec::new();
    for file in files {
        let unit = file.file_name().to_string_lossy().into_owned();
        let Some(when) = modified(&file.path()) else { continue };
        if now.since(when) > TOLD || unit.starts_with('.') {
            continue;
        }
        let daemon = unit.strip_suffix(".service").unwrap_or(&unit).to_owned();
        found.push(Trouble {
            key: Key::new(Kind::Failed, daemon, &unit),
            source: Source::Watch,
            text: format!("it failed: {}", last_lines(&file.path())),
            patience: 0,
        });
    }
    found
}

fn modified(path: &Path) -> Option<UnixTime> {
    let when = fs::symlink_metadata(path).ok().filter(fs::Metadata::is_file)?.modified().ok()?;
    Some(UnixTime(i64::try_from(when.duration_since(UNIX_EPOCH).ok()?.as_secs()).ok()?))
}

/// The end of a log, in one line.
fn last_lines(path: &Path) -> String {
    use std::io::Read as _;
    let mut bytes = Vec::new();
    let read = fs::File::open(path).and_then(|file| file.take(READ).read_to_end(&mut bytes));
    if let Err(error) = read {
        return format!("its log cannot be read: {error}");
    }
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !is_noise(line)).collect();
    let mut shown = 0;
    let fits = |line: &&&str| {
        shown += line.chars().count() + 3;
        shown <= SHOWN
    };
    let mut last: Vec<&str> = lines.iter().rev().take_while(fits).copied().collect();
    if last.is_empty() {
        last.extend(lines.last());
    }
    last.reverse();
    if last.is_empty() { "its log is empty".to_owned() } else { last.join(" / ") }
}

/// What systemd says of each unit that ends, whatever the reason.
fn is_noise(line: &str) -> bool {
    line.is_empty() || line.contains(".service: Consumed ") || line.ends_with(": Triggering OnFailure= dependencies.")
}

#[cfg(test)]
mod tests {
    use super::*;
    use pretty_assertions::assert_eq;

    #[test]
    fn a_failure_is_told_with_its_last_lines_for_a_day() {
        let folder = tempfile::tempdir().unwrap();
        let noise = "a.service: Consumed 11.009s CPU time.\na.service: Triggering OnFailure= dependencies.";
        let log = format!("{}\nkilled\nMain process exited\n{noise}\n\n", "x".repeat(5000));
        fs::write(folder.path().join("zamd-snap.service"), log).unwrap();
        fs::write(folder.path().join(".zamd-prune.service.new"), "half").unwrap();
        let now = modified(&folder.path().join("zamd-snap.service")).unwrap();
        let found = troubles(folder.path(), now);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].key, Key::new(Kind::Failed, "zamd-snap", "zamd-snap.service"));
        assert_eq!(found[0].text, "it failed: killed / Main process exited");
        assert_eq!(troubles(folder.path(), now.plus(TOLD)).len(), 1);
        assert_eq!(troubles(folder.path(), now.plus(TOLD + 1)), []);
        assert_eq!(troubles(&folder.path().join("none"), now), []);
    }
}
