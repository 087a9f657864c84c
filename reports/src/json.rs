//! The record as a file: JSON of a known version, or an error that says what is wrong, where, and how to mend it.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::model::{FORMAT_VERSION, RunRecord};

/// Why a text or file is no run record that can be shown.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    #[error("cannot read {path}: {source}; name the record.json that a run wrote", path = path.display())]
    Unreadable { path: PathBuf, source: std::io::Error },
    #[error("{path}: {source}", path = path.display())]
    InFile { path: PathBuf, source: Box<ReadError> },
    #[error(
        "line {line}, column {column}: not JSON: {reason}; the file was cut or edited: run the scenarios again to write it anew"
    )]
    NotJson { line: usize, column: usize, reason: String },
    #[error("not a run record: it has no number under \"format_version\"; name the record.json that a run wrote")]
    NotARecord,
    #[error(
        "a run record of format version {found}, where this build reads version {understood}; \
         read it with the revision that wrote it, or run the scenarios again"
    )]
    OtherVersion { found: u64, understood: u32 },
    #[error(
        "line {line}, column {column}, at {place}: {reason}; the record is damaged: run the scenarios again to write it anew"
    )]
    Damaged { line: usize, column: usize, place: String, reason: String },
}

/// Why a record cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    #[error("the run record holds what JSON cannot: {reason}")]
    NotRepresentable { reason: String },
}

/// Only what every version must have, so that other versions are recognised before their fields confuse.
#[derive(Deserialize)]
struct VersionOnly {
    format_version: Option<serde_json::Value>,
}

impl RunRecord {
    /// The whole record as one line of JSON, the same for equal records.
    pub fn to_json(&self) -> Result<String, WriteError> {
        serde_json::to_string(self).map_err(|error| WriteError::NotRepresentable { reason: error.to_string() })
    }

    /// Reads what [`RunRecord::to_json`] wrote.
    pub fn from_json(text: &str) -> Result<Self, ReadError> {
        let version: VersionOnly = serde_json::from_str(text).map_err(|error| match error.classify() {
            serde_json::error::Category::Data => ReadError::NotARecord,
            _ => ReadError::NotJson { line: error.line(), column: error.column(), reason: bare_reason(&error) },
        })?;
        // Field by field, an array would pass for an object.
        let is_object = text.trim_start().starts_with('{');
        match version.format_version.filter(|_| is_object).and_then(|value| value.as_u64()) {
            None => Err(ReadError::NotARecord),
            Some(found) if found != u64::from(FORMAT_VERSION) => {
                Err(ReadError::OtherVersion { found, understood: FORMAT_VERSION })
            }
            Some(_) => read_fields(text),
        }
    }

    /// Reads a file that holds what [`RunRecord::to_json`] wrote.
    pub fn read_file(path: &Path) -> Result<Self, ReadError> {
        let text =
            std::fs::read_to_string(path).map_err(|source| ReadError::Unreadable { path: path.to_owned(), source })?;
        Self::from_json(&text).map_err(|source| ReadError::InFile { path: path.to_owned(), source: Box::new(source) })
    }
}

fn read_fields(text: &str) -> Result<RunRecord, ReadError> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let place = error.path().to_string();
        let error = error.into_inner();
        ReadError::Damaged { line: error.line(), column: error.column(), place, reason: bare_reason(&error) }
    })
}

/// The error's text without its place, which is told apart.
fn bare_reason(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text.rfind(" at line ") {
        Some(end) => text[..end].to_owned(),
        None => text,
    }
}
