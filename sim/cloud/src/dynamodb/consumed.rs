//! The ConsumedCapacity part of answers.

use std::collections::BTreeMap;

use super::{capacity::HalfUnits, request::ReturnConsumedCapacity};
use crate::wire::json::write_string;

/// Units used in one table and its indexes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Consumed {
    pub table: HalfUnits,
    pub local_indexes: BTreeMap<String, HalfUnits>,
    pub global_indexes: BTreeMap<String, HalfUnits>,
}

impl Consumed {
    pub fn of_table(units: HalfUnits) -> Self {
        Self { table: units, ..Self::default() }
    }

    pub fn add(&mut self, other: &Self) {
        self.table += other.table;
        for (mine, theirs) in
            [(&mut self.local_indexes, &other.local_indexes), (&mut self.global_indexes, &other.global_indexes)]
        {
            for (name, units) in theirs {
                *mine.entry(name.clone()).or_default() += *units;
            }
        }
    }

    fn total(&self) -> f64 {
        let indexes = self.local_indexes.values().chain(self.global_indexes.values());
        self.table.as_units() + indexes.map(|units| units.as_units()).sum::<f64>()
    }

    /// One ConsumedCapacity object. `split` names the direction that transactions report beside the total.
    pub fn write(&self, out: &mut Vec<u8>, table: &str, wanted: ReturnConsumedCapacity, split: Option<&str>) {
        out.extend_from_slice(b"{\"TableName\":");
        write_string(out, table);
        let units = |out: &mut Vec<u8>, units: f64| {
            out.extend_from_slice(format!("\"CapacityUnits\":{units:?}").as_bytes());
            if let Some(direction) = split {
                out.extend_from_slice(format!(",\"{direction}CapacityUnits\":{units:?}").as_bytes());
            }
        };
        out.push(b',');
        units(out, self.total());
        if wanted == ReturnConsumedCapacity::Indexes {
            out.extend_from_slice(b",\"Table\":{");
            units(out, self.table.as_units());
            out.push(b'}');
            for (name, indexes) in
                [("LocalSecondaryIndexes", &self.local_indexes), ("GlobalSecondaryIndexes", &self.global_indexes)]
            {
                if indexes.is_empty() {
                    continue;
                }
                out.extend_from_slice(format!(",\"{name}\":{{").as_bytes());
                for (position, (index, used)) in indexes.iter().enumerate() {
                    if position > 0 {
                        out.push(b',');
                    }
                    write_string(out, index);
                    out.extend_from_slice(b":{");
                    units(out, used.as_units());
                    out.push(b'}');
                }
                out.push(b'}');
            }
        }
        out.push(b'}');
    }
}

/// `"ConsumedCapacity":[…]` for calls about several tables; nothing when the caller did not ask.
pub fn write_many(
    out: &mut Vec<u8>,
    consumed: &BTreeMap<String, Consumed>,
    wanted: ReturnConsumedCapacity,
    split: Option<&str>,
) {
    if wanted == ReturnConsumedCapacity::None {
        return;
    }
    comma(out);
    out.extend_from_slice(b"\"ConsumedCapacity\":[");
    for (index, (table, consumed)) in consumed.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        consumed.write(out, table, wanted, split);
    }
    out.push(b']');
}

/// `"ConsumedCapacity":{…}` for calls about one table; nothing when the caller did not ask.
pub fn write_one(out: &mut Vec<u8>, table: &str, consumed: &Consumed, wanted: ReturnConsumedCapacity) {
    if wanted == ReturnConsumedCapacity::None {
        return;
    }
    comma(out);
    out.extend_from_slice(b"\"ConsumedCapacity\":");
    consumed.write(out, table, wanted, None);
}

/// A comma, unless nothing stands in the object yet.
pub fn comma(out: &mut Vec<u8>) {
    if out.last() != Some(&b'{') {
        out.push(b',');
    }
}
