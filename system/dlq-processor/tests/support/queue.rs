//! A standard queue.

use std::sync::{Arc, Mutex};

use nexus_ports::{
    BoxFuture, CallFailure, EntryFailure, EntryOutcomes, MessageQueue, QueueDraft, QueueMessage, Rejected,
};

use super::{Fate, Weather, throttled, unknown};

pub struct MemoryQueue {
    weather: Weather,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    messages: Vec<Stored>,
    sent: u64,
    receipts: u64,
    /// Number of messages in each call to send.
    batches: Vec<usize>,
    /// Every text that was ever taken, in order.
    arrivals: Vec<QueueDraft>,
    /// Bodies that hold this are rejected one by one.
    refused: Option<&'static str>,
    is_missing: bool,
    is_silent: bool,
}

struct Stored {
    message: QueueMessage,
    visible_at_ms: u64,
}

impl MemoryQueue {
    pub fn new(weather: &Weather) -> Arc<Self> {
        Arc::new(Self { weather: weather.clone(), state: Mutex::default() })
    }

    /// Puts a message in, as SQS moves it from another queue.
    pub fn put(&self, body: &str, attributes: &[(&str, &str)], sent_at_ms: u64) {
        let attributes = attributes.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        self.state.lock().unwrap().add(QueueDraft { body: body.to_owned(), attributes }, sent_at_ms);
    }

    /// Rejects every further message whose body holds this.
    pub fn refuse(&self, text: &'static str) {
        self.state.lock().unwrap().refused = Some(text);
    }

    /// Rejects every further call.
    pub fn remove(&self) {
        self.state.lock().unwrap().is_missing = true;
    }

    /// Answers no further send, and takes none.
    pub fn silence(&self) {
        self.state.lock().unwrap().is_silent = true;
    }

    pub fn bodies(&self) -> Vec<String> {
        self.state.lock().unwrap().messages.iter().map(|stored| stored.message.body.clone()).collect()
    }

    pub fn arrivals(&self) -> Vec<QueueDraft> {
        self.state.lock().unwrap().arrivals.clone()
    }

    pub fn batches(&self) -> Vec<usize> {
        self.state.lock().unwrap().batches.clone()
    }

    /// Receives as another consumer does: all that is visible, at once, and without deleting.
    pub fn take_all(&self) -> Vec<QueueMessage> {
        std::mem::take(&mut self.state.lock().unwrap().messages).into_iter().map(|stored| stored.message).collect()
    }

    fn now_ms(&self) -> u64 {
        self.weather.platform.unix_time().as_millis()
    }

    fn missing<T>(&self) -> Option<Result<T, CallFailure>> {
        let why = || Rejected { code: "QueueDoesNotExist".to_owned(), message: "no such queue".to_owned() };
        self.state.lock().unwrap().is_missing.then(|| Err(why().into()))
    }

    /// Applies entries one by one, each with a fate of its own.
    fn entries<T>(
        &self,
        entries: &[T],
        mut apply: impl FnMut(&mut State, &T) -> Result<(), EntryFailure>,
    ) -> EntryOutcomes<()> {
        let fates = [Fate::Throttled, Fate::LostBefore, Fate::LostAfter];
        let mut state = self.state.lock().unwrap();
        let outcome = |entry| match self.weather.draw(&fates) {
            Fate::Throttled => Err(throttled().into()),
            Fate::LostBefore => Err(unknown().into()),
            fate => match apply(&mut state, entry) {
                Ok(()) if fate == Fate::LostAfter => Err(unknown().into()),
                ended => ended,
            },
        };
        entries.iter().map(outcome).collect()
    }
}

impl State {
    fn add(&mut self, draft: QueueDraft, sent_at_ms: u64) {
        self.sent += 1;
        let message = QueueMessage {
            message_id: format!("m-{}", self.sent),
            receipt_handle: String::new(),
            body: draft.body,
            attributes: draft.attributes,
            receive_count: 0,
            sent_at_ms,
        };
        self.messages.push(Stored { message, visible_at_ms: 0 });
    }

    fn receive(&mut self, now_ms: u64, count_max: u32, visibility_seconds: u32) -> Vec<QueueMessage> {
        let receipts = &mut self.receipts;
        let visible = self.messages.iter_mut().filter(|stored| stored.visible_at_ms <= now_ms);
        let take = |stored: &mut Stored| {
            *receipts += 1;
            stored.visible_at_ms = now_ms + u64::from(visibility_seconds) * 1_000;
            stored.message.receive_count += 1;
            stored.message.receipt_handle = format!("{}/{receipts}", stored.message.message_id);
            stored.message.clone()
        };
        visible.take(count_max as usize).map(take).collect()
    }
}

impl MessageQueue for MemoryQueue {
    fn receive(
        &self,
        count_max: u32,
        wait_seconds: u32,
        visibility_seconds: u32,
    ) -> BoxFuture<'_, Result<Vec<QueueMessage>, CallFailure>> {
        assert!(count_max <= 10 && wait_seconds <= 20);
        Box::pin(async move {
            if let Some(rejected) = self.missing() {
                return rejected;
            }
            let now_ms = self.now_ms();
            self.weather
                .play("receive", || self.state.lock().unwrap().receive(now_ms, count_max, visibility_seconds))
                .await
        })
    }

    fn delete<'a>(&'a self, receipt_handles: &'a [String]) -> BoxFuture<'a, Result<EntryOutcomes<()>, CallFailure>> {
        assert!((1..=10).contains(&receipt_handles.len()));
        Box::pin(self.weather.play("delete", || {
            self.entries(receipt_handles, |state, handle| {
                // An old handle is accepted and deletes nothing, as on a standard queue.
                state.messages.retain(|stored| stored.message.receipt_handle != *handle);
                Ok(())
            })
        }))
    }

    fn set_visibility<'a>(
        &'a self,
        receipt_handle: &'a str,
        visibility_seconds: u32,
    ) -> BoxFuture<'a, Result<(), CallFailure>> {
        let now_ms = self.now_ms();
        Box::pin(self.weather.play("set_visibility", move || {
            let mut state = self.state.lock().unwrap();
            for stored in state.messages.iter_mut().filter(|stored| stored.message.receipt_handle == receipt_handle) {
                stored.visible_at_ms = now_ms + u64::from(visibility_seconds) * 1_000;
            }
        }))
    }

    fn send<'a>(&'a self, messages: &'a [QueueDraft]) -> BoxFuture<'a, Result<EntryOutcomes<()>, CallFailure>> {
        assert!((1..=10).contains(&messages.len()));
        assert!(messages.iter().all(|message| message.attributes.len() <= 10));
        Box::pin(async move {
            if let Some(rejected) = self.missing() {
                return rejected;
            }
            if self.state.lock().unwrap().is_silent {
                self.state.lock().unwrap().batches.push(messages.len());
                return std::future::pending().await;
            }
            let now_ms = self.now_ms();
            let send = || {
                self.state.lock().unwrap().batches.push(messages.len());
                self.entries(messages, |state, draft| {
                    if state.refused.is_some_and(|text| draft.body.contains(text)) {
                        let message = "the message is not valid".to_owned();
                        return Err(Rejected { code: "InvalidMessageContents".to_owned(), message }.into());
                    }
                    state.arrivals.push(draft.clone());
                    state.add(draft.clone(), now_ms);
                    Ok(())
                })
            };
            self.weather.play("send", send).await
        })
    }
}
