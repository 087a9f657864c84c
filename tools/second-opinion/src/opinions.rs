//! Both verdicts on a question, and what each side's validator says of the documents that the other shows.

use std::{
    num::NonZeroUsize,
    panic::{AssertUnwindSafe, catch_unwind},
};

use json_schema_fuzz::{GenerationConfig, ValueGenerator};

use jsoncompat::{
    AnalysisOptions, CompatibilityResult, Role, SchemaDocument, SchemaOptions, analyze_compat_with_options,
};
use nexus_governance_compatibility::{Mode, Options, Schema, Subsumption, judge, subsumed};
use rand::{SeedableRng, rngs::StdRng};
use serde_json::Value;

use crate::{draft, questions::Question};

/// Documents that jsoncompat draws from the written schema to refute a verdict of ours.
const DRAWN_MAX: usize = 16;

/// How deep they nest.
const DRAWN_DEPTH_MAX: u8 = 6;

/// What became of a question.
pub struct Opinions {
    pub ours: &'static str,
    /// As ours, or why it was refused.
    pub theirs: String,
    /// Accepted where it is written, refused where it is read, by the system's validator.
    pub our_document: Option<Value>,
    /// Whether jsoncompat's validator says the same of our document.
    pub is_ours_confirmed: bool,
    pub their_document: Option<Value>,
    /// Whether no document at all can be written: shown by search.
    pub is_nothing_written: bool,
    /// A document that refutes our "compatible". There must be none.
    pub refutation: Option<Value>,
}

impl Opinions {
    pub fn differ(&self) -> bool {
        self.ours != self.theirs
    }
}

/// Both sides' schemas of a question.
pub struct Sides {
    written: Schema,
    read: Schema,
    theirs: Result<(SchemaDocument, SchemaDocument), String>,
}

impl Sides {
    /// # Errors
    /// A schema is not usable draft-07.
    pub fn of(question: &Question) -> Result<Sides, String> {
        let usable =
            |document: &Value| Schema::new(document.clone()).map_err(|error| format!("{}: {error}", question.name));
        let theirs = their_schema(question.written()).and_then(|written| Ok((written, their_schema(question.read())?)));
        Ok(Sides { written: usable(question.written())?, read: usable(question.read())?, theirs })
    }

    /// Whether the system's validator accepts this document where it is written, and refuses it where it is read.
    fn refute(&self, document: &Value) -> bool {
        self.written.accepts(document) && !self.read.accepts(document)
    }

    fn write_nothing(&self) -> Result<bool, String> {
        let nothing = Schema::new(Value::Bool(false)).map_err(|error| error.to_string())?;
        Ok(subsumed(&self.written, &nothing, Options::new(Mode::Backward).effort) == Subsumption::Holds)
    }

    fn refute_for_them(&self, document: &Value) -> bool {
        let Ok((written, read)) = &self.theirs else { return false };
        written.is_valid(document).unwrap_or(false) && !read.is_valid(document).unwrap_or(true)
    }
}

fn their_schema(schema: &Value) -> Result<SchemaDocument, String> {
    let options = SchemaOptions { assert_formats: Some(true), ..SchemaOptions::default() };
    SchemaDocument::from_json_with_options(&draft::in_2020_12(schema), &options)
        .map_err(|error| first_line(&error.to_string()))
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().to_owned()
}

/// Asks both, and tries to refute a "compatible" of ours by `documents` and by what jsoncompat draws.
///
/// # Errors
/// A schema cannot be used, or a document of ours refutes nothing.
pub fn on(question: &Question, sides: &Sides, documents: &[Value]) -> Result<Opinions, String> {
    let (ours, our_document) = our_opinion(question, sides)?;
    let (theirs, their_document) = their_opinion(question, sides);
    let is_ours_confirmed = our_document.as_ref().is_some_and(|document| sides.refute_for_them(document));
    let is_compatible = ours == "compatible";
    let is_nothing_written = is_compatible && ours != theirs && sides.write_nothing()?;
    // Lenient writers write less than their schema admits, which no validator can tell.
    let is_tried = is_compatible && !question.is_lenient;
    let refutation = if is_tried { refutation(sides, their_document.as_ref(), documents) } else { None };
    Ok(Opinions { ours, theirs, our_document, is_ours_confirmed, their_document, is_nothing_written, refutation })
}

/// What jsoncompat draws is another on every run; it may only ever show that we are wrong.
fn refutation(sides: &Sides, their_document: Option<&Value>, documents: &[Value]) -> Option<Value> {
    let shown = their_document.into_iter().chain(documents).find(|document| sides.refute(document)).cloned();
    shown.or_else(|| {
        let (written, _) = sides.theirs.as_ref().ok()?;
        let mut random = StdRng::seed_from_u64(0);
        let config = GenerationConfig::new(DRAWN_DEPTH_MAX)
            .with_max_generation_attempts(NonZeroUsize::MIN.saturating_add(7))
            .with_max_candidate_nodes(NonZeroUsize::MIN.saturating_add(4_095));
        let drawn = (0..DRAWN_MAX).map_while(|_| ValueGenerator::generate(written, config, &mut random).ok());
        drawn.into_iter().find(|document| sides.refute(document))
    })
}

fn our_opinion(question: &Question, sides: &Sides) -> Result<(&'static str, Option<Value>), String> {
    let usable = |document: &Value| Schema::new(document.clone()).map_err(|error| error.to_string());
    let options = Options::new(question.mode()).without_house_rule();
    let options = if question.is_lenient { options.lenient() } else { options };
    let report = judge(&usable(&question.new)?, &[usable(&question.old)?], &options);
    let document = report.findings.into_iter().find_map(|finding| finding.counterexample).map(|found| found.document);
    match &document {
        Some(document) if !sides.refute(document) => Err(format!("{}: {document} refutes nothing", question.name)),
        _ => Ok((report.verdict.name(), document)),
    }
}

/// jsoncompat's verdict by proof, or by a document out of the schemas' own literals. What it draws at random is left out: it
/// draws otherwise on every run.
fn their_opinion(question: &Question, sides: &Sides) -> (String, Option<Value>) {
    let (written, read) = match &sides.theirs {
        Ok(schemas) => schemas,
        Err(reason) => return (format!("refused: {reason}"), None),
    };
    let options = AnalysisOptions { max_generated_candidates: 0, ..AnalysisOptions::default() };
    // One role asks whether the old schema reads all that is valid under the new one, the other whether the new one reads what
    // writers of the old one emit when they emit only what is declared.
    let asked = || match question.is_lenient {
        true => analyze_compat_with_options(written, read, Role::Deserializer, options),
        false => analyze_compat_with_options(read, written, Role::Serializer, options),
    };
    match catch_unwind(AssertUnwindSafe(asked)) {
        Ok(Ok(CompatibilityResult::Compatible)) => ("compatible".to_owned(), None),
        Ok(Ok(CompatibilityResult::Incompatible { counterexample, .. })) => {
            ("incompatible".to_owned(), Some(counterexample))
        }
        Ok(Ok(CompatibilityResult::Unknown { .. })) => ("undecided".to_owned(), None),
        Ok(Err(error)) => (format!("refused: {}", first_line(&error.to_string())), None),
        Err(_) => ("refused: it panicked".to_owned(), None),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// What `explanations.toml` says of their validator, in the fewest words. Once this fails, that explanation is stale.
    #[test]
    fn their_validator_forgets_two_required_names_beside_an_additional_schema() {
        let schema = json!({"properties": {"a": {}}, "additionalProperties": {}, "required": ["a", "b"]});
        let ours = Schema::new(schema.clone()).unwrap();
        let theirs = their_schema(&schema).unwrap();
        assert!(!ours.accepts(&json!({})));
        assert!(theirs.is_valid(&json!({})).unwrap());
    }

    #[test]
    fn formats_are_asserted_on_both_sides() {
        let schema = json!({"format": "date"});
        let (ours, theirs) = (Schema::new(schema.clone()).unwrap(), their_schema(&schema).unwrap());
        assert!(!ours.accepts(&json!("x")) && !theirs.is_valid(&json!("x")).unwrap());
    }
}
