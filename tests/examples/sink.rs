//! `sink smtp|http PORT FILE`: takes mails or requests on the loopback, and appends them to a file; for the lab.
#![forbid(unsafe_code)]

use std::{env, error::Error, fs::File, io::Write as _, net::TcpListener, sync::Mutex, thread};

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = env::args().skip(1).collect();
    let [kind, port, file] = args.as_slice() else { return Err("sink smtp|http PORT FILE".into()) };
    let listener = TcpListener::bind(("127.0.0.1", port.parse()?))?;
    let file = Mutex::new(File::options().create(true).append(true).open(file)?);
    let keep = move |text: &str| {
        if let Ok(mut file) = file.lock() {
            // Whoever looks for it will miss it.
            let _ = writeln!(file, "{text}");
        }
    };
    match kind.as_str() {
        "smtp" => zam_tests::sink::smtp(listener, move |mail| keep(&mail)),
        _ => zam_tests::sink::http(listener, move |first, body| {
            keep(&format!("{first}\n{body}"));
            204
        }),
    }
    loop {
        thread::park();
    }
}
