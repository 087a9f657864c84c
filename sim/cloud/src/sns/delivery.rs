//! From a topic to its subscribers: fan-out, attempts, giving up.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use serde_json::{Value, json};

use super::{
    Sns,
    envelope::{lambda_event, queue_request},
    publish::Notification,
    topic::{Protocol, Subscription},
};
use crate::{
    interface::{MessageStep, MessageStepKind, Service},
    latency::{lognormal_of_two_ms, nanoseconds},
    service::{InternalAnswer, InternalRequest, ServiceContext},
    sqs::{arn_name, message::fraction_once, quirks::Quirks},
};

/// Attempts at one subscriber: 3 at once, 2 a second apart, 10 with growing pauses, the rest 20 seconds apart (23 days).
const ATTEMPTS_MAX: u32 = 100_015;
const AT_ONCE: u32 = 3;
const A_SECOND_APART: u32 = AT_ONCE + 2;
const BACKING_OFF: u32 = A_SECOND_APART + 10;
/// Attributes of a message in a queue.
const QUEUE_ATTRIBUTES_MAX: usize = 10;
const LONGEST_PAUSE_SECONDS: f64 = 20.0;

/// One message on its way to one subscriber.
#[derive(Debug)]
pub struct Delivery {
    subscription: String,
    place: String,
    protocol: Protocol,
    pub message: Arc<Notification>,
    request: Value,
    /// Name of the subscription's dead-letter queue, if it has one.
    dead_letters: Option<String>,
    pub attempts: u32,
    /// It failed for good and is on its way to the dead-letter queue.
    dead: Option<String>,
    /// FIFO deliveries of a group to one subscriber go one after the other.
    lane: Option<(String, String)>,
    lag: Duration,
    /// What becomes of the first attempt, if a fault decides it.
    first_attempt: Option<Foiled>,
}

/// How an attempt ends that never reaches its subscriber.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Foiled {
    Unreachable,
    Refused,
}

/// The pause before the next attempt after so many.
fn pause(attempts: u32) -> Duration {
    match attempts {
        0..AT_ONCE => Duration::ZERO,
        AT_ONCE..A_SECOND_APART => Duration::from_secs(1),
        A_SECOND_APART..BACKING_OFF => {
            let along = f64::from(attempts - A_SECOND_APART) / f64::from(BACKING_OFF - A_SECOND_APART - 1);
            Duration::from_secs_f64(libm::pow(LONGEST_PAUSE_SECONDS, along))
        }
        _ => Duration::from_secs_f64(LONGEST_PAUSE_SECONDS),
    }
}

impl Sns {
    /// Sends a message to all subscribers that want it.
    pub(super) fn fan_out(
        &mut self,
        context: &mut ServiceContext<'_>,
        topic_arn: &str,
        message: &Arc<Notification>,
        quirks: &Quirks,
    ) {
        let Ok(topic) = self.topic_mut(topic_arn) else { return };
        let fifo = topic.fifo;
        for arn in topic.subscriptions.clone() {
            let Some(subscription) = self.subscriptions.get_mut(&arn) else { continue };
            let body = message.body.for_protocol(subscription.protocol);
            if subscription.filter(context.now).is_some_and(|filter| !filter.wants(body, &message.attributes)) {
                continue;
            }
            let copies = if quirks.duplicate { 2 } else { 1 };
            for _ in 0..copies {
                if let Some(delivery) = self.prepare(context, &arn, fifo, message, quirks) {
                    self.start(context, delivery);
                }
            }
        }
    }

    fn prepare(
        &self,
        context: &mut ServiceContext<'_>,
        arn: &str,
        fifo: bool,
        message: &Arc<Notification>,
        quirks: &Quirks,
    ) -> Option<Delivery> {
        let subscription = self.subscriptions.get(arn)?;
        let dead_letters = subscription.dead_letters.as_ref().and_then(|(arn, _)| arn_name(arn));
        Some(Delivery {
            subscription: arn.to_owned(),
            place: subscription.place(),
            protocol: subscription.protocol,
            message: Arc::clone(message),
            request: request(context, subscription, message),
            dead_letters: dead_letters.map(str::to_owned),
            attempts: 0,
            dead: None,
            lane: message.group.clone().filter(|_| fifo).map(|group| (arn.to_owned(), group)),
            lag: lag(context, fifo, subscription, message) + quirks.delay,
            first_attempt: match (quirks.refused, quirks.unreachable) {
                (true, _) => Some(Foiled::Refused),
                (_, true) => Some(Foiled::Unreachable),
                _ => None,
            },
        })
    }

    fn start(&mut self, context: &mut ServiceContext<'_>, delivery: Delivery) {
        self.next_delivery += 1;
        let (id, lag, lane) = (self.next_delivery, delivery.lag, delivery.lane.clone());
        self.deliveries.insert(id, delivery);
        let Some(lane) = lane else { return self.attempt(context, id, lag) };
        let waiting: &mut VecDeque<u64> = self.lanes.entry(lane).or_default();
        waiting.push_back(id);
        if waiting.len() == 1 {
            self.attempt(context, id, lag);
        }
    }

    fn attempt(&mut self, context: &mut ServiceContext<'_>, id: u64, delay: Duration) {
        let Some(delivery) = self.deliveries.get_mut(&id) else { return };
        delivery.attempts += 1;
        if delivery.first_attempt.is_some() {
            context.wake_at(context.now.plus(delay), id);
            return;
        }
        let (to, operation) = match (delivery.protocol, &delivery.dead) {
            (Protocol::Lambda, None) => (Service::Lambda, "Invoke"),
            _ => (Service::Sqs, "SendMessage"),
        };
        context.request(InternalRequest {
            token: id,
            to,
            operation: operation.to_owned(),
            request: delivery.request.clone(),
            delay,
        });
    }

    /// An attempt that never reached its subscriber is over.
    pub(super) fn unreached(&mut self, context: &mut ServiceContext<'_>, id: u64) {
        let foiled = self.deliveries.get_mut(&id).and_then(|delivery| delivery.first_attempt.take());
        let answer = match foiled {
            Some(Foiled::Refused) => InternalAnswer::Error {
                status: 403,
                code: "AccessDenied".to_owned(),
                message: "Access to the resource is denied.".to_owned(),
            },
            _ => InternalAnswer::NoAnswer,
        };
        self.attempted(context, id, answer);
    }

    /// What became of an attempt.
    pub(super) fn attempted(&mut self, context: &mut ServiceContext<'_>, id: u64, answer: InternalAnswer) {
        let Some(delivery) = self.deliveries.get_mut(&id) else { return };
        let reason = match answer {
            InternalAnswer::Success(body) => {
                let taken_as = body["MessageId"].as_str().unwrap_or_default().to_owned();
                let (step, note) = match &delivery.dead {
                    None => (MessageStepKind::Delivered, taken_as),
                    Some(reason) => {
                        let target = delivery.dead_letters.clone().unwrap_or_default();
                        (MessageStepKind::DeadLettered, format!("{target} as {taken_as}: {reason}"))
                    }
                };
                self.settle(context, id, step, note);
                return;
            }
            InternalAnswer::Error { status, code, .. } if is_clients(status, &code) => code,
            _ if delivery.attempts < ATTEMPTS_MAX => {
                let delay = pause(delivery.attempts);
                self.attempt(context, id, delay);
                return;
            }
            InternalAnswer::Error { code, .. } => code,
            InternalAnswer::NoAnswer => "no answer".to_owned(),
        };
        self.give_up(context, id, reason);
    }

    /// The subscription's dead-letter queue takes the message, or nobody.
    fn give_up(&mut self, context: &mut ServiceContext<'_>, id: u64, reason: String) {
        let Some(delivery) = self.deliveries.get_mut(&id) else { return };
        let target = delivery.dead_letters.clone().filter(|_| delivery.dead.is_none());
        let Some(target) = target else {
            let note =
                delivery.dead.clone().map_or(reason.clone(), |first| format!("{first}; dead-letter queue: {reason}"));
            self.settle(context, id, MessageStepKind::Dropped, note);
            return;
        };
        let request = match delivery.protocol {
            Protocol::Sqs => {
                let mut request = delivery.request.clone();
                request["QueueUrl"] = json!(super::envelope::queue_url(context, &target));
                // What no queue could hold is not to be the reason why this one cannot either.
                if request["MessageAttributes"].as_object().is_some_and(|it| it.len() > QUEUE_ATTRIBUTES_MAX) {
                    request["MessageAttributes"] = json!({});
                }
                request
            }
            Protocol::Lambda => json!({
                "QueueUrl": super::envelope::queue_url(context, &target), "MessageBody": delivery.request["Payload"],
            }),
        };
        delivery.request = request;
        delivery.dead = Some(reason);
        delivery.attempts = 0;
        self.attempt(context, id, Duration::ZERO);
    }

    fn settle(&mut self, context: &mut ServiceContext<'_>, id: u64, step: MessageStepKind, note: String) {
        let Some(delivery) = self.deliveries.remove(&id) else { return };
        context.note(MessageStep {
            at: context.now,
            call_sequence: context.call_sequence,
            service: Service::Sns,
            place: delivery.place,
            step,
            message_id: delivery.message.id.clone(),
            key: delivery.message.group.clone().unwrap_or_default(),
            body: "".into(),
            receive_count: delivery.attempts,
            note,
        });
        let Some(lane) = delivery.lane else { return };
        let Some(waiting) = self.lanes.get_mut(&lane) else { return };
        waiting.pop_front();
        match waiting.front().copied() {
            None => {
                self.lanes.remove(&lane);
            }
            Some(next) => {
                // It waited while the one before it was delivered, and goes at once unless its own time is later.
                let Some(delivery) = self.deliveries.get(&next) else { return };
                let ready_at = delivery.message.at.plus(delivery.lag);
                self.attempt(context, next, ready_at.since(context.now));
            }
        }
    }

    /// Deliveries under way, for judging.
    pub(super) fn pending(&self) -> Vec<Value> {
        let show = |delivery: &Delivery| {
            json!({
                "place": delivery.place, "subscription": delivery.subscription, "message_id": delivery.message.id,
                "attempts": delivery.attempts, "to_dead_letters": delivery.dead.is_some(),
            })
        };
        self.deliveries.values().map(show).collect()
    }
}

/// Whether an error says that the next attempt would fail as well: a queue that is gone, a message that it refuses.
fn is_clients(status: u16, code: &str) -> bool {
    const PASSING: &[&str] =
        &["RequestThrottled", "ThrottlingException", "OverLimit", "TooManyRequestsException", "KmsThrottled"];
    (400..500).contains(&status) && status != 429 && !PASSING.contains(&code)
}

fn request(context: &ServiceContext<'_>, subscription: &Subscription, message: &Notification) -> Value {
    match subscription.protocol {
        Protocol::Sqs => queue_request(context, subscription, message),
        Protocol::Lambda => json!({
            "FunctionName": subscription.endpoint,
            "InvocationType": "Event",
            "Payload": lambda_event(context, subscription, message).to_string(),
        }),
    }
}

/// How long the message takes until it sets out for its subscriber.
fn lag(context: &mut ServiceContext<'_>, fifo: bool, subscription: &Subscription, message: &Notification) -> Duration {
    let assumptions = context.assumptions;
    let (p50_ms, p99_ms) = match (subscription.protocol, fifo) {
        (Protocol::Lambda, _) => (assumptions.sns_lambda_delivery_p50_ms, assumptions.sns_lambda_delivery_p99_ms),
        (Protocol::Sqs, true) => (assumptions.sns_fifo_delivery_p50_ms, assumptions.sns_fifo_delivery_p99_ms),
        (Protocol::Sqs, false) => (assumptions.sns_delivery_p50_ms, assumptions.sns_delivery_p99_ms),
    };
    if p50_ms <= 0.0 {
        return Duration::ZERO;
    }
    let address = format!("{} {}", message.id, subscription.arn);
    nanoseconds(lognormal_of_two_ms(p50_ms, p99_ms, fraction_once(context.entropy, "sns-delivery", &address)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_as_documented() {
        let seconds: Vec<f64> = [1, 2, 3, 4, 5, 14, 15, 16, 100_000].map(|n| pause(n).as_secs_f64()).to_vec();
        for (found, wanted) in seconds.iter().zip([0.0, 0.0, 1.0, 1.0, 1.0, 20.0, 20.0, 20.0, 20.0]) {
            assert!((found - wanted).abs() < 1e-6, "{seconds:?}");
        }
        let growing: Vec<Duration> = (5..15).map(pause).collect();
        assert!(growing.is_sorted() && growing[4] > Duration::from_secs(3), "{growing:?}");
        // 23 days, as the developer guide sums it up.
        let total: Duration = (1..ATTEMPTS_MAX).map(pause).sum();
        assert_eq!(total.as_secs() / 86_400, 23);
    }

    #[test]
    fn only_lasting_refusals_end_a_delivery() {
        for (status, code, wanted) in [
            (400, "QueueDoesNotExist", true),
            (400, "InvalidParameterValue", true),
            (404, "ResourceNotFoundException", true),
            (403, "RequestThrottled", false),
            (429, "TooManyRequestsException", false),
            (500, "InternalFailure", false),
            (503, "ServiceUnavailable", false),
        ] {
            assert_eq!(is_clients(status, code), wanted, "{status} {code}");
        }
    }
}
