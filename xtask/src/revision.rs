//! A name for the source that a program was built from, so that a replay knows whether it runs the same code.

use std::{
    fs,
    path::{Path, PathBuf},
};

use sha2::{Digest, Sha256};

use crate::source_files;

/// `1a2b3c4d5e6f` for a git work tree whose source is that commit's; `1a2b3c4d5e6f+8badf00d` when source files differ from
/// it, the second part being a digest of them; `source-1a2b3c4d5e6f` outside git, a digest of all source files.
///
/// Only source counts: a bug report laid into the work tree to be replayed must not make it another revision.
pub fn of(root: &Path) -> String {
    match head(root) {
        Some(commit) => match differing(root) {
            files if files.is_empty() => commit,
            files => format!("{commit}+{}", digest(root, &files, 8)),
        },
        None => {
            let files = source_files::walk_sources(root).unwrap_or_default();
            format!("source-{}", digest(root, &files, 12))
        }
    }
}

fn head(root: &Path) -> Option<String> {
    let output = source_files::git(root).args(["rev-parse", "--verify", "--quiet", "HEAD"]).output().ok()?;
    let commit = String::from_utf8(output.stdout).ok()?;
    let is_commit = output.status.success() && commit.trim().len() >= 12;
    is_commit.then(|| commit.chars().take(12).collect())
}

/// Source files that differ from the commit, deleted ones included, and untracked ones that git does not ignore.
fn differing(root: &Path) -> Vec<PathBuf> {
    let changed = source_files::git_names(root, &["diff", "--name-only", "--relative", "--no-renames", "-z", "HEAD"]);
    let untracked = source_files::git_names(root, &["ls-files", "--others", "--exclude-standard", "-z"]);
    let mut files: Vec<PathBuf> = changed.into_iter().chain(untracked).flatten().collect();
    files.retain(|file| source_files::is_source(file));
    files.sort();
    files.dedup();
    files
}

/// The first hexadecimal digits of SHA-256 over names and contents. Lengths go first, so that no two lists of files can
/// run together into the same bytes; a deleted file counts as its name alone.
fn digest(root: &Path, files: &[PathBuf], hex_digits: usize) -> String {
    let mut hasher = Sha256::new();
    let mut add = |bytes: &[u8]| {
        hasher.update((bytes.len() as u64).to_le_bytes());
        hasher.update(bytes);
    };
    for file in files {
        add(file.to_string_lossy().as_bytes());
        match fs::read(root.join(file)) {
            Ok(content) => add(&content),
            Err(_) => add(b"\0absent"),
        }
    }
    let hex: String = hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    hex.chars().take(hex_digits).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scratch::Scratch;

    fn committed(name: &str) -> (Scratch, String) {
        let scratch = Scratch::new(name);
        scratch.git(&["init", "-q"]);
        scratch.write(".gitignore", "/target\n");
        scratch.write("system/a.rs", "one");
        scratch.git(&["add", "."]);
        scratch.git(&["commit", "-q", "-m", "First"]);
        let commit = scratch.git(&["rev-parse", "HEAD"]).chars().take(12).collect();
        (scratch, commit)
    }

    #[test]
    fn clean_source_is_its_commit_whatever_else_lies_there() {
        let (scratch, commit) = committed("revision-clean");
        scratch.write("target/sim/program", "built");
        scratch.write("bug-crashes-42.json", "{}");
        assert_eq!(of(scratch.root()), commit);
    }

    #[test]
    fn every_difference_shows_and_undoing_it_is_seen() {
        let (scratch, commit) = committed("revision-dirty");
        let mut seen = vec![of(scratch.root())];
        let mut look = |what: &str| {
            let revision = of(scratch.root());
            let (name, digest) = revision.split_once('+').expect(what);
            assert_eq!((name, digest.len()), (commit.as_str(), 8), "{what}");
            assert!(!seen.contains(&revision), "{what} gives a revision of its own");
            assert_eq!(of(scratch.root()), revision, "{what}: asked twice, same answer");
            seen.push(revision);
        };
        scratch.write("system/a.rs", "two");
        look("a changed file");
        scratch.write("system/b.rs", "new");
        look("an untracked file");
        scratch.git(&["add", "system/b.rs"]);
        scratch.write("system/c.rs", "new");
        look("another name with the same content");
        fs::remove_file(scratch.path("system/a.rs")).unwrap();
        look("a deleted file");
        for name in ["system/b.rs", "system/c.rs"] {
            scratch.write(name, "");
        }
        look("emptied files");
        scratch.git(&["rm", "-q", "-f", "--cached", "system/b.rs"]);
        for name in ["system/b.rs", "system/c.rs"] {
            fs::remove_file(scratch.path(name)).unwrap();
        }
        scratch.write("system/a.rs", "one");
        assert_eq!(of(scratch.root()), commit);
    }

    #[test]
    fn outside_git_it_is_a_digest_of_the_sources() {
        let scratch = Scratch::new("revision-plain");
        scratch.write("system/a.rs", "one");
        let first = of(scratch.root());
        assert!(first.starts_with("source-") && first.len() == "source-".len() + 12, "{first}");
        scratch.write("notes.txt", "not source");
        assert_eq!(of(scratch.root()), first);
        scratch.write("system/a.rs", "two");
        assert_ne!(of(scratch.root()), first);
    }

    #[test]
    fn names_and_contents_cannot_run_together() {
        let scratch = Scratch::new("revision-lengths");
        scratch.write("ab", "c");
        scratch.write("a", "bc");
        let digest_of = |name: &str| digest(scratch.root(), &[PathBuf::from(name)], 8);
        assert_ne!(digest_of("ab"), digest_of("a"));
    }
}
