//! How often the router attempts one event.

use std::collections::{BTreeMap, BTreeSet};

use super::leases::lease_writes;
use crate::{
    AwsCall, CheckInput, MessageStepKind, Needs, Violation,
    bus::{Parking, core_records},
    checks::Check,
    checks::calls::told,
    finding::Examination,
};

pub(crate) const ROUTING_ATTEMPTS: Check = Check {
    name: "routing-attempts-bounded",
    needs: Needs::GroundTruth,
    describe: "In one pass, which ends with success, parking, another owner of a shard or another repair, one host puts an aggregate's next event no more often than its attempts allow.",
    run: routing_attempts,
};

#[derive(Default)]
struct Run<'i> {
    puts: Vec<&'i AwsCall>,
    /// Begins of passes that were seen when the run began.
    passes: usize,
}

fn routing_attempts(input: &CheckInput, examination: &mut Examination) {
    let settings = &input.settings;
    let taken: BTreeSet<(u64, &str)> =
        core_records(input).map(|record| (record.call_sequence, record.key.as_str())).collect();
    let passes_ns = passes(input);
    let repairs = repairs(input);
    let parking = Parking::of(input);
    let prefix = format!("{}/", settings.core_stream);
    let mut runs: BTreeMap<(&str, &str), Run<'_>> = BTreeMap::new();
    for call in input.truth.calls.iter().filter(|call| is_put(call)) {
        for key in call.keys.iter().filter_map(|key| key.strip_prefix(&prefix)) {
            let passes = passes_ns.partition_point(|at_ns| *at_ns <= call.at_ns);
            let run = runs.entry((&call.caller, key)).or_default();
            let is_repaired_anew = run.puts.last().is_some_and(|last| {
                let moments = repairs.get(&(call.caller.as_str(), key)).map_or(&[][..], Vec::as_slice);
                moments.iter().any(|(from_ns, read_ns)| last.at_ns < *from_ns && *read_ns < call.at_ns)
            });
            let was_parked = run.puts.last().is_some_and(|last| {
                let standings = parking.standings(&settings.router_group, key);
                standings.iter().any(|standing| (last.at_ns..=call.at_ns).contains(&standing.from_ns))
            });
            if was_parked || is_repaired_anew || run.passes != passes {
                *run = Run { puts: Vec::new(), passes };
            }
            run.puts.push(call);
            let attempts = run.puts.len();
            examination.expect(attempts <= settings.route_attempts_max as usize, || {
                let what = format!(
                    "An event of {key} was put {attempts} times in one pass; {} are allowed.",
                    settings.route_attempts_max
                );
                let violation = Violation::new(what).key(key).at(call.at_ns);
                run.puts.iter().take(20).fold(violation, |violation, call| violation.evidence(told(call)))
            });
            let is_told = call.status == 200 && call.delivered;
            if is_told && taken.contains(&(call.sequence, key)) {
                run.puts.clear();
            }
        }
    }
}

fn is_put(call: &AwsCall) -> bool {
    call.service == "kinesis" && matches!(call.operation.as_str(), "PutRecords" | "PutRecord")
}

/// By host and aggregate, when it began to go over the whole event table, and when it read the aggregate's events for that: so
/// does only a repair of what a feed lost, and as long as its destination is down, one repair follows another.
fn repairs(input: &CheckInput) -> BTreeMap<(&str, &str), Vec<(u64, u64)>> {
    let prefix = format!("{}/", input.settings.events_table);
    let mut begun_ns: BTreeMap<&str, u64> = BTreeMap::new();
    let mut moments: BTreeMap<(&str, &str), Vec<(u64, u64)>> = BTreeMap::new();
    for call in &input.truth.calls {
        match call.operation.as_str() {
            "Scan" => _ = begun_ns.insert(&call.caller, call.at_ns),
            "Query" => {
                let Some(from_ns) = begun_ns.get(call.caller.as_str()) else { continue };
                for key in call.keys.iter().filter_map(|key| key.strip_prefix(&prefix)) {
                    moments.entry((&call.caller, key)).or_default().push((*from_ns, call.at_ns));
                }
            }
            _ => {}
        }
    }
    moments
}

/// When someone began to work on records anew: took a shard, or was invoked.
fn passes(input: &CheckInput) -> Vec<u64> {
    let mut epochs: BTreeMap<&str, u64> = BTreeMap::new();
    let mut passes_ns: Vec<u64> = Vec::new();
    let leases = lease_writes(input);
    for (write, lease) in leases.iter().filter(|(_, lease)| lease.group == input.settings.router_group) {
        if epochs.insert(&write.key, lease.epoch) != Some(lease.epoch) {
            passes_ns.push(write.at_ns);
        }
    }
    let invoked = input.truth.messages.iter().filter(|step| step.step == MessageStepKind::Invoked);
    passes_ns.extend(invoked.map(|step| step.at_ns));
    passes_ns.sort_unstable();
    passes_ns
}
