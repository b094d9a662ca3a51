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

fn printed(config: &Config, roles: &[Role], land: Option<&Land>) -> String {
    Print { config, roles, zfs: OpenZfs::ANY, land }.managed("/etc/zam/zam.toml")
}

#[test]
fn each_command_stands_below_what_it_allows_and_why() {
    let folder = tempfile::tempdir().unwrap();
    let script = "pool tank\n create tank/home/ann/cache tank/home/ben/cache tank/home/off tank/home/cache/deep";
    Admin::open(folder.path()).unwrap().script(script).unwrap();
    let lister = Open::Sim { folder: folder.path().to_owned(), user: "nobody".into() }.lister();
    let land = Land::survey(&*lister).unwrap();
    let text = printed(&config(), &Role::ALL, Some(&land));
    golden::compare(&text, "tests/golden/grant.sh");
}

#[test]
fn names_alone_are_enough() {
    let text = printed(&config(), &[Role::Prune], None);
    golden::compare(&text, "tests/golden/grant-from-names.sh");
}

#[test]
fn every_line_is_a_comment_or_a_command() {
    let text = printed(&config(), &Role::ALL, None);
    assert!(
        text.lines().all(|line| line.is_empty() || line.starts_with('#') || line.starts_with("zfs allow ")),
        "{text}"
    );
}

const REPLICA: &str = r#"
[[managed-datasets]]
source = "tank/home"
recursive = true
snapshot-period = "1h"
destinations = [{ pool = "usb", dataset = "zam" }]

[[managed-datasets]]
source = "tank/home/ann"
recursive = true
destinations = [{ remote-host = "olympus", raw = true }]

[[replicas]]
client = "laptop"
root = "nas/zam/my laptop"
datasets = [{ dataset = "tank/vm", keep = { daily = 7 } }]

[[replicas]]
client = "olympus"
root = "tank/olympus"
prune-period = "never"

[[replicas]]
client = "self"
root = "usb/zam"
"#;

fn replica() -> Config {
    config::load(&[("/etc/zam/zam.toml".to_owned(), REPLICA.to_owned())], &Zone::utc()).unwrap().0
}

fn printed_replica(land: Option<&Land>, zfs: OpenZfs) -> String {
    let config = replica();
    Print { config: &config, roles: &Role::ALL, zfs, land }.replicas("/etc/zam/zam.toml")
}

#[test]
fn a_replica_gets_its_datasets_and_its_grants() {
    let folder = tempfile::tempdir().unwrap();
    Admin::open(folder.path()).unwrap().script("pool tank\n create tank/olympus\n pool nas").unwrap();
    let lister = Open::Sim { folder: folder.path().to_owned(), user: "nobody".into() }.lister();
    let land = Land::survey(&*lister).unwrap();
    golden::compare(&printed_replica(Some(&land), OpenZfs::ANY), "tests/golden/grant-replica.sh");
    let old = printed_replica(None, "2.1.11".parse().unwrap());
    golden::compare(&old, "tests/golden/grant-replica-old.sh");
    let nothing = Print { config: &config(), roles: &Role::ALL, zfs: OpenZfs::ANY, land: None }.replicas("zam.toml");
    assert!(nothing.contains("Nothing: there is no [[replicas]]"), "{nothing}");
}

#[test]
fn who_sends_may_read_and_mark_and_its_marks_can_be_cleared() {
    let print = |zfs| Print { config: &replica(), roles: &Role::ALL, zfs, land: None }.managed("/etc/zam/zam.toml");
    golden::compare(&print("2.3.9".parse().unwrap()), "tests/golden/grant-send.sh");
    let newer = print("2.4.1".parse().unwrap());
    assert!(newer.contains("zfs allow -d -u zam-send send:raw tank/home/ann\n"), "{newer}");
}

#[test]
fn a_shell_understands_every_word_of_it() {
    for text in [printed_replica(None, OpenZfs::ANY), printed(&config(), &Role::ALL, None)] {
        crate::golden::is_shell(&text);
    }
}

#[test]
fn the_guarantee_is_the_kernels_where_that_knows_it() {
    let config = replica();
    let root = roots(&config).next().unwrap();
    assert!(guarantee(root, "2.3.2".parse().unwrap()).contains("append-only by the kernel"));
    assert!(guarantee(root, "2.3.1".parse().unwrap()).contains("holds and zamd-recv alone: OpenZFS 2.3.1"));
}
