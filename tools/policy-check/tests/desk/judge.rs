//! Another interpreter decides as ours does: rego-cpp, through its Python package.

use std::{
    fs,
    io::Write,
    path::Path,
    process::{Command, Stdio},
};

use crate::support::repository;
use nexus_policy_check::{
    facts::Facts,
    policies::{DESK, Folder, RUNTIME},
    testing::{Asked, asked_by_tests},
    worktree::WorkTree,
};
use serde_json::{Value, json};

/// The Python of an environment with the judge in it, installed once; or why it cannot be had on this machine.
fn python() -> Result<std::path::PathBuf, String> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let environment = here.join("../../target/policy-judge");
    let requirements = here.join("tests/judge/requirements.txt");
    let wanted = fs::read_to_string(&requirements).map_err(|error| error.to_string())?;
    let stamp = environment.join("installed-requirements.txt");
    let python = environment.join("bin/python");
    if fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(python);
    }
    let parent = environment.parent().ok_or("the judge's folder has no parent")?;
    fs::create_dir_all(parent).map_err(|error| error.to_string())?;
    run_step(Command::new("python3").args(["-m", "venv"]).arg(&environment), "python3 -m venv")?;
    let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r"];
    run_step(Command::new(&python).args(pip).arg(&requirements), "pip install")?;
    fs::write(stamp, wanted).map_err(|error| error.to_string())?;
    Ok(python)
}

fn run_step(command: &mut Command, name: &str) -> Result<(), String> {
    let output = command.output().map_err(|error| format!("{name}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&output.stderr);
    let unreachable = ["Connection", "resolve", "timed out", "No matching distribution", "ensurepip"];
    if unreachable.iter().any(|sign| text.contains(sign)) {
        return Err(format!("{name}: {}", text.lines().last().unwrap_or_default()));
    }
    panic!("{name} failed, and not for want of a network:\n{text}");
}

/// What our interpreter answers: `deny` sorted as the judge sorts it, and `allow`.
fn ours(folder: &Folder, asked: &Asked) -> Value {
    let mut folder = folder.clone();
    if !asked.settings.is_null() {
        folder.data[&asked.policy] = asked.settings.clone();
    }
    let mut engine = folder.engine(false).unwrap();
    engine.set_input(regorus::Value::from(asked.input.clone()));
    let package = format!("data.{}.{}", folder.package, asked.policy);
    let read = |engine: &mut regorus::Engine, rule: &str| {
        let answer = engine.eval_query(format!("{package}.{rule}"), false).unwrap();
        let value = answer.result.first().map(|row| row.expressions[0].value.clone());
        value.map_or(Value::Null, |value| serde_json::to_value(value).unwrap())
    };
    let deny = read(&mut engine, "deny");
    let rules = deny.as_array().into_iter().flatten().map(|denial| denial["rule"].as_str().unwrap_or_default());
    let mut deny: Vec<&str> = rules.collect();
    deny.sort_unstable();
    json!({"deny": deny, "allow": read(&mut engine, "allow") == json!(true)})
}

fn fits_signed(value: &Value) -> bool {
    match value {
        Value::Number(number) => !number.is_u64() || number.is_i64(),
        Value::Array(items) => items.iter().all(fits_signed),
        Value::Object(fields) => fields.values().all(fits_signed),
        _ => true,
    }
}

fn judged(folders: &[(Folder, Vec<Asked>)], python: &Path) -> Vec<Vec<Value>> {
    let folders: Vec<Value> = folders
        .iter()
        .map(|(folder, asked)| {
            json!({"package": folder.package, "modules": folder.policies, "data": folder.data, "questions": asked})
        })
        .collect();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/judge/judge.py");
    let mut child = Command::new(python)
        .arg("-B")
        .arg(script)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("python starts");
    let mut stdin = child.stdin.take().expect("its input is piped");
    let text = json!({"folders": folders}).to_string();
    let writer = std::thread::spawn(move || stdin.write_all(text.as_bytes()));
    let output = child.wait_with_output().expect("python ends");
    writer.join().expect("the questions are written").expect("the judge reads its questions");
    assert!(output.status.success(), "{}\n{}", output.status, String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("the judge answers in JSON")
}

#[test]
fn another_interpreter_decides_alike_on_all_tests_inputs_and_on_the_real_facts() {
    let python = match python() {
        Ok(python) => python,
        Err(reason) => {
            eprintln!("SKIPPED: Python or its package index cannot be reached: {reason}");
            return;
        }
    };
    let root = repository();
    let facts = Facts::gather_all(&WorkTree::open(&root).unwrap()).unwrap().to_json();
    let mut folders = Vec::new();
    for path in [RUNTIME, DESK] {
        let folder = Folder::read(&root, path).unwrap();
        let mut asked = asked_by_tests(&folder).unwrap();
        // The judge reads whole numbers as signed ones of 64 bits, and makes something else of larger ones.
        asked.retain(|one| fits_signed(&one.input));
        if path == DESK {
            for policy in folder.names() {
                let settings = folder.data.get(&policy).cloned().unwrap_or_default();
                asked.push(Asked { policy, input: facts.clone(), settings });
            }
        }
        folders.push((folder, asked));
    }
    let answers = judged(&folders, &python);
    let (mut compared, mut denied) = (0, 0);
    let mut different = Vec::new();
    for ((folder, asked), answers) in folders.iter().zip(&answers) {
        assert_eq!(asked.len(), answers.len());
        for (one, theirs) in asked.iter().zip(answers) {
            let own = ours(folder, one);
            compared += 1;
            denied += usize::from(own["deny"] != json!([]));
            if own != *theirs {
                different.push(format!("{} on {}\n  ours:   {own}\n  theirs: {theirs}", one.policy, one.input));
            }
        }
    }
    println!("{compared} questions, {denied} of them denied by a policy");
    assert!(different.is_empty(), "{} of {compared} differ\n{}", different.len(), different.join("\n"));
    assert!(compared > 250 && denied > 80, "{compared} questions, {denied} denied");
}
