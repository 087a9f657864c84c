//! Which mutants a compiler's complaint is about.

use std::{collections::BTreeMap, ops::RangeInclusive};

use serde::Deserialize;

use crate::plant::switch;

/// One line of cargo's JSON messages, as far as it matters.
#[derive(Debug, Deserialize)]
struct Line {
    reason: String,
    message: Option<Message>,
    target: Option<Target>,
    executable: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Target {
    name: String,
}

#[derive(Debug, Deserialize)]
struct Message {
    level: String,
    rendered: Option<String>,
    #[serde(default)]
    spans: Vec<MessageSpan>,
    #[serde(default)]
    children: Vec<Message>,
}

#[derive(Debug, Deserialize)]
struct MessageSpan {
    file_name: String,
    line_start: usize,
    line_end: usize,
}

/// What a build said.
#[derive(Debug, Default)]
pub struct Said {
    errors: Vec<Message>,
    /// The program, if it was built.
    pub executable: Option<String>,
    pub has_succeeded: bool,
}

impl Said {
    /// Reads cargo's messages about the build of `binary`; lines that are none are passed over.
    pub fn read(messages: &str, binary: &str) -> Said {
        let mut said = Said::default();
        for line in messages.lines().filter_map(|line| serde_json::from_str::<Line>(line).ok()) {
            match line.message {
                Some(message) if line.reason == "compiler-message" && message.level == "error" => {
                    said.errors.push(message);
                }
                _ if line.target.is_some_and(|target| target.name == binary) => {
                    said.executable = line.executable.or(said.executable);
                }
                _ => {}
            }
        }
        said
    }

    /// The numbers of the mutants that an error's places fall upon; where they fall upon none, those of the same file.
    /// Errors without a mutant come back as the compiler wrote them.
    pub fn blamed(&self, places: &Places) -> (Vec<usize>, Vec<String>) {
        let (mut blamed, mut unexplained) = (Vec::new(), Vec::new());
        for error in &self.errors {
            let spans = all_spans(error);
            if spans.is_empty() {
                // The closing line: "aborting due to …".
                continue;
            }
            let at: Vec<usize> = spans.iter().flat_map(|span| places.at(span)).collect();
            let near: Vec<usize> = spans.iter().flat_map(|span| places.in_file(&span.file_name)).collect();
            match (at.is_empty(), near.is_empty()) {
                (false, _) => blamed.extend(at),
                (true, false) => blamed.extend(near),
                (true, true) => unexplained.push(error.rendered.clone().unwrap_or_default()),
            }
        }
        blamed.sort_unstable();
        blamed.dedup();
        (blamed, unexplained)
    }
}

fn all_spans(message: &Message) -> Vec<&MessageSpan> {
    message.spans.iter().chain(message.children.iter().flat_map(all_spans)).collect()
}

/// On which lines of which file each mutant stands.
#[derive(Debug, Default)]
pub struct Places(BTreeMap<String, Vec<(usize, RangeInclusive<usize>)>>);

impl Places {
    /// Notes where the switches of `numbers` stand in a planted text.
    pub fn note(&mut self, file: &str, text: &str, numbers: impl Iterator<Item = usize>) {
        let places = numbers.filter_map(|number| {
            let start = text.find(&switch(number))?;
            let line = 1 + text[..start].matches('\n').count();
            // A changed expression may go on for some lines: up to where its brackets close.
            let mut depth = 0_i32;
            let rest = text[start..].char_indices().take_while(|(_, character)| {
                depth += match character {
                    '(' | '{' | '[' => 1,
                    ')' | '}' | ']' => -1,
                    _ => 0,
                };
                depth >= 0
            });
            let lines = rest.filter(|(_, character)| *character == '\n').count();
            Some((number, line..=line + lines.min(MAX_LINES)))
        });
        self.0.insert(file.to_owned(), places.collect());
    }

    fn at(&self, span: &MessageSpan) -> Vec<usize> {
        let Some(places) = self.0.get(&span.file_name) else { return Vec::new() };
        let meets = |lines: &RangeInclusive<usize>| span.line_start <= *lines.end() && span.line_end >= *lines.start();
        let on_its_line: Vec<usize> =
            places.iter().filter(|(_, lines)| span.line_start == *lines.start()).map(|(number, _)| *number).collect();
        if !on_its_line.is_empty() {
            return on_its_line;
        }
        places.iter().filter(|(_, lines)| meets(lines)).map(|(number, _)| *number).collect()
    }

    fn in_file(&self, file: &str) -> Vec<usize> {
        self.0.get(file).into_iter().flatten().map(|(number, _)| *number).collect()
    }
}

/// A switch at the beginning of a function is followed by the whole body, which is not its doing.
const MAX_LINES: usize = 12;

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "fn a() {\n    if crate::mutated::on(4) { return 1; }\n}\nfn b() {\n    (if crate::mutated::on(5) { c\n    < d } else { c\n    == d })\n}\n";

    fn error(file: &str, line: usize) -> String {
        format!(
            r#"{{"reason":"compiler-message","message":{{"level":"error","rendered":"at {line}","spans":[{{"file_name":"{file}","line_start":{line},"line_end":{line}}}],"children":[]}}}}"#
        )
    }

    #[test]
    fn an_error_is_blamed_on_the_mutant_in_its_lines() {
        let mut places = Places::default();
        places.note("system/a.rs", TEXT, [4, 5].into_iter());
        let blamed = |messages: &str| Said::read(messages, "lab").blamed(&places);
        assert_eq!(blamed(&error("system/a.rs", 2)), (vec![4], vec![]));
        assert_eq!(blamed(&error("system/a.rs", 6)), (vec![5], vec![]));
        assert_eq!(blamed(&error("system/a.rs", 4)), (vec![4, 5], vec![]), "somewhere in the file");
        assert_eq!(blamed(&error("system/other.rs", 2)), (vec![], vec!["at 2".to_owned()]));
    }

    #[test]
    fn the_program_is_told_and_warnings_are_not_errors() {
        let messages = [
            "not json",
            r#"{"reason":"compiler-message","message":{"level":"warning","rendered":"w","spans":[],"children":[]}}"#,
            r#"{"reason":"compiler-artifact","target":{"name":"lab"},"executable":"/t/lab"}"#,
            r#"{"reason":"build-finished","success":true}"#,
        ];
        let said = Said::read(&messages.join("\n"), "lab");
        assert_eq!(said.executable.as_deref(), Some("/t/lab"));
        assert!(said.errors.is_empty());
    }
}
