//! Consumers registered for fan-out. They can be registered, described and removed; SubscribeToShard itself answers
//! with an HTTP/2 event stream and is not simulated.

use serde_json::{Value, json};

use super::{
    Change, Kinesis,
    errors::{self, Named, invalid_argument},
    input::{Input, Text, stream_of_arn},
    listing::ListToken,
    stream::{Status, Stream},
};
use crate::{
    interface::UnixNanos,
    service::{ServiceContext, ServiceError},
};

type Outcome<T> = Result<T, ServiceError>;

const MAX_CONSUMERS: usize = 20;
const MAX_BEING_CREATED: usize = 5;

#[derive(Clone, Debug)]
pub struct Consumer {
    pub status: Status,
    pub created_at: UnixNanos,
}

impl Consumer {
    fn describe(&self, stream_arn: &str, name: &str) -> Value {
        json!({
            "ConsumerName": name,
            "ConsumerARN": format!("{stream_arn}/consumer/{name}:{}", self.created_at.0 / 1_000_000_000),
            "ConsumerStatus": self.status.name(),
            "ConsumerCreationTimestamp": self.created_at.as_millis() as f64 / 1_000.0,
        })
    }
}

impl Kinesis {
    pub(super) fn register_stream_consumer(
        &mut self,
        context: &mut ServiceContext<'_>,
        mut input: Input<'_>,
    ) -> Outcome<Value> {
        let arn = input.required_string("StreamARN", Text::Length(2_048))?;
        let name = input.required_string("ConsumerName", Text::Name)?;
        input.finish()?;
        let (account_id, creation_ms) = (self.account_id.clone(), self.config.creation_ms);
        let stream = self.active_stream(arn)?;
        let named = Named { stream: &stream.name, account_id: &account_id };
        if stream.consumers.contains_key(name) {
            return Err(errors::in_use(format!(
                "Consumer {name} under stream {} already exists for account {account_id}.",
                named.stream
            )));
        }
        let being_created = stream.consumers.values().filter(|consumer| consumer.status == Status::Creating).count();
        if stream.consumers.len() >= MAX_CONSUMERS || being_created >= MAX_BEING_CREATED {
            return Err(errors::limit_exceeded(format!(
                "Stream {} under account {account_id} has as many consumers as it may have, registered or being created.",
                named.stream
            )));
        }
        let consumer = Consumer { status: Status::Creating, created_at: context.now };
        let described = consumer.describe(arn, name);
        stream.consumers.insert(name.to_owned(), consumer);
        let (stream, incarnation) = (stream.name.clone(), stream.incarnation);
        let change = Change::ConsumerReady { consumer: name.to_owned(), created_at: context.now };
        self.change_later(context, &stream, incarnation, creation_ms, change);
        Ok(json!({"Consumer": described}))
    }

    pub(super) fn describe_stream_consumer(&mut self, mut input: Input<'_>) -> Outcome<Value> {
        let (stream, name) = self.consumer_of(&mut input)?;
        input.finish()?;
        let arn = stream.arn(&self.region, &self.account_id);
        let mut described =
            stream.consumers.get(&name).map(|consumer| consumer.describe(&arn, &name)).unwrap_or_default();
        described["StreamARN"] = json!(arn);
        Ok(json!({"ConsumerDescription": described}))
    }

    pub(super) fn deregister_stream_consumer(
        &mut self,
        context: &mut ServiceContext<'_>,
        mut input: Input<'_>,
    ) -> Outcome<Value> {
        let (stream, consumer) = self.consumer_of(&mut input)?;
        let (stream, incarnation) = (stream.name.clone(), stream.incarnation);
        input.finish()?;
        let found = self.streams.get_mut(&stream).and_then(|stream| stream.consumers.get_mut(&consumer));
        if let Some(found) = found {
            found.status = Status::Deleting;
            let change = Change::ConsumerGone { consumer, created_at: found.created_at };
            self.change_later(context, &stream, incarnation, self.config.deletion_ms, change);
        }
        Ok(Value::Null)
    }

    pub(super) fn list_stream_consumers(
        &mut self,
        context: &mut ServiceContext<'_>,
        mut input: Input<'_>,
    ) -> Outcome<Value> {
        let arn = input.required_string("StreamARN", Text::Length(2_048))?;
        let limit = input.integer("MaxResults", 1, 10_000)?.unwrap_or(100) as usize;
        let token = input.string("NextToken", Text::Length(1_048_576))?;
        input.finish()?;
        let after = match token {
            None => String::new(),
            Some(token) => ListToken::decode(token, context.now)?.after,
        };
        let stream = self.stream_by_arn(arn)?;
        let mut names = stream.consumers.iter().filter(|(name, _)| **name > after).peekable();
        let mut shown = Vec::new();
        let mut last = String::new();
        while let Some((name, consumer)) = names.next_if(|_| shown.len() < limit) {
            shown.push(consumer.describe(arn, name));
            last.clone_from(name);
        }
        let mut answer = json!({"Consumers": shown});
        if names.peek().is_some() {
            let token =
                ListToken { stream: stream.name.clone(), filter: Value::Null, after: last, issued_at: context.now };
            answer["NextToken"] = json!(token.encode());
        }
        Ok(answer)
    }

    fn stream_by_arn(&self, arn: &str) -> Outcome<&Stream> {
        let name = stream_of_arn(arn, &self.region, &self.account_id)?;
        let named = Named { stream: name, account_id: &self.account_id };
        self.streams.get(name).ok_or_else(|| named.not_found())
    }

    fn active_stream(&mut self, arn: &str) -> Outcome<&mut Stream> {
        let status = self.stream_by_arn(arn)?.status;
        let name = stream_of_arn(arn, &self.region, &self.account_id)?;
        let named = Named { stream: name, account_id: &self.account_id };
        match self.streams.get_mut(name) {
            Some(stream) if status == Status::Active => Ok(stream),
            _ => Err(named.not_active(status.name())),
        }
    }

    /// The consumer that a request names, by its ARN or by its name and that of its stream; it exists.
    fn consumer_of(&self, input: &mut Input<'_>) -> Outcome<(&Stream, String)> {
        let consumer_arn = input.string("ConsumerARN", Text::Length(2_048))?;
        let stream_arn = input.string("StreamARN", Text::Length(2_048))?;
        let name = input.string("ConsumerName", Text::Name)?;
        let (arn, name) = match (consumer_arn, stream_arn, name) {
            (Some(arn), _, _) => {
                let after = arn.split("/consumer/").nth(1).unwrap_or_default();
                (arn, after.split(':').next().unwrap_or_default())
            }
            (None, Some(arn), Some(name)) => (arn, name),
            _ => return Err(invalid_argument("Specify either ConsumerARN, or both StreamARN and ConsumerName.")),
        };
        let stream = self.stream_by_arn(arn)?;
        let of_arn = |consumer: &Consumer| {
            consumer_arn.is_none_or(|arn| arn.ends_with(&format!(":{}", consumer.created_at.0 / 1_000_000_000)))
        };
        if stream.consumers.get(name).is_some_and(of_arn) {
            return Ok((stream, name.to_owned()));
        }
        Err(errors::not_found(format!("Consumer {name}, account {} not found.", self.account_id)))
    }
}
