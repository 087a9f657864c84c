//! A record with its aggregates: pooling thousands of histograms is the dear part of every face, so it is done once for all.

use crate::{
    aggregate::ScenarioSummary,
    html::{self, HtmlError},
    json::WriteError,
    model::{RunRecord, ScenarioRecord},
    summary::{Outcome, Summary},
    terminal::{self, TerminalOptions},
};

/// A run ready to be shown.
pub struct Report<'a> {
    pub(crate) record: &'a RunRecord,
    pub(crate) summaries: Vec<ScenarioSummary>,
}

impl<'a> Report<'a> {
    /// Adds up and pools the trials of every scenario.
    pub fn new(record: &'a RunRecord) -> Self {
        let labelled = |scenario: &ScenarioRecord| {
            let name = record.label(scenario);
            ScenarioSummary { name, ..scenario.summary() }
        };
        Self { record, summaries: record.scenarios.iter().map(labelled).collect() }
    }

    /// Each scenario's trials, added up and pooled, in the record's order; named with the engine where there are several.
    pub fn scenarios(&self) -> &[ScenarioSummary] {
        &self.summaries
    }

    /// The run in short.
    pub fn summary(&self) -> Summary {
        Summary::of(self.record, &self.summaries)
    }

    /// The run in short as one line of JSON.
    pub fn summary_json(&self) -> Result<String, WriteError> {
        self.summary().to_json()
    }

    /// What the run came to.
    pub fn outcome(&self) -> Outcome {
        Outcome::of(self.record, &self.summaries)
    }

    /// The whole report as text that ends with a line break.
    pub fn terminal(&self, options: &TerminalOptions) -> String {
        terminal::write(self, options)
    }

    /// The whole report as one HTML file that needs nothing else. The same record gives the same bytes.
    pub fn html(&self) -> Result<String, HtmlError> {
        html::write(self)
    }
}

/// For callers that want one face only.
impl RunRecord {
    /// As [`Report::summary`].
    pub fn summary(&self) -> Summary {
        Report::new(self).summary()
    }

    /// As [`Report::summary_json`].
    pub fn summary_json(&self) -> Result<String, WriteError> {
        Report::new(self).summary_json()
    }

    /// As [`Report::outcome`].
    pub fn outcome(&self) -> Outcome {
        Report::new(self).outcome()
    }

    /// As [`Report::terminal`].
    pub fn terminal(&self, options: &TerminalOptions) -> String {
        Report::new(self).terminal(options)
    }

    /// As [`Report::html`].
    pub fn html(&self) -> Result<String, HtmlError> {
        Report::new(self).html()
    }
}
