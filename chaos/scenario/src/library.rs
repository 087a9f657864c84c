//! Finding scenarios on disk.

use std::{
    fmt, fs,
    path::{Path, PathBuf},
};

use miette::Diagnostic;
use serde::{Deserialize, Serialize};

use crate::{Scenario, ScenarioError, parse};

/// What a scenario costs, told by its folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Tier {
    /// Seconds; run on every occasion.
    Smoke,
    /// Runs with every default run.
    Fast,
    /// Minutes, or long horizons; run when asked for.
    Slow,
    /// Seeds that once broke something.
    Regress,
}

impl Tier {
    pub const ALL: [Tier; 4] = [Tier::Smoke, Tier::Fast, Tier::Slow, Tier::Regress];

    pub fn folder(self) -> &'static str {
        match self {
            Tier::Smoke => "smoke",
            Tier::Fast => "fast",
            Tier::Slow => "slow",
            Tier::Regress => "regress",
        }
    }
}

impl fmt::Display for Tier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.folder())
    }
}

#[derive(Debug, thiserror::Error, Diagnostic)]
pub enum LibraryError {
    #[error(transparent)]
    #[diagnostic(transparent)]
    BadScenario(#[from] ScenarioError),
    #[error("cannot read `{path}`")]
    Unreadable {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("no scenario is called `{name}`")]
    #[diagnostic(help("known: {known}; or give the path of a .toml file, or `all`"))]
    Unknown { name: String, known: String },
}

/// Every scenario under the folder `scenarios/`, by tier, then by name.
///
/// # Errors
/// The first file that cannot be read or used: a broken scenario is never passed over.
pub fn load_all(scenarios: &Path) -> Result<Vec<(Tier, Scenario)>, LibraryError> {
    let mut found = Vec::new();
    for tier in Tier::ALL {
        let folder = scenarios.join(tier.folder());
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        let mut paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
        paths.retain(|path| path.extension().is_some_and(|ending| ending == "toml"));
        paths.sort();
        for path in paths {
            found.push((tier, load_file(&path)?));
        }
    }
    Ok(found)
}

/// One file.
///
/// # Errors
/// If it cannot be read or used.
pub fn load_file(path: &Path) -> Result<Scenario, LibraryError> {
    let text = fs::read_to_string(path).map_err(|source| LibraryError::Unreadable { path: path.to_owned(), source })?;
    let name = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    Ok(parse(&name, &path.display().to_string(), &text)?)
}

/// The scenario called `name_or_path`: a name in the library, else a path to a `.toml` file (its tier is then told by its
/// folder, or `fast`).
///
/// # Errors
/// If there is neither, with the known names; or if the file is bad.
pub fn find(scenarios: &Path, name_or_path: &str) -> Result<(Tier, Scenario), LibraryError> {
    if name_or_path.ends_with(".toml") {
        let path = Path::new(name_or_path);
        let folder = path.parent().and_then(Path::file_name).map(|name| name.to_string_lossy().into_owned());
        let tier = Tier::ALL.into_iter().find(|tier| Some(tier.folder()) == folder.as_deref()).unwrap_or(Tier::Fast);
        return Ok((tier, load_file(path)?));
    }
    let all = load_all(scenarios)?;
    let known = all.iter().map(|(_, scenario)| scenario.name.as_str()).collect::<Vec<_>>().join(", ");
    all.into_iter()
        .find(|(_, scenario)| scenario.name == name_or_path)
        .ok_or_else(|| LibraryError::Unknown { name: name_or_path.to_owned(), known })
}
