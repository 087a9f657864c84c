//! Event source mappings: their states, and which part of them is meant by a wake-up or an answer.

use std::{sync::Arc, time::Duration};

use serde_json::{Value, json};

use super::{
    desk::{Desk, MappingPurpose, PollerStep, Purpose, ShardStep},
    profile::Profile,
    queue::QueueReader,
    stream::StreamReader,
};
use crate::{interface::UnixNanos, service::InternalAnswer};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Creating,
    Enabling,
    Enabled,
    Disabling,
    Disabled,
    Updating,
    Deleting,
}

impl State {
    pub fn name(self) -> &'static str {
        match self {
            State::Creating => "Creating",
            State::Enabling => "Enabling",
            State::Enabled => "Enabled",
            State::Disabling => "Disabling",
            State::Disabled => "Disabled",
            State::Updating => "Updating",
            State::Deleting => "Deleting",
        }
    }

    pub fn is_settled(self) -> bool {
        matches!(self, State::Enabled | State::Disabled)
    }
}

#[derive(Debug)]
enum Work {
    Stream(StreamReader),
    Queue(QueueReader),
}

#[derive(Debug)]
pub struct Mapping {
    pub profile: Profile,
    pub state: State,
    pub last_modified: UnixNanos,
    last_result: String,
    work: Work,
}

/// While something is in flight, a mapping that is to change or to stop looks again after this time.
const WAIT_FOR_IN_FLIGHT: Duration = Duration::from_millis(500);

impl Mapping {
    /// A new mapping, which takes hold after a while.
    pub fn create(desk: &mut Desk<'_, '_>, profile: Profile) -> Self {
        let work =
            if profile.source.is_queue() { Work::Queue(QueueReader::new()) } else { Work::Stream(StreamReader::new()) };
        let mut mapping = Self {
            profile,
            state: State::Creating,
            last_modified: desk.now(),
            last_result: "No records processed".to_owned(),
            work,
        };
        mapping.transition(desk, State::Creating);
        mapping
    }

    /// Goes into a state that does not last, and out of it again by [`Mapping::settle`].
    pub fn transition(&mut self, desk: &mut Desk<'_, '_>, state: State) {
        self.state = state;
        self.last_modified = desk.now();
        let after = Duration::from_millis(self.profile.config.mapping_settle_ms);
        desk.wake_after(after, Purpose::Settle { uuid: self.profile.uuid.clone() });
        self.profile.is_paused = true;
        if let Work::Queue(queue) = &mut self.work {
            queue.stop();
        }
    }

    /// A change takes hold; true if the mapping is to be removed now.
    pub fn settle(&mut self, desk: &mut Desk<'_, '_>) -> bool {
        if !self.state.is_settled() && self.in_flight() > 0 {
            desk.wake_after(WAIT_FOR_IN_FLIGHT, Purpose::Settle { uuid: self.profile.uuid.clone() });
            return false;
        }
        match self.state {
            State::Deleting => return true,
            State::Enabled | State::Disabled => return false,
            State::Disabling => self.state = State::Disabled,
            State::Creating | State::Enabling | State::Updating if self.profile.settings.is_enabled => {
                self.state = State::Enabled;
                self.start(desk);
            }
            State::Creating | State::Enabling | State::Updating => self.state = State::Disabled,
        }
        self.last_modified = desk.now();
        false
    }

    fn start(&mut self, desk: &mut Desk<'_, '_>) {
        // What an earlier start asked for is of no use any more.
        self.profile.generation += 1;
        self.profile.is_paused = false;
        match &mut self.work {
            Work::Stream(stream) => stream.start(desk, &self.profile),
            Work::Queue(queue) => queue.start(desk, &self.profile),
        }
    }

    fn in_flight(&self) -> usize {
        match &self.work {
            Work::Stream(stream) => stream.in_flight(),
            Work::Queue(queue) => queue.in_flight(),
        }
    }

    /// Whether new work may begin.
    fn is_running(&self) -> bool {
        self.state == State::Enabled
    }

    pub fn woken(&mut self, desk: &mut Desk<'_, '_>, purpose: MappingPurpose) {
        let is_running = self.is_running();
        let Self { profile, work, .. } = self;
        match (work, purpose) {
            // A stopping mapping begins nothing; its restart will.
            (Work::Stream(_), _) if !is_running => {}
            (Work::Stream(stream), MappingPurpose::Discover) => stream.discovery_due(desk, profile),
            (Work::Stream(stream), MappingPurpose::Shard { shard, step }) => match step {
                ShardStep::Poll => stream.poll_due(desk, profile, &shard),
                ShardStep::Window { lane } => stream.pump(desk, profile, &shard, &[lane]),
                ShardStep::Retry { lane } => stream.retry(desk, profile, &shard, lane),
                ShardStep::Positioned | ShardStep::Read | ShardStep::Invoked { .. } | ShardStep::Notified { .. } => {}
            },
            (Work::Queue(queue), MappingPurpose::Poller { poller, step: PollerStep::Retry }) => {
                queue.retry(desk, profile, poller);
            }
            _ => {}
        }
    }

    pub fn answered(&mut self, desk: &mut Desk<'_, '_>, purpose: MappingPurpose, answer: InternalAnswer) {
        let is_running = self.is_running();
        let Self { profile, work, .. } = self;
        let result = match (work, purpose) {
            (Work::Stream(stream), MappingPurpose::Shard { shard, step: ShardStep::Invoked { lane } }) => {
                stream.invoked(desk, profile, &shard, lane, answer)
            }
            (Work::Stream(stream), MappingPurpose::Shard { shard, step: ShardStep::Notified { lane } }) => {
                stream.notified(desk, profile, &shard, lane, &answer)
            }
            (Work::Stream(stream), purpose) if is_running => {
                stream_answered(stream, desk, profile, purpose, answer);
                None
            }
            (Work::Queue(queue), MappingPurpose::Poller { poller, step }) => match step {
                PollerStep::Invoked => queue.invoked(desk, profile, poller, answer),
                PollerStep::Deleted => {
                    queue.deleted(desk, profile, poller, answer);
                    None
                }
                PollerStep::Received => {
                    queue.received(desk, profile, poller, answer);
                    None
                }
                PollerStep::Retry => None,
            },
            (Work::Queue(queue), MappingPurpose::QueueKnown) => {
                queue.queue_known(desk, profile, answer);
                None
            }
            _ => None,
        };
        if let Some(result) = result {
            self.last_result = result;
        }
    }

    pub fn describe(&self, desk: &Desk<'_, '_>) -> Value {
        let problem = match &self.work {
            Work::Stream(stream) => stream.problem.as_ref(),
            Work::Queue(queue) => queue.problem.as_ref(),
        };
        let mut description = self.profile.settings.describe(&self.profile.source);
        let is_queue = self.profile.source.is_queue();
        let members = json!({
            "UUID": &*self.profile.uuid,
            "EventSourceArn": self.profile.source.arn,
            "FunctionArn": desk.function_arn(&self.profile.function),
            "EventSourceMappingArn": format!(
                "arn:aws:lambda:{}:{}:event-source-mapping:{}",
                desk.context.region, desk.context.account_id, self.profile.uuid
            ),
            "LastModified": self.last_modified.as_millis() as f64 / 1_000.0,
            "State": self.state.name(),
            "StateTransitionReason": if is_queue { "USER_INITIATED" } else { "User action" },
        });
        if let (Value::Object(all), Value::Object(members)) = (&mut description, members) {
            all.extend(members);
        }
        if !is_queue || problem.is_some() {
            description["LastProcessingResult"] = json!(problem.unwrap_or(&self.last_result));
        }
        description
    }

    pub fn inspect(&self) -> Value {
        let mut state = json!({
            "uuid": &*self.profile.uuid,
            "state": self.state.name(),
            "last_result": self.last_result,
            "in_flight": self.in_flight(),
        });
        match &self.work {
            Work::Stream(stream) => {
                let shards = stream.shards.values().map(|shard| (shard.id.to_string(), shard.inspect()));
                state["shards"] = Value::Object(shards.collect());
                state["problem"] = json!(stream.problem);
            }
            Work::Queue(queue) => {
                state["queue"] = queue.inspect();
                state["problem"] = json!(queue.problem);
            }
        }
        state
    }

    pub fn uuid(&self) -> Arc<str> {
        self.profile.uuid.clone()
    }
}

fn stream_answered(
    stream: &mut StreamReader,
    desk: &mut Desk<'_, '_>,
    profile: &Profile,
    purpose: MappingPurpose,
    answer: InternalAnswer,
) {
    match purpose {
        MappingPurpose::ShardsListed => stream.shards_listed(desk, profile, answer),
        MappingPurpose::RetentionKnown => stream.retention_known(&answer),
        MappingPurpose::Shard { shard, step: ShardStep::Positioned } => {
            stream.positioned(desk, profile, &shard, answer);
        }
        MappingPurpose::Shard { shard, step: ShardStep::Read } => {
            let lanes = stream.read(desk, profile, &shard, answer);
            stream.pump(desk, profile, &shard, &lanes);
        }
        _ => {}
    }
}
