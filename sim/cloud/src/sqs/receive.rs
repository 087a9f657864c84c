//! ReceiveMessage: short and long polls, receive counts, dead-letter queues.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::{
    Alarm, Sqs,
    attributes::RedrivePolicy,
    control::ATTRIBUTES,
    errors::{error, invalid_value},
    input::Input,
    message::{self, Message, Place, Receipt},
    queue::{Attempt, DEDUPLICATION_WINDOW, Poll, Queue, ReceiveRequest},
    quirks::Quirks,
};
use crate::{
    interface::MessageStepKind,
    service::{Answer, Execution, ServiceContext, ServiceError},
};

/// What a receive took out of a queue.
#[derive(Default)]
struct Taken {
    messages: Vec<Value>,
    /// Messages that were received too often already.
    dead: Vec<Message>,
}

impl Sqs {
    pub(super) fn receive_message(
        &mut self,
        context: &mut ServiceContext<'_>,
        input: Input<'_>,
    ) -> Result<Execution, ServiceError> {
        let name = self.touch(context, input)?;
        let queue = self.queue_mut(&name)?;
        let request = request(queue, input)?;
        self.check_throughput(&name, "ReceiveMessage", context)?;
        let quirks = Quirks::of(context.quirks);
        let queue = self.queue_mut(&name)?;
        let (in_flight, fifo) = (queue.in_flight, queue.fifo());
        let full = in_flight >= self.config.in_flight_max;
        let is_short = request.wait.is_zero();
        if full && is_short && !fifo {
            let message = "Too many messages are in flight: delete some of those received, or wait for them to return.";
            return Err(error("OverLimit", message).with_status(403));
        }
        if quirks.empty || is_short && !fifo && misses(context, &name) {
            return Ok(empty());
        }
        let messages = self.receive(context, &name, &request, &quirks, context.call_sequence);
        if !messages.is_empty() {
            return Ok(answer(messages));
        }
        if is_short {
            return Ok(empty());
        }
        let deadline = context.now.plus(request.wait);
        let call_sequence = context.call_sequence;
        self.queue_mut(&name)?.polls.insert(call_sequence, Poll { request, quirks });
        self.set_alarm(context, deadline, Alarm::Poll { queue: name, call_sequence });
        Ok(Execution::Wait)
    }

    /// Answers long polls, the oldest first, as long as there is something for them.
    pub(super) fn serve_polls(&mut self, context: &mut ServiceContext<'_>, name: &str) {
        while let Some(queue) = self.queues.get_mut(name) {
            let Some((call_sequence, poll)) = queue.polls.pop_first() else { return };
            let messages = self.receive(context, name, &poll.request, &poll.quirks, call_sequence);
            if messages.is_empty() {
                if let Some(queue) = self.queues.get_mut(name) {
                    queue.polls.insert(call_sequence, poll);
                }
                return;
            }
            context.complete(call_sequence, Ok(Answer::from(json!({"Messages": messages}))));
        }
    }

    pub(super) fn end_poll(&mut self, context: &mut ServiceContext<'_>, name: &str, call_sequence: u64) {
        let poll = self.queues.get_mut(name).and_then(|queue| queue.polls.remove(&call_sequence));
        if poll.is_some() {
            context.complete(call_sequence, Ok(Answer::from(json!({}))));
        }
    }

    fn receive(
        &mut self,
        context: &mut ServiceContext<'_>,
        name: &str,
        request: &ReceiveRequest,
        quirks: &Quirks,
        call_sequence: u64,
    ) -> Vec<Value> {
        let redrive = self.redrive(name);
        let in_flight_max = self.config.in_flight_max;
        let Some(queue) = self.queues.get_mut(name) else { return Vec::new() };
        if let Some(messages) = replay_attempt(context, queue, request, call_sequence) {
            self.changed.insert(name.to_owned());
            return messages;
        }
        let mut taken = take(context, queue, request, quirks, redrive.as_ref(), call_sequence, in_flight_max);
        if quirks.reverse && !queue.fifo() {
            taken.messages.reverse();
        }
        if !taken.messages.is_empty() || !taken.dead.is_empty() {
            self.changed.insert(name.to_owned());
        }
        if let Some(redrive) = redrive {
            for message in taken.dead {
                self.dead_letter(context, name, &redrive, message, call_sequence);
            }
        }
        taken.messages
    }

    /// The queue's redrive policy, if its dead-letter queue exists and allows it.
    fn redrive(&self, name: &str) -> Option<RedrivePolicy> {
        let queue = self.queues.get(name)?;
        let redrive = queue.attributes.redrive.as_ref()?;
        let target = self.queues.get(redrive.target_name())?;
        (target.fifo() == queue.fifo() && target.accepts_from(&queue.arn)).then(|| redrive.clone())
    }

    fn dead_letter(
        &mut self,
        context: &mut ServiceContext<'_>,
        name: &str,
        redrive: &RedrivePolicy,
        mut message: Message,
        call_sequence: u64,
    ) {
        let target = redrive.target_name().to_owned();
        let Some(queue) = self.queues.get(name) else { return };
        queue.note(context, call_sequence, MessageStepKind::DeadLettered, &message, target.clone());
        let source = queue.arn.clone();
        message.ordinal = self.next_ordinal;
        self.next_ordinal += 1;
        message.receives_here = 0;
        message.place = Place::Visible;
        message.order_at = context.now;
        message.dead_letter_source = Some(source);
        let Some(target_queue) = self.queues.get_mut(&target) else { return };
        target_queue.pass_time(context);
        if target_queue.fifo() {
            message.enqueued_at = context.now;
            message.draft.deduplication_id = Some(message.id.clone());
            target_queue.remember(&message, context.now);
        }
        let note = format!("from {}", message.id);
        self.store(context, &target, message, note);
    }
}

impl Queue {
    /// Whether a queue may use this one for its dead letters.
    pub(super) fn accepts_from(&self, source_arn: &str) -> bool {
        use super::attributes::RedriveAllowPolicy;
        match &self.attributes.redrive_allow {
            None | Some((RedriveAllowPolicy::AllowAll, _)) => true,
            Some((RedriveAllowPolicy::DenyAll, _)) => false,
            Some((RedriveAllowPolicy::ByQueue(sources), _)) => sources.iter().any(|source| source == source_arn),
        }
    }
}

fn empty() -> Execution {
    Execution::Answer(Ok(Answer::from(json!({}))))
}

fn answer(messages: Vec<Value>) -> Execution {
    Execution::Answer(Ok(Answer::from(json!({"Messages": messages}))))
}

/// A short poll asks some of the queue's hosts only, and may miss what the others hold.
fn misses(context: &mut ServiceContext<'_>, name: &str) -> bool {
    let share = context.assumptions.sqs_short_poll_empty_share;
    let key = format!("{name}/{}", context.caller);
    share > 0.0 && context.entropy.next_fraction("sqs-short-poll", &key) < share
}

fn request(queue: &Queue, input: Input<'_>) -> Result<ReceiveRequest, ServiceError> {
    let seconds = |value: Option<i64>, default: Duration| {
        value.and_then(|value| u64::try_from(value).ok()).map_or(default, Duration::from_secs)
    };
    let count = input.integer_in("MaxNumberOfMessages", 1, 10, "Must be between 1 and 10, if provided.")?;
    let wait = input.integer_in("WaitTimeSeconds", 0, 20, "Must be >= 0 and <= 20, if provided.")?;
    let visibility = input.integer_in("VisibilityTimeout", 0, 43_200, "Must be between 0 and 43200, if provided.")?;
    let attempt_id = input.text("ReceiveRequestAttemptId")?;
    if let Some(id) = attempt_id
        && !queue.fifo()
    {
        let reason = "The request includes a parameter that is not valid for this queue type.";
        return Err(invalid_value(id, "ReceiveRequestAttemptId", reason));
    }
    let mut system = input.texts("MessageSystemAttributeNames")?;
    let is_known = |name: &&str| *name == "All" || SYSTEM_ATTRIBUTES.contains(name);
    // The older member shares its names with the attributes of queues, which are nothing of a message.
    let older = input.texts("AttributeNames")?;
    let unknown = system.iter().find(|name| !is_known(name));
    if let Some(unknown) = unknown.or_else(|| older.iter().find(|name| !is_known(name) && !ATTRIBUTES.contains(name))) {
        return Err(error("InvalidAttributeName", format!("Unknown Attribute {unknown}.")));
    }
    system.extend(older);
    let owned = |names: Vec<&str>| names.into_iter().map(str::to_owned).collect();
    Ok(ReceiveRequest {
        count_max: count.and_then(|count| usize::try_from(count).ok()).unwrap_or(1),
        visibility: seconds(visibility, queue.attributes.visibility_timeout),
        wait: seconds(wait, queue.attributes.wait),
        attempt_id: attempt_id.map(str::to_owned),
        system_attributes: owned(system),
        message_attributes: owned(input.texts("MessageAttributeNames")?),
    })
}

const SYSTEM_ATTRIBUTES: &[&str] = &[
    "SenderId",
    "SentTimestamp",
    "ApproximateReceiveCount",
    "ApproximateFirstReceiveTimestamp",
    "SequenceNumber",
    "MessageDeduplicationId",
    "MessageGroupId",
    "AWSTraceHeader",
    "DeadLetterQueueSourceArn",
];

/// A receive whose answer was lost is repeated with its attempt id: the same messages again, if nothing touched them.
fn replay_attempt(
    context: &mut ServiceContext<'_>,
    queue: &mut Queue,
    request: &ReceiveRequest,
    call_sequence: u64,
) -> Option<Vec<Value>> {
    while let Some((at, _)) = queue.attempts_by_age.front()
        && at.plus(DEDUPLICATION_WINDOW) <= context.now
    {
        let (at, id) = queue.attempts_by_age.pop_front()?;
        if queue.attempts.get(&id).is_some_and(|attempt| attempt.at == at) {
            queue.attempts.remove(&id);
        }
    }
    let attempt = queue.attempts.get(request.attempt_id.as_ref()?)?;
    let is_untouched = |(ordinal, receipt): &(u64, u64)| {
        queue
            .messages
            .get(ordinal)
            .is_some_and(|message| message.receipt == *receipt && matches!(message.place, Place::InFlight { .. }))
    };
    if !attempt.messages.iter().all(is_untouched) {
        return None;
    }
    let until = context.now.plus(request.visibility);
    let ordinals: Vec<u64> = attempt.messages.iter().map(|(ordinal, _)| *ordinal).collect();
    let mut messages = Vec::with_capacity(ordinals.len());
    for ordinal in ordinals {
        queue.hide(ordinal, until);
        let message = queue.messages.get(&ordinal)?;
        queue.note(context, call_sequence, MessageStepKind::Received, message, "again, by its attempt id".to_owned());
        messages.push(shown(queue, message, request));
    }
    Some(messages)
}

fn take(
    context: &mut ServiceContext<'_>,
    queue: &mut Queue,
    request: &ReceiveRequest,
    quirks: &Quirks,
    redrive: Option<&RedrivePolicy>,
    call_sequence: u64,
    in_flight_max: usize,
) -> Taken {
    let mut taken = Taken::default();
    let mut started_group: Option<String> = None;
    let mut received: Vec<(u64, u64)> = Vec::new();
    let mut still_visible = Vec::new();
    while received.len() < request.count_max && queue.in_flight < in_flight_max {
        let Some(ordinal) = queue.lineup.next(started_group.as_deref()) else { break };
        let Some(message) = queue.messages.get_mut(&ordinal) else { break };
        if redrive.is_some_and(|redrive| message.receives_here >= redrive.max_receive_count) {
            taken.dead.extend(queue.remove(ordinal));
            continue;
        }
        message.receive_count += 1;
        message.receives_here += 1;
        message.receipt = u64::from(message.receives_here);
        message.received_at = context.now;
        message.first_received_at.get_or_insert(context.now);
        message.duplicated = false;
        if queue.attributes.fifo {
            started_group = message.draft.group.clone();
        } else if is_duplicated(context, message, quirks) {
            message.duplicated = true;
            still_visible.push(ordinal);
        }
        received.push((ordinal, message.receipt));
        queue.hide(ordinal, context.now.plus(request.visibility));
        if let Some(message) = queue.messages.get(&ordinal) {
            queue.note(context, call_sequence, MessageStepKind::Received, message, String::new());
            taken.messages.push(shown(queue, message, request));
        }
    }
    // Only now, or this very receive would find them again.
    for ordinal in still_visible {
        queue.show(ordinal);
    }
    if let (Some(id), false) = (&request.attempt_id, received.is_empty()) {
        queue.attempts_by_age.push_back((context.now, id.clone()));
        queue.attempts.insert(id.clone(), Attempt { at: context.now, messages: received });
    }
    taken
}

/// Whether another copy of the message stays visible, as a standard queue may have it.
fn is_duplicated(context: &mut ServiceContext<'_>, message: &mut Message, quirks: &Quirks) -> bool {
    let share = context.assumptions.sqs_duplicate_share;
    let address = || format!("{}/{}", message.id, message.receive_count);
    let drawn = share > 0.0 && message::fraction_once(context.entropy, "sqs-duplicate", &address()) < share;
    std::mem::take(&mut message.duplicate_next) || quirks.duplicate || drawn
}

/// A message as its receiver sees it.
fn shown(queue: &Queue, message: &Message, request: &ReceiveRequest) -> Value {
    let receipt = Receipt {
        queue: queue.name.clone(),
        message_id: message.id.clone(),
        ordinal: message.ordinal,
        receipt: message.receipt,
    };
    let mut shown = Map::new();
    shown.insert("MessageId".to_owned(), json!(message.id));
    shown.insert("ReceiptHandle".to_owned(), json!(receipt.encode()));
    shown.insert("MD5OfBody".to_owned(), json!(message::md5_hex(message.draft.body.as_bytes())));
    shown.insert("Body".to_owned(), json!(message.draft.body));
    let system = system_attributes(message, &request.system_attributes);
    if !system.is_empty() {
        shown.insert("Attributes".to_owned(), Value::Object(system));
    }
    let attributes: Vec<_> =
        message.draft.attributes.iter().filter(|(name, _)| is_asked(name, &request.message_attributes)).collect();
    if let Some(checksum) = message::md5_of_attributes(attributes.iter().copied()) {
        shown.insert("MD5OfMessageAttributes".to_owned(), json!(checksum));
        let attributes: Map<String, Value> =
            attributes.into_iter().map(|(name, it)| (name.clone(), message::attribute_json(it))).collect();
        shown.insert("MessageAttributes".to_owned(), Value::Object(attributes));
    }
    Value::Object(shown)
}

fn is_asked(name: &str, asked: &[String]) -> bool {
    asked.iter().any(|pattern| match pattern.as_str() {
        "All" | ".*" => true,
        pattern => pattern == name || pattern.strip_suffix(".*").is_some_and(|prefix| name.starts_with(prefix)),
    })
}

fn system_attributes(message: &Message, asked: &[String]) -> Map<String, Value> {
    let all = asked.iter().any(|name| name == "All");
    let mut shown = Map::new();
    if asked.is_empty() {
        return shown;
    }
    let first = message.first_received_at.unwrap_or(message.received_at);
    let values = [
        ("SenderId", Some(message.sender.clone())),
        ("SentTimestamp", Some(message.sent_at.as_millis().to_string())),
        ("ApproximateReceiveCount", Some(message.receive_count.to_string())),
        ("ApproximateFirstReceiveTimestamp", Some(first.as_millis().to_string())),
        ("SequenceNumber", message.sequence_number.clone()),
        ("MessageDeduplicationId", message.draft.deduplication_id.clone()),
        ("MessageGroupId", message.draft.group.clone()),
        ("AWSTraceHeader", message.draft.trace_header.clone()),
        ("DeadLetterQueueSourceArn", message.dead_letter_source.clone()),
    ];
    for (name, value) in values {
        if let Some(value) = value
            && (all || asked.iter().any(|asked| asked == name))
        {
            shown.insert(name.to_owned(), Value::String(value));
        }
    }
    shown
}
