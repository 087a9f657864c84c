//! The event schemas on disk: those of today, and those of the last release.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use nexus_governance_compatibility::Schema;
use serde::Deserialize;

use crate::{
    error::{At, ToolError},
    files,
};

/// Versions of each event type, by number.
pub type Versions = BTreeMap<String, BTreeMap<u32, Schema>>;

/// What was released last.
pub struct Released {
    pub release: String,
    pub schemas: Versions,
    /// How many versions of each event type the manifest names.
    pub listed: BTreeMap<String, u32>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Manifest {
    /// The release's name.
    release: String,
    /// The newest version of each event type in it.
    versions: BTreeMap<String, u32>,
}

pub fn schemas_folder(root: &Path) -> PathBuf {
    root.join("system").join("schemas")
}

/// The schemas of today: `system/schemas/events`.
pub fn current(root: &Path) -> Result<Versions, ToolError> {
    let folder = schemas_folder(root).join("events");
    let found = read_folder(&folder)?;
    if found.is_empty() { Err(ToolError::NoSchemas { path: folder }) } else { Ok(found) }
}

/// The last release: `system/schemas/released`.
pub fn released(root: &Path) -> Result<Released, ToolError> {
    let folder = schemas_folder(root).join("released");
    let manifest: Manifest = files::read_toml(&folder.join("manifest.toml"))?;
    Ok(Released { release: manifest.release, schemas: read_folder(&folder)?, listed: manifest.versions })
}

/// Reads `<EventType>/v<version>.json` of a folder. Files beside the folders are not schemas.
fn read_folder(folder: &Path) -> Result<Versions, ToolError> {
    let mut found = Versions::new();
    for entry in list(folder)? {
        if !entry.is_dir() {
            continue;
        }
        let event_type = entry.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
        for file in list(&entry)? {
            let version = version_of(&file).ok_or_else(|| ToolError::FileName { path: file.clone() })?;
            let schema = files::read_schema(&file)?;
            found.entry(event_type.clone()).or_default().insert(version, schema);
        }
    }
    Ok(found)
}

fn list(folder: &Path) -> Result<Vec<PathBuf>, ToolError> {
    let entries = fs::read_dir(folder).at("list", folder)?;
    let mut paths = entries.map(|entry| Ok(entry.at("list", folder)?.path())).collect::<Result<Vec<_>, ToolError>>()?;
    paths.sort();
    Ok(paths)
}

fn version_of(file: &Path) -> Option<u32> {
    let number = file.file_name()?.to_str()?.strip_prefix('v')?.strip_suffix(".json")?;
    number.parse().ok().filter(|version: &u32| *version > 0 && version.to_string() == number)
}
