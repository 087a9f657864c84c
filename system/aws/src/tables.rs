//! The tables of the write side, as data.

use serde_json::{Value, json};

/// Names of the two tables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableNames {
    pub events: String,
    pub idempotency: String,
}

impl Default for TableNames {
    fn default() -> Self {
        Self { events: "nexus-events".to_owned(), idempotency: "nexus-idempotency".to_owned() }
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

/// Events never expire and are never overwritten; records never expire, or a very late retry would run again.
pub(crate) fn tables(names: &TableNames) -> [Table; 2] {
    [
        Table { name: names.events.clone(), keys: &[("pk", "S", "HASH"), ("sk", "N", "RANGE")], has_stream: true },
        Table { name: names.idempotency.clone(), keys: &[("pk", "S", "HASH")], has_stream: false },
    ]
}

/// Bodies of the `CreateTable` calls that make the tables: events by (`pk` = stream, `sk` = version) with a change
/// stream of new images, and idempotency records by `pk` = key. Both are billed by request.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn definitions_are_create_table_bodies() {
        let names = TableNames { events: "e".to_owned(), idempotency: "i".to_owned() };
        assert_eq!(
            table_definitions(&names),
            [
                json!({
                    "TableName": "e",
                    "BillingMode": "PAY_PER_REQUEST",
                    "AttributeDefinitions": [
                        {"AttributeName": "pk", "AttributeType": "S"},
                        {"AttributeName": "sk", "AttributeType": "N"},
                    ],
                    "KeySchema": [
                        {"AttributeName": "pk", "KeyType": "HASH"},
                        {"AttributeName": "sk", "KeyType": "RANGE"},
                    ],
                    "StreamSpecification": {"StreamEnabled": true, "StreamViewType": "NEW_IMAGE"},
                }),
                json!({
                    "TableName": "i",
                    "BillingMode": "PAY_PER_REQUEST",
                    "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
                    "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
                }),
            ]
        );
    }
}
