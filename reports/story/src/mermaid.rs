//! The sequence diagram as Mermaid text, which many viewers of Markdown draw.

use std::fmt::Write as _;

use crate::{
    model::{MessageOutcome, Story},
    sequence::{Item, Tone, of_chain},
};

impl Story {
    /// The causal chain as a sequence diagram.
    pub fn mermaid(&self) -> String {
        let (lanes, items) = of_chain(self);
        let mut text = String::from("sequenceDiagram\n");
        // Writing to a String cannot fail.
        for lane in &lanes {
            let _ = writeln!(text, "    participant h{lane} as {}", plain(self.host_name(*lane)));
        }
        for item in &items {
            let _ = match item {
                Item::Arrow { step, from, to, label, outcome, is_answer } => {
                    let arrow = match (outcome, is_answer) {
                        (MessageOutcome::Lost, true) => "--x",
                        (MessageOutcome::Lost, false) => "-x",
                        (_, true) => "-->>",
                        (_, false) => "->>",
                    };
                    writeln!(text, "    h{from}{arrow}h{to}: {step}. {}", plain(label))
                }
                Item::Note { step, over, label, tone } => {
                    let over: Vec<String> = over.iter().map(|lane| format!("h{lane}")).collect();
                    let number = step.map_or(String::new(), |step| format!("{step}. "));
                    let mark = match tone {
                        Tone::Plain => "",
                        Tone::Fault => "FAULT ",
                        Tone::Violation => "BROKEN ",
                    };
                    writeln!(text, "    Note over {}: {mark}{number}{}", over.join(","), plain(label))
                }
            };
        }
        text
    }
}

/// Mermaid takes `;` for the end of a statement, `#` for an entity and line breaks for what they are.
fn plain(text: &str) -> String {
    let one = |character: char| match character {
        ';' => ',',
        '#' => '№',
        '<' => '‹',
        '>' => '›',
        character if character.is_control() => ' ',
        character => character,
    };
    text.chars().map(one).collect()
}
