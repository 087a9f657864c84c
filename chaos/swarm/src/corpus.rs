//! Trials that showed something that none before them did.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use proptest::test_runner::TestRunner;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{Trial, dice::draw};

/// The version of a corpus file's format; it grows with every change of a field.
pub const CORPUS_FORMAT_VERSION: u32 = 1;

/// A trial and what it showed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CorpusEntry {
    pub format_version: u32,
    pub features: BTreeSet<String>,
    pub trial: Trial,
}

impl CorpusEntry {
    /// Made of the trial's content, so that the same trial is the same file everywhere.
    pub fn name(&self) -> String {
        let text = serde_json::to_vec(&self.trial).unwrap_or_default();
        let digest = Sha256::digest(&text);
        let hash: String = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        format!("{}-{hash}", self.trial.scenario)
    }
}

/// A corpus that cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum CorpusError {
    #[error("cannot read the corpus `{path}`: {source}")]
    Unreadable { path: PathBuf, source: std::io::Error },
    #[error("`{path}` is no trial of a corpus: {problem}; remove it, or name another folder")]
    Malformed { path: PathBuf, problem: String },
    #[error("cannot write the corpus `{path}`: {source}")]
    Unwritable { path: PathBuf, source: std::io::Error },
}

/// All that was found worth keeping, in the order in which it was found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Corpus {
    entries: Vec<CorpusEntry>,
    /// How many trials showed each feature, those that were not kept too.
    shown: BTreeMap<String, u64>,
}

impl Corpus {
    pub fn entries(&self) -> &[CorpusEntry] {
        &self.entries
    }

    /// How many different features were seen.
    pub fn features(&self) -> usize {
        self.shown.len()
    }

    /// How many trials showed each feature.
    pub fn shown(&self) -> &BTreeMap<String, u64> {
        &self.shown
    }

    /// Takes note of what a trial showed, and keeps the trial if any of that is new. Returns how much is.
    pub fn offer(&mut self, trial: &Trial, features: &[String]) -> usize {
        let features: BTreeSet<String> = features.iter().cloned().collect();
        let new = features.iter().filter(|feature| !self.shown.contains_key(*feature)).count();
        for feature in &features {
            *self.shown.entry(feature.clone()).or_default() += 1;
        }
        if new > 0 {
            let format_version = CORPUS_FORMAT_VERSION;
            self.entries.push(CorpusEntry { format_version, features, trial: trial.clone() });
        }
        new
    }

    /// One of the entries; those with features that few trials show are likelier. `None` if there is none.
    pub fn choose(&self, runner: &mut TestRunner) -> Option<&CorpusEntry> {
        let weights: Vec<u64> = self.entries.iter().map(|entry| self.weight(entry)).collect();
        let total: u64 = weights.iter().sum();
        if total == 0 {
            return None;
        }
        let mut place = draw(runner, 0..total);
        for (entry, weight) in self.entries.iter().zip(weights) {
            if place < weight {
                return Some(entry);
            }
            place -= weight;
        }
        self.entries.last()
    }

    fn weight(&self, entry: &CorpusEntry) -> u64 {
        let rare = |feature: &&String| self.shown.get(*feature).is_some_and(|trials| *trials <= 3);
        1 + 4 * entry.features.iter().filter(rare).count() as u64
    }

    /// The corpus without what others show as well: the entry with most features first, then whichever adds most, until
    /// every feature that an entry shows is shown. Equals are taken in the order in which they were found.
    pub fn cover(&self) -> Vec<&CorpusEntry> {
        let mut missing: BTreeSet<&String> = self.entries.iter().flat_map(|entry| &entry.features).collect();
        let mut left: Vec<&CorpusEntry> = self.entries.iter().collect();
        let mut cover = Vec::new();
        while !missing.is_empty() {
            let gain = |entry: &CorpusEntry| entry.features.iter().filter(|feature| missing.contains(feature)).count();
            let gains: Vec<usize> = left.iter().map(|entry| gain(entry)).collect();
            let most = gains.iter().copied().max().unwrap_or(0);
            let Some(position) = gains.iter().position(|gain| *gain == most && most > 0) else { break };
            let taken = left.remove(position);
            taken.features.iter().for_each(|feature| {
                missing.remove(feature);
            });
            cover.push(taken);
        }
        cover
    }

    /// The trials of a folder, in the order of their names; none if there is no such folder yet.
    ///
    /// # Errors
    /// If a file in it cannot be read or is something else.
    pub fn read_trials(folder: &Path) -> Result<Vec<Trial>, CorpusError> {
        let unreadable = |source| CorpusError::Unreadable { path: folder.to_owned(), source };
        let entries = match fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(unreadable(error)),
        };
        let paths: Result<Vec<PathBuf>, _> = entries.map(|entry| entry.map(|entry| entry.path())).collect();
        let mut paths = paths.map_err(unreadable)?;
        paths.retain(|path| path.extension().is_some_and(|ending| ending == "json"));
        paths.sort();
        paths.iter().map(|path| read_entry(path).map(|entry| entry.trial)).collect()
    }

    /// Writes the cover into a folder; files of it that the cover does without are removed.
    ///
    /// # Errors
    /// If the folder or a file cannot be written.
    pub fn write(&self, folder: &Path) -> Result<usize, CorpusError> {
        let unwritable = |path: &Path| {
            let path = path.to_owned();
            move |source| CorpusError::Unwritable { path, source }
        };
        fs::create_dir_all(folder).map_err(unwritable(folder))?;
        let cover = self.cover();
        let names: BTreeSet<String> = cover.iter().map(|entry| format!("{}.json", entry.name())).collect();
        for entry in fs::read_dir(folder).map_err(unwritable(folder))?.flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            // Only what is ours: another file in this folder is somebody's.
            if name.ends_with(".json") && !names.contains(&name) && read_entry(&entry.path()).is_ok() {
                fs::remove_file(entry.path()).map_err(unwritable(&entry.path()))?;
            }
        }
        for entry in &cover {
            let path = folder.join(format!("{}.json", entry.name()));
            let json = serde_json::to_vec(entry)
                .map_err(|error| CorpusError::Malformed { path: path.clone(), problem: error.to_string() })?;
            fs::write(&path, json).map_err(unwritable(&path))?;
        }
        Ok(cover.len())
    }
}

fn read_entry(path: &Path) -> Result<CorpusEntry, CorpusError> {
    let bytes = fs::read(path).map_err(|source| CorpusError::Unreadable { path: path.to_owned(), source })?;
    let entry: CorpusEntry = serde_json::from_slice(&bytes)
        .map_err(|error| CorpusError::Malformed { path: path.to_owned(), problem: error.to_string() })?;
    if entry.format_version == CORPUS_FORMAT_VERSION {
        return Ok(entry);
    }
    let problem =
        format!("it has format version {}, and this build reads {CORPUS_FORMAT_VERSION}", entry.format_version);
    Err(CorpusError::Malformed { path: path.to_owned(), problem })
}
