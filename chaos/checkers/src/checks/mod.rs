//! The checkers, a file for each kind of property.

mod answers;
mod bus;
mod calls;
mod durability;
mod idempotency;
mod immutability;
mod lints;
mod policy;
pub(crate) mod registry;
mod schema;
mod stream;
mod tampering;
mod tokens;
mod views;

pub(crate) use bus::lease_writes;
pub(crate) use calls::{idempotency_key_of, service_calls};

use crate::{CheckInput, Checker, Finding, Needs, finding::Examination, linearizability::Linearizability};

/// A checker told by its parts.
pub(crate) struct Check {
    name: &'static str,
    needs: Needs,
    describe: &'static str,
    run: fn(&CheckInput, &mut Examination),
}

impl Checker for Check {
    fn name(&self) -> &'static str {
        self.name
    }

    fn needs(&self) -> Needs {
        self.needs
    }

    fn describe(&self) -> &'static str {
        self.describe
    }

    fn check(&self, input: &CheckInput) -> Finding {
        let mut examination = Examination::default();
        (self.run)(input, &mut examination);
        examination.finish(self.name)
    }
}

/// The checkers of a trial that ends with the table's stream, in the order in which reports show them.
pub fn write_side() -> Vec<Box<dyn Checker>> {
    vec![
        Box::new(immutability::IMMUTABILITY),
        Box::new(immutability::HASH_CHAIN),
        Box::new(immutability::VERSIONS),
        Box::new(durability::ACKNOWLEDGED_DURABLE),
        Box::new(durability::REFUSED_ABSENT),
        Box::new(durability::NO_PHANTOM),
        Box::new(durability::WHOLE_DECISIONS),
        Box::new(idempotency::ANSWERS),
        Box::new(idempotency::RECORDS),
        Box::new(Linearizability),
        Box::new(views::EVENTUAL_VIEWS),
        Box::new(stream::STREAM_COMPLETE),
        Box::new(stream::STREAM_FAITHFUL),
        Box::new(policy::POLICY),
        Box::new(schema::SCHEMA),
        Box::new(registry::SCHEMA_AVAILABLE),
        Box::new(registry::SCHEMA_CONFIRMED),
        Box::new(calls::ATTEMPTS_BOUNDED),
        Box::new(tokens::STABLE_TOKEN),
        Box::new(calls::STRONG_READS),
        Box::new(calls::QUIESCENCE),
        Box::new(answers::WELL_FORMED),
        Box::new(answers::CONVERGENCE),
        Box::new(lints::ACKNOWLEDGED_AFTER_EFFECT),
        Box::new(lints::NO_LOST_UPDATE),
        Box::new(lints::UNPROCESSED_ITEMS),
        Box::new(lints::ATOMIC_RECORD),
        Box::new(tampering::TAMPERING_DETECTED),
    ]
}

/// Every checker: those of the write side, then those of the bus. They hold nothing without a bus, where no event is carried on.
pub fn all() -> Vec<Box<dyn Checker>> {
    let mut all = write_side();
    all.extend(bus::all());
    all
}
