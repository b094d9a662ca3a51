//! Stop and reload.

use std::io;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// What the service manager, or a person, wants by signals.
#[derive(Debug)]
pub struct Signals {
    /// Cancelled by SIGTERM or SIGINT.
    pub stop: CancellationToken,
    /// One word for SIGHUP; those that come while one waits are the same word.
    pub reload: mpsc::Receiver<()>,
}

/// Listens from now on. To be called inside the runtime.
///
/// # Errors
/// If the handlers cannot be set.
pub fn watch() -> io::Result<Signals> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hangup = signal(SignalKind::hangup())?;
    let stop = CancellationToken::new();
    let (sender, reload) = mpsc::channel(1);
    let stopped = stop.clone();
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = terminate.recv() => stopped.cancel(),
                _ = interrupt.recv() => stopped.cancel(),
                // Full means that a reload is waiting already.
                _ = hangup.recv() => drop(sender.try_send(())),
            }
        }
    });
    Ok(Signals { stop, reload })
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::signal::{Signal, raise};

    #[tokio::test(flavor = "current_thread")]
    async fn hangup_reloads_and_terminate_stops() {
        let mut signals = watch().unwrap();
        raise(Signal::SIGHUP).unwrap();
        signals.reload.recv().await.unwrap();
        assert!(!signals.stop.is_cancelled());
        raise(Signal::SIGTERM).unwrap();
        signals.stop.cancelled().await;
    }
}
