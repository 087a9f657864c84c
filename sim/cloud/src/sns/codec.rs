//! The query protocol: forms in, XML out.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::{
    interface::WireRequest,
    service::{Answer, Decoded, Encoded, ServiceError},
};

const NAMESPACE: &str = "http://sns.amazonaws.com/doc/2010-03-31/";

pub const OPERATIONS: &[&str] = &[
    "CreateTopic",
    "DeleteTopic",
    "GetSubscriptionAttributes",
    "GetTopicAttributes",
    "ListSubscriptions",
    "ListSubscriptionsByTopic",
    "ListTagsForResource",
    "ListTopics",
    "Publish",
    "PublishBatch",
    "SetSubscriptionAttributes",
    "SetTopicAttributes",
    "Subscribe",
    "TagResource",
    "Unsubscribe",
    "UntagResource",
];

/// Operations whose answers have no result element.
const WITHOUT_RESULT: &[&str] = &["DeleteTopic", "SetSubscriptionAttributes", "SetTopicAttributes", "Unsubscribe"];

pub fn decode(wire: &WireRequest) -> Result<Decoded, ServiceError> {
    let query = wire.path.split_once('?').map_or("", |(_, query)| query);
    let body = String::from_utf8_lossy(&wire.body);
    let form = if wire.method == "GET" { query } else { &body };
    let mut tree = Node::default();
    let mut action = None;
    for pair in form.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let (name, value) = (unescape(name), unescape(value));
        match name.as_str() {
            "Action" => action = Some(value),
            "Version" => {}
            _ => tree.insert(&name, value),
        }
    }
    let action = action.ok_or_else(|| ServiceError::client("MissingAction", "The request must contain an Action"))?;
    if !OPERATIONS.contains(&action.as_str()) {
        let message = format!("The action {action} is not valid for this web service.");
        return Err(ServiceError::client("InvalidAction", message));
    }
    Ok(Decoded { operation: action, request: tree.into_value() })
}

/// `%41+b` to `A b`; what is no escape stays as it is.
fn unescape(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut plain = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let escaped = text.get(at + 1..at + 3).filter(|_| bytes[at] == b'%');
        match escaped.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => {
                plain.push(byte);
                at += 3;
            }
            None => {
                plain.push(if bytes[at] == b'+' { b' ' } else { bytes[at] });
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&plain).into_owned()
}

/// The parts between the dots of a form's names, as a tree.
#[derive(Default)]
struct Node {
    value: Option<String>,
    children: BTreeMap<String, Node>,
}

impl Node {
    fn insert(&mut self, path: &str, value: String) {
        let mut node = self;
        for part in path.split('.') {
            node = node.children.entry(part.to_owned()).or_default();
        }
        node.value = Some(value);
    }

    /// `x.member.1` is a list; `x.entry.1.key` (or `Name`) with `value` (or `Value`) a map.
    fn into_value(mut self) -> Value {
        if self.children.is_empty() {
            return Value::String(self.value.unwrap_or_default());
        }
        if self.children.len() == 1 {
            if let Some(members) = self.children.remove("member") {
                return Value::Array(members.numbered().into_iter().map(Node::into_value).collect());
            }
            if let Some(entries) = self.children.remove("entry") {
                return Value::Object(entries.numbered().into_iter().filter_map(Node::into_pair).collect());
            }
        }
        Value::Object(self.children.into_iter().map(|(name, node)| (name, node.into_value())).collect())
    }

    fn numbered(self) -> Vec<Node> {
        let mut numbered: Vec<(u64, Node)> =
            self.children.into_iter().map(|(name, node)| (name.parse().unwrap_or(u64::MAX), node)).collect();
        numbered.sort_by_key(|(number, _)| *number);
        numbered.into_iter().map(|(_, node)| node).collect()
    }

    fn into_pair(mut self) -> Option<(String, Value)> {
        let mut part = |lower: &str, upper: &str| self.children.remove(lower).or_else(|| self.children.remove(upper));
        let (name, value) = (part("key", "Name")?, part("value", "Value")?);
        Some((name.value?, value.into_value()))
    }
}

pub fn encode(operation: &str, result: &Result<Answer, ServiceError>, request_id: &str) -> Encoded {
    let mut xml = String::new();
    let status = match result {
        Ok(answer) => {
            xml.push_str(&format!("<{operation}Response xmlns=\"{NAMESPACE}\">"));
            if !WITHOUT_RESULT.contains(&operation) {
                xml.push_str(&format!("<{operation}Result>"));
                write_members(&mut xml, &answer.body);
                xml.push_str(&format!("</{operation}Result>"));
            }
            xml.push_str(&format!(
                "<ResponseMetadata><RequestId>{request_id}</RequestId></ResponseMetadata></{operation}Response>"
            ));
            200
        }
        Err(error) => {
            let fault = if error.status >= 500 { "Receiver" } else { "Sender" };
            xml.push_str(&format!("<ErrorResponse xmlns=\"{NAMESPACE}\"><Error><Type>{fault}</Type>"));
            write_element(&mut xml, "Code", &Value::String(error.code.clone()));
            write_element(&mut xml, "Message", &Value::String(error.message.clone()));
            xml.push_str(&format!("</Error><RequestId>{request_id}</RequestId></ErrorResponse>"));
            error.status
        }
    };
    Encoded { status, content_type: "text/xml", headers: Vec::new(), body: xml.into_bytes() }
}

fn write_members(xml: &mut String, value: &Value) {
    if let Value::Object(members) = value {
        for (name, value) in members {
            write_element(xml, name, value);
        }
    }
}

fn write_element(xml: &mut String, name: &str, value: &Value) {
    xml.push_str(&format!("<{name}>"));
    match value {
        Value::Null => {}
        Value::String(text) => escape(xml, text),
        Value::Bool(_) | Value::Number(_) => xml.push_str(&value.to_string()),
        Value::Array(items) => items.iter().for_each(|item| write_element(xml, "member", item)),
        Value::Object(map) if name == "Attributes" => write_entries(xml, map),
        Value::Object(_) => write_members(xml, value),
    }
    xml.push_str(&format!("</{name}>"));
}

fn write_entries(xml: &mut String, map: &Map<String, Value>) {
    for (key, value) in map {
        xml.push_str("<entry>");
        write_element(xml, "key", &Value::String(key.clone()));
        write_element(xml, "value", value);
        xml.push_str("</entry>");
    }
}

fn escape(xml: &mut String, text: &str) {
    for c in text.chars() {
        match c {
            '&' => xml.push_str("&amp;"),
            '<' => xml.push_str("&lt;"),
            '>' => xml.push_str("&gt;"),
            '"' => xml.push_str("&quot;"),
            '\r' => xml.push_str("&#xD;"),
            c => xml.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::interface::Service;

    fn decoded(form: &str) -> Result<Decoded, ServiceError> {
        decode(&WireRequest {
            service: Service::Sns,
            caller: String::new(),
            method: "POST".into(),
            path: "/".into(),
            headers: Vec::new(),
            body: form.to_owned().into_bytes().into(),
        })
    }

    #[test]
    fn forms_become_structures() {
        let form = "Action=PublishBatch&Version=2010-03-31&TopicArn=arn%3Aaws&\
                    PublishBatchRequestEntries.member.2.Id=b&PublishBatchRequestEntries.member.10.Id=c&\
                    PublishBatchRequestEntries.member.1.Id=a+%26%C3%A9&\
                    PublishBatchRequestEntries.member.1.MessageAttributes.entry.1.Name=kind&\
                    PublishBatchRequestEntries.member.1.MessageAttributes.entry.1.Value.DataType=String&\
                    Attributes.entry.1.key=FifoTopic&Attributes.entry.1.value=true&Broken=%4";
        let decoded = decoded(form).unwrap();
        assert_eq!(decoded.operation, "PublishBatch");
        assert_eq!(
            decoded.request,
            json!({
                "TopicArn": "arn:aws",
                "PublishBatchRequestEntries": [
                    {"Id": "a &é", "MessageAttributes": {"kind": {"DataType": "String"}}}, {"Id": "b"}, {"Id": "c"},
                ],
                "Attributes": {"FifoTopic": "true"},
                "Broken": "%4",
            })
        );
    }

    #[test]
    fn requests_that_are_none_are_refused() {
        assert_eq!(decoded("").unwrap_err().code, "MissingAction");
        assert_eq!(decoded("Action=Dance").unwrap_err().code, "InvalidAction");
    }

    #[test]
    fn answers_and_errors_are_xml() {
        let text = |encoded: Encoded| String::from_utf8(encoded.body).unwrap();
        let answer = Answer::from(json!({"Attributes": {"a<b": "c&d"}, "Topics": [{"TopicArn": "x"}]}));
        assert_eq!(
            text(encode("GetTopicAttributes", &Ok(answer), "R")),
            "<GetTopicAttributesResponse xmlns=\"http://sns.amazonaws.com/doc/2010-03-31/\"><GetTopicAttributesResult>\
             <Attributes><entry><key>a&lt;b</key><value>c&amp;d</value></entry></Attributes>\
             <Topics><member><TopicArn>x</TopicArn></member></Topics></GetTopicAttributesResult>\
             <ResponseMetadata><RequestId>R</RequestId></ResponseMetadata></GetTopicAttributesResponse>"
        );
        let error = encode("Publish", &Err(ServiceError::client("NotFound", "no").with_status(404)), "R");
        assert_eq!(error.status, 404);
        assert_eq!(
            text(error),
            "<ErrorResponse xmlns=\"http://sns.amazonaws.com/doc/2010-03-31/\"><Error><Type>Sender</Type>\
             <Code>NotFound</Code><Message>no</Message></Error><RequestId>R</RequestId></ErrorResponse>"
        );
    }
}
