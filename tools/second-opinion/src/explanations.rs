//! Why the two differ: what `explanations.toml` says, held against the differences that there are.

use std::{collections::BTreeSet, fs, path::Path};

use serde::Deserialize;
use serde_json::Value;

use crate::{opinions::Opinions, questions::Question};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(rename = "explanation")]
    explanations: Vec<Explanation>,
}

/// Why the two differ about some questions.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Explanation {
    pub title: String,
    pub ours: String,
    /// How their verdict begins: what is refused says more.
    pub theirs: String,
    /// Which side is right.
    pub right: String,
    pub why: String,
    /// Only where jsoncompat's own validator does, or does not, say the same of our document.
    confirmed: Option<bool>,
    /// Only where nothing can be written.
    #[serde(default)]
    nothing_written: bool,
    /// Only where one of these words stands in either schema.
    #[serde(default)]
    keywords: Vec<String>,
    /// Names of questions; a `*` in a name stands for anything.
    questions: Vec<String>,
}

/// A question on which the two differ.
pub struct Difference<'q> {
    pub question: &'q Question,
    pub opinions: Opinions,
    keywords: BTreeSet<String>,
}

impl<'q> Difference<'q> {
    pub fn new(question: &'q Question, opinions: Opinions) -> Difference<'q> {
        let mut keywords = BTreeSet::new();
        add_words(&question.old, &mut keywords);
        add_words(&question.new, &mut keywords);
        Difference { question, opinions, keywords }
    }
}

/// Every name of a field: more than the keywords, which no property of ours is called after.
fn add_words(value: &Value, words: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => fields.iter().for_each(|(name, part)| {
            words.insert(name.clone());
            add_words(part, words);
        }),
        Value::Array(items) => items.iter().for_each(|item| add_words(item, words)),
        _ => {}
    }
}

impl Explanation {
    /// The names of ours under which this explains the difference; none if it does not.
    fn names_for(&self, difference: &Difference<'_>) -> Vec<&str> {
        let opinions = &difference.opinions;
        let holds = self.ours == opinions.ours
            && opinions.theirs.starts_with(&self.theirs)
            && self.confirmed.is_none_or(|confirmed| confirmed == opinions.is_ours_confirmed)
            && (!self.nothing_written || opinions.is_nothing_written)
            && (self.keywords.is_empty() || self.keywords.iter().any(|keyword| difference.keywords.contains(keyword)));
        let names = self.questions.iter().map(String::as_str);
        names.filter(|name| holds && fits(name, &difference.question.name)).collect()
    }
}

fn fits(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((start, end)) => name.len() >= start.len() + end.len() && name.starts_with(start) && name.ends_with(end),
    }
}

/// Each explanation with the differences that it explains, and what is left open.
pub struct Sorted<'d, 'q> {
    pub explained: Vec<(&'d Explanation, Vec<&'d Difference<'q>>)>,
    /// One line each: differences without explanation, explanations without difference.
    pub open: Vec<String>,
}

/// # Errors
/// The file cannot be read or understood.
pub fn read(path: &Path) -> Result<Vec<Explanation>, String> {
    let text = fs::read_to_string(path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    let file: File = toml::from_str(&text).map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(file.explanations)
}

/// Gives each difference to the first explanation that holds for it.
pub fn sort<'d, 'q>(explanations: &'d [Explanation], differences: &'d [Difference<'q>]) -> Sorted<'d, 'q> {
    let mut explained: Vec<(&Explanation, Vec<&Difference>)> =
        explanations.iter().map(|one| (one, Vec::new())).collect();
    let mut used: Vec<BTreeSet<&str>> = vec![BTreeSet::new(); explanations.len()];
    let mut open = Vec::new();
    for difference in differences {
        let found = explanations.iter().map(|one| one.names_for(difference)).enumerate();
        match found.into_iter().find(|(_, names)| !names.is_empty()) {
            Some((place, names)) => {
                explained[place].1.push(difference);
                used[place].extend(names);
            }
            None => open.push(unexplained(difference)),
        }
    }
    for (explanation, used) in explanations.iter().zip(&used) {
        let stale = explanation.questions.iter().filter(|name| !used.contains(name.as_str()));
        open.extend(stale.map(|name| format!("stale: \"{}\" explains no difference of `{name}`", explanation.title)));
    }
    Sorted { explained, open }
}

fn unexplained(difference: &Difference<'_>) -> String {
    let (question, opinions) = (difference.question, &difference.opinions);
    let document = opinions.our_document.as_ref().or(opinions.their_document.as_ref());
    let shown = document.map(|document| format!("\n  document: {document}")).unwrap_or_default();
    format!(
        "unexplained: {} ({}): ours {}, jsoncompat {}\n  written: {}\n  read: {}{shown}",
        question.name,
        question.origin,
        opinions.ours,
        opinions.theirs,
        question.written(),
        question.read()
    )
}

#[cfg(test)]
mod tests {
    use nexus_governance_compatibility::Direction;
    use serde_json::json;

    use super::*;
    use crate::questions::Origin;

    fn question(name: &str) -> Question {
        Question {
            origin: Origin::Table,
            name: name.to_owned(),
            old: json!({"pattern": "a"}),
            new: json!(true),
            direction: Direction::Backward,
            is_lenient: false,
        }
    }

    fn opinions(theirs: &str) -> Opinions {
        Opinions {
            ours: "compatible",
            theirs: theirs.to_owned(),
            our_document: None,
            is_ours_confirmed: false,
            their_document: None,
            is_nothing_written: false,
            refutation: None,
        }
    }

    fn explanation(keyword: &str, name: &str) -> Explanation {
        let text = format!(
            "title = 't'\nours = 'compatible'\ntheirs = 'undecided'\nright = 'r'\nwhy = 'w'\n\
             keywords = ['{keyword}']\nquestions = ['{name}']"
        );
        toml::from_str(&text).unwrap()
    }

    #[test]
    fn a_difference_needs_an_explanation_that_holds_for_it() {
        let question = question("a pattern (BACKWARD)");
        let table = [
            ("pattern", "a pattern (BACKWARD)", "undecided", 0),
            ("pattern", "a * (BACKWARD)", "undecided", 0),
            // Of another verdict, of another name, of another keyword: unexplained, and stale.
            ("pattern", "a pattern (BACKWARD)", "incompatible", 2),
            ("pattern", "* (FORWARD)", "undecided", 2),
            ("format", "a pattern (BACKWARD)", "undecided", 2),
        ];
        for (keyword, name, theirs, open) in table {
            let differences = [Difference::new(&question, opinions(theirs))];
            let explanations = [explanation(keyword, name)];
            assert_eq!(sort(&explanations, &differences).open.len(), open, "{keyword} {name} {theirs}");
        }
    }

    #[test]
    fn an_explanation_without_a_difference_is_stale() {
        let explanations = [explanation("pattern", "gone (FORWARD)")];
        let open = sort(&explanations, &[]).open;
        assert!(open.len() == 1 && open[0].starts_with("stale: ") && open[0].contains("gone (FORWARD)"), "{open:?}");
    }
}
