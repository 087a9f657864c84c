//! Attempts of calls that no service owns: looking up a name, making a part of the bus.

use std::time::Duration;

use nexus_ports::{CallFailure, Platform};

const ATTEMPTS_MAX: u32 = 5;
/// Upper bound of the pause before the second attempt; it doubles with each further one.
const PAUSE_FIRST: Duration = Duration::from_millis(200);

/// Attempts a call up to five times, with exponential pauses and full jitter, unless it is rejected.
pub(crate) async fn attempted<T>(
    platform: &Platform,
    what: &str,
    mut attempt: impl AsyncFnMut() -> Result<T, CallFailure>,
) -> Result<T, CallFailure> {
    let mut bound = PAUSE_FIRST;
    for _ in 1..ATTEMPTS_MAX {
        match attempt().await {
            Err(failure) if failure.may_pass() => {
                platform.sleep(bound.mul_f64(platform.random_fraction("bus-backoff", what))).await;
                bound *= 2;
            }
            ended => return ended,
        }
    }
    attempt().await
}
