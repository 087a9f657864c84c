//! [`ParkingLot`] on DynamoDB: one item per consumer and aggregate, every change conditional on its counter.

use nexus_ports::{
    BoxFuture, ParkReason, ParkedAggregate, ParkingLot, ParkingMoved, Platform, ReadFailure, UnreadableRecord, Version,
    WriteFailure,
};

use crate::{
    AwsConfig, TableNames,
    items::{Attributes, number, text},
    record_table::{Condition, Fields, RecordTable, must_grow},
};

/// Parked aggregates in a DynamoDB table by (`pk` = consumer, `sk` = key).
#[derive(Clone, Debug)]
pub struct DynamoParkingLot {
    table: RecordTable,
}

impl DynamoParkingLot {
    pub fn new(platform: &Platform, config: &AwsConfig, tables: &TableNames) -> Self {
        Self { table: RecordTable::new(platform, config, &tables.parked) }
    }
}

impl ParkingLot for DynamoParkingLot {
    fn list<'a>(&'a self, consumer: &'a str) -> BoxFuture<'a, Result<Vec<ParkedAggregate>, ReadFailure>> {
        Box::pin(self.table.list(consumer, parked_aggregate))
    }

    fn read<'a>(
        &'a self,
        consumer: &'a str,
        key: &'a str,
    ) -> BoxFuture<'a, Result<Option<ParkedAggregate>, ReadFailure>> {
        Box::pin(self.table.get(item_key(consumer, key), parked_aggregate))
    }

    fn park<'a>(&'a self, parked: &'a ParkedAggregate) -> BoxFuture<'a, Result<(), WriteFailure<ParkingMoved>>> {
        Box::pin(self.table.put(Condition::Absent, parked_item(parked), || ParkingMoved))
    }

    fn replace<'a>(
        &'a self,
        expected_counter: u64,
        parked: &'a ParkedAggregate,
    ) -> BoxFuture<'a, Result<(), WriteFailure<ParkingMoved>>> {
        Box::pin(async move {
            must_grow(expected_counter, parked.counter)?;
            let condition = Condition::NumberIs { attribute: "counter", expected: expected_counter };
            self.table.put(condition, parked_item(parked), || ParkingMoved).await
        })
    }

    fn release<'a>(
        &'a self,
        consumer: &'a str,
        key: &'a str,
        expected_counter: u64,
    ) -> BoxFuture<'a, Result<(), WriteFailure<ParkingMoved>>> {
        Box::pin(self.table.delete(item_key(consumer, key), "counter", expected_counter, || ParkingMoved))
    }
}

fn item_key(consumer: &str, key: &str) -> Attributes {
    vec![("pk", text(consumer)), ("sk", text(key))]
}

fn reason_text(reason: ParkReason) -> &'static str {
    match reason {
        ParkReason::Poison => "poison",
        ParkReason::AttemptsExhausted => "attempts-exhausted",
    }
}

fn parked_item(parked: &ParkedAggregate) -> Attributes {
    let mut item = item_key(&parked.consumer, &parked.key);
    item.extend([
        ("body", text(&parked.body)),
        ("reason", text(reason_text(parked.reason))),
        ("detail", text(&parked.detail)),
        ("attempts", number(parked.attempts.into())),
        ("parked_at_ms", number(parked.parked_at_ms)),
        ("counter", number(parked.counter)),
    ]);
    item.extend(parked.first_version.map(|version| ("first_version", number(version.0))));
    item.extend(parked.last_version.map(|version| ("last_version", number(version.0))));
    item
}

fn parked_aggregate(item: &dyn Fields) -> Result<ParkedAggregate, UnreadableRecord> {
    let reason = match item.text("reason")?.as_str() {
        "poison" => ParkReason::Poison,
        "attempts-exhausted" => ParkReason::AttemptsExhausted,
        _ => return Err(item.unreadable("reason")),
    };
    Ok(ParkedAggregate {
        consumer: item.text("pk")?,
        key: item.text("sk")?,
        first_version: item.optional_number("first_version")?.map(Version),
        last_version: item.optional_number("last_version")?.map(Version),
        body: item.text("body")?,
        reason,
        detail: item.text("detail")?,
        attempts: u32::try_from(item.number("attempts")?).map_err(|_| item.unreadable("attempts"))?,
        parked_at_ms: item.number("parked_at_ms")?,
        counter: item.number("counter")?,
    })
}
