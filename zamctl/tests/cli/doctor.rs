//! What is found wrong, and mended by what is printed.

use crate::stage::{Stage, is_shell};
use pretty_assertions::assert_eq;
use std::{fs, os::unix::fs::PermissionsExt as _, process::Command};
use zam_zfs::sim::Admin;

impl Stage {
    /// What root's shell would do with a command that zamctl printed: to the simulated pools, or really, in this folder.
    pub fn mend(&self, command: &str) {
        let script = |line: &str| Admin::open(&self.path("pools")).unwrap().script(line).unwrap();
        // The rest of the options, `run` adds.
        let command = &command.replace("zamctl --config zam.toml ", "zamctl ");
        let words: Vec<&str> = command.split_whitespace().collect();
        let scope = |words: &[&str]| match words.iter().find_map(|word| word.strip_prefix('-')) {
            Some("l") => "local",
            Some("d") => "descendent",
            _ => "both",
        };
        match words.as_slice() {
            ["zfs", "allow", "-c", permissions, dataset] => script(&format!("allow creator {permissions} {dataset}")),
            ["zfs", "allow", flags @ .., user, permissions, dataset] => {
                script(&format!("allow {user} {} {permissions} {dataset}", scope(flags)));
            }
            ["zfs", "unallow", .., user, _, dataset] => script(&format!("unallow {user} {dataset}")),
            ["zfs", "set", properties @ .., dataset] => {
                properties.iter().for_each(|property| script(&format!("set {property} {dataset}")));
            }
            ["zfs", verb @ ("hold" | "release"), rest @ ..] => script(&format!("{verb} {}", rest.join(" "))),
            ["zfs", "list", rest @ .., dataset] => {
                if self.run(&format!("explain {dataset}")).code != Some(0) {
                    script(&format!("create {dataset}"));
                }
                let properties = rest.iter().filter(|word| word.contains('='));
                properties.for_each(|property| script(&format!("set {property} {dataset}")));
            }
            ["zpool", "import", pool] => script(&format!("exported {pool} off")),
            ["zpool", "clear", pool] => script(&format!("suspended {pool} off")),
            ["zamctl", "prune", "--now"] => script("full tank off"),
            ["zamctl", "setup", "--write"] => drop(self.run("setup --write --dataset tank/srv")),
            ["zamctl", verbs @ .., "|", "sh"] => {
                let printed = self.run(&verbs.join(" ")).out;
                printed.lines().filter(|line| line.starts_with("zfs ")).for_each(|line| self.mend(line));
            }
            ["zamctl", "check" | "explain", ..] => {}
            _ => {
                fs::write(self.path("editor"), "cp zam.toml.good zam.toml\n").unwrap();
                let mut shell = Command::new("sh");
                let shell = shell.args(["-c", command]).env("EDITOR", "sh ./editor").current_dir(self.folder.path());
                assert!(shell.status().unwrap().success(), "{command}");
            }
        }
    }

    /// What `doctor` finds: how bad, by which check, about what, and the commands.
    pub fn findings(&self) -> Vec<(String, String, String, Vec<String>)> {
        let said = self.run("doctor --json");
        let report: serde_json::Value = serde_json::from_str(&said.out).unwrap();
        let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
        let findings = report["findings"].as_array().unwrap().iter().map(|finding| {
            let commands = finding["commands"].as_array().unwrap().iter().map(text).collect();
            (text(&finding["level"]), text(&finding["check"]), text(&finding["about"]), commands)
        });
        let findings: Vec<_> = findings.collect();
        let bad = findings.iter().any(|finding| finding.0 != "note");
        assert_eq!(said.code, Some(if bad { 3 } else { 0 }), "{said:?}");
        findings
    }
}

const WELL: &str = r#"
timezone = "UTC"

[[managed-datasets]]
source = "tank/home"
recursive = true
snapshot-period = "1h"
windows = [ { period = "1h" } ]
destinations = [ { pool = "usb", dataset = "zam" } ]

[[replicas]]
client = "me"
root = "usb/zam"
windows = [ { period = "1h" } ]
"#;

/// All is well, and one dataset is nobody's.
fn well() -> Stage {
    let stage = Stage::with(
        WELL,
        "pool tank\n create tank/home/ann tank/srv\n pool usb\n snapshot tank/home@zam-20200101T000000Z at 1577836800\n
         hold zam tank/home@zam-20200101T000000Z",
    );
    fs::write(stage.path("zam.toml.good"), WELL).unwrap();
    stage.mend("zamctl grant --print --replica | sh");
    stage.mend("zamctl grant --print | sh");
    stage
}

#[test]
fn doctor_finds_nothing_where_all_is_well() {
    let stage = well();
    let note = (
        "note".into(),
        "uncovered".into(),
        "tank/srv".into(),
        vec!["zamctl --config zam.toml explain tank/srv".into()],
    );
    assert_eq!(stage.findings(), [note]);
    let said = stage.run("doctor");
    assert!(said.out.starts_with("# All is well: looked at the config, grants, 6 datasets in 2 pools"), "{}", said.out);
    assert!(said.out.contains("\n# not looked at: this machine, since the pools are simulated\n"), "{}", said.out);
    is_shell(&said.out);
}

#[test]
fn doctor_finds_what_is_wrong_with_pools_and_config_and_what_it_prints_mends_it() {
    let admin = |stage: &Stage, line: &str| Admin::open(&stage.path("pools")).unwrap().script(line).unwrap();
    let config = |stage: &Stage, more: &str| fs::write(stage.path("zam.toml"), WELL.to_owned() + more).unwrap();
    type Spoil<'a> = &'a dyn Fn(&Stage);
    let cases: &[(Spoil<'_>, &str, &str)] = &[
        (&|stage| admin(stage, "unallow zam-prune tank/home"), "grant-missing", "tank/home"),
        (&|stage| admin(stage, "allow zam-prune both release tank/home/ann"), "grant-surplus", "tank/home/ann"),
        (&|stage| admin(stage, "set setuid=on usb/zam"), "replica-properties", "usb/zam"),
        (&|stage| admin(stage, "full tank"), "room", "tank"),
        (&|stage| admin(stage, "suspended tank"), "pool", "tank"),
        (&|stage| admin(stage, "exported usb"), "covers-nothing", "usb/zam"),
        (&|stage| admin(stage, "destroy -r usb/zam"), "covers-nothing", "usb/zam"),
        (
            &|stage| config(stage, "[[managed-datasets]]\nsource = \"tank/hoem\"\nkeep = { hourly = 1 }\n"),
            "covers-nothing",
            "tank/hoem",
        ),
        (&|stage| admin(stage, "release zam tank/home@zam-20200101T000000Z"), "unheld", "tank/home"),
        (
            &|stage| {
                admin(
                    stage,
                    "snapshot tank/srv@zam-20200101T000000Z at 1577836800\n hold zam tank/srv@zam-20200101T000000Z",
                )
            },
            "hold-without-owner",
            "tank/srv",
        ),
        (
            &|stage| fs::set_permissions(stage.path("zam.toml"), fs::Permissions::from_mode(0o666)).unwrap(),
            "config-mode",
            "zam.toml",
        ),
        (
            &|stage| fs::set_permissions(stage.path("zam.toml"), fs::Permissions::from_mode(0o600)).unwrap(),
            "config-mode",
            "zam.toml",
        ),
    ];
    for (spoil, check, about) in cases {
        let stage = well();
        let before = stage.findings();
        spoil(&stage);
        let mut found = stage.findings();
        found.retain(|finding| finding.0 != "note");
        let names: Vec<(&str, &str)> =
            found.iter().map(|(_, check, about, _)| (check.as_str(), about.as_str())).collect();
        assert!(names.iter().all(|name| *name == (*check, *about)) && !names.is_empty(), "{check}: {found:?}");
        found.iter().flat_map(|(.., commands)| commands).for_each(|command| stage.mend(command));
        assert_eq!(stage.findings(), before, "{check}: after {found:?}");
    }
}

#[test]
fn doctor_goes_on_without_a_good_config() {
    let stage = well();
    fs::write(stage.path("zam.toml"), "sorce = 1\n").unwrap();
    let found = stage.findings();
    assert_eq!(
        (found.len(), found[0].1.as_str(), found[0].3.as_slice()),
        (1, "config", &["zamctl --config zam.toml check".to_owned()][..])
    );
    fs::write(stage.path("zam.toml"), "[[managed-datasets]]\nsource = \"tank/home\"\nexclude = [\"x\"]\n").unwrap();
    let odd = stage.findings();
    assert!(odd.iter().any(|finding| finding.1 == "config-odd" && finding.0 == "note"), "{odd:?}");
    let edit = odd.iter().find(|finding| finding.1 == "config-odd").unwrap().3[0].clone();
    assert!(edit.starts_with("${EDITOR:-vi} +"), "{edit}");
    stage.mend(&edit);
    assert!(stage.findings().iter().all(|finding| finding.1 == "uncovered"));
    fs::remove_file(stage.path("zam.toml")).unwrap();
    let found = stage.findings();
    assert_eq!((found.len(), found[0].1.as_str()), (1, "config"));
    stage.mend(&found[0].3[0]);
    assert!(stage.path("zam.toml").exists() && stage.findings().iter().all(|finding| finding.1 != "config"));
}
