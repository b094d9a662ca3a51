//! What the process does that delivers one message: it alone speaks to the network, and is killed when it takes too long.

use lettre::{
    Message, SendmailTransport, SmtpTransport, Transport as _,
    message::{Mailbox, header::ContentType},
};
use serde::{Deserialize, Serialize};
use std::{
    env, fs,
    io::Write as _,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};
use ureq::tls::{RootCerts, TlsConfig};
use zam_policy::config::{Mail, MailBy, Url};
use zam_runtime::{keeper::chain, worker};

/// The word that starts it.
pub const DELIVER: &str = "deliver";
/// How long a server may take for one step of it.
const STEP: Duration = Duration::from_secs(20);
/// What systemd calls the folder of credentials, with which the names of those in it begin.
const CREDENTIALS: &str = "zam_";

/// One message for one way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Delivery {
    /// As a mail.
    Mail {
        /// To whom, and by what.
        mail: Mail,
        /// Whose zam it is about.
        host: String,
        /// The subject.
        subject: String,
        /// The text.
        text: String,
    },
    /// As JSON, posted to a URL.
    Webhook {
        /// Where.
        url: Url,
        /// What.
        json: String,
    },
    /// As JSON, on the standard input of a program.
    Program {
        /// The program and its arguments.
        words: Vec<String>,
        /// What.
        json: String,
    },
    /// All is well.
    Ping {
        /// Where.
        url: Url,
    },
}

/// Serves until the daemon closes.
pub fn run(order: &str) -> Result<(), String> {
    if order != DELIVER {
        return Err(format!("this is no task: {order}"));
    }
    // There is no other provider in this program, so none is installed yet.
    let _ = rustls::crypto::ring::default_provider().install_default();
    worker::serve(|delivery: Delivery| deliver(&delivery)).map_err(|error| error.to_string())
}

fn deliver(delivery: &Delivery) -> Result<(), String> {
    match delivery {
        Delivery::Mail { mail, host, subject, text } => by_mail(mail, host, subject, text),
        Delivery::Webhook { url, json } => {
            let request = agent().post(resolve(url)?).header("content-type", "application/json");
            request.send(json).map(drop).map_err(|error| without_url(&error))
        }
        Delivery::Program { words, json } => to_program(words, json),
        Delivery::Ping { url } => agent().get(resolve(url)?).call().map(drop).map_err(|error| without_url(&error)),
    }
}

fn agent() -> ureq::Agent {
    // Those of the machine, which its admin keeps.
    let tls = TlsConfig::builder().root_certs(RootCerts::PlatformVerifier).build();
    let config = ureq::Agent::config_builder().timeout_global(Some(2 * STEP)).max_redirects(0).tls_config(tls);
    config.user_agent(concat!("zam/", env!("CARGO_PKG_VERSION"))).build().into()
}

/// What went wrong, but not where: that may be a secret.
fn without_url(error: &ureq::Error) -> String {
    match error {
        ureq::Error::StatusCode(code) => format!("the server answered {code}"),
        ureq::Error::BadUri(_) => "this is no URL".to_owned(),
        error => chain(error),
    }
}

fn by_mail(mail: &Mail, host: &str, subject: &str, text: &str) -> Result<(), String> {
    let address = |text: &str| text.parse::<Mailbox>().map_err(|error| format!("{text}: {error}"));
    let from = mail.from.clone().unwrap_or_else(|| format!("zam@{host}"));
    let mut message = Message::builder().from(address(&from)?).subject(subject).header(ContentType::TEXT_PLAIN);
    for to in &mail.to {
        message = message.to(address(to)?);
    }
    let message = message.body(text.to_owned()).map_err(|error| chain(&error))?;
    match &mail.by {
        MailBy::Smtp(url) => {
            // What is wrong with a URL is not told with the URL.
            let server = SmtpTransport::from_url(&resolve(url)?).map_err(|_| "its SMTP URL is not one".to_owned())?;
            server.timeout(Some(STEP)).build().send(&message).map(drop).map_err(|error| chain(&error))
        }
        MailBy::Sendmail(program) => SendmailTransport::new_with_command(program)
            .send(&message)
            .map_err(|error| format!("{program}: {}", chain(&error))),
    }
}

fn to_program(words: &[String], json: &str) -> Result<(), String> {
    let [program, args @ ..] = words else { return Err("no program is named".to_owned()) };
    let failed = |what: &str, error: &std::io::Error| format!("{program}: cannot {what}: {error}");
    let mut command = Command::new(program);
    // Its output would be taken for this process's answer.
    let started = command.args(args).stdin(Stdio::piped()).stdout(Stdio::null()).spawn();
    let mut child = started.map_err(|error| failed("start it", &error))?;
    if let Some(mut input) = child.stdin.take() {
        // One that does not read it has its own reasons; how it ends tells.
        let _ = input.write_all(json.as_bytes());
    }
    let ended = child.wait().map_err(|error| failed("wait for it", &error))?;
    if ended.success() { Ok(()) } else { Err(format!("{program}: {ended}")) }
}

/// The URL itself.
fn resolve(url: &Url) -> Result<String, String> {
    match url {
        Url::Plain(url) => Ok(url.clone()),
        Url::Credential(name) => {
            let Some(folder) = env::var_os("CREDENTIALS_DIRECTORY") else {
                return Err(format!("no credentials are here: the unit brings {name} from /etc/zam/credentials"));
            };
            let file = Path::new(&folder).join(format!("{CREDENTIALS}{name}"));
            let text = fs::read_to_string(&file).map_err(|error| {
                format!("{}: {error}; put it into /etc/zam/credentials, and restart zamd-watch", file.display())
            })?;
            Ok(text.trim().to_owned())
        }
    }
}
