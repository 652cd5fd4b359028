//! What systemd is told (`sd_notify(3)`), where it listens; elsewhere nothing happens.

use sd_notify::NotifyState;

/// Every listener is open.
pub(super) fn ready() {
    tell(&[NotifyState::Ready]);
}

/// A reload begins; [`ready`] says that it is over, whatever came of it.
pub(super) fn reloading() {
    // Type=notify-reload compares that time with its own.
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(_) => tell(&[NotifyState::Reloading]),
    }
}

/// The shutdown has begun.
pub(super) fn stopping() {
    tell(&[NotifyState::Stopping]);
}

fn tell(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::debug!(%error, "systemd could not be told");
    }
}
