//! Its manuals, examples and what people are told: they know what the programs know.

use crate::read;
use pretty_assertions::assert_eq;
use std::{collections::BTreeSet, fs, path::Path, process::Command};
use zam_policy::{Zone, config::load};
use zam_protocol::Role;
use zam_runtime::{args::Args, role::user};
use zam_tests::{built, files, top};

#[test]
fn the_manual_of_a_daemon_has_its_options_and_folders() {
    for role in Role::ALL {
        let page = manual(role.daemon());
        let command = Args::command(role, "");
        let known: BTreeSet<String> =
            command.get_arguments().filter_map(|arg| arg.get_long()).map(str::to_owned).collect();
        assert!(known.contains("simulate"));
        let always = ["help", "version"].map(str::to_owned);
        assert_eq!(options(&page), &known | &BTreeSet::from(always), "{role}");
        let sockets = role.doors().iter().map(|&door| role.socket(Path::new("/run/zam"), door).display().to_string());
        let folder = format!("/var/lib/zam/{}", role.folder());
        for word in sockets.chain([folder, user(role).to_owned()]) {
            assert!(page.contains(&word), "{role}: {word}");
        }
    }
}

#[test]
fn the_manuals_of_zam_receive_and_zam_hook_have_their_options() {
    for (program, words) in [
        ("zam-receive", ["client", "zam-ssh", "/etc/zam/authorized_keys"]),
        ("zam-hook", ["peer", "zam-snap", "/run/zam/hook/NAME.sock"]),
    ] {
        let help = Command::new(built(program)).arg("--help").output().unwrap();
        let help = String::from_utf8(help.stdout).unwrap();
        let known = help.split_whitespace().filter_map(|word| word.strip_prefix("--"));
        let known: BTreeSet<String> = known.map(str::to_owned).collect();
        let page = manual(program);
        assert_eq!(options(&page), known);
        assert!(known.contains(words[0]) && words.iter().all(|word| page.contains(word)), "{help}");
    }
}

/// What the dashboard and the rules ask for is what zamd-watch gives.
#[test]
fn the_dashboard_and_the_rules_know_the_metrics() {
    let source = read("zamd-watch/src/metrics.rs");
    for file in ["grafana-dashboard.json", "zam.rules.yml"] {
        let text = read(&format!("packaging/prometheus/{file}"));
        let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
        let asked: BTreeSet<&str> = words.filter_map(|word| word.strip_prefix("zam_")).collect();
        assert!(!asked.is_empty());
        for name in asked {
            assert!(source.contains(&format!("\"{name}\",")), "{file} asks for zam_{name}");
        }
    }
    let dashboard: serde_json::Value =
        serde_json::from_str(&read("packaging/prometheus/grafana-dashboard.json")).unwrap();
    assert!(dashboard["panels"].as_array().is_some_and(|panels| panels.len() > 5));
}

fn manual(program: &str) -> String {
    read(&format!("packaging/man/{program}.8")).replace("\\-", "-")
}

/// In the synopsis and in the list: each once at least.
fn options(page: &str) -> BTreeSet<String> {
    let written = page.lines().flat_map(|line| line.split("\\fB--").skip(1)).filter_map(|rest| rest.split('\\').next());
    written.map(str::to_owned).collect()
}

#[test]
fn the_example_loads_without_a_warning() {
    for path in files(&top().join("packaging/examples"), ".toml") {
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let text = fs::read_to_string(&path).unwrap();
        let (config, warnings) = load(&[(name, text)], &Zone::utc()).unwrap_or_else(|errors| panic!("{errors}"));
        assert!(warnings.is_empty(), "{warnings:?}");
        assert!(!config.entries.is_empty());
    }
}

#[test]
fn the_role_table_of_the_readme_is_that_of_the_units() {
    let readme = read("README.md");
    let rows: Vec<Vec<&str>> = readme
        .lines()
        .filter(|line| line.starts_with("| zamd-") || line.starts_with("| `zamd-"))
        .map(|line| line.trim_matches('|').split('|').map(|cell| cell.trim().trim_matches('`')).collect())
        .collect();
    let table: Vec<_> = rows.iter().map(|row| (row[0], row[1])).collect();
    let units = Role::ALL.map(|role| (role.daemon(), user(role)));
    assert_eq!(table, units, "README.md: the table whose rows begin with `| zamd-… | USER |`");
    for document in ["docs/architecture.md", "SECURITY.md"] {
        let text = read(document);
        for (daemon, user) in units {
            let is_row = |line: &str| line.starts_with(&format!("| {daemon}")) && line.contains(&format!("| {user} |"));
            assert!(text.lines().any(is_row), "{document}: no row of {daemon} with {user}");
        }
    }
}

/// What an interactive shell says at its start, of a file with this text.
fn login(shell: &str, alarms: &str, before: Option<&str>) -> String {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("alarms");
    fs::write(&file, alarms).unwrap();
    let script = home.path().join("zam.sh");
    fs::write(
        &script,
        read("packaging/profile.d/zam.sh").replace("/run/zam/watch/login/alarms", file.to_str().unwrap()),
    )
    .unwrap();
    if let Some(before) = before {
        fs::create_dir_all(home.path().join(".local/share/zam")).unwrap();
        fs::write(home.path().join(".local/share/zam/alerts-before"), before).unwrap();
    }
    let output = Command::new(shell)
        .args(["-i", "-c", ". \"$1\"", "sh"])
        .arg(&script)
        // With no program to be found it does all by itself.
        .env_clear()
        .env("HOME", home.path())
        .env("PATH", "/nonexistent")
        .stdin(std::process::Stdio::null())
        .output()
        .unwrap();
    assert!(output.status.success() && output.stdout.is_empty(), "{output:?}");
    let said = String::from_utf8(output.stderr).unwrap();
    // Without a terminal shells have something to say of their own.
    said.lines()
        .filter(|line| line.starts_with("zam:") || line.starts_with("  "))
        .map(|line| line.to_owned() + "\n")
        .collect()
}

/// R-WATCH-5
#[test]
fn log_in_shells_say_what_is_wrong_in_plain_lines_and_else_nothing() {
    let head = "zam: something is wrong (`zamctl alerts`: what to do; `zamctl alerts --ack`: I know)\n";
    let shells: Vec<&str> =
        ["/bin/sh", "/bin/dash", "/bin/bash"].into_iter().filter(|shell| Path::new(shell).exists()).collect();
    assert!(!shells.is_empty());
    for shell in shells {
        let stale = "100 tank/a: no good snapshot for 3 h\n";
        assert_eq!(login(shell, "", None), "", "{shell}: all is well");
        assert_eq!(login(shell, stale, None), format!("{head}  tank/a: no good snapshot for 3 h\n"), "{shell}");
        assert_eq!(login(shell, stale, Some("101\n")), "", "{shell}: known");
        assert_ne!(login(shell, stale, Some("100\n")), "", "{shell}: new since");
        assert_ne!(login(shell, stale, Some("$(reboot)\n")), "", "{shell}: no date");
        for bad in ["100 \x1b[31mred\n", "100 ä\n", "x tank/a\n", "99999999999999999999 tank/a\n", "100 a\tb\n"] {
            assert_eq!(login(shell, bad, None), "", "{shell}: {bad:?}");
        }
        let code = "100 $(touch /tmp/x) `id` \\033[31m %s ; exit\n";
        assert_eq!(login(shell, code, None), format!("{head}  {}", &code[4..]), "{shell}: words, not code");
        assert_eq!(login(shell, &stale.repeat(1000), None).lines().count(), 13, "{shell}");
    }
}
