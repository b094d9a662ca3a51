use super::*;
use pretty_assertions::assert_eq;
use zam_policy::{Zone, config};

fn config(text: &str) -> Config {
    config::load(&[("zam.toml".to_owned(), text.to_owned())], &Zone::utc()).unwrap().0
}

fn tank() -> Config {
    config(
        r#"
        [default.managed-datasets]
        snapshot-period = "1h"
        [[managed-datasets]]
        source = "tank/home"
        recursive = true
        [[managed-datasets]]
        source = "tank/vm"
        "#,
    )
}

fn grant(dataset: &str, user: &str, scope: GrantScope, permissions: &str) -> Grant {
    let permissions = permissions.split(',').map(str::to_owned).collect();
    Grant { dataset: dataset.parse().unwrap(), who: GrantWho::User(user.into()), scope, permissions }
}

/// What `zamctl grant --print` asks for.
fn right() -> Vec<Grant> {
    vec![
        grant("tank/home", "zam-snap", GrantScope::Both, "hold,release,snapshot"),
        grant("tank/home", "zam-prune", GrantScope::Descendent, "destroy,mount"),
        grant("tank/vm", "zam-snap", GrantScope::Local, "hold,release,snapshot"),
        grant("tank/vm", "zam-prune", GrantScope::Descendent, "destroy,mount"),
    ]
}

/// The commands for each need of each entry.
fn needed(config: &Config, zfs: OpenZfs) -> Vec<String> {
    let needs =
        config.entries.iter().flat_map(|entry| Role::ALL.into_iter().flat_map(move |role| needs(entry, role, zfs)));
    needs.map(|need| need.command()).collect()
}

fn commands(found: &[Grant]) -> (Vec<String>, Vec<String>) {
    let difference = compare(&tank(), &Role::ALL, OpenZfs::ANY, &|_| true, found);
    let missing = difference.missing.iter();
    (
        missing.map(|grant| allow(&grant.who, grant.scope, &grant.permissions, &grant.dataset)).collect(),
        difference.surplus.iter().map(unallow).collect(),
    )
}

#[test]
fn what_is_printed_is_what_is_needed() {
    assert_eq!(commands(&right()), (vec![], vec![]));
    assert_eq!(
        needed(&tank(), OpenZfs::ANY),
        [
            "zfs allow -u zam-snap snapshot,hold,release tank/home",
            "zfs allow -d -u zam-prune destroy,mount tank/home",
            "zfs allow -l -u zam-snap snapshot,hold,release tank/vm",
            "zfs allow -d -u zam-prune destroy,mount tank/vm",
        ]
    );
}

#[test]
fn nothing_granted_is_everything_missing_and_the_commands_mend_it() {
    let (missing, surplus) = commands(&[]);
    assert_eq!(
        missing,
        [
            "zfs allow -d -u zam-prune destroy,mount tank/home",
            "zfs allow -u zam-snap snapshot,hold,release tank/home",
            "zfs allow -d -u zam-prune destroy,mount tank/vm",
            "zfs allow -l -u zam-snap snapshot,hold,release tank/vm",
        ]
    );
    assert!(surplus.is_empty());
}

#[test]
fn a_grant_that_reaches_half_way_is_made_whole() {
    let mut found = right();
    found[0].scope = GrantScope::Local;
    found[1].permissions = vec!["mount".into()];
    let (missing, surplus) = commands(&found);
    assert_eq!(
        missing,
        ["zfs allow -d -u zam-prune destroy tank/home", "zfs allow -d -u zam-snap snapshot,hold,release tank/home",]
    );
    assert!(surplus.is_empty());
}

#[test]
fn what_is_too_much_is_taken_away_and_no_more_than_that() {
    let mut found = right();
    found[1].scope = GrantScope::Both;
    found.push(grant("tank", "zam-snap", GrantScope::Both, "rollback"));
    found.push(grant("tank/other", "zam-prune", GrantScope::Local, "release"));
    found.push(grant("tank", "zam-ssh", GrantScope::Both, "receive"));
    found.push(grant("tank", "ann", GrantScope::Both, "destroy"));
    let (missing, surplus) = commands(&found);
    assert!(missing.is_empty());
    assert_eq!(
        surplus,
        [
            "zfs unallow -u zam-snap rollback tank",
            "zfs unallow -u zam-ssh receive tank",
            "zfs unallow -l -u zam-prune destroy,mount tank/home",
            "zfs unallow -l -u zam-prune release tank/other",
        ]
    );
}

#[test]
fn a_grant_that_is_too_much_gives_nothing_else() {
    let found = [grant("tank", "zam-snap", GrantScope::Both, "snapshot,hold,release")];
    let difference = compare(&tank(), &[Role::Snap], OpenZfs::ANY, &|_| true, &found);
    assert_eq!(difference.missing.len(), 2);
    assert_eq!(unallow(&difference.surplus[0]), "zfs unallow -u zam-snap snapshot,hold,release tank");
}

#[test]
fn both_keys_in_one_hand_are_called_a_danger() {
    for (user, permission) in [("zam-snap", "destroy"), ("zam-prune", "release")] {
        let grant = grant("tank", user, GrantScope::Both, permission);
        assert!(peril(&grant).unwrap().contains("both keys"), "{user} {permission}");
    }
    assert!(peril(&grant("tank/home", "zam-prune", GrantScope::Local, "destroy")).is_some());
    assert_eq!(peril(&grant("tank", "zam-snap", GrantScope::Both, "snapshot")), None);
}

#[test]
fn an_entry_gets_what_it_uses() {
    let config = config(
        r#"
        [[managed-datasets]]
        source = "tank"
        recursive = true
        snapshot-period = "1h"
        prune-period = "never"
        [[managed-datasets]]
        source = "tank/replica"
        recursive = true
        snapshot-period = "never"
        prune-period = "1h"
        [[managed-datasets]]
        source = "tank/off"
        enabled = false
        "#,
    );
    let need = |source: &str, role| {
        let entry = config.entries.iter().find(|entry| entry.source.as_str() == source).unwrap();
        needs(entry, role, OpenZfs::ANY).pop()
    };
    assert!(need("tank", Role::Prune).is_none());
    assert!(need("tank/off", Role::Snap).is_none());
    let replica = need("tank/replica", Role::Snap).unwrap();
    assert_eq!(replica.permissions, ["hold", "release"]);
    assert_eq!(given_above(&config, &replica, OpenZfs::ANY).unwrap().source.as_str(), "tank");
    assert_eq!(given_above(&config, &need("tank/replica", Role::Prune).unwrap(), OpenZfs::ANY), None);
}

const REPLICA: &str = r#"
    [[managed-datasets]]
    source = "tank/home"
    recursive = true
    destinations = [{ remote-host = "olympus" }]
    [[replicas]]
    client = "laptop"
    root = "tank/zam/laptop"
    datasets = [{ dataset = "tank/vm", keep = { daily = 7 } }]
"#;

fn creator(dataset: &str, permissions: &str) -> Grant {
    Grant { who: GrantWho::Creator, ..grant(dataset, "", GrantScope::Local, permissions) }
}

#[test]
fn a_replica_is_given_what_it_needs_once() {
    let config = config(REPLICA);
    let old = "2.1.11".parse().unwrap();
    let lines = |zfs| {
        let difference = compare(&config, &[Role::Recv], zfs, &|_| true, &[]);
        let allow = |grant: &Grant| allow(&grant.who, grant.scope, &grant.permissions, &grant.dataset);
        difference.missing.iter().map(allow).collect::<Vec<_>>()
    };
    assert_eq!(
        lines(OpenZfs::ANY),
        [
            "zfs allow -u zam-recv receive:append,create,hold,mount tank/zam/laptop",
            "zfs allow -c destroy,mount tank/zam/laptop",
        ]
    );
    assert_eq!(lines(old)[0], "zfs allow -u zam-recv receive,create,hold,mount tank/zam/laptop");
}

#[test]
fn what_a_receiver_gets_with_what_it_makes_is_no_surplus() {
    let config = config(REPLICA);
    let mut found = vec![
        grant("tank/zam/laptop", "zam-recv", GrantScope::Both, "receive:append,create,hold,mount"),
        creator("tank/zam/laptop", "destroy,mount"),
        grant("tank/zam/laptop/tank/home", "zam-recv", GrantScope::Local, "destroy,mount"),
        // Not of zam's concern: nothing is received below it.
        creator("tank/home", "snapshot"),
    ];
    let compared = |found: &[Grant]| compare(&config, &[Role::Recv], OpenZfs::ANY, &|_| true, found);
    assert_eq!(compared(&found), Difference::default());
    // These would be its own too: on the root itself, and whatever an ancestor gives to those who make datasets.
    found.push(grant("tank/zam/laptop", "zam-recv", GrantScope::Local, "destroy"));
    found.push(creator("tank", "release"));
    let surplus: Vec<String> = compared(&found).surplus.iter().map(unallow).collect();
    assert_eq!(surplus, ["zfs unallow -c release tank", "zfs unallow -l -u zam-recv destroy tank/zam/laptop"]);
}

#[test]
fn a_receiver_that_could_force_is_a_danger_where_it_need_not() {
    let found = [
        grant("tank/zam/laptop", "zam-recv", GrantScope::Both, "receive,create,hold,mount"),
        creator("tank/zam/laptop", "destroy,mount"),
    ];
    let compared = |zfs| compare(&config(REPLICA), &[Role::Recv], zfs, &|_| true, &found);
    let surplus = compared(OpenZfs::ANY).surplus;
    assert_eq!(unallow(&surplus[0]), "zfs unallow -u zam-recv receive tank/zam/laptop");
    assert!(peril(&surplus[0]).unwrap().contains("receive:append"));
    assert_eq!(compared("2.1.11".parse().unwrap()), Difference::default());
}
