//! The steps that cargo's own tools carry out.

use std::{
    io::{BufRead, BufReader, IsTerminal, Read, Write},
    process::{Command, ExitStatus, Stdio},
    sync::Mutex,
};

use anstream::adapter::strip_str;
use nexus_commands::Engine;

use super::Finding;
use crate::{
    flavour::Flavour,
    workspace::{Workspace, cargo_in},
};

pub fn fmt(workspace: &Workspace) -> Finding {
    let mut command = workspace.cargo();
    let colour = if std::io::stdout().is_terminal() { "always" } else { "never" };
    command.args(["fmt", "--all", "--check", "--", "--color", colour]);
    plain(command, "formatted", "run `cargo fmt`")
}

pub fn clippy(workspace: &Workspace) -> Finding {
    let mut command = workspace.cargo();
    command.args(["clippy", "--workspace", "--all-targets", "--profile", "sim", "--", "-D", "warnings"]);
    plain(command, "no warning", "mend the places named above")
}

/// Every crate's tests, under the profile of simulations.
pub fn unit(workspace: &Workspace) -> Finding {
    tests(workspace, Flavour::sim(Engine::Turmoil), &["--workspace"])
}

/// The engine's conformance tests on the engine that the ordinary build leaves out.
pub fn engine_madsim(workspace: &Workspace) -> Finding {
    tests(workspace, Flavour::sim(Engine::Madsim), &["--package", "nexus-engine"])
}

fn plain(mut command: Command, held: &str, mend: &str) -> Finding {
    match command.status() {
        Ok(status) if status.success() => Ok(held.to_owned()),
        Ok(status) => Err(format!("{status}: {mend}")),
        Err(error) => Err(format!("cargo does not start: {error}")),
    }
}

fn tests(workspace: &Workspace, flavour: Flavour, packages: &[&str]) -> Finding {
    let nextest = has_nextest(workspace);
    let mut command = cargo_in(workspace.root());
    if nextest {
        command.args(["nextest", "run", "--cargo-profile", flavour.profile.name()]);
    } else {
        anstream::println!(
            "note: cargo-nextest is missing, so `cargo test` runs the tests (all of a crate in one process)"
        );
        command.args(["test", "--no-fail-fast", "--profile", flavour.profile.name()]);
    }
    command.arg("--target-dir").arg(flavour.target(workspace)).args(packages);
    flavour.set_flags(&mut command);
    if std::io::stderr().is_terminal() {
        command.env("CARGO_TERM_COLOR", "always");
    }
    let closing = if nextest { is_closing_of_nextest } else { is_closing_of_cargo_test };
    match run_and_keep(command, closing) {
        Ok((status, kept)) => judge(status, &kept, nextest),
        Err(error) => Err(format!("cargo does not start: {error}")),
    }
}

/// A run without a closing line has tested nothing, whatever its exit code says.
fn judge(status: ExitStatus, closing: &[String], nextest: bool) -> Finding {
    let summary = match (nextest, closing.last()) {
        (_, None) => String::new(),
        (true, Some(last)) => last.clone(),
        (false, Some(_)) => add_up(closing),
    };
    match (status.success(), summary.is_empty()) {
        (true, false) => Ok(summary),
        (true, true) => Err("the test runner ended without telling what it ran".to_owned()),
        (false, true) => Err(format!("{status}: no test ran, see above")),
        (false, false) => Err(summary),
    }
}

fn has_nextest(workspace: &Workspace) -> bool {
    let mut command = workspace.cargo();
    command.args(["nextest", "--version"]).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

fn is_closing_of_nextest(line: &str) -> bool {
    line.trim_start().starts_with("Summary [")
}

fn is_closing_of_cargo_test(line: &str) -> bool {
    line.starts_with("test result:")
}

/// `cargo test` closes each binary by itself: the sum over all of them.
fn add_up(lines: &[String]) -> String {
    let total = |word: &str| -> u64 {
        let counts =
            lines.iter().flat_map(|line| line.split([';', '.'])).filter_map(|part| part.trim().strip_suffix(word));
        counts.filter_map(|count| count.trim().parse::<u64>().ok()).sum()
    };
    let (passed, failed, ignored) = (total("passed"), total("failed"), total("ignored"));
    format!("{passed} passed, {failed} failed, {ignored} skipped in {} test binaries (cargo test)", lines.len())
}

/// Runs a command, passes both its streams on, and keeps the lines that `wanted` picks, without colours.
fn run_and_keep(mut command: Command, wanted: fn(&str) -> bool) -> std::io::Result<(ExitStatus, Vec<String>)> {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let (output, errors) = (child.stdout.take(), child.stderr.take());
    let kept = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        scope.spawn(|| pass_on(output, &mut std::io::stdout(), wanted, &kept));
        scope.spawn(|| pass_on(errors, &mut std::io::stderr(), wanted, &kept));
    });
    let kept = kept.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    Ok((child.wait()?, kept))
}

fn pass_on(from: Option<impl Read>, to: &mut impl Write, wanted: fn(&str) -> bool, kept: &Mutex<Vec<String>>) {
    let Some(from) = from else { return };
    let mut reader = BufReader::new(from);
    let mut line = Vec::new();
    while reader.read_until(b'\n', &mut line).is_ok_and(|length| length > 0) {
        // A closed output must not stop the reading: the child would block on a full pipe.
        let _ = to.write_all(&line).and_then(|()| to.flush());
        let text = strip_str(&String::from_utf8_lossy(&line)).to_string();
        if wanted(text.trim_end()) {
            kept.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(text.trim().to_owned());
        }
        line.clear();
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::process::ExitStatusExt;

    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn wanted_lines_of_both_streams_are_kept_without_colours() {
        // The lines pass through to this test's own output: they must not look like a result, or a run of these tests
        // would count them as one.
        let script = r"echo 'kept: one'; echo 'other'; printf '\033[32m  kept:\033[0m two\n' >&2; exit 3";
        let wanted = |line: &str| line.trim_start().starts_with("kept:");
        let (status, mut kept) = run_and_keep(shell(script), wanted).unwrap();
        kept.sort();
        assert_eq!((status.code(), kept), (Some(3), vec!["kept: one".to_owned(), "kept: two".to_owned()]));
    }

    #[test]
    fn closing_lines_are_told_from_others() {
        assert!(is_closing_of_nextest("     Summary [   4.241s] 67 tests run: 67 passed, 0 skipped"));
        assert!(!is_closing_of_nextest("    Starting 67 tests across 4 binaries"));
        assert!(is_closing_of_cargo_test(
            "test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out"
        ));
        assert!(!is_closing_of_cargo_test("test result_is_kept ... ok"));
    }

    #[test]
    fn results_of_many_binaries_add_up() {
        let lines = [
            "test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s".to_owned(),
            "test result: FAILED. 3 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.25s"
                .to_owned(),
        ];
        assert_eq!(add_up(&lines), "15 passed, 2 failed, 1 skipped in 2 test binaries (cargo test)");
    }

    #[test]
    fn a_run_that_tells_nothing_is_no_success() {
        let (success, failure) = (ExitStatus::from_raw(0), ExitStatus::from_raw(100 << 8));
        let summary = ["Summary [ 0.1s] 3 tests run: 3 passed".to_owned()];
        assert!(judge(success, &summary, true).is_ok());
        assert!(judge(success, &[], true).is_err());
        assert!(judge(failure, &summary, true).is_err());
        assert!(judge(failure, &[], false).is_err());
    }
}
