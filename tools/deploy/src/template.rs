//! A CloudFormation template as data.

use serde_json::{Map, Value};

/// A template whose functions are in their long form, so that it is plain YAML.
#[derive(Clone, Debug, PartialEq)]
pub struct Template {
    document: Value,
}

impl Template {
    /// # Errors
    /// The text is no YAML, or has no resources.
    pub fn parse(text: &str) -> Result<Self, String> {
        let document: Value = serde_saphyr::from_str(text).map_err(|error| error.to_string())?;
        Self::from_document(document)
    }

    /// # Errors
    /// It has no resources.
    pub fn from_document(document: Value) -> Result<Self, String> {
        match document["Resources"].as_object() {
            Some(resources) if !resources.is_empty() => Ok(Self { document }),
            _ => Err("it has no `Resources`".to_owned()),
        }
    }

    pub fn document(&self) -> &Value {
        &self.document
    }

    /// Name and properties of every resource of a type, sorted by name.
    pub(crate) fn of_type(&self, kind: &str) -> Vec<(&str, &Value)> {
        let mut found: Vec<_> = self
            .resources()
            .filter(|(_, resource)| resource["Type"] == kind)
            .map(|(name, resource)| (name, &resource["Properties"]))
            .collect();
        found.sort_by_key(|(name, _)| *name);
        found
    }

    pub(crate) fn resources(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.document["Resources"].as_object().into_iter().flatten().map(|(name, resource)| (name.as_str(), resource))
    }

    /// The value with every reference to a parameter replaced by the parameter's default, where it has one.
    pub(crate) fn with_defaults(&self, value: &Value) -> Value {
        match value {
            Value::Object(members) => match self.default_of(members) {
                Some(default) => default.clone(),
                None => members.iter().map(|(name, member)| (name.clone(), self.with_defaults(member))).collect(),
            },
            Value::Array(elements) => elements.iter().map(|element| self.with_defaults(element)).collect(),
            other => other.clone(),
        }
    }

    fn default_of(&self, members: &Map<String, Value>) -> Option<&Value> {
        let name = members.get("Ref").filter(|_| members.len() == 1)?.as_str()?;
        self.document["Parameters"][name].get("Default")
    }
}

/// Whether the value refers to the resource: by `Ref`, by one of its attributes, or within a text to substitute.
pub(crate) fn refers_to(value: &Value, resource: &str) -> bool {
    match value {
        Value::Object(members) => members.iter().any(|(function, argument)| match (function.as_str(), argument) {
            ("Ref", argument) => argument == resource,
            ("Fn::GetAtt", Value::Array(path)) => path.first().is_some_and(|first| first == resource),
            ("Fn::Sub", Value::String(text)) => {
                text.contains(&format!("${{{resource}}}")) || text.contains(&format!("${{{resource}."))
            }
            (_, argument) => refers_to(argument, resource),
        }),
        Value::Array(elements) => elements.iter().any(|element| refers_to(element, resource)),
        _ => false,
    }
}

/// One text or a list of them.
pub(crate) fn texts(value: &Value) -> Vec<&str> {
    match value {
        Value::String(text) => vec![text],
        Value::Array(values) => values.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

/// The value, or each of its elements.
pub(crate) fn one_or_many(value: &Value) -> Vec<&Value> {
    match value {
        Value::Array(values) => values.iter().collect(),
        Value::Null => Vec::new(),
        single => vec![single],
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn parameters_give_way_to_their_defaults() {
        let template = Template::parse(
            "Parameters: {Name: {Type: String, Default: nexus-events}, Open: {Type: String}}\n\
             Resources: {Table: {Type: T, Properties: {A: {Ref: Name}, B: [{Ref: Open}, {Ref: Table}]}}}",
        )
        .unwrap();
        let (name, properties) = template.of_type("T")[0];
        assert_eq!(name, "Table");
        let wanted = json!({"A": "nexus-events", "B": [{"Ref": "Open"}, {"Ref": "Table"}]});
        assert_eq!(template.with_defaults(properties), wanted);
        assert!(Template::parse("Resources: {}").unwrap_err().contains("Resources"));
        assert!(Template::parse("Resources: [").is_err());
    }

    #[test]
    fn references_are_found_in_every_form() {
        for (value, wanted) in [
            (json!({"Ref": "Queue"}), true),
            (json!({"Fn::GetAtt": ["Queue", "Arn"]}), true),
            (json!([{"Fn::Sub": "${Queue.Arn}/stream/*"}]), true),
            (json!({"Fn::Sub": "x-${Queue}"}), true),
            (json!({"Fn::If": ["C", {"Ref": "Queue"}, "x"]}), true),
            (json!({"Ref": "QueuePolicy"}), false),
            (json!({"Fn::Sub": "${QueueName}"}), false),
            (json!("Queue"), false),
        ] {
            assert_eq!(refers_to(&value, "Queue"), wanted, "{value}");
        }
    }
}
