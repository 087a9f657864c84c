//! What a reader sees: the terminal's text and the page.
#![forbid(unsafe_code)]

#[path = "../examples/support/sample.rs"]
mod sample;

use nexus_reports::{RunRecord, TerminalOptions, coverage_markdown, coverage_table};

#[test]
fn the_terminal_face() {
    let text = sample::record().terminal(&TerminalOptions {
        colour: false,
        width: 120,
        html: Some("target/nexus/report.html"),
    });
    assert!(!text.contains('\u{1b}'));
    insta::assert_snapshot!("terminal", text);
}

#[test]
fn a_narrow_terminal_is_not_overrun_by_tables() {
    let text = sample::record().terminal(&TerminalOptions { colour: false, width: 80, html: None });
    let scenarios = text.lines().skip_while(|line| !line.starts_with("scenario")).take_while(|line| !line.is_empty());
    let widest = scenarios.map(|line| line.chars().count()).max().unwrap();
    assert!(widest <= 80, "{widest}");
}

#[test]
fn colour_changes_nothing_but_the_escapes() {
    let record = sample::record();
    let bare = record.terminal(&TerminalOptions::default());
    let coloured = record.terminal(&TerminalOptions { colour: true, ..TerminalOptions::default() });
    assert!(coloured.contains("\u{1b}["));
    let words = |text: &str| -> Vec<String> { text.split_whitespace().map(str::to_owned).collect() };
    assert_eq!(words(&without_escapes(&coloured)), words(&bare));
}

fn without_escapes(text: &str) -> String {
    let mut parts = text.split('\u{1b}');
    let mut bare = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let end = part.find('m').expect("only colours are escaped");
        bare.push_str(&part[end + 1..]);
    }
    bare
}

#[test]
fn an_empty_run_can_be_shown() {
    let record = RunRecord::new("r", "madsim", "dev");
    let text = record.terminal(&TerminalOptions::default());
    assert!(text.starts_with("INCONCLUSIVE  0 trials"), "{text}");
    assert!(record.html().unwrap().contains("<span class=\"outcome\">inconclusive</span>"));
}

#[test]
fn the_coverage_for_the_source_tree() {
    let record = sample::record();
    insta::assert_snapshot!("coverage", coverage_markdown(&record));
    let table: serde_json::Value = serde_json::from_str(&coverage_table(&record).to_json().unwrap()).unwrap();
    assert_eq!(table["rows"][0]["row"], "dynamodb/transaction");
    assert_eq!(table["rows"][0]["counts"].as_array().unwrap().len(), table["scenarios"].as_array().unwrap().len());
    assert_eq!(table["unnamed_marks"][0], "sqs.purged");
}

#[test]
fn the_summary_for_machines() {
    let summary: serde_json::Value = serde_json::from_str(&sample::record().summary_json().unwrap()).unwrap();
    insta::assert_snapshot!("summary", serde_json::to_string_pretty(&summary).unwrap());
}

#[test]
fn few_scenarios_are_followed_step_by_step() {
    let mut record = sample::record();
    record.scenarios.truncate(1);
    let text = record.terminal(&TerminalOptions::default());
    assert!(text.contains("Way of an event") && text.contains("end-to-end  drain"), "{text}");
}

#[test]
fn the_page_without_its_scripts() {
    insta::assert_snapshot!("page", skeleton(&sample::record().html().unwrap()));
}

/// The page with styles, scripts and chart data taken out.
fn skeleton(page: &str) -> String {
    let mut rest = page;
    let mut skeleton = String::new();
    while let Some(start) = ["<style", "<script"].iter().filter_map(|tag| rest.find(tag)).min() {
        let open_end = start + rest[start..].find('>').unwrap() + 1;
        let closing = if rest[start..].starts_with("<style") { "</style>" } else { "</script>" };
        skeleton.push_str(&rest[..open_end]);
        rest = &rest[open_end + rest[open_end..].find(closing).unwrap()..];
        skeleton.push_str(closing);
        rest = &rest[closing.len()..];
    }
    skeleton + rest
}

#[test]
fn the_page_needs_nothing_from_elsewhere() {
    let page = sample::record().html().unwrap();
    for reference in [" src=", "href=\"http", "href=\"//", "@import", "url(", "<link", "fetch(", "XMLHttpRequest"] {
        assert!(!page.contains(reference), "{reference}");
    }
    assert!(page.contains("Permission is hereby granted"), "the chart library's licence goes with every copy");
    assert!(page.len() < 1_500_000, "{} bytes", page.len());
}

#[test]
fn names_cannot_break_out_of_the_page() {
    let evil = "</script><img src=x onerror=alert(1)>\"'&\u{2028}";
    let mut record = sample::record();
    record.revision = evil.to_owned();
    let scenario = &mut record.scenarios[1];
    scenario.name = evil.to_owned();
    scenario.description = evil.to_owned();
    for trial in &mut scenario.trials {
        trial.reason = evil.to_owned();
        trial.bug_file = trial.bug_file.as_ref().map(|_| evil.to_owned());
        trial.faults[0].kind = evil.to_owned();
        trial.checks[0].message = evil.to_owned();
    }
    let (clean, page) = (sample::record().html().unwrap(), record.html().unwrap());
    assert!(!page.contains("<img"));
    for tag in ["</script>", "<script"] {
        assert_eq!(page.matches(tag).count(), clean.matches(tag).count(), "{tag}");
    }
    let text = record.terminal(&TerminalOptions::default());
    assert!(!text.contains('\u{1b}'));
}

#[test]
fn faces_are_functions_of_the_record() {
    let record = sample::record();
    let read = RunRecord::from_json(&record.to_json().unwrap()).unwrap();
    assert!(read.html().unwrap() == record.html().unwrap(), "the page differs");
    assert_eq!(read.summary_json().unwrap(), record.summary_json().unwrap());
    assert_eq!(read.terminal(&TerminalOptions::default()), record.terminal(&TerminalOptions::default()));
}

#[test]
fn hundreds_of_seeds_keep_the_page_small() {
    let mut record = sample::record();
    for scenario in &mut record.scenarios {
        let trials = scenario.trials.clone();
        scenario.trials = (0..200)
            .map(|seed| {
                let mut trial = trials[seed % trials.len()].clone();
                trial.seed = seed as u64;
                if seed >= trials.len() {
                    // Histograms are pooled, so that their number does not show in the page, only in the time to make it.
                    trial.latency.clear();
                    trial.shares.clear();
                }
                trial
            })
            .collect();
    }
    let page = record.html().unwrap();
    assert!(page.len() < 2_000_000, "{} bytes", page.len());
    assert!(page.contains("140 more trials are left out here"));
}

#[test]
fn the_verdicts_for_a_build_server() {
    let mut record = sample::record();
    // Real time is the machine's.
    record.scenarios.iter_mut().flat_map(|scenario| &mut scenario.trials).for_each(|trial| trial.wall_s = 0.0);
    insta::assert_snapshot!("junit", record.junit());
    insta::assert_snapshot!("ci", record.summary_markdown());
}

#[test]
fn a_run_that_held_has_a_green_summary_and_no_failure() {
    let mut record = sample::record();
    record.scenarios.retain(|scenario| {
        scenario.trials.iter().all(|trial| trial.verdict == nexus_reports::Verdict::Held)
            && scenario.objectives.iter().all(|objective| objective.held)
    });
    record.determinism.diverged = 0;
    assert!(!record.scenarios.is_empty(), "the sample has a scenario that held");
    let text = record.summary_markdown();
    assert!(text.starts_with("## ✅ Nexus: held"), "{text}");
    assert!(!text.contains("replay"), "{text}");
    assert!(record.junit().contains("failures=\"0\""), "{}", record.junit());
    let empty = RunRecord::new("r", "turmoil", "sim");
    assert!(empty.summary_markdown().starts_with("## ⚠️ Nexus: inconclusive"));
}
