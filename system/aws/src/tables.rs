//! The tables of the system, as data.

use serde_json::{Value, json};

/// Names of the tables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableNames {
    pub events: String,
    pub idempotency: String,
    /// Who reads which shard, and how far.
    pub leases: String,
    /// The read model.
    pub views: String,
    /// Notifications, each once.
    pub outbox: String,
    /// Aggregates that wait because one of their events could not be worked on.
    pub parked: String,
    /// Dead letters that no redrive can help.
    pub quarantine: String,
}

impl Default for TableNames {
    fn default() -> Self {
        Self {
            events: "nexus-events".to_owned(),
            idempotency: "nexus-idempotency".to_owned(),
            leases: "nexus-leases".to_owned(),
            views: "nexus-views".to_owned(),
            outbox: "nexus-outbox".to_owned(),
            parked: "nexus-parked".to_owned(),
            quarantine: "nexus-quarantine".to_owned(),
        }
    }
}

/// One table: what `CreateTable` is told, and what an existing table is compared with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Table {
    pub(crate) name: String,
    /// Name, attribute type and key type of each key attribute, partition key first.
    pub(crate) keys: &'static [(&'static str, &'static str, &'static str)],
    /// Whether new images go to a change stream.
    pub(crate) has_stream: bool,
}

const TEXT_KEY: &[(&str, &str, &str)] = &[("pk", "S", "HASH")];
const TWO_TEXT_KEYS: &[(&str, &str, &str)] = &[("pk", "S", "HASH"), ("sk", "S", "RANGE")];

/// Events never expire and are never overwritten; records never expire, or a very late retry would run again. The same
/// holds for the outbox: a message redriven late must find that it was notified.
pub(crate) fn tables(names: &TableNames) -> [Table; 7] {
    let table = |name: &str, keys| Table { name: name.to_owned(), keys, has_stream: false };
    [
        Table { name: names.events.clone(), keys: &[("pk", "S", "HASH"), ("sk", "N", "RANGE")], has_stream: true },
        table(&names.idempotency, TEXT_KEY),
        table(&names.leases, TWO_TEXT_KEYS),
        table(&names.views, TEXT_KEY),
        table(&names.outbox, TEXT_KEY),
        table(&names.parked, TWO_TEXT_KEYS),
        table(&names.quarantine, TEXT_KEY),
    ]
}

/// Bodies of the `CreateTable` calls that make the tables, all billed by request: events by (`pk` = stream, `sk` =
/// version) with a change stream of new images; idempotency records by key; leases by (group, shard); views by stream;
/// the outbox by event; parked aggregates by (consumer, key); quarantined letters by letter.
pub fn table_definitions(names: &TableNames) -> Vec<Value> {
    tables(names).iter().map(definition).collect()
}

fn definition(table: &Table) -> Value {
    let attributes = table.keys.iter().map(|(name, kind, _)| json!({"AttributeName": name, "AttributeType": kind}));
    let keys = table.keys.iter().map(|(name, _, role)| json!({"AttributeName": name, "KeyType": role}));
    let mut body = json!({
        "TableName": table.name,
        "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": attributes.collect::<Vec<_>>(),
        "KeySchema": keys.collect::<Vec<_>>(),
    });
    if table.has_stream {
        body["StreamSpecification"] = json!({"StreamEnabled": true, "StreamViewType": "NEW_IMAGE"});
    }
    body
}

/// What nobody may do on the event table, whatever their role: every way in which DynamoDB changes or removes an item but a
/// put, without which nothing could be appended.
pub const NEVER_ON_EVENTS: [&str; 5] = [
    "dynamodb:UpdateItem",
    "dynamodb:DeleteItem",
    "dynamodb:BatchWriteItem",
    "dynamodb:PartiQLUpdate",
    "dynamodb:PartiQLDelete",
];

/// The event table's own policy, as the deployment sets it: a denial that goes before every permission.
pub fn events_policy(table_arn: &str) -> Value {
    json!({
        "Version": "2012-10-17",
        "Statement": [{
            "Sid": "EventsAreNeverChanged",
            "Effect": "Deny",
            "Principal": "*",
            "Action": NEVER_ON_EVENTS,
            "Resource": table_arn,
        }],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn definitions_are_create_table_bodies() {
        let text_key = |name: &str| {
            json!({
                "TableName": name,
                "BillingMode": "PAY_PER_REQUEST",
                "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
                "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
            })
        };
        let two_keys = |name: &str, sort_type: &str| {
            json!({
                "TableName": name,
                "BillingMode": "PAY_PER_REQUEST",
                "AttributeDefinitions": [
                    {"AttributeName": "pk", "AttributeType": "S"},
                    {"AttributeName": "sk", "AttributeType": sort_type},
                ],
                "KeySchema": [
                    {"AttributeName": "pk", "KeyType": "HASH"},
                    {"AttributeName": "sk", "KeyType": "RANGE"},
                ],
            })
        };
        let mut events = two_keys("e", "N");
        events["StreamSpecification"] = json!({"StreamEnabled": true, "StreamViewType": "NEW_IMAGE"});
        let names = TableNames { events: "e".to_owned(), idempotency: "i".to_owned(), ..TableNames::default() };
        assert_eq!(
            table_definitions(&names),
            [
                events,
                text_key("i"),
                two_keys("nexus-leases", "S"),
                text_key("nexus-views"),
                text_key("nexus-outbox"),
                two_keys("nexus-parked", "S"),
                text_key("nexus-quarantine"),
            ]
        );
    }
}
