//! What the policies at run time are set to: promises may be kept in settings, so the desk looks at those, too.

use serde::Serialize;
use serde_json::Value;

use crate::{error::CheckError, worktree::WorkTree};

const DATA: &str = "policies/runtime/data.json";

#[derive(Clone, Debug, Default, Serialize)]
pub struct RuntimeSettings {
    pub file: String,
    /// The whole of `policies/runtime/data.json`; null if there is none.
    pub data: Value,
}

pub(super) fn gather(tree: &WorkTree) -> Result<RuntimeSettings, CheckError> {
    if !tree.files().any(|file| file == DATA) {
        return Ok(RuntimeSettings { file: DATA.to_owned(), data: Value::Null });
    }
    let text = tree.read(DATA)?;
    let data = serde_json::from_str(&text).map_err(|error| CheckError::json(DATA, &text, &error))?;
    Ok(RuntimeSettings { file: DATA.to_owned(), data })
}
