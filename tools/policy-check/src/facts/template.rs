//! Deployment templates: CloudFormation in YAML or JSON, read as it is written, with its lines.

use std::{collections::BTreeMap, path::Path};

use serde::Serialize;
use serde_json::Value;

use crate::{error::CheckError, worktree::WorkTree, yaml::Node};

const FOLDER: &str = "system/deploy/";

/// A template, for those who look further than its resources.
pub struct Template {
    pub file: String,
    pub root: Node,
    pub resources: Vec<Resource>,
    /// The default of each parameter that has one.
    pub defaults: BTreeMap<String, Value>,
}

/// One resource of a template.
#[derive(Clone, Debug, Serialize)]
pub struct Resource {
    /// Its logical name.
    pub id: String,
    #[serde(rename = "type")]
    pub kind: String,
    /// As written, short forms spelled out and parameters replaced by their defaults where they have one.
    pub properties: Value,
    pub metadata: Value,
    pub deletion_policy: Option<String>,
    pub file: String,
    pub line: usize,
}

pub(super) fn is_template(file: &str) -> bool {
    let by_name = [".yaml", ".yml", ".json"].iter().any(|ending| file.ends_with(ending));
    file.starts_with(FOLDER) && by_name
}

/// Every file of `system/deploy/` that has `Resources` with types, as CloudFormation's templates do.
pub(super) fn gather(tree: &WorkTree) -> Result<Vec<Template>, CheckError> {
    let mut templates = Vec::new();
    for file in tree.files().filter(|file| is_template(file)) {
        let root = Node::read(Path::new(file), &tree.read(file)?).map_err(CheckError::Document)?;
        let is_cloudformation = root.get("AWSTemplateFormatVersion").is_some()
            || root.get("Resources").is_some_and(|all| all.entries().any(|(_, _, one)| one.get("Type").is_some()));
        if is_cloudformation {
            templates.push(read(file, root));
        }
    }
    Ok(templates)
}

pub(super) fn read(file: &str, root: Node) -> Template {
    let parameters = root.get("Parameters").into_iter().flat_map(|parameters| parameters.entries());
    let defaults: BTreeMap<String, Value> = parameters
        .filter_map(|(name, _, parameter)| Some((name.to_owned(), parameter.get("Default")?.to_json())))
        .collect();
    let resources = root.get("Resources").into_iter().flat_map(|resources| resources.entries());
    let resources = resources
        .map(|(id, line, node)| {
            let text = |key: &str| node.get(key).and_then(Node::text).map(str::to_owned);
            let json = |key: &str| node.get(key).map_or(Value::Null, Node::to_json);
            Resource {
                id: id.to_owned(),
                kind: text("Type").unwrap_or_default(),
                properties: with_defaults(json("Properties"), &defaults),
                metadata: json("Metadata"),
                deletion_policy: text("DeletionPolicy"),
                file: file.to_owned(),
                line,
            }
        })
        .collect();
    Template { file: file.to_owned(), root, resources, defaults }
}

/// Replaces `{"Ref": parameter}` by the parameter's default.
fn with_defaults(value: Value, defaults: &BTreeMap<String, Value>) -> Value {
    match value {
        Value::Object(fields) => {
            let default = (fields.len() == 1).then(|| fields.get("Ref").and_then(Value::as_str)).flatten();
            if let Some(default) = default.and_then(|name| defaults.get(name)) {
                return default.clone();
            }
            Value::Object(fields.into_iter().map(|(key, value)| (key, with_defaults(value, defaults))).collect())
        }
        Value::Array(items) => items.into_iter().map(|item| with_defaults(item, defaults)).collect(),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resources_are_read_with_lines_and_defaults() {
        let text = "Parameters:\n  Name: { Type: String, Default: nexus-events }\n  Key: { Type: String }\n\
            Resources:\n  Events:\n    Type: AWS::DynamoDB::Table\n    DeletionPolicy: Retain\n    Properties:\n      \
            TableName: !Ref Name\n      Key: !Ref Key\n";
        let template = read("a.yaml", Node::read(Path::new("a.yaml"), text).unwrap());
        let events = &template.resources[0];
        assert_eq!((events.id.as_str(), events.kind.as_str(), events.line), ("Events", "AWS::DynamoDB::Table", 5));
        assert_eq!(events.deletion_policy.as_deref(), Some("Retain"));
        assert_eq!(events.properties, serde_json::json!({"TableName": "nexus-events", "Key": {"Ref": "Key"}}));
    }
}
