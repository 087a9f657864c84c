//! `policy explain`: one input, the decision, and why. Every condition of every rule that could decide is evaluated, one
//! after another, until one does not hold.
//!
//! The trace is no retelling: for each rule, rules are generated into the policy's own package that hold if the first, the
//! first two, … conditions hold, and these are evaluated like any other. The first that does not hold names the condition.

use std::collections::BTreeSet;

use regorus::{
    Engine, Value,
    unstable::{Expr, Literal, LiteralStmt, Module, Query, Ref, Rule, RuleHead},
};
use serde::Serialize;

use crate::{
    error::CheckError,
    facts::KINDS,
    policies::{Folder, rule_name},
};

/// What kind of input it is, by the policies that judge it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum InputKind {
    /// A question of a service.
    Runtime,
    /// Facts of the work tree, or some of them.
    Desk,
}

#[derive(Clone, Debug, Serialize)]
pub struct Explanation {
    pub kind: InputKind,
    /// `allow` or `deny`.
    pub decision: &'static str,
    /// Rules that hold: those that deny, and those that allow.
    pub held: Vec<RuleTrace>,
    /// Rules that do not hold, and the condition that each stopped at.
    pub not_held: Vec<RuleTrace>,
}

/// One rule and how its conditions fared.
#[derive(Clone, Debug, Serialize)]
pub struct RuleTrace {
    pub policy: String,
    /// The stable name of a rule that denies; `allow` or a helper's name else.
    pub rule: String,
    /// `deny`, `allow` or `helper`.
    pub role: &'static str,
    pub file: String,
    pub line: u32,
    /// What the rule says, where it denies.
    pub says: Vec<serde_json::Value>,
    pub conditions: Vec<Condition>,
}

#[derive(Clone, Debug, Serialize)]
pub struct Condition {
    pub text: String,
    pub line: u32,
    /// `held`, `failed`, `error` or `not-reached`.
    pub outcome: &'static str,
    /// What went wrong, where it is an error.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// What the condition read.
    pub read: Vec<Reading>,
    /// The module's own rules that the condition rests on.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rests_on: Vec<RuleTrace>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Reading {
    pub path: String,
    /// One value, or several where a variable stands for one after another; cut if long. `undefined` if there is none.
    pub value: String,
}

/// Which policies an input is for.
///
/// # Errors
/// It is neither a question of a service nor facts.
pub fn kind_of(file: &str, text: &str, input: &serde_json::Value) -> Result<InputKind, CheckError> {
    const WHAT: &str = "an input that policies are asked about";
    let Some(fields) = input.as_object() else {
        return Err(CheckError::input(file, text, WHAT, "it is no JSON object".to_owned(), None));
    };
    if let Some(operation) = fields.get("operation") {
        if operation.is_string() {
            return Ok(InputKind::Runtime);
        }
        let message = format!("`operation` is {operation}, not a text");
        return Err(CheckError::input(file, text, WHAT, message, Some("operation")));
    }
    let is_kind = |key: &String| KINDS.iter().any(|kind| kind.key == key);
    match fields.keys().find(|key| !is_kind(key)) {
        None if !fields.is_empty() => Ok(InputKind::Desk),
        Some(stranger) if fields.keys().any(is_kind) => {
            let message = format!("`{stranger}` is no kind of fact");
            Err(CheckError::input(file, text, WHAT, message, Some(stranger)))
        }
        _ => {
            let kinds: Vec<_> = KINDS.iter().map(|kind| kind.key).collect();
            let message =
                format!("it has neither `operation`, as questions of services have, nor facts ({})", kinds.join(", "));
            Err(CheckError::input(file, text, WHAT, message, None))
        }
    }
}

/// # Errors
/// A policy does not parse.
pub fn explain(folder: &Folder, kind: InputKind, input: &serde_json::Value) -> Result<Explanation, CheckError> {
    let mut engine = folder.engine(false)?;
    engine.set_input(Value::from(input.clone()));
    let modules = engine.get_modules().clone();
    let (mut held, mut not_held) = (Vec::new(), Vec::new());
    for module in modules.iter() {
        let tracer = Tracer { engine: &engine, module, package: folder.package };
        let denials = tracer.denials();
        for rule in &module.policy {
            let role = match rule_name(rule).as_str() {
                "deny" => "deny",
                "allow" => "allow",
                _ => continue,
            };
            for mut trace in tracer.rule(rule, role, &mut BTreeSet::new()) {
                let is_met = trace.conditions.iter().all(|condition| condition.outcome == "held");
                // A denial whose reason names what the input has not is undefined: it denies nothing.
                let own = denials.iter().filter(|denial| denial["rule"] == trace.rule.as_str());
                trace.says = if is_met && role == "deny" { own.cloned().collect() } else { Vec::new() };
                let holds = is_met && (role != "deny" || !trace.says.is_empty());
                if holds { held.push(trace) } else { not_held.push(trace) }
            }
        }
    }
    let has_error = not_held.iter().any(|trace| trace.conditions.iter().any(|condition| condition.outcome == "error"));
    let denied = has_error || held.iter().any(|trace| trace.role == "deny");
    let allowed = match kind {
        InputKind::Runtime => !denied && held.iter().any(|trace| trace.role == "allow"),
        InputKind::Desk => !denied,
    };
    Ok(Explanation { kind, decision: if allowed { "allow" } else { "deny" }, held, not_held })
}

struct Tracer<'a> {
    engine: &'a Engine,
    module: &'a Ref<Module>,
    package: &'a str,
}

impl Tracer<'_> {
    fn file(&self) -> String {
        self.module.package.span.source.get_path().clone()
    }

    fn policy(&self) -> String {
        let file = self.file();
        file.rsplit('/').next().unwrap_or(&file).trim_end_matches(".rego").to_owned()
    }

    /// What the policy denies.
    fn denials(&self) -> Vec<serde_json::Value> {
        let denials = self.engine.clone().eval_rule(format!("data.{}.{}.deny", self.package, self.policy()));
        let denials = denials.ok().and_then(|denials| serde_json::to_value(&denials).ok()).unwrap_or_default();
        denials.as_array().cloned().unwrap_or_default()
    }

    /// One trace for each body of a rule. `above` are the rules whose conditions are being traced, so that none goes
    /// round in circles.
    fn rule(&self, rule: &Rule, role: &'static str, above: &mut BTreeSet<String>) -> Vec<RuleTrace> {
        let Rule::Spec { head, bodies, span } = rule else { return Vec::new() };
        let label = match head {
            RuleHead::Set { key: Some(key), .. } => stable_name(key),
            RuleHead::Func { .. } => return Vec::new(),
            _ => None,
        };
        let name = label.unwrap_or_else(|| rule_name(rule));
        bodies
            .iter()
            .map(|body| {
                let conditions = self.conditions(&body.query, above);
                RuleTrace {
                    policy: self.policy(),
                    rule: name.clone(),
                    role,
                    file: self.file(),
                    line: span.line,
                    says: Vec::new(),
                    conditions,
                }
            })
            .collect()
    }

    fn conditions(&self, query: &Query, above: &mut BTreeSet<String>) -> Vec<Condition> {
        let texts: Vec<&str> = query.stmts.iter().map(text_of).collect();
        let mut conditions = Vec::new();
        let mut stopped = false;
        for (index, statement) in query.stmts.iter().enumerate() {
            let (outcome, error) = match stopped {
                true => ("not-reached", None),
                false => match self.values("true", &texts[..=index]) {
                    Ok(values) if values.is_empty() => ("failed", None),
                    Ok(_) => ("held", None),
                    Err(error) => ("error", Some(error)),
                },
            };
            stopped |= outcome != "held";
            let read = if outcome == "not-reached" { Vec::new() } else { self.readings(statement, &texts[..index]) };
            let rests_on = if outcome == "not-reached" { Vec::new() } else { self.rests_on(statement, above) };
            let (text, line) = (on_one_line(texts[index]), statement.span.line);
            conditions.push(Condition { text, line, outcome, error, read, rests_on });
        }
        conditions
    }

    /// Every value of an expression under these conditions.
    fn values(&self, expression: &str, conditions: &[&str]) -> Result<Vec<serde_json::Value>, String> {
        let body = if conditions.is_empty() { "true".to_owned() } else { conditions.join("\n\t") };
        let imports: String = self.module.imports.iter().map(|import| format!("{}\n", import.span.text())).collect();
        let package = format!("{}.{}", self.package, self.policy());
        let source = format!(
            "package {package}\n\n{imports}\nexplained contains explained_value if {{\n\t{body}\n\texplained_value := {expression}\n}}\n"
        );
        let mut engine = self.engine.clone();
        let told = |error: &dyn std::fmt::Display| CheckError::rego(error).to_string();
        engine.add_policy("explained.rego".to_owned(), source).map_err(|error| told(&error))?;
        let values = engine.eval_rule(format!("data.{package}.explained")).map_err(|error| told(&error))?;
        Ok(serde_json::to_value(&values).ok().and_then(|values| values.as_array().cloned()).unwrap_or_default())
    }

    fn readings(&self, statement: &LiteralStmt, before: &[&str]) -> Vec<Reading> {
        let mut paths = BTreeSet::new();
        for expression in expressions_of(statement) {
            paths_in(expression, &mut paths);
        }
        let shown = |path: &String| {
            let values = self.values(path, before).unwrap_or_default();
            Reading { path: path.clone(), value: joined(&values) }
        };
        paths.iter().filter(|path| !self.is_function(path)).map(shown).collect()
    }

    fn is_function(&self, name: &str) -> bool {
        self.module.policy.iter().any(|rule| {
            matches!(rule.as_ref(), Rule::Spec { head: RuleHead::Func { .. }, .. }) && rule_name(rule) == name
        })
    }

    /// Traces of the module's own rules that a condition names.
    fn rests_on(&self, statement: &LiteralStmt, above: &mut BTreeSet<String>) -> Vec<RuleTrace> {
        let mut paths = BTreeSet::new();
        for expression in expressions_of(statement) {
            paths_in(expression, &mut paths);
        }
        let mut traces = Vec::new();
        for path in paths {
            if above.insert(path.clone()) {
                for rule in self.module.policy.iter().filter(|rule| rule_name(rule) == path && has_conditions(rule)) {
                    traces.extend(self.rule(rule, "helper", above));
                }
                above.remove(&path);
            }
        }
        traces
    }
}

fn has_conditions(rule: &Rule) -> bool {
    matches!(rule, Rule::Spec { bodies, .. } if bodies.iter().any(|body| !body.query.stmts.is_empty()))
}

/// The text that a deny's head gives as its `rule`.
fn stable_name(key: &Expr) -> Option<String> {
    let Expr::Object { fields, .. } = key else { return None };
    fields.iter().find_map(|(_, name, value)| match (name.as_ref(), value.as_ref()) {
        (Expr::String { span: name, .. }, Expr::String { value, .. }) if name.text().trim_matches('"') == "rule" => {
            value.as_string().ok().map(|text| text.to_string())
        }
        _ => None,
    })
}

/// A statement as it is written. Where it begins or ends with a text, the engine leaves the quotation mark out.
fn text_of(statement: &LiteralStmt) -> &str {
    const MARKS: [char; 2] = ['"', '`'];
    let span = &statement.span;
    let (source, mut start, mut end) = (span.source.contents(), span.start as usize, span.end as usize);
    if source.get(..start).is_some_and(|before| before.ends_with(MARKS)) {
        start -= 1;
    }
    if source.get(end..).is_some_and(|after| after.starts_with(MARKS)) {
        end += 1;
    }
    source.get(start..end).unwrap_or_else(|| span.text())
}

fn expressions_of(statement: &LiteralStmt) -> Vec<&Expr> {
    match &statement.literal {
        Literal::SomeVars { .. } => Vec::new(),
        Literal::SomeIn { collection, .. } => vec![collection],
        Literal::Expr { expr, .. } | Literal::NotExpr { expr, .. } => vec![expr],
        Literal::Every { domain, .. } => vec![domain],
    }
}

/// The references and variables of an expression, as they are written.
fn paths_in(expression: &Expr, found: &mut BTreeSet<String>) {
    match expression {
        Expr::Var { span, .. } => {
            found.insert(span.text().to_owned());
        }
        Expr::RefDot { span, .. } => {
            found.insert(span.text().to_owned());
        }
        Expr::RefBrack { span, index, .. } => {
            found.insert(span.text().to_owned());
            paths_in(index, found);
        }
        Expr::Call { params, .. } => params.iter().for_each(|parameter| paths_in(parameter, found)),
        Expr::Array { items, .. } | Expr::Set { items, .. } => items.iter().for_each(|item| paths_in(item, found)),
        Expr::Object { fields, .. } => fields.iter().for_each(|(_, _, value)| paths_in(value, found)),
        Expr::UnaryExpr { expr, .. } => paths_in(expr, found),
        Expr::BinExpr { lhs, rhs, .. } | Expr::BoolExpr { lhs, rhs, .. } | Expr::ArithExpr { lhs, rhs, .. } => {
            paths_in(lhs, found);
            paths_in(rhs, found);
        }
        // What is assigned to is not read.
        Expr::AssignExpr { rhs, .. } => paths_in(rhs, found),
        Expr::Membership { value, collection, .. } => {
            paths_in(value, found);
            paths_in(collection, found);
        }
        _ => {}
    }
}

const SHOWN_CHARACTERS: usize = 160;

fn joined(values: &[serde_json::Value]) -> String {
    if values.is_empty() {
        return "undefined".to_owned();
    }
    let text = values.iter().map(ToString::to_string).collect::<Vec<_>>().join(" | ");
    match text.char_indices().nth(SHOWN_CHARACTERS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

fn on_one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
