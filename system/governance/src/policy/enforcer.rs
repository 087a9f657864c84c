//! Compiled policies and their evaluation.

use std::collections::{BTreeMap, BTreeSet};

use regorus::{CompiledPolicy, Engine, Value};

use super::{
    Decision, DecisionRecord, Denial, InvalidPolicyBundle, PolicyBundle, PolicyInput, PolicyModule, bundled_policies,
    check::{Contribution, check_module, check_name},
    error::{locate, on_one_line},
};
use crate::canonical::{canonical_json, digest_hex};

/// The generated module that joins all policies into one decision.
const JOIN_FILE: &str = "decision.generated.rego";
const ENTRY_POINT: &str = "data.nexus_decision.decision";

/// Policies, compiled once. Deciding takes `&self` and keeps nothing between two decisions.
///
/// They are run by the engine's interpreter, not by its faster register machine: that one lets a rule whose builtin
/// fails simply not hold, so that a failing denial would allow. Here an error denies.
pub struct PolicyEnforcer {
    compiled: CompiledPolicy,
    keys: InputKeys,
    bundle_digest: String,
}

impl PolicyEnforcer {
    /// Checks and compiles the modules with their data.
    ///
    /// # Errors
    /// The bundle is not sound: see [`InvalidPolicyBundle`], which tells file, line and a remedy.
    pub fn compile(modules: &[PolicyModule], data: serde_json::Value) -> Result<Self, InvalidPolicyBundle> {
        let bundle_digest = bundle_digest(modules, &data);
        let mut engine = engine_with(modules, data)?;
        let contributions = check_modules(modules, &engine_modules(&mut engine))?;
        let join = join_source(&contributions);
        add_source(&mut engine, JOIN_FILE, &join)?;
        let compiled = engine.compile_with_entrypoint(&ENTRY_POINT.into()).map_err(|error| compile_error(&error))?;
        Ok(Self { compiled, keys: InputKeys::new(), bundle_digest })
    }

    /// Compiles a whole bundle, such as one read from a folder.
    ///
    /// # Errors
    /// As [`PolicyEnforcer::compile`].
    pub fn from_bundle(bundle: PolicyBundle) -> Result<Self, InvalidPolicyBundle> {
        Self::compile(&bundle.modules, bundle.data)
    }

    /// Compiles the policies that ship with the system.
    ///
    /// # Errors
    /// As [`PolicyEnforcer::compile`]; a test holds that it does not happen.
    pub fn from_catalogue() -> Result<Self, InvalidPolicyBundle> {
        Self::from_bundle(bundled_policies())
    }

    /// Allows if at least one policy allows and none denies. An evaluation that fails denies, with the rule
    /// `policy-error`; where no policy allows and none denies, the rule is `no-policy-allows`.
    pub fn decide(&self, input: &PolicyInput) -> Decision {
        match self.compiled.eval_with_input(self.keys.value(input)) {
            Ok(answer) => read_answer(&answer),
            Err(error) => policy_error(on_one_line(&error.to_string())),
        }
    }

    /// The line for the decision log.
    pub fn record(&self, input: &PolicyInput, decision: &Decision) -> DecisionRecord {
        // A struct of strings and numbers always has a JSON form.
        let input = serde_json::to_value(input).unwrap_or(serde_json::Value::Null);
        DecisionRecord {
            bundle_digest: self.bundle_digest.clone(),
            input_digest: digest_hex([canonical_json(&input).as_str()]),
            decision: decision.clone(),
        }
    }

    /// SHA-256 over the policies (by name) and their data, in hex.
    pub fn bundle_digest(&self) -> &str {
        &self.bundle_digest
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

fn compile_error(error: &dyn std::fmt::Display) -> InvalidPolicyBundle {
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

fn bundle_digest(modules: &[PolicyModule], data: &serde_json::Value) -> String {
    let mut sorted: Vec<_> = modules.iter().collect();
    sorted.sort_by(|a, b| a.name.cmp(&b.name));
    let data = canonical_json(data);
    digest_hex(sorted.iter().flat_map(|module| [module.name.as_str(), module.source.as_str()]).chain([data.as_str()]))
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

/// The names of the input's fields, made once: a decision then allocates only the values.
struct InputKeys {
    service: Value,
    operation: Value,
    store: Value,
    role: Value,
    command: Value,
    aggregate: Value,
    event_types: Value,
    amount_cents: Value,
}

impl InputKeys {
    fn new() -> Self {
        Self {
            service: "service".into(),
            operation: "operation".into(),
            store: "store".into(),
            role: "role".into(),
            command: "command".into(),
            aggregate: "aggregate".into(),
            event_types: "event_types".into(),
            amount_cents: "amount_cents".into(),
        }
    }

    /// The same object that the input's JSON would give, without the way through text.
    fn value(&self, input: &PolicyInput) -> Value {
        let event_types: Vec<Value> = input.event_types.iter().map(|name| name.as_str().into()).collect();
        Value::from(BTreeMap::from([
            (self.service.clone(), input.service.as_str().into()),
            (self.operation.clone(), input.operation.as_str().into()),
            (self.store.clone(), input.store.as_str().into()),
            (self.role.clone(), input.role.as_str().into()),
            (self.command.clone(), input.command.as_str().into()),
            (self.aggregate.clone(), input.aggregate.as_str().into()),
            (self.event_types.clone(), event_types.into()),
            (self.amount_cents.clone(), input.amount_cents.map_or(Value::Null, Value::from)),
        ]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_input_in_rego_is_the_inputs_json() {
        for amount_cents in [None, Some(0), Some(u64::MAX)] {
            let input = PolicyInput {
                service: "command-service".into(),
                operation: "append-event".into(),
                store: "event-store".into(),
                role: "customer".into(),
                command: "PlaceOrder".into(),
                aggregate: "order-o-1".into(),
                event_types: vec!["OrderPlaced".into(), "é\"\n".into()],
                amount_cents,
            };
            let through_json = Value::from(serde_json::to_value(&input).unwrap());
            assert_eq!(InputKeys::new().value(&input), through_json);
        }
    }
}
