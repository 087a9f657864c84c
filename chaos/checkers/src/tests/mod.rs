//! Every checker on a history that holds, and on minimal histories that break it.
#![forbid(unsafe_code)]

mod aggregates;
mod broken_bus;
mod broken_observation;
mod broken_trace;
mod broken_truth;
mod bus_scene;
mod format;
mod goals;
mod scene;

use crate::{CheckInput, Finding, Needs, Violation, all};
use scene::Scene;

/// A change of a sound run.
type Change = fn(&mut Scene);

/// One way to break a sound run: the checker that must notice, what it must say, and the change.
struct Breakage {
    checker: &'static str,
    says: &'static str,
    change: Change,
}

fn breakage(checker: &'static str, says: &'static str, change: Change) -> Breakage {
    Breakage { checker, says, change }
}

fn assert_each_is_noticed(breakages: &[Breakage]) {
    for Breakage { checker, says, change } in breakages {
        let mut scene = Scene::sound();
        change(&mut scene);
        let violations = violations(&scene.input, checker);
        let is_said = violations.iter().any(|violation| violation.what.contains(says));
        assert!(is_said, "{checker} should say `{says}`, but found {violations:#?}");
        assert!(violations.iter().all(|violation| violation.checker == *checker), "{violations:#?}");
    }
}

fn finding(input: &CheckInput, checker: &str) -> Finding {
    let checker = all().into_iter().find(|known| known.name() == checker).expect("a known checker");
    checker.check(input)
}

fn violations(input: &CheckInput, checker: &str) -> Vec<Violation> {
    match finding(input, checker) {
        Finding::Broken { violations } => violations,
        Finding::Held { .. } | Finding::Undecided { .. } => Vec::new(),
    }
}

#[test]
fn a_sound_run_holds_and_no_check_of_it_is_vacuous() {
    let scene = Scene::sound();
    for checker in all() {
        match checker.check(&scene.input) {
            Finding::Held { examined } => assert!(examined > 0, "{} looked at nothing", checker.name()),
            other => panic!("{}: {other:#?}", checker.name()),
        }
    }
}

#[test]
fn an_empty_run_holds_vacuously_and_says_so() {
    for checker in all() {
        let expected = Finding::Held { examined: 0 };
        assert_eq!(checker.check(&CheckInput::default()), expected, "{}", checker.name());
    }
}

#[test]
fn checkers_of_live_runs_find_the_same_without_the_ground_truth() {
    let scene = Scene::sound();
    let live = CheckInput { truth: crate::GroundTruth::default(), ..scene.input.clone() };
    let observers: Vec<_> = all().into_iter().filter(|checker| checker.needs() == Needs::ObservationOnly).collect();
    assert!(observers.len() >= 4);
    for checker in observers {
        assert_eq!(checker.check(&live), checker.check(&scene.input), "{}", checker.name());
    }
}

#[test]
fn names_are_unique_and_each_property_is_told() {
    let checkers = all();
    for (position, checker) in checkers.iter().enumerate() {
        assert!(checkers[..position].iter().all(|other| other.name() != checker.name()), "{}", checker.name());
        assert!(checker.describe().len() > 20, "{}", checker.name());
    }
}

#[test]
fn every_checker_is_broken_by_some_case() {
    let tables = [
        broken_bus::breakages(),
        broken_observation::breakages(),
        broken_trace::breakages(),
        broken_truth::breakages(),
    ];
    for checker in all() {
        let is_broken = tables.iter().flatten().any(|case| case.checker == checker.name());
        assert!(is_broken, "no case breaks {}", checker.name());
    }
}
