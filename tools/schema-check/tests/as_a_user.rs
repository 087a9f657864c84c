//! The tool as its user meets it: its words, what it prints, and its exit codes.
#![forbid(unsafe_code)]

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use serde_json::{Value, json};

/// A copy of the repository's schemas that may be broken, gone when the test ends.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Scratch {
        let root = std::env::temp_dir().join(format!("nexus-schema-check-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&root);
        let schemas = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../system/schemas");
        for folder in ["events", "released"] {
            copy(&schemas.join(folder), &root.join("system/schemas").join(folder));
        }
        for file in ["accepted-breaks.toml", "CATALOGUE.md"] {
            fs::copy(schemas.join(file), root.join("system/schemas").join(file)).unwrap();
        }
        Scratch(root)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    }

    fn edit(&self, name: &str, edit: impl FnOnce(&mut Value)) {
        let mut document: Value = serde_json::from_str(&fs::read_to_string(self.path(name)).unwrap()).unwrap();
        edit(&mut document);
        self.write(name, &document.to_string());
    }

    /// Exit code, standard output and error output, with the folder's own path taken out.
    fn run(&self, line: &str) -> (i32, String, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_nexus-schema-check"));
        command.args(line.split_whitespace()).current_dir(&self.0).env("NEXUS_WORKSPACE_ROOT", &self.0);
        command.env("NO_COLOR", "1").env("COLUMNS", "200");
        let Output { status, stdout, stderr } = command.output().unwrap();
        let plain = |bytes: Vec<u8>| {
            String::from_utf8(bytes).unwrap().replace(&format!("{}/", self.0.display()), "").trim_end().to_owned()
        };
        (status.code().unwrap(), plain(stdout), plain(stderr))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &target);
        } else {
            fs::copy(&path, &target).unwrap();
        }
    }
}

#[test]
fn the_repository_s_schemas_hold() {
    let scratch = Scratch::new("hold");
    let (code, out, err) = scratch.run("check");
    assert_eq!((code, err.as_str()), (0, ""), "{out}");
    insta::assert_snapshot!(out);
    let (code, out, _) = scratch.run("check --json");
    let object: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, &object["held"], &object["problems"]), (0, &json!(true), &json!([])));
    let bridged = object["bridged"].as_array().unwrap();
    assert!(!bridged.is_empty() && bridged.iter().all(|bridged| bridged["event_type"] == "OrderPlaced"), "{out}");
}

#[test]
fn what_breaks_is_found() {
    type Break = fn(&Scratch);
    let table: [(&str, Break, &str); 9] = [
        (
            "edited",
            |scratch| {
                scratch.edit("system/schemas/events/CartAbandoned/v1.json", |schema| {
                    schema["properties"]["total_cents"]["maximum"] = json!(10);
                });
            },
            "CartAbandoned version 1: it was released and means something else now",
        ),
        (
            "gone",
            |scratch| fs::remove_dir_all(scratch.path("system/schemas/events/OrderShipped")).unwrap(),
            "OrderShipped: the domain writes this event type, and it has no schema",
        ),
        (
            "gap",
            |scratch| {
                let text = fs::read_to_string(scratch.path("system/schemas/events/OrderShipped/v1.json")).unwrap();
                scratch.write("system/schemas/events/OrderShipped/v3.json", &text.replace(":v1", ":v3"));
            },
            "OrderShipped version 3: version 2 is missing before it",
        ),
        (
            "stranger",
            |scratch| {
                drop(
                    scratch.write(
                        "system/schemas/events/EmailSent/v1.json",
                        r#"{"$id": "urn:nexus:schema:EmailSent:v1"}"#,
                    ),
                )
            },
            "EmailSent: the domain knows no such event type",
        ),
        (
            "identifier",
            |scratch| {
                scratch.edit("system/schemas/events/OrderShipped/v1.json", |schema| schema["$id"] = json!("urn:other"));
            },
            "its `$id` must be `urn:nexus:schema:OrderShipped:v1`",
        ),
        (
            "unbridged",
            |scratch| drop(scratch.write("system/schemas/accepted-breaks.toml", "")),
            "OrderPlaced version 2: it may not follow version 1 (BACKWARD_ALL)",
        ),
        (
            "stale",
            |scratch| {
                let path = "system/schemas/accepted-breaks.toml";
                let more = "\n[[break]]\nevent_type = \"OrderShipped\"\nversion = 2\nagainst = 1\nrules = []\nreason = \"none\"\n";
                let text = fs::read_to_string(scratch.path(path)).unwrap() + more;
                scratch.write(path, &text);
            },
            "OrderShipped version 2: the accepted break with version 1 is none",
        ),
        (
            "unlisted",
            |scratch| {
                let path = "system/schemas/released/manifest.toml";
                let text =
                    fs::read_to_string(scratch.path(path)).unwrap().replace("OrderPlaced = 2", "OrderPlaced = 1");
                scratch.write(path, &text);
            },
            "OrderPlaced version 2: it lies with the release, whose manifest does not name it",
        ),
        (
            "uncopied",
            |scratch| fs::remove_file(scratch.path("system/schemas/released/OrderPlaced/v2.json")).unwrap(),
            "the release's manifest names it, and there is no copy of it",
        ),
    ];
    for (name, break_it, expected) in table {
        let scratch = Scratch::new(name);
        break_it(&scratch);
        let (code, out, err) = scratch.run("check");
        assert_eq!(code, 1, "{name}: {out}{err}");
        assert!(out.contains(expected), "{name}: {out}");
        let (code, out, _) = scratch.run("check --json");
        let object: Value = serde_json::from_str(&out).unwrap();
        assert_eq!((code, &object["held"]), (1, &json!(false)), "{name}");
    }
}

#[test]
fn words_may_change_after_a_release() {
    let scratch = Scratch::new("words");
    scratch.edit("system/schemas/events/OrderShipped/v1.json", |schema| schema["description"] = json!("Gone."));
    assert_eq!(scratch.run("check").0, 0);
}

#[test]
fn old_readers_would_refuse_what_new_writers_write() {
    let scratch = Scratch::new("forward");
    let (code, out, _) = scratch.run("check --mode full_all");
    assert_eq!(code, 1, "{out}");
    assert!(out.contains("property-added at /properties/currency") && out.contains("(FULL_ALL)"), "{out}");
}

#[test]
fn two_files_are_compared() {
    let scratch = Scratch::new("diff");
    let (code, out, _) = scratch
        .run("diff system/schemas/events/OrderPlaced/v1.json system/schemas/events/OrderPlaced/v2.json --mode FULL");
    assert_eq!(code, 1);
    insta::assert_snapshot!(out);
    let same = "diff system/schemas/events/OrderPlaced/v1.json system/schemas/events/OrderPlaced/v1.json";
    assert_eq!(scratch.run(same), (0, "compatible (BACKWARD)".to_owned(), String::new()));
    scratch.write("open1.json", r#"{"type": "object", "properties": {"a": {"type": "string"}}}"#);
    scratch
        .write("open2.json", r#"{"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "string"}}}"#);
    let (code, out, _) = scratch.run("diff open1.json open2.json --json");
    let object: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, &object["compatible"], &object["verdict"]), (1, &json!(false), &json!("incompatible")));
    assert_eq!((&object["mode"], &object["findings"][0]["rule"]), (&json!("BACKWARD"), &json!("property-added")));
    assert_eq!(scratch.run("diff open1.json open2.json --lenient").0, 0);
    assert_eq!(scratch.run("diff open1.json open2.json --mode none").0, 0);
}

#[test]
fn bad_input_is_told_with_its_place() {
    let scratch = Scratch::new("bad");
    scratch.write("good.json", "{}");
    scratch.write("comma.json", "{\n  \"type\": \"object\",\n  \"required\": [\"a\",]\n}\n");
    scratch.write("empty.json", "");
    scratch.write("draft.json", r#"{"$schema": "https://json-schema.org/draft/2020-12/schema"}"#);
    scratch.write("wrong.json", r#"{"properties": {"a": {"type": "text"}}}"#);
    scratch.write("remote.json", r#"{"items": {"$ref": "other.json"}}"#);
    fs::write(scratch.path("binary.json"), [0xff, 0xfe, 0x00]).unwrap();
    fs::write(scratch.path("huge.json"), " ".repeat(700_000)).unwrap();
    let mut told = Vec::new();
    for line in [
        "diff comma.json good.json",
        "diff good.json empty.json",
        "diff good.json draft.json",
        "diff wrong.json good.json",
        "diff remote.json good.json",
        "diff binary.json good.json",
        "diff huge.json good.json",
        "diff missing.json good.json",
        "diff system good.json",
    ] {
        let (code, out, err) = scratch.run(line);
        assert_eq!((code, out.as_str()), (2, ""), "{line}: {err}");
        told.push(format!("$ {line}\n{err}"));
    }
    insta::assert_snapshot!(told.join("\n\n"));
}

#[test]
fn unusable_files_of_the_repository_are_told_with_their_place() {
    let table: [(&str, &str, &str); 4] = [
        ("system/schemas/events/OrderShipped/v1.json", "{", "v1.json is not JSON"),
        ("system/schemas/events/OrderShipped/first.json", "{}", "is not named as an event schema is"),
        ("system/schemas/released/manifest.toml", "release = 1", "invalid type"),
        ("system/schemas/accepted-breaks.toml", "[[brake]]\n", "unknown field"),
    ];
    for (index, (file, text, expected)) in table.into_iter().enumerate() {
        let scratch = Scratch::new(&index.to_string());
        scratch.write(file, text);
        let (code, out, err) = scratch.run("check");
        assert_eq!(code, 2, "{file}: {out}{err}");
        // Long lines are broken, with a bar before what follows.
        let words: Vec<&str> = err.split_whitespace().filter(|word| *word != "│").collect();
        assert!(words.join(" ").contains(expected), "{file}: {err}");
    }
}

#[test]
fn the_catalogue_that_is_kept_is_up_to_date_and_a_stale_one_is_noticed() {
    let scratch = Scratch::new("docs");
    let (code, out, _) = scratch.run("docs --check");
    assert_eq!((code, out.as_str()), (0, "system/schemas/CATALOGUE.md is up to date"));
    let (code, page, _) = scratch.run("docs");
    assert_eq!(code, 0);
    assert_eq!(page, fs::read_to_string(scratch.path("system/schemas/CATALOGUE.md")).unwrap().trim_end());
    scratch.edit("system/schemas/events/OrderShipped/v1.json", |schema| schema["description"] = json!("Gone."));
    let (code, out, _) = scratch.run("docs --check");
    assert_eq!(code, 1);
    assert!(out.contains("is stale from line") && out.contains("cargo xtask schema docs --out"), "{out}");
    assert_eq!(scratch.run("docs --out page.md").0, 0);
    assert_eq!(scratch.run("docs --check --out page.md").0, 0);
    assert_eq!(scratch.run("docs --check --out nowhere.md").0, 2);
    assert_eq!(scratch.run("docs --out no/such/folder.md").0, 2);
}

#[test]
fn help_and_slips_of_the_fingers() {
    let scratch = Scratch::new("help");
    for line in ["--help", "check --help", "diff --help", "docs --help"] {
        let (code, out, _) = scratch.run(line);
        assert_eq!(code, 0, "{line}");
        assert!(line == "--help" || out.contains("Examples:"), "{line}: {out}");
    }
    for line in ["diff a.json", "diff a b --mode SIDEWAYS", "chek", ""] {
        assert_eq!(scratch.run(line).0, 2, "{line}");
    }
}
