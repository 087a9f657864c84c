//! YAML and JSON as a tree that knows its lines, with CloudFormation's short forms spelled out.
//!
//! `!Ref X`, `!Sub "…"` and `!GetAtt A.B` are read as `{"Ref": "X"}`, `{"Fn::Sub": "…"}` and `{"Fn::GetAtt": ["A", "B"]}`,
//! so that whoever reads the tree knows one form only. JSON is read by the same parser: it is YAML.

use std::path::{Path, PathBuf};

use miette::{NamedSource, SourceSpan};
use saphyr_parser::{Event, Marker, Parser, ScalarStyle, ScanError, Tag};
use serde_json::{Map, Value};

/// A node, and the line (from 1) where it begins.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    pub content: Content,
    pub line: usize,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Content {
    Scalar(Value),
    List(Vec<Node>),
    /// Each key with its own line.
    Map(Vec<(String, usize, Node)>),
}

/// A file is no YAML or JSON that can be read.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
#[error("{} cannot be read: {message}", path.display())]
#[diagnostic(help("mend the file at the mark; anchors, aliases and several documents in one file are not read"))]
pub struct UnreadableDocument {
    pub path: PathBuf,
    pub message: String,
    #[source_code]
    source_code: NamedSource<String>,
    #[label("here")]
    place: SourceSpan,
}

impl Node {
    /// Reads the text of `path`, which is named in errors only.
    ///
    /// # Errors
    /// [`UnreadableDocument`], with the place.
    pub fn read(path: &Path, text: &str) -> Result<Node, Box<UnreadableDocument>> {
        Reader { parser: Parser::new_from_str(text) }.document().map_err(|failure| {
            Box::new(UnreadableDocument {
                path: path.to_owned(),
                message: failure.message,
                source_code: NamedSource::new(path.display().to_string(), text.to_owned()),
                place: SourceSpan::from(byte_at(text, failure.character)),
            })
        })
    }

    pub fn get(&self, key: &str) -> Option<&Node> {
        self.entries().find(|(name, _, _)| *name == key).map(|(_, _, node)| node)
    }

    /// The node at the end of a path of keys.
    pub fn at(&self, path: &[&str]) -> Option<&Node> {
        path.iter().try_fold(self, |node, key| node.get(key))
    }

    pub fn entries(&self) -> impl Iterator<Item = (&str, usize, &Node)> {
        let entries = if let Content::Map(entries) = &self.content { entries.as_slice() } else { &[] };
        entries.iter().map(|(key, line, node)| (key.as_str(), *line, node))
    }

    /// The items of a list; of anything else the node itself, as CloudFormation lets a list of one be written.
    pub fn items(&self) -> &[Node] {
        if let Content::List(items) = &self.content { items } else { std::slice::from_ref(self) }
    }

    pub fn text(&self) -> Option<&str> {
        if let Content::Scalar(value) = &self.content { value.as_str() } else { None }
    }

    pub fn to_json(&self) -> Value {
        match &self.content {
            Content::Scalar(value) => value.clone(),
            Content::List(items) => items.iter().map(Node::to_json).collect(),
            Content::Map(entries) => {
                let entries = entries.iter().map(|(key, _, node)| (key.clone(), node.to_json()));
                Value::Object(entries.collect::<Map<_, _>>())
            }
        }
    }
}

struct Failure {
    message: String,
    /// Where, in characters from the beginning.
    character: usize,
}

impl From<ScanError> for Failure {
    fn from(error: ScanError) -> Self {
        Failure { message: error.info().to_owned(), character: error.marker().index() }
    }
}

struct Reader<'text> {
    parser: Parser<'text, saphyr_parser::StrInput<'text>>,
}

impl<'text> Reader<'text> {
    fn next(&mut self) -> Result<(Event<'text>, Marker), Failure> {
        match self.parser.next() {
            Some(Ok((event, span))) => Ok((event, span.start)),
            Some(Err(error)) => Err(error.into()),
            None => Ok((Event::StreamEnd, Marker::new(0, 1, 0))),
        }
    }

    fn document(&mut self) -> Result<Node, Failure> {
        let mut found = None;
        loop {
            let (event, marker) = self.next()?;
            match event {
                Event::StreamEnd => break,
                Event::StreamStart | Event::DocumentStart(_) | Event::DocumentEnd | Event::Nothing => {}
                _ if found.is_some() => return Err(failure("a second document begins", marker)),
                event => found = Some(self.node(event, marker)?),
            }
        }
        found.ok_or_else(|| Failure { message: "the file is empty".to_owned(), character: 0 })
    }

    fn node(&mut self, event: Event<'text>, marker: Marker) -> Result<Node, Failure> {
        let line = marker.line();
        let (content, tag) = match event {
            Event::Scalar(text, style, _, tag) => (Content::Scalar(scalar(&text, style, tag.as_deref())), tag),
            Event::SequenceStart(_, tag) => (self.list()?, tag),
            Event::MappingStart(_, tag) => (self.map()?, tag),
            Event::Alias(_) => return Err(failure("an alias", marker)),
            _ => return Err(failure("a value is missing", marker)),
        };
        let node = Node { content, line };
        Ok(tag.map_or(node.clone(), |tag| spelled_out(node, &tag)))
    }

    fn list(&mut self) -> Result<Content, Failure> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, _) => return Ok(Content::List(items)),
                (event, marker) => items.push(self.node(event, marker)?),
            }
        }
    }

    fn map(&mut self) -> Result<Content, Failure> {
        let mut entries: Vec<(String, usize, Node)> = Vec::new();
        loop {
            let (event, marker) = self.next()?;
            let key = match event {
                Event::MappingEnd => return Ok(Content::Map(entries)),
                Event::Scalar(key, ..) => key.into_owned(),
                _ => return Err(failure("a key that is no text", marker)),
            };
            if entries.iter().any(|(other, _, _)| *other == key) {
                return Err(failure(&format!("the key `{key}` is there twice"), marker));
            }
            let (event, value_marker) = self.next()?;
            entries.push((key, marker.line(), self.node(event, value_marker)?));
        }
    }
}

fn failure(message: &str, marker: Marker) -> Failure {
    Failure { message: message.to_owned(), character: marker.index() }
}

/// A plain scalar is read by YAML's core schema; a quoted one is text.
fn scalar(text: &str, style: ScalarStyle, tag: Option<&Tag>) -> Value {
    if style != ScalarStyle::Plain || tag.is_some() {
        return Value::from(text);
    }
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        "true" | "True" | "TRUE" => Value::from(true),
        "false" | "False" | "FALSE" => Value::from(false),
        _ => number(text).unwrap_or_else(|| Value::from(text)),
    }
}

fn number(text: &str) -> Option<Value> {
    let looks_so = text.starts_with(|first: char| first.is_ascii_digit() || first == '-' || first == '+');
    if !looks_so {
        return None;
    }
    if let Ok(whole) = text.parse::<i64>() {
        return Some(Value::from(whole));
    }
    text.parse::<f64>().ok().filter(|number| number.is_finite()).map(Value::from)
}

/// `!Name x` as CloudFormation's long form. Tags of YAML's own stay without effect.
fn spelled_out(node: Node, tag: &Tag) -> Node {
    if tag.handle != "!" {
        return node;
    }
    let name = match tag.suffix.as_str() {
        "Ref" | "Condition" => tag.suffix.clone(),
        suffix => format!("Fn::{suffix}"),
    };
    let line = node.line;
    let argument = match node.text().and_then(|text| text.split_once('.')) {
        Some((resource, attribute)) if tag.suffix == "GetAtt" => {
            let part = |text: &str| Node { content: Content::Scalar(Value::from(text)), line };
            Node { content: Content::List(vec![part(resource), part(attribute)]), line }
        }
        _ => node,
    };
    Node { content: Content::Map(vec![(name, line, argument)]), line }
}

fn byte_at(text: &str, character: usize) -> usize {
    text.char_indices().nth(character).map_or(text.len().saturating_sub(1), |(byte, _)| byte)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(text: &str) -> Node {
        Node::read(Path::new("a.yaml"), text).unwrap()
    }

    #[test]
    fn short_forms_are_spelled_out() {
        let table = [
            ("!Ref Table", json!({"Ref": "Table"})),
            ("!GetAtt Table.Arn", json!({"Fn::GetAtt": ["Table", "Arn"]})),
            ("!GetAtt Outer.Inner.Arn", json!({"Fn::GetAtt": ["Outer", "Inner.Arn"]})),
            ("!GetAtt [Table, Arn]", json!({"Fn::GetAtt": ["Table", "Arn"]})),
            ("!Sub \"${Table.Arn}/stream/*\"", json!({"Fn::Sub": "${Table.Arn}/stream/*"})),
            ("!Sub [\"${A}\", {A: !Ref B}]", json!({"Fn::Sub": ["${A}", {"A": {"Ref": "B"}}]})),
            ("!If [Yes, 1, !Ref AWS::NoValue]", json!({"Fn::If": ["Yes", 1, {"Ref": "AWS::NoValue"}]})),
            ("!Join [\":\", [a, !Ref b]]", json!({"Fn::Join": [":", ["a", {"Ref": "b"}]]})),
            ("!Condition Big", json!({"Condition": "Big"})),
        ];
        for (text, expected) in table {
            assert_eq!(read(text).to_json(), expected, "{text}");
        }
    }

    #[test]
    fn scalars_are_what_yaml_says() {
        let text = "{a: 1, b: 1.5, c: \"1\", d: true, e: 'true', f: ~, g: 2012-10-17, h: 010, i: x, j: -3}";
        let expected = json!({"a": 1, "b": 1.5, "c": "1", "d": true, "e": "true", "f": null, "g": "2012-10-17",
            "h": 10, "i": "x", "j": -3});
        assert_eq!(read(text).to_json(), expected);
    }

    #[test]
    fn nodes_know_their_lines_in_yaml_and_in_json() {
        let yaml = read("a:\n  b:\n    - x\n    - y: !Ref Z\n");
        let items = yaml.at(&["a", "b"]).unwrap().items();
        assert_eq!((items[0].line, items[1].line), (3, 4));
        let json = read("{\n  \"a\": {\n    \"b\": [1,\n 2]}}");
        assert_eq!(json.at(&["a", "b"]).unwrap().items()[1].line, 4);
        assert_eq!(json.to_json(), json!({"a": {"b": [1, 2]}}));
    }

    #[test]
    fn what_cannot_be_read_is_told_with_its_place() {
        let table = [
            ("a: [1, 2", "a.yaml cannot be read:"),
            ("a: 1\na: 2\n", "the key `a` is there twice"),
            ("a: &x 1\nb: *x\n", "an alias"),
            ("a: 1\n---\nb: 2\n", "a second document begins"),
            ("", "the file is empty"),
        ];
        for (text, expected) in table {
            let told = Node::read(Path::new("a.yaml"), text).unwrap_err().to_string();
            assert!(told.contains(expected), "{text:?}: {told}");
        }
    }
}
