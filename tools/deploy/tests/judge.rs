//! cfn-lint judges the committed templates, and is itself shown to judge.
#![forbid(unsafe_code)]

use std::{fs, path::Path};

use nexus_deploy_tool::{
    Folders,
    lint::{Linted, lint},
};

/// What cfn-lint says of the templates, or a clear word that this machine cannot judge.
fn judged(templates: &[std::path::PathBuf]) -> Option<Linted> {
    let folders = Folders::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("../.."));
    match lint(&folders.lint_environment(), templates).unwrap() {
        Linted::Unavailable(reason) => {
            eprintln!("SKIPPED: Python or its package index cannot be reached: {reason}");
            None
        }
        linted => Some(linted),
    }
}

#[test]
fn cfn_lint_has_nothing_to_say() {
    let folders = Folders::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("../.."));
    let Some(linted) = judged(&folders.templates()) else { return };
    assert_eq!(linted, Linted::Clean);
}

#[test]
fn cfn_lint_finds_what_is_wrong() {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("wrong.yaml");
    fs::write(&path, "Resources:\n  Queue:\n    Type: AWS::SQS::Queue\n    Properties: { NoSuchProperty: 1 }\n")
        .unwrap();
    let Some(linted) = judged(&[path]) else { return };
    assert!(matches!(&linted, Linted::Complaints(text) if text.contains("NoSuchProperty")), "{linted:?}");
}
