//! `[watch]`: whom zamd-watch tells what is wrong, and how.

use super::{
    Findings,
    decode::{block, list, period, read, span, text},
    node::Node,
    schema,
};
use crate::{Span, Unit};
use core::net::SocketAddr;
use serde::{Deserialize, Serialize};

/// Whom zamd-watch tells, besides log-in shells and the journal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Watch {
    /// After how long what still is wrong is told again; none: never.
    pub repeat: Option<Span>,
    /// By mail.
    pub mail: Option<Mail>,
    /// To a URL, as JSON.
    pub webhook: Option<Url>,
    /// To a program and its arguments, as JSON; empty: none.
    pub program: Vec<String>,
    /// To somebody who misses it when it stays away.
    pub ping: Option<Ping>,
    /// Where metrics are served; none: nowhere.
    pub metrics: Option<SocketAddr>,
}

/// Mail.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mail {
    /// To whom.
    pub to: Vec<String>,
    /// From whom; none: `zam@` and the host.
    pub from: Option<String>,
    /// How it goes out.
    pub by: MailBy,
}

/// How mail goes out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MailBy {
    /// A server.
    Smtp(Url),
    /// A program that takes a mail as sendmail does.
    Sendmail(String),
}

/// Where something goes. It may be a secret, which the config does not hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Url {
    /// This one.
    Plain(String),
    /// The one in the file of this name in `/etc/zam/credentials`, which is root's (`credential:NAME`).
    Credential(String),
}

/// A ping.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ping {
    /// Where.
    pub url: Url,
    /// How often, as long as all is well.
    pub period: Span,
}

/// What holds where nothing is said.
pub(super) fn default() -> Watch {
    Watch { repeat: default_repeat(), ..Watch::default() }
}

fn default_repeat() -> Option<Span> {
    Span::new(1, Unit::Day)
}

pub(super) fn watch(node: &Node, out: &mut Findings<'_>) -> Option<Watch> {
    let table = block(node, "a block, such as { webhook = \"https://…\" }", out)?;
    schema::refuse_unknown(table, schema::WATCH, out);
    Some(Watch {
        repeat: read(table, "repeat", out, period).unwrap_or_else(default_repeat),
        mail: read(table, "mail", out, mail),
        webhook: read(table, "webhook", out, |node, out| url(node, WEB, out)),
        program: read(table, "program", out, program).unwrap_or_default(),
        ping: read(table, "ping", out, ping),
        metrics: read(table, "metrics", out, metrics),
    })
}

fn mail(node: &Node, out: &mut Findings<'_>) -> Option<Mail> {
    let table = block(node, "a block, such as { to = [\"you@example.org\"], smtp = \"smtp://localhost\" }", out)?;
    schema::refuse_unknown(table, schema::MAIL, out);
    let to = read(table, "to", out, |node, out| {
        let nodes = list(node, "a list of addresses, such as [\"you@example.org\"]", out);
        Some(nodes.iter().filter_map(|node| address(node, out)).collect::<Vec<_>>())
    });
    if to.as_ref().is_none_or(Vec::is_empty) {
        out.error_with(node.at, "this mail goes to nobody", "write to = [\"you@example.org\"]");
    }
    let smtp = read(table, "smtp", out, |node, out| url(node, SMTP, out)).map(MailBy::Smtp);
    let sendmail = read(table, "sendmail", out, absolute).map(MailBy::Sendmail);
    if table.get("smtp").is_some() == table.get("sendmail").is_some() {
        let help = "write smtp = \"smtp://localhost\", or sendmail = \"/usr/bin/msmtp\"";
        out.error_with(node.at, "mail goes out by one of `smtp` and `sendmail`", help);
    }
    Some(Mail { to: to?, from: read(table, "from", out, address), by: smtp.or(sendmail)? })
}

fn ping(node: &Node, out: &mut Findings<'_>) -> Option<Ping> {
    let table = block(node, "a block, such as { url = \"https://…\", period = \"5m\" }", out)?;
    schema::refuse_unknown(table, schema::PING, out);
    if table.get("url").is_none() {
        out.error_with(node.at, "this ping goes nowhere", "write url = \"https://…\"");
    }
    let period = read(table, "period", out, span).or_else(|| Span::new(5, Unit::Minute))?;
    Some(Ping { url: read(table, "url", out, |node, out| url(node, WEB, out))?, period })
}

/// On the loopback alone: who reads it is not asked for a password.
fn metrics(node: &Node, out: &mut Findings<'_>) -> Option<SocketAddr> {
    let written = text(node, "an address of this machine and a port, such as \"127.0.0.1:9834\"", out)?;
    let address = written.parse::<SocketAddr>().ok().filter(|address| address.ip().is_loopback() && address.port() > 0);
    if address.is_none() {
        let what = format!("{written:?} is not a port of the loopback");
        out.error_with(node.at, what, "write \"127.0.0.1:9834\"; a proxy can take it elsewhere");
    }
    address
}

fn address(node: &Node, out: &mut Findings<'_>) -> Option<String> {
    let written = text(node, "an address, such as \"you@example.org\"", out)?;
    let parts = written.split_once('@');
    let plain =
        |part: &str| !part.is_empty() && part.chars().all(|c| c.is_ascii_graphic() && !"<>,;:\"()[]@\\".contains(c));
    if !parts.is_some_and(|(user, host)| plain(user) && plain(host)) {
        out.error_with(node.at, format!("{written:?} is not an address"), "write it as \"you@example.org\"");
        return None;
    }
    Some(written.to_owned())
}

fn url(node: &Node, schemes: &[&str], out: &mut Findings<'_>) -> Option<Url> {
    let written = text(node, "a URL, or \"credential:NAME\"", out)?;
    if let Some(name) = written.strip_prefix(CREDENTIAL) {
        let fits = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        if name.is_empty() || name.starts_with('.') || !name.chars().all(fits) {
            out.error(node.at, format!("{name:?} is not a credential's name: letters, digits and -_."));
            return None;
        }
        return Some(Url::Credential(name.to_owned()));
    }
    let rest = schemes.iter().find_map(|scheme| written.strip_prefix(scheme)?.strip_prefix("://"));
    let Some(rest) = rest.filter(|rest| !rest.is_empty() && rest.chars().all(|c| c.is_ascii_graphic())) else {
        let expected = schemes.iter().map(|scheme| format!("{scheme}://…")).collect::<Vec<_>>().join(" or ");
        out.error(node.at, format!("{written:?} is no URL: expected {expected}, or credential:NAME"));
        return None;
    };
    if rest.split(['/', '?']).next().is_some_and(|host| host.contains('@')) {
        let help = "put the URL into a file in /etc/zam/credentials, and write \"credential:NAME\" here";
        out.error_with(node.at, "a user or a password in a URL: the config holds no secrets", help);
        return None;
    }
    Some(Url::Plain(written.to_owned()))
}

fn absolute(node: &Node, out: &mut Findings<'_>) -> Option<String> {
    let written = text(node, "a program, such as \"/usr/bin/msmtp\"", out)?;
    if !written.starts_with('/') {
        out.error(node.at, format!("{written:?} is not a whole path"));
        return None;
    }
    Some(written.to_owned())
}

fn program(node: &Node, out: &mut Findings<'_>) -> Option<Vec<String>> {
    let expected = "a program and its arguments, such as [\"/usr/local/bin/tell\"]";
    let [first, rest @ ..] = list(node, expected, out) else { return Some(Vec::new()) };
    let mut words = vec![absolute(first, out)?];
    words.extend(rest.iter().filter_map(|node| Some(text(node, "a text", out)?.to_owned())));
    Some(words)
}

impl Url {
    /// As it is written in a config.
    #[must_use]
    pub fn written(&self) -> String {
        match self {
            Self::Plain(url) => url.clone(),
            Self::Credential(name) => format!("{CREDENTIAL}{name}"),
        }
    }
}

const CREDENTIAL: &str = "credential:";
const WEB: &[&str] = &["https", "http"];
const SMTP: &[&str] = &["smtps", "smtp"];
