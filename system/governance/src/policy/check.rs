//! What is held of every policy before it is enforced: its package, the form of its rules, and that it names no
//! builtin whose answer depends on when or where it is asked.

use std::collections::{BTreeMap, BTreeSet};

use regorus::unstable::{BUILTINS, Expr, Lexer, Module, Ref, Rule, RuleHead, Source, Span, Token, TokenKind};

use super::{InvalidPolicyBundle, PolicyModule, PolicyPosition};

const DENY_FORM: &str = r#"deny contains {"rule": "…", "reason": "…"} if { … }"#;
const ALLOW_FORM: &str = "allow if { … }";

/// What a policy contributes to a decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Contribution {
    pub allows: bool,
    pub denies: bool,
}

pub(super) fn check_module(module: &PolicyModule, parsed: &Module) -> Result<Contribution, InvalidPolicyBundle> {
    check_package(module, parsed)?;
    check_builtins(module, parsed)?;
    check_rules(module, parsed)
}

pub(super) fn check_name(module: &PolicyModule) -> Result<(), InvalidPolicyBundle> {
    let begins_well = module.name.starts_with(|c: char| c.is_ascii_lowercase());
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    if begins_well && module.name.chars().all(allowed) {
        return Ok(());
    }
    Err(InvalidPolicyBundle::ModuleName { file: module.file(), name: module.name.clone() })
}

pub(super) fn position(file: String, span: &Span) -> PolicyPosition {
    PolicyPosition { file, line: span.line, column: span.col }
}

fn check_package(module: &PolicyModule, parsed: &Module) -> Result<(), InvalidPolicyBundle> {
    let expected = format!("nexus.{}", module.name);
    let found = path_of(&parsed.package.refr).unwrap_or_default();
    if found == expected {
        return Ok(());
    }
    let position = position(module.file(), &parsed.package.span);
    Err(InvalidPolicyBundle::Package { position, expected, found })
}

fn check_rules(module: &PolicyModule, parsed: &Module) -> Result<Contribution, InvalidPolicyBundle> {
    let mut contribution = Contribution { allows: false, denies: false };
    let wrong = |span: &Span, rule, form| {
        Err(InvalidPolicyBundle::RuleForm { position: position(module.file(), span), rule, form })
    };
    for rule in &parsed.policy {
        let (name, is_set, is_flag) = head_of(rule);
        match name.split(['.', '[']).next().unwrap_or_default() {
            "deny" if is_set && name == "deny" => contribution.denies = true,
            "deny" => return wrong(rule.span(), "deny", DENY_FORM),
            "allow" if is_flag && name == "allow" => contribution.allows = true,
            "allow" => return wrong(rule.span(), "allow", ALLOW_FORM),
            _ => {}
        }
    }
    if !contribution.allows && !contribution.denies {
        return Err(InvalidPolicyBundle::DecidesNothing { file: module.file() });
    }
    Ok(contribution)
}

/// A rule's name, whether it builds a set, and whether it is a plain yes or no.
pub(super) fn head_of(rule: &Rule) -> (String, bool, bool) {
    match rule {
        Rule::Spec { head: RuleHead::Set { refr, .. }, .. } => (path_of(refr).unwrap_or_default(), true, false),
        Rule::Spec { head: RuleHead::Compr { refr, assign, .. }, .. } => {
            (path_of(refr).unwrap_or_default(), false, assign.is_none())
        }
        Rule::Spec { head: RuleHead::Func { refr, .. }, .. } => (path_of(refr).unwrap_or_default(), false, false),
        Rule::Default { refr, value, .. } => {
            let is_false = matches!(value.as_ref(), Expr::Bool { value, .. } if value.as_bool().is_ok_and(|yes| !yes));
            (path_of(refr).unwrap_or_default(), false, is_false)
        }
    }
}

/// The names of all rules, in the order of the source, each once.
pub(super) fn rule_names(parsed: &Module) -> Vec<String> {
    let mut seen = BTreeSet::new();
    parsed.policy.iter().map(|rule| head_of(rule).0).filter(|name| seen.insert(name.clone())).collect()
}

/// `a.b.c` for a reference made of names only.
fn path_of(refr: &Ref<Expr>) -> Option<String> {
    match refr.as_ref() {
        Expr::Var { span, .. } => Some(span.text().to_owned()),
        Expr::RefDot { refr, field: (span, _), .. } => Some(format!("{}.{}", path_of(refr)?, span.text())),
        Expr::RefBrack { refr, .. } => Some(format!("{}[]", path_of(refr)?)),
        _ => None,
    }
}

/// Builtins that read a clock, draw entropy, reach the network or the process, or write past the decision.
/// Each with why, and what to do instead.
fn forbidden(path: &str) -> Option<(&'static str, &'static str)> {
    const FROM_INPUT: &str = "have the caller put the value into `input`";
    match path {
        "time.now_ns" => Some(("it reads the clock, so a replay would decide otherwise", FROM_INPUT)),
        "opa.runtime" => Some(("it reads the process's environment", "put settings into data.json")),
        "net.lookup_ip_addr" => Some(("it asks the network", FROM_INPUT)),
        "print" | "trace" => Some(("it writes past the decision", "say it in the denial's reason")),
        _ if path.starts_with("rand.") => Some(("it draws entropy, so a replay would decide otherwise", FROM_INPUT)),
        _ if path.starts_with("uuid.") => Some(("it draws entropy, so a replay would decide otherwise", FROM_INPUT)),
        _ if path.starts_with("http.") => Some(("it asks the network", FROM_INPUT)),
        _ if path.starts_with("io.jwt.") => Some(("it reads the clock to judge expiry", FROM_INPUT)),
        _ => None,
    }
}

/// Forbidden names are looked for in the tokens, not among calls only: `with`, brackets and odd spacing then hide
/// nothing, and strings and comments do not count.
fn check_builtins(module: &PolicyModule, parsed: &Module) -> Result<(), InvalidPolicyBundle> {
    let tokens = tokens_of(module)?;
    let own_names: BTreeMap<String, ()> = rule_names(parsed).into_iter().map(|name| (name, ())).collect();
    let mut index = 0;
    while index < tokens.len() {
        let Some((path, end)) = path_at(&tokens, index) else {
            index += 1;
            continue;
        };
        let span = &tokens[index].1;
        if let Some((why, hint)) = forbidden(&path) {
            let position = position(module.file(), span);
            return Err(InvalidPolicyBundle::ForbiddenBuiltin { position, builtin: path, why, hint });
        }
        if is_call(&tokens, end) && !is_known_function(&path, &own_names, parsed) {
            let position = position(module.file(), span);
            return Err(InvalidPolicyBundle::UnknownFunction { position, function: path });
        }
        index = end;
    }
    Ok(())
}

/// The fields of the question that the policies read; `None` if one of them may read any.
pub(super) fn fields_read(modules: &[PolicyModule]) -> Result<Option<BTreeSet<String>>, InvalidPolicyBundle> {
    let mut fields = BTreeSet::new();
    for module in modules {
        let tokens = tokens_of(module)?;
        let mut index = 0;
        while index < tokens.len() {
            let Some((path, end)) = path_at(&tokens, index) else {
                index += 1;
                continue;
            };
            let mut names = path.split('.');
            match (names.next(), names.next()) {
                (Some("input"), Some(field)) => _ = fields.insert(field.to_owned()),
                (Some("input"), None) => return Ok(None),
                _ => {}
            }
            index = end;
        }
    }
    Ok(Some(fields))
}

fn tokens_of(module: &PolicyModule) -> Result<Vec<Token>, InvalidPolicyBundle> {
    let compile = |error: &dyn std::fmt::Display| InvalidPolicyBundle::Compile { message: error.to_string() };
    let source = Source::from_contents(module.file(), module.source.clone()).map_err(|error| compile(&error))?;
    let mut lexer = Lexer::new(&source);
    let mut tokens = Vec::new();
    loop {
        let token = lexer.next_token().map_err(|error| compile(&error))?;
        if token.0 == TokenKind::Eof {
            return Ok(tokens);
        }
        tokens.push(token);
    }
}

/// The dotted path that begins at `start`, and where it ends. `a["b"]` reads as `a.b`.
fn path_at(tokens: &[Token], start: usize) -> Option<(String, usize)> {
    if tokens[start].0 != TokenKind::Ident {
        return None;
    }
    let mut path = tokens[start].1.text().to_owned();
    let mut end = start + 1;
    loop {
        match &tokens[end..] {
            [dot, field, ..] if dot.1.text() == "." && field.0 == TokenKind::Ident => {
                path = format!("{path}.{}", field.1.text());
                end += 2;
            }
            [open, key, close, ..] if open.1.text() == "[" && is_text(key) && close.1.text() == "]" => {
                path = format!("{path}.{}", key.1.text().trim_matches(['"', '`']));
                end += 3;
            }
            _ => return Some((path, end)),
        }
    }
}

fn is_text(token: &Token) -> bool {
    matches!(token.0, TokenKind::String | TokenKind::RawString)
}

/// A call's bracket follows its name at once; after a keyword there is a space.
fn is_call(tokens: &[Token], end: usize) -> bool {
    tokens.get(end).is_some_and(|next| next.1.text() == "(" && next.1.start == tokens[end - 1].1.end)
}

fn is_known_function(path: &str, own_names: &BTreeMap<String, ()>, parsed: &Module) -> bool {
    const KEYWORDS: [&str; 7] = ["if", "in", "not", "some", "every", "with", "contains"];
    let first = path.split('.').next().unwrap_or(path);
    let imported = || {
        parsed.imports.iter().any(|import| match &import.r#as {
            Some(alias) => alias.text() == first,
            None => path_of(&import.refr).is_some_and(|imported| imported.rsplit('.').next() == Some(first)),
        })
    };
    own_names.contains_key(path)
        || BUILTINS.contains_key(path)
        || KEYWORDS.contains(&path)
        || first == "data"
        || path == "walk"
        || imported()
}
