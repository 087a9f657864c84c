//! What became of each entry of a batch, put together from an answer that lists successes and failures apart.

use nexus_aws::failures::entry_failure;
use nexus_ports::{CallFailure, EntryFailure, EntryOutcomes, Rejected, UnknownOutcome};

/// Ids within a batch are positions: distinct by nature, and free of what SNS and SQS do not allow in ids.
pub(crate) fn entry_id(index: usize) -> String {
    index.to_string()
}

/// Outcomes by position. An entry that the answer never mentions stays unknown.
pub(crate) struct Outcomes(EntryOutcomes<()>);

impl Outcomes {
    pub(crate) fn unmentioned(count: usize) -> Self {
        let unmentioned = || UnknownOutcome { reason: "the answer does not mention this entry".to_owned() };
        Self((0..count).map(|_| Err(EntryFailure::Unknown(unmentioned()))).collect())
    }

    pub(crate) fn succeeded(&mut self, id: &str) {
        self.set(id, Ok(()));
    }

    pub(crate) fn failed(&mut self, id: &str, code: &str, is_sender_fault: bool, message: Option<&str>) {
        self.set(id, Err(entry_failure(code, is_sender_fault, message)));
    }

    pub(crate) fn unknown(&mut self, id: &str, reason: &str) {
        self.set(id, Err(EntryFailure::Unknown(UnknownOutcome { reason: reason.to_owned() })));
    }

    pub(crate) fn into_inner(self) -> EntryOutcomes<()> {
        self.0
    }

    fn set(&mut self, id: &str, outcome: Result<(), EntryFailure>) {
        if let Some(slot) = id.parse::<usize>().ok().and_then(|index| self.0.get_mut(index)) {
            *slot = outcome;
        }
    }
}

/// A request that the SDK's own types cannot express; nothing was sent.
pub(crate) fn unsendable(error: impl std::fmt::Display) -> CallFailure {
    CallFailure::Rejected(Rejected { code: "ConstructionFailure".to_owned(), message: error.to_string() })
}

/// An answer whose content contradicts itself or lacks what it must hold.
pub(crate) fn unusable_answer(reason: impl Into<String>) -> CallFailure {
    CallFailure::Unknown(UnknownOutcome { reason: reason.into() })
}

#[cfg(test)]
mod tests {
    use nexus_ports::Throttled;

    use super::*;

    #[test]
    fn what_the_answer_leaves_out_is_unknown() {
        let mut outcomes = Outcomes::unmentioned(3);
        outcomes.succeeded("0");
        outcomes.failed("2", "Throttled", true, None);
        outcomes.succeeded("3");
        outcomes.succeeded("not an id");
        let outcomes = outcomes.into_inner();
        assert_eq!(outcomes.len(), 3);
        assert_eq!(outcomes[0], Ok(()));
        assert!(matches!(outcomes[1], Err(EntryFailure::Unknown(_))));
        assert_eq!(outcomes[2], Err(EntryFailure::Throttled(Throttled { code: "Throttled".to_owned() })));
    }
}
