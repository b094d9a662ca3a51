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

fn commands(found: &[Grant]) -> (Vec<String>, Vec<String>) {
    let difference = compare(&tank(), &Role::ALL, &|_| true, found);
    let missing = difference.missing.iter();
    (
        missing.map(|grant| allow(&grant.who, grant.scope, &grant.permissions, &grant.dataset)).collect(),
        difference.surplus.iter().map(unallow).collect(),
    )
}

#[test]
fn what_is_printed_is_what_is_needed() {
    assert_eq!(commands(&right()), (vec![], vec![]));
    let needs: Vec<String> =
        tank().entries.iter().flat_map(|entry| Role::ALL.map(|role| need(entry, role).unwrap().command())).collect();
    assert_eq!(
        needs,
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
    let difference = compare(&tank(), &[Role::Snap], &|_| true, &found);
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
        need(entry, role)
    };
    assert!(need("tank", Role::Prune).is_none());
    assert!(need("tank/off", Role::Snap).is_none());
    let replica = need("tank/replica", Role::Snap).unwrap();
    assert_eq!(replica.permissions, ["hold", "release"]);
    assert_eq!(given_above(&config, &replica).unwrap().source.as_str(), "tank");
    assert_eq!(given_above(&config, &need("tank/replica", Role::Prune).unwrap()), None);
}
