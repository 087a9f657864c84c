//! A gate that suspends a whole process: what is behind it is not polled while the gate is shut.

use std::{
    sync::{Arc, Mutex},
    task::{Poll, Waker},
};

use nexus_ports::{BoxFuture, Spawner, TaskHandle};

#[derive(Clone, Default)]
pub struct Gate {
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    is_shut: bool,
    waiting: Vec<Waker>,
}

impl Gate {
    pub fn shut(&self) {
        self.state.lock().unwrap().is_shut = true;
    }

    pub fn open(&self) {
        let mut state = self.state.lock().unwrap();
        state.is_shut = false;
        state.waiting.drain(..).for_each(Waker::wake);
    }

    pub fn wrap(&self, mut task: BoxFuture<'static, ()>) -> BoxFuture<'static, ()> {
        let state = self.state.clone();
        Box::pin(std::future::poll_fn(move |context| {
            {
                let mut state = state.lock().unwrap();
                if state.is_shut {
                    state.waiting.push(context.waker().clone());
                    return Poll::Pending;
                }
            }
            task.as_mut().poll(context)
        }))
    }

    pub fn spawner(&self, inner: Arc<dyn Spawner>) -> Arc<dyn Spawner> {
        Arc::new(GatedSpawner { inner, gate: self.clone() })
    }
}

struct GatedSpawner {
    inner: Arc<dyn Spawner>,
    gate: Gate,
}

impl Spawner for GatedSpawner {
    fn spawn(&self, name: &'static str, task: BoxFuture<'static, ()>) -> TaskHandle {
        self.inner.spawn(name, self.gate.wrap(task))
    }
}
