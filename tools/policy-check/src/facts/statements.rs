//! IAM statements of the templates: who may do what on what.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::Value;

use super::template::{Resource, Template};
use crate::yaml::Node;

/// One statement of a policy document.
#[derive(Clone, Debug, Serialize)]
pub struct Statement {
    /// The resource of the template that carries it: a role, a policy, or what has a policy of its own.
    pub holder: String,
    pub holder_type: String,
    /// The services that run under that role, as the command line names them.
    pub services: Vec<String>,
    pub sid: String,
    pub effect: String,
    /// Whether it says who may assume a role, which is no leave for anything else.
    pub assumes: bool,
    /// Whether it names whom it is for, as policies of resources do.
    pub has_principal: bool,
    pub actions: Vec<String>,
    /// `NotAction` or `NotResource`: everything but what is written.
    pub inverted: bool,
    pub grants: Vec<Grant>,
    pub file: String,
    pub line: usize,
}

/// One entry of a statement's `Resource`.
#[derive(Clone, Debug, Serialize)]
pub struct Grant {
    /// As written, in one line.
    pub text: String,
    /// The template's resource that it points to, if it does.
    pub id: Option<String>,
    /// That resource's type.
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// What the system calls it, such as `events`; set for what the binary's arguments name.
    pub name: Option<String>,
    /// `none`, `part` (a `*` somewhere) or `all` (`*` alone).
    pub wildcard: String,
}

/// How the binary's arguments call the parts of the bus, by what their names are by default.
const BUS_NAMES: [(&str, &str); 5] = [
    ("nexus-core", "core_stream"),
    ("nexus-background", "background_topic"),
    ("nexus-notifications", "notification_queue"),
    ("nexus-notifications-dlq", "notification_dead_letters"),
    ("nexus-background-dlq", "background_dead_letters"),
];

pub(super) fn gather(templates: &[Template], tables: &BTreeMap<String, String>) -> Vec<Statement> {
    let mut found = Vec::new();
    for template in templates {
        let reader = Reader { template, tables, services: services_by_role(template) };
        let resources = template.root.get("Resources").into_iter().flat_map(|resources| resources.entries());
        for ((_, _, node), resource) in resources.zip(&template.resources) {
            reader.documents(node, resource, false, &mut found);
        }
    }
    found
}

struct Reader<'a> {
    template: &'a Template,
    tables: &'a BTreeMap<String, String>,
    services: BTreeMap<String, BTreeSet<String>>,
}

/// The services under each role: a function's handler, or the command of a task's containers.
fn services_by_role(template: &Template) -> BTreeMap<String, BTreeSet<String>> {
    let mut found = BTreeMap::<String, BTreeSet<String>>::new();
    for resource in &template.resources {
        let properties = &resource.properties;
        let (role, services) = match resource.kind.as_str() {
            "AWS::Lambda::Function" => {
                (&properties["Role"], properties["Handler"].as_str().map(str::to_owned).into_iter().collect())
            }
            "AWS::ECS::TaskDefinition" => (&properties["TaskRoleArn"], commands_of(properties)),
            _ => continue,
        };
        if let Some(role) = target_of(role) {
            found.entry(role).or_default().extend(services);
        }
    }
    found
}

fn commands_of(task: &Value) -> Vec<String> {
    let containers = task["ContainerDefinitions"].as_array().into_iter().flatten();
    containers.filter_map(|container| container["Command"][0].as_str().map(str::to_owned)).collect()
}

/// The logical name that a value points to: `Ref`, `Fn::GetAtt`, or the first `${Name…}` of an `Fn::Sub`.
fn target_of(value: &Value) -> Option<String> {
    if let Some(name) = value.get("Ref").and_then(Value::as_str) {
        return Some(name.to_owned());
    }
    if let Some(name) = value.get("Fn::GetAtt").and_then(|parts| parts.get(0)).and_then(Value::as_str) {
        return Some(name.to_owned());
    }
    let text = sub_text(value)?;
    let inner = text.split("${").skip(1).filter_map(|rest| rest.split('}').next());
    let mut names = inner.map(|inner| inner.split('.').next().unwrap_or(inner)).filter(|name| !name.contains("::"));
    names.next().map(str::to_owned)
}

fn sub_text(value: &Value) -> Option<&str> {
    let sub = value.get("Fn::Sub")?;
    sub.as_str().or_else(|| sub.get(0).and_then(Value::as_str))
}

impl Reader<'_> {
    /// Every `Statement` below a node.
    fn documents(&self, node: &Node, holder: &Resource, assumes: bool, found: &mut Vec<Statement>) {
        if let Some(statements) = node.get("Statement") {
            found.extend(statements.items().iter().map(|statement| self.statement(statement, holder, assumes)));
        }
        for (key, _, below) in node.entries() {
            self.documents(below, holder, assumes || key == "AssumeRolePolicyDocument", found);
        }
        if let crate::yaml::Content::List(items) = &node.content {
            items.iter().for_each(|item| self.documents(item, holder, assumes, found));
        }
    }

    fn statement(&self, node: &Node, holder: &Resource, assumes: bool) -> Statement {
        let text = |key: &str| node.get(key).and_then(Node::text).unwrap_or_default().to_owned();
        let list = |key: &str| node.get(key).map_or(&[][..], Node::items);
        let actions = list("Action").iter().chain(list("NotAction")).filter_map(Node::text).map(str::to_owned);
        let grants = list("Resource").iter().chain(list("NotResource")).map(|entry| self.grant(&entry.to_json()));
        let services = self.services.get(&holder.id).into_iter().flatten().cloned().collect();
        Statement {
            holder: holder.id.clone(),
            holder_type: holder.kind.clone(),
            services,
            sid: text("Sid"),
            effect: text("Effect"),
            assumes,
            has_principal: node.get("Principal").is_some(),
            actions: actions.collect(),
            inverted: node.get("NotAction").is_some() || node.get("NotResource").is_some(),
            grants: grants.collect(),
            file: self.template.file.clone(),
            line: node.line,
        }
    }

    fn grant(&self, written: &Value) -> Grant {
        let text = written.as_str().or_else(|| sub_text(written)).unwrap_or_default();
        let shown = match written {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let resource = self.resource_of(written, text);
        let wildcard = match text {
            "*" => "all",
            _ if text.contains('*') => "part",
            _ => "none",
        };
        Grant {
            text: shown,
            id: resource.map(|resource| resource.id.clone()),
            kind: resource.map(|resource| resource.kind.clone()),
            name: resource.and_then(|resource| self.name_of(resource)),
            wildcard: wildcard.to_owned(),
        }
    }

    /// The resource that an entry points to, by its logical name or by the name that it gives itself in an ARN.
    fn resource_of(&self, written: &Value, text: &str) -> Option<&Resource> {
        let by_id = |id: &str| self.template.resources.iter().find(|resource| resource.id == id);
        if let Some(resource) = target_of(written).and_then(|id| by_id(&id)) {
            return Some(resource);
        }
        let written_name = self.name_in_arn(text)?;
        self.template.resources.iter().find(|resource| physical_name(resource) == Some(written_name.as_str()))
    }

    /// The name in `arn:…:table/name`, `…:stream/name` or `arn:…:name`, with parameters replaced by their defaults.
    fn name_in_arn(&self, text: &str) -> Option<String> {
        // The colons of pseudo parameters part nothing.
        let text = text.replace("${AWS::", "${AWS.");
        let last = text.strip_prefix("arn:")?.splitn(5, ':').nth(4)?;
        let mut parts = last.split('/');
        let name = match (parts.next()?, parts.next()) {
            ("table" | "stream", Some(name)) => name,
            (name, None) => name,
            _ => return None,
        };
        let parameter = name.strip_prefix("${").and_then(|rest| rest.strip_suffix('}'));
        match parameter {
            Some(parameter) => self.template.defaults.get(parameter).and_then(Value::as_str).map(str::to_owned),
            None => Some(name.to_owned()),
        }
    }

    fn name_of(&self, resource: &Resource) -> Option<String> {
        let physical = physical_name(resource)?;
        let table = self.tables.iter().find(|(_, name)| *name == physical).map(|(field, _)| field.clone());
        let bus = || BUS_NAMES.iter().find(|(name, _)| *name == physical).map(|(_, part)| (*part).to_owned());
        table.or_else(bus)
    }
}

fn physical_name(resource: &Resource) -> Option<&str> {
    ["TableName", "Name", "TopicName", "QueueName"].iter().find_map(|key| resource.properties[*key].as_str())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{super::template::read, *};

    const TEMPLATE: &str = "
Parameters:
  EventsName: { Type: String, Default: nexus-events }
Resources:
  Events: { Type: AWS::DynamoDB::Table, Properties: { TableName: !Ref EventsName } }
  Topic: { Type: AWS::SNS::Topic, Properties: { TopicName: nexus-background } }
  Role:
    Type: AWS::IAM::Role
    Properties:
      AssumeRolePolicyDocument: { Statement: { Effect: Allow, Principal: { Service: x }, Action: sts:AssumeRole } }
      Policies:
        - PolicyDocument:
            Statement:
              - Effect: Allow
                Action: dynamodb:UpdateItem
                Resource: !GetAtt Events.Arn
              - Effect: Allow
                Action: [dynamodb:Query]
                Resource:
                  - !Sub '${Events.Arn}/index/*'
                  - !Sub 'arn:${AWS::Partition}:dynamodb:${AWS::Region}:${AWS::AccountId}:table/${EventsName}'
                  - arn:aws:sns:eu-west-1:1:nexus-background
                  - '*'
              - { Effect: Allow, NotAction: iam:X, Resource: !Ref Topic }
  Function: { Type: AWS::Lambda::Function, Properties: { Handler: event-router, Role: !GetAtt Role.Arn } }
  Task:
    Type: AWS::ECS::TaskDefinition
    Properties: { TaskRoleArn: !GetAtt Role.Arn, ContainerDefinitions: [{ Command: [command-service] }] }
";

    #[test]
    fn statements_are_read_with_role_services_and_targets() {
        let template = read("a.yaml", Node::read(Path::new("a.yaml"), TEMPLATE).unwrap());
        let tables = BTreeMap::from([("events".to_owned(), "nexus-events".to_owned())]);
        let found = gather(&[template], &tables);
        let told: Vec<_> = found
            .iter()
            .map(|statement| (statement.line, statement.assumes, statement.actions.join(","), statement.inverted))
            .collect();
        let expected = [
            (10, true, "sts:AssumeRole".to_owned(), false),
            (14, false, "dynamodb:UpdateItem".to_owned(), false),
            (17, false, "dynamodb:Query".to_owned(), false),
            (24, false, "iam:X".to_owned(), true),
        ];
        assert_eq!(told, expected);
        assert_eq!(found[1].services, ["command-service", "event-router"]);
        let grants: Vec<_> =
            found[2].grants.iter().map(|grant| (grant.name.as_deref(), grant.wildcard.as_str())).collect();
        assert_eq!(
            grants,
            [(Some("events"), "part"), (Some("events"), "none"), (Some("background_topic"), "none"), (None, "all")]
        );
    }
}
