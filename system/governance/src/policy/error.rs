//! What can be wrong with a policy bundle.

use std::fmt;

/// A place in a policy's source. Lines and columns count from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyPosition {
    pub file: String,
    pub line: u32,
    pub column: u32,
}

impl fmt::Display for PolicyPosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

/// A policy bundle cannot be enforced. A service must not start with it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPolicyBundle {
    #[error(
        "the bundle has no policy\n\nhint: a bundle without policies would deny everything; give it at least one module"
    )]
    Empty,
    #[error("{file}: there are two policies of this name\n\nhint: a policy's file name is its identity; rename one")]
    DuplicateModule { file: String },
    #[error("{file}: `{name}` cannot name a policy\n\nhint: use a to z, 0 to 9 and `_`, beginning with a letter")]
    ModuleName { file: String, name: String },
    #[error("{position}: {message}\n\nhint: {hint}")]
    Syntax { position: PolicyPosition, message: String, hint: &'static str },
    #[error(
        "{position}: the package is `{found}`, expected `{expected}`\n\nhint: begin the file with `package {expected}`"
    )]
    Package { position: PolicyPosition, expected: String, found: String },
    #[error("{position}: `{builtin}` is not allowed in a policy: {why}\n\nhint: {hint}")]
    ForbiddenBuiltin { position: PolicyPosition, builtin: String, why: &'static str, hint: &'static str },
    #[error(
        "{position}: no function is called `{function}`\n\n\
         hint: it is neither a builtin known here nor defined in this file; check the spelling"
    )]
    UnknownFunction { position: PolicyPosition, function: String },
    #[error("{position}: `{rule}` has the wrong form\n\nhint: write `{form}`")]
    RuleForm { position: PolicyPosition, rule: &'static str, form: &'static str },
    #[error(
        "{file}: the policy decides nothing\n\n\
         hint: define `deny contains {{\"rule\": \"…\", \"reason\": \"…\"}} if {{ … }}`, or `allow if {{ … }}`"
    )]
    DecidesNothing { file: String },
    #[error("{file}: {message}\n\nhint: the data must be one JSON object")]
    Data { file: String, message: String },
    #[error("the bundle does not compile: {message}")]
    Compile { message: String },
}

/// Reads the position and the message out of an error's text as the Rego engine writes it:
/// `--> file:line:column`, the source line with a caret, then `error: message`.
pub(super) fn locate(text: &str) -> Option<(PolicyPosition, String)> {
    let place = text.lines().find_map(|line| line.trim_start().strip_prefix("--> "))?;
    let mut parts = place.rsplitn(3, ':');
    let column = parts.next()?.trim().parse().ok()?;
    let line = parts.next()?.parse().ok()?;
    let file = parts.next()?.to_owned();
    let message = text.lines().find_map(|line| line.strip_prefix("error: ")).unwrap_or("the source is not valid Rego");
    Some((PolicyPosition { file, line, column }, message.trim().to_owned()))
}

/// The error's text on one line, with its position in front, for reasons and logs.
pub(super) fn on_one_line(text: &str) -> String {
    match locate(text) {
        Some((position, message)) => format!("{position}: {message}"),
        None => text.split_whitespace().collect::<Vec<_>>().join(" "),
    }
}
