//! The program, the repository, and copies of it that may be spoilt.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the repository is there")
}

/// What facts and policies are read from.
const PARTS: [&str; 10] =
    ["Cargo.toml", "Cargo.lock", "chaos", "policies", "reports", "scenarios", "sim", "system", "tools", "xtask"];

/// A copy of the sources in a folder of its own, with a small deployment template in place of the real one.
pub struct Copy(PathBuf);

impl Copy {
    /// `name` must be the test's own, since tests run side by side.
    pub fn new(name: &str) -> Copy {
        let root = std::env::temp_dir().join(format!("nexus-policy-check-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&root);
        for part in PARTS {
            copy(&repository().join(part), &root.join(part));
        }
        let _ = fs::remove_dir_all(root.join("system/deploy"));
        copy(
            &Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/template.yaml"),
            &root.join("system/deploy/template.yaml"),
        );
        Copy(root)
    }

    pub fn write(&self, file: &str, text: &str) {
        fs::write(self.0.join(file), text).expect("the file can be written");
    }

    /// Replaces the first occurrence of a text, which must be there.
    pub fn edit(&self, file: &str, from: &str, to: &str) {
        let path = self.0.join(file);
        let text = fs::read_to_string(&path).expect("the file is there");
        assert!(text.contains(from), "{file} has no {from:?}");
        fs::write(path, text.replacen(from, to, 1)).expect("the file can be written");
    }

    pub fn run(&self, words: &[&str]) -> Output {
        run_in(&self.0, words)
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn copy(from: &Path, to: &Path) {
    if from.is_dir() {
        if from.file_name().is_some_and(|name| name == "target" || name == "node_modules") {
            return;
        }
        for entry in fs::read_dir(from).expect("the folder can be listed") {
            let entry = entry.expect("the folder can be listed");
            copy(&entry.path(), &to.join(entry.file_name()));
        }
    } else {
        fs::create_dir_all(to.parent().expect("a file lies in a folder")).expect("the folder can be made");
        fs::copy(from, to).expect("the file can be copied");
    }
}

pub fn run_in(root: &Path, words: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_nexus-policy-check"))
        .args(words)
        .current_dir(root)
        .env("NEXUS_WORKSPACE_ROOT", root)
        .env("NO_COLOR", "1")
        .output()
        .expect("the program starts")
}

pub fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

pub fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}
