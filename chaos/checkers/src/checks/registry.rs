//! Where a schema registry is asked: what it did not have AVAILABLE must not be stored, and nobody may guess.

use std::collections::BTreeMap;

use super::{Check, service_calls};
use crate::{
    AwsCall, CheckInput, Needs, RegisteredSchema, StorageWrite, Violation,
    bus::writes_of,
    finding::Examination,
    item::{number, text},
};

pub(crate) const SCHEMA_AVAILABLE: Check = Check {
    name: "schema-available",
    needs: Needs::GroundTruth,
    describe: "No event is stored before the registry has the definition of its version AVAILABLE, nor long after it is gone.",
    run: schema_available,
};

pub(crate) const SCHEMA_CONFIRMED: Check = Check {
    name: "schema-confirmed",
    needs: Needs::GroundTruth,
    describe: "No host stores an event unless the registry told that very host that the schema may be used.",
    run: schema_confirmed,
};

/// From when until when a definition was AVAILABLE.
#[derive(Clone, Copy)]
struct Stretch {
    from_ns: u64,
    until_ns: u64,
}

impl Stretch {
    fn covers(self, at_ns: u64, trust_ns: u64) -> bool {
        self.from_ns <= at_ns && at_ns <= self.until_ns.saturating_add(trust_ns)
    }
}

/// When each definition was AVAILABLE, by schema and definition.
fn stretches(input: &CheckInput) -> BTreeMap<(String, String), Vec<Stretch>> {
    let mut definitions: BTreeMap<&str, &str> = BTreeMap::new();
    let mut open: BTreeMap<&str, u64> = BTreeMap::new();
    let mut stretches: BTreeMap<(String, String), Vec<Stretch>> = BTreeMap::new();
    for step in &input.truth.schema_versions {
        if !step.definition.is_empty() {
            definitions.insert(&step.version_id, &step.definition);
        }
        let definition = definitions.get(step.version_id.as_str()).copied().unwrap_or_default();
        let known = stretches.entry((step.schema.clone(), definition.to_owned())).or_default();
        if step.status == "AVAILABLE" {
            open.insert(&step.version_id, step.at_ns);
            known.push(Stretch { from_ns: step.at_ns, until_ns: u64::MAX });
        } else if let Some(from_ns) = open.remove(step.version_id.as_str())
            && let Some(ended) = known.iter_mut().rfind(|stretch| stretch.from_ns == from_ns)
        {
            ended.until_ns = step.at_ns;
        }
    }
    stretches
}

/// What the registry could say of each event version.
pub(crate) struct Availability<'i> {
    input: &'i CheckInput,
    stretches: BTreeMap<(String, String), Vec<Stretch>>,
    began_ns: u64,
}

impl<'i> Availability<'i> {
    pub(crate) fn of(input: &'i CheckInput) -> Self {
        let began_ns = input.truth.calls.iter().map(|call| call.at_ns).min().unwrap_or(0);
        Self { input, stretches: stretches(input), began_ns }
    }

    /// Whether an answer that still counted at this moment can have been a no: the definition was not AVAILABLE at some time
    /// within the trust that answers are given. What no registry is asked for is never doubted.
    pub(crate) fn may_be_doubted(&self, event_type: &str, version: u64, at_ns: u64) -> bool {
        let settings = &self.input.settings;
        if settings.registered_schemas.is_empty() {
            return false;
        }
        let Some(registered) = settings.registered_schemas.get(&format!("{event_type}/{version}")) else { return true };
        let since_ns = at_ns.saturating_sub(settings.registry_trust_ns).max(self.began_ns);
        let whole = |stretch: &Stretch| stretch.from_ns <= since_ns && at_ns <= stretch.until_ns;
        !schema_of(&self.stretches, registered).iter().any(whole)
    }
}

/// Each event that was stored, and the schema that stands for its type and version.
fn stored(input: &CheckInput) -> impl Iterator<Item = (&StorageWrite, String, Option<&RegisteredSchema>)> {
    writes_of(input, &input.settings.events_table).filter_map(|write| {
        let image = write.new_image.as_ref()?;
        let (event_type, version) = (text(image, "event_type").ok()?, number(image, "schema_version").ok()?);
        let name = format!("{event_type}/{version}");
        let schema = input.settings.registered_schemas.get(&name);
        Some((write, name, schema))
    })
}

fn schema_of<'s>(
    stretches: &'s BTreeMap<(String, String), Vec<Stretch>>,
    registered: &RegisteredSchema,
) -> &'s [Stretch] {
    let schema = registered.key.split_once('/').map_or(registered.key.as_str(), |(_, schema)| schema);
    stretches.get(&(schema.to_owned(), registered.definition.clone())).map_or(&[], Vec::as_slice)
}

fn schema_available(input: &CheckInput, examination: &mut Examination) {
    if input.settings.registered_schemas.is_empty() {
        return;
    }
    let stretches = stretches(input);
    for (write, name, registered) in stored(input) {
        let was_available = registered.is_some_and(|registered| {
            let trust_ns = input.settings.registry_trust_ns;
            schema_of(&stretches, registered).iter().any(|stretch| stretch.covers(write.at_ns, trust_ns))
        });
        examination.expect(was_available, || {
            Violation::new(format!("An event of {name} was stored while the registry had no usable version of it."))
                .key(&write.key)
                .at(write.at_ns)
        });
    }
}

fn schema_confirmed(input: &CheckInput, examination: &mut Examination) {
    let settings = &input.settings;
    if settings.registered_schemas.is_empty() {
        return;
    }
    let stretches = stretches(input);
    let callers: BTreeMap<u64, &AwsCall> = service_calls(input).map(|call| (call.sequence, call)).collect();
    let asked: Vec<&AwsCall> =
        service_calls(input).filter(|call| call.service == "glue" && call.status == 200 && call.delivered).collect();
    for (write, name, registered) in stored(input) {
        // What others put into the table is for other checks.
        let (Some(writer), Some(registered)) = (callers.get(&write.call_sequence), registered) else { continue };
        let available = schema_of(&stretches, registered);
        let is_confirmed = asked.iter().any(|call| {
            let told_ns = call.finished_ns.unwrap_or(call.at_ns);
            call.caller == writer.caller
                && call.keys.contains(&registered.key)
                && told_ns <= write.at_ns
                && write.at_ns - told_ns <= settings.registry_trust_ns
                && available.iter().any(|stretch| stretch.covers(told_ns, 0))
        });
        examination.expect(is_confirmed, || {
            let host = &writer.caller;
            Violation::new(format!(
                "{host} stored an event of {name} although the registry had not told it that it may."
            ))
            .key(&write.key)
            .at(write.at_ns)
            .evidence(format!("call {}", write.call_sequence))
        });
    }
}
