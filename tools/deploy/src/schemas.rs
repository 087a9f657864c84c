//! The template of the schema registry, made from `system/schemas`.

use std::fmt::Write as _;

use nexus_schemas::SchemaDocument;

use crate::Finding;

const HEAD: &str = r#"# Every event's schema in the Glue schema registry. Made by `cargo xtask deploy synth --out system/deploy` from
# system/schemas: change those, not this file.
#
# What a version of a schema may change is judged in this repository, where upcasters are known that raise stored events.
# To the registry OrderPlaced 2, which requires a currency, would be no successor of version 1; hence `NONE`.
AWSTemplateFormatVersion: "2010-09-09"
Description: Nexus, schemas of all events.

Parameters:
  RegistryName:
    Type: String
    Description: Name of the schema registry.
    AllowedPattern: "[a-zA-Z0-9_$#.-]{1,255}"
    Default: nexus

Resources:
  Registry:
    Type: AWS::Glue::Registry
    DeletionPolicy: RetainExceptOnCreate
    UpdateReplacePolicy: Retain
    Properties:
      Name: { Ref: RegistryName }
      Description: Schemas of the events of Nexus
"#;

const TAIL: &str = r#"
Outputs:
  RegistryArn:
    Description: The registry.
    Value: { "Fn::GetAtt": [Registry, Arn] }
"#;

/// The text of `schemas.yaml`: a registry, a schema for each event type with its first version, and each later version
/// after the one before it.
pub fn template_of_schemas() -> String {
    let mut text = HEAD.to_owned();
    let mut previous: Option<String> = None;
    for document in nexus_schemas::all() {
        let name = resource_name(document);
        text.push('\n');
        if document.version == 1 {
            first_version(&mut text, &name, document);
        } else {
            later_version(&mut text, &name, previous.as_deref(), document);
        }
        previous = Some(name);
    }
    text.push_str(TAIL);
    text
}

/// Whether the committed text is what would be made now.
pub fn schemas_findings(committed: &str) -> Vec<Finding> {
    let wanted = template_of_schemas();
    if committed == wanted {
        return Vec::new();
    }
    let differs = committed.lines().zip(wanted.lines()).position(|(found, wanted)| found != wanted);
    let line = differs.unwrap_or_else(|| committed.lines().count().min(wanted.lines().count())) + 1;
    let message = format!(
        "from line {line} on it is not what system/schemas gives; run `cargo xtask deploy synth --out system/deploy`"
    );
    vec![Finding::new("schemas-are-current", "system/deploy/schemas.yaml", message)]
}

fn resource_name(document: &SchemaDocument) -> String {
    match document.version {
        1 => document.event_type.to_owned(),
        version => format!("{}V{version}", document.event_type),
    }
}

fn first_version(text: &mut String, name: &str, document: &SchemaDocument) {
    let _ = write!(
        text,
        "  {name}:\n    Type: AWS::Glue::Schema\n    DeletionPolicy: RetainExceptOnCreate\n    UpdateReplacePolicy: Retain\n    \
         Properties:\n      Registry: {{ Arn: {{ \"Fn::GetAtt\": [Registry, Arn] }} }}\n      Name: {name}\n      \
         DataFormat: JSON\n      Compatibility: NONE\n",
    );
    definition(text, document);
}

/// The registry counts versions in the order in which they come. That the first comes first, `Fn::GetAtt` sees to.
fn later_version(text: &mut String, name: &str, previous: Option<&str>, document: &SchemaDocument) {
    let _ = write!(text, "  {name}:\n    Type: AWS::Glue::SchemaVersion\n");
    if let Some(previous) = previous.filter(|previous| *previous != document.event_type) {
        let _ = writeln!(text, "    DependsOn: [{previous}]");
    }
    let _ = write!(
        text,
        "    DeletionPolicy: RetainExceptOnCreate\n    UpdateReplacePolicy: Retain\n    Properties:\n      \
         Schema: {{ SchemaArn: {{ \"Fn::GetAtt\": [{}, Arn] }} }}\n",
        document.event_type
    );
    definition(text, document);
}

fn definition(text: &mut String, document: &SchemaDocument) {
    text.push_str("      SchemaDefinition: |-\n");
    for line in document.text.trim_end().lines() {
        let _ = writeln!(text, "{}", format!("        {line}").trim_end());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Template;

    #[test]
    fn every_version_is_in_the_template_word_for_word() {
        let template = Template::parse(&template_of_schemas()).unwrap();
        let resources = &template.document()["Resources"];
        for document in nexus_schemas::all() {
            let resource = &resources[resource_name(document)];
            assert_eq!(resource["Properties"]["SchemaDefinition"], document.text.trim_end(), "{document:?}");
            let kind = if document.version == 1 { "AWS::Glue::Schema" } else { "AWS::Glue::SchemaVersion" };
            assert_eq!(resource["Type"], kind);
        }
        assert_eq!(resources.as_object().unwrap().len(), nexus_schemas::all().len() + 1);
        let schema = &resources["OrderPlacedV2"]["Properties"]["Schema"]["SchemaArn"]["Fn::GetAtt"][0];
        assert_eq!(schema, "OrderPlaced");
    }

    #[test]
    fn an_edited_or_cut_file_is_found_with_its_line() {
        let current = template_of_schemas();
        assert_eq!(schemas_findings(&current), []);
        let edited = current.replacen("Compatibility: NONE", "Compatibility: FULL", 1);
        let line = current.lines().position(|line| line.contains("Compatibility: NONE")).unwrap() + 1;
        assert!(schemas_findings(&edited)[0].message.contains(&format!("line {line} ")));
        assert!(schemas_findings("")[0].message.contains("line 1 "));
        assert_eq!(schemas_findings(&current[..current.len() - 1]).len(), 1);
    }
}
