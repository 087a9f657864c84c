//! Whether a policy is written so that no evaluation of it can fail.
//!
//! The engine has two ways to run Rego: an interpreter, and a register machine that is several times as fast. The machine
//! takes a rule whose evaluation fails for one that does not hold, so that a failing denial would allow. The interpreter
//! tells the failure, and the decision is then a denial. The two agree where nothing can fail; so the machine runs only
//! bundles of which that is proven here, by a list of what may occur in them. Anything that is not on the list sends the
//! whole bundle to the interpreter: it is slower, and no less right.

use std::collections::BTreeMap;

use regorus::unstable::{Expr, Literal, LiteralStmt, Module, Query, Ref, Rule, RuleHead};

use super::check::head_of;

/// Builtins that have an answer for every value.
const TOTAL: [&str; 7] = ["is_array", "is_boolean", "is_null", "is_number", "is_object", "is_set", "is_string"];

/// Whether no evaluation of the module can end in an error.
pub(super) fn is_infallible(module: &Module) -> bool {
    let judge = Judge { functions: functions_of(module) };
    // Imports give names to what other modules define; only the module's own functions are known here.
    module.imports.is_empty() && values_cannot_conflict(module) && module.policy.iter().all(|rule| judge.rule(rule))
}

struct Judge {
    /// The module's own functions, and how many arguments each takes.
    functions: BTreeMap<String, usize>,
}

fn functions_of(module: &Module) -> BTreeMap<String, usize> {
    let functions = module.policy.iter().filter_map(|rule| match rule.as_ref() {
        Rule::Spec { head: RuleHead::Func { args, .. }, .. } => Some((head_of(rule).0, args.len())),
        _ => None,
    });
    functions.collect()
}

/// A rule with a value of its own that is written twice may come to two values, which is an error.
fn values_cannot_conflict(module: &Module) -> bool {
    let mut definitions = BTreeMap::<String, (usize, bool)>::new();
    for rule in &module.policy {
        let Rule::Spec { head, .. } = rule.as_ref() else { continue };
        let has_value = match head {
            RuleHead::Set { .. } => false,
            RuleHead::Compr { assign, .. } | RuleHead::Func { assign, .. } => assign.is_some(),
        };
        let (count, valued) = definitions.entry(head_of(rule).0).or_default();
        *count += 1;
        *valued |= has_value;
    }
    definitions.values().all(|(count, valued)| *count == 1 || !valued)
}

impl Judge {
    fn rule(&self, rule: &Rule) -> bool {
        match rule {
            Rule::Default { value, .. } => self.expression(value),
            Rule::Spec { head, bodies, .. } => {
                self.head(head)
                    && bodies.iter().all(|body| {
                        // `else` chains and several values of one rule can contradict each other, which is an error.
                        !body.is_else && body.assign.is_none() && self.query(&body.query)
                    })
            }
        }
    }

    fn head(&self, head: &RuleHead) -> bool {
        match head {
            RuleHead::Set { key, .. } => key.as_ref().is_none_or(|key| self.expression(key)),
            RuleHead::Compr { assign, .. } | RuleHead::Func { assign, .. } => {
                assign.as_ref().is_none_or(|assign| self.expression(&assign.value))
            }
        }
    }

    fn query(&self, query: &Query) -> bool {
        query.stmts.iter().all(|statement| self.statement(statement))
    }

    fn statement(&self, statement: &LiteralStmt) -> bool {
        let literal = match &statement.literal {
            Literal::SomeVars { .. } => true,
            Literal::SomeIn { key, value, collection, .. } => {
                key.as_ref().is_none_or(|key| self.expression(key))
                    && self.expression(value)
                    && self.expression(collection)
            }
            Literal::Expr { expr, .. } | Literal::NotExpr { expr, .. } => self.expression(expr),
            // What it does with a domain that is no collection differs between the two ways.
            Literal::Every { .. } => false,
        };
        literal && statement.with_mods.is_empty()
    }

    fn expression(&self, expression: &Expr) -> bool {
        match expression {
            Expr::String { .. }
            | Expr::RawString { .. }
            | Expr::Number { .. }
            | Expr::Bool { .. }
            | Expr::Null { .. }
            | Expr::Var { .. } => true,
            Expr::Array { items, .. } | Expr::Set { items, .. } => items.iter().all(|item| self.expression(item)),
            Expr::Object { fields, .. } => {
                fields.iter().all(|(_, key, value)| self.expression(key) && self.expression(value))
            }
            Expr::RefDot { refr, .. } => self.expression(refr),
            Expr::RefBrack { refr, index, .. } => self.expression(refr) && self.expression(index),
            Expr::BoolExpr { lhs, rhs, .. } | Expr::AssignExpr { lhs, rhs, .. } => {
                self.expression(lhs) && self.expression(rhs)
            }
            Expr::Membership { key, value, collection, .. } => {
                key.as_ref().is_none_or(|key| self.expression(key))
                    && self.expression(value)
                    && self.expression(collection)
            }
            Expr::Call { fcn, params, .. } => self.call(fcn, params),
            // Arithmetic, set operations and negative numbers fail on what is no number or set; comprehensions are
            // not needed by the policies of today.
            _ => false,
        }
    }

    fn call(&self, function: &Expr, parameters: &[Ref<Expr>]) -> bool {
        let Expr::Var { span, .. } = function else { return false };
        let name = span.text();
        let known = match (name, parameters) {
            ("sprintf", [format, arguments]) => fills_every_verb(format, arguments),
            (_, [_]) if TOTAL.contains(&name) => true,
            _ => self.functions.get(name) == Some(&parameters.len()),
        };
        known && parameters.iter().all(|parameter| self.expression(parameter))
    }
}

/// A literal format with verbs that take any value, and a literal list with as many values.
fn fills_every_verb(format: &Expr, arguments: &Expr) -> bool {
    let (Expr::String { span, .. }, Expr::Array { items, .. }) = (format, arguments) else { return false };
    let mut verbs = 0;
    let mut characters = span.text().chars();
    while let Some(character) = characters.next() {
        if character != '%' {
            continue;
        }
        match characters.next() {
            Some('%') => {}
            Some('s' | 'v') => verbs += 1,
            _ => return false,
        }
    }
    verbs == items.len()
}

#[cfg(test)]
mod tests {
    use regorus::unstable::{Parser, Source};

    use super::*;

    fn judged(rules: &str) -> bool {
        let source = Source::from_contents("a.rego".to_owned(), format!("package nexus.a\n\n{rules}\n")).unwrap();
        let mut parser = Parser::new(&source).unwrap();
        parser.enable_rego_v1().unwrap();
        is_infallible(&parser.parse().unwrap())
    }

    #[test]
    fn only_what_is_known_never_to_fail_passes() {
        let table = [
            ("allow if input.role == \"customer\"", true),
            ("allow if input.role in data.a.roles", true),
            ("allow if is_number(input.amount_cents)", true),
            ("allow if not mine(input.role)\n\nmine(role) if role == \"x\"", true),
            (
                "deny contains {\"rule\": \"r\", \"reason\": sprintf(\"%s at %v\", [input.a, input.b])} if input.a > 1",
                true,
            ),
            ("deny contains \"r\" if {\n\tsome x in input.types\n\tnot data.a[x]\n}", true),
            ("default allow := false", true),
            ("allow if sprintf(\"%d\", [input.a]) == \"1\"", false),
            ("allow if sprintf(\"%s %s\", [input.a]) == \"1\"", false),
            ("allow if sprintf(input.format, [input.a]) == \"1\"", false),
            ("allow if sprintf(\"100%\", []) == \"1\"", false),
            ("allow if count(input.types) > 0", false),
            ("allow if startswith(input.role, \"c\")", false),
            ("allow if input.a + 1 > 2", false),
            ("allow if -input.a > 2", false),
            ("allow if {\n\tevery x in input.types { x == 1 }\n}", false),
            ("allow if count([x | some x in input.types]) > 0", false),
            ("allow if data.nexus.b.f(1)", false),
            ("allow if f(1, 2)\n\nf(x) if x == 1", false),
            ("allow if f(1) == 2\n\nf(x) := x", true),
            ("allow if f(1) == 2\n\nf(x) := x\n\nf(x) := 2 if x == 1", false),
            ("allow if f(1)\n\nf(x) if x == 1\n\nf(x) if x == 2", true),
            ("x := 1 if input.a else := 2", false),
            ("import data.nexus.b\n\nallow if b.f(1)", false),
            ("allow if data.nexus.b.allow with input as {}", false),
        ];
        for (rules, expected) in table {
            assert_eq!(judged(rules), expected, "{rules}");
        }
    }
}
