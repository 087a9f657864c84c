//! A second opinion on the compatibility checker: its table of cases, judged by jsoncompat as well.
//!
//! Run it here with `cargo run --release`. It writes `DIFFERENCES.md`, where each case on which the two differ stands with
//! its explanation from `explanations.toml`. A difference without an explanation, and an explanation without a difference, make
//! it exit with 1.
#![forbid(unsafe_code)]

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use jsoncompat::{CompatibilityResult, Role, SchemaDocument, analyze_compat};
use nexus_governance_compatibility::{Mode, Options, Schema, judge};
use serde::Deserialize;
use serde_json::Value;

/// A case of the checker's table; what is expected of it is not looked at here.
#[derive(Deserialize)]
struct Case {
    name: String,
    old: Vec<Value>,
    new: Value,
    mode: String,
    #[serde(default)]
    house: bool,
    #[serde(default)]
    lenient: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Explanations {
    #[serde(default)]
    difference: Vec<Explanation>,
}

/// Why the two differ about some cases.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Explanation {
    ours: String,
    theirs: String,
    why: String,
    /// Names of cases, each with its mode: `name (MODE)`.
    cases: Vec<String>,
}

#[derive(Default)]
struct Tally {
    asked: usize,
    agreed: usize,
    inexpressible: usize,
    /// Case, ours, theirs.
    differing: Vec<(String, String, String)>,
}

fn main() -> ExitCode {
    match run(&PathBuf::from(env!("CARGO_MANIFEST_DIR"))) {
        Ok(code) => code,
        Err(message) => {
            eprintln!("error: {message}");
            ExitCode::from(2)
        }
    }
}

fn run(folder: &Path) -> Result<ExitCode, String> {
    let table = folder.join("../../system/governance/compatibility/tests/cases.jsonl");
    let mut tally = Tally::default();
    for (line, number) in read(&table)?.lines().zip(1..) {
        let case: Case =
            serde_json::from_str(line).map_err(|error| format!("{}:{number}: {error}", table.display()))?;
        compare(&case, &mut tally)?;
    }
    let explanations = folder.join("explanations.toml");
    let explained: Explanations =
        toml::from_str(&read(&explanations)?).map_err(|error| format!("{}: {error}", explanations.display()))?;
    let (page, open) = page(&tally, &explained);
    let out = folder.join("DIFFERENCES.md");
    fs::write(&out, page).map_err(|error| format!("cannot write {}: {error}", out.display()))?;
    println!(
        "{} cases asked, {} agreed, {} differ, {} cannot be expressed in draft 2020-12",
        tally.asked,
        tally.agreed,
        tally.differing.len(),
        tally.inexpressible
    );
    open.iter().for_each(|line| eprintln!("{line}"));
    Ok(if open.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

fn read(path: &Path) -> Result<String, String> {
    fs::read_to_string(path).map_err(|error| format!("cannot read {}: {error}", path.display()))
}

fn compare(case: &Case, tally: &mut Tally) -> Result<(), String> {
    let mode = Mode::named(&case.mode).filter(|mode| matches!(mode, Mode::Backward | Mode::Forward));
    let (Some(mode), [old]) = (mode, case.old.as_slice()) else { return Ok(()) };
    if case.house || case.lenient {
        return Ok(());
    }
    if !(is_expressible(old) && is_expressible(&case.new)) {
        tally.inexpressible += 1;
        return Ok(());
    }
    let key = format!("{} ({})", case.name, case.mode);
    let (ours, theirs) = (our_verdict(old, &case.new, mode)?, their_verdict(old, &case.new, mode));
    tally.asked += 1;
    match ours == theirs {
        true => tally.agreed += 1,
        false => tally.differing.push((key, ours, theirs)),
    }
    Ok(())
}

/// Keywords that draft 2020-12 reads otherwise than draft-07, or not at all.
fn is_expressible(schema: &Value) -> bool {
    match schema {
        Value::Object(fields) => {
            let is_tuple = fields.get("items").is_some_and(Value::is_array);
            let has_other_keyword = ["dependencies", "additionalItems"].iter().any(|name| fields.contains_key(*name));
            let has_anchor = fields.get("$id").and_then(Value::as_str).is_some_and(|name| name.starts_with('#'));
            let has_siblings = fields.contains_key("$ref")
                && fields.keys().any(|name| !["$ref", "definitions"].contains(&name.as_str()));
            !is_tuple && !has_other_keyword && !has_anchor && !has_siblings && fields.values().all(is_expressible)
        }
        Value::Array(items) => items.iter().all(is_expressible),
        _ => true,
    }
}

fn our_verdict(old: &Value, new: &Value, mode: Mode) -> Result<String, String> {
    let schema = |document: &Value| Schema::new(document.clone()).map_err(|error| format!("{document}: {error}"));
    let report = judge(&schema(new)?, &[schema(old)?], &Options::new(mode).without_house_rule());
    Ok(report.verdict.name().to_owned())
}

/// Asked as "does the reader accept all that is written?", without jsoncompat's own reading of open models.
fn their_verdict(old: &Value, new: &Value, mode: Mode) -> String {
    let (written, read) = if mode == Mode::Backward { (old, new) } else { (new, old) };
    let document = |schema: &Value| SchemaDocument::from_json(schema);
    let (written, read) = match (document(written), document(read)) {
        (Ok(written), Ok(read)) => (written, read),
        (Err(error), _) | (_, Err(error)) => return format!("refused: {}", first_line(&error.to_string())),
    };
    match analyze_compat(&read, &written, Role::Serializer) {
        Ok(CompatibilityResult::Compatible) => "compatible".to_owned(),
        Ok(CompatibilityResult::Incompatible { .. }) => "incompatible".to_owned(),
        Ok(CompatibilityResult::Unknown { .. }) => "undecided".to_owned(),
        Err(error) => format!("refused: {}", first_line(&error.to_string())),
    }
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

/// The page, and what is left open: differences that nothing explains, explanations that explain nothing.
fn page(tally: &Tally, explained: &Explanations) -> (String, Vec<String>) {
    let mut page = format!(
        "# Where jsoncompat judges otherwise\n\n\
         Written by `cargo run --release` in this folder; explanations are kept in `explanations.toml`.\n\n\
         Of the checker's cases {} can be put to jsoncompat 0.5; {} use keywords that draft 2020-12 reads otherwise. \
         The two agree on {} and differ on {}.\n",
        tally.asked,
        tally.inexpressible,
        tally.agreed,
        tally.differing.len()
    );
    let mut open = Vec::new();
    let mut unexplained: BTreeMap<&str, (&str, &str)> =
        tally.differing.iter().map(|(case, ours, theirs)| (case.as_str(), (ours.as_str(), theirs.as_str()))).collect();
    for explanation in &explained.difference {
        let _ = write!(
            page,
            "\n## Ours: {}. jsoncompat: {}.\n\n{}\n\n",
            explanation.ours, explanation.theirs, explanation.why
        );
        for case in &explanation.cases {
            let _ = writeln!(page, "- {case}");
            match unexplained.remove(case.as_str()) {
                Some((ours, theirs)) if ours == explanation.ours && theirs.starts_with(&explanation.theirs) => {}
                Some((ours, theirs)) => open.push(format!("explained otherwise than it is: {case}: {ours}, {theirs}")),
                None => open.push(format!("explained, but there is no such difference: {case}")),
            }
        }
    }
    for (case, (ours, theirs)) in unexplained {
        let _ = write!(page, "\n**Unexplained**: {case}: ours {ours}, jsoncompat {theirs}\n");
        open.push(format!("unexplained: {case}: ours {ours}, jsoncompat {theirs}"));
    }
    (page, open)
}
