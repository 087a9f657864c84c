//! Which event versions the schema registry lets through: what is known of each, and when to ask again.
//!
//! Answers are remembered by the registry's client, for all shards of the process; here they only count for a moment. While
//! an answer is being asked for again, the one before it goes on counting for a while, so that a slow registry does not
//! hold up what it let through a second ago.

use std::{collections::BTreeMap, time::Duration};

use nexus_ports::Monotonic;

/// An event type in one version of its schema.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Shape {
    pub event_type: String,
    pub schema_version: u32,
}

/// What the registry's client says of a shape.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Clear,
    /// Its events are poison, because of this.
    Refused(String),
    /// Neither yet.
    Undecided,
    /// The registry does not answer.
    Unreachable,
}

/// Where a shape stands at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing<'a> {
    Clear,
    Refused(&'a str),
    Unknown,
}

#[derive(Debug)]
pub(crate) struct Shapes {
    /// A verdict is asked for again after this time.
    recheck_every: Duration,
    /// For so much longer it counts while it is being asked for again.
    grace: Duration,
    states: BTreeMap<Shape, State>,
    questions: u64,
}

#[derive(Debug)]
struct State {
    verdict: Option<(Decided, Monotonic)>,
    is_being_asked: bool,
    ask_at: Monotonic,
    /// Rises with every question: whoever was asked for longest ago is next.
    last_asked: u64,
}

#[derive(Debug)]
enum Decided {
    Clear,
    Refused(String),
}

const NOT_ASKED_FOR: State =
    State { verdict: None, is_being_asked: false, ask_at: Monotonic(Duration::ZERO), last_asked: 0 };

impl Shapes {
    pub fn new(recheck_every: Duration, grace: Duration) -> Self {
        Self { recheck_every, grace, states: BTreeMap::new(), questions: 0 }
    }

    pub fn standing(&self, shape: &Shape, now: Monotonic) -> Standing<'_> {
        match self.state(shape).verdict.as_ref().filter(|(_, until)| now < *until) {
            Some((Decided::Clear, _)) => Standing::Clear,
            Some((Decided::Refused(detail), _)) => Standing::Refused(detail),
            None => Standing::Unknown,
        }
    }

    /// When the shape is to be asked for; `None` while it is being asked for.
    pub fn ask_at(&self, shape: &Shape) -> Option<Monotonic> {
        let state = self.state(shape);
        (!state.is_being_asked).then_some(state.ask_at)
    }

    /// Orders those who are to be asked for: the one that was asked for longest ago comes first, so that one question that
    /// is never answered does not keep all others from being asked.
    pub fn turn(&self, shape: &Shape) -> u64 {
        self.state(shape).last_asked
    }

    /// The question is on its way.
    pub fn asked(&mut self, shape: &Shape) {
        self.questions += 1;
        let state = self.states.entry(shape.clone()).or_insert(NOT_ASKED_FOR);
        state.is_being_asked = true;
        state.last_asked = self.questions;
    }

    pub fn answered(&mut self, shape: &Shape, verdict: Verdict, now: Monotonic) {
        let recheck_at = Monotonic(now.0.saturating_add(self.recheck_every));
        let counts_until = Monotonic(recheck_at.0.saturating_add(self.grace));
        let state = self.states.entry(shape.clone()).or_insert(NOT_ASKED_FOR);
        state.is_being_asked = false;
        match verdict {
            // Whoever asks waits as the lane to the registry tells.
            Verdict::Unreachable => return,
            Verdict::Clear => state.verdict = Some((Decided::Clear, counts_until)),
            // Nothing is gained by calling events poison for longer than must be.
            Verdict::Refused(detail) => state.verdict = Some((Decided::Refused(detail), recheck_at)),
            Verdict::Undecided => state.verdict = None,
        }
        state.ask_at = recheck_at;
    }

    fn state(&self, shape: &Shape) -> &State {
        self.states.get(shape).unwrap_or(&NOT_ASKED_FOR)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Monotonic {
        Monotonic(Duration::from_millis(ms))
    }

    fn shape(event_type: &str) -> Shape {
        Shape { event_type: event_type.to_owned(), schema_version: 1 }
    }

    fn answered(verdict: Verdict) -> Shapes {
        let mut shapes = Shapes::new(Duration::from_millis(1_000), Duration::from_millis(5_000));
        assert_eq!((shapes.standing(&shape("A"), at(0)), shapes.ask_at(&shape("A"))), (Standing::Unknown, Some(at(0))));
        shapes.asked(&shape("A"));
        assert_eq!(shapes.ask_at(&shape("A")), None);
        shapes.answered(&shape("A"), verdict, at(0));
        shapes
    }

    #[test]
    fn each_verdict_counts_for_its_time() {
        let refused = || Verdict::Refused("so".to_owned());
        // The verdict, then what stands at these moments.
        let table: [(Verdict, u64, Standing<'_>); 9] = [
            (Verdict::Clear, 0, Standing::Clear),
            (Verdict::Clear, 5_999, Standing::Clear),
            (Verdict::Clear, 6_000, Standing::Unknown),
            (refused(), 0, Standing::Refused("so")),
            (refused(), 999, Standing::Refused("so")),
            (refused(), 1_000, Standing::Unknown),
            (Verdict::Undecided, 0, Standing::Unknown),
            (Verdict::Undecided, 1_000, Standing::Unknown),
            (Verdict::Unreachable, 0, Standing::Unknown),
        ];
        for (verdict, ms, wanted) in table {
            let is_unreachable = verdict == Verdict::Unreachable;
            let shapes = answered(verdict.clone());
            assert_eq!(shapes.standing(&shape("A"), at(ms)), wanted, "{verdict:?} at {ms}");
            assert_eq!(shapes.ask_at(&shape("A")), Some(at(if is_unreachable { 0 } else { 1_000 })), "{verdict:?}");
        }
    }

    #[test]
    fn what_was_clear_stays_so_while_the_registry_is_silent_and_a_no_counts_at_once() {
        let mut shapes = answered(Verdict::Clear);
        shapes.asked(&shape("A"));
        shapes.answered(&shape("A"), Verdict::Unreachable, at(1_500));
        assert_eq!(shapes.standing(&shape("A"), at(5_999)), Standing::Clear);
        assert_eq!(shapes.standing(&shape("A"), at(6_000)), Standing::Unknown);
        shapes.answered(&shape("A"), Verdict::Refused("so".to_owned()), at(2_000));
        assert_eq!(shapes.standing(&shape("A"), at(2_000)), Standing::Refused("so"));
        shapes.answered(&shape("A"), Verdict::Undecided, at(2_100));
        assert_eq!(shapes.standing(&shape("A"), at(2_100)), Standing::Unknown);
    }

    #[test]
    fn questions_go_around() {
        let mut shapes = answered(Verdict::Unreachable);
        assert!(shapes.turn(&shape("B")) < shapes.turn(&shape("A")));
        shapes.asked(&shape("B"));
        assert!(shapes.turn(&shape("A")) < shapes.turn(&shape("B")));
    }
}
