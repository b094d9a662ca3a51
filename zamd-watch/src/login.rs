//! What a log-in shell says (`/etc/profile.d/zam.sh`): a file with a line for each alarm, empty when all is well. The line
//! begins with when it became one, in seconds, by which a user who knows leaves it out.

use std::{
    fs::{DirBuilder, Permissions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, PermissionsExt},
    path::Path,
};
use zam_policy::{Zone, alarm::Alarm, explain::moment};

/// The folder below the run folder of zamd-watch that is its own.
pub const FOLDER: &str = "watch/login";
/// So many alarms are written out.
const WRITTEN: usize = 10;

/// The file's text.
pub fn text<'a>(alarms: impl Iterator<Item = &'a Alarm>, zone: &Zone) -> String {
    let mut alarms: Vec<&Alarm> = alarms.filter(|alarm| alarm.known.is_none()).collect();
    alarms.sort_by_key(|alarm| (std::cmp::Reverse(alarm.key.kind.level()), alarm.since));
    let line = |alarm: &&Alarm| {
        let since = alarm.raised.unwrap_or(alarm.since).0;
        let text = format!("{}: {} (since {})", alarm.key.about, alarm.text, moment(alarm.since, zone));
        // It goes to the terminal of whoever logs in; the shell looks at that once more.
        let plain: String = text.chars().map(|c| if c.is_ascii_graphic() || c == ' ' { c } else { '?' }).collect();
        format!("{since} {plain}\n")
    };
    let mut text: String = alarms.iter().take(WRITTEN).map(line).collect();
    if let Some(first) = alarms.get(WRITTEN) {
        let latest = alarms[WRITTEN..].iter().filter_map(|alarm| alarm.raised).max().unwrap_or(first.since);
        text += &format!("{} and {} more\n", latest.0, alarms.len() - WRITTEN);
    }
    text
}

/// Puts it where shells find it, as a whole.
///
/// # Errors
/// If it cannot be written.
pub fn write(runtime_dir: &Path, text: &str) -> io::Result<()> {
    let folder = runtime_dir.join(FOLDER);
    DirBuilder::new().recursive(true).mode(0o755).create(&folder)?;
    let mut file = tempfile::NamedTempFile::new_in(&folder)?;
    file.write_all(text.as_bytes())?;
    file.as_file().set_permissions(Permissions::from_mode(0o644))?;
    file.persist(folder.join("alarms"))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use pretty_assertions::assert_eq;
    use zam_names::UnixTime;
    use zam_policy::alarm::{Key, Kind, Source};

    fn alarm(kind: Kind, about: &str, text: &str) -> Alarm {
        Alarm {
            key: Key::new(kind, "tank", about),
            source: Source::Watch,
            text: text.to_owned(),
            since: UnixTime(60),
            raised: Some(UnixTime(90)),
            told: None,
            known: None,
        }
    }

    #[test]
    fn the_worst_stand_first_and_what_is_known_is_left_out() {
        let known = Alarm { known: Some(UnixTime(100)), ..alarm(Kind::Down, "zamd-snap", "no") };
        let all = [alarm(Kind::Brake, "tank/a", "40 would go"), known, alarm(Kind::Stale, "tank/b", "none for 3 h")];
        assert_eq!(
            text(all.iter(), &Zone::utc()),
            "90 tank/b: none for 3 h (since 1970-01-01 00:01)\n90 tank/a: 40 would go (since 1970-01-01 00:01)\n"
        );
        assert_eq!(text([].iter(), &Zone::utc()), "");
    }

    #[test]
    fn it_is_short_and_plain() {
        let many: Vec<Alarm> = (0..40).map(|n| alarm(Kind::Stale, &format!("tank/{n}"), "\u{9b}31m ä")).collect();
        let text = text(many.iter(), &Zone::utc());
        assert_eq!(text.lines().count(), WRITTEN + 1);
        assert!(text.ends_with("90 and 30 more\n") && text.contains(": ?31m ? (") && text.is_ascii());
    }

    #[test]
    fn everybody_can_read_it_and_it_is_there_as_a_whole() {
        let run = tempfile::tempdir().unwrap();
        for text in ["1 first\n", ""] {
            write(run.path(), text).unwrap();
            let file = run.path().join("watch/login/alarms");
            assert_eq!(std::fs::read_to_string(&file).unwrap(), text);
            assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o644);
        }
        assert_eq!(std::fs::read_dir(run.path().join("watch/login")).unwrap().count(), 1, "nothing is left");
    }
}
