//! May a schema follow its previous versions?

use std::borrow::Borrow;

use serde_json::{Value, json};

use crate::{
    changes::{self, Change, Comparison},
    closing,
    finding::{Counterexample, Finding, Report, Side, Source, Verdict},
    graph::{Graph, NodeId},
    mend,
    options::{ContentModel, Direction, Mode, Options},
    schema::Schema,
    search::{Goal, Search, Solver},
};

/// Compares `new` with `previous`, the oldest first, in the mode of `options`.
///
/// The first version of a schema is compatible with nothing before it, in every mode.
pub fn judge<S: Borrow<Schema>>(new: &Schema, previous: &[S], options: &Options) -> Report {
    let newest = previous.len().saturating_sub(1);
    let compared =
        previous.iter().map(Borrow::borrow).zip(1..).skip(if options.mode.is_transitive() { 0 } else { newest });
    let mut findings = Vec::new();
    match options.mode {
        Mode::None => {}
        Mode::Disabled => findings.extend((!previous.is_empty()).then(|| closed_for_good(previous.len()))),
        _ => {
            for (old, against) in compared {
                findings.extend(Pairing::new(old, new, against, options).findings());
            }
        }
    }
    Report::of(options.mode, findings)
}

fn closed_for_good(against: usize) -> Finding {
    Finding {
        source: Source::Mode,
        rule: "mode-disabled".to_owned(),
        verdict: Verdict::Incompatible,
        pointer: String::new(),
        direction: None,
        against,
        old: None,
        new: None,
        counterexample: None,
        note: Some("no document is at fault: the mode admits no version after the first".to_owned()),
        mend: "set another compatibility mode, or register a schema of another name".to_owned(),
    }
}

/// An old and a new schema, and all that is asked about the two.
struct Pairing<'s> {
    old: &'s Schema,
    new: &'s Schema,
    against: usize,
    options: &'s Options,
    comparison: Comparison,
    solver: Solver,
    old_node: NodeId,
    new_node: NodeId,
    /// What is written under the old schema, as the content model has it.
    old_written: NodeId,
    new_written: NodeId,
}

/// What became of the search for a document that one schema accepts and another refuses.
enum Sought {
    Nothing,
    Document(Value),
    Unsettled(String),
}

impl<'s> Pairing<'s> {
    fn new(old: &'s Schema, new: &'s Schema, against: usize, options: &'s Options) -> Pairing<'s> {
        let mut graph = Graph::default();
        // A usable schema was read before; should it not be readable here, it admits nothing that could be relied on.
        let mut add = |schema: &Schema| graph.add(schema.document()).unwrap_or_else(|_| graph.anything());
        let (old_node, new_node) = (add(old), add(new));
        let (mut old_written, mut new_written) = (old_node, new_node);
        if options.content_model == ContentModel::Lenient {
            old_written = closing::closed(&mut graph, old_node);
            new_written = closing::closed(&mut graph, new_node);
        }
        let comparison = changes::compare(old.document(), new.document());
        let solver = Solver::new(graph);
        Pairing { old, new, against, options, comparison, solver, old_node, new_node, old_written, new_written }
    }

    fn findings(mut self) -> Vec<Finding> {
        let mut findings = Vec::new();
        for direction in self.options.mode.directions() {
            findings.extend(self.in_direction(*direction));
        }
        if self.options.house_rule {
            findings.extend(self.by_house_rule());
        }
        findings
    }

    /// The schema that documents are written under, and the one that reads them.
    fn sides(&self, direction: Direction) -> (Side, NodeId, NodeId) {
        match direction {
            Direction::Backward => (Side::Old, self.old_written, self.new_node),
            Direction::Forward => (Side::New, self.new_written, self.old_node),
        }
    }

    /// Seeks a document that is written and cannot be read; with `part` only one that this node refuses too.
    fn seek(&mut self, direction: Direction, part: Option<NodeId>) -> Sought {
        let (writer, written, read) = self.sides(direction);
        let goal: Goal = [(true, written), (false, read)].into_iter().chain(part.map(|node| (false, node))).collect();
        match self.solver.seek(goal, self.options.effort) {
            Search::Empty => Sought::Nothing,
            Search::Unknown(reason) => Sought::Unsettled(reason.to_string()),
            Search::Found(document) if self.is_verified(writer, &document) => Sought::Document(document),
            Search::Found(document) => {
                Sought::Unsettled(format!("the search and the validator do not agree about the document {document}"))
            }
        }
    }

    /// Both schemas are asked, with the validator that the system uses.
    fn is_verified(&self, writer: Side, document: &Value) -> bool {
        let (old, new) = (self.old.accepts(document), self.new.accepts(document));
        match writer {
            Side::Old => old && !new,
            Side::New => new && !old,
        }
    }

    fn in_direction(&mut self, direction: Direction) -> Vec<Finding> {
        let whole = self.seek(direction, None);
        if matches!(whole, Sought::Nothing) {
            return Vec::new();
        }
        let mut findings = Vec::new();
        let mut unsettled = Vec::new();
        for change in self.comparison.changes.clone() {
            match self.because_of(&change, direction) {
                Sought::Nothing => {}
                Sought::Document(document) => findings.push(self.broken(&change, direction, document)),
                Sought::Unsettled(reason) => unsettled.push(self.undecided(&change.pointer, direction, reason)),
            }
        }
        match whole {
            Sought::Document(document) if findings.is_empty() => {
                findings.push(self.broken_together(direction, document));
            }
            Sought::Unsettled(reason) if findings.is_empty() => {
                if unsettled.is_empty() {
                    unsettled.push(self.undecided("", direction, reason));
                }
                findings.extend(unsettled);
            }
            _ => {}
        }
        findings
    }

    /// Seeks a document that is written, cannot be read, and could not be read for this change alone.
    fn because_of(&mut self, change: &Change, direction: Direction) -> Sought {
        let (old, new) = (self.old.document(), self.new.document());
        let hybrid = match direction {
            Direction::Backward => change.applied_to(old, new),
            Direction::Forward => change.reverted_in(old, new),
        };
        let node = hybrid.and_then(|hybrid| self.solver.graph.add(&hybrid).ok());
        match node {
            Some(node) => self.seek(direction, Some(node)),
            // The change cannot stand alone; it is judged with the others.
            None => Sought::Nothing,
        }
    }

    fn finding(&self, rule: &str, pointer: &str, direction: Option<Direction>) -> Finding {
        Finding {
            source: Source::Mode,
            rule: rule.to_owned(),
            verdict: Verdict::Incompatible,
            pointer: pointer.to_owned(),
            direction,
            against: self.against,
            old: None,
            new: None,
            counterexample: None,
            note: None,
            mend: String::new(),
        }
    }

    fn broken(&self, change: &Change, direction: Direction, document: Value) -> Finding {
        Finding {
            old: change.old.clone(),
            new: change.new.clone(),
            counterexample: Some(Counterexample { document, accepted_by: self.sides(direction).0 }),
            mend: mend::for_change(&change.rule, direction),
            ..self.finding(&change.rule, &change.pointer, Some(direction))
        }
    }

    fn broken_together(&self, direction: Direction, document: Value) -> Finding {
        Finding {
            counterexample: Some(Counterexample { document, accepted_by: self.sides(direction).0 }),
            note: Some("no single change does it: several together do".to_owned()),
            mend: mend::for_change("", direction),
            ..self.finding("documents-no-longer-accepted", "", Some(direction))
        }
    }

    fn undecided(&self, pointer: &str, direction: Direction, reason: String) -> Finding {
        Finding {
            verdict: Verdict::Undecided,
            note: Some(format!("no counterexample was found, and none was ruled out: {reason}")),
            mend: mend::UNDECIDED.to_owned(),
            ..self.finding("undecided", pointer, Some(direction))
        }
    }

    fn by_house_rule(&mut self) -> Vec<Finding> {
        let mut findings = Vec::new();
        for change in self.comparison.changes.clone() {
            let rule = match change.rule.as_str() {
                "property-removed" => "house-removed-field",
                "required-added" => "house-new-required-field",
                _ => continue,
            };
            findings.push(self.by_rule(rule, &change));
        }
        for place in self.comparison.counterparts.clone() {
            if let Some((old, new)) = self.changed_type(&place) {
                let (from, to) = (self.old.document(), self.new.document());
                let change = Change::whole(from, to, &place, "house-changed-type");
                let finding = self.by_rule("house-changed-type", &change);
                findings.push(Finding { old: Some(json!(old)), new: Some(json!(new)), ..finding });
            }
        }
        findings
    }

    /// The kinds of values on either side, where they differ.
    fn changed_type(&mut self, place: &changes::Counterparts) -> Option<(Vec<&'static str>, Vec<&'static str>)> {
        let mut kinds = |document: &Value, pointer: &str| {
            let node = self.solver.graph.add_part(document, pointer).ok()?;
            Some(self.solver.kinds_of(node, self.options.effort))
        };
        let (old, new) = (kinds(self.old.document(), &place.old)?, kinds(self.new.document(), &place.new)?);
        (old != new).then(|| (old.names(), new.names()))
    }

    fn by_rule(&mut self, rule: &str, change: &Change) -> Finding {
        let example = [Direction::Backward, Direction::Forward].into_iter().find_map(|direction| {
            match self.because_of(change, direction) {
                Sought::Document(document) => Some(Counterexample { document, accepted_by: self.sides(direction).0 }),
                Sought::Nothing | Sought::Unsettled(_) => None,
            }
        });
        let note = example.is_none().then(|| {
            "no document was found that one schema accepts and the other refuses for this alone; the rule holds all the \
             same, since readers lose what they rely on"
                .to_owned()
        });
        Finding {
            source: Source::HouseRule,
            old: change.old.clone(),
            new: change.new.clone(),
            counterexample: example,
            note,
            mend: mend::for_house_rule(rule),
            ..self.finding(rule, &change.pointer, None)
        }
    }
}

/// Whether every document of one schema is a document of the other.
#[derive(Clone, Debug, PartialEq)]
pub enum Subsumption {
    Holds,
    /// A document that the first accepts and the second refuses, both asked.
    Fails(Value),
    Undecided(String),
}

/// Is every document that `narrow` accepts also accepted by `wide`? At most `effort` cases are looked at.
pub fn subsumed(narrow: &Schema, wide: &Schema, effort: u64) -> Subsumption {
    let options = Options { effort, ..Options::new(Mode::Backward) };
    let mut pairing = Pairing::new(narrow, wide, 1, &options);
    match pairing.seek(Direction::Backward, None) {
        Sought::Nothing => Subsumption::Holds,
        Sought::Document(document) => Subsumption::Fails(document),
        Sought::Unsettled(reason) => Subsumption::Undecided(reason),
    }
}
