//! What is asked: the mode, and how strictly.

use serde::Serialize;

/// Which versions must understand which. As AWS Glue names them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Mode {
    /// Anything may follow.
    None,
    /// Nothing may follow the first version.
    Disabled,
    /// The new schema reads what was written under the previous one.
    Backward,
    /// The new schema reads what was written under every previous one.
    BackwardAll,
    /// The previous schema reads what is written under the new one.
    Forward,
    /// Every previous schema reads what is written under the new one.
    ForwardAll,
    /// Both, towards the previous version.
    Full,
    /// Both, towards every previous version.
    FullAll,
}

impl Mode {
    pub const ALL: [Mode; 8] = [
        Mode::None,
        Mode::Disabled,
        Mode::Backward,
        Mode::BackwardAll,
        Mode::Forward,
        Mode::ForwardAll,
        Mode::Full,
        Mode::FullAll,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Mode::None => "NONE",
            Mode::Disabled => "DISABLED",
            Mode::Backward => "BACKWARD",
            Mode::BackwardAll => "BACKWARD_ALL",
            Mode::Forward => "FORWARD",
            Mode::ForwardAll => "FORWARD_ALL",
            Mode::Full => "FULL",
            Mode::FullAll => "FULL_ALL",
        }
    }

    /// Reads a mode's name, in whatever case, with `-` or `_`.
    pub fn named(name: &str) -> Option<Mode> {
        let plain = name.replace('-', "_").to_ascii_uppercase();
        Mode::ALL.into_iter().find(|mode| mode.name() == plain)
    }

    /// Whether all previous versions count, not the last one only.
    pub fn is_transitive(self) -> bool {
        matches!(self, Mode::BackwardAll | Mode::ForwardAll | Mode::FullAll)
    }

    pub(crate) fn directions(self) -> &'static [Direction] {
        match self {
            Mode::None | Mode::Disabled => &[],
            Mode::Backward | Mode::BackwardAll => &[Direction::Backward],
            Mode::Forward | Mode::ForwardAll => &[Direction::Forward],
            Mode::Full | Mode::FullAll => &[Direction::Backward, Direction::Forward],
        }
    }
}

impl std::fmt::Display for Mode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// Who reads what.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// The new schema reads old documents.
    Backward,
    /// The old schema reads new documents.
    Forward,
}

/// How open content models are taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ContentModel {
    /// What a schema admits, someone has written: a property that is newly described in an open model can meet documents in
    /// which that name already held something else.
    #[default]
    Strict,
    /// Writers write only what their schema declares.
    Lenient,
}

/// How two schemas are compared.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    pub mode: Mode,
    pub content_model: ContentModel,
    /// Whether removed fields, changed types and new required fields break in every mode but NONE.
    pub house_rule: bool,
    /// Cases that one search may look at; beyond, the verdict is undecided.
    pub effort: u64,
}

impl Options {
    /// Strict, with the house rule.
    pub fn new(mode: Mode) -> Options {
        Options { mode, content_model: ContentModel::Strict, house_rule: true, effort: 20_000 }
    }

    #[must_use]
    pub fn lenient(self) -> Options {
        Options { content_model: ContentModel::Lenient, ..self }
    }

    #[must_use]
    pub fn without_house_rule(self) -> Options {
        Options { house_rule: false, ..self }
    }
}
