//! What a reader gets to see of a story.
#![forbid(unsafe_code)]

#[path = "support/sample.rs"]
mod sample;

use nexus_reports_story::{
    Attachments, Certificate, CertificateVerdict, Command, NeighbourRecord, RunOfRevision, StoryDiff, chain_lines,
    regression_test,
};

#[test]
fn the_chain_and_the_diagram_in_text() {
    let story = sample::story();
    insta::assert_snapshot!("chain", chain_lines(&story).join("\n"));
    insta::assert_snapshot!("mermaid", story.mermaid());
}

#[test]
fn the_trace_for_perfetto() {
    let trace: serde_json::Value = serde_json::from_str(&sample::story().perfetto()).unwrap();
    insta::assert_json_snapshot!("perfetto", trace);
    let events = trace["traceEvents"].as_array().unwrap();
    let has = |phase: &str, host: u64| events.iter().any(|event| event["ph"] == phase && event["pid"] == host);
    // A span on either side of the call, and a flow from one to the other.
    assert!(has("X", 2) && has("X", 3) && has("s", 2) && has("f", 3), "{trace}");
}

#[test]
fn the_regression_test() {
    let story = sample::story();
    let test = regression_test(&story.facts, "immutability", "{\n  \"seed\": 3\n}");
    assert_eq!(test.file_name, "regress_contention_3.rs");
    insta::assert_snapshot!("regression_test", test.source);
}

#[test]
fn the_page_has_everything_and_refers_to_nothing() {
    let story = sample::story();
    let bare = story.page(&Attachments::default());
    let attachments = Attachments {
        bug_report: Some(("bug-contention-3.json".to_owned(), "{\"seed\": 3}".to_owned())),
        trial: Some("{\"seed\": 3}".to_owned()),
        regression_test: Some(regression_test(&story.facts, "immutability", "{}")),
        commands: vec![Command { text: "cargo xtask replay 'a b.json'".to_owned(), purpose: "again".to_owned() }],
        cause: vec!["Inevitable after step 6.".to_owned()],
        size: Some("from 200 operations".to_owned()),
    };
    let page = story.page(&attachments);
    assert_eq!(page, story.page(&attachments), "the same story gives the same bytes");
    for wanted in [
        "immutability broke in contention, seed 3",
        "An event&#39;s item was &lt;replaced&gt;.",
        "Inevitable after step 6.",
        "from 200 operations",
        "data:application/gzip;base64,",
        "download=\"bug-contention-3.json\"",
        "download=\"regress_contention_3.rs\"",
        "cargo xtask replay &#39;a b.json&#39;",
        "href=\"#step-6\"",
        "class=\"sequence\"",
    ] {
        assert!(page.contains(wanted), "{wanted}");
    }
    for page in [&bare, &page] {
        assert!(!page.contains("{{") && !page.contains("src=\"http") && !page.contains("href=\"http"));
        // What a run says cannot end the script that carries it.
        assert_eq!(page.matches("</script>").count(), 2);
    }
    assert!(!bare.contains("Regression test") && bare.contains("id=\"canvas\""));
}

#[test]
fn the_state_at_a_step_is_all_changes_up_to_it() {
    let story = sample::story();
    let told = |number: u32| {
        let state = story.state_at(number);
        state
            .groups
            .get("aggregate")
            .and_then(|group| group.get("order-o-1"))
            .map(|entry| (entry.value.clone(), entry.since))
    };
    assert_eq!(told(3), None);
    assert_eq!(told(4), Some(("version 1, event_type OrderPlaced".to_owned(), 4)));
    assert_eq!(told(5), told(4), "a step that was left out changes nothing that is known");
    assert_eq!(told(7), Some(("version 1, replaced".to_owned(), 7)));
    assert_eq!(story.state_at(7).groups["host"]["orders-1"].value, "up");
}

#[test]
fn two_runs_are_compared_from_where_they_part() {
    let story = sample::story();
    assert_eq!(StoryDiff::of(&story, &story).first, None);
    let mut other = sample::story();
    other.steps[4].text = "call 6: GetItem nexus-events/order-o-1/1 → 200".to_owned();
    other.steps.truncate(5);
    other.changes.truncate(2);
    let diff = StoryDiff::of(&story, &other);
    insta::assert_json_snapshot!("diff", diff);
    // One call more before changes the numbers of all later ones, and nothing else.
    let mut renumbered = sample::story();
    renumbered.steps[4].text = renumbered.steps[4].text.replace("call 6", "call 9");
    let diff = StoryDiff::of(&story, &renumbered);
    assert!(diff.first.is_some() && diff.groups.is_empty(), "{diff:?}");
}

fn run(revision: &str, verdict: &str, broken: &[&str]) -> RunOfRevision {
    RunOfRevision {
        asked: "main~1".to_owned(),
        revision: revision.to_owned(),
        verdict: verdict.to_owned(),
        reason: broken.first().map_or(String::new(), |check| format!("{check}: it broke")),
        broken: broken.iter().map(|check| (*check).to_owned()).collect(),
        trace_hash: "cd".repeat(32),
        faults_fired: vec![("3".to_owned(), "lost-answer".to_owned(), "orders-1 -> dynamodb #1".to_owned(), 1)],
        faults_not_fired: vec![],
    }
}

#[test]
fn a_certificate_tells_both_sides() {
    let certificate = Certificate {
        verdict: CertificateVerdict::Certified,
        because: "The old code breaks `immutability`; the new code holds.".to_owned(),
        bug_file: "bug.json".to_owned(),
        bug_sha256: "ef".repeat(32),
        scenario: "contention".to_owned(),
        seed: 3,
        engine: "turmoil".to_owned(),
        check: "immutability".to_owned(),
        operations: 2,
        recorded_trace_hash: "ab".repeat(32),
        before: run("0123456789ab", "broken", &["immutability"]),
        after: run("ba9876543210", "held", &[]),
        neighbours: vec![NeighbourRecord {
            difference: "world seed 4".to_owned(),
            before: "broken".to_owned(),
            after: "held".to_owned(),
            trace_hash_after: "12".repeat(32),
            reason_after: String::new(),
        }],
        command: "cargo xtask certify bug.json --before main~1 --after main".to_owned(),
    };
    insta::assert_snapshot!("certificate", certificate.markdown());
    let page = certificate.html();
    for wanted in ["<h1>certified</h1>", "0123456789ab", "ba9876543210", "world seed 4", "lost-answer"] {
        assert!(page.contains(wanted), "{wanted}");
    }
}
