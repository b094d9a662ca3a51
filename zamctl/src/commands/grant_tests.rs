use super::*;
use crate::golden;
use zam_policy::{Zone, config};
use zam_zfs::{Open, sim::Admin};

const CONFIG: &str = r#"
[default.managed-datasets]
snapshot-period = "1h"

[[managed-datasets]]
source = "tank/home"
recursive = true
exclude = ["cache"]

[[managed-datasets]]
source = "tank/home/ann"
recursive = true

[[managed-datasets]]
source = "tank/home/off"
enabled = false

[[managed-datasets]]
source = "tank/my vm"
snapshot-period = "never"

[[managed-datasets]]
source = "tank/new"
prune-period = "never"

[[managed-datasets]]
source = "usb/backup"
recursive = true
"#;

fn config() -> Config {
    config::load(&[("/etc/zam/zam.toml".to_owned(), CONFIG.to_owned())], &Zone::utc()).unwrap().0
}

#[test]
fn each_command_stands_below_what_it_allows_and_why() {
    let folder = tempfile::tempdir().unwrap();
    let script = "pool tank\n create tank/home/ann/cache tank/home/ben/cache tank/home/off tank/home/cache/deep";
    Admin::open(folder.path()).unwrap().script(script).unwrap();
    let lister = Open::Sim { folder: folder.path().to_owned(), user: "nobody".into() }.lister();
    let land = Land::survey(&*lister).unwrap();
    let text = print(&config(), &Role::ALL, Some(&land), "/etc/zam/zam.toml");
    golden::compare(&text, "tests/golden/grant.sh");
}

#[test]
fn names_alone_are_enough() {
    let text = print(&config(), &[Role::Prune], None, "/etc/zam/zam.toml");
    golden::compare(&text, "tests/golden/grant-from-names.sh");
}

#[test]
fn every_line_is_a_comment_or_a_command() {
    let text = print(&config(), &Role::ALL, None, "/etc/zam/zam.toml");
    assert!(
        text.lines().all(|line| line.is_empty() || line.starts_with('#') || line.starts_with("zfs allow ")),
        "{text}"
    );
}
