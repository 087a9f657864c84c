//! Whose write stands there? The judgement after a refusal or an unknown outcome.

use nexus_ports::{AppendRefused, AppendTransaction, EventRecord, IdempotencyRecord};

use crate::{AlreadyAnswered, AppendError, VersionConflict};

/// What the things found in storage say about a transaction.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Judgement {
    /// The transaction itself was applied, by this or an earlier attempt.
    Own,
    /// It was not applied and never will be.
    Never(AppendError),
    /// What was found does not tell.
    Open,
}

/// Judges by identity, never by version alone: an event is ours if it carries the id that we minted for it.
pub(crate) fn judge(transaction: &AppendTransaction, found: &AppendRefused) -> Judgement {
    if found.events.iter().any(|event| is_own_event(transaction, event)) {
        return Judgement::Own;
    }
    if let Some(record) = &found.record {
        return judge_record(&transaction.record, record);
    }
    let rival = found.events.iter().find(|event| is_wanted_position(transaction, event));
    match rival {
        // The rival may be another execution under our own key, whose record holds the answer: look before telling.
        Some(rival) if rival.envelope.command_id == transaction.record.key => Judgement::Open,
        Some(rival) => Judgement::Never(conflict(rival)),
        None => Judgement::Open,
    }
}

pub(crate) fn conflict(rival: &EventRecord) -> AppendError {
    AppendError::Conflict(VersionConflict {
        stream: rival.stream.clone(),
        version: rival.version,
        standing_event_id: rival.event_id.clone(),
    })
}

fn judge_record(ours: &IdempotencyRecord, standing: &IdempotencyRecord) -> Judgement {
    if standing.event_ids == ours.event_ids && standing.outcome == ours.outcome {
        Judgement::Own
    } else {
        Judgement::Never(AppendError::AlreadyAnswered(AlreadyAnswered { record: Box::new(standing.clone()) }))
    }
}

fn is_own_event(transaction: &AppendTransaction, found: &EventRecord) -> bool {
    transaction.events.iter().any(|event| event.version == found.version && event.event_id == found.event_id)
}

fn is_wanted_position(transaction: &AppendTransaction, found: &EventRecord) -> bool {
    transaction.events.iter().any(|event| event.stream == found.stream && event.version == found.version)
}
