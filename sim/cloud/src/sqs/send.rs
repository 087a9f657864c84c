//! SendMessage and SendMessageBatch.

use std::time::Duration;

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::{
    Outcome, Sqs,
    attributes::MAX_MESSAGE_BYTES,
    batch,
    errors::{error, invalid_value, missing, no_queue, unavailable},
    input::Input,
    message::{self, Attribute, AttributeValue, Draft, Message, Place},
    queue::Queue,
    quirks::Quirks,
};
use crate::{
    entropy::hash_text,
    interface::{MessageStepKind, UnixNanos},
    latency::{lognormal_of_two_ms, nanoseconds},
    service::{ServiceContext, ServiceError},
};

const MAX_ATTRIBUTES: usize = 10;

impl Sqs {
    pub(super) fn send_message(&mut self, context: &mut ServiceContext<'_>, input: Input<'_>) -> Outcome {
        let name = self.touch(context, input)?;
        self.check_throughput(&name, "SendMessage", context)?;
        let quirks = Quirks::of(context.quirks);
        if quirks.unreachable {
            return Err(unavailable());
        }
        self.send_one(context, &name, input, &quirks, 0)
    }

    pub(super) fn send_message_batch(&mut self, context: &mut ServiceContext<'_>, input: Input<'_>) -> Outcome {
        let name = self.touch(context, input)?;
        let entries = batch::entries(input, "SendMessageBatchRequestEntry")?;
        self.check_throughput(&name, "SendMessageBatch", context)?;
        let quirks = Quirks::of(context.quirks);
        if quirks.unreachable {
            return Err(unavailable());
        }
        let size: usize = entries.iter().map(|(_, entry)| entry_size_bytes(*entry)).sum();
        if size > MAX_MESSAGE_BYTES {
            return Err(error(
                "BatchRequestTooLong",
                format!("Batch requests cannot be longer than {MAX_MESSAGE_BYTES} bytes. You have sent {size} bytes."),
            ));
        }
        // Received backwards: the first of the batch has the last turn.
        let mut turn = if quirks.reverse { entries.len() as u64 } else { 0 };
        batch::each(entries, &quirks, |entry| {
            let place = turn;
            turn = turn.saturating_sub(1);
            self.send_one(context, &name, entry, &quirks, place)
        })
    }

    fn send_one(
        &mut self,
        context: &mut ServiceContext<'_>,
        name: &str,
        input: Input<'_>,
        quirks: &Quirks,
        turn: u64,
    ) -> Outcome {
        let queue = self.queue_mut(name)?;
        let draft = draft(queue, input)?;
        if queue.fifo()
            && let Some((id, sequence_number)) = queue.earlier(&draft, context.now)
        {
            return Ok(sent(&draft, &id, sequence_number.as_deref()));
        }
        let mut message = self.new_message(context, name, draft)?;
        if let Place::Delayed { until } = &mut message.place {
            *until = until.plus(quirks.delay);
        } else if !quirks.delay.is_zero() {
            message.place = Place::Delayed { until: context.now.plus(quirks.delay) };
        }
        let queue = self.queue_mut(name)?;
        message.order_at = UnixNanos(message.order_at.0 + turn);
        message.duplicate_next = quirks.duplicate && !queue.fifo();
        let answer = sent(&message.draft, &message.id, message.sequence_number.as_deref());
        queue.remember(&message, context.now);
        self.store(context, name, message, String::new());
        Ok(answer)
    }

    /// A message that was sent to the queue just now.
    pub(super) fn new_message(
        &mut self,
        context: &mut ServiceContext<'_>,
        name: &str,
        draft: Draft,
    ) -> Result<Message, ServiceError> {
        let queue = self.queues.get(name).ok_or_else(no_queue)?;
        let address = format!("{name}/{:016x}", hash_text(&draft.body));
        let id = message::unique_id(context.entropy, "sqs-message-id", &address);
        let (place, order_at) = arrival(context, queue, &id, draft.delay_seconds);
        let ordinal = self.next_ordinal;
        self.next_ordinal += 1;
        Ok(Message {
            ordinal,
            id,
            sequence_number: queue.fifo().then(|| sequence_number(ordinal)),
            draft,
            sender: context.account_id.to_owned(),
            sent_at: context.now,
            enqueued_at: context.now,
            order_at,
            first_received_at: None,
            receive_count: 0,
            receives_here: 0,
            receipt: 0,
            received_at: context.now,
            place,
            duplicated: false,
            duplicate_next: false,
            dead_letter_source: None,
        })
    }

    /// The queue accepts a message.
    pub(super) fn store(&mut self, context: &mut ServiceContext<'_>, name: &str, message: Message, note: String) {
        let Some(queue) = self.queues.get_mut(name) else { return };
        queue.note(context, context.call_sequence, MessageStepKind::Accepted, &message, note);
        queue.insert(message);
        self.changed.insert(name.to_owned());
    }
}

/// From when a new message is visible, and its turn among others.
pub fn arrival(
    context: &mut ServiceContext<'_>,
    queue: &Queue,
    id: &str,
    delay_seconds: Option<u64>,
) -> (Place, UnixNanos) {
    let assumptions = context.assumptions;
    let delay = delay_seconds.map_or(queue.attributes.delay, Duration::from_secs);
    let mut until = context.now.plus(delay);
    if assumptions.sqs_delivery_p50_ms > 0.0 {
        let quantile = message::fraction_once(context.entropy, "sqs-delivery", id);
        let lag = lognormal_of_two_ms(assumptions.sqs_delivery_p50_ms, assumptions.sqs_delivery_p99_ms, quantile);
        until = until.plus(nanoseconds(lag));
    }
    let mut order_at = context.now;
    if !queue.fifo()
        && assumptions.sqs_reorder_share > 0.0
        && message::fraction_once(context.entropy, "sqs-reorder", id) < assumptions.sqs_reorder_share
    {
        let share = message::fraction_once(context.entropy, "sqs-reorder-by", id);
        order_at = order_at.plus(nanoseconds(share * assumptions.sqs_reorder_max_ms));
    }
    let place = if until > context.now { Place::Delayed { until } } else { Place::Visible };
    (place, order_at)
}

/// 20 digits that grow with each message, with gaps, as the service's do.
fn sequence_number(ordinal: u64) -> String {
    (18_870_000_000_000_000_000_u128 + u128::from(ordinal) * 256).to_string()
}

fn sent(draft: &Draft, id: &str, sequence_number: Option<&str>) -> Value {
    let mut answer = Map::new();
    answer.insert("MessageId".to_owned(), json!(id));
    answer.insert("MD5OfMessageBody".to_owned(), json!(message::md5_hex(draft.body.as_bytes())));
    if let Some(checksum) = message::md5_of_attributes(draft.attributes.iter()) {
        answer.insert("MD5OfMessageAttributes".to_owned(), json!(checksum));
    }
    if let Some(trace) = &draft.trace_header {
        let attribute = Attribute { data_type: "String".into(), value: AttributeValue::Text(trace.clone()) };
        let name = "AWSTraceHeader".to_owned();
        let checksum = message::md5_of_attributes([(&name, &attribute)].into_iter());
        answer.insert("MD5OfMessageSystemAttributes".to_owned(), json!(checksum));
    }
    if let Some(sequence_number) = sequence_number {
        answer.insert("SequenceNumber".to_owned(), json!(sequence_number));
    }
    Value::Object(answer)
}

/// What an entry adds to the size of its batch; one that cannot be read adds what can be read of it.
fn entry_size_bytes(entry: Input<'_>) -> usize {
    let body = entry.text("MessageBody").ok().flatten().map_or(0, str::len);
    body + message::attributes(&entry, "MessageAttributes").map_or(0, |it| message::size_of_attributes(&it))
}

fn draft(queue: &Queue, input: Input<'_>) -> Result<Draft, ServiceError> {
    let body = input.required("MessageBody")?;
    if !body.chars().all(is_allowed) {
        return Err(error(
            "InvalidMessageContents",
            "Invalid characters found. Valid unicode characters are #x9 | #xA | #xD | #x20 to #xD7FF | #xE000 to #xFFFD | #x10000 to #x10FFFF.",
        ));
    }
    let attributes = message::attributes(&input, "MessageAttributes")?;
    if attributes.len() > MAX_ATTRIBUTES {
        return Err(error(
            "InvalidParameterValue",
            format!(
                "Number of message attributes [{}] exceeds the allowed maximum [{MAX_ATTRIBUTES}].",
                attributes.len()
            ),
        ));
    }
    let mut draft = Draft {
        body: body.to_owned(),
        attributes,
        trace_header: trace_header(input)?,
        delay_seconds: delay_seconds(queue, input)?,
        group: input.text("MessageGroupId")?.map(str::to_owned),
        deduplication_id: input.text("MessageDeduplicationId")?.map(str::to_owned),
    };
    let limit = queue.attributes.max_message_bytes;
    if draft.size_bytes() > limit {
        return Err(error(
            "InvalidParameterValue",
            format!("One or more parameters are invalid. Reason: Message must be shorter than {limit} bytes."),
        ));
    }
    check_fifo(queue, &mut draft)?;
    Ok(draft)
}

fn is_allowed(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | '\u{20}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..='\u{10ffff}')
}

fn trace_header(input: Input<'_>) -> Result<Option<String>, ServiceError> {
    let mut trace = None;
    for (name, attribute) in message::attributes(&input, "MessageSystemAttributes")? {
        match (name.as_str(), attribute.value) {
            ("AWSTraceHeader", AttributeValue::Text(text)) if attribute.data_type == "String" => trace = Some(text),
            _ => {
                return Err(error(
                    "InvalidParameterValue",
                    format!("Message system attribute name '{name}' is invalid, or its type is not String."),
                ));
            }
        }
    }
    Ok(trace)
}

fn delay_seconds(queue: &Queue, input: Input<'_>) -> Result<Option<u64>, ServiceError> {
    let reason = "DelaySeconds must be >= 0 and <= 900.";
    let delay = input.integer_in("DelaySeconds", 0, 900, reason)?.and_then(|delay| u64::try_from(delay).ok());
    match delay {
        Some(delay) if queue.fifo() && delay > 0 => Err(invalid_value(
            delay,
            "DelaySeconds",
            "The request include parameter that is not valid for this queue type.",
        )),
        // A FIFO queue's delay is the queue's own, whatever a message says.
        Some(_) if queue.fifo() => Ok(None),
        delay => Ok(delay),
    }
}

/// Group and deduplication id, where the queue has such things.
fn check_fifo(queue: &Queue, draft: &mut Draft) -> Result<(), ServiceError> {
    for (name, value) in [("MessageGroupId", &draft.group), ("MessageDeduplicationId", &draft.deduplication_id)] {
        if let Some(value) = value
            && !is_identifier(value)
        {
            return Err(invalid_value(
                value,
                name,
                &format!("{name} can only include alphanumeric and punctuation characters. 1 to 128 in length."),
            ));
        }
    }
    if !queue.fifo() {
        // Standard queues take groups (for fairness), but no deduplication.
        return match &draft.deduplication_id {
            Some(id) => Err(invalid_value(
                id,
                "MessageDeduplicationId",
                "The request includes a parameter that is not valid for this queue type.",
            )),
            None => Ok(()),
        };
    }
    if draft.group.is_none() {
        return Err(missing("MessageGroupId"));
    }
    if draft.deduplication_id.is_none() {
        if !queue.attributes.content_based_deduplication {
            return Err(error(
                "InvalidParameterValue",
                "The queue should either have ContentBasedDeduplication enabled or MessageDeduplicationId provided explicitly",
            ));
        }
        draft.deduplication_id = Some(message::hex(&Sha256::digest(draft.body.as_bytes())));
    }
    Ok(())
}

fn is_identifier(text: &str) -> bool {
    (1..=128).contains(&text.len()) && text.chars().all(|c| c.is_ascii_graphic())
}
