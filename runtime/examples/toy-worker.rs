//! A worker for the tests of workers: `toy-worker worker tank`.
#![forbid(unsafe_code)]

use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

fn main() -> ExitCode {
    let served = zam_runtime::worker::serve(|request: String| -> String {
        match request.as_str() {
            "pid" => std::process::id().to_string(),
            "die" => std::process::exit(7),
            "sleep" => {
                std::thread::sleep(Duration::from_secs(600));
                String::new()
            }
            // a program in a group of its own, which the kill of the worker's group does not reach
            "child" => {
                let child = Command::new("sleep").arg("600").stdin(Stdio::null()).spawn();
                child.map(|child| child.id().to_string()).unwrap_or_default()
            }
            other => other.repeat(2),
        }
    });
    if served.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
