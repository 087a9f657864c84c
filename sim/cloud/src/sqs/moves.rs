//! Message move tasks: from a dead-letter queue back to where its messages came from, or elsewhere, at a rate.

use std::time::Duration;

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use super::{
    Alarm, Outcome, Sqs,
    errors::{error, invalid_value},
    input::{Input, arn_name},
    message::{self, Draft},
};
use crate::{
    interface::{MessageStepKind, UnixNanos},
    service::{ServiceContext, ServiceError},
};

const TICK: Duration = Duration::from_millis(100);
const TICKS_A_SECOND: f64 = 10.0;
/// A task that takes longer ends by itself.
const LONGEST: Duration = Duration::from_secs(36 * 3_600);
const ACTIVE_MAX: usize = 100;
/// Ended tasks that a queue remembers: what one answer of ListMessageMoveTasks can show.
const REMEMBERED: usize = 10;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    Running,
    Cancelling,
    Cancelled,
    Completed,
    Failed,
}

#[derive(Clone, Debug)]
pub struct MoveTask {
    id: String,
    source_arn: String,
    destination_arn: Option<String>,
    rate: Option<u32>,
    status: Status,
    moved: usize,
    to_move: usize,
    failure: Option<&'static str>,
    started_at: UnixNanos,
    /// Messages that may move and did not yet; a fraction at low rates.
    allowance: f64,
}

impl MoveTask {
    fn handle(&self) -> String {
        STANDARD.encode(json!({"taskId": self.id, "sourceArn": self.source_arn}).to_string())
    }

    fn is_active(&self) -> bool {
        matches!(self.status, Status::Running | Status::Cancelling)
    }

    /// As ListMessageMoveTasks shows it.
    pub fn show(&self) -> Value {
        let status = match self.status {
            Status::Running => "RUNNING",
            Status::Cancelling => "CANCELLING",
            Status::Cancelled => "CANCELLED",
            Status::Completed => "COMPLETED",
            Status::Failed => "FAILED",
        };
        let mut shown = json!({
            "Status": status,
            "SourceArn": self.source_arn,
            "ApproximateNumberOfMessagesMoved": self.moved,
            "ApproximateNumberOfMessagesToMove": self.to_move,
            "StartedTimestamp": self.started_at.as_millis(),
        });
        if self.status == Status::Running {
            shown["TaskHandle"] = json!(self.handle());
        }
        if let Some(destination) = &self.destination_arn {
            shown["DestinationArn"] = json!(destination);
        }
        if let Some(rate) = self.rate {
            shown["MaxNumberOfMessagesPerSecond"] = json!(rate);
        }
        if let Some(failure) = self.failure {
            shown["FailureReason"] = json!(failure);
        }
        shown
    }
}

fn no_resource(parameter: &str) -> ServiceError {
    let message = format!("The resource that you specified for the {parameter} parameter doesn't exist.");
    error("ResourceNotFoundException", message).with_status(404)
}

impl Sqs {
    pub(super) fn start_message_move_task(&mut self, context: &mut ServiceContext<'_>, input: Input<'_>) -> Outcome {
        let source_arn = input.required("SourceArn")?;
        let name = self.named(source_arn).ok_or_else(|| no_resource("SourceArn"))?;
        let reason = "Must be >= 1 and <= 500, if provided.";
        let rate = input.integer_in("MaxNumberOfMessagesPerSecond", 1, 500, reason)?;
        let is_dead_letter_queue = self
            .queues
            .values()
            .any(|queue| queue.attributes.redrive.as_ref().is_some_and(|redrive| redrive.target_arn == source_arn));
        if !is_dead_letter_queue {
            let reason = "Source queue must be configured as a Dead Letter Queue.";
            return Err(invalid_value(source_arn, "SourceArn", reason));
        }
        let destination_arn = input.text("DestinationArn")?;
        if let Some(arn) = destination_arn {
            self.check_destination(&name, arn)?;
        }
        if self.queues.values().flat_map(|queue| &queue.moves).filter(|task| task.is_active()).count() >= ACTIVE_MAX {
            return Err(error("OverLimit", "Too many message move tasks are active.").with_status(403));
        }
        let id = message::unique_id(context.entropy, "sqs-move-task", &name);
        let queue = self.queue_mut(&name)?;
        queue.pass_time(context);
        if queue.moves.iter().any(MoveTask::is_active) {
            return Err(error(
                "InvalidParameterValue",
                "There is already a task running. Only one active task is allowed for a source queue arn at a given time.",
            ));
        }
        let task = MoveTask {
            id: id.clone(),
            source_arn: source_arn.to_owned(),
            destination_arn: destination_arn.map(str::to_owned),
            rate: rate.and_then(|rate| u32::try_from(rate).ok()),
            status: Status::Running,
            moved: 0,
            to_move: queue.messages.len(),
            failure: None,
            started_at: context.now,
            allowance: 0.0,
        };
        let handle = task.handle();
        queue.moves.insert(0, task);
        queue.moves.truncate(REMEMBERED);
        self.set_alarm(context, context.now.plus(TICK), Alarm::Move { queue: name, task_id: id });
        Ok(json!({"TaskHandle": handle}))
    }

    fn check_destination(&self, source: &str, arn: &str) -> Result<(), ServiceError> {
        let target = self.named(arn).and_then(|name| self.queues.get(&name));
        let target = target.ok_or_else(|| no_resource("DestinationArn"))?;
        if target.name == source {
            let reason = "Source queue arn and destination queue arn cannot be the same.";
            return Err(invalid_value(arn, "DestinationArn", reason));
        }
        if self.queues.get(source).is_some_and(|queue| queue.fifo() != target.fifo()) {
            let reason = "Destination queue must be of the same type as the source queue.";
            return Err(invalid_value(arn, "DestinationArn", reason));
        }
        Ok(())
    }

    /// The name of the existing queue with an ARN.
    pub(super) fn named(&self, arn: &str) -> Option<String> {
        let queue = self.queues.get(arn_name(arn)?)?;
        (queue.arn == arn).then(|| queue.name.clone())
    }

    pub(super) fn list_message_move_tasks(&mut self, input: Input<'_>) -> Outcome {
        let source_arn = input.required("SourceArn")?;
        let count = input.integer_in("MaxResults", 1, 10, "Must be between 1 and 10, if provided.")?.unwrap_or(1);
        let name = self.named(source_arn).ok_or_else(|| no_resource("SourceArn"))?;
        let tasks = &self.queue_mut(&name)?.moves;
        let shown: Vec<Value> = tasks.iter().take(usize::try_from(count).unwrap_or(1)).map(MoveTask::show).collect();
        Ok(json!({"Results": shown}))
    }

    pub(super) fn cancel_message_move_task(&mut self, input: Input<'_>) -> Outcome {
        let handle = input.required("TaskHandle")?;
        let invalid = || error("InvalidParameterValue", "Value for parameter TaskHandle is invalid.");
        let text = STANDARD.decode(handle).map_err(|_| invalid())?;
        let parsed: Value = serde_json::from_slice(&text).map_err(|_| invalid())?;
        let (id, arn) =
            (parsed["taskId"].as_str().ok_or_else(invalid)?, parsed["sourceArn"].as_str().ok_or_else(invalid)?);
        let no_task = || error("ResourceNotFoundException", "Task does not exist.").with_status(404);
        let name = self.named(arn).ok_or_else(|| no_resource("SourceArn"))?;
        let queue = self.queue_mut(&name)?;
        let task = queue.moves.iter_mut().find(|task| task.id == id).ok_or_else(no_task)?;
        if task.status != Status::Running {
            return Err(error("UnsupportedOperation", "Only active tasks can be cancelled."));
        }
        task.status = Status::Cancelling;
        Ok(json!({"ApproximateNumberOfMessagesMoved": task.moved}))
    }

    /// A tenth of a second of a task.
    pub(super) fn continue_move(&mut self, context: &mut ServiceContext<'_>, name: &str, task_id: &str) {
        let default_rate = self.config.move_task_messages_per_second;
        let Some(queue) = self.queues.get_mut(name) else { return };
        queue.pass_time(context);
        self.changed.insert(name.to_owned());
        let Some(mut task) = queue.moves.iter().find(|task| task.id == task_id).cloned() else { return };
        match task.status {
            Status::Cancelling => task.status = Status::Cancelled,
            Status::Running if context.now.since(task.started_at) > LONGEST => {
                task.status = Status::Failed;
                task.failure = Some("TimedOut");
            }
            Status::Running => {
                task.allowance += f64::from(task.rate.unwrap_or(default_rate)) / TICKS_A_SECOND;
                while task.allowance >= 1.0 && task.status == Status::Running {
                    task.allowance -= 1.0;
                    self.move_next(context, name, &mut task);
                }
            }
            Status::Cancelled | Status::Completed | Status::Failed => {}
        }
        let goes_on = task.is_active();
        if let Some(queue) = self.queues.get_mut(name)
            && let Some(kept) = queue.moves.iter_mut().find(|kept| kept.id == task_id)
        {
            *kept = task;
        }
        if goes_on {
            let alarm = Alarm::Move { queue: name.to_owned(), task_id: task_id.to_owned() };
            self.set_alarm(context, context.now.plus(TICK), alarm);
        }
    }

    /// Moves the oldest visible message, or ends the task.
    fn move_next(&mut self, context: &mut ServiceContext<'_>, name: &str, task: &mut MoveTask) {
        let Some(queue) = self.queues.get(name) else { return };
        let next = queue.lineup.next(None).and_then(|ordinal| queue.messages.get(&ordinal));
        let Some(message) = next.filter(|_| task.moved < task.to_move) else {
            task.status = Status::Completed;
            return;
        };
        let ordinal = message.ordinal;
        let Some(destination) = task.destination_arn.as_ref().or(message.dead_letter_source.as_ref()) else {
            task.status = Status::Failed;
            task.failure = Some("CouldNotDetermineMessageSource");
            return;
        };
        let Some(target) = self.named(destination) else {
            task.status = Status::Failed;
            task.failure = Some("AWS.SimpleQueueService.NonExistentQueue");
            return;
        };
        let Some(queue) = self.queues.get_mut(name) else { return };
        let Some(old) = queue.remove(ordinal) else { return };
        queue.note(context, 0, MessageStepKind::Moved, &old, target.clone());
        task.moved += 1;
        let draft = Draft { delay_seconds: None, ..old.draft };
        // The target exists: its name was just looked up.
        let Ok(mut message) = self.new_message(context, &target, draft) else { return };
        let Some(queue) = self.queues.get_mut(&target) else { return };
        queue.pass_time(context);
        if queue.fifo() {
            message.draft.deduplication_id = Some(message.id.clone());
            queue.remember(&message, context.now);
        }
        self.store(context, &target, message, format!("from {}", old.id));
    }
}
