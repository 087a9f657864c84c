//! What stands in the way of an answer: what happened, where, and how to mend it.

use std::{io, path::PathBuf, sync::Arc};

use miette::{Diagnostic, NamedSource, SourceSpan};
use nexus_governance_compatibility::UnusableSchema;

#[derive(Debug, thiserror::Error, Diagnostic)]
pub enum ToolError {
    #[error("cannot {action} {}", path.display())]
    #[diagnostic(help("check that the path is right and that you may use it"))]
    File { action: &'static str, path: PathBuf, source: io::Error },

    #[error("{} is not text in UTF-8", path.display())]
    #[diagnostic(help("save the file as UTF-8"))]
    NotText { path: PathBuf },

    #[error("{} is not JSON: {message} (line {line}, column {column})", path.display())]
    #[diagnostic(help("mend the place that is marked"))]
    NotJson {
        path: PathBuf,
        message: String,
        line: usize,
        column: usize,
        #[source_code]
        source_code: Arc<NamedSource<String>>,
        #[label("here")]
        place: SourceSpan,
    },

    #[error("{} is no usable schema", path.display())]
    #[diagnostic(help("the comparison needs a valid JSON Schema of draft-07 that stands by itself"))]
    Unusable { path: PathBuf, source: UnusableSchema },

    #[error("{} cannot be used: {message}", path.display())]
    #[diagnostic(help("mend the place that is marked; unknown keys are errors"))]
    NotToml {
        path: PathBuf,
        message: String,
        #[source_code]
        source_code: Arc<NamedSource<String>>,
        #[label("here")]
        place: SourceSpan,
    },

    #[error("{} is not named as an event schema is", path.display())]
    #[diagnostic(help("name it `<EventType>/v<version>.json`, the version a whole number from 1"))]
    FileName { path: PathBuf },

    #[error("there is no event schema in {}", path.display())]
    #[diagnostic(help("run the command inside a clone of Nexus, through `cargo xtask schema`"))]
    NoSchemas { path: PathBuf },

    #[error("the story of the domain's events cannot be told: {reason}")]
    #[diagnostic(help("bring the commands in tools/schema-check/src/story.rs up to the domain as it is now"))]
    Story { reason: String },
}

/// Gives an input/output error the path and the deed that it lacks.
pub trait At<T> {
    fn at(self, action: &'static str, path: &std::path::Path) -> Result<T, ToolError>;
}

impl<T> At<T> for io::Result<T> {
    fn at(self, action: &'static str, path: &std::path::Path) -> Result<T, ToolError> {
        self.map_err(|source| ToolError::File { action, path: path.to_owned(), source })
    }
}
