//! Command lines as people type them, right and wrong.
#![forbid(unsafe_code)]

use std::{ffi::OsString, path::PathBuf};

use nexus_commands::{
    BenchKind, CompatibilityMode, Engine, EngineChoice, HooksCommand, HooksInstallOptions, LabCommand, LatencyChoice,
    ReportCommand, SchemaCommand, SimOptions, Step, XtaskCommand, parse_cloud_server, parse_lab, parse_policy,
    parse_schema, parse_xtask,
};

fn words(line: &str) -> Vec<OsString> {
    std::iter::once("xtask").chain(line.split_whitespace()).map(OsString::from).collect()
}

fn sim(line: &str) -> SimOptions {
    match parse_xtask(words(line)) {
        Ok(XtaskCommand::Lab(LabCommand::Sim(options))) => options,
        other => panic!("{line}: {other:?}"),
    }
}

#[test]
fn bad_lines_are_usage_errors_that_say_what_is_wrong() {
    let table = [
        ("sim --seeds 0", "a count is a whole number from 1"),
        ("sim --seeds -3", "a count is a whole number from 1"),
        ("sim --seeds many", "a count is a whole number from 1"),
        ("sim --seed -1", "a seed is a whole number from 0"),
        ("sim --seed 1.5", "a seed is a whole number from 0"),
        ("sim --seed 18446744073709551616", "a seed is a whole number from 0"),
        ("sim --seed 18446744073709551615 --seeds 2", "beyond the last seed"),
        ("sim --jobs 0", "the number of jobs"),
        ("sim --engine tokio", "possible values: turmoil, madsim, both"),
        ("sim --scenario=", "a name is not empty"),
        ("sim --list --seeds 3", "cannot be used with"),
        ("sim --frobnicate", "unexpected argument '--frobnicate'"),
        ("sim extra", "unexpected argument 'extra'"),
        ("chaos --seeds 5 --minutes 5", "cannot be used with"),
        ("chaos --minutes 0", "a count is a whole number from 1"),
        ("chaos --exhaust nominal --seeds 5", "cannot be used with"),
        ("chaos --exhaust nominal --shard 1/2", "cannot be used with"),
        ("chaos --pairs 5", "--exhaust <NAME|PATH>"),
        ("chaos --every", "--exhaust <NAME|PATH>"),
        ("chaos --exhaust nominal --pairs -1", "a whole number from 0"),
        ("chaos --seed 18446744073709551615 --seeds 2", "beyond the last number"),
        ("replay", "<FILE>"),
        ("replay a.json b.json", "unexpected argument 'b.json'"),
        ("replay a.json --until 0", "a step is a whole number from 1"),
        ("replay a.json --verbose=", "a name is not empty"),
        ("shrink", "<FILE>"),
        ("certify a.json --before main", "--after <REV>"),
        ("certify a.json --before main --after= ", "a name is not empty"),
        ("certify a.json --before a --after b --neighbours few", "this is a whole number from 0"),
        ("sim --list --junit a.xml", "cannot be used with"),
        ("report show --markdown --json a.json", "cannot be used with"),
        ("bench bug", "possible values: bugs, mutants, speed"),
        ("bench mutants --sample 0", "a count is a whole number from 1"),
        ("bench bugs --sample 5", "write `bench mutants --sample"),
        ("bench --draw 5", "write `bench mutants --sample"),
        ("bench bugs --seeds 0", "a count is a whole number from 1"),
        ("bench --only a", "write `bench bugs --only"),
        ("bench bugs --engine both", "possible values: turmoil, madsim"),
        ("cloud --port 65536", "65536 is not in 0..=65535"),
        ("cloud --port -1", "-1 is not in 0..=65535"),
        ("cloud --host localhost", "invalid IP address syntax"),
        ("cloud --latency slow", "possible values: none, model"),
        ("report diff a.json", "<AFTER>"),
        ("report show --coverage --engines a.json", "cannot be used with"),
        ("schema diff a.json", "<NEW>"),
        ("schema diff a.json b.json --mode SIDEWAYS", "possible values: NONE, DISABLED, BACKWARD"),
        ("schema docs --json", "unexpected argument '--json'"),
        ("report merge a.json --out b.json", "2 values required by '<FILE>"),
        ("report merge a.json b.json", "--out <FILE>"),
        ("test --only everything", "invalid value 'everything' for '--only <STEP>'"),
        ("simm", "a similar subcommand exists: 'sim'"),
        ("deploy synth --out a --check", "cannot be used with"),
        ("deploy validate --out a", "unexpected argument '--out'"),
        ("deploi", "a similar subcommand exists: 'deploy'"),
    ];
    for (line, expected) in table {
        let error = parse_xtask(words(line)).expect_err(line);
        assert_eq!(error.exit_code(), 2, "{line}");
        let text = error.to_string();
        assert!(text.contains(expected), "`{line}` says:\n{text}\nbut not: {expected}");
    }
}

#[test]
fn help_is_not_an_error() {
    for line in
        ["--help", "sim --help", "replay -h", "report merge --help", "help cloud", "test --help", "schema diff --help"]
    {
        assert_eq!(parse_xtask(words(line)).expect_err(line).exit_code(), 0, "{line}");
    }
}

#[test]
fn sim_defaults() {
    let options = sim("sim");
    assert_eq!(options.engine, EngineChoice::Turmoil);
    assert_eq!(options.seed_span(5), (1, 5));
    assert!(options.scenarios.is_empty() && options.out.is_none() && !options.json && !options.list);
}

#[test]
fn seeds_span_from_the_first() {
    let table = [
        ("sim --seed 7", (7, 1)),
        ("sim --seeds 3", (1, 3)),
        ("sim --seed 7 --seeds 3", (7, 3)),
        ("sim --seed 0", (0, 1)),
        ("sim --seed 18446744073709551615 --seeds 1", (u64::MAX, 1)),
    ];
    for (line, expected) in table {
        assert_eq!(sim(line).seed_span(99), expected, "{line}");
    }
}

#[test]
fn sim_options_survive_the_way_through_a_command_line() {
    let lines = [
        "sim",
        "sim --scenario all --scenario lost-answer --seed 7 --seeds 3 --jobs 2 --engine both --check-determinism --json",
        "sim --workload customers.jsonl --out target/elsewhere --engine madsim --schedule pauses --junit out/junit.xml",
        "sim --list --json --scenario -strange",
    ];
    for line in lines {
        let line = line.replace("--scenario -strange", "--scenario=-strange");
        let options = sim(&line);
        let again: Vec<OsString> = std::iter::once("xtask".into()).chain(options.to_arguments()).collect();
        assert_eq!(parse_xtask(again).unwrap(), XtaskCommand::Lab(LabCommand::Sim(options)), "{line}");
    }
}

#[test]
fn chaos_options_survive_the_way_through_a_command_line() {
    let lines = [
        "chaos",
        "chaos --scenario storm --scenario bus-storm --seed 7 --seeds 300 --shard 2/4 --jobs 2 --corpus c --json",
        "chaos --minutes 3 --engine both --out elsewhere",
        "chaos --exhaust nominal --seed 3 --pairs 0 --every --engine madsim --json",
    ];
    for line in lines {
        let Ok(XtaskCommand::Lab(LabCommand::Chaos(options))) = parse_xtask(words(line)) else { panic!("{line}") };
        let again: Vec<OsString> = std::iter::once("xtask".into()).chain(options.to_arguments()).collect();
        assert_eq!(parse_xtask(again).unwrap(), XtaskCommand::Lab(LabCommand::Chaos(options.clone())), "{line}");
        let one = options.on(Engine::Madsim, PathBuf::from("out"));
        assert_eq!((one.engine.single(), one.out), (Some(Engine::Madsim), Some(PathBuf::from("out"))), "{line}");
        assert_eq!(one.corpus, options.corpus.map(|folder| folder.join("madsim")), "{line}");
    }
}

#[test]
fn both_engines_become_one_line_each() {
    let both = sim("sim --engine both --seeds 4 --json --junit out/junit.xml");
    for engine in EngineChoice::Both.engines() {
        let one = both.on(*engine, PathBuf::from("out").join(engine.name()));
        assert_eq!(one.engine.single(), Some(*engine));
        assert_eq!(one.out, Some(PathBuf::from("out").join(engine.name())));
        assert_eq!((one.seeds, one.json), (Some(4), true));
        assert_eq!(one.junit.junit, Some(PathBuf::from(format!("out/junit-{}.xml", engine.name()))));
    }
    let listing = sim("sim --engine both --list").on(Engine::Madsim, PathBuf::from("out"));
    assert_eq!(listing.out, None, "a listing writes nothing, and --out with --list would be refused");
}

#[test]
fn the_lab_reads_the_same_lines() {
    for line in [
        "sim --seeds 3 --engine madsim",
        "chaos --seeds 3",
        "replay bug.json --json",
        "shrink a --out b --jobs 2",
        "bench bugs --only x",
    ] {
        let lab = parse_lab(words(line)).unwrap();
        assert_eq!(parse_xtask(words(line)).unwrap(), XtaskCommand::Lab(lab), "{line}");
    }
    assert_eq!(parse_lab(words("sim --seed 18446744073709551615 --seeds 2")).unwrap_err().exit_code(), 2);
    assert_eq!(parse_lab(words("test")).unwrap_err().exit_code(), 2, "checks are the command line's, not the lab's");
}

#[test]
fn bench_and_report_and_cloud_and_test() {
    match parse_xtask(words("bench bugs --seeds 50 --only a --only b --json")).unwrap() {
        XtaskCommand::Lab(LabCommand::Bench(bench)) => {
            assert_eq!((bench.kind, bench.seeds, bench.json), (Some(BenchKind::Bugs), 50, true));
            assert_eq!((bench.only, bench.engine), (vec!["a".to_owned(), "b".to_owned()], Engine::Turmoil));
        }
        other => panic!("{other:?}"),
    }
    match parse_xtask(words("report merge a b c --out d")).unwrap() {
        XtaskCommand::Lab(LabCommand::Report(ReportCommand::Merge(merge))) => assert_eq!(merge.files.len(), 3),
        other => panic!("{other:?}"),
    }
    let cloud = parse_cloud_server(words("--port 0 --host ::1 --latency model")).unwrap();
    assert_eq!((cloud.port, cloud.host.to_string(), cloud.latency), (0, "::1".to_owned(), LatencyChoice::Model));
    assert_eq!(parse_xtask(words("cloud --port 0 --host ::1 --latency model")).unwrap(), XtaskCommand::Cloud(cloud));
    let diff = parse_schema(words("diff a.json b.json --mode full_all --lenient")).unwrap();
    match &diff {
        SchemaCommand::Diff(diff) => assert_eq!((diff.mode, diff.lenient), (CompatibilityMode::FullAll, true)),
        other => panic!("{other:?}"),
    }
    let line = words("schema diff a.json b.json --mode full_all --lenient");
    assert_eq!(parse_xtask(line).unwrap(), XtaskCommand::Schema(diff));
    match parse_xtask(words("test --only unit --skip fmt")).unwrap() {
        XtaskCommand::Test(test) => assert_eq!(test.steps(), [Step::Unit]),
        other => panic!("{other:?}"),
    }
}

#[test]
fn policy_lines_are_the_same_for_the_command_line_and_for_its_program() {
    let table = [
        "policy test",
        "policy test --json",
        "policy check --changed --json --facts facts.json",
        "policy graph --format svg --out graph.svg",
        "policy explain input.json --json",
    ];
    for line in table {
        let XtaskCommand::Policy(by_xtask) = parse_xtask(words(line)).unwrap() else { panic!("{line}") };
        assert_eq!(parse_policy(words(line.strip_prefix("policy ").unwrap())).unwrap(), by_xtask, "{line}");
    }
    for line in ["policy", "policy explain", "policy graph --format png", "policy test --changed", "hooks"] {
        assert_eq!(parse_xtask(words(line)).unwrap_err().exit_code(), 2, "{line}");
    }
    let installed = parse_xtask(words("hooks install --force")).unwrap();
    assert_eq!(installed, XtaskCommand::Hooks(HooksCommand::Install(HooksInstallOptions { force: true })));
}
