//! What is made of others' configs.

use crate::stage::Stage;
use pretty_assertions::assert_eq;
use std::fs;

#[test]
fn a_foreign_config_that_is_wrong_prints_no_config() {
    let stage = Stage::new();
    fs::write(stage.path("sanoid.conf"), "[tank/home]\nhourly = 3\n[tank/home/x]\nhuorly = 3\n").unwrap();
    let wrong = stage.run("import sanoid sanoid.conf");
    assert_eq!((wrong.code, wrong.out.as_str()), (Some(2), ""));
    assert!(wrong.err.contains("sanoid.conf:4: sanoid has no key \"huorly\""), "{}", wrong.err);
    let gone = stage.run("import zrepl gone.yml");
    assert_eq!((gone.code, gone.out.as_str()), (Some(2), ""));
    assert!(gone.err.contains("cannot read gone.yml"), "{}", gone.err);
    // It reads well, and zam cannot do it: two clients below one root.
    let pull =
        "{type: pull, name: a, root_fs: nas/a, connect: {type: tcp, address: \"a:1\"}, pruning: {keep_receiver: []}}";
    fs::write(stage.path("z.yml"), format!("jobs: [{pull}, {pull}]")).unwrap();
    let overlap = stage.run("import zrepl z.yml");
    assert_eq!((overlap.code, overlap.out.as_str()), (Some(2), ""));
    assert!(overlap.err.contains("overlap"), "{}", overlap.err);
}

#[test]
fn all_pools_are_those_of_this_machine() {
    let stage = Stage::new();
    fs::write(stage.path("cron"), "zfs-auto-snapshot -l hourly -k 24 //\n").unwrap();
    let said = stage.run("import zfs-auto-snapshot cron");
    assert_eq!((said.code, said.err.as_str()), (Some(0), ""));
    assert!(said.out.contains("source = \"tank\"\nrecursive = true\nsnapshot-period = \"1h\""), "{}", said.out);
}

#[test]
fn a_replica_on_another_machine_needs_its_listing() {
    let stage = Stage::new();
    fs::write(stage.path("sanoid.conf"), "[tank/home]\nrecursive = yes\n").unwrap();
    let blind = stage.run("import sanoid sanoid.conf --replica tank/home=olympus:nas/home");
    assert_eq!((blind.code, blind.out.as_str()), (Some(2), ""));
    assert!(
        blind.err.contains("ssh olympus 'zfs get -Hpr ") && blind.err.contains(" nas/home' >FILE"),
        "{}",
        blind.err
    );

    // The identities are those of the snapshots here.
    let names = ["tank/home@zam-21000101T060000Z", "tank/home@mine"].map(|name| name.parse().unwrap());
    let open = zam_zfs::Open::Sim { folder: stage.path("pools"), user: "nobody".to_owned() };
    let details = open.lister().details(&names).unwrap();
    let mut listing = String::new();
    let dataset = [
        ("type", "filesystem"),
        ("guid", "1"),
        ("encryption", "off"),
        ("readonly", "off"),
        ("written", "0"),
        ("receive_resume_token", "-"),
    ];
    for (property, value) in dataset {
        listing += &format!("nas/home\t{property}\t{value}\n");
    }
    for (name, snapshot) in details {
        for (property, value) in
            [("guid", snapshot.guid.0), ("createtxg", snapshot.createtxg.0), ("creation", 4_102_466_400)]
        {
            listing += &format!("nas/home@{}\t{property}\t{value}\n", name.tag());
        }
    }
    fs::write(stage.path("there"), listing).unwrap();
    let said = stage.run("import sanoid sanoid.conf --replica tank/home=olympus:nas/home --listing there");
    assert_eq!((said.code, said.err.as_str()), (Some(0), ""));
    for line in [
        "#    zfs bookmark tank/home@mine 'tank/home#before-zam'",
        "# First, on olympus, as root:\n#    zfs set readonly=on nas/home\n",
        "#    tank/home@mine (GUID ",
        "#    tank/home/ann: the replica has no such dataset\n",
        "destinations = [{ remote-host = \"olympus\", pool = \"nas\", dataset = \"home\" }]",
    ] {
        assert!(said.out.contains(line), "{line:?} is not in {}", said.out);
    }
    for idle in ["--listing there --replica tank/home=tank/srv", "--client me"] {
        let said = stage.run(&format!("import sanoid sanoid.conf {idle}"));
        assert_eq!((said.code, said.out.as_str()), (Some(2), ""), "{idle}");
        assert!(said.err.contains("does nothing here"), "{}", said.err);
    }
    let alone = stage.run("import sanoid sanoid.conf --replica tank/home=tank/home/ann");
    assert_eq!(alone.out, "", "within itself: {}", alone.err);
    assert_eq!(alone.code, Some(2));
}
