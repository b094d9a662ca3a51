//! zam-receive: the forced command of a client's key. It reads what the network sends, in a process without any right: no
//! grant, no ioctl of ZFS, no other program. What is a word goes to zamd-recv as a call, what is a stream as bytes.
//!
//! Whose words they are and below which root stands in its arguments, which `authorized_keys` gives.
#![forbid(unsafe_code)]

mod pipes;
mod relay;
mod session;

use clap::Parser;
use std::{io::IsTerminal, path::PathBuf, process::ExitCode, time::Duration};
use zam_names::DatasetName;
use zam_protocol::{recv::Client, words};
use zam_runtime::{
    audit::{self, Act, Op, Outcome},
    keeper::chain,
    sandbox,
};

/// Takes a client's copies in: what sshd starts for its key, never by hand
#[derive(Debug, Parser)]
#[command(name = "zam-receive", version)]
pub struct Args {
    /// The client's name, as in `[[replicas]]`
    #[arg(long, value_name = "NAME", required_unless_present = "local", conflicts_with = "local")]
    pub client: Option<String>,
    /// This host itself is the client: zamd-send starts it so for a pool of the same host
    #[arg(long)]
    pub local: bool,
    /// Below which dataset the client's copies are
    #[arg(long, value_name = "DATASET")]
    pub root: DatasetName,
    /// Where the sockets are
    #[arg(long, value_name = "DIR", default_value = "/run/zam")]
    pub runtime_dir: PathBuf,
    /// Write the audit trail to standard error, for tests
    #[arg(long, hide = true)]
    pub stderr: bool,
    /// After how many milliseconds of silence it ends, for tests
    #[arg(long, value_name = "MS", hide = true)]
    pub silence: Option<u64>,
}

/// What a session needs to know.
pub struct Setting {
    /// For whom it speaks.
    pub client: Client,
    /// Where the sockets are.
    pub runtime_dir: PathBuf,
    /// How long the other side may be silent.
    pub silence: Duration,
}

fn main() -> ExitCode {
    let args = Args::parse();
    audit::start_afar("zam-receive", args.stderr);
    let setting = Setting {
        client: Client { name: args.client.clone(), root: args.root.clone() },
        runtime_dir: args.runtime_dir.clone(),
        silence: args.silence.map_or(words::SILENCE, Duration::from_millis),
    };
    let ended = allowed(&args).and_then(|()| serve(&setting));
    let code = match ended {
        Ok(()) => 0,
        Err(why) => {
            refuse(&setting.client, &why);
            eprintln!("zam-receive: {why}");
            1
        }
    };
    // A read of standard input that never ends must not keep it.
    std::process::exit(code)
}

/// Nothing but words on pipes: no command of the client's, no terminal.
fn allowed(args: &Args) -> Result<(), String> {
    let asked = std::env::var_os("SSH_ORIGINAL_COMMAND").filter(|command| !command.is_empty() && !args.local);
    if let Some(command) = asked {
        // As it is shown it has no control characters, and an end.
        let command: String = command.to_string_lossy().chars().take(200).collect();
        return Err(format!("the client asked for a command, and there is none but this one: {command:?}"));
    }
    if std::io::stdin().is_terminal() || std::io::stdout().is_terminal() {
        return Err("it speaks to programs, not to terminals".to_owned());
    }
    Ok(())
}

fn serve(setting: &Setting) -> Result<(), String> {
    // Where the kernel has it.
    let _ = sandbox::Reach::default().confine().map_err(|error| chain(&error))?;
    sandbox::install_bare().map_err(|error| chain(&error))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| chain(&error))?;
    runtime.block_on(async {
        let (input, output) = pipes::standard().map_err(|error| chain(&error))?;
        session::run(setting, input, output).await.map_err(|error| chain(&error))
    })
}

fn refuse(client: &Client, why: &str) {
    let what = format!("what comes for {client}");
    Act::new(Op::Refuse, &what, "", Outcome::Failed(why)).log();
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn it_is_told_for_whom_and_where() {
        Args::command().debug_assert();
        let parse = |line: &str| Args::try_parse_from(line.split(' '));
        assert!(parse("zam-receive --client s-host --root nas/zam/s-host").is_ok());
        assert!(parse("zam-receive --local --root usb").is_ok());
        for bad in [
            "zam-receive",
            "zam-receive --root nas",
            "zam-receive --client a",
            "zam-receive --client a --local --root nas",
            "zam-receive --client a --root nas/..",
            "zam-receive --client a --root nas extra",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
