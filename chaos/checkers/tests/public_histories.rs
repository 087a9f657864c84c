//! The search must agree with every verdict on public histories of registers and of a key-value store.
#![forbid(unsafe_code)]

use std::{collections::BTreeMap, fs, path::PathBuf};

use nexus_checkers::linearizability::{
    Completion, KeyValue, KeyValueInput, Operation, Register, RegisterInput, RegisterOutput, Verdict, decide,
    decide_each,
};

const STEPS_MAX: u64 = 5_000_000;

type RegisterOperation = Operation<RegisterInput, RegisterOutput>;
type KeyValueOperation = Operation<KeyValueInput, String>;

#[test]
fn every_public_history_gets_its_known_verdict() {
    let verdicts = read("verdicts.csv");
    let mut judged = 0;
    for row in verdicts.lines().skip(1) {
        let (file, is_linearizable) = row.split_once(',').expect("two columns");
        let expected: bool = is_linearizable.trim().parse().expect("true or false");
        let found = if file.starts_with("etcd_") { judge_register(file) } else { judge_key_value(file) };
        assert_eq!(found, Some(expected), "{file}: {found:?}");
        judged += 1;
    }
    assert_eq!(judged, 54, "a row was lost");
}

fn read(file: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/histories").join(file);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn judge_register(file: &str) -> Option<bool> {
    match decide(&Register, &register_history(&read(file)), STEPS_MAX) {
        Verdict::Linearizable { .. } => Some(true),
        Verdict::NotLinearizable { .. } => Some(false),
        Verdict::Undecided { .. } => None,
    }
}

fn judge_key_value(file: &str) -> Option<bool> {
    match decide_each(&KeyValue, &key_value_history(&read(file)), STEPS_MAX) {
        None => Some(true),
        Some((_, Verdict::NotLinearizable { .. })) => Some(false),
        Some(_) => None,
    }
}

/// Lines like `INFO  jepsen.util - 4 :invoke :cas [2 4]`; the line's number serves as the time. A process never
/// returns after `:info`, so what it had open stays pending.
fn register_history(text: &str) -> Vec<RegisterOperation> {
    let mut history: Vec<RegisterOperation> = Vec::new();
    let mut open: BTreeMap<u32, usize> = BTreeMap::new();
    for (line_number, line) in text.lines().enumerate() {
        let Some((_, record)) = line.split_once("jepsen.util - ") else { continue };
        let words: Vec<&str> = record.split_whitespace().collect();
        let [process, kind, function, ref value @ ..] = words[..] else { panic!("line {line_number}: {record}") };
        let value = &value.join(" ");
        let process: u32 = process.parse().expect("a process number");
        if kind == ":invoke" {
            open.insert(process, history.len());
            history.push(Operation {
                input: register_input(function, value),
                invoked_ns: line_number as u64,
                completion: None,
            });
            continue;
        }
        let index = open.remove(&process).expect("an answer to a request");
        if let Some(output) = register_output(kind, function, value) {
            history[index].completion = Some(Completion { output, completed_ns: line_number as u64 });
        }
    }
    history
}

fn register_input(function: &str, value: &str) -> RegisterInput {
    match function {
        ":read" => RegisterInput::Read,
        ":write" => RegisterInput::Write(value.parse().expect("a number")),
        ":cas" => {
            let pair = value.trim_matches(['[', ']']).split_once(' ').expect("two numbers");
            RegisterInput::CompareAndSet {
                expected: pair.0.parse().expect("a number"),
                new: pair.1.parse().expect("a number"),
            }
        }
        other => panic!("unknown function {other}"),
    }
}

fn register_output(kind: &str, function: &str, value: &str) -> Option<RegisterOutput> {
    match (kind, function) {
        // A read that timed out told nothing and changed nothing.
        (":info", _) | (":fail", ":read") => None,
        (":ok", ":read") => Some(RegisterOutput::Value(value.parse().ok())),
        (":ok", ":write") => Some(RegisterOutput::Written),
        (":ok", ":cas") => Some(RegisterOutput::Compared(true)),
        (":fail", ":cas") => Some(RegisterOutput::Compared(false)),
        other => panic!("unknown answer {other:?}"),
    }
}

/// Lines like `{:process 9, :type :invoke, :f :append, :key "0", :value "x 9 0 y"}`.
fn key_value_history(text: &str) -> BTreeMap<String, Vec<KeyValueOperation>> {
    let mut histories: BTreeMap<String, Vec<KeyValueOperation>> = BTreeMap::new();
    let mut open: BTreeMap<String, (String, usize)> = BTreeMap::new();
    for (line_number, line) in text.lines().enumerate() {
        let field = |name: &str| {
            let start = line.find(name).expect("the field") + name.len();
            let rest = line[start..].trim_start();
            match rest.strip_prefix('"') {
                Some(quoted) => quoted.split('"').next().expect("a closing quote").to_owned(),
                None => rest.split([',', '}']).next().expect("an end").to_owned(),
            }
        };
        let (process, value) = (field(":process"), field(":value"));
        if field(":type") == ":invoke" {
            let input = match field(":f").as_str() {
                ":get" => KeyValueInput::Get,
                ":put" => KeyValueInput::Put(value),
                ":append" => KeyValueInput::Append(value),
                other => panic!("unknown function {other}"),
            };
            let history = histories.entry(field(":key")).or_default();
            open.insert(process, (field(":key"), history.len()));
            history.push(Operation { input, invoked_ns: line_number as u64, completion: None });
        } else {
            let (key, index) = open.remove(&process).expect("an answer to a request");
            let operation = &mut histories.get_mut(&key).expect("the key's history")[index];
            operation.completion = Some(Completion { output: value, completed_ns: line_number as u64 });
        }
    }
    histories
}
