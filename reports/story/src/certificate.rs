//! A certificate that a change mends a bug: what was run on either side of it, and what came of it.

use std::fmt::Write as _;

use serde::Serialize;

use crate::escape::{html, markdown};

/// What the runs came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum CertificateVerdict {
    /// The old code fails for the recorded reason; the new code holds under the same faults, and so do the neighbours.
    Certified,
    /// The old code does not fail, so there is nothing that the change could have mended.
    OldHolds,
    /// The new code fails in the trial or in one of its neighbours.
    NewFails,
    /// Nothing failed on the new code, but not every fault that acted on the old code acted on it, or a trial did not end.
    Inconclusive,
}

impl CertificateVerdict {
    pub fn as_str(self) -> &'static str {
        match self {
            CertificateVerdict::Certified => "certified",
            CertificateVerdict::OldHolds => "not certified: the old code holds",
            CertificateVerdict::NewFails => "not certified: the new code fails",
            CertificateVerdict::Inconclusive => "inconclusive",
        }
    }
}

/// One trial on one revision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RunOfRevision {
    /// As it was asked for.
    pub asked: String,
    /// As version control names it.
    pub revision: String,
    /// `held`, `broken` or `inconclusive`.
    pub verdict: String,
    pub reason: String,
    pub broken: Vec<String>,
    pub trace_hash: String,
    /// Id, kind and address of each fault that acted, and how often.
    pub faults_fired: Vec<(String, String, String, u64)>,
    pub faults_not_fired: Vec<String>,
}

/// One trial close to the recorded one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NeighbourRecord {
    /// How it differs from the recorded one.
    pub difference: String,
    pub before: String,
    pub after: String,
    pub trace_hash_after: String,
    pub reason_after: String,
}

/// All of it, ready to be attached to a change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Certificate {
    pub verdict: CertificateVerdict,
    /// In one sentence.
    pub because: String,
    pub bug_file: String,
    /// SHA-256 of the bug file's bytes.
    pub bug_sha256: String,
    pub scenario: String,
    pub seed: u64,
    pub engine: String,
    pub check: String,
    pub operations: usize,
    pub recorded_trace_hash: String,
    pub before: RunOfRevision,
    pub after: RunOfRevision,
    pub neighbours: Vec<NeighbourRecord>,
    pub command: String,
}

impl Certificate {
    fn facts(&self) -> Vec<(&'static str, String)> {
        vec![
            ("bug report", self.bug_file.clone()),
            ("its SHA-256", self.bug_sha256.clone()),
            (
                "trial",
                format!("{} seed {} on {}, {} operations", self.scenario, self.seed, self.engine, self.operations),
            ),
            ("check that broke", self.check.clone()),
            ("recorded trace", self.recorded_trace_hash.clone()),
            ("made by", self.command.clone()),
        ]
    }

    fn revisions(&self) -> [(&'static str, &RunOfRevision); 2] {
        [("before", &self.before), ("after", &self.after)]
    }

    /// How many neighbours had each verdict, before and after.
    fn tally(&self, of: impl Fn(&NeighbourRecord) -> &str) -> String {
        let count = |verdict: &str| self.neighbours.iter().filter(|neighbour| of(neighbour) == verdict).count();
        format!("{} held, {} broken, {} inconclusive", count("held"), count("broken"), count("inconclusive"))
    }

    /// As Markdown.
    pub fn markdown(&self) -> String {
        let mut text =
            format!("# Fix certificate: {}\n\n{}\n\n| | |\n|---|---|\n", self.verdict.as_str(), self.because);
        // Writing to a String cannot fail.
        for (name, value) in self.facts() {
            let _ = writeln!(text, "| {name} | {} |", markdown(&value));
        }
        let _ =
            writeln!(text, "\n## The trial\n\n| | revision | verdict | checks broken | trace |\n|---|---|---|---|---|");
        for (side, run) in self.revisions() {
            let asked = if run.asked == run.revision { String::new() } else { format!(" ({})", markdown(&run.asked)) };
            let broken = if run.broken.is_empty() { "none".to_owned() } else { markdown(&run.broken.join(", ")) };
            let _ = writeln!(
                text,
                "| {side} | `{}`{asked} | {} | {broken} | `{}` |",
                run.revision, run.verdict, run.trace_hash
            );
        }
        for (side, run) in self.revisions().into_iter().filter(|(_, run)| !run.reason.is_empty()) {
            let _ = writeln!(text, "\n{side}: {}", markdown(&run.reason));
        }
        let _ = writeln!(text, "\n## Faults that fired\n\n| | id | kind | address | times |\n|---|---|---|---|---:|");
        for (side, run) in self.revisions() {
            for (id, kind, address, times) in &run.faults_fired {
                let _ = writeln!(text, "| {side} | {id} | {kind} | {} | {times} |", markdown(address));
            }
        }
        for (side, run) in self.revisions().into_iter().filter(|(_, run)| !run.faults_not_fired.is_empty()) {
            let _ = writeln!(text, "\nDid not fire {side}: {}", markdown(&run.faults_not_fired.join("; ")));
        }
        if !self.neighbours.is_empty() {
            let _ = writeln!(
                text,
                "\n## {} neighbours\n\nBefore: {}. After: {}.\n\n| difference | before | after | trace after |\n|---|---|---|---|",
                self.neighbours.len(),
                self.tally(|neighbour| &neighbour.before),
                self.tally(|neighbour| &neighbour.after)
            );
            for neighbour in &self.neighbours {
                let hash: String = neighbour.trace_hash_after.chars().take(16).collect();
                let _ = writeln!(
                    text,
                    "| {} | {} | {} | `{hash}` |",
                    markdown(&neighbour.difference),
                    neighbour.before,
                    neighbour.after
                );
            }
        }
        text
    }

    /// As one HTML file.
    pub fn html(&self) -> String {
        let tone = match self.verdict {
            CertificateVerdict::Certified => "good",
            CertificateVerdict::Inconclusive => "doubtful",
            CertificateVerdict::OldHolds | CertificateVerdict::NewFails => "bad",
        };
        let facts: String = self
            .facts()
            .iter()
            .map(|(name, value)| format!("<div><dt>{name}</dt><dd>{}</dd></div>", html(value)))
            .collect();
        let rows: String = self.revisions().iter().map(|(side, run)| revision_row(side, run)).collect();
        let fault = |side: &str, (id, kind, address, times): &(String, String, String, u64)| {
            format!(
                "<tr><td>{side}</td><td>{}</td><td>{}</td><td>{}</td><td>{times}</td></tr>",
                html(id),
                html(kind),
                html(address)
            )
        };
        let faults: String = self
            .revisions()
            .iter()
            .flat_map(|(side, run)| run.faults_fired.iter().map(move |fired| fault(side, fired)))
            .collect();
        let neighbours: String = self
            .neighbours
            .iter()
            .map(|one| {
                format!(
                    "<tr><td>{}</td><td>{}</td><td class=\"{}\">{}</td><td><code>{}</code></td></tr>",
                    html(&one.difference),
                    html(&one.before),
                    tone_of(&one.after),
                    html(&one.after),
                    html(&one.trace_hash_after)
                )
            })
            .collect();
        format!(
            "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"color-scheme\" content=\"light dark\">\
             <title>Fix certificate: {scenario} seed {seed}</title><style>{style}</style></head><body class=\"plain\">\
             <header class=\"top {tone}\"><p class=\"kicker\">Nexus fix certificate</p><h1>{verdict}</h1><p>{because}</p>\
             <dl class=\"facts\">{facts}</dl></header><main>\
             <h2>The trial</h2><div class=\"scroll\"><table><thead><tr><th></th><th>revision</th><th>verdict</th>\
             <th>checks broken</th><th>reason</th><th>trace</th></tr></thead><tbody>{rows}</tbody></table></div>\
             <h2>Faults that fired</h2><div class=\"scroll\"><table><thead><tr><th></th><th>id</th><th>kind</th><th>address</th>\
             <th>times</th></tr></thead><tbody>{faults}</tbody></table></div>\
             <h2>{count} neighbours</h2><p>Before: {tally_before}. After: {tally_after}.</p><div class=\"scroll\"><table><thead><tr>\
             <th>difference</th><th>before</th><th>after</th><th>trace after</th></tr></thead><tbody>{neighbours}</tbody></table>\
             </div></main></body></html>\n",
            scenario = html(&self.scenario),
            seed = self.seed,
            style = include_str!("../templates/story.css"),
            verdict = self.verdict.as_str(),
            because = html(&self.because),
            count = self.neighbours.len(),
            tally_before = self.tally(|neighbour| &neighbour.before),
            tally_after = self.tally(|neighbour| &neighbour.after),
        )
    }
}

fn tone_of(verdict: &str) -> &'static str {
    match verdict {
        "held" => "good",
        "broken" => "bad",
        _ => "doubtful",
    }
}

fn revision_row(side: &str, run: &RunOfRevision) -> String {
    format!(
        "<tr><td>{side}</td><td><code>{}</code> {}</td><td class=\"{}\">{}</td><td>{}</td><td>{}</td><td><code>{}</code></td></tr>",
        html(&run.revision),
        if run.asked == run.revision { String::new() } else { format!("({})", html(&run.asked)) },
        tone_of(&run.verdict),
        html(&run.verdict),
        html(&run.broken.join(", ")),
        html(&run.reason),
        html(&run.trace_hash)
    )
}
