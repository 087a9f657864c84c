//! [`EventStorage`] on DynamoDB: one transaction per append, strongly consistent reads.

use aws_sdk_dynamodb::{
    Client,
    error::{BuildError, SdkError},
    operation::{put_item::PutItemError, transact_write_items::TransactWriteItemsError},
    types::{Put, ReturnValuesOnConditionCheckFailure, TransactWriteItem},
};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use nexus_ports::{
    AppendFailure, AppendTransaction, BoxFuture, EventPage, EventStorage, IdempotencyRecord, Platform, ReadConsistency,
    ReadFailure, RecordFailure, StreamName, Version,
};

use crate::{
    AwsConfig, TableNames, client, failures,
    items::{self, Attributes},
};

/// Fails where an item with the same full key exists, whatever its content.
const KEY_IS_FREE: &str = "attribute_not_exists(pk)";

/// Events and idempotency records in two DynamoDB tables (see [`crate::table_definitions`]).
#[derive(Clone, Debug)]
pub struct DynamoEventStorage {
    client: Client,
    tables: TableNames,
}

impl DynamoEventStorage {
    pub fn new(platform: Platform, config: &AwsConfig, tables: TableNames) -> Self {
        Self { client: client::dynamodb(&platform, config), tables }
    }

    fn conditional_put(&self, table: &str, item: Attributes) -> Result<TransactWriteItem, BuildError> {
        let item = item.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        let put = Put::builder()
            .table_name(table)
            .set_item(Some(item))
            .condition_expression(KEY_IS_FREE)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .build()?;
        Ok(TransactWriteItem::builder().put(put).build())
    }

    /// Events first and the record last: cancellation reasons come in this order.
    fn puts(&self, transaction: &AppendTransaction) -> Result<Vec<TransactWriteItem>, BuildError> {
        let events = transaction.events.iter();
        let events = events.map(|event| self.conditional_put(&self.tables.events, items::event_item(event)));
        let record = self.conditional_put(&self.tables.idempotency, items::idempotency_item(&transaction.record));
        events.chain([record]).collect()
    }

    async fn transact(
        &self,
        transaction: &AppendTransaction,
    ) -> Result<(), SdkError<TransactWriteItemsError, HttpResponse>> {
        let puts = self.puts(transaction).map_err(SdkError::construction_failure)?;
        let call = self.client.transact_write_items().set_transact_items(Some(puts));
        call.client_request_token(&transaction.token).send().await.map(|_| ())
    }

    async fn put_record(&self, record: &IdempotencyRecord) -> Result<(), SdkError<PutItemError, HttpResponse>> {
        let item = items::idempotency_item(record).into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        let call = self.client.put_item().table_name(&self.tables.idempotency).set_item(Some(item));
        let call = call
            .condition_expression(KEY_IS_FREE)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        call.send().await.map(|_| ())
    }

    /// A page may be empty and yet not be the last (DynamoDB promises no more), so empty ones are read on.
    async fn query_after(
        &self,
        stream: &StreamName,
        after: Version,
        consistency: ReadConsistency,
    ) -> Result<EventPage, ReadFailure> {
        let mut start = None;
        loop {
            let call = self
                .client
                .query()
                .table_name(&self.tables.events)
                .consistent_read(consistency == ReadConsistency::Strong)
                .key_condition_expression("pk = :stream AND sk > :after")
                .expression_attribute_values(":stream", items::text(stream.as_str()))
                .expression_attribute_values(":after", items::number(after.0))
                .set_exclusive_start_key(start.take());
            let page = call.send().await.map_err(|error| failures::read_failure(&error))?;
            let mut events = Vec::with_capacity(page.items().len());
            for item in page.items() {
                events.push(items::event_record(&self.tables.events, |name| item.get(name))?);
            }
            start = page.last_evaluated_key.clone();
            if !events.is_empty() || start.is_none() {
                return Ok(EventPage { events, has_more: start.is_some() });
            }
        }
    }

    async fn get_record(&self, key: &str) -> Result<Option<IdempotencyRecord>, ReadFailure> {
        let call = self.client.get_item().table_name(&self.tables.idempotency).consistent_read(true);
        let answer = call.key("pk", items::text(key)).send().await.map_err(|error| failures::read_failure(&error))?;
        let Some(item) = answer.item() else { return Ok(None) };
        Ok(Some(items::idempotency_record(&self.tables.idempotency, |name| item.get(name))?))
    }
}

impl EventStorage for DynamoEventStorage {
    fn append<'a>(&'a self, transaction: &'a AppendTransaction) -> BoxFuture<'a, Result<(), AppendFailure>> {
        Box::pin(async move {
            let written = self.transact(transaction).await;
            written.map_err(|error| failures::append_failure(&error, transaction, &self.tables))
        })
    }

    fn read_events<'a>(
        &'a self,
        stream: &'a StreamName,
        after: Version,
        consistency: ReadConsistency,
    ) -> BoxFuture<'a, Result<EventPage, ReadFailure>> {
        Box::pin(self.query_after(stream, after, consistency))
    }

    fn read_idempotency_record<'a>(
        &'a self,
        key: &'a str,
    ) -> BoxFuture<'a, Result<Option<IdempotencyRecord>, ReadFailure>> {
        Box::pin(self.get_record(key))
    }

    fn record_answer<'a>(&'a self, record: &'a IdempotencyRecord) -> BoxFuture<'a, Result<(), RecordFailure>> {
        Box::pin(async move {
            self.put_record(record).await.map_err(|error| failures::record_failure(&error, &self.tables))
        })
    }
}
