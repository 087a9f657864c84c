//! Tasks and timers on tokio.

use std::time::Duration;

use nexus_ports::{BoxFuture, Spawner, TaskHandle, Timer};
use tokio::time::Instant;

pub(crate) struct TokioSpawner;

impl Spawner for TokioSpawner {
    fn spawn(&self, _name: &'static str, task: BoxFuture<'static, ()>) -> TaskHandle {
        let running = tokio::spawn(task);
        let abort = running.abort_handle();
        TaskHandle::new(
            move || abort.abort(),
            // A panic was already reported by the panic hook; for the joiner the task has ended either way.
            Box::pin(async move {
                let _ended = running.await;
            }),
        )
    }
}

pub(crate) struct TokioTimer;

impl Timer for TokioTimer {
    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        // The time counts from here, but the timer is made inside: it needs the runtime, this call does not.
        let began = Instant::now();
        Box::pin(async move {
            match began.checked_add(duration) {
                Some(deadline) => tokio::time::sleep_until(deadline).await,
                None => std::future::pending().await,
            }
        })
    }
}
