//! Where messages end in tests: a little SMTP server and a little HTTP server, on this machine's loopback.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::Arc,
    thread,
};

/// Takes mails, and gives each of them, as it is on the wire, to `took`. Ends with the process.
pub fn smtp(listener: TcpListener, took: impl Fn(String) + Send + Sync + 'static) {
    serve(listener, move |stream| receive(stream, &took));
}

/// Takes requests, gives the first line of each and its body to `took`, and answers with the status that this gives. Ends with
/// the process.
pub fn http(listener: TcpListener, took: impl Fn(String, String) -> u16 + Send + Sync + 'static) {
    serve(listener, move |stream| answer(stream, &took));
}

fn serve(listener: TcpListener, talk: impl Fn(TcpStream) -> Option<()> + Send + Sync + 'static) {
    let talk = Arc::new(talk);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let talk = Arc::clone(&talk);
            // A client that breaks off has said all it had to say.
            thread::spawn(move || talk(stream));
        }
    });
}

fn receive(mut stream: TcpStream, took: &impl Fn(String)) -> Option<()> {
    let mut lines = BufReader::new(stream.try_clone().ok()?).lines();
    stream.write_all(b"220 sink ESMTP\r\n").ok()?;
    while let Some(Ok(line)) = lines.next() {
        let answer: &[u8] = match line.get(..4).unwrap_or_default().to_ascii_uppercase().as_str() {
            "DATA" => {
                stream.write_all(b"354 go on\r\n").ok()?;
                let mail: Vec<String> = lines.by_ref().map_while(Result::ok).take_while(|line| line != ".").collect();
                took(mail.join("\n"));
                b"250 taken\r\n"
            }
            "QUIT" => b"221 bye\r\n",
            _ => b"250 fine\r\n",
        };
        stream.write_all(answer).ok()?;
    }
    Some(())
}

fn answer(mut stream: TcpStream, took: &impl Fn(String, String) -> u16) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let mut first = String::new();
    reader.read_line(&mut first).ok()?;
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        match line.trim().split_once(':') {
            Some((name, value)) if name.eq_ignore_ascii_case("content-length") => length = value.trim().parse().ok()?,
            Some(_) => {}
            None => break,
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let status = took(first.trim().to_owned(), String::from_utf8_lossy(&body).into_owned());
    stream.write_all(format!("HTTP/1.1 {status} so\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").as_bytes()).ok()
}
