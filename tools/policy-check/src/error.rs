//! What can go wrong before a verdict: what, where, and how to mend it. All of it is exit code 2.

use std::{io, path::PathBuf};

use miette::{NamedSource, SourceSpan};

use crate::yaml::UnreadableDocument;

/// A place in a text, for the mark below it.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
#[error("{file} is not {what}: {message}")]
#[diagnostic(help("mend the file at the mark"))]
pub struct Unreadable {
    file: String,
    what: &'static str,
    message: String,
    #[source_code]
    source_code: NamedSource<String>,
    #[label("here")]
    place: SourceSpan,
}

#[derive(Debug, thiserror::Error, miette::Diagnostic)]
pub enum CheckError {
    #[error("cannot {action} {}", path.display())]
    #[diagnostic(help("check that the path is right and that you may use it"))]
    File { action: &'static str, path: PathBuf, source: io::Error },

    #[error("cannot start `{program}`")]
    #[diagnostic(help("install it, or put it on PATH"))]
    Start { program: &'static str, source: io::Error },

    #[error("`cargo metadata` did not describe the workspace: {reason}")]
    #[diagnostic(help("mend the manifest that cargo names"))]
    Metadata { reason: String },

    #[error("{} is no work tree of git", root.display())]
    #[diagnostic(help("leave out --changed: everything is then checked"))]
    NoGit { root: PathBuf },

    #[error("{file}: {what} cannot be found in it")]
    #[diagnostic(help(
        "facts are read from there: if the code has moved on, teach tools/policy-check/src/facts where they are now"
    ))]
    Missing { file: String, what: &'static str },

    #[error("{file} is no schema's name")]
    #[diagnostic(help("schemas are files `<event type>/v<version>.json`"))]
    SchemaName { file: String },

    #[error("there is no policy in {}", folder.display())]
    #[diagnostic(help("restore the folder, for instance with git"))]
    NoPolicies { folder: PathBuf },

    #[error("{file}: {message}")]
    #[diagnostic(help("{help}"))]
    Policy { file: String, message: String, help: &'static str },

    #[error(transparent)]
    #[diagnostic(transparent)]
    Document(Box<UnreadableDocument>),

    #[error(transparent)]
    #[diagnostic(transparent)]
    Unreadable(Box<Unreadable>),
}

impl CheckError {
    pub fn json(file: &str, text: &str, error: &serde_json::Error) -> CheckError {
        let at = byte_at(text, error.line(), error.column());
        // The place is in the mark; the message need not tell it again.
        let message = error.to_string();
        let message = message.split(" at line ").next().unwrap_or(&message).to_owned();
        unreadable(file, text, "JSON", message, (at, 1))
    }

    pub fn toml(file: &str, text: &str, error: &toml::de::Error) -> CheckError {
        let span = error.span().map_or((0, 1), |span| (span.start, span.len().max(1)));
        unreadable(file, text, "TOML", error.message().to_owned(), span)
    }

    pub fn rust(file: &str, text: &str, error: &syn::Error) -> CheckError {
        let start = error.span().start();
        let at = byte_at(text, start.line, start.column + 1);
        unreadable(file, text, "Rust that this reads", error.to_string(), (at, 1))
    }

    /// An input document that is JSON, but not one that can be judged. `field` is marked where the text has it.
    pub fn input(file: &str, text: &str, what: &'static str, message: String, field: Option<&str>) -> CheckError {
        let quoted = field.map(|field| format!("\"{field}\""));
        let span = quoted.as_deref().and_then(|quoted| Some((text.find(quoted)?, quoted.len())));
        unreadable(file, text, what, message, span.unwrap_or((0, 1)))
    }

    /// A failure that the Rego engine tells as text, with file, line and a mark of its own.
    pub fn rego(error: &dyn std::fmt::Display) -> CheckError {
        let text = error.to_string();
        let place = text.lines().find_map(|line| line.trim_start().strip_prefix("--> "));
        let message = text.lines().find_map(|line| line.strip_prefix("error: "));
        CheckError::Policy {
            file: place.unwrap_or("a policy").trim().to_owned(),
            message: message.map_or_else(|| text.trim().to_owned(), |message| message.trim().to_owned()),
            help: "policies are Rego v1; policies/README.md tells the form",
        }
    }
}

fn unreadable(file: &str, text: &str, what: &'static str, message: String, span: (usize, usize)) -> CheckError {
    CheckError::Unreadable(Box::new(Unreadable {
        file: file.to_owned(),
        what,
        message,
        source_code: NamedSource::new(file, text.to_owned()),
        place: SourceSpan::from(span),
    }))
}

/// The byte of a line and a column, both from 1; the last one where the text is shorter.
fn byte_at(text: &str, line: usize, column: usize) -> usize {
    let before: usize = text.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
    (before + column.saturating_sub(1)).min(text.len().saturating_sub(1))
}
