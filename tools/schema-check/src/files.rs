//! Files as text, JSON, schemas and TOML, with the place of whatever is wrong in them.

use std::{fs, path::Path, sync::Arc};

use miette::{NamedSource, SourceSpan};
use nexus_governance_compatibility::{Schema, UnusableSchema};
use serde::de::DeserializeOwned;

use crate::error::{At, ToolError};

/// Larger files are not read: a definition has at most 170,000 characters of at most four bytes.
const BYTES_MAX: u64 = 4 * 170_000;

pub fn read_text(path: &Path) -> Result<String, ToolError> {
    let size = fs::metadata(path).at("read", path)?.len();
    if size > BYTES_MAX {
        let characters = usize::try_from(size).unwrap_or(usize::MAX);
        return Err(ToolError::Unusable { path: path.to_owned(), source: UnusableSchema::TooLarge { characters } });
    }
    let bytes = fs::read(path).at("read", path)?;
    String::from_utf8(bytes).map_err(|_| ToolError::NotText { path: path.to_owned() })
}

pub fn read_schema(path: &Path) -> Result<Schema, ToolError> {
    schema(path, &read_text(path)?)
}

/// Reads a schema; `path` is where its text came from.
pub fn schema(path: &Path, text: &str) -> Result<Schema, ToolError> {
    Schema::parse(text).map_err(|error| match error {
        UnusableSchema::NotJson { line, column, message } => ToolError::NotJson {
            path: path.to_owned(),
            message,
            line,
            column,
            source_code: Arc::new(NamedSource::new(path.display().to_string(), text.to_owned()).with_language("json")),
            place: SourceSpan::from(offset_of(text, line, column)),
        },
        source => ToolError::Unusable { path: path.to_owned(), source },
    })
}

/// The byte at a line and column, both counted from 1; the column counts bytes, as serde's does.
fn offset_of(text: &str, line: usize, column: usize) -> usize {
    let before: usize = text.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
    (before + column.saturating_sub(1)).min(text.len().saturating_sub(1))
}

pub fn read_toml<T: DeserializeOwned>(path: &Path) -> Result<T, ToolError> {
    let text = read_text(path)?;
    toml::from_str(&text).map_err(|error| ToolError::NotToml {
        path: path.to_owned(),
        message: error.message().to_owned(),
        place: SourceSpan::from(error.span().unwrap_or(0..0)),
        source_code: Arc::new(NamedSource::new(path.display().to_string(), text.clone()).with_language("toml")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_columns_lead_to_bytes() {
        let text = "{\n  \"é\": x\n}";
        let table = [(1, 1, 0), (2, 1, 2), (2, 9, 10), (9, 9, text.len() - 1)];
        for (line, column, expected) in table {
            assert_eq!(offset_of(text, line, column), expected, "{line}:{column}");
        }
    }
}
