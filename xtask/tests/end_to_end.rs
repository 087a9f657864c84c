//! The command line as its user meets it, in a small house of its own: a laboratory that only tells how it was called, and
//! one planted bug. What is shown here no unit can show: that the right program is built, started and told the right
//! things, and that the build with planted bugs never passes for the real one.
#![forbid(unsafe_code)]
#![cfg(unix)]

use std::{
    fs,
    path::PathBuf,
    process::{Command, Output},
};

use serde_json::Value;

const MANIFEST: &str = r#"
[workspace]
resolver = "3"
members = ["chaos/explore", "system/store", "sim/cloud-shell"]
[workspace.package]
version = "0.1.0"
edition = "2024"
[workspace.lints.rust]
unexpected_cfgs = { level = "warn", check-cfg = ['cfg(madsim)'] }
[profile.sim]
inherits = "release"
opt-level = 0
"#;

const STORE: &str = "#![forbid(unsafe_code)]\npub fn has_condition() -> bool {\n    true\n}\n";

const PATCH: &str = "--- a/system/store/src/lib.rs\n+++ b/system/store/src/lib.rs\n@@ -1,4 +1,4 @@\n #![forbid(unsafe_code)]\n pub fn has_condition() -> bool {\n-    true\n+    false\n }\n";

/// Prints its words and what it was told as one JSON object, and leaves with the code that its environment names.
const LAB: &str = r##"#![forbid(unsafe_code)]
fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let told = |name: &str| std::env::var(name).unwrap_or_default();
    println!(
        r#"{{"words":{words:?},"revision":{:?},"root":{:?},"profile":{:?},"planted":{:?},"madsim":{},"has_condition":{},"leaked":{:?}}}"#,
        told("NEXUS_REVISION"), told("NEXUS_WORKSPACE_ROOT"), told("NEXUS_PROFILE"), told("NEXUS_PLANTED_BUGS"),
        cfg!(madsim), nexus_store::has_condition(), told("CARGO_MANIFEST_DIR"),
    );
    std::process::exit(told("LAB_EXIT").parse().unwrap_or(0));
}
"##;

const CLOUD: &str =
    "#![forbid(unsafe_code)]\nfn main() {\n    println!(\"{:?}\", std::env::args().skip(1).collect::<Vec<_>>());\n}\n";

/// A folder with a workspace in it, gone when the test ends.
struct House(PathBuf);

impl House {
    fn new(name: &str) -> House {
        let root = std::env::temp_dir().join(format!("nexus-xtask-house-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&root);
        fs::create_dir_all(&root).unwrap();
        let house = House(root.canonicalize().unwrap());
        let package = |name: &str, rest: &str| {
            format!(
                "[package]\nname = \"{name}\"\nversion.workspace = true\nedition.workspace = true\n[lints]\nworkspace = true\n{rest}"
            )
        };
        house.write("Cargo.toml", MANIFEST);
        house.write(".gitignore", "/target\n");
        house.write("xtask/commands/Cargo.toml", "");
        house.write("system/store/Cargo.toml", &package("nexus-store", ""));
        house.write("system/store/src/lib.rs", STORE);
        let lab = "[[bin]]\nname = \"nexus-lab\"\npath = \"src/main.rs\"\n[dependencies]\nnexus-store = { path = \"../../system/store\" }\n";
        house.write("chaos/explore/Cargo.toml", &package("nexus-explore", lab));
        house.write("chaos/explore/src/main.rs", LAB);
        house.write("chaos/bugs/no-condition.patch", PATCH);
        let server = "[[bin]]\nname = \"nexus-cloud-server\"\npath = \"src/main.rs\"\n";
        house.write("sim/cloud-shell/Cargo.toml", &package("nexus-cloud-shell", server));
        house.write("sim/cloud-shell/src/main.rs", CLOUD);
        house
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    }

    fn command(&self, line: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
        command.args(line.split_whitespace()).current_dir(self.0.join("system"));
        command.env("CARGO_MANIFEST_DIR", self.0.join("xtask")).env("CARGO_TARGET_DIR", self.0.join("target"));
        for name in ["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "LAB_EXIT"] {
            command.env_remove(name);
        }
        // The house has no crate from outside: nothing may be asked of the network.
        command.env("CARGO_NET_OFFLINE", "true");
        command
    }

    fn run(&self, line: &str) -> Output {
        self.command(line).output().unwrap()
    }

    /// Runs a line that must succeed and gives the JSON object that it printed.
    fn told(&self, line: &str) -> Value {
        let output = self.run(line);
        assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{line}: {error}: {}", text(&output)))
    }
}

impl Drop for House {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn text(output: &Output) -> String {
    format!("{}\n{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[test]
fn the_laboratory_is_started_with_the_words_as_typed() {
    let house = House::new("words");
    let told = house.told("sim --seed 7 --engine turmoil --json");
    assert_eq!(told["words"], serde_json::json!(["sim", "--seed", "7", "--engine", "turmoil", "--json"]));
    assert_eq!(told["root"], house.0.to_string_lossy().as_ref());
    assert!(told["revision"].as_str().is_some_and(|revision| revision.starts_with("source-")), "{told}");
    assert_eq!((&told["profile"], &told["planted"], &told["leaked"]), (&"sim".into(), &"".into(), &"".into()));
    assert_eq!((&told["madsim"], &told["has_condition"]), (&false.into(), &true.into()));

    let output = house.command("sim").env("LAB_EXIT", "3").output().unwrap();
    assert_eq!(output.status.code(), Some(3), "the exit code is the laboratory's: {}", text(&output));

    let output = house.run("cloud --port 0");
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), r#"["--port", "0"]"#, "{}", text(&output));
}

#[test]
fn both_engines_run_in_turn_each_in_its_own_build() {
    let house = House::new("engines");
    let told = house.told("sim --engine both --seeds 2 --json");
    for (engine, is_madsim) in [("turmoil", false), ("madsim", true)] {
        assert_eq!(told[engine]["madsim"], is_madsim, "{told}");
        let words = told[engine]["words"].to_string();
        assert!(words.contains(&format!("--engine={engine}")) && words.contains(&format!("nexus/{engine}")), "{words}");
    }
    let bug = house.write("target/bug.json", r#"{"engine": "madsim"}"#);
    assert_eq!(house.told(&format!("replay {}", bug.display()))["madsim"], true, "the report names its engine");
}

#[test]
fn the_build_with_planted_bugs_never_passes_for_the_real_one() {
    let house = House::new("planted");
    for round in 0..2 {
        let real = house.told("sim --json");
        assert_eq!((&real["has_condition"], &real["planted"]), (&true.into(), &"".into()), "round {round}: {real}");
        let planted = house.told("bench bugs --json");
        assert_eq!(
            (&planted["has_condition"], &planted["planted"]),
            (&false.into(), &"1".into()),
            "round {round}: {planted}"
        );
    }
    let both = house.told("bench --json");
    assert_eq!(
        (&both["speed"]["has_condition"], &both["bugs"]["has_condition"]),
        (&true.into(), &false.into()),
        "{both}"
    );

    let again = house.run("bench bugs --json");
    assert!(!text(&again).contains("Compiling"), "nothing changed, so nothing is compiled: {}", text(&again));

    let bug = house.write("target/bug.json", r#"{"engine": "turmoil", "planted_bug": "no-condition"}"#);
    let replayed = house.told(&format!("replay {}", bug.display()));
    assert_eq!((&replayed["has_condition"], &replayed["planted"]), (&false.into(), &"1".into()), "{replayed}");

    house.write("system/store/src/lib.rs", &STORE.replace("true", "!false"));
    let stale = house.run("bench bugs");
    assert_eq!(stale.status.code(), Some(2));
    assert!(text(&stale).contains("no-condition.patch") && text(&stale).contains("does not apply"), "{}", text(&stale));
}

#[test]
fn what_cannot_work_is_told_before_anything_is_built() {
    let house = House::new("refusals");
    let bad = house.write("damaged.json", "{\"engine\":");
    let table = [
        ("sim --seeds 0".to_owned(), "a count is a whole number from 1"),
        ("replay nowhere.json".to_owned(), "nowhere.json"),
        (format!("shrink {}", bad.display()), "is not a bug report"),
        ("test --only fmt --skip fmt".to_owned(), "every step is excluded"),
    ];
    for (line, expected) in table {
        let output = house.run(&line);
        assert_eq!(output.status.code(), Some(2), "{line}: {}", text(&output));
        assert!(text(&output).contains(expected), "{line}: {}", text(&output));
    }
    assert!(!house.0.join("target").exists(), "nothing was built");
}

#[test]
fn a_laboratory_that_does_not_compile_is_no_verdict() {
    let house = House::new("broken");
    house.write("chaos/explore/src/main.rs", "fn main() { nexus_store::absent() }");
    let output = house.run("sim --json");
    assert_eq!(output.status.code(), Some(101), "{}", text(&output));
    assert!(output.stdout.is_empty(), "messages of the build go to the error stream: {}", text(&output));
    assert!(text(&output).contains("building nexus-lab failed"), "{}", text(&output));
}

#[test]
fn checks_of_the_house_fail_when_it_is_out_of_order() {
    let house = House::new("checks");
    let line = "test --only arrows --only forbid-unsafe --only tidy";
    let output = house.run(line);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    assert!(text(&output).contains("3 of 3 steps held"), "{}", text(&output));

    house.write("sim/cloud-shell/src/main.rs", concat!("// TO", "DO\nfn main() {}\n"));
    let manifest = fs::read_to_string(house.0.join("system/store/Cargo.toml")).unwrap();
    let upwards = "[dev-dependencies]\nnexus-cloud-shell = { path = \"../../sim/cloud-shell\" }\n";
    house.write("system/store/Cargo.toml", &format!("{manifest}{upwards}"));
    let output = house.run(line);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output));
    let found = text(&output);
    for expected in [
        "0 of 3 steps held",
        "what ships knows nothing of simulation",
        "sim/cloud-shell/src/main.rs:1",
        "#![forbid(unsafe_code)]",
    ] {
        assert!(found.contains(expected), "lacks {expected}: {found}");
    }
}
