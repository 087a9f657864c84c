//! Patterns as automata over bytes, and the search for a string that some patterns match and others do not.

use std::{
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
};

use regex_automata::{
    Anchored, MatchKind,
    dfa::{Automaton as _, StartKind, dense},
    nfa::thompson,
    util::{primitives::StateID, start, syntax},
};

type Dfa = dense::DFA<Vec<u32>>;

/// Larger automata are not built: their pattern is then compared by its text alone.
const AUTOMATON_BYTES_MAX: usize = 1 << 20;

/// States of the product of all automata that one search may visit.
const STATES_MAX: usize = 30_000;

/// Automata by their pattern; none for a pattern that is not regular, or too large.
#[derive(Default)]
pub struct Automata {
    built: BTreeMap<Rc<str>, Option<Rc<Dfa>>>,
    any_text: Option<Rc<Dfa>>,
}

/// What a string must be.
#[derive(Default)]
pub struct Wanted {
    pub matching: Vec<Rc<Dfa>>,
    pub not_matching: Vec<Rc<Dfa>>,
    pub length_min: u64,
    pub length_max: Option<u64>,
    pub excluded: BTreeSet<String>,
}

/// Strings found, the shortest first, and whether the search saw everything there is.
pub struct Found {
    pub texts: Vec<String>,
    pub is_complete: bool,
}

impl Automata {
    pub fn of(&mut self, pattern: &Rc<str>) -> Option<Rc<Dfa>> {
        if let Some(known) = self.built.get(pattern) {
            return known.clone();
        }
        let built = jsonschema_regex::to_rust_regex(pattern).ok().and_then(|translated| build(&translated));
        self.built.insert(pattern.clone(), built.clone());
        built
    }

    /// Passes every string. In a product it keeps what is no UTF-8 out.
    pub fn any_text(&mut self) -> Option<Rc<Dfa>> {
        if self.any_text.is_none() {
            self.any_text = build("");
        }
        self.any_text.clone()
    }
}

/// The automaton of all strings in which the pattern is found somewhere.
fn build(pattern: &str) -> Option<Rc<Dfa>> {
    let whole = format!(r"\A(?s:.)*(?:{pattern})(?s:.)*\z");
    let config = dense::Config::new()
        .match_kind(MatchKind::All)
        .start_kind(StartKind::Anchored)
        .dfa_size_limit(Some(AUTOMATON_BYTES_MAX))
        .determinize_size_limit(Some(4 * AUTOMATON_BYTES_MAX));
    let built = dense::Builder::new()
        .configure(config)
        .thompson(thompson::Config::new().nfa_size_limit(Some(AUTOMATON_BYTES_MAX)))
        .syntax(syntax::Config::new())
        .build(&whole);
    // A pattern with unbalanced brackets could close the group early; alone it must be a pattern too.
    let is_whole = regex_syntax::Parser::new().parse(pattern).is_ok();
    built.ok().filter(|_| is_whole).map(Rc::new)
}

fn begin(automaton: &Dfa) -> Option<StateID> {
    automaton.start_state(&start::Config::new().anchored(Anchored::Yes)).ok()
}

fn accepts_here(automaton: &Dfa, state: StateID) -> bool {
    automaton.is_match_state(automaton.next_eoi_state(state))
}

pub fn is_match(automaton: &Dfa, text: &str) -> bool {
    let Some(state) = begin(automaton) else { return false };
    let end = text.bytes().fold(state, |state, byte| automaton.next_state(state, byte));
    accepts_here(automaton, end)
}

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct State {
    matching: Vec<StateID>,
    not_matching: Vec<StateID>,
    length: u64,
    /// What was read so far, while it is the beginning of an excluded string.
    excluded_prefix: Option<Vec<u8>>,
}

/// Up to `count` strings of the wanted kind, each by another way through the automata.
pub fn search(wanted: &Wanted, count: usize) -> Found {
    let mut found = Found { texts: Vec::new(), is_complete: true };
    let Some(first) = first_state(wanted) else {
        found.is_complete = false;
        return found;
    };
    let alphabet = alphabet(wanted);
    let mut seen = BTreeSet::from([first.clone()]);
    let mut visited: Vec<(State, usize, u8)> = vec![(first, 0, 0)];
    let mut next = 0;
    while let Some((state, ..)) = visited.get(next) {
        let state = state.clone();
        if is_accepted(wanted, &state) {
            found.texts.extend(text_of(&visited, next));
            if found.texts.len() >= count {
                found.is_complete = false;
                return found;
            }
        }
        for byte in &alphabet {
            let Some(after) = step(wanted, &state, *byte) else { continue };
            if seen.insert(after.clone()) {
                visited.push((after, next, *byte));
            }
        }
        if visited.len() > STATES_MAX {
            found.is_complete = false;
            return found;
        }
        next += 1;
    }
    found
}

fn first_state(wanted: &Wanted) -> Option<State> {
    Some(State {
        matching: wanted.matching.iter().map(|automaton| begin(automaton)).collect::<Option<_>>()?,
        not_matching: wanted.not_matching.iter().map(|automaton| begin(automaton)).collect::<Option<_>>()?,
        length: 0,
        excluded_prefix: (!wanted.excluded.is_empty()).then(Vec::new),
    })
}

fn step(wanted: &Wanted, state: &State, byte: u8) -> Option<State> {
    let advance = |automata: &[Rc<Dfa>], states: &[StateID]| -> Vec<StateID> {
        automata.iter().zip(states).map(|(automaton, state)| automaton.next_state(*state, byte)).collect()
    };
    let matching = advance(&wanted.matching, &state.matching);
    if wanted.matching.iter().zip(&matching).any(|(automaton, state)| automaton.is_dead_state(*state)) {
        return None;
    }
    let begins_character = byte & 0xc0 != 0x80;
    let mut length = state.length + u64::from(begins_character);
    match wanted.length_max {
        Some(most) if length > most => return None,
        // Without an upper bound, all lengths from the lower bound on are alike.
        None => length = length.min(wanted.length_min),
        Some(_) => {}
    }
    let excluded_prefix = state.excluded_prefix.as_ref().and_then(|prefix| {
        let longer: Vec<u8> = prefix.iter().copied().chain([byte]).collect();
        wanted.excluded.iter().any(|text| text.as_bytes().starts_with(&longer)).then_some(longer)
    });
    let not_matching = advance(&wanted.not_matching, &state.not_matching);
    Some(State { matching, not_matching, length, excluded_prefix })
}

fn is_accepted(wanted: &Wanted, state: &State) -> bool {
    let accepted = |automata: &[Rc<Dfa>], states: &[StateID]| -> Vec<bool> {
        automata.iter().zip(states).map(|(automaton, state)| accepts_here(automaton, *state)).collect()
    };
    let is_excluded = state
        .excluded_prefix
        .as_ref()
        .is_some_and(|prefix| wanted.excluded.iter().any(|text| text.as_bytes() == prefix.as_slice()));
    state.length >= wanted.length_min
        && !is_excluded
        && accepted(&wanted.matching, &state.matching).into_iter().all(|holds| holds)
        && !accepted(&wanted.not_matching, &state.not_matching).into_iter().any(|holds| holds)
}

fn text_of(visited: &[(State, usize, u8)], last: usize) -> Option<String> {
    let mut bytes = Vec::new();
    let mut at = last;
    while at != 0 {
        let (_, before, byte) = visited.get(at)?;
        bytes.push(*byte);
        at = *before;
    }
    bytes.reverse();
    String::from_utf8(bytes).ok()
}

/// One byte for each group of bytes that all automata treat alike, the most readable ones first.
fn alphabet(wanted: &Wanted) -> Vec<u8> {
    let mut bytes: Vec<u8> = (0..=u8::MAX).collect();
    bytes.sort_by_key(|byte| match byte {
        b'a'..=b'z' => 0,
        b'A'..=b'Z' => 1,
        b'0'..=b'9' => 2,
        b'-' | b'_' | b'.' => 3,
        b' '..=b'~' => 4,
        0x80..=u8::MAX => 5,
        _ => 6,
    });
    let named: BTreeSet<u8> = wanted.excluded.iter().flat_map(|text| text.bytes()).collect();
    let mut groups = BTreeSet::new();
    bytes.retain(|byte| {
        let automata = wanted.matching.iter().chain(&wanted.not_matching);
        let classes: Vec<u8> = automata.map(|automaton| automaton.byte_classes().get(*byte)).collect();
        let continues_character = byte & 0xc0 == 0x80;
        groups.insert((classes, continues_character, named.contains(byte).then_some(*byte)))
    });
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(matching: &[&str], not_matching: &[&str], length_min: u64, length_max: Option<u64>) -> Found {
        let mut automata = Automata::default();
        let mut all = |patterns: &[&str]| -> Vec<Rc<Dfa>> {
            patterns.iter().map(|pattern| automata.of(&Rc::from(*pattern)).unwrap()).collect()
        };
        let (mut matching, not_matching) = (all(matching), all(not_matching));
        matching.extend(automata.any_text());
        search(&Wanted { matching, not_matching, length_min, length_max, excluded: BTreeSet::new() }, 1)
    }

    #[test]
    fn strings_are_found_or_shown_not_to_be() {
        type Case<'a> = (&'a [&'a str], &'a [&'a str], u64, Option<u64>, Option<&'a str>);
        let table: [Case<'_>; 12] = [
            (&["^a+$"], &[], 3, None, Some("aaa")),
            (&["^a+$"], &["^a{2,}$"], 0, None, Some("a")),
            (&["^a+$"], &["^[ab]*$"], 0, None, None),
            (&["^[A-Z]{3}$"], &["^[A-Z]{2,4}$"], 0, None, None),
            (&["^[A-Z]{2,4}$"], &["^[A-Z]{3}$"], 3, None, Some("AAAA")),
            (&["b"], &[], 0, Some(1), Some("b")),
            (&["bb"], &[], 0, Some(1), None),
            (&["^é"], &[], 0, Some(1), Some("é")),
            (&[r"^\d+$"], &["^[0-9]+$"], 0, None, None),
            (&[], &["^.*$"], 0, None, Some("\n")),
            (&[r"^\w$"], &["^[A-Za-z0-9_]$"], 0, None, None),
            (&["a", "b"], &["ab"], 0, Some(2), Some("ba")),
        ];
        for (matching, not_matching, least, most, expected) in table {
            let found = find(matching, not_matching, least, most);
            assert_eq!(found.texts.first().map(String::as_str), expected, "{matching:?} not {not_matching:?}");
            assert!(expected.is_some() || found.is_complete, "{matching:?} not {not_matching:?}");
        }
    }

    #[test]
    fn look_around_has_no_automaton() {
        let mut automata = Automata::default();
        for pattern in ["^(?=a)", r"(a)\1", "a)(b"] {
            assert!(automata.of(&Rc::from(pattern)).is_none(), "{pattern}");
        }
    }
}
