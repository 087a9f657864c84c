//! One bundle of policies, compiled, and how it answers.

use std::collections::{BTreeMap, BTreeSet};

use regorus::{CompiledPolicy, Engine, Value};

use super::{
    Decision, DecisionRecord, Denial, InvalidPolicyBundle, PolicyBundle, PolicyModule, PolicyQuestion, QuestionKeys,
    check::{Contribution, check_module, check_name, fields_read},
    error::{locate, on_one_line},
    remembered::Remembered,
};
use crate::canonical::{canonical_json, digest_hex};

/// The generated module that joins all policies into one decision.
const JOIN_FILE: &str = "decision.generated.rego";
const ENTRY_POINT: &str = "data.nexus_decision.decision";

/// Policies, compiled once. Deciding takes `&self`, and no decision depends on those before it.
pub struct CompiledPolicies {
    /// Run by the interpreter. The engine's register machine is several times as fast, and takes a denial whose evaluation
    /// fails for one that does not hold: it would allow what the interpreter denies.
    compiled: CompiledPolicy,
    remembered: Remembered,
    keys: QuestionKeys,
    digest: String,
}

impl CompiledPolicies {
    /// Checks and compiles a bundle.
    ///
    /// # Errors
    /// The bundle is not sound: see [`InvalidPolicyBundle`], which tells file, line and a remedy.
    pub fn compile(bundle: &PolicyBundle) -> Result<Self, InvalidPolicyBundle> {
        let mut engine = engine_with(&bundle.modules, bundle.data.clone())?;
        let parsed = engine_modules(&mut engine);
        let contributions = check_modules(&bundle.modules, &parsed)?;
        add_source(&mut engine, JOIN_FILE, &join_source(&contributions))?;
        let compiled = engine.compile_with_entrypoint(&ENTRY_POINT.into()).map_err(|error| compile_error(&error))?;
        let remembered = Remembered::new(fields_read(&bundle.modules)?);
        Ok(Self { compiled, remembered, keys: QuestionKeys::new(), digest: bundle.digest() })
    }

    /// Allows if at least one policy allows and none denies. An evaluation that fails denies, with the rule
    /// `policy-error`; where no policy allows and none denies, the rule is `no-policy-allows`.
    pub fn decide(&self, question: &impl PolicyQuestion) -> Decision {
        let question = question.rego(&self.keys);
        let essence = self.remembered.essence(&question);
        if let Some(decision) = self.remembered.find(&essence) {
            return decision;
        }
        let decision = self.evaluate(question);
        self.remembered.keep(essence, &decision);
        decision
    }

    /// Decides without a look at what was decided before: for benchmarks, and to hold [`CompiledPolicies::decide`] to it.
    pub fn decide_afresh(&self, question: &impl PolicyQuestion) -> Decision {
        self.evaluate(question.rego(&self.keys))
    }

    fn evaluate(&self, question: Value) -> Decision {
        match self.compiled.eval_with_input(question) {
            Ok(answer) => read_answer(&answer),
            Err(error) => policy_error(on_one_line(&error.to_string())),
        }
    }

    /// Decides, and gives the line for the decision log.
    pub fn decide_for_the_record(&self, question: &impl PolicyQuestion) -> DecisionRecord {
        self.record(question, self.decide(question))
    }

    /// The line for the decision log.
    pub(super) fn record(&self, question: &impl PolicyQuestion, decision: Decision) -> DecisionRecord {
        // A struct of strings and numbers always has a JSON form.
        let question = serde_json::to_value(question).unwrap_or(serde_json::Value::Null);
        DecisionRecord {
            bundle_digest: self.digest.clone(),
            input_digest: digest_hex([canonical_json(&question).as_str()]),
            decision,
        }
    }

    /// SHA-256 over the policies (by name) and their data, in hex.
    pub fn digest(&self) -> &str {
        &self.digest
    }
}

/// An engine with the modules parsed, not yet checked.
pub(super) fn engine_with(modules: &[PolicyModule], data: serde_json::Value) -> Result<Engine, InvalidPolicyBundle> {
    if modules.is_empty() {
        return Err(InvalidPolicyBundle::Empty);
    }
    if !data.is_object() {
        let message = "the data is not a JSON object".to_owned();
        return Err(InvalidPolicyBundle::Data { file: "data.json".to_owned(), message });
    }
    let mut engine = Engine::new();
    engine.set_strict_builtin_errors(true);
    engine.add_data(Value::from(data)).map_err(|error| InvalidPolicyBundle::Data {
        file: "data.json".to_owned(),
        message: on_one_line(&error.to_string()),
    })?;
    let mut names = BTreeSet::new();
    for module in modules {
        check_name(module)?;
        if !names.insert(&module.name) {
            return Err(InvalidPolicyBundle::DuplicateModule { file: module.file() });
        }
        add_source(&mut engine, &module.file(), &module.source)?;
    }
    Ok(engine)
}

type ParsedModules = Vec<regorus::unstable::Ref<regorus::unstable::Module>>;

pub(super) fn engine_modules(engine: &mut Engine) -> ParsedModules {
    engine.get_modules().clone()
}

fn check_modules(
    modules: &[PolicyModule],
    parsed: &ParsedModules,
) -> Result<BTreeMap<String, Contribution>, InvalidPolicyBundle> {
    modules
        .iter()
        .zip(parsed)
        .map(|(module, parsed)| Ok((module.name.clone(), check_module(module, parsed)?)))
        .collect()
}

fn add_source(engine: &mut Engine, file: &str, source: &str) -> Result<(), InvalidPolicyBundle> {
    engine.add_policy(file.to_owned(), source.to_owned()).map(drop).map_err(|error| compile_error(&error))
}

pub(super) fn compile_error(error: &dyn std::fmt::Display) -> InvalidPolicyBundle {
    let text = error.to_string();
    match locate(&text) {
        Some((position, message)) => {
            let hint = syntax_hint(&message);
            InvalidPolicyBundle::Syntax { position, message, hint }
        }
        None => InvalidPolicyBundle::Compile { message: on_one_line(&text) },
    }
}

fn syntax_hint(message: &str) -> &'static str {
    if message.contains("`if`") || message.contains("`contains`") {
        "policies are Rego v1: `allow if { … }` and `deny contains … if { … }`"
    } else if message.contains("undefined variable") || message.contains("unsafe") || message.contains("var") {
        "a variable needs a value before it is used; for a name from the question write `input.name`"
    } else {
        "policies are Rego v1; look at the neighbouring policies for the form"
    }
}

/// Rego that asks whether any `allow` holds and lists every `deny` set. Uniting the sets is left to `read_answer`:
/// in Rego it would cost a sixth of the whole decision.
fn join_source(contributions: &BTreeMap<String, Contribution>) -> String {
    let mut source = String::from("package nexus_decision\n\ndefault allowed := false\n\n");
    for (name, _) in contributions.iter().filter(|(_, contribution)| contribution.allows) {
        source.push_str(&format!("allowed if data.nexus.{name}.allow\n\n"));
    }
    let denials: Vec<String> = contributions
        .iter()
        .filter(|(_, contribution)| contribution.denies)
        .map(|(name, _)| format!("data.nexus.{name}.deny"))
        .collect();
    source.push_str(&format!("decision := {{\"allowed\": allowed, \"denials\": [{}]}}\n", denials.join(", ")));
    source
}

fn read_answer(answer: &Value) -> Decision {
    let Some(denials) = read_denials(&answer["denials"]) else {
        return policy_error(
            "a policy's denials are not a set of objects with the strings `rule` and `reason`".to_owned(),
        );
    };
    if !denials.is_empty() {
        return Decision::Deny { denials: denials.into_iter().collect() };
    }
    if answer["allowed"] == Value::Bool(true) {
        return Decision::Allow;
    }
    deny("no-policy-allows", "no policy allows this".to_owned())
}

/// The union of all policies' denials, sorted; `None` if one of them has the wrong form.
fn read_denials(sets: &Value) -> Option<BTreeSet<Denial>> {
    let mut denials = BTreeSet::new();
    for set in sets.as_array().ok()?.iter() {
        for denial in set.as_set().ok()?.iter() {
            denials.insert(read_denial(denial)?);
        }
    }
    Some(denials)
}

fn read_denial(denial: &Value) -> Option<Denial> {
    let text = |key: &str| denial[key].as_string().ok().map(|text| text.to_string());
    Some(Denial { rule: text("rule")?, reason: text("reason")? })
}

fn policy_error(reason: String) -> Decision {
    deny("policy-error", reason)
}

fn deny(rule: &str, reason: String) -> Decision {
    Decision::Deny { denials: vec![Denial { rule: rule.to_owned(), reason }] }
}
