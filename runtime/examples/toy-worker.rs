//! Both sides of a worker, for the tests of workers and the lab: `toy-worker worker POOL` serves, `toy-worker ask REQUEST…`
//! asks one after the other, each for at most two seconds.
#![forbid(unsafe_code)]

use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};
use zam_runtime::worker::{self, Worker};

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let done = match words.split_first() {
        Some((mode, requests)) if mode == "ask" => ask(requests),
        _ => worker::serve(answer),
    };
    if done.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn answer(request: String) -> String {
    match request.split_once(' ').unwrap_or((&request, "")) {
        ("pid", _) => std::process::id().to_string(),
        ("die", _) => std::process::exit(7),
        ("sleep", _) => {
            std::thread::sleep(Duration::from_secs(600));
            String::new()
        }
        ("child", _) => {
            let child = Command::new("sleep").arg("600").stdin(Stdio::null()).spawn();
            child.map(|child| child.id().to_string()).unwrap_or_default()
        }
        ("run", command) => {
            let output = Command::new("sh").args(["-c", command]).stdin(Stdio::null()).output();
            output.map(|output| format!("{}", output.status)).unwrap_or_default()
        }
        _ => request.repeat(2),
    }
}

#[tokio::main(flavor = "current_thread")]
async fn ask(requests: &[String]) -> std::io::Result<()> {
    let pool = "tank".parse().map_err(std::io::Error::other)?;
    let mut worker: Worker<String, String> =
        Worker::with_command(pool, "/proc/self/exe".into(), vec!["worker".into(), "tank".into()]);
    for request in requests {
        let start = Instant::now();
        let told = match worker.ask(request, Duration::from_secs(2)).await {
            Ok(answer) => format!("answer: {answer}"),
            Err(error) => format!("error: {error}"),
        };
        println!("{:6.2} s  {request}  {told}  ({} hang)", start.elapsed().as_secs_f64(), worker.hanging());
    }
    Ok(())
}
