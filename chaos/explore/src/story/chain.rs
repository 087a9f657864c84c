//! The causal chain: from the evidence of a violation back through the steps that led to it.
//!
//! An edge says "this step follows from that one" and rests on data that both share. The walk begins at the steps that the
//! violation names, takes in what became of the events that these wrote, and goes back along the edges.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use nexus_checkers::Violation;
use nexus_reports_story::{Because, Link, StepKind};

use super::{
    draft::{Draft, MessageNature, Nature},
    from_faults::us_of,
};

/// Steps of a chain: more is no longer read.
const CHAIN_MAX: usize = 40;
/// Steps that one word of the evidence may stand for; of a word that is everywhere only the last before the violation count.
const STEPS_PER_WORD: usize = 8;
/// Steps that show what became of one event.
const STEPS_PER_EVENT: usize = 12;
/// Puts of an aggregate, after its record was readable, that may have been meant for it.
const PUTS_PER_EVENT: usize = 3;
/// Calls of a request that is evidence itself.
const CALLS_PER_REQUEST: usize = 3;
/// Violations whose evidence is looked up.
const VIOLATIONS_MAX: usize = 20;

type Edge = (usize, &'static str);

/// Steps by what they can be named by.
struct Index<'d> {
    drafts: &'d [Draft],
    by_token: BTreeMap<&'d str, Vec<usize>>,
    /// The step of each call of AWS.
    calls: BTreeMap<u64, usize>,
    /// Requests of customers by operation.
    requests: BTreeMap<u32, Vec<usize>>,
    firings: Vec<usize>,
    restarts: Vec<usize>,
    crashes: Vec<usize>,
}

impl<'d> Index<'d> {
    fn of(drafts: &'d [Draft]) -> Self {
        let mut index = Self {
            drafts,
            by_token: BTreeMap::new(),
            calls: BTreeMap::new(),
            requests: BTreeMap::new(),
            firings: Vec::new(),
            restarts: Vec::new(),
            crashes: Vec::new(),
        };
        for (position, draft) in drafts.iter().enumerate() {
            for token in &draft.tokens {
                let steps = index.by_token.entry(token).or_default();
                if steps.last() != Some(&position) {
                    steps.push(position);
                }
            }
            match &draft.nature {
                Nature::Call { .. } => {
                    index.calls.extend(draft.call.map(|call| (call, position)));
                }
                Nature::Request { .. } => {
                    draft.operation.into_iter().for_each(|of| index.requests.entry(of).or_default().push(position));
                }
                Nature::Firing => index.firings.push(position),
                Nature::Restart => index.restarts.push(position),
                Nature::Crash => index.crashes.push(position),
                _ => {}
            }
        }
        index
    }

    fn named(&self, token: &str) -> &[usize] {
        self.by_token.get(token).map_or(&[], Vec::as_slice)
    }

    /// The last step before `position` that this token names and that is wanted.
    fn last_before(&self, position: usize, token: &str, wanted: impl Fn(&Draft) -> bool) -> Option<usize> {
        let steps = self.named(token);
        let until = steps.partition_point(|step| *step < position);
        steps[..until].iter().rev().copied().find(|step| wanted(&self.drafts[*step]))
    }

    /// What the step follows from.
    fn because(&self, position: usize) -> Vec<Edge> {
        let draft = &self.drafts[position];
        let mut edges = match &draft.nature {
            Nature::Request { attempt, .. } => self.of_request(position, *attempt),
            Nature::Answer { attempt, service } => self.of_answer(position, *attempt, service),
            Nature::Call { client_token, invocation_id, service_operation, is_write } => {
                let tokens = (client_token.as_deref(), invocation_id.as_deref());
                self.of_call(position, tokens, service_operation, *is_write)
            }
            Nature::Write { key, was_there, event_id } => self.of_write(position, key, *was_there, event_id.as_deref()),
            Nature::Record { key, .. } => {
                let write = self.last_before(position, key, |one| matches!(one.nature, Nature::Write { .. }));
                write.map(|write| (write, "the same item")).into_iter().collect()
            }
            Nature::Message { message_id, event_id, step } => {
                self.of_message(position, message_id, event_id.as_deref(), *step)
            }
            Nature::Crash => self.of_crash(position),
            Nature::Restart => {
                let crash = self
                    .crashes
                    .iter()
                    .rev()
                    .find(|crash| **crash < position && self.drafts[**crash].host == draft.host);
                crash.map(|crash| (*crash, "its crash")).into_iter().collect()
            }
            Nature::Firing | Nature::Other => Vec::new(),
        };
        if draft.is_call() {
            edges.extend(self.faults_on(position));
        }
        edges.retain(|(step, _)| *step != position);
        edges.sort_unstable();
        edges.dedup_by_key(|(step, _)| *step);
        edges
    }

    fn same_operation(&self, position: usize) -> String {
        self.drafts[position].operation.map_or(String::new(), |operation| format!("operation {operation}"))
    }

    fn of_request(&self, position: usize, attempt: u32) -> Vec<Edge> {
        if attempt < 2 {
            return Vec::new();
        }
        let before = self.last_before(position, &self.same_operation(position), |_| true);
        before.map(|before| (before, "tried again")).into_iter().collect()
    }

    /// The request, and the last call for it that its host made: the one that decided.
    fn of_answer(&self, position: usize, attempt: u32, service: &str) -> Vec<Edge> {
        let is_request = |one: &Draft| matches!(&one.nature, Nature::Request { attempt: of, .. } if *of == attempt);
        let Some(request) = self.last_before(position, &self.same_operation(position), is_request) else {
            return Vec::new();
        };
        let mut edges = vec![(request, "its request")];
        let (from_us, until_us) = (self.drafts[request].at_us, self.drafts[position].at_us);
        let draft = &self.drafts[position];
        let is_deciding = |one: &&usize| {
            let call = &self.drafts[**one];
            call.is_call()
                && call.host == service
                && call.at_us >= from_us
                && call.until_us.is_none_or(|ended_us| ended_us <= until_us)
        };
        let key = draft.tokens.first().map(|key| format!("nexus-idempotency/{key}"));
        let by_key = key.as_deref().map_or(&[][..], |key| self.named(key));
        let decided = by_key.iter().rev().find(is_deciding).copied();
        if let Some(decided) = decided {
            edges.push((decided, "its idempotency key, on the same host"));
        } else if let Some(aggregate) = &draft.aggregate {
            let span = (request + 1)..position;
            let last =
                span.rev().find(|one| is_deciding(&one) && self.drafts[*one].aggregate.as_ref() == Some(aggregate));
            edges.extend(last.map(|last| (last, "its aggregate, on the same host")));
        }
        edges
    }

    fn of_call(
        &self,
        position: usize,
        (client_token, invocation_id): (Option<&str>, Option<&str>),
        operation: &str,
        is_write: bool,
    ) -> Vec<Edge> {
        let draft = &self.drafts[position];
        let mut edges = Vec::new();
        if let Some(token) = client_token {
            let earlier = self.last_before(position, token, Draft::is_call);
            edges.extend(earlier.map(|earlier| (earlier, "the same token")));
        } else if let Some(wanted) = invocation_id {
            let same =
                |one: &Draft| matches!(&one.nature, Nature::Call { invocation_id: Some(id), .. } if id == wanted);
            let earlier = draft.tokens.first().and_then(|key| self.last_before(position, key, same));
            edges.extend(earlier.map(|earlier| (earlier, "another attempt of one call")));
        }
        edges.extend(self.request_behind(position));
        if operation == "kinesis/PutRecords" || operation == "kinesis/PutRecord" {
            let aggregates: BTreeSet<&str> =
                draft.tokens.iter().filter_map(|key| key.strip_prefix("nexus-core/")).collect();
            for aggregate in aggregates.into_iter().take(STEPS_PER_WORD) {
                let is_record = |one: &Draft| {
                    matches!(one.nature, Nature::Record { .. }) && one.aggregate.as_deref() == Some(aggregate)
                };
                let record = (0..position).rev().take(4_000).find(|one| is_record(&self.drafts[*one]));
                edges.extend(record.map(|record| (record, "a record of the same aggregate")));
            }
        }
        if is_write && operation.starts_with("dynamodb/") {
            edges.extend(self.read_before(position));
        }
        if operation.starts_with("sqs/") {
            for message in draft.tokens.iter().filter_map(|key| key.split_once('/')).map(|(_, id)| id) {
                let last = self.last_before(position, message, |one| matches!(one.nature, Nature::Message { .. }));
                edges.extend(last.map(|last| (last, "the same message")));
            }
        }
        edges
    }

    /// The customer's request that a call of the command service works on.
    fn request_behind(&self, position: usize) -> Option<Edge> {
        let draft = &self.drafts[position];
        let keys = draft.tokens.iter().filter_map(|token| token.strip_prefix("nexus-idempotency/"));
        let is_open = |one: &Draft| matches!(&one.nature, Nature::Request { service, .. } if *service == draft.host);
        for key in keys {
            if let Some(request) = self.last_before(position, key, is_open) {
                return Some((request, "its idempotency key"));
            }
        }
        let aggregate = draft.aggregate.as_ref()?;
        let request = (0..position).rev().take(2_000).find(|one| {
            let request = &self.drafts[*one];
            is_open(request) && request.aggregate.as_ref() == Some(aggregate)
        })?;
        let is_answered = ((request + 1)..position).any(|one| {
            let answer = &self.drafts[one];
            matches!(answer.nature, Nature::Answer { .. }) && answer.operation == self.drafts[request].operation
        });
        (!is_answered).then_some((request, "its aggregate, under way on the same host"))
    }

    /// What the caller of a write read last of the same aggregate.
    fn read_before(&self, position: usize) -> Option<Edge> {
        let draft = &self.drafts[position];
        let aggregate = draft.aggregate.clone().or_else(|| {
            let key = draft.tokens.iter().find_map(|token| token.strip_prefix("nexus-events/"))?;
            Some(key.split('/').next()?.to_owned())
        })?;
        let read = (0..position).rev().take(2_000).find(|one| {
            let read = &self.drafts[*one];
            matches!(read.nature, Nature::Call { is_write: false, .. })
                && read.host == draft.host
                && read.aggregate.as_deref() == Some(aggregate.as_str())
                && read.until_us.is_none_or(|until_us| until_us <= draft.at_us)
        })?;
        Some((read, "what the same host had read of it"))
    }

    fn of_write(&self, position: usize, key: &str, was_there: bool, event_id: Option<&str>) -> Vec<Edge> {
        let draft = &self.drafts[position];
        let mut edges = Vec::new();
        let call = draft.call.and_then(|call| self.calls.get(&call));
        edges.extend(call.map(|call| (*call, "the same call")));
        if was_there {
            let before = self.last_before(position, key, |one| matches!(one.nature, Nature::Write { .. }));
            edges.extend(before.map(|before| (before, "what it replaced")));
        }
        let source = match key.split('/').next() {
            Some("nexus-views") => {
                let version = draft.tokens.last().filter(|token| token.contains('/'));
                version.and_then(|version| {
                    self.last_before(position, version, |one| matches!(one.nature, Nature::Message { .. }))
                })
            }
            Some("nexus-outbox" | "nexus-quarantine") => {
                let name = key.split_once('/').map(|(_, name)| name);
                event_id
                    .or(name)
                    .and_then(|id| self.last_before(position, id, |one| matches!(one.nature, Nature::Message { .. })))
            }
            _ => None,
        };
        edges.extend(source.map(|source| (source, "the event that it shows")));
        edges
    }

    fn of_message(&self, position: usize, message_id: &str, event_id: Option<&str>, step: MessageNature) -> Vec<Edge> {
        let draft = &self.drafts[position];
        let mut edges = Vec::new();
        let before = self.last_before(position, message_id, |one| matches!(one.nature, Nature::Message { .. }));
        edges.extend(before.map(|before| (before, "the same message")));
        let call = draft.call.and_then(|call| self.calls.get(&call));
        edges.extend(call.map(|call| (*call, "the same call")));
        if step == MessageNature::Accepted
            && let Some(event_id) = event_id
        {
            let source = self.last_before(position, event_id, |one| {
                matches!(one.nature, Nature::Record { .. }) || matches!(one.nature, Nature::Message { .. })
            });
            edges.extend(source.map(|source| (source, "the event in its body")));
        }
        edges
    }

    fn of_crash(&self, position: usize) -> Vec<Edge> {
        let crash = &self.drafts[position];
        let firing = self.firings.iter().rev().find(|firing| {
            let fault = &self.drafts[**firing];
            **firing <= position
                && fault.at_us + 60_000 >= crash.at_us
                && (fault.host == crash.host || fault.fault_hosts.contains(&crash.host))
        });
        firing.map(|firing| (*firing, "the fault that took it down")).into_iter().collect()
    }

    /// Faults that acted on the call itself, and those of its host, or of the link to its endpoint, while it ran.
    fn faults_on(&self, position: usize) -> Vec<Edge> {
        let call = &self.drafts[position];
        let until_us = call.until_us.unwrap_or(call.at_us);
        let mut edges = Vec::new();
        for firing in self.firings.iter().copied() {
            let fault = &self.drafts[firing];
            if fault.fault_call.is_some() && fault.fault_call == call.call {
                edges.push((firing, "the fault that acted on it"));
            } else if fault.fault_call.is_none() && fault.fault_hosts.contains(&call.host) {
                let other_ends = fault.fault_hosts.iter().filter(|host| **host != call.host);
                let concerns = other_ends.clone().count() == 0
                    || other_ends.clone().any(|host| call.service.as_deref() == Some(host));
                let overlaps = fault.at_us <= until_us && fault.until_us.unwrap_or(fault.at_us) >= call.at_us;
                if concerns && overlaps {
                    edges.push((firing, "a fault of its host while it ran"));
                }
            }
        }
        // The first calls of a host that came back are what it came back to.
        let restart = self.restarts.iter().rev().find(|restart| {
            let restart = &self.drafts[**restart];
            restart.host == call.host && restart.at_us <= call.at_us && restart.at_us + 1_000_000 >= call.at_us
        });
        edges.extend(restart.map(|restart| (*restart, "its host had just come back")));
        edges
    }

    /// The steps that one violation names, the strongest words first.
    fn evidence(&self, violation: &Violation) -> BTreeSet<usize> {
        let at_us = violation.at_ns.map(us_of);
        let until = at_us.map_or(self.drafts.len(), |at_us| self.drafts.partition_point(|one| one.at_us <= at_us));
        let mut found = BTreeSet::new();
        let mut take = |steps: &[usize]| {
            if steps.len() <= STEPS_PER_WORD {
                found.extend(steps.iter().copied());
            } else {
                let before = &steps[..steps.partition_point(|step| *step < until)];
                found.extend(before.iter().rev().take(STEPS_PER_WORD / 2).copied());
            }
        };
        for operation in &violation.operations {
            take(self.named(&format!("operation {operation}")));
        }
        for key in &violation.keys {
            take(self.named(key));
            // A key of the event table without its version is the whole aggregate.
            if let Some(stream) = key.strip_prefix("nexus-events/").filter(|rest| !rest.contains('/')) {
                take(self.named(stream));
            }
        }
        // What is said in passing names more than is meant: an aggregate stands for all of its versions.
        for word in violation.evidence.iter().flat_map(|text| words_of(text)) {
            let steps = self.named(&word);
            if steps.len() <= STEPS_PER_WORD && !self.is_aggregate(&word) {
                take(steps);
            }
        }
        if found.is_empty()
            && let Some(at_us) = at_us
        {
            let after = self.drafts.partition_point(|one| one.at_us <= at_us);
            found.extend(after.checked_sub(1));
        }
        found
    }

    /// The calls that were made for a request: all that an attempt without an answer leaves behind.
    fn made_for(&self, request: usize) -> Vec<usize> {
        let key = self.drafts[request].tokens.first().map(|key| format!("nexus-idempotency/{key}"));
        let calls = key.as_deref().map_or(&[][..], |key| self.named(key)).iter();
        let after = calls.skip_while(|call| **call < request).filter(|call| self.drafts[**call].is_call());
        after.take(CALLS_PER_REQUEST).copied().collect()
    }

    fn is_aggregate(&self, word: &str) -> bool {
        self.named(word).iter().any(|step| self.drafts[*step].aggregate.as_deref() == Some(word))
    }

    /// What became of the requests and events of these steps: the calls made for them, the steps that name them, and the
    /// puts of their aggregate that came next, whether or not they took them along.
    fn fate(&self, steps: &BTreeSet<usize>) -> BTreeSet<usize> {
        let mut found = BTreeSet::new();
        for step in steps {
            let event_id = match &self.drafts[*step].nature {
                Nature::Write { event_id: Some(id), key, .. } if key.starts_with("nexus-events/") => id,
                Nature::Record { event_id: Some(id), .. } => id,
                Nature::Request { .. } => {
                    found.extend(self.made_for(*step));
                    continue;
                }
                _ => continue,
            };
            let of_event = self.named(event_id);
            found.extend(of_event.iter().take(STEPS_PER_EVENT).copied());
            if let (Nature::Record { .. }, Some(aggregate)) =
                (&self.drafts[*step].nature, &self.drafts[*step].aggregate)
            {
                let puts = self.named(&format!("nexus-core/{aggregate}"));
                let next = puts.iter().skip_while(|put| *put < step);
                found.extend(next.take(PUTS_PER_EVENT).copied());
            }
        }
        found
    }
}

/// Words of an evidence line that may name a step: ids, keys, and `call 12`.
fn words_of(text: &str) -> Vec<String> {
    let is_part = |one: char| one.is_ascii_alphanumeric() || "-_./".contains(one);
    let words: Vec<&str> = text.split(|one| !is_part(one)).map(|word| word.trim_matches('.')).collect();
    let mut named: Vec<String> = words.windows(2).filter(|two| two[0] == "call").map(|two| two.join(" ")).collect();
    // Short numbers are in every text, and names of kinds are no names of steps.
    named.extend(words.iter().filter(|word| word.len() >= 8).map(|word| (*word).to_owned()));
    named
}

/// The chain of one run, and which steps each violation names; by positions.
pub struct Chain {
    links: BTreeMap<usize, (bool, Vec<Edge>)>,
    evidence: Vec<BTreeSet<usize>>,
    pub left_out: u32,
}

impl Chain {
    pub fn of(drafts: &[Draft], violations: &[Violation]) -> Self {
        let index = Index::of(drafts);
        let evidence: Vec<BTreeSet<usize>> =
            violations.iter().take(VIOLATIONS_MAX).map(|violation| index.evidence(violation)).collect();
        let Some(seeds) = evidence.first() else {
            return Self { links: BTreeMap::new(), evidence, left_out: 0 };
        };
        let mut reached: BTreeMap<usize, Vec<Edge>> = BTreeMap::new();
        let mut order = Vec::new();
        // Later steps first: what lies closest to the violation tells most.
        let mut waiting: VecDeque<usize> = seeds.iter().rev().copied().collect();
        waiting.extend(index.fate(seeds));
        while let Some(position) = waiting.pop_front() {
            if reached.contains_key(&position) {
                continue;
            }
            let edges = index.because(position);
            // Faults are what a reader looks for, so they are never behind a hundred other steps.
            for (step, _) in edges.iter().rev() {
                if drafts[*step].kind == StepKind::Fault {
                    waiting.push_front(*step);
                } else {
                    waiting.push_back(*step);
                }
            }
            order.push(position);
            reached.insert(position, edges);
        }
        let kept: BTreeSet<usize> = order.iter().take(CHAIN_MAX).copied().collect();
        let links = reached
            .into_iter()
            .filter(|(position, _)| kept.contains(position))
            .map(|(position, edges)| {
                let edges = edges.into_iter().filter(|(step, _)| kept.contains(step)).collect();
                (position, (seeds.contains(&position), edges))
            })
            .collect();
        Self { links, evidence, left_out: order.len().saturating_sub(CHAIN_MAX) as u32 }
    }

    pub fn has(&self, position: usize) -> bool {
        self.links.contains_key(&position)
    }

    /// Where most of the story is: the last step that the first violation names.
    pub fn centre(&self) -> Option<usize> {
        self.evidence.first()?.last().copied()
    }

    pub fn links(&self) -> Vec<Link> {
        let because = |(step, why): &Edge| Because { step: *step as u32 + 1, why: (*why).to_owned() };
        let link = |(position, (is_evidence, edges)): (&usize, &(bool, Vec<Edge>))| Link {
            step: *position as u32 + 1,
            is_evidence: *is_evidence,
            because: edges.iter().map(because).collect(),
        };
        self.links.iter().map(link).collect()
    }

    pub fn violations(&self, violations: &[Violation]) -> Vec<nexus_reports_story::Violation> {
        let told = |(number, violation): (usize, &Violation)| nexus_reports_story::Violation {
            checker: violation.checker.clone(),
            what: violation.what.clone(),
            evidence: violation.evidence.clone(),
            at_us: violation.at_ns.map(us_of),
            steps: self.evidence.get(number).into_iter().flatten().map(|position| *position as u32 + 1).collect(),
        };
        violations.iter().enumerate().map(told).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(at_us: u64, host: &str, kind: StepKind, nature: Nature, tokens: &[&str]) -> Draft {
        let mut draft = Draft::new(at_us, host, kind, format!("{nature:?}"));
        draft.nature = nature;
        draft.tokens = tokens.iter().map(|token| (*token).to_owned()).collect();
        draft
    }

    fn call(at_us: u64, host: &str, number: u64, keys: &[&str]) -> Draft {
        let nature = Nature::Call {
            client_token: Some("token".to_owned()),
            invocation_id: None,
            service_operation: "dynamodb/TransactWriteItems".to_owned(),
            is_write: true,
        };
        let mut draft = step(at_us, host, StepKind::Call, nature, keys);
        draft.tokens.push("token".to_owned());
        draft.call = Some(number);
        draft.until_us = Some(at_us + 5);
        draft
    }

    fn request(at_us: u64, attempt: u32) -> Draft {
        let nature = Nature::Request { attempt, service: "orders-1".to_owned() };
        let mut draft = step(at_us, "customers", StepKind::Customer, nature, &["key-0001", "operation 7"]);
        draft.operation = Some(7);
        draft
    }

    #[test]
    fn the_chain_goes_from_the_evidence_back_to_command_and_fault() {
        let mut firing = step(20, "orders-1", StepKind::Fault, Nature::Firing, &[]);
        firing.fault = Some(3);
        firing.fault_call = Some(1);
        let write = Nature::Write {
            key: "nexus-events/order-1/1".into(),
            was_there: false,
            event_id: Some("event-0001".into()),
        };
        let mut write = step(25, "dynamodb", StepKind::Write, write, &["nexus-events/order-1/1", "event-0001"]);
        write.call = Some(1);
        let unrelated = call(12, "orders-2", 9, &["nexus-events/order-2/1"]);
        let record = Nature::Record { key: "nexus-events/order-1/1".into(), event_id: Some("event-0001".into()) };
        let mut drafts = vec![
            request(10, 1),
            Draft { tokens: vec!["other".to_owned()], ..unrelated },
            firing,
            call(20, "orders-1", 1, &["nexus-events/order-1/1", "nexus-idempotency/key-0001"]),
            write,
            step(40, "dynamodb-streams", StepKind::Record, record, &["nexus-events/order-1/1", "event-0001"]),
            request(60, 2),
            call(70, "orders-1", 2, &["nexus-events/order-1/1", "nexus-idempotency/key-0001"]),
        ];
        drafts[1].nature = Nature::Other;
        let violation = Violation {
            checker: "some".into(),
            what: "what".into(),
            evidence: vec!["call 2 by orders-1".into()],
            keys: vec![],
            operations: vec![],
            at_ns: None,
        };
        drafts[7].tokens.push("call 2".to_owned());
        let chain = Chain::of(&drafts, &[violation]);
        let links = chain.links();
        let told: Vec<(u32, bool, Vec<u32>)> = links
            .iter()
            .map(|link| (link.step, link.is_evidence, link.because.iter().map(|because| because.step).collect()))
            .collect();
        let wanted = [
            (1, false, vec![]),
            (3, false, vec![]),
            (4, false, vec![1, 3]),
            (7, false, vec![1]),
            (8, true, vec![4, 7]),
        ];
        assert_eq!(told, wanted);
        assert_eq!(chain.left_out, 0);
    }

    #[test]
    fn words_that_may_name_a_step_are_found() {
        let text = "call 12 by orders-1 at 99 ns: applied true, token 0a1b2c3d-aa (event 77, nexus-events/order-1/2).";
        let words = words_of(text);
        assert!(
            ["call 12", "0a1b2c3d-aa", "nexus-events/order-1/2", "orders-1"]
                .iter()
                .all(|word| words.iter().any(|one| one == word)),
            "{words:?}"
        );
        assert!(!words.iter().any(|word| word == "12" || word == "77"), "{words:?}");
    }
}
