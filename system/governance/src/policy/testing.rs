//! Runs the tests that policies bring along: Rego rules named `test_…` in `<policy>_test.rego`.

use super::{
    InvalidPolicyBundle, PolicyBundle, PolicyModule,
    check::rule_names,
    compiled::{engine_modules, engine_with},
    error::on_one_line,
};

/// One `test_…` rule's result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyTestOutcome {
    /// The test module's name, such as `order_limits_test`.
    pub module: String,
    /// The rule's name, such as `test_up_to_the_limit_anyone_may_order`.
    pub test: String,
    /// `None` if the rule held; else why not.
    pub failure: Option<String>,
}

/// Runs every `test_…` rule of `tests` against the bundle, in the order of the modules and of their rules. A rule
/// holds if it is `true`; undefined, any other value and an error are failures.
///
/// # Errors
/// A module does not parse, or the names of the modules are not sound.
pub fn run_policy_tests(
    bundle: &PolicyBundle,
    tests: &[PolicyModule],
) -> Result<Vec<PolicyTestOutcome>, InvalidPolicyBundle> {
    let modules: Vec<PolicyModule> = bundle.modules.iter().chain(tests).cloned().collect();
    let mut engine = engine_with(&modules, bundle.data.clone())?;
    let parsed = engine_modules(&mut engine);
    let mut outcomes = Vec::new();
    for (module, parsed) in tests.iter().zip(parsed.iter().skip(bundle.modules.len())) {
        for test in rule_names(parsed).into_iter().filter(|name| name.starts_with("test_")) {
            // A fresh copy, so that one test's `with` or an error leaves no trace in the next.
            let result = engine.clone().eval_rule(format!("data.nexus.{}.{test}", module.name));
            let failure = match result {
                Ok(regorus::Value::Bool(true)) => None,
                Ok(regorus::Value::Undefined) => Some("the rule does not hold".to_owned()),
                Ok(other) => Some(format!("the rule is {other}, not true")),
                Err(error) => Some(on_one_line(&error.to_string())),
            };
            outcomes.push(PolicyTestOutcome { module: module.name.clone(), test, failure });
        }
    }
    Ok(outcomes)
}
