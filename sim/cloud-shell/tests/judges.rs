//! Strangers' clients against the server: boto3 beside moto, and the AWS CLI.
#![forbid(unsafe_code)]

use std::{
    fs,
    io::{BufRead, BufReader},
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::OnceLock,
};

/// A program that ends with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself: then there is nothing to end.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn judges_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/judges")
}

/// The folder with the judges' programs, or why they cannot be had on this machine.
fn programs() -> Result<&'static Path, &'static str> {
    static PROGRAMS: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let programs = PROGRAMS.get_or_init(|| {
        let environment = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/judges");
        let requirements = judges_folder().join("requirements.txt");
        install(&environment, &requirements).map(|()| environment.join("bin"))
    });
    programs.as_deref().map_err(String::as_str)
}

/// Installs once; a copy of the requirements in the environment tells that it is complete.
fn install(environment: &Path, requirements: &Path) -> Result<(), String> {
    let wanted = fs::read_to_string(requirements).map_err(|error| error.to_string())?;
    let stamp = environment.join("installed-requirements.txt");
    if fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(());
    }
    // Tests run in processes of their own: one installs, the others wait.
    let parent = environment.parent().ok_or("the judges' folder has no parent")?;
    fs::create_dir_all(parent).map_err(|error| error.to_string())?;
    let lock = fs::File::create(parent.join("judges.lock")).map_err(|error| error.to_string())?;
    lock.lock().map_err(|error| error.to_string())?;
    if fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(());
    }
    run_step(Command::new("python3").args(["-m", "venv"]).arg(environment), "python3 -m venv")?;
    let pip = environment.join("bin/python");
    run_step(
        Command::new(pip)
            .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r"])
            .arg(requirements),
        "pip install",
    )?;
    fs::write(stamp, wanted).map_err(|error| error.to_string())
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

/// The programs, or a clear word that this machine cannot judge.
fn programs_or_skip() -> Option<&'static Path> {
    match programs() {
        Ok(programs) => Some(programs),
        Err(reason) => {
            eprintln!("SKIPPED: Python or its package index cannot be reached: {reason}");
            None
        }
    }
}

/// Our server on a free port, and its address.
fn server() -> (Running, String) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_nexus-cloud-server"))
        .args(["--port", "0"])
        .stdout(Stdio::piped())
        .spawn()
        .expect("the server starts");
    let stdout = child.stdout.take().expect("its output is piped");
    let mut line = String::new();
    BufReader::new(stdout).read_line(&mut line).expect("it says where it listens");
    let url = line.trim().strip_prefix("listening on ").expect("its first line is its address").to_owned();
    (Running(child), url)
}

fn moto(programs: &Path) -> (Running, String) {
    let port = TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a free port").port();
    let child = Command::new(programs.join("moto_server"))
        .args(["-H", "127.0.0.1", "-p", &port.to_string()])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("moto starts");
    (Running(child), format!("http://127.0.0.1:{port}"))
}

#[track_caller]
fn assert_success(output: &Output) -> String {
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{}\n{stdout}\n{stderr}", output.status);
    stdout.into_owned()
}

#[test]
fn boto3_sees_what_it_sees_of_moto_but_for_explained_differences() {
    let Some(programs) = programs_or_skip() else { return };
    let (_ours, ours_url) = server();
    let (_moto, moto_url) = moto(programs);
    let output = Command::new(programs.join("python"))
        .args(["-B", "conformance.py", &ours_url, &moto_url])
        .current_dir(judges_folder())
        .output()
        .expect("python starts");
    let report = assert_success(&output);
    println!("{report}");
    assert!(report.contains(" 0 wrong"), "{report}");
}

#[test]
fn boto3_sees_the_same_queues_and_topics_but_for_explained_differences() {
    let Some(programs) = programs_or_skip() else { return };
    let (_ours, ours_url) = server();
    let (_moto, moto_url) = moto(programs);
    let output = Command::new(programs.join("python"))
        .args(["-B", "messaging.py", &ours_url, &moto_url])
        .current_dir(judges_folder())
        .output()
        .expect("python starts");
    let report = assert_success(&output);
    println!("{report}");
    assert!(report.contains(" 0 wrong"), "{report}");
}

#[test]
fn boto3_reads_streams_and_pages() {
    let Some(programs) = programs_or_skip() else { return };
    let (_ours, url) = server();
    let output = Command::new(programs.join("python"))
        .args(["-B", "streams.py", &url])
        .current_dir(judges_folder())
        .output()
        .expect("python starts");
    assert!(assert_success(&output).contains("streams and pages as expected"));
}

#[test]
fn boto3_sees_kinesis_as_it_sees_that_of_moto() {
    let Some(programs) = programs_or_skip() else { return };
    let (_ours, ours_url) = server();
    let (_moto, moto_url) = moto(programs);
    let output = Command::new(programs.join("python"))
        .args(["-B", "kinesis.py", &ours_url, &moto_url])
        .current_dir(judges_folder())
        .output()
        .expect("python starts");
    let report = assert_success(&output);
    println!("{report}");
    assert!(report.contains(" 0 wrong") && report.contains("writers and readers of kinesis as expected"), "{report}");
}

#[test]
fn boto3_sees_the_schema_registry_as_it_sees_that_of_moto() {
    let Some(programs) = programs_or_skip() else { return };
    let (_ours, ours_url) = server();
    let (_moto, moto_url) = moto(programs);
    let output = Command::new(programs.join("python"))
        .args(["-B", "glue.py", &ours_url, &moto_url])
        .current_dir(judges_folder())
        .output()
        .expect("python starts");
    let report = assert_success(&output);
    println!("{report}");
    assert!(report.contains(" 0 wrong") && report.contains("the schema registry as expected"), "{report}");
}

#[test]
fn the_aws_cli_creates_writes_and_reads() {
    let Some(programs) = programs_or_skip() else { return };
    let (_ours, url) = server();
    let aws = |arguments: &[&str]| {
        let output = Command::new(programs.join("aws"))
            .args(["--endpoint-url", &url, "--region", "us-east-1", "--output", "json"])
            .args(arguments)
            .env("AWS_ACCESS_KEY_ID", "any")
            .env("AWS_SECRET_ACCESS_KEY", "any")
            .env("AWS_PAGER", "")
            .output()
            .expect("the AWS CLI starts");
        (output.status.code(), assert_known_exit(&output))
    };
    let create = "dynamodb create-table --table-name demo --attribute-definitions AttributeName=pk,AttributeType=S \
                  --key-schema AttributeName=pk,KeyType=HASH --billing-mode PAY_PER_REQUEST";
    let create: Vec<&str> = create.split_whitespace().collect();
    assert_eq!(aws(&create).0, Some(0));
    assert_eq!(aws(&["dynamodb", "wait", "table-exists", "--table-name", "demo"]).0, Some(0));
    let item = r#"{"pk":{"S":"a"},"n":{"N":"1.50"}}"#;
    assert_eq!(aws(&["dynamodb", "put-item", "--table-name", "demo", "--item", item]).0, Some(0));
    let (code, scan) = aws(&["dynamodb", "scan", "--table-name", "demo"]);
    let scan: serde_json::Value = serde_json::from_str(&scan).expect("JSON");
    assert_eq!((code, &scan["Items"][0]["n"]["N"]), (Some(0), &serde_json::json!("1.5")));
    let (code, text) = aws(&["dynamodb", "get-item", "--table-name", "nowhere", "--key", r#"{"pk":{"S":"a"}}"#]);
    assert!(matches!(code, Some(REFUSED_1 | REFUSED_2)), "{text}");
    assert!(text.contains("ResourceNotFoundException"), "{text}");

    assert_eq!(aws(&["glue", "create-registry", "--registry-name", "shop"]).0, Some(0));
    let create = "glue create-schema --registry-id RegistryName=shop --schema-name Order --data-format JSON \
                  --compatibility BACKWARD --schema-definition {}";
    let create: Vec<&str> = create.split_whitespace().collect();
    let (code, created) = aws(&create);
    let created: serde_json::Value = serde_json::from_str(&created).expect("JSON");
    assert_eq!((code, &created["SchemaVersionStatus"]), (Some(0), &serde_json::json!("AVAILABLE")));
    let (code, text) = aws(&["glue", "get-schema", "--schema-id", "RegistryName=shop,SchemaName=Nothing"]);
    assert!(matches!(code, Some(REFUSED_1 | REFUSED_2)), "{text}");
    assert!(text.contains("EntityNotFoundException") && text.contains("Schema is not found"), "{text}");
}

/// How versions 1 and 2 of the AWS CLI exit when the service refuses.
const REFUSED_1: i32 = 255;
const REFUSED_2: i32 = 254;

/// Standard output of a success, standard error of a refusal by the service.
fn assert_known_exit(output: &Output) -> String {
    match output.status.code() {
        Some(0) => String::from_utf8_lossy(&output.stdout).into_owned(),
        Some(REFUSED_1 | REFUSED_2) => String::from_utf8_lossy(&output.stderr).into_owned(),
        other => panic!("exit {other:?}: {}", String::from_utf8_lossy(&output.stderr)),
    }
}

#[test]
fn a_taken_port_and_bad_arguments_are_clear_errors() {
    let socket = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = socket.local_addr().expect("its address").port().to_string();
    let run = |arguments: &[&str]| {
        Command::new(env!("CARGO_BIN_EXE_nexus-cloud-server")).args(arguments).output().expect("the server starts")
    };
    // `cargo xtask cloud` hands on what it was told: each of its words must be one of ours.
    for latency in ["none", "model"] {
        let taken = run(&["--port", &port, "--latency", latency]);
        assert_eq!(taken.status.code(), Some(2));
        let message = String::from_utf8_lossy(&taken.stderr);
        assert!(message.contains("is taken by another program"), "{message}");
    }
    for arguments in [&["--port", "99999"][..], &["--latency", "sometimes"], &["--nonsense"]] {
        assert_eq!(run(arguments).status.code(), Some(2), "{arguments:?}");
    }
}
