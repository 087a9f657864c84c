//! `schema check`: the repository's own event schemas.

use std::{collections::BTreeMap, path::Path};

use nexus_commands::{CompatibilityMode, SchemaCheckOptions, exit};
use nexus_domain::Event;
use nexus_governance_compatibility::{Finding, Options, Schema, Verdict, judge};
use serde::Serialize;
use serde_json::json;

use crate::{
    accepted::{self, AcceptedBreak},
    error::ToolError,
    options,
    repository::{self, Released, Versions},
};

/// Something that must not be.
#[derive(Debug, PartialEq, Serialize)]
struct Problem {
    event_type: String,
    version: Option<u32>,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    finding: Option<Finding>,
}

/// A break that is listed, and whose counterexample the upcaster raises.
#[derive(Debug, PartialEq, Serialize)]
struct Bridged {
    event_type: String,
    version: u32,
    against: usize,
    rule: String,
    reason: String,
}

#[derive(Debug, Default, Serialize)]
struct Outcome {
    problems: Vec<Problem>,
    bridged: Vec<Bridged>,
}

impl Outcome {
    fn problem(
        &mut self,
        event_type: &str,
        version: Option<u32>,
        message: impl Into<String>,
        finding: Option<Finding>,
    ) {
        self.problems.push(Problem { event_type: event_type.to_owned(), version, message: message.into(), finding });
    }
}

pub fn run(arguments: &SchemaCheckOptions, root: &Path) -> Result<u8, ToolError> {
    let current = repository::current(root)?;
    let released = repository::released(root)?;
    let breaks = accepted::read(root)?;
    let options = options(arguments.mode, arguments.lenient);
    let mut outcome = Outcome::default();
    check_catalogue(&current, &mut outcome);
    check_released(&current, &released, &mut outcome);
    check_versions(&current, &breaks, &options, &mut outcome);
    let schemas = current.values().map(BTreeMap::len).sum::<usize>();
    match arguments.json {
        true => print_json(&outcome, &options, &released, schemas),
        false => print_text(&outcome, &options, &released, &current, schemas),
    }
    Ok(if outcome.problems.is_empty() { exit::HELD } else { exit::BROKE })
}

/// Every event type has schemas, versions have no gap, and each declares its draft and its name.
fn check_catalogue(current: &Versions, outcome: &mut Outcome) {
    for event_type in Event::TYPES.iter().filter(|event_type| !current.contains_key(**event_type)) {
        outcome.problem(event_type, None, "the domain writes this event type, and it has no schema", None);
    }
    for (event_type, versions) in current {
        if !Event::TYPES.contains(&event_type.as_str()) {
            outcome.problem(event_type, None, "the domain knows no such event type", None);
        }
        for (version, expected) in versions.keys().zip(1..) {
            if *version != expected {
                outcome.problem(event_type, Some(*version), format!("version {expected} is missing before it"), None);
            }
        }
        for (version, schema) in versions {
            let document = schema.document();
            if document.get("$schema").is_none() {
                let message = "declare `\"$schema\": \"http://json-schema.org/draft-07/schema#\"`";
                outcome.problem(event_type, Some(*version), message, None);
            }
            let identifier = format!("urn:nexus:schema:{event_type}:v{version}");
            if document.get("$id").and_then(serde_json::Value::as_str) != Some(identifier.as_str()) {
                outcome.problem(event_type, Some(*version), format!("its `$id` must be `{identifier}`"), None);
            }
        }
    }
}

/// A released version stays, and accepts what it accepted: only its words may change.
fn check_released(current: &Versions, released: &Released, outcome: &mut Outcome) {
    for (event_type, newest) in &released.listed {
        let copies = released.schemas.get(event_type);
        for version in 1..=*newest {
            let copy = copies.and_then(|versions| versions.get(&version));
            let today = current.get(event_type).and_then(|versions| versions.get(&version));
            match (copy, today) {
                (None, _) => outcome.problem(
                    event_type,
                    Some(version),
                    "the release's manifest names it, and there is no copy of it: copy it as the README there says",
                    None,
                ),
                (_, None) => {
                    outcome.problem(event_type, Some(version), "it was released, and is gone: restore it", None)
                }
                (Some(copy), Some(today)) => check_unchanged(event_type, version, copy, today, outcome),
            }
        }
        let unlisted = copies.into_iter().flatten().map(|(version, _)| *version).find(|version| version > newest);
        if let Some(version) = unlisted {
            outcome.problem(
                event_type,
                Some(version),
                "it lies with the release, whose manifest does not name it",
                None,
            );
        }
    }
    for event_type in released.schemas.keys().filter(|event_type| !released.listed.contains_key(*event_type)) {
        outcome.problem(event_type, None, "it lies with the release, whose manifest does not name it", None);
    }
}

fn check_unchanged(event_type: &str, version: u32, copy: &Schema, today: &Schema, outcome: &mut Outcome) {
    if copy.document() == today.document() {
        return;
    }
    let both_ways = options(CompatibilityMode::Full, false);
    for finding in judge(today, std::slice::from_ref(copy), &both_ways).findings {
        let message = "it was released and means something else now: take the change back, or make it a new version";
        outcome.problem(event_type, Some(version), message, Some(finding));
    }
}

/// Each version may follow those before it.
fn check_versions(current: &Versions, breaks: &[AcceptedBreak], options: &Options, outcome: &mut Outcome) {
    let mut used = vec![false; breaks.len()];
    for (event_type, versions) in current {
        let mut previous: Vec<&Schema> = Vec::new();
        for (version, schema) in versions {
            for finding in judge(schema, &previous, options).findings {
                let known = breaks.iter().position(|known| known.covers(event_type, *version, &finding));
                match known.and_then(|index| Some((index, breaks.get(index)?))) {
                    None => {
                        let message = format!("it may not follow version {} ({})", finding.against, options.mode);
                        outcome.problem(event_type, Some(*version), message, Some(finding));
                    }
                    Some((index, known)) => {
                        used[index] = true;
                        check_bridge(event_type, *version, known, finding, current, outcome);
                    }
                }
            }
            previous.push(schema);
        }
    }
    for (known, _) in breaks.iter().zip(&used).filter(|(_, used)| !**used) {
        let message = format!("the accepted break with version {} is none: remove it from the list", known.against);
        outcome.problem(&known.event_type, Some(known.version), message, None);
    }
}

fn check_bridge(
    event_type: &str,
    version: u32,
    known: &AcceptedBreak,
    finding: Finding,
    current: &Versions,
    outcome: &mut Outcome,
) {
    match accepted::bridged(event_type, &finding, current) {
        Ok(()) => outcome.bridged.push(Bridged {
            event_type: event_type.to_owned(),
            version,
            against: finding.against,
            rule: finding.rule,
            reason: known.reason.clone(),
        }),
        Err(reason) => {
            let message = format!("the break is listed as bridged by an upcaster, but {reason}");
            outcome.problem(event_type, Some(version), message, Some(finding));
        }
    }
}

fn print_json(outcome: &Outcome, options: &Options, released: &Released, schemas: usize) {
    let undecided = outcome
        .problems
        .iter()
        .filter(|problem| problem.finding.as_ref().is_some_and(|finding| finding.verdict == Verdict::Undecided));
    let object = json!({
        "held": outcome.problems.is_empty(),
        "mode": options.mode,
        "release": released.release,
        "schemas": schemas,
        "undecided": undecided.count(),
        "problems": outcome.problems,
        "bridged": outcome.bridged,
    });
    anstream::println!("{object}");
}

fn print_text(outcome: &Outcome, options: &Options, released: &Released, current: &Versions, schemas: usize) {
    for problem in &outcome.problems {
        let version = problem.version.map_or_else(String::new, |version| format!(" version {version}"));
        anstream::println!("{}{version}: {}", problem.event_type, problem.message);
        if let Some(finding) = &problem.finding {
            anstream::println!("  {}", finding.to_string().replace('\n', "\n  "));
        }
        anstream::println!();
    }
    for bridged in &outcome.bridged {
        anstream::println!(
            "{} version {}: {} against version {}, bridged by an upcaster: {}",
            bridged.event_type,
            bridged.version,
            bridged.rule,
            bridged.against,
            bridged.reason
        );
    }
    let what = match outcome.problems.len() {
        0 => "held".to_owned(),
        1 => "1 problem".to_owned(),
        count => format!("{count} problems"),
    };
    anstream::println!(
        "{what}: {schemas} schemas of {} event types, {}, against release {}",
        current.len(),
        options.mode,
        released.release
    );
}
