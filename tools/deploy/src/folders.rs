//! Where everything lies in the work tree.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::{DeployError, Objective, Template, alarms, template_of_schemas};

const TEMPLATE: &str = "template.yaml";
const SCHEMAS: &str = "schemas.yaml";

/// The work tree, as this tool sees it.
#[derive(Clone, Debug)]
pub struct Folders {
    root: PathBuf,
}

impl Folders {
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The folder of the committed templates.
    pub fn deploy(&self) -> PathBuf {
        self.root.join("system/deploy")
    }

    /// Where templates go when no other place is named.
    pub fn default_output(&self) -> PathBuf {
        self.root.join("target/nexus/deploy")
    }

    /// Where cfn-lint is installed.
    pub fn lint_environment(&self) -> PathBuf {
        self.root.join("target/deploy-lint")
    }

    /// Both templates.
    pub fn templates(&self) -> [PathBuf; 2] {
        [TEMPLATE, SCHEMAS].map(|name| self.deploy().join(name))
    }

    /// # Errors
    /// The file cannot be read or is no template.
    pub fn template(&self) -> Result<Template, DeployError> {
        let path = self.deploy().join(TEMPLATE);
        Template::parse(&read(&path)?).map_err(|reason| DeployError::NoTemplate { path, reason })
    }

    /// The text of the committed template of schemas; empty where there is none yet.
    ///
    /// # Errors
    /// The file is there and cannot be read.
    pub fn committed_schemas(&self) -> Result<String, DeployError> {
        let path = self.deploy().join(SCHEMAS);
        if path.exists() { read(&path) } else { Ok(String::new()) }
    }

    /// Every objective of the scenarios in `scenarios/smoke`, each once.
    ///
    /// # Errors
    /// A scenario cannot be read, or none has an objective.
    pub fn smoke_objectives(&self) -> Result<Vec<Objective>, DeployError> {
        let folder = self.root.join("scenarios/smoke");
        let listing = |source| DeployError::File { action: "list", path: folder.clone(), source };
        let mut objectives = Vec::new();
        for entry in fs::read_dir(&folder).map_err(listing)? {
            let path = entry.map_err(listing)?.path();
            if path.extension().is_some_and(|extension| extension == "toml") {
                let found = alarms::objectives_of_scenario(&read(&path)?);
                objectives.extend(found.map_err(|reason| DeployError::NoScenario { path, reason })?);
            }
        }
        objectives.sort_by(|one, other| one.sort_key().cmp(&other.sort_key()));
        objectives.dedup();
        if objectives.is_empty() { Err(DeployError::NoObjectives { folder }) } else { Ok(objectives) }
    }

    /// Writes both templates and says where.
    ///
    /// # Errors
    /// The template is none, or a file cannot be read or written.
    pub fn write_templates(&self, out: &Path) -> Result<[PathBuf; 2], DeployError> {
        self.template()?;
        let text = read(&self.deploy().join(TEMPLATE))?;
        fs::create_dir_all(out).map_err(|source| DeployError::File {
            action: "create",
            path: out.to_owned(),
            source,
        })?;
        let paths = [TEMPLATE, SCHEMAS].map(|name| out.join(name));
        write(&paths[0], &text)?;
        write(&paths[1], &template_of_schemas())?;
        Ok(paths)
    }
}

fn read(path: &Path) -> Result<String, DeployError> {
    fs::read_to_string(path).map_err(|source| DeployError::File { action: "read", path: path.to_owned(), source })
}

fn write(path: &Path, text: &str) -> Result<(), DeployError> {
    fs::write(path, text).map_err(|source| DeployError::File { action: "write", path: path.to_owned(), source })
}
