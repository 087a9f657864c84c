//! Strings: lengths, patterns, and what only the validator knows.

use std::{collections::BTreeSet, rc::Rc};

use serde_json::Value;

use super::{Literal, Reason, Search, Solver};
use crate::{
    automaton::{self, Wanted},
    graph::{Assertion, Predicate},
};

/// Strings that are tried where only the validator can tell.
const TRIED_MAX: usize = 64;

/// One of each format, and some of none.
const SAMPLES: [&str; 24] = [
    "2026-01-31T12:00:00Z",
    "2026-01-31",
    "12:00:00Z",
    "someone@example.com",
    "example.com",
    "192.0.2.1",
    "2001:db8::1",
    "https://example.com/a",
    "/a/b",
    "a/b",
    "1/a",
    "/a{b}",
    "^a$",
    "(",
    "{}",
    "1",
    "YQ==",
    "e30=",
    "",
    "a",
    "not one",
    "\u{0}",
    "{",
    "%",
];

/// Demands on strings, sorted out.
#[derive(Default)]
struct Demanded {
    patterns: BTreeSet<(bool, Rc<str>)>,
    predicates: BTreeSet<(bool, Predicate)>,
    excluded: BTreeSet<String>,
    length_min: u64,
    length_max: Option<u64>,
}

impl Demanded {
    fn add(&mut self, sign: bool, assertion: &Assertion) {
        match assertion {
            Assertion::LengthMin(least) if sign => self.at_least(*least),
            Assertion::LengthMin(0) => self.never(),
            Assertion::LengthMin(least) => self.at_most(least - 1),
            Assertion::LengthMax(most) if sign => self.at_most(*most),
            Assertion::LengthMax(most) => self.at_least(most.saturating_add(1)),
            Assertion::Pattern(pattern) => {
                self.patterns.insert((sign, pattern.clone()));
            }
            Assertion::Predicate(predicate) => {
                self.predicates.insert((sign, predicate.clone()));
            }
            Assertion::Among { values, .. } if !sign => {
                self.excluded.extend(values.iter().filter_map(Value::as_str).map(str::to_owned));
            }
            _ => {}
        }
    }

    fn at_least(&mut self, least: u64) {
        self.length_min = self.length_min.max(least);
    }

    fn at_most(&mut self, most: u64) {
        self.length_max = Some(self.length_max.map_or(most, |known| known.min(most)));
    }

    fn never(&mut self) {
        self.at_least(1);
        self.at_most(0);
    }

    fn is_contradictory(&self) -> bool {
        let denies_itself = |sign: bool| !sign;
        self.length_max.is_some_and(|most| most < self.length_min)
            || self
                .patterns
                .iter()
                .any(|(sign, pattern)| self.patterns.contains(&(denies_itself(*sign), pattern.clone())))
            || self
                .predicates
                .iter()
                .any(|(sign, known)| self.predicates.contains(&(denies_itself(*sign), known.clone())))
    }
}

impl Solver {
    pub(super) fn settle_text(&mut self, demands: &[Literal]) -> Search {
        let mut demanded = Demanded::default();
        for demand in demands {
            match demand {
                Literal::Matches(sign, pattern) => {
                    demanded.patterns.insert((*sign, pattern.clone()));
                }
                Literal::NoneOf(texts) => demanded.excluded.extend(texts.iter().cloned()),
                _ => {
                    if let Some((sign, assertion)) = self.atom(demand) {
                        demanded.add(sign, &assertion);
                    }
                }
            }
        }
        if demanded.is_contradictory() {
            return Search::Empty;
        }
        if demanded.patterns.is_empty() && demanded.predicates.is_empty() {
            return of_any_form(&demanded);
        }
        self.of_form(demanded, demands)
    }

    fn of_form(&mut self, demanded: Demanded, demands: &[Literal]) -> Search {
        let mut wanted = Wanted {
            length_min: demanded.length_min,
            length_max: demanded.length_max,
            excluded: demanded.excluded,
            ..Wanted::default()
        };
        let mut hints = Vec::new();
        let mut obscure = demanded.predicates.first().map(|(_, predicate)| {
            Reason::Predicate(match predicate.keyword {
                "format" => format!("the format `{}`", predicate.text),
                _ => "the content's encoding or media type".to_owned(),
            })
        });
        for (sign, pattern) in &demanded.patterns {
            match (self.automata.of(pattern), sign) {
                (Some(automaton), true) => wanted.matching.push(automaton),
                (Some(automaton), false) => wanted.not_matching.push(automaton),
                (None, _) => {
                    hints.extend(letters_of(pattern));
                    obscure = Some(Reason::Pattern(pattern.to_string()));
                }
            }
        }
        wanted.matching.extend(self.automata.any_text());
        let count = if obscure.is_some() { TRIED_MAX } else { 1 };
        let found = automaton::search(&wanted, count);
        let is_proof = found.is_complete && found.texts.is_empty();
        let samples = obscure.iter().flat_map(|_| SAMPLES).map(str::to_owned).chain(hints);
        let candidates: Vec<Value> = found.texts.into_iter().chain(samples).map(Value::String).collect();
        match self.first_fitting(&candidates, demands) {
            Search::Found(value) => Search::Found(value),
            _ if is_proof => Search::Empty,
            _ => Search::Unknown(obscure.unwrap_or(Reason::Effort)),
        }
    }
}

/// The runs of letters and digits in a pattern: what it asks for, or warns of, is often written in it.
fn letters_of(pattern: &str) -> impl Iterator<Item = String> {
    let runs = pattern.split(|character: char| !character.is_alphanumeric());
    runs.filter(|run| !run.is_empty()).map(str::to_owned).take(TRIED_MAX)
}

/// Any string of a fitting length will do, as long as it is not excluded.
fn of_any_form(demanded: &Demanded) -> Search {
    const READABLE: [char; 4] = ['a', 'b', 'c', 'd'];
    let longest = demanded.length_max.unwrap_or(u64::MAX).min(demanded.length_min.saturating_add(12));
    for length in demanded.length_min..=longest {
        let Ok(length) = usize::try_from(length) else { break };
        if length > LENGTH_SHOWN_MAX {
            return Search::Unknown(Reason::Effort);
        }
        if length == 0 {
            if !demanded.excluded.contains("") {
                return Search::Found(Value::String(String::new()));
            }
            continue;
        }
        let rest = "a".repeat(length - 1);
        let letters = READABLE.into_iter().chain('\u{4e00}'..='\u{9fff}');
        let fresh = letters.map(|letter| format!("{letter}{rest}")).find(|text| !demanded.excluded.contains(text));
        if let Some(text) = fresh {
            return Search::Found(Value::String(text));
        }
        return Search::Unknown(Reason::Effort);
    }
    Search::Empty
}

/// Longer strings are not written down.
const LENGTH_SHOWN_MAX: usize = 200_000;
