use crate::world::{QUICK, TREE, World, wait_for};
use serde_json::Value;
use std::{
    fs,
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
};
use zam_tests::sink;

/// What `zamctl alerts --json` says, as `kind about`.
fn alarms(world: &World) -> Vec<String> {
    let all = world.json(&["alerts", "--json"]);
    let text = |row: &Value, key: &str| row[key].as_str().unwrap().to_owned();
    all.as_array().unwrap().iter().map(|row| format!("{} {}", text(row, "kind"), text(row, "about"))).collect()
}

fn has(world: &World, alarm: &str) -> bool {
    alarms(world).iter().any(|one| one == alarm)
}

fn code(world: &World, words: &[&str]) -> Option<i32> {
    world.zamctl(words).status.code()
}

fn login(world: &World) -> String {
    fs::read_to_string(world.path("run/watch/login/alarms")).unwrap_or_default()
}

/// Three daemons, and all is well.
fn watched(config: &str) -> World {
    let mut world = World::running(TREE, config);
    world.start("watch");
    wait_for("a tick", || world.count("tank/home") > 0);
    wait_for("that all is well", || alarms(&world).is_empty() && login(&world).is_empty());
    world
}

#[test]
fn a_daemon_that_is_gone_is_heard_and_so_is_what_it_leaves_undone_and_both_end() {
    let mut world = watched(QUICK);
    assert_eq!(code(&world, &["alerts"]), Some(0));
    world.end("snap", "-KILL");
    wait_for("the alarms", || has(&world, "down zamd-snap") && has(&world, "stale tank/home"));
    assert_eq!(code(&world, &["alerts"]), Some(3));
    assert_eq!(code(&world, &["health"]), Some(2));
    wait_for("what log-in shells say", || login(&world).contains("tank/home: no good snapshot for"));
    assert!(world.log("watch").contains("critical: zamd-snap: it does not answer"), "the journal has it");
    world.start("snap");
    wait_for("the end of all alarms", || alarms(&world).is_empty() && login(&world).is_empty());
    assert_eq!(code(&world, &["health"]), Some(0));
    assert!(world.log("watch").contains("over: "), "and the end");
}

#[test]
fn alarms_outlive_a_restart_and_what_is_known_stays_known() {
    let mut world = watched(QUICK);
    world.end("snap", "-KILL");
    wait_for("the alarm", || has(&world, "stale tank/home") && has(&world, "down zamd-snap"));
    let since = |world: &World| {
        let all = world.json(&["alerts", "--json"]);
        let stale = all.as_array().unwrap().iter().find(|row| row["about"] == "tank/home").cloned().unwrap();
        (stale["since"].clone(), stale["known"].clone())
    };
    let before = since(&world);
    assert_eq!(before.1, false);
    world.end("watch", "-KILL");
    assert_eq!(code(&world, &["health"]), Some(3), "nobody answers");
    world.start("watch");
    assert_eq!(since(&world), before);
    wait_for("all stale datasets", || alarms(&world).len() == 5);
    assert!(world.say(&["alerts", "--ack", "--all"]).contains("5 new alarms"));
    assert_eq!((code(&world, &["alerts"]), since(&world).1), (Some(0), true.into()));
    wait_for("silence at log-in", || login(&world).is_empty());
    world.end("watch", "-KILL");
    world.start("watch");
    assert_eq!(since(&world), (before.0, true.into()));
}

#[test]
fn what_one_user_knows_is_told_to_the_others() {
    let mut world = watched(QUICK);
    world.end("snap", "-TERM");
    wait_for("the alarms", || alarms(&world).len() == 5);
    world.say(&["alerts", "--ack"]);
    assert_eq!(code(&world, &["alerts"]), Some(0));
    assert!(fs::read_to_string(world.path("data/zam/alerts-before")).unwrap().trim().parse::<u64>().is_ok());
    assert!(!login(&world).is_empty(), "others are told");
    assert_eq!(code(&world, &["health"]), Some(2));
    fs::remove_file(world.path("data/zam/alerts-before")).unwrap();
    assert_eq!(code(&world, &["alerts"]), Some(3));
}

#[test]
fn a_unit_that_failed_is_told_with_the_end_of_its_log() {
    let world = watched(QUICK);
    fs::create_dir_all(world.path("state/watch/failed")).unwrap();
    fs::write(world.path("state/watch/failed/zamd-prune.service"), "first\nkilled by signal 9\n").unwrap();
    wait_for("the alarm", || has(&world, "failed zamd-prune.service"));
    let text = world.say(&["alerts"]);
    assert!(text.contains("killed by signal 9") && text.contains("journalctl -u zamd-prune.service"), "{text}");
    assert_eq!(code(&world, &["health"]), Some(1));
}

#[test]
fn a_pool_that_is_away_is_told_once_and_not_for_each_dataset() {
    let world = watched(QUICK);
    world.admin("exported tank");
    let own = ["stale", "trouble"].map(|kind| format!("{kind} tank/home"));
    wait_for("the pool's alarm", || has(&world, "pool tank"));
    assert!(own.iter().all(|alarm| !has(&world, alarm)), "{:?}", alarms(&world));
    world.admin("exported tank off");
    wait_for("its end", || alarms(&world).is_empty());
}

#[test]
fn a_copy_that_does_not_come_about_is_told_by_destination() {
    let config = QUICK.replace(
        "prune-period",
        "replication-period = \"1s\"\ndestinations = [{ remote-host = \"olympus\", stale-after = \"3s\" }]\nprune-period",
    );
    let mut world = World::running(TREE, &config);
    world.ssh("exit 255\n");
    world.start("send");
    world.start("watch");
    wait_for("the copy's alarm", || has(&world, "behind tank/home"));
    let all = world.json(&["alerts", "--json"]);
    let behind = all.as_array().unwrap().iter().find(|row| row["kind"] == "behind").unwrap();
    assert_eq!(behind["place"], "olympus");
    assert!(behind["todo"].as_str().unwrap().contains("zamctl replicate tank --to olympus"), "{behind}");
}

#[test]
fn a_config_that_was_refused_is_told_until_it_is_mended() {
    let world = watched(QUICK);
    world.configure("managed-datasets = 3");
    for role in ["snap", "watch"] {
        world.signal(role, "-HUP");
    }
    wait_for("the alarms", || has(&world, "config zamd-snap") && has(&world, "config zamd-watch"));
    world.configure(QUICK);
    for role in ["snap", "watch"] {
        world.signal(role, "-HUP");
    }
    wait_for("their end", || alarms(&world).is_empty());
}

/// What came, in its order.
#[derive(Clone, Default)]
struct Came(Arc<Mutex<Vec<String>>>);

impl Came {
    fn add(&self, text: String) {
        self.0.lock().unwrap().push(text);
    }

    fn all(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }

    fn has(&self, part: &str) -> bool {
        self.all().iter().any(|text| text.contains(part))
    }
}

/// A server on the loopback, and its port.
fn listener() -> (TcpListener, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

#[test]
fn the_beginning_and_the_end_go_out_by_mail_webhook_and_program_and_the_ping_stays_away() {
    let (smtp, mail_port) = listener();
    let (http, web_port) = listener();
    let (mails, posts, pings) = (Came::default(), Came::default(), Came::default());
    let mut refused = 2;
    let taken = Mutex::new(move || {
        refused -= 1;
        refused >= 0
    });
    let (to_posts, to_pings) = (posts.clone(), pings.clone());
    sink::smtp(smtp, {
        let mails = mails.clone();
        move |mail| mails.add(mail)
    });
    sink::http(http, move |first, body| match first.split(' ').nth(1).unwrap() {
        "/ping/secret" => {
            to_pings.add(first);
            200
        }
        // A server that has a bad day at first.
        _ if taken.lock().unwrap()() => 503,
        _ => {
            to_posts.add(body);
            204
        }
    });
    let mut world = World::new(TREE, QUICK);
    let program = world.path("tell");
    // Behind zamd-watch's walls it writes where that one does.
    zam_tests::script(&program, &format!("cat >>{}\necho >>{0}", world.path("run/watch/told").display()));
    fs::create_dir(world.path("credentials")).unwrap();
    fs::write(world.path("credentials/zam_ping"), format!("http://127.0.0.1:{web_port}/ping/secret\n")).unwrap();
    world.configure(&format!(
        "{QUICK}\n[watch]\nmail = {{ to = [\"you@example.org\"], from = \"zam@example.org\", smtp = \"smtp://127.0.0.1:{mail_port}\" }}\n\
         webhook = \"http://127.0.0.1:{web_port}/hook\"\nprogram = [\"{}\"]\nping = {{ url = \"credential:ping\", period = \"1s\" }}\n",
        program.display()
    ));
    for role in ["snap", "prune", "watch"] {
        world.start(role);
    }
    wait_for("a ping", || !pings.all().is_empty());
    assert!(!has(&world, "undelivered ping"));
    world.end("snap", "-KILL");
    wait_for("a mail", || mails.has("Subject: [zam]") && mails.has("tank/home: no good snapshot"));
    assert!(
        mails.all().iter().any(|mail| mail.contains("To: you@example.org") && mail.contains("what to do: `zamctl"))
    );
    let told_in = world.path("run/watch/told");
    let told = || fs::read_to_string(&told_in).unwrap_or_default();
    wait_for("the program's", || told().contains("\"news\":\"begins\"") && told().contains("tank/home"));
    wait_for("the webhook's, tried again", || posts.has("\"kind\":\"stale\"") && posts.has("\"kind\":\"down\""));
    let post: Value = serde_json::from_str(&posts.all()[0]).unwrap();
    assert_eq!((&post["news"], &post["level"]), (&"begins".into(), &"critical".into()));
    let stale = posts.all().iter().filter(|post| post.contains("\"kind\":\"stale\"")).count();
    assert!(stale <= 2, "one message for all datasets of a cause, and one for latecomers: {stale}");
    let before = pings.all().len();
    std::thread::sleep(std::time::Duration::from_secs(3));
    assert!(pings.all().len() <= before + 1, "no ping while something is wrong");
    world.start("snap");
    wait_for("the end, by all ways", || {
        mails.has("over: ") && posts.has("\"news\":\"ends\"") && told().contains("\"news\":\"ends\"")
    });
    wait_for("pings again", || pings.all().len() > before + 1);
    assert!(!world.log("watch").contains("secret"), "what a credential says is not told");
}

#[test]
fn what_cannot_be_delivered_is_kept_over_a_restart() {
    let (listener, port) = listener();
    drop(listener);
    let mut world = World::new(TREE, QUICK);
    world.configure(&format!("{QUICK}\n[watch]\nwebhook = \"http://127.0.0.1:{port}/hook\"\n"));
    world.start("prune");
    world.start("watch");
    wait_for("the attempt", || world.log("watch").contains("webhook does not work"));
    wait_for("it is written down", || {
        fs::read_to_string(world.path("state/watch/alarms.json")).is_ok_and(|text| text.contains("\"way\":\"webhook\""))
    });
    world.end("watch", "-KILL");
    let posts = Came::default();
    sink::http(TcpListener::bind(("127.0.0.1", port)).unwrap(), {
        let posts = posts.clone();
        move |_, body| {
            posts.add(body);
            200
        }
    });
    world.start("watch");
    wait_for("it arrives", || posts.has("\"about\":\"zamd-snap\""));
}

#[test]
fn metrics_are_served_on_the_loopback_where_the_config_says_so() {
    let (listener, port) = listener();
    drop(listener);
    let mut world = World::running(TREE, QUICK);
    world.start("watch");
    let get = |path: &str| get(port, path);
    assert_eq!(get("/metrics"), None, "not unasked");
    world.configure(&format!("{QUICK}\n[watch]\nmetrics = \"127.0.0.1:{port}\"\n"));
    world.signal("watch", "-HUP");
    let well = [
        "zam_newest_snapshot_age_seconds{dataset=\"tank/home\"} ",
        "zam_up{role=\"snap\"} 1\n",
        "zam_alarms_standing 0\n",
    ];
    wait_for("metrics", || get("/metrics").is_some_and(|text| well.iter().all(|line| text.contains(line))));
    let text = get("/metrics").unwrap();
    assert!(text.contains("content-type: text/plain; version=0.0.4") && !text.contains("EOF"), "{text}");
    // With a header more.
    let text = get("/metrics HTTP/1.0\r\nAccept: application/OpenMetrics-text; version=1.0.0\r\nx: ").unwrap();
    assert!(text.contains("content-type: application/openmetrics-text") && text.ends_with("\n# EOF\n"), "{text}");
    assert!(get("/etc/passwd").unwrap().starts_with("HTTP/1.1 404 "));
    world.end("snap", "-KILL");
    wait_for("the alarm", || {
        get("/metrics")
            .is_some_and(|text| text.contains("zam_alarms{kind=\"down\",level=\"critical\",known=\"false\"} 1\n"))
    });
}

/// What a server on the loopback answers, with its head.
fn get(port: u16, path: &str) -> Option<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.write_all(format!("GET {path} HTTP/1.0\r\nhost: localhost\r\n\r\n").as_bytes()).ok()?;
    let mut text = String::new();
    stream.read_to_string(&mut text).ok()?;
    Some(text)
}

/// Prometheus' own programs: from `ZAM_TEST_PROMETHEUS`, a folder, which CI has; else none is tried.
#[test]
fn a_real_prometheus_reads_the_metrics_and_raises_the_alerts() {
    let Some(tools) = std::env::var_os("ZAM_TEST_PROMETHEUS").map(PathBuf::from) else {
        eprintln!("SKIPPED: ZAM_TEST_PROMETHEUS does not say where promtool and prometheus are");
        return;
    };
    let ports = [(); 2].map(|()| listener()).map(|(listener, port)| {
        drop(listener);
        port
    });
    let [port, server] = ports;
    let mut world = World::new(TREE, &format!("{QUICK}\n[watch]\nmetrics = \"127.0.0.1:{port}\"\n"));
    world.start("snap");
    world.start("prune");
    world.start("watch");
    let full = || get(port, "/metrics").filter(|text| text.contains("zam_destroyed_snapshots_total{"));
    wait_for("metrics", || full().is_some());
    let text = full().unwrap();
    let (_, body) = text.split_once("\r\n\r\n").unwrap();
    let promtool = |args: &[&str], input: &str| {
        let mut child = Command::new(tools.join("promtool"))
            .args(args)
            .current_dir(world.path(""))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        (output.status.success(), [output.stdout, output.stderr].map(|said| String::from_utf8(said).unwrap()).concat())
    };
    assert_eq!(promtool(&["check", "metrics"], body), (true, String::new()), "{body}");
    let (fine, said) = promtool(&["check", "metrics"], "# TYPE zam_x counter\nzam_x 1\n");
    assert!(!fine && said.contains("_total"), "control: what is not well named it does not like: {said}");

    let rules = concat!(env!("CARGO_MANIFEST_DIR"), "/../packaging/prometheus/zam.rules.yml");
    let config = format!(
        "global: {{ scrape_interval: 1s, evaluation_interval: 1s }}\nrule_files: [{rules}]\n\
         scrape_configs: [{{ job_name: zam, static_configs: [{{ targets: [\"127.0.0.1:{port}\"] }}] }}]\n"
    );
    let file = world.path("prometheus.yml");
    fs::write(&file, config).unwrap();
    let (fine, said) = promtool(&["check", "config", file.to_str().unwrap()], "");
    assert!(fine, "{said}");
    let prometheus = Command::new(tools.join("prometheus"))
        .arg(format!("--config.file={}", file.display()))
        .arg(format!("--storage.tsdb.path={}", world.path("tsdb").display()))
        .arg(format!("--web.listen-address=127.0.0.1:{server}"))
        .args(["--log.level=error"])
        .spawn()
        .unwrap();
    let _prometheus = Killed(prometheus);
    let asked = |query: &str| get(server, &format!("/api/v1/query?query={query}")).unwrap_or_default();
    wait_for("it scrapes", || asked("up").contains(",\"1\"]"));
    wait_for("zam-snap's", || asked("zam_up%7Brole=%22snap%22%7D").contains(",\"1\"]"));
    wait_for("a counter", || asked("rate(zam_destroyed_snapshots_total%5B1m%5D)").contains("tank/home"));
    world.end("snap", "-KILL");
    wait_for("the alert", || {
        get(server, "/api/v1/alerts").is_some_and(|all| all.contains("\"alertname\":\"ZamCritical\""))
    });
}

/// A program that does not outlive its test.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
