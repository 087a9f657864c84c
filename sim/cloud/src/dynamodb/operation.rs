//! Every operation of the API as one type, and the way from its name and JSON to its effect.

use super::{
    DynamoDb, Outcome, batch,
    context::Context,
    item, query,
    request::{
        BatchGet, BatchWrite, GetItem, ReadMany, Scope, SingleWrite, TransactGet, TransactWrite, WriteAction, WriteKind,
    },
    tables::{self, TableOperation},
    transact,
};
use crate::{latency::Cost, wire::json::Json};

#[derive(Debug)]
pub enum Operation {
    Put(SingleWrite),
    Update(SingleWrite),
    Delete(SingleWrite),
    Get(GetItem),
    Query(Box<ReadMany>),
    Scan(Box<ReadMany>),
    BatchGet(BatchGet),
    BatchWrite(BatchWrite),
    TransactGet(TransactGet),
    TransactWrite(TransactWrite),
    Table(Box<TableOperation>),
}

impl Operation {
    /// Reads the request of an operation, `None` for one that does not exist.
    pub fn parse(name: &str, json: &Json<'_>) -> Option<Outcome<Self>> {
        Some(match name {
            "PutItem" => SingleWrite::from_json(json, WriteKind::Put).map(Self::Put),
            "UpdateItem" => SingleWrite::from_json(json, WriteKind::Update).map(Self::Update),
            "DeleteItem" => SingleWrite::from_json(json, WriteKind::Delete).map(Self::Delete),
            "GetItem" => GetItem::from_json(json).map(Self::Get),
            "Query" => ReadMany::query(json).map(|read| Self::Query(Box::new(read))),
            "Scan" => ReadMany::scan(json).map(|read| Self::Scan(Box::new(read))),
            "BatchGetItem" => BatchGet::from_json(json).map(Self::BatchGet),
            "BatchWriteItem" => BatchWrite::from_json(json).map(Self::BatchWrite),
            "TransactGetItems" => TransactGet::from_json(json).map(Self::TransactGet),
            "TransactWriteItems" => TransactWrite::from_json(json).map(Self::TransactWrite),
            other => {
                return Some(TableOperation::parse(other, json)?.map(|operation| Self::Table(Box::new(operation))));
            }
        })
    }

    pub fn is_write(&self) -> bool {
        match self {
            Self::Put(_) | Self::Update(_) | Self::Delete(_) | Self::BatchWrite(_) | Self::TransactWrite(_) => true,
            Self::Table(operation) => operation.is_write(),
            _ => false,
        }
    }

    pub fn is_transaction(&self) -> bool {
        matches!(self, Self::TransactGet(_) | Self::TransactWrite(_))
    }

    pub fn is_eventual_read(&self) -> bool {
        match self {
            Self::Get(get) => !get.is_consistent,
            Self::Query(read) | Self::Scan(read) => !read.is_consistent,
            Self::BatchGet(batch) => batch.tables.iter().any(|table| !table.is_consistent),
            _ => false,
        }
    }

    pub fn client_token(&self) -> Option<&str> {
        match self {
            Self::TransactWrite(transaction) => transaction.token.as_deref(),
            _ => None,
        }
    }

    /// The latency class, and how many items count in it.
    pub fn cost(&self) -> Cost {
        let (class, items) = match self {
            Self::Put(_) | Self::Update(_) | Self::Delete(_) => ("write", 1),
            Self::Get(get) => (if get.is_consistent { "read-strong" } else { "read-eventual" }, 1),
            Self::Query(read) => (if read.is_consistent { "read-strong" } else { "read-eventual" }, 1),
            Self::Scan(_) => ("scan", 1),
            Self::BatchGet(batch) => ("batch-read", batch.tables.iter().map(|table| table.keys.len()).sum()),
            Self::BatchWrite(batch) => ("batch-write", batch.writes.len()),
            Self::TransactGet(transaction) => ("transact-read", transaction.gets.len()),
            Self::TransactWrite(transaction) => ("transact-write", transaction.writes.len()),
            Self::Table(_) => ("control", 1),
        };
        Cost { class, items }
    }
}

impl DynamoDb {
    /// The logical keys that an operation touches, in request order.
    pub fn logical_keys(&self, operation: &Operation) -> Vec<String> {
        let of_write = |write: &super::request::Write| {
            let attributes = match &write.action {
                WriteAction::Put(item) => item,
                WriteAction::Update { key, .. } | WriteAction::Delete { key } | WriteAction::Check { key } => key,
            };
            self.logical_key(&write.table, attributes)
        };
        match operation {
            Operation::Put(single) | Operation::Update(single) | Operation::Delete(single) => {
                of_write(&single.write).into_iter().collect()
            }
            Operation::Get(get) => self.logical_key(&get.table, &get.key).into_iter().collect(),
            Operation::BatchWrite(batch) => batch.writes.iter().filter_map(of_write).collect(),
            Operation::TransactWrite(transaction) => transaction.writes.iter().filter_map(of_write).collect(),
            Operation::TransactGet(transaction) => {
                transaction.gets.iter().filter_map(|get| self.logical_key(&get.table, &get.key)).collect()
            }
            Operation::BatchGet(batch) => batch
                .tables
                .iter()
                .flat_map(|table| table.keys.iter().filter_map(|key| self.logical_key(&table.table, key)))
                .collect(),
            Operation::Query(read) => query::logical_partition(self, read).into_iter().collect(),
            Operation::Scan(_) | Operation::Table(_) => Vec::new(),
        }
    }

    /// Carries out an operation that is no write transaction, and makes the answer's body.
    pub fn execute(&mut self, context: &mut Context<'_>, operation: Operation) -> Outcome<Vec<u8>> {
        self.check_access(&operation)?;
        match operation {
            Operation::Put(single) | Operation::Update(single) | Operation::Delete(single) => {
                item::write(self, context, single)
            }
            Operation::Get(get) => item::get(self, context, &get),
            Operation::Query(read) | Operation::Scan(read) => {
                debug_assert!(matches!(read.scope, Scope::Query { .. } | Scope::Scan { .. }));
                query::read(self, context, &read)
            }
            Operation::BatchGet(batch) => batch::get(self, context, batch),
            Operation::BatchWrite(batch) => batch::write(self, context, batch),
            Operation::TransactGet(transaction) => transact::get(self, context, &transaction),
            Operation::TransactWrite(transaction) => {
                // Without a shell that waits between the two phases, both happen at once.
                let prepared = transact::prepare(self, context, &transaction)?;
                transact::commit(self, context, &transaction, prepared)
            }
            Operation::Table(operation) => tables::execute(self, context, *operation),
        }
    }
}
