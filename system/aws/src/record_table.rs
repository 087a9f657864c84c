//! One table of records that are written whole, one item per call, each under its condition.

use aws_sdk_dynamodb::{Client, types::AttributeValue};
use nexus_ports::{Platform, ReadFailure, Rejected, UnreadableRecord, WriteFailure};

use crate::{
    AwsConfig, client, failures,
    items::{self, Attributes, Item},
};

/// What must hold of the stored item for a write to take place.
pub(crate) enum Condition {
    /// There is no item under the key.
    Absent,
    /// There is one, and this number attribute has this value.
    NumberIs { attribute: &'static str, expected: u64 },
}

/// A table and the client that reaches it. One attempt per call.
#[derive(Clone, Debug)]
pub(crate) struct RecordTable {
    client: Client,
    name: String,
}

impl RecordTable {
    pub(crate) fn new(platform: &Platform, config: &AwsConfig, name: &str) -> Self {
        Self { client: client::dynamodb(platform, config), name: name.to_owned() }
    }

    /// Writes the whole item; `refused` is what a failed condition means.
    pub(crate) async fn put<R: std::error::Error>(
        &self,
        condition: Condition,
        item: Attributes,
        refused: impl FnOnce() -> R,
    ) -> Result<(), WriteFailure<R>> {
        let item = item.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        let call = self.client.put_item().table_name(&self.name).set_item(Some(item));
        // Names are replaced, since `counter` and its like are reserved words of DynamoDB's expressions.
        let call = match condition {
            Condition::Absent => call.condition_expression("attribute_not_exists(pk)"),
            Condition::NumberIs { attribute, expected } => call
                .condition_expression("#attribute = :expected")
                .expression_attribute_names("#attribute", attribute)
                .expression_attribute_values(":expected", items::number(expected)),
        };
        call.send().await.map(|_| ()).map_err(|error| failures::conditional_failure(&error, refused))
    }

    /// Removes the item if this number attribute has this value.
    pub(crate) async fn delete<R: std::error::Error>(
        &self,
        key: Attributes,
        attribute: &str,
        expected: u64,
        refused: impl FnOnce() -> R,
    ) -> Result<(), WriteFailure<R>> {
        let key = key.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        let call = self
            .client
            .delete_item()
            .table_name(&self.name)
            .set_key(Some(key))
            .condition_expression("#attribute = :expected")
            .expression_attribute_names("#attribute", attribute)
            .expression_attribute_values(":expected", items::number(expected));
        call.send().await.map(|_| ()).map_err(|error| failures::conditional_failure(&error, refused))
    }

    /// The item under the key, strongly consistent.
    pub(crate) async fn get<T>(
        &self,
        key: Attributes,
        read: impl Fn(&dyn Fields) -> Result<T, UnreadableRecord>,
    ) -> Result<Option<T>, ReadFailure> {
        let key = key.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        let call = self.client.get_item().table_name(&self.name).consistent_read(true).set_key(Some(key));
        let answer = call.send().await.map_err(|error| failures::read_failure(&error))?;
        let Some(item) = answer.item() else { return Ok(None) };
        Ok(Some(read(&Item { table: &self.name, get: |name: &str| item.get(name) })?))
    }

    /// Every item of a partition by sort key, strongly consistent, read to the last page.
    pub(crate) async fn list<T>(
        &self,
        partition: &str,
        read: impl Fn(&dyn Fields) -> Result<T, UnreadableRecord>,
    ) -> Result<Vec<T>, ReadFailure> {
        let mut found = Vec::new();
        let mut start = None;
        loop {
            let call = self
                .client
                .query()
                .table_name(&self.name)
                .consistent_read(true)
                .key_condition_expression("pk = :partition")
                .expression_attribute_values(":partition", items::text(partition))
                .set_exclusive_start_key(start.take());
            let page = call.send().await.map_err(|error| failures::read_failure(&error))?;
            for item in page.items() {
                found.push(read(&Item { table: &self.name, get: |name: &str| item.get(name) })?);
            }
            start = page.last_evaluated_key;
            if start.is_none() {
                return Ok(found);
            }
        }
    }
}

/// The attributes of one item, for functions that turn items into records.
pub(crate) trait Fields {
    fn text(&self, name: &str) -> Result<String, UnreadableRecord>;
    fn texts(&self, name: &str) -> Result<Vec<String>, UnreadableRecord>;
    fn number(&self, name: &str) -> Result<u64, UnreadableRecord>;
    fn has(&self, name: &str) -> bool;
    fn unreadable(&self, name: &str) -> UnreadableRecord;
}

impl dyn Fields + '_ {
    pub(crate) fn optional_text(&self, name: &str) -> Result<Option<String>, UnreadableRecord> {
        self.has(name).then(|| self.text(name)).transpose()
    }

    pub(crate) fn optional_number(&self, name: &str) -> Result<Option<u64>, UnreadableRecord> {
        self.has(name).then(|| self.number(name)).transpose()
    }
}

impl<'a, Get: Fn(&str) -> Option<&'a AttributeValue>> Fields for Item<'_, Get> {
    fn text(&self, name: &str) -> Result<String, UnreadableRecord> {
        Item::text(self, name)
    }

    fn texts(&self, name: &str) -> Result<Vec<String>, UnreadableRecord> {
        Item::texts(self, name)
    }

    fn number(&self, name: &str) -> Result<u64, UnreadableRecord> {
        Item::number(self, name)
    }

    fn has(&self, name: &str) -> bool {
        (self.get)(name).is_some()
    }

    fn unreadable(&self, name: &str) -> UnreadableRecord {
        Item::unreadable(self, name)
    }
}

/// A counter that did not grow would let two writers succeed on the same expectation, so such a write is never sent.
pub(crate) fn must_grow<R: std::error::Error>(expected_counter: u64, counter: u64) -> Result<(), WriteFailure<R>> {
    if counter > expected_counter {
        return Ok(());
    }
    let message = format!("counter {counter} must be greater than {expected_counter}, which it replaces");
    Err(WriteFailure::Rejected(Rejected { code: "CounterMustGrow".to_owned(), message }))
}
