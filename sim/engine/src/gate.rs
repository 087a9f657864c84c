//! What makes a host stand still: no task of it goes on while its gate is shut, and none is lost.

use std::{
    future::poll_fn,
    pin::Pin,
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Waker},
};

use crate::handles::lock;

/// Open unless the host is paused. Its timers go on, as a machine's clock does while its process is stopped: what came due
/// meanwhile is found due at once when the gate opens.
#[derive(Default)]
pub(crate) struct Gate {
    is_shut: AtomicBool,
    /// Tasks that wanted to go on, in the order in which they came.
    waiting: Mutex<Vec<Waker>>,
}

impl Gate {
    pub(crate) fn shut(&self) {
        self.is_shut.store(true, Ordering::SeqCst);
    }

    /// Lets everything go on that came meanwhile. Does nothing to a gate that is open.
    pub(crate) fn open(&self) {
        self.is_shut.store(false, Ordering::SeqCst);
        for waker in std::mem::take(&mut *lock(&self.waiting)) {
            waker.wake();
        }
    }

    /// The same future, held at the gate.
    pub(crate) async fn pass<T>(&self, mut future: Pin<Box<dyn Future<Output = T> + Send>>) -> T {
        poll_fn(|context| if self.holds(context) { Poll::Pending } else { future.as_mut().poll(context) }).await
    }

    fn holds(&self, context: &Context<'_>) -> bool {
        let is_shut = self.is_shut.load(Ordering::SeqCst);
        if is_shut {
            lock(&self.waiting).push(context.waker().clone());
        }
        is_shut
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, atomic::AtomicU32};

    use futures_util::{FutureExt, task::noop_waker};

    use super::*;

    #[test]
    fn nothing_goes_on_behind_a_shut_gate_and_everything_does_once_it_opens() {
        let gate = Arc::new(Gate::default());
        let polls = Arc::new(AtomicU32::new(0));
        let counted = polls.clone();
        let task =
            poll_fn(move |_| if counted.fetch_add(1, Ordering::SeqCst) == 1 { Poll::Ready(7) } else { Poll::Pending });
        let mut held = Box::pin({
            let gate = gate.clone();
            async move { gate.pass(task.boxed()).await }
        });
        let waker = noop_waker();
        let mut context = Context::from_waker(&waker);
        assert!(held.as_mut().poll(&mut context).is_pending());
        gate.shut();
        for _ in 0..3 {
            assert!(held.as_mut().poll(&mut context).is_pending());
        }
        assert_eq!(polls.load(Ordering::SeqCst), 1, "a task went on while its host stood still");
        gate.open();
        assert_eq!(held.as_mut().poll(&mut context), Poll::Ready(7));
    }
}
