//! boto3 as a client of our Lambda, and plain HTTP as its runtime, beside moto.
#![forbid(unsafe_code)]

use std::{
    io::{BufRead, BufReader},
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
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

#[test]
fn boto3_manages_functions_and_a_runtime_hosts_them() {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    // Installed by the tests in `judges`, which may be running at this moment or not have run yet.
    let programs: PathBuf = manifest.join("../../target/judges/bin");
    if !manifest.join("../../target/judges/installed-requirements.txt").exists() {
        eprintln!("SKIPPED: the judges' programs are not installed; the tests in `judges` install them");
        return;
    }
    let (_ours, ours_url) = server();
    let (_moto, moto_url) = moto(&programs);
    let output = Command::new(programs.join("python"))
        .args(["-B", "functions.py", &ours_url, &moto_url])
        .current_dir(manifest.join("tests/judges"))
        .output()
        .expect("python starts");
    let text = format!("{}\n{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && text.contains(" 0 wrong; functions as expected"), "{text}");
}
