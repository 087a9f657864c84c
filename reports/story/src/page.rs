//! The page: one HTML file with everything in it, from the causal chain to the timeline, without a reference to the network.

use std::fmt::Write as _;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use crate::{
    drawing::sequence_svg,
    escape::{embedded_json, html},
    model::{Link, Story},
    regression_test::RegressionTest,
    text::time,
};

const TEMPLATE: &str = include_str!("../templates/story.html");
const STYLE: &str = include_str!("../templates/story.css");
const SCRIPT: &str = include_str!("../templates/story.js");

/// A line for a terminal and what it is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    pub text: String,
    pub purpose: String,
}

/// What the page carries besides the story; nothing of it makes the timeline alone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attachments {
    /// Name and text of the bug report.
    pub bug_report: Option<(String, String)>,
    /// The trial as data, in lines.
    pub trial: Option<String>,
    pub regression_test: Option<RegressionTest>,
    pub commands: Vec<Command>,
    /// What is known of the cause, a sentence each.
    pub cause: Vec<String>,
    /// How the trial came to its size, if it was shrunk.
    pub size: Option<String>,
}

impl Story {
    /// The page. The same story and attachments give the same bytes.
    pub fn page(&self, attachments: &Attachments) -> String {
        let part = |name: &str| match name {
            "title" => html(&self.title()),
            "style" => STYLE.to_owned(),
            "script" => SCRIPT.to_owned(),
            "tone" => match self.facts.verdict.as_str() {
                "held" => "good",
                "broken" => "bad",
                _ => "doubtful",
            }
            .to_owned(),
            "reason" => html(&self.facts.reason),
            "facts" => self.fact_list(attachments),
            "broken" => self.violation_list(),
            "cause" => paragraphs(&attachments.cause),
            "chain" => self.chain_list(),
            "sequence" => sequence_svg(self),
            "faults" => self.fault_rows(),
            "assumptions" => self.assumption_list(),
            "reproduce" => reproduce(attachments),
            "downloads" => self.downloads(attachments),
            "data" => embedded_json(&self.page_data().to_string()),
            _ => String::new(),
        };
        filled(TEMPLATE, part)
    }

    fn title(&self) -> String {
        let facts = &self.facts;
        match self.violations.first() {
            Some(violation) => format!("{} broke in {}, seed {}", violation.checker, facts.scenario, facts.seed),
            None => format!("{}, seed {}: {}", facts.scenario, facts.seed, facts.verdict),
        }
    }

    fn fact_list(&self, attachments: &Attachments) -> String {
        let facts = &self.facts;
        let mut rows = vec![
            ("Engine", facts.engine.clone()),
            ("Revision", format!("{} ({})", facts.revision, facts.profile)),
            ("Trial", format!("{} operations, {} faults", facts.operations, facts.planned_faults)),
            ("Simulated", time(self.ended_us)),
            ("Steps", (self.steps.len() + self.steps_left_out as usize).to_string()),
            ("Trace", facts.trace_hash.clone()),
        ];
        rows.extend(attachments.size.iter().map(|size| ("Shrunk", size.clone())));
        rows.extend(facts.planted_bug.iter().map(|bug| ("Planted bug", bug.clone())));
        rows.iter().map(|(name, value)| format!("<div><dt>{name}</dt><dd>{}</dd></div>", html(value))).collect()
    }

    fn violation_list(&self) -> String {
        if self.violations.is_empty() {
            return "<p class=\"fine\">Nothing broke in this run.</p>".to_owned();
        }
        let mut text = String::new();
        for violation in &self.violations {
            let steps: Vec<String> = violation.steps.iter().map(|step| step_link(*step)).collect();
            let steps = if steps.is_empty() { String::new() } else { format!(" Steps {}.", steps.join(", ")) };
            let evidence: String =
                violation.evidence.iter().map(|line| format!("<li><code>{}</code></li>", html(line))).collect();
            // Writing to a String cannot fail.
            let _ = write!(
                text,
                "<article class=\"failure\"><h3>{}</h3><p>{}{steps}</p><ul>{evidence}</ul></article>",
                html(&violation.checker),
                html(&violation.what)
            );
        }
        text
    }

    fn chain_list(&self) -> String {
        let rows: String = self.chain.iter().filter_map(|link| self.chain_row(link)).collect();
        if rows.is_empty() {
            return "<p class=\"fine\">No step of this run leads to a violation.</p>".to_owned();
        }
        let left_out = match self.chain_left_out {
            0 => String::new(),
            count => format!("<p class=\"fine\">{count} more steps touch the same things and were left out.</p>"),
        };
        format!("<ol class=\"chain\">{rows}</ol>{left_out}")
    }

    fn chain_row(&self, link: &Link) -> Option<String> {
        let step = self.step(link.step)?;
        let because: Vec<String> = link
            .because
            .iter()
            .map(|because| format!("{} <span>({})</span>", step_link(because.step), html(&because.why)))
            .collect();
        let because = if because.is_empty() {
            String::new()
        } else {
            format!("<div class=\"because\">follows from {}</div>", because.join(", "))
        };
        let evidence = if link.is_evidence { " <b class=\"mark\">evidence</b>" } else { "" };
        Some(format!(
            "<li class=\"{}\"><span class=\"when\">{}<br>{}</span><span class=\"who\">{}</span>\
             <div class=\"what\">{}{evidence}{because}</div></li>",
            step.kind.as_str(),
            step_link(step.number),
            time(step.at_us),
            html(self.host_name(step.host)),
            html(&step.text)
        ))
    }

    fn fault_rows(&self) -> String {
        let row = |fault: &crate::model::Fault| {
            let points: Vec<String> = fault.points.iter().take(8).map(|point| step_link(point.step)).collect();
            let more = fault.points.len().saturating_sub(8);
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            let fired =
                if points.is_empty() { "never fired".to_owned() } else { format!("{}{more}", points.join(", ")) };
            format!(
                "<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{fired}</td></tr>",
                fault.id,
                html(&fault.kind),
                html(&fault.contract),
                html(&fault.address)
            )
        };
        let rows: String = self.faults.iter().map(row).collect();
        if rows.is_empty() {
            return "<p class=\"fine\">The trial has no fault.</p>".to_owned();
        }
        format!(
            "<div class=\"scroll\"><table><thead><tr><th>id</th><th>kind</th><th>contract</th><th>address</th><th>acted at \
             step</th></tr></thead><tbody>{rows}</tbody></table></div>"
        )
    }

    fn assumption_list(&self) -> String {
        let rows: String =
            self.facts.assumptions.iter().map(|text| format!("<li><code>{}</code></li>", html(text))).collect();
        if rows.is_empty() { String::new() } else { format!("<ul class=\"assumptions\">{rows}</ul>") }
    }

    fn downloads(&self, attachments: &Attachments) -> String {
        let stem = format!("{}-{}", self.facts.scenario, self.facts.seed);
        let mut links = vec![data_link(
            &format!("trace-{stem}.json.gz"),
            "application/gzip",
            &self.perfetto_gzip(),
            "trace for Perfetto and Chrome",
        )];
        if let Some((name, text)) = &attachments.bug_report {
            links.push(data_link(name, "application/json", text.as_bytes(), "bug report, for cargo xtask replay"));
        }
        if let Some(test) = &attachments.regression_test {
            links.push(data_link(&test.file_name, "text/plain", test.source.as_bytes(), "regression test"));
        }
        links.join(" ")
    }

    /// What the script draws. Rows are tuples: names would make up most of the file.
    fn page_data(&self) -> Value {
        let steps: Vec<Value> = self
            .steps
            .iter()
            .map(|step| {
                json!([
                    step.number,
                    step.at_us,
                    step.until_us,
                    step.host,
                    step.kind.as_str(),
                    step.service,
                    step.aggregate,
                    step.operation,
                    step.text
                ])
            })
            .collect();
        let messages: Vec<Value> = self
            .messages
            .iter()
            .map(|message| {
                json!([
                    message.step,
                    message.from,
                    message.to,
                    message.sent_us,
                    message.arrived_us,
                    message.outcome.as_str(),
                    message.is_answer,
                    message.label
                ])
            })
            .collect();
        let changes: Vec<Value> =
            self.changes.iter().map(|change| json!([change.step, change.of, change.name, change.after])).collect();
        json!({
            "ended_us": self.ended_us,
            "phases": self.phases,
            "hosts": self.hosts,
            "steps": steps,
            "messages": messages,
            "faults": self.faults,
            "changes": changes,
            "violations": self.violations,
            "chain": self.chain,
            "left_out": self.steps_left_out,
        })
    }
}

fn step_link(step: u32) -> String {
    format!("<a href=\"#step-{step}\">{step}</a>")
}

fn data_link(name: &str, media_type: &str, bytes: &[u8], text: &str) -> String {
    format!(
        "<a class=\"button\" download=\"{}\" href=\"data:{media_type};base64,{}\">{}</a>",
        html(name),
        STANDARD.encode(bytes),
        html(text)
    )
}

fn paragraphs(lines: &[String]) -> String {
    if lines.is_empty() {
        return String::new();
    }
    let lines: String = lines.iter().map(|line| format!("<li>{}</li>", html(line))).collect();
    format!("<ul class=\"cause\">{lines}</ul>")
}

fn reproduce(attachments: &Attachments) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    for command in &attachments.commands {
        let line = html(&command.text);
        let _ = write!(
            text,
            "<div class=\"command\"><code>{line}</code><button type=\"button\" class=\"copy\" data-copy=\"{line}\">Copy</button>\
             </div><p class=\"fine\">{}</p>",
            html(&command.purpose)
        );
    }
    for (title, body) in [
        ("Regression test", attachments.regression_test.as_ref().map(|test| &test.source)),
        ("Trial", attachments.trial.as_ref()),
    ] {
        if let Some(body) = body {
            let _ =
                write!(text, "<details><summary>{title}</summary><pre tabindex=\"0\">{}</pre></details>", html(body));
        }
    }
    text
}

/// Puts the parts where the template names them, in one pass: what a part says is never taken for a name.
fn filled(template: &str, part: impl Fn(&str) -> String) -> String {
    let mut text = String::with_capacity(template.len() * 2);
    let mut rest = template;
    while let Some((before, after)) = rest.split_once("{{") {
        text.push_str(before);
        match after.split_once("}}") {
            Some((name, after)) => {
                text.push_str(&part(name.trim()));
                rest = after;
            }
            None => {
                rest = after;
            }
        }
    }
    text.push_str(rest);
    text
}
