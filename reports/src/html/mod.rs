//! The run as one HTML file that needs nothing else: no network, no server, no other file.

mod charts;
mod sections;
mod view;

use askama::Template;

use crate::report::Report;

const CHART_LIBRARY: &str = include_str!("../../vendor/uplot/uPlot.iife.min.js");
const CHART_LIBRARY_LICENCE: &str = include_str!("../../vendor/uplot/LICENSE");
const CHART_LIBRARY_STYLE: &str = include_str!("../../vendor/uplot/uPlot.min.css");
const STYLE: &str = include_str!("../../templates/report.css");
const SCRIPT: &str = include_str!("../../templates/report.js");

/// Why the HTML report could not be made.
#[derive(Debug, thiserror::Error)]
pub enum HtmlError {
    #[error("the charts' data cannot be written as JSON: {reason}")]
    Charts { reason: String },
    #[error("the page's template cannot be filled in: {reason}")]
    Template { reason: String },
}

#[derive(Template)]
#[template(path = "report.html")]
struct Page {
    style: String,
    chart_library: String,
    script: &'static str,
    charts_json: String,
    view: view::View,
}

pub(crate) fn write(report: &Report) -> Result<String, HtmlError> {
    let charts = charts::Charts::new(report.record, &report.summaries);
    let page = Page {
        style: format!("{CHART_LIBRARY_STYLE}\n{STYLE}"),
        chart_library: format!("/*\n{CHART_LIBRARY_LICENCE}*/\n{CHART_LIBRARY}"),
        script: SCRIPT,
        charts_json: charts.to_embedded_json().map_err(|error| HtmlError::Charts { reason: error.to_string() })?,
        view: view::View::new(report),
    };
    page.render().map_err(|error| HtmlError::Template { reason: error.to_string() })
}
