//! [`LeaseStore`] on DynamoDB: one item per group and shard, every write conditional on its counter.

use aws_sdk_dynamodb::types::AttributeValue;
use nexus_ports::{
    BoxFuture, Lease, LeaseFailure, LeaseMoved, LeaseStore, Platform, ReadFailure, SequenceNumber, ShardProgress,
    UnreadableRecord,
};

use crate::{
    AwsConfig, TableNames,
    items::{Attributes, number, text},
    record_table::{Condition, Fields, RecordTable, must_grow},
};

/// Leases in a DynamoDB table by (`pk` = group, `sk` = shard).
#[derive(Clone, Debug)]
pub struct DynamoLeaseStore {
    table: RecordTable,
}

impl DynamoLeaseStore {
    pub fn new(platform: &Platform, config: &AwsConfig, tables: &TableNames) -> Self {
        Self { table: RecordTable::new(platform, config, &tables.leases) }
    }
}

impl LeaseStore for DynamoLeaseStore {
    fn list<'a>(&'a self, group: &'a str) -> BoxFuture<'a, Result<Vec<Lease>, ReadFailure>> {
        Box::pin(self.table.list(group, lease))
    }

    fn read<'a>(&'a self, group: &'a str, shard: &'a str) -> BoxFuture<'a, Result<Option<Lease>, ReadFailure>> {
        Box::pin(self.table.get(vec![("pk", text(group)), ("sk", text(shard))], lease))
    }

    fn create<'a>(&'a self, group: &'a str, lease: &'a Lease) -> BoxFuture<'a, Result<(), LeaseFailure>> {
        Box::pin(self.table.put(Condition::Absent, lease_item(group, lease), || moved(lease)))
    }

    fn replace<'a>(
        &'a self,
        group: &'a str,
        expected_counter: u64,
        lease: &'a Lease,
    ) -> BoxFuture<'a, Result<(), LeaseFailure>> {
        Box::pin(async move {
            must_grow(expected_counter, lease.counter)?;
            let condition = Condition::NumberIs { attribute: "counter", expected: expected_counter };
            self.table.put(condition, lease_item(group, lease), || moved(lease)).await
        })
    }
}

fn moved(lease: &Lease) -> LeaseMoved {
    LeaseMoved { shard: lease.shard.clone() }
}

fn lease_item(group: &str, lease: &Lease) -> Attributes {
    let progress = match &lease.progress {
        ShardProgress::Untouched => "untouched",
        ShardProgress::After(_) => "after",
        ShardProgress::Finished => "finished",
    };
    let mut item = vec![
        ("pk", text(group)),
        ("sk", text(&lease.shard)),
        ("parents", AttributeValue::L(lease.parents.iter().map(text).collect())),
        ("epoch", number(lease.epoch)),
        ("counter", number(lease.counter)),
        ("progress", text(progress)),
        ("memory", text(&lease.memory)),
    ];
    if let ShardProgress::After(sequence_number) = &lease.progress {
        item.push(("sequence_number", text(sequence_number.as_str())));
    }
    if let Some(owner) = &lease.owner {
        item.push(("owner", text(owner)));
    }
    item
}

fn lease(item: &dyn Fields) -> Result<Lease, UnreadableRecord> {
    let progress = match item.text("progress")?.as_str() {
        "untouched" => ShardProgress::Untouched,
        "after" => {
            let number = SequenceNumber::try_from(item.text("sequence_number")?);
            ShardProgress::After(number.map_err(|_| item.unreadable("sequence_number"))?)
        }
        "finished" => ShardProgress::Finished,
        _ => return Err(item.unreadable("progress")),
    };
    Ok(Lease {
        shard: item.text("sk")?,
        parents: item.texts("parents")?,
        owner: item.optional_text("owner")?,
        epoch: item.number("epoch")?,
        counter: item.number("counter")?,
        progress,
        memory: item.text("memory")?,
    })
}
