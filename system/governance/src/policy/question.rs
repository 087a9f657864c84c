//! The questions that services put to the policies; in Rego each is `input`.

use std::collections::BTreeMap;

use regorus::Value;
use serde::{Deserialize, Serialize};

/// Something that policies can be asked. `rego` must give the same document as the question's JSON; a test holds that.
pub trait PolicyQuestion: Serialize {
    /// The question as Rego's `input`, made without the way through text.
    fn rego(&self, keys: &QuestionKeys) -> Value;
}

/// May this be done to the store?
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicyInput {
    /// Which service asks, such as `command-service`.
    pub service: String,
    /// `append-event`, `read-events`, `update-event`, `delete-event`, `store-snapshot`, `read-snapshot`, …
    pub operation: String,
    /// What it would act on, such as `event-store`.
    pub store: String,
    /// On whose behalf: `customer`, `payments`, `warehouse`, `support` or `system`.
    pub role: String,
    /// The command's name; empty where there is none.
    pub command: String,
    /// The aggregate's id, such as `order-o-1`.
    pub aggregate: String,
    /// The types of the events that would be appended.
    pub event_types: Vec<String>,
    /// The money at stake, if any.
    pub amount_cents: Option<u64>,
}

/// May this client ask about the past once more? The caller counts its queries, over all instances together, and hands
/// the count in: policies read no clock and keep nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, tag = "operation", rename = "temporal-query")]
pub struct TemporalQueryInput {
    /// Which service asks, such as `query-dashboard`.
    pub service: String,
    /// Where the past is kept, such as `event-store`.
    pub store: String,
    /// On whose behalf, as in [`PolicyInput`].
    pub role: String,
    /// Who asked: what the limit is counted by.
    pub client: String,
    /// How many temporal queries of this client were answered in the last 60 s, this one not included.
    pub queries_in_last_minute: u64,
}

/// The names of the questions' fields, made once: a decision then allocates only the values.
pub struct QuestionKeys {
    service: Value,
    operation: Value,
    store: Value,
    role: Value,
    command: Value,
    aggregate: Value,
    event_types: Value,
    amount_cents: Value,
    client: Value,
    queries_in_last_minute: Value,
    temporal_query: Value,
}

impl QuestionKeys {
    pub(super) fn new() -> Self {
        Self {
            service: "service".into(),
            operation: "operation".into(),
            store: "store".into(),
            role: "role".into(),
            command: "command".into(),
            aggregate: "aggregate".into(),
            event_types: "event_types".into(),
            amount_cents: "amount_cents".into(),
            client: "client".into(),
            queries_in_last_minute: "queries_in_last_minute".into(),
            temporal_query: "temporal-query".into(),
        }
    }
}

impl PolicyQuestion for PolicyInput {
    fn rego(&self, keys: &QuestionKeys) -> Value {
        let event_types: Vec<Value> = self.event_types.iter().map(|name| name.as_str().into()).collect();
        Value::from(BTreeMap::from([
            (keys.service.clone(), self.service.as_str().into()),
            (keys.operation.clone(), self.operation.as_str().into()),
            (keys.store.clone(), self.store.as_str().into()),
            (keys.role.clone(), self.role.as_str().into()),
            (keys.command.clone(), self.command.as_str().into()),
            (keys.aggregate.clone(), self.aggregate.as_str().into()),
            (keys.event_types.clone(), event_types.into()),
            (keys.amount_cents.clone(), self.amount_cents.map_or(Value::Null, Value::from)),
        ]))
    }
}

impl PolicyQuestion for TemporalQueryInput {
    fn rego(&self, keys: &QuestionKeys) -> Value {
        Value::from(BTreeMap::from([
            (keys.operation.clone(), keys.temporal_query.clone()),
            (keys.service.clone(), self.service.as_str().into()),
            (keys.store.clone(), self.store.as_str().into()),
            (keys.role.clone(), self.role.as_str().into()),
            (keys.client.clone(), self.client.as_str().into()),
            (keys.queries_in_last_minute.clone(), self.queries_in_last_minute.into()),
        ]))
    }
}

/// A question that is JSON already, such as one from a file.
impl PolicyQuestion for serde_json::Value {
    fn rego(&self, _: &QuestionKeys) -> Value {
        Value::from(self.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assert_same(question: &impl PolicyQuestion) {
        let through_json = Value::from(serde_json::to_value(question).unwrap());
        assert_eq!(question.rego(&QuestionKeys::new()), through_json);
    }

    #[test]
    fn a_question_in_rego_is_the_questions_json() {
        for amount_cents in [None, Some(0), Some(u64::MAX)] {
            assert_same(&PolicyInput {
                service: "command-service".into(),
                operation: "append-event".into(),
                store: "event-store".into(),
                role: "customer".into(),
                command: "PlaceOrder".into(),
                aggregate: "order-o-1".into(),
                event_types: vec!["OrderPlaced".into(), "é\"\n".into()],
                amount_cents,
            });
        }
        assert_same(&TemporalQueryInput {
            service: "query-dashboard".into(),
            store: "event-store".into(),
            role: "customer".into(),
            client: "client-1".into(),
            queries_in_last_minute: 9,
        });
    }
}
