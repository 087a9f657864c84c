//! `DIFFERENCES.md`: the counts, and each explanation with the questions that it explains.

use std::fmt::Write as _;

use serde_json::Value;

use crate::{
    explanations::{Difference, Explanation, Sorted},
    questions::{Origin, Questions},
    tally::Tally,
};

/// Longer values are cut.
const SHOWN_CHARACTERS_MAX: usize = 160;

pub fn page(questions: &Questions, tally: &Tally, sorted: &Sorted<'_, '_>) -> String {
    let mut page = format!(
        "# Where jsoncompat judges otherwise\n\n\
         Written by `cargo run --release` in this folder, which fails while a difference has no explanation in \
         `explanations.toml`, or an explanation no difference.\n\n\
         A question is: does one schema accept all that is written under the other? Of the {} cases of the checker's table, {} \
         ask nothing about documents; cases of several versions or directions are several questions.\n\n",
        questions.cases, questions.cases_without_documents
    );
    page.push_str(&tally.table());
    page.push_str(&notes(tally));
    for (explanation, differences) in &sorted.explained {
        page.push_str(&section(explanation, differences));
    }
    if !sorted.open.is_empty() {
        let _ = write!(page, "\n## Open\n\n```\n{}\n```\n", sorted.open.join("\n"));
    }
    page
}

fn notes(tally: &Tally) -> String {
    format!(
        "\n*Stricter*: jsoncompat has a proof, we refuse. *Laxer*: we say compatible, jsoncompat shows a document. No \
         explanation is taken for a \"compatible\" of ours if jsoncompat's document refutes it by the system's validator, or any of \
         {} documents drawn here, or what jsoncompat draws from the written schema: the run fails. Lenient cases are left out of \
         this, since validators do not know what lenient writers leave out.\n\n\
         Each document of ours was put to the system's validator again. jsoncompat's own validator, of another version, says the \
         same of {} of {}; the others are explained below.\n\n\
         Pairs drawn at random are sorted by the keywords that stand in them. That is a hint at what jsoncompat stumbles over, not \
         more; which verdict is right does not rest on it.\n",
        tally.documents, tally.confirmed, tally.with_document
    )
}

fn section(explanation: &Explanation, differences: &[&Difference<'_>]) -> String {
    let counted =
        Origin::ALL.map(|origin| (origin, differences.iter().filter(|one| one.question.origin == origin).count()));
    let counts: Vec<String> =
        counted.iter().filter(|(_, count)| *count > 0).map(|(origin, count)| format!("{count} of {origin}")).collect();
    let mut section = format!(
        "\n## {}\n\nOurs: {}. jsoncompat: {}. Right: {}. {}.\n\n{}\n\n",
        explanation.title,
        explanation.ours,
        explanation.theirs,
        explanation.right,
        counts.join(", "),
        explanation.why.trim()
    );
    if let Some(example) = example(differences) {
        section.push_str(&shown_whole(example));
    }
    for difference in differences.iter().filter(|one| one.question.origin == Origin::Table) {
        let document = difference.opinions.our_document.as_ref();
        let document = document.map(|document| format!(": `{}`", cut(document))).unwrap_or_default();
        let _ = writeln!(section, "- {}{document}", difference.question.name);
    }
    section
}

/// The shortest, so that it can be read; of equals, the first.
fn example<'d, 'q>(differences: &[&'d Difference<'q>]) -> Option<&'d Difference<'q>> {
    differences
        .iter()
        .copied()
        .min_by_key(|one| one.question.old.to_string().len() + one.question.new.to_string().len())
}

fn shown_whole(difference: &Difference<'_>) -> String {
    let question = difference.question;
    let mut shown = format!(
        "For example *{}*: written under `{}`, read by `{}`",
        question.name,
        cut(question.written()),
        cut(question.read())
    );
    if let Some(document) = &difference.opinions.our_document {
        let _ = write!(shown, ", refuted by `{}`", cut(document));
    }
    shown.push_str(".\n\n");
    shown
}

fn cut(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(SHOWN_CHARACTERS_MAX) {
        Some((end, _)) => format!("{}… ({} characters)", &text[..end], text.chars().count()),
        None => text,
    }
}
