//! Transactions: prepare locks and decides, commit writes and forgets the locks.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
    time::Duration,
};

use super::{
    DynamoDb, Outcome,
    capacity::{ReadMode, read_units},
    consumed::{Consumed, write_many},
    context::Context,
    errors::{CancellationReason, DynamodbError},
    item::{Planned, plan, take_read_capacity, take_write_capacity, target, write_cost, write_projected},
    key::ItemKey,
    request::{ReturnConsumedCapacity, TransactGet, TransactWrite, Write},
    table::{Change, Table},
    value::{Item, item_size_bytes},
};
use crate::interface::UnixNanos;

const MAX_TRANSACTION_BYTES: usize = 4 * 1024 * 1024;

/// What the service remembers of a ClientRequestToken.
#[derive(Clone, Debug)]
struct Token {
    writes: Arc<Vec<Write>>,
    /// `None` while the transaction runs.
    completed_at: Option<UnixNanos>,
}

#[derive(Debug, Default)]
pub struct Tokens {
    by_text: BTreeMap<String, Token>,
    /// Completed tokens, oldest first, to forget them.
    completed: VecDeque<(UnixNanos, String)>,
}

enum Known {
    Unknown,
    Completed,
}

impl Tokens {
    fn look_up(&mut self, now: UnixNanos, token: &str, writes: &Arc<Vec<Write>>, window: Duration) -> Outcome<Known> {
        self.forget(now, window);
        let Some(known) = self.by_text.get(token) else { return Ok(Known::Unknown) };
        if known.writes != *writes {
            return Err(DynamodbError::IdempotentParameterMismatch);
        }
        match known.completed_at {
            None => Err(DynamodbError::TransactionInProgress),
            Some(_) => Ok(Known::Completed),
        }
    }

    fn forget(&mut self, now: UnixNanos, window: Duration) {
        while self.completed.front().is_some_and(|(at, _)| at.plus(window) <= now) {
            if let Some((_, token)) = self.completed.pop_front() {
                self.by_text.remove(&token);
            }
        }
    }

    fn begin(&mut self, token: &str, writes: &Arc<Vec<Write>>) {
        self.by_text.insert(token.to_owned(), Token { writes: writes.clone(), completed_at: None });
    }

    fn complete(&mut self, now: UnixNanos, token: &str) {
        if let Some(known) = self.by_text.get_mut(token) {
            known.completed_at = Some(now);
            self.completed.push_back((now, token.to_owned()));
        }
    }
}

/// A transaction that will commit: its items are locked until then.
#[derive(Debug)]
pub enum Prepared {
    /// In the order of the request.
    Writes(Vec<(Planned, Consumed)>),
    /// The same token completed before: success without effect.
    Repeated,
}

/// The first phase. On an error nothing is locked and nothing remembered.
pub fn prepare(dynamodb: &mut DynamoDb, context: &mut Context<'_>, transaction: &TransactWrite) -> Outcome<Prepared> {
    let keys = targets(dynamodb, &transaction.writes)?;
    if let Some(token) = &transaction.token {
        let window = Duration::from_secs(context.assumptions.token_window_seconds);
        if let Known::Completed = dynamodb.tokens.look_up(context.now, token, &transaction.writes, window)? {
            return Ok(Prepared::Repeated);
        }
    }
    let planned = decide(dynamodb, context, &transaction.writes, keys)?;
    for (write, (planned, _)) in transaction.writes.iter().zip(&planned) {
        let table = dynamodb.table_mut(&write.table)?;
        table.locks.insert(planned.key.clone(), context.call_sequence);
    }
    if let Some(token) = &transaction.token {
        dynamodb.tokens.begin(token, &transaction.writes);
    }
    Ok(Prepared::Writes(planned))
}

/// The keys of all items, found valid and distinct. An invalid one cancels the transaction with its reason.
fn targets(dynamodb: &DynamoDb, writes: &[Write]) -> Outcome<Vec<ItemKey>> {
    let mut keys = Vec::with_capacity(writes.len());
    let mut reasons = Vec::with_capacity(writes.len());
    for write in writes {
        match target(dynamodb.table(&write.table)?, write) {
            Ok(key) => {
                keys.push(key);
                reasons.push(CancellationReason::none());
            }
            Err(error) => reasons.push(reason_of(error)?),
        }
    }
    if keys.len() < writes.len() {
        return Err(DynamodbError::TransactionCanceled { reasons });
    }
    let distinct: BTreeSet<_> = writes.iter().zip(&keys).map(|(write, key)| (write.table.as_str(), key)).collect();
    if distinct.len() < writes.len() {
        return Err(DynamodbError::validation("Transaction request cannot include multiple operations on one item"));
    }
    Ok(keys)
}

/// Looks at every item and gathers what stands against the transaction.
fn decide(
    dynamodb: &mut DynamoDb,
    context: &Context<'_>,
    writes: &[Write],
    keys: Vec<ItemKey>,
) -> Outcome<Vec<(Planned, Consumed)>> {
    let DynamoDb { config, tables, .. } = dynamodb;
    let mut reasons = Vec::with_capacity(writes.len());
    let mut accepted = Vec::with_capacity(writes.len());
    let mut bytes = 0;
    for (write, key) in writes.iter().zip(keys) {
        let table = tables.get_mut(&write.table).ok_or_else(DynamodbError::table_not_found)?;
        let outcome = decide_one(table, context, &config.capacity, write, key);
        match outcome {
            Ok((planned, consumed)) => {
                bytes += planned.size_bytes();
                accepted.push((planned, consumed));
                reasons.push(CancellationReason::none());
            }
            Err(error) => reasons.push(reason_of(error)?),
        }
    }
    if reasons.iter().any(|reason| reason.code != "None") {
        return Err(DynamodbError::TransactionCanceled { reasons });
    }
    if bytes > MAX_TRANSACTION_BYTES {
        return Err(DynamodbError::validation(
            "Transaction exceeds the maximum allowed size: the items together must not be larger than 4 MB",
        ));
    }
    Ok(accepted)
}

fn decide_one(
    table: &mut Table,
    context: &Context<'_>,
    config: &super::capacity::CapacityConfig,
    write: &Write,
    key: ItemKey,
) -> Outcome<(Planned, Consumed)> {
    table.check_unlocked(&key)?;
    let planned = plan(table, context, write, &key)?;
    let consumed = write_cost(table, &planned, true);
    take_write_capacity(table, context, config, &planned, &consumed)?;
    Ok((planned, consumed))
}

/// What an error of one item becomes inside a cancelled transaction; other errors fail the call as a whole.
pub fn reason_of(error: DynamodbError) -> Outcome<CancellationReason> {
    let message = Some(error.to_string());
    Ok(match error {
        DynamodbError::ConditionalCheckFailed { item } => {
            CancellationReason { code: "ConditionalCheckFailed", message, item }
        }
        DynamodbError::TransactionConflict => CancellationReason { code: "TransactionConflict", message, item: None },
        DynamodbError::ProvisionedThroughputExceeded { .. } => {
            CancellationReason { code: "ProvisionedThroughputExceeded", message, item: None }
        }
        DynamodbError::Throttling { .. } => CancellationReason { code: "ThrottlingError", message, item: None },
        DynamodbError::Validation { .. } => CancellationReason { code: "ValidationError", message, item: None },
        other => return Err(other),
    })
}

/// The second phase: all writes at one moment, the locks go.
pub fn commit(
    dynamodb: &mut DynamoDb,
    context: &mut Context<'_>,
    transaction: &TransactWrite,
    prepared: Prepared,
) -> Outcome<Vec<u8>> {
    let mut consumed = BTreeMap::<String, Consumed>::new();
    match prepared {
        Prepared::Repeated => add_read_costs(dynamodb, transaction, &mut consumed),
        Prepared::Writes(planned) => {
            let mut changes = BTreeMap::<&str, Vec<Change>>::new();
            for (write, (planned, cost)) in transaction.writes.iter().zip(planned) {
                consumed.entry(write.table.clone()).or_default().add(&cost);
                // A table deleted meanwhile takes its items with it.
                let Some(table) = dynamodb.tables.get_mut(&write.table) else { continue };
                table.locks.remove(&planned.key);
                if !planned.is_check {
                    let change = table.store(context, &planned.key, planned.new);
                    changes.entry(&write.table).or_default().extend(change);
                }
            }
            for (table, changes) in changes {
                if let Some(table) = dynamodb.tables.get_mut(table) {
                    table.append_together(context, &changes);
                }
            }
            if let Some(token) = &transaction.token {
                dynamodb.tokens.complete(context.now, token);
            }
        }
    }
    let mut out = vec![b'{'];
    write_many(&mut out, &consumed, transaction.consumed, Some("Write"));
    out.push(b'}');
    Ok(out)
}

/// A repeated call is answered from what was stored, which counts as reading.
fn add_read_costs(dynamodb: &DynamoDb, transaction: &TransactWrite, consumed: &mut BTreeMap<String, Consumed>) {
    if transaction.consumed == ReturnConsumedCapacity::None {
        return;
    }
    for write in transaction.writes.iter() {
        let Ok(table) = dynamodb.table(&write.table) else { continue };
        let size = target(table, write)
            .ok()
            .and_then(|key| table.items.get(&key).map(|item| item_size_bytes(item)))
            .unwrap_or(0);
        let cost = Consumed::of_table(read_units(size, ReadMode::Transactional));
        consumed.entry(write.table.clone()).or_default().add(&cost);
    }
}

pub fn get(dynamodb: &mut DynamoDb, context: &mut Context<'_>, transaction: &TransactGet) -> Outcome<Vec<u8>> {
    let mut seen = BTreeSet::new();
    let mut reasons = Vec::new();
    let mut found: Vec<Option<Arc<Item>>> = Vec::new();
    let mut consumed = BTreeMap::<String, Consumed>::new();
    let mut bytes = 0;
    for get in &transaction.gets {
        let DynamoDb { config, tables, .. } = dynamodb;
        let table = tables.get_mut(&get.table).ok_or_else(DynamodbError::table_not_found)?;
        let key = table.exact_key(&get.key)?;
        if !seen.insert((get.table.clone(), key.clone())) {
            return Err(DynamodbError::validation(
                "Transaction request cannot include multiple operations on one item",
            ));
        }
        let item = table.items.get(&key).cloned();
        let size = item.as_deref().map_or(0, item_size_bytes);
        bytes += size;
        let units = read_units(size, ReadMode::Transactional);
        let outcome = table
            .check_unlocked(&key)
            .and_then(|()| take_read_capacity(table, context, &config.capacity, key.hash, units));
        match outcome {
            Ok(()) => reasons.push(CancellationReason::none()),
            Err(error) => reasons.push(reason_of(error)?),
        }
        consumed.entry(get.table.clone()).or_default().add(&Consumed::of_table(units));
        found.push(item);
    }
    if reasons.iter().any(|reason| reason.code != "None") {
        return Err(DynamodbError::TransactionCanceled { reasons });
    }
    if bytes > MAX_TRANSACTION_BYTES {
        return Err(DynamodbError::validation(
            "Transaction exceeds the maximum allowed size: the items together must not be larger than 4 MB",
        ));
    }
    let mut out = b"{\"Responses\":[".to_vec();
    for (index, (get, item)) in transaction.gets.iter().zip(&found).enumerate() {
        if index > 0 {
            out.push(b',');
        }
        out.push(b'{');
        if let Some(item) = item {
            out.extend_from_slice(b"\"Item\":");
            write_projected(&mut out, item, get.projection.as_ref());
        }
        out.push(b'}');
    }
    out.push(b']');
    write_many(&mut out, &consumed, transaction.consumed, Some("Read"));
    out.push(b'}');
    Ok(out)
}
