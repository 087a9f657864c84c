//! DynamoDB: tables, the operations on them, and the transactions in flight.

mod access;
mod batch;
pub mod capacity;
pub mod consumed;
pub mod context;
pub mod errors;
pub mod expression;
mod item;
pub mod key;
mod legacy;
pub mod number;
pub mod operation;
mod query;
pub mod request;
pub mod schema;
mod store;
mod table;
mod tables;
mod transact;
pub mod value;

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize};

use self::{
    capacity::CapacityConfig,
    context::{Context, Deferred},
    errors::DynamodbError,
    key::ItemKey,
    transact::Tokens,
};
pub use self::{operation::Operation, table::Table, transact::Prepared};
use crate::streams::{Stream, StreamConfig};

type Outcome<T> = Result<T, DynamodbError>;

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DynamoDbConfig {
    pub capacity: CapacityConfig,
    pub streams: StreamConfig,
    /// How long a table stays CREATING, in milliseconds. It takes requests from the start.
    pub table_creation_ms: u64,
}

/// All tables of one account and region.
#[derive(Debug)]
pub struct DynamoDb {
    pub config: DynamoDbConfig,
    pub account_id: String,
    pub region: String,
    tables: BTreeMap<String, Table>,
    /// Streams of deleted tables, readable for a day.
    orphaned_streams: Vec<Stream>,
    tokens: Tokens,
    tables_created: u64,
    policies_put: u64,
}

impl DynamoDb {
    pub fn new(config: DynamoDbConfig, account_id: String, region: String) -> Self {
        Self {
            config,
            account_id,
            region,
            tables: BTreeMap::new(),
            orphaned_streams: Vec::new(),
            tokens: Tokens::default(),
            tables_created: 0,
            policies_put: 0,
        }
    }

    pub fn table(&self, name: &str) -> Outcome<&Table> {
        self.tables.get(name).ok_or_else(DynamodbError::table_not_found)
    }

    pub fn table_mut(&mut self, name: &str) -> Outcome<&mut Table> {
        self.tables.get_mut(name).ok_or_else(DynamodbError::table_not_found)
    }

    fn creation_time(&self) -> Duration {
        Duration::from_millis(self.config.table_creation_ms)
    }

    /// Every stream of the account, those of deleted tables last.
    pub fn streams_mut(&mut self) -> Vec<&mut Stream> {
        let current =
            self.tables.values_mut().flat_map(|table| table.stream.iter_mut().chain(&mut table.former_streams));
        current.chain(&mut self.orphaned_streams).collect()
    }

    /// Does work whose time has come.
    pub fn run_deferred(&mut self, context: &mut Context<'_>, deferred: Deferred) {
        match deferred {
            Deferred::Journal(entry) => context.journal.push(entry),
            Deferred::Expire { table, key } => {
                if let Some(table) = self.tables.get_mut(&table) {
                    table.expire(context, &key);
                }
            }
        }
    }

    /// `table/partition[/sort]` of a key given as attributes, if the table exists and the key fits it.
    fn logical_key(&self, table: &str, attributes: &value::Item) -> Option<String> {
        let key: ItemKey = self.tables.get(table)?.keys().key_of(attributes)?;
        Some(key.logical(table))
    }
}

impl DynamoDb {
    /// The first phase of a write transaction.
    pub fn prepare(&mut self, context: &mut Context<'_>, transaction: &request::TransactWrite) -> Outcome<Prepared> {
        self.check_writes(&transaction.writes)?;
        transact::prepare(self, context, transaction)
    }

    /// Its second phase.
    pub fn commit(
        &mut self,
        context: &mut Context<'_>,
        transaction: &request::TransactWrite,
        prepared: Prepared,
    ) -> Outcome<Vec<u8>> {
        transact::commit(self, context, transaction, prepared)
    }

    /// All items of a table in the order of their keys.
    pub fn scan_now(&self, table: &str) -> Vec<serde_json::Value> {
        let Some(table) = self.tables.get(table) else { return Vec::new() };
        let mut items: Vec<_> = table.items.iter().collect();
        items.sort_by(|(one, _), (other, _)| key::by_value(one, other));
        items.into_iter().map(|(_, item)| value::item_to_json(item)).collect()
    }

    /// All records kept in a table's stream, in order.
    pub fn stream_now(&self, table: &str) -> Vec<serde_json::Value> {
        let Some(stream) = self.tables.get(table).and_then(|table| table.stream.as_ref()) else { return Vec::new() };
        stream
            .records()
            .into_iter()
            .filter_map(|(_, record)| {
                let mut out = Vec::new();
                crate::streams::api::write_record(&mut out, record, stream.view, &self.region);
                serde_json::from_slice(&out).ok()
            })
            .collect()
    }
}
