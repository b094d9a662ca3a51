//! Where something is copied.

use crate::stage::{COPIES, POOLS, Stage, is_shell};
use pretty_assertions::assert_eq;
use std::fs;
use zam_zfs::sim::Admin;

#[test]
fn what_the_other_machine_needs_is_printed_here() {
    let stage = Stage::with(COPIES, POOLS);
    fs::write(stage.path("key.pub"), "ssh-ed25519 AAAAC3Nza zam-send@me\n").unwrap();
    let there = "--client me --root nas/zam/me";
    for (line, word) in [
        ("ssh --print olympus --client me".to_owned(), "ssh-keygen -q -t ed25519 -N '' -C zam-send@me"),
        (
            format!("ssh --print olympus --on replica --key key.pub {there}"),
            "line='restrict,command=\"/usr/bin/zam-receive --client me --root nas/zam/me\" ssh-ed25519 AAAAC3Nza zam-send@me'\n",
        ),
        (
            format!(
                "restore --print tank/home/ann@zam-21000101T000000Z --from olympus --to tank/back --login ann {there}"
            ),
            "ssh ann@olympus 'zfs send -w nas/zam/me/tank/home/ann@zam-21000101T000000Z' | zfs receive -s -u tank/back\n",
        ),
        (
            "restore --print tank/home@zam-21000101T000000Z --from usb --to tank/back".to_owned(),
            "zfs send -w usb/zam/tank/home@zam-21000101T000000Z | zfs receive -s -u tank/back\n",
        ),
        (
            "ssh --print --from me --key key.pub".to_owned(),
            "line='restrict,command=\"/usr/bin/zam-receive --client me --root usb/zam\" ssh-ed25519 AAAAC3Nza zam-send@me'\n",
        ),
        ("grant --print --replica".to_owned(), "zfs allow -u zam-recv receive:append,create,mount,hold usb/zam\n"),
        ("grant --print --openzfs 2.4.1".to_owned(), "zfs allow -d -u zam-send send tank/home\n"),
    ] {
        let said = stage.run(&line);
        assert_eq!((said.code, said.err.as_str()), (Some(0), ""), "{line}");
        assert!(said.out.contains(word), "{line}: {}", said.out);
        is_shell(&said.out);
    }
    let block = stage.run(&format!("replica-config --print olympus {there}"));
    assert_eq!(block.code, Some(0), "{block:?}");
    fs::write(stage.path("there.toml"), &block.out).unwrap();
    assert_eq!(stage.run("check --config there.toml").code, Some(0));
    // More than one destination, none of that name, one that needs no ssh, a root that is nowhere said.
    for line in [
        "ssh --print",
        "ssh --print delphi",
        "ssh --print usb",
        "ssh --print --from delphi --key key.pub",
        "replica-config --print olympus --client me",
    ] {
        assert_eq!(stage.run(line).code, Some(2), "{line}");
    }
}

#[test]
fn where_something_is_copied_who_copies_is_missed() {
    let stage = Stage::with(COPIES, POOLS);
    let status = stage.run("status").out;
    assert!(status.contains("zamd-send does not answer") && status.contains("zamd-recv does not answer"), "{status}");
    for line in ["plan", "explain tank/home"] {
        let said = stage.run(line).out;
        assert!(said.contains("Without what is to be sent, since zamd-send does not answer"), "{line}: {said}");
    }
    for line in ["replicate tank/home -r --to olympus --full --wait", "replicate --rotate tank/home --to usb/zam"] {
        assert_eq!(stage.run(line).code, Some(5), "{line}");
    }
    let nowhere = stage.run("replicate --to delphi");
    assert_eq!(nowhere.code, Some(2), "{nowhere:?}");
    // A pool of this host is received here too, whatever `replicas` says.
    let here = Stage::with("[[managed-datasets]]\nsource = \"tank/home\"\ndestinations = [{ pool = \"usb\" }]", POOLS);
    assert!(here.run("status").out.contains("zamd-recv does not answer"));
    let local = Stage::new();
    assert!(!local.run("status").out.contains("zamd-recv") && !local.run("status").out.contains("zamd-send"));
    assert!(!local.run("plan").out.contains("zamd-send"));
}

#[test]
fn a_replica_is_compared_and_its_guarantee_said() {
    let stage = Stage::with(COPIES, POOLS);
    let admin = Admin::open(&stage.path("pools")).unwrap();
    admin.script("pool usb\n create usb/zam").unwrap();
    let missing = stage.run("grant --check --replica");
    assert_eq!(missing.code, Some(3));
    assert!(missing.out.contains("zfs allow -c destroy,mount usb/zam"), "{}", missing.out);
    assert!(missing.out.contains("# usb/zam: append-only by the kernel"), "{}", missing.out);
    let exposed =
        "zfs set mountpoint=none readonly=on setuid=off exec=off devices=off volmode=none snapdev=hidden usb/zam\n";
    assert!(missing.out.contains(exposed), "{}", missing.out);
    admin
        .script(
            "set mountpoint=none usb/zam\n set readonly=on usb/zam\n set setuid=off usb/zam\n set exec=off usb/zam
             set devices=off usb/zam\n set volmode=none usb/zam\n set snapdev=hidden usb\n allow creator destroy,mount usb/zam
             allow zam-recv both receive:append,create,mount,hold usb/zam",
        )
        .unwrap();
    let good = stage.run("grant --check --replica --role recv");
    assert_eq!(good.code, Some(0), "{good:?}");
    assert!(good.out.ends_with("can add, and cannot roll back, held or not\n"), "{}", good.out);
    admin.script("set setuid=on usb/zam").unwrap();
    assert!(stage.run("grant --check").out.contains("zfs set setuid=off usb/zam\n"));
    let old = stage.run("grant --check --replica --openzfs 2.1.11");
    assert!(old.out.contains("append-only by holds and zamd-recv alone: OpenZFS 2.1.11"), "{}", old.out);
}
