//! The laboratory as a user meets it: exit codes, messages, files.
#![forbid(unsafe_code)]

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use serde_json::Value;

/// A trial that must fail: calls hang to the end of the chaos, and the drain is shorter than the time-out that would
/// notice.
const HOPELESS: &str = r#"
description = "Somebody is never answered."

[topology]
command_services = 1

[phases]
nominal_ms = 500
chaos_ms = 1500
heal_ms = 1
drain_ms = 500

[workload]
operations_per_second = 10.0

[[faults]]
kind = "hang"
operations = ["GetItem"]
nth = 1
hits = 100000

[[faults]]
kind = "clock-leap"
count = 3
"#;

const CALM: &str = r#"
description = "Nothing happens."

[phases]
nominal_ms = 2000
chaos_ms = 0
heal_ms = 1
drain_ms = 30000

[workload]
operations_per_second = 10.0
"#;

struct Desk {
    folder: PathBuf,
}

impl Desk {
    fn new(name: &str) -> Self {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        Self { folder }
    }

    fn write(&self, name: &str, text: &str) -> String {
        let path = self.folder.join(name);
        fs::write(&path, text).unwrap();
        path.display().to_string()
    }

    fn lab(&self, revision: &str, arguments: &[&str]) -> Output {
        self.command(revision, arguments).output().unwrap()
    }

    fn command(&self, revision: &str, arguments: &[&str]) -> Command {
        let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let engine = nexus_engine::compiled_engine().to_string();
        let mut command = Command::new(env!("CARGO_BIN_EXE_nexus-lab"));
        command.current_dir(&self.folder).args(arguments);
        if ["sim", "chaos"].contains(&arguments[0]) {
            command.arg(format!("--engine={engine}"));
        }
        command.env("NEXUS_WORKSPACE_ROOT", workspace).env("NEXUS_REVISION", revision).env("NEXUS_PROFILE", "test");
        command
    }
}

fn code(output: &Output) -> i32 {
    output.status.code().unwrap_or(-1)
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[test]
fn a_calm_scenario_holds_and_prints_one_object() {
    let desk = Desk::new("calm");
    let scenario = desk.write("calm.toml", CALM);
    let output = desk
        .lab("r1", &["sim", "--scenario", &scenario, "--seeds", "2", "--check-determinism", "--out", "o", "--json"]);
    assert_eq!(code(&output), 0, "{}", text(&output));
    let object: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(object["trials"], 2);
    assert_eq!(object["passed"], 2);
    assert_eq!(object["determinism"], serde_json::json!({"checked": 2, "diverged": 0}));
    assert!(object["aws_calls"].as_u64().unwrap() > 20);
    assert!(object["latency"]["command"]["p99_ms"].as_f64().unwrap() > 1.0);
    for file in ["record.json", "report.html"] {
        assert!(desk.folder.join("o").join(file).is_file(), "{file}");
    }
}

/// So small that each of its calls can be made to fail.
const TINY: &str = r#"
description = "Hardly anything happens."

[topology]
command_services = 1

[phases]
nominal_ms = 1000
chaos_ms = 0
heal_ms = 1
drain_ms = 30000

[workload]
operations_per_second = 3.0
"#;

fn names_in(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

#[test]
fn an_exploration_is_the_same_however_many_processes_play_it() {
    let desk = Desk::new("chaos");
    let scenario = desk.write("calm.toml", CALM);
    let explored = |out: &str, jobs: &str| -> Value {
        let arguments = ["chaos", "--scenario", &scenario, "--seeds", "20", "--jobs", jobs, "--out", out, "--json"];
        let output = desk.lab("r1", &arguments);
        // What it finds is not this test's business; that it tells is.
        assert!([0, 1].contains(&code(&output)), "{}", text(&output));
        serde_json::from_slice(&output.stdout).unwrap()
    };
    let (first, second) = (explored("one", "1"), explored("two", "3"));
    assert_eq!(first["trials"], 20);
    for field in ["exploration", "goals", "goals_never_reached", "faults_fired", "passed", "failed", "aws_calls"] {
        assert_eq!(first[field], second[field], "{field}");
    }
    let exploration = &first["exploration"];
    assert_eq!(exploration["origins"]["random"]["trials"].as_u64().unwrap(), 16 + 1, "{exploration}");
    assert_eq!(exploration["origins"]["mutated"]["trials"], 3);
    assert!(exploration["features"].as_u64().unwrap() > 50, "{exploration}");
    let [one, two] = ["one", "two"].map(|out| names_in(&desk.folder.join(out).join("corpus")));
    assert_eq!(one, two);
    assert_eq!(one.len() as u64, exploration["corpus_cover"].as_u64().unwrap());

    // A second run goes on from there.
    let corpus = desk.folder.join("one").join("corpus").display().to_string();
    let arguments = ["chaos", "--scenario", &scenario, "--seeds", "1", "--seed", "99", "--corpus", &corpus, "--json"];
    let output = desk.lab("r1", &arguments);
    let again: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(again["exploration"]["origins"]["corpus"]["trials"], 1, "{again}");
}

#[test]
fn bad_shards_are_explained() {
    let desk = Desk::new("shards");
    for (shard, told) in [("5/4", "shard 5 of 4 does not exist"), ("all", "write I/N")] {
        let output = desk.lab("r1", &["chaos", "--seeds", "1", "--shard", shard]);
        assert_eq!(code(&output), 2, "{}", text(&output));
        assert!(text(&output).contains(told), "{}", text(&output));
    }
}

#[test]
fn every_single_fault_of_a_tiny_run_is_tried() {
    let desk = Desk::new("exhaust");
    let scenario = desk.write("tiny.toml", TINY);
    let arguments = ["chaos", "--exhaust", &scenario, "--pairs", "3", "--out", "o", "--json"];
    let output = desk.lab("r1", &arguments);
    assert_eq!(code(&output), 0, "{}", text(&output));
    let object: Value = serde_json::from_slice(&output.stdout).unwrap();
    let number = |value: &Value| value.as_u64().unwrap();
    let singles = &object["singles"];
    assert!(number(&singles["planned"]) > 5, "{singles}");
    assert_eq!(singles["held"], singles["planned"], "{object}");
    assert_eq!(number(&object["pairs"]["planned"]), 3.min(number(&object["pairs_that_lineage_names"])));
    let by_deed: u64 =
        object["singles_by_deed"].as_object().unwrap().values().map(|deed| number(&deed["planned"])).sum();
    assert_eq!(by_deed, number(&singles["planned"]));
    assert!(desk.folder.join("o").join("exhaustion.json").is_file());
}

#[test]
fn records_are_shown_compared_and_joined() {
    let desk = Desk::new("records");
    let scenario = desk.write("calm.toml", CALM);
    for (seed, out) in [("1", "a"), ("2", "b")] {
        let output = desk.lab("r1", &["sim", "--scenario", &scenario, "--seed", seed, "--out", out, "--json"]);
        assert!(desk.folder.join(out).join("record.json").is_file(), "{}", text(&output));
    }
    let run = |arguments: &[&str], wanted: i32| -> String {
        let output = desk.lab("r1", arguments);
        assert_eq!(code(&output), wanted, "{arguments:?}: {}", text(&output));
        String::from_utf8(output.stdout).unwrap()
    };
    let coverage = run(&["report", "show", "--coverage", "a/record.json"], 0);
    assert!(coverage.starts_with("# Coverage\n") && coverage.contains("| section | row | behaviour |"), "{coverage}");
    let table: Value =
        serde_json::from_str(&run(&["report", "show", "--coverage", "--json", "a/record.json"], 0)).unwrap();
    assert_eq!(table["scenarios"], serde_json::json!(["calm"]));
    assert!(run(&["report", "show", "--engines", "a/record.json"], 0).starts_with("# Faults by engine\n"));
    run(&["report", "diff", "a/record.json", "a/record.json"], 0);
    let apart = run(&["report", "diff", "a/record.json", "b/record.json"], 4);
    assert!(apart.ends_with("no seed of any scenario in common: nothing was compared.\n"), "{apart}");
    let joined: Value = serde_json::from_str(&run(
        &["report", "merge", "a/record.json", "b/record.json", "--out", "all.json", "--json"],
        0,
    ))
    .unwrap();
    assert_eq!(joined["trials"], 2);
    assert!(desk.folder.join("all.html").is_file());
}

#[test]
fn a_broken_trial_is_reported_replayed_and_shrunk() {
    let desk = Desk::new("hopeless");
    let scenario = desk.write("hopeless.toml", HOPELESS);
    let output = desk.lab("r1", &["sim", "--scenario", &scenario, "--seed", "3", "--out", "o", "--json"]);
    assert_eq!(code(&output), 1, "{}", text(&output));
    let object: Value = serde_json::from_slice(&output.stdout).unwrap();
    let bug = object["bugs"][0].as_str().unwrap().to_owned();
    assert!(bug.ends_with("bug-hopeless-3.json"), "{bug}");
    let markdown = fs::read_to_string(desk.folder.join(&bug).with_extension("md")).unwrap();
    for wanted in ["cargo xtask replay", "## Causal chain", "```mermaid\nsequenceDiagram", "fault 1 acts on call"] {
        assert!(markdown.contains(wanted), "{wanted}: {markdown}");
    }
    let page = fs::read_to_string(desk.folder.join(&bug).with_extension("html")).unwrap();
    assert!(page.contains("class=\"sequence\"") && page.contains("download=\"regress_hopeless_3.rs\""));

    let same = desk.lab("r1", &["replay", &bug]);
    assert_eq!(code(&same), 1, "{}", text(&same));
    assert!(text(&same).contains("reproduced"), "{}", text(&same));
    let other = desk.lab("r2", &["replay", &bug]);
    assert_eq!(code(&other), 1, "{}", text(&other));
    assert!(text(&other).contains("still broken"), "{}", text(&other));

    let mut forged: Value = serde_json::from_slice(&fs::read(desk.folder.join(&bug)).unwrap()).unwrap();
    forged["trace_hash"] = "0".repeat(64).into();
    forged["trial"]["seed"] = 4.into();
    let forged = desk.write("forged.json", &forged.to_string());
    let diverged = desk.lab("r1", &["replay", &forged]);
    assert_eq!(code(&diverged), 3, "{}", text(&diverged));
    assert!(text(&diverged).contains("recorded:"), "{}", text(&diverged));

    let shrunk = desk.lab("r1", &["shrink", &bug, "--json"]);
    assert_eq!(code(&shrunk), 1, "{}", text(&shrunk));
    let object: Value = serde_json::from_slice(&shrunk.stdout).unwrap();
    assert!(object["after"]["operations"].as_u64() < object["before"]["operations"].as_u64(), "{object}");
    assert_eq!(object["after"]["faults"], 1, "only the hang matters: {object}");
    assert_eq!(object["after"]["hosts"], 1, "{object}");
    let inevitable = &object["cause"]["inevitable"];
    assert!(inevitable["from_ms"].as_u64() > Some(0) && inevitable["step"].as_u64() > Some(0), "{object}");
    assert_eq!(object["cause"]["fails_without_faults"], false, "{object}");
    let altered = object["cause"]["altered"].as_array().unwrap();
    let without = altered.iter().find(|one| one["difference"].as_str().unwrap().starts_with("without fault"));
    assert_ne!(without.unwrap()["outcome"], "fails", "without the hang it does not fail for this reason: {object}");
    let small = object["file"].as_str().unwrap();
    let again = desk.lab("r1", &["replay", small]);
    assert_eq!(code(&again), 1, "{}", text(&again));

    // As many jobs as one likes: the same trial is left.
    let alone = desk.lab("r1", &["shrink", &bug, "--jobs", "1", "--no-cause", "--out", "alone.json", "--json"]);
    assert_eq!(code(&alone), 1, "{}", text(&alone));
    let trial_of = |file: &Path| {
        let report: Value = serde_json::from_slice(&fs::read(file).unwrap()).unwrap();
        report["trial"].clone()
    };
    assert_eq!(trial_of(&desk.folder.join(small)), trial_of(&desk.folder.join("alone.json")));
}

#[test]
fn a_replay_shows_what_it_is_asked_for() {
    let desk = Desk::new("shown");
    let scenario = desk.write("hopeless.toml", HOPELESS);
    for seed in ["3", "4"] {
        desk.lab(
            "r1",
            &["sim", "--scenario", &scenario, "--seed", seed, "--out", "o", "--json", "--junit", "o/junit.xml"],
        );
    }
    let junit = fs::read_to_string(desk.folder.join("o/junit.xml")).unwrap();
    assert!(junit.contains("<failure message=\"broken: ") && junit.contains("cargo xtask replay"), "{junit}");
    let summary = desk.lab("r1", &["report", "show", "--markdown", "o/record.json"]);
    assert!(text(&summary).contains("cargo xtask replay"), "{}", text(&summary));

    let bug = "o/bug-hopeless-3.json";
    let shown = |arguments: &[&str]| -> Value {
        let output = desk.lab("r1", &[&["replay", bug, "--json"], arguments].concat());
        assert_eq!(code(&output), 1, "options that show something leave the code: {}", text(&output));
        let object: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(object["result"], "reproduced");
        object
    };
    let until = shown(&["--until", "40"]);
    assert_eq!(until["until"]["step"]["number"], 40, "{until}");
    assert!(until["until"]["state"]["host"]["orders-1"]["value"].is_string(), "{until}");
    let host = shown(&["--verbose", "orders-1", "--until", "40"]);
    let steps = host["steps"].as_array().unwrap();
    assert!(!steps.is_empty() && steps.iter().all(|step| step["number"].as_u64() <= Some(40)), "{host}");
    let same = shown(&["--diff", bug]);
    assert_eq!(same["diff"], serde_json::json!({"first": null, "groups": []}));
    let apart = shown(&["--diff", "o/bug-hopeless-4.json"]);
    assert!(apart["diff"]["first"].is_array() && !apart["diff"]["groups"].as_array().unwrap().is_empty(), "{apart}");
    shown(&["--report", "sent"]);
    for file in ["bug-hopeless-3.html", "bug-hopeless-3.json", "bug-hopeless-3.trace.json.gz", "regress_hopeless_3.rs"]
    {
        assert!(desk.folder.join("sent").join(file).is_file(), "{file}");
    }
    for (arguments, expected) in [
        (["--until", "9999999"], "there is no step 9999999"),
        (["--verbose", "orders-9"], "no host of this run is called `orders-9`"),
        (["--diff", "missing.json"], "missing.json"),
    ] {
        let output = desk.lab("r1", &[&["replay", bug], arguments.as_slice()].concat());
        assert_eq!(code(&output), 2, "{}", text(&output));
        assert!(text(&output).contains(expected), "{}", text(&output));
    }
}

#[test]
fn a_certificate_needs_both_programs_and_tells_what_they_did() {
    let desk = Desk::new("certificate");
    let scenario = desk.write("hopeless.toml", HOPELESS);
    desk.lab("r1", &["sim", "--scenario", &scenario, "--seed", "3", "--out", "o", "--json"]);
    let line = ["certify", "o/bug-hopeless-3.json", "--before", "a", "--after", "b", "--neighbours", "2", "--json"];
    let alone = desk.lab("r1", &line);
    assert_eq!(code(&alone), 2, "{}", text(&alone));
    assert!(text(&alone).contains("cargo xtask certify"), "{}", text(&alone));
    // The same program on either side mends nothing.
    let program = env!("CARGO_BIN_EXE_nexus-lab");
    let mut command = desk.command("r1", &[line.as_slice(), &["--out", "fix.html"]].concat());
    for side in ["BEFORE", "AFTER"] {
        command.env(format!("NEXUS_CERTIFY_{side}_PROGRAM"), program);
        command.env(format!("NEXUS_CERTIFY_{side}_REVISION"), side.to_lowercase());
    }
    let same = command.output().unwrap();
    assert_eq!(code(&same), 1, "{}", text(&same));
    let object: Value = serde_json::from_slice(&same.stdout).unwrap();
    assert_eq!(object["verdict"], "new-fails", "{object}");
    assert_eq!(object["before"]["trace_hash"], object["after"]["trace_hash"]);
    assert_eq!(object["neighbours"].as_array().unwrap().len(), 2);
    assert!(fs::read_to_string(desk.folder.join("fix.html")).unwrap().contains("not certified: the new code fails"));
}

#[test]
fn bad_input_is_explained_and_exits_with_2() {
    let desk = Desk::new("bad-input");
    let typo = desk.write("typo.toml", &HOPELESS.replace("hits", "hist"));
    let not_a_bug = desk.write("not-a-bug.json", "{\"hello\": 1}");
    let future =
        desk.write("future.json", "{\"bug_format_version\": 99, \"revision\": \"abc\", \"engine\": \"turmoil\"}");
    let workload = desk.write("workload.jsonl", "{\"at_ms\": 1, \"customer\": 1, \"red_order\": \"o-1\"}\n");
    let calm = desk.write("calm.toml", CALM);
    let old = desk.write("old.json", "{\"format_version\": 1, \"revision\": \"abc\"}");
    let cases: [(&[&str], &str); 14] = [
        (&["sim", "--scenario", "no-such-scenario"], "no scenario is called `no-such-scenario`"),
        (&["sim", "--scenario", &typo], "hist"),
        (&["sim", "--scenario", "missing.toml"], "missing.toml"),
        (&["sim", "--seeds", "0"], "--seeds"),
        (&["sim", "--seed", "minus-one"], "--seed"),
        (&["sim", "--scenario", &calm, "--workload", &workload], "red_order"),
        (&["replay", "missing.json"], "missing.json"),
        (&["replay", &not_a_bug], "not a bug report"),
        (&["shrink", &future], "format version 99"),
        (&["report", "show", "missing.json"], "cannot read missing.json"),
        (&["report", "show", "--coverage", &not_a_bug], "not a run record"),
        (&["report", "show", "--json", &old], "a run record of format version 1"),
        (&["report", "diff", &old, &old], "read it with the revision that wrote it"),
        (&["report", "merge", &old, &old, "--out", "all.html"], "would hold both the record and its HTML report"),
    ];
    for (arguments, expected) in cases {
        let output = desk.lab("r1", arguments);
        assert_eq!(code(&output), 2, "{arguments:?}: {}", text(&output));
        // Messages are wrapped to the terminal's width, with a rule at their side.
        let flat = text(&output).replace('│', " ").split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(flat.contains(expected), "{arguments:?}: {}", text(&output));
        assert!(!text(&output).contains("panicked"), "{arguments:?}: {}", text(&output));
    }
}
