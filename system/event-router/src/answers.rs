//! What the routing makes of how its calls ended.

use nexus_governance::GateRefusal;
use nexus_ports::{
    CallFailure, EntryFailure, EventPage, Monotonic, ParkReason, ParkedAggregate, ParkingMoved, ReadFailure,
    StreamName, UnknownOutcome, Version, WriteFailure,
};

use crate::{
    Destination,
    aggregate::{Content, Fault, Item},
    calls::{Answer, Carried},
    examine::Examined,
    lane::{Lane, Lanes},
    notes::Note,
    remembered::Span,
    routing::Routing,
    shapes::{Shape, Verdict},
};

/// A failed attempt of one event.
struct Failed {
    detail: String,
    /// The service refused this very event: no attempt will end better.
    is_refused: bool,
    /// The call was refused that carried it, alone or among others.
    is_call_refused: bool,
}

impl Routing {
    /// Takes in how a call ended.
    pub fn answered(&mut self, answer: Answer, now: Monotonic) {
        match answer {
            Answer::Put { destination, carried, outcome } => self.put_answered(destination, carried, outcome, now),
            Answer::ParkedList(outcome) => self.parked_listed(outcome, now),
            Answer::ParkingWritten { written, outcome } => self.parking_written(*written, outcome, now),
            Answer::ParkedRead { key, outcome } => self.parked_read(&key, outcome, now),
            Answer::Events { stream, outcome } => self.events_read(&stream, outcome, now),
            Answer::Schema { shape, outcome } => self.schema_told(&shape, outcome, now),
        }
    }

    fn schema_told(&mut self, shape: &Shape, outcome: Result<(), GateRefusal>, now: Monotonic) {
        let verdict = match outcome {
            Ok(()) => Verdict::Clear,
            Err(GateRefusal::Pending(_)) => Verdict::Undecided,
            Err(GateRefusal::Unreachable(_)) => Verdict::Unreachable,
            Err(refusal @ (GateRefusal::Invalid(_) | GateRefusal::NotUsable(_))) => {
                Verdict::Refused(refusal.to_string())
            }
        };
        match verdict {
            Verdict::Unreachable => self.fail_lane(|lanes| &mut lanes.registry, now),
            _ => self.lanes.registry.succeed(),
        }
        self.shapes.answered(shape, verdict, now);
    }

    fn put_answered(
        &mut self,
        destination: Destination,
        carried: Vec<Carried>,
        outcome: Result<Vec<Result<(), EntryFailure>>, CallFailure>,
        now: Monotonic,
    ) {
        match outcome {
            Err(failure) => {
                self.fail_lane(|lanes| lanes.to(destination), now);
                let is_call_refused = matches!(failure, CallFailure::Rejected(_));
                let is_alone = carried.len() == 1;
                for event in carried {
                    let failed = Failed { detail: failure.to_string(), is_refused: false, is_call_refused };
                    self.attempt_failed(&event, failed, is_alone, now);
                }
            }
            Ok(mut outcomes) => {
                // An entry of which nothing was said may have been taken.
                outcomes.resize_with(carried.len(), || {
                    Err(EntryFailure::Unknown(UnknownOutcome { reason: "the answer leaves the entry out".to_owned() }))
                });
                let tells_of_life =
                    |outcome: &Result<(), EntryFailure>| matches!(outcome, Ok(()) | Err(EntryFailure::Rejected(_)));
                if outcomes.iter().any(tells_of_life) {
                    self.lanes.to(destination).succeed();
                } else {
                    self.fail_lane(|lanes| lanes.to(destination), now);
                }
                for (event, outcome) in carried.iter().zip(outcomes) {
                    match outcome {
                        Ok(()) => self.accepted(event),
                        Err(failure) => {
                            let is_refused = matches!(failure, EntryFailure::Rejected(_));
                            let failed = Failed { detail: failure.to_string(), is_refused, is_call_refused: false };
                            self.attempt_failed(event, failed, false, now);
                        }
                    }
                }
            }
        }
    }

    fn fail_lane(&mut self, lane: impl FnOnce(&mut Lanes) -> &mut Lane, now: Monotonic) {
        let Routing { lanes, settings, jitter, .. } = self;
        let lane = lane(lanes);
        let name = lane.name;
        lane.fail(now, |failures| settings.pause(failures, jitter("router-breaker", name)));
    }

    /// The destination has the event, for good.
    fn accepted(&mut self, event: &Carried) {
        let Some(aggregate) = self.active.get_mut(&event.key) else { return };
        aggregate.is_busy = false;
        let Some(item) = aggregate.waiting.remove(&event.version) else { return };
        let span = aggregate.known.map_or(Span::of(event.version), |span| span.with(event.version));
        aggregate.known = Some(span);
        if let Content::Event { recorded_at_ms, ref outgoing, .. } = item.content {
            self.notes.push(Note::Routed { destination: outgoing.destination(), recorded_at_ms });
        }
        self.learn(&event.key, span);
        self.settle(item.tickets);
        self.retire(&event.key);
    }

    fn learn(&mut self, key: &str, span: Span) {
        // Where the partition key is not a stream's name, no event will ever ask for what is known of it.
        let Ok(stream) = key.parse::<StreamName>() else { return };
        self.remembered.keep(&stream, span);
        self.learned.push((stream, span));
    }

    fn attempt_failed(&mut self, event: &Carried, failed: Failed, is_alone: bool, now: Monotonic) {
        let Some(aggregate) = self.active.get_mut(&event.key) else { return };
        aggregate.is_busy = false;
        let Some(item) = aggregate.waiting.get_mut(&event.version) else { return };
        let Content::Event { event_id, outgoing, .. } = &item.content else { return };
        item.attempts += 1;
        // Which of its entries made the service refuse the call shows when each is sent alone.
        item.goes_alone |= failed.is_call_refused;
        if failed.is_refused || item.attempts >= self.settings.attempts_max {
            let is_poison = failed.is_refused || (failed.is_call_refused && is_alone);
            let reason = if is_poison { ParkReason::Poison } else { ParkReason::AttemptsExhausted };
            item.fault = Some(Fault { reason, detail: failed.detail });
        } else {
            let pause = self.settings.pause(item.attempts, (self.jitter)("router-backoff", event_id));
            item.due = Monotonic(now.0.saturating_add(pause));
            self.notes.push(Note::RetryDue { destination: outgoing.destination() });
        }
    }

    fn parked_listed(&mut self, outcome: Result<Vec<ParkedAggregate>, ReadFailure>, now: Monotonic) {
        let Ok(entries) = outcome else { return self.fail_lane(|lanes| &mut lanes.parking, now) };
        self.lanes.parking.succeed();
        self.parked = Some(entries.iter().map(|entry| (entry.key.clone(), entry.clone())).collect());
        for entry in &entries {
            self.settle_covered(entry);
        }
    }

    fn settle_covered(&mut self, entry: &ParkedAggregate) {
        if let Some(aggregate) = self.active.get_mut(&entry.key) {
            let tickets = aggregate.take_covered(entry);
            self.settle(tickets);
            self.retire(&entry.key);
        }
    }

    fn parking_written(
        &mut self,
        written: ParkedAggregate,
        outcome: Result<(), WriteFailure<ParkingMoved>>,
        now: Monotonic,
    ) {
        let Some(aggregate) = self.active.get_mut(&written.key) else { return };
        aggregate.is_busy = false;
        let told = std::mem::take(&mut aggregate.unversioned_told);
        match outcome {
            Ok(()) => {
                let tickets = aggregate.unversioned.drain(..told).flat_map(|item| item.tickets).collect();
                self.lanes.parking.succeed();
                self.settle(tickets);
                if written.counter == 1 {
                    self.notes.push(Note::Parked { reason: written.reason });
                }
                self.parked_is(written);
            }
            Err(WriteFailure::Refused(_)) => {
                aggregate.is_parking_in_doubt = true;
                self.lanes.parking.succeed();
            }
            Err(WriteFailure::Unknown(_)) => {
                aggregate.is_parking_in_doubt = true;
                self.fail_lane(|lanes| &mut lanes.parking, now);
            }
            // Nothing was written: the same need arises again, after the lane's pause.
            Err(_) => self.fail_lane(|lanes| &mut lanes.parking, now),
        }
    }

    /// The parking lot has this entry.
    fn parked_is(&mut self, entry: ParkedAggregate) {
        self.parked.get_or_insert_default().insert(entry.key.clone(), entry.clone());
        self.settle_covered(&entry);
    }

    fn parked_read(&mut self, key: &str, outcome: Result<Option<ParkedAggregate>, ReadFailure>, now: Monotonic) {
        let Some(aggregate) = self.active.get_mut(key) else { return };
        aggregate.is_busy = false;
        match outcome {
            Err(_) => self.fail_lane(|lanes| &mut lanes.parking, now),
            Ok(found) => {
                aggregate.is_parking_in_doubt = false;
                self.lanes.parking.succeed();
                match found {
                    Some(entry) => self.parked_is(entry),
                    None => self.released(key),
                }
            }
        }
    }

    /// There is no entry (any more). If there was one, whoever released it had worked off everything that it told of.
    fn released(&mut self, key: &str) {
        let Some(entry) = self.parked.as_mut().and_then(|parked| parked.remove(key)) else { return };
        let Some(last) = entry.last_version else { return };
        let Some(aggregate) = self.active.get_mut(key) else { return };
        let first = entry.first_version.unwrap_or(Version(1));
        let span = match aggregate.known {
            // Aggregates are parked at the first event that is not done, and a release moves that on as it gets along:
            // what lies between what is known and the entry's beginning is done as well.
            Some(known) => Span { first: known.first.min(first), last: known.last.max(last) },
            None => Span { first, last },
        };
        aggregate.known = Some(span);
        let tickets = aggregate.take_range(span);
        self.learn(key, span);
        self.settle(tickets);
        self.retire(key);
    }

    fn events_read(&mut self, stream: &StreamName, outcome: Result<EventPage, ReadFailure>, now: Monotonic) {
        let Some(aggregate) = self.active.get_mut(stream.as_str()) else { return };
        aggregate.is_busy = false;
        let known = aggregate.known;
        match outcome {
            Err(_) => self.fail_lane(|lanes| &mut lanes.store, now),
            Ok(page) => {
                self.lanes.store.succeed();
                match known {
                    None => self.review(stream, page),
                    Some(span) => self.repair(stream, span.last, page),
                }
            }
        }
    }

    /// Lets recent predecessors of a cold aggregate's first event go before it. They may have been routed by someone
    /// else: then they are there twice, which consumers, who go by version, do not mind.
    fn review(&mut self, stream: &StreamName, page: EventPage) {
        let window_ms = u64::try_from(self.settings.cold_window.as_millis()).unwrap_or(u64::MAX);
        let Some(aggregate) = self.active.get_mut(stream.as_str()) else { return };
        aggregate.is_reviewed = true;
        let Some((&head, item)) = aggregate.waiting.first_key_value() else { return };
        let stored_head = page.events.iter().find(|event| event.version == head);
        let recorded_at_ms = match (&item.content, stored_head) {
            (Content::Event { recorded_at_ms, .. }, _) => *recorded_at_ms,
            (Content::Unroutable { .. }, Some(event)) => event.recorded_at_ms,
            (Content::Unroutable { .. }, None) => return,
        };
        let mut wanted = head;
        let mut recent = Vec::new();
        for event in page.events.into_iter().rev().filter(|event| event.version < head) {
            if event.version.next() != wanted || event.recorded_at_ms.abs_diff(recorded_at_ms) > window_ms {
                break;
            }
            wanted = event.version;
            recent.push(event);
        }
        for event in recent {
            self.insert_stored(stream, event);
        }
    }

    /// Lets the events that are missing after `last` go before those that wait for them.
    fn repair(&mut self, stream: &StreamName, last: Version, page: EventPage) {
        let Some(aggregate) = self.active.get_mut(stream.as_str()) else { return };
        let Some((&head, _)) = aggregate.waiting.first_key_value() else { return };
        let mut wanted = last.next();
        if head <= wanted {
            return;
        }
        let mut missing = Vec::new();
        for event in page.events {
            if event.version != wanted || event.version >= head {
                break;
            }
            wanted = wanted.next();
            missing.push(event);
        }
        if missing.is_empty() {
            // A strong read does not see what came before an event that was seen: the stream is damaged.
            if let Some(item) = aggregate.waiting.get_mut(&head) {
                let detail = format!("version {wanted}, which comes before it, is not in the event store");
                item.fault = Some(Fault { reason: ParkReason::Poison, detail });
            }
            aggregate.lost_before = Some(head);
            return;
        }
        self.notes.push(Note::GapRepaired { events: missing.len() });
        for event in missing {
            self.insert_stored(stream, event);
        }
    }

    fn insert_stored(&mut self, stream: &StreamName, event: nexus_ports::EventRecord) {
        let arrival = self.arrival();
        let version = event.version;
        let item = match self.examiner.examine_stored(stream, event) {
            Examined::Sound(event) => Item::sound(event, Vec::new(), arrival),
            Examined::Poison(mut poison) => {
                self.notes.push(Note::ValidationFailed { event_type: poison.event_type.take() });
                Item::poison(poison, Vec::new(), arrival)
            }
        };
        if let Some(aggregate) = self.active.get_mut(stream.as_str()) {
            aggregate.waiting.entry(version).or_insert(item);
        }
    }
}
