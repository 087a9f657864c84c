use std::path::PathBuf;

use miette::Diagnostic;
use thiserror::Error;

/// Why no build with mutants came about.
#[derive(Debug, Error, Diagnostic)]
pub enum MutantsError {
    #[error("cannot {what} `{}`: {source}", path.display())]
    File { what: &'static str, path: PathBuf, source: std::io::Error },

    #[error("`{program}` does not start: {source}")]
    Start { program: String, source: std::io::Error },

    #[error("the request is not understood: {0}")]
    #[diagnostic(help("this program is started by `cargo xtask bench mutants`"))]
    Request(String),

    #[error("cargo-mutants could not be installed ({status})")]
    #[diagnostic(help("install it yourself with: cargo install --locked cargo-mutants"))]
    Install { status: String },

    #[error("`cargo mutants --list` ended with {status}: {message}")]
    Listing { status: String, message: String },

    #[error("the list of cargo-mutants is not understood: {0}")]
    #[diagnostic(help("its form is that of cargo-mutants 27; another version may have changed it"))]
    ListingForm(#[source] serde_json::Error),

    #[error("{wanted} mutants were asked for, and {found} can be had")]
    #[diagnostic(help("ask for fewer with --sample"))]
    TooFew { wanted: usize, found: usize },

    #[error("`{file}` is not Rust: {source}")]
    Syntax { file: String, source: syn::Error },

    #[error("the copy does not compile, and no mutant is to blame:\n{messages}")]
    Compile { messages: String },
}
