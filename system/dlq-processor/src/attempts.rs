//! Several attempts of one call, each under a time-out.

use std::time::Duration;

use nexus_ports::{BoxFuture, CallFailure, Platform, ReadFailure, TimedOut, UnknownOutcome};

use crate::DlqSettings;

/// A failure that tells whether another attempt may end better.
pub(crate) trait Attempted: From<UnknownOutcome> {
    fn may_pass(&self) -> bool;
}

impl Attempted for CallFailure {
    fn may_pass(&self) -> bool {
        CallFailure::may_pass(self)
    }
}

impl Attempted for ReadFailure {
    fn may_pass(&self) -> bool {
        !matches!(self, ReadFailure::Rejected(_) | ReadFailure::Unreadable(_))
    }
}

/// Calls until it succeeds, cannot succeed, or was attempted often enough. Only for calls that may be repeated although
/// an earlier one took effect.
pub(crate) async fn attempt<'a, T, F: Attempted>(
    platform: &Platform,
    settings: &DlqSettings,
    timeout: Duration,
    logical_key: &str,
    call: impl Fn() -> BoxFuture<'a, Result<T, F>>,
) -> Result<T, F> {
    let mut attempts_made = 0;
    loop {
        let ended = platform.timeout(timeout, call()).await.unwrap_or_else(|timed_out| Err(unknown(timed_out).into()));
        attempts_made += 1;
        match ended {
            Err(failure) if failure.may_pass() && attempts_made < settings.attempts_max => {
                platform.sleep(settings.pause(platform, attempts_made, logical_key)).await;
            }
            ended => return ended,
        }
    }
}

pub(crate) fn unknown(timed_out: TimedOut) -> UnknownOutcome {
    UnknownOutcome { reason: timed_out.to_string() }
}
