//! The build that carries planted bugs: a scratch copy of the source with every patch of `chaos/bugs` applied.
//!
//! All patches go into one copy, since each bug is behind a switch that the program turns on at run time: one build serves
//! all. The copy lies in `target/bugs/tree` and is built into the target folder of the real tree, so the crates of the
//! registry are compiled once for both. A file of the copy is written only where its content changes: what has not changed
//! keeps its time, and cargo does not compile it again.
//!
//! The copy's crates carry another version. Cargo names what it builds after a package's version and its place *within*
//! its workspace, so without this the copy's crates would pass for the real ones: the next `cargo xtask sim` would find
//! everything built, and run the bugs.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use nexus_commands::Engine;

use crate::{
    error::{At, XtaskError},
    flavour::{self, Flavour, LAB},
    scratch_copy, source_files,
    workspace::Workspace,
};

/// Where the patches are, relative to the root: one file for each bug, named after it.
pub const PATCHES: &str = "chaos/bugs";

/// Builds the laboratory with all planted bugs and says where it is.
///
/// # Errors
/// When a patch does not apply, or the copy does not compile.
pub fn build(workspace: &Workspace, engine: Engine) -> Result<PathBuf, XtaskError> {
    let folder = workspace.target().join("bugs");
    let _alone = scratch_copy::lock(&folder)?;
    let tree = prepare(workspace.root(), &folder)?;
    let built = flavour::build(workspace, &tree, LAB, Flavour::sim(engine))?;
    let kept = folder.join(format!("nexus-lab-{engine}"));
    scratch_copy::take_away(&built, &kept)?;
    Ok(kept)
}

/// The names of the planted bugs: their patches' names without `.patch`, sorted.
pub fn names(root: &Path) -> Result<Vec<String>, XtaskError> {
    let patches = patches(root)?;
    Ok(patches.iter().filter_map(|patch| patch.file_stem()).map(|stem| stem.to_string_lossy().into_owned()).collect())
}

fn patches(root: &Path) -> Result<Vec<PathBuf>, XtaskError> {
    let folder = root.join(PATCHES);
    let mut patches = Vec::new();
    if folder.is_dir() {
        for entry in fs::read_dir(&folder).at("list", &folder)? {
            let path = entry.at("list", &folder)?.path();
            if path.extension().is_some_and(|extension| extension == "patch") {
                patches.push(path);
            }
        }
    }
    patches.sort();
    if patches.is_empty() { Err(XtaskError::NoPlantedBugs { folder }) } else { Ok(patches) }
}

/// Brings `folder/tree` up to the source of `root` with all patches applied, and says where it is.
fn prepare(root: &Path, folder: &Path) -> Result<PathBuf, XtaskError> {
    let patches = patches(root)?;
    let files: Vec<PathBuf> =
        source_files::list(root)?.into_iter().filter(|file| !root.join(file).starts_with(folder)).collect();
    scratch_copy::tree(folder, MARK, |staging| {
        scratch_copy::copy_files(&files, root, staging)?;
        patches.iter().try_for_each(|patch| apply(patch, staging))
    })
}

/// What the versions of the copy's crates end with.
const MARK: &str = "+planted";

/// Applies one patch to `staging`, which must change by it.
fn apply(patch: &Path, staging: &Path) -> Result<(), XtaskError> {
    let refused = |message: String| XtaskError::PatchDoesNotApply { patch: patch.to_owned(), message };
    let text = fs::read_to_string(patch).at("read", patch)?;
    let targets = targets(&text);
    let before: Vec<_> = targets.iter().map(|target| fs::read(staging.join(target)).ok()).collect();
    let output = source_files::git(staging)
        // The copy lies inside a work tree that ignores it. Were git to find that one, it would take the patch's paths
        // for files outside the folder and skip them all with success.
        .env("GIT_CEILING_DIRECTORIES", staging.parent().unwrap_or(staging))
        .args(["apply", "--whitespace=nowarn"])
        .arg(patch)
        .output()
        .map_err(|source| XtaskError::Start { program: "git".to_owned(), source })?;
    if !output.status.success() {
        return Err(refused(String::from_utf8_lossy(&output.stderr).trim_end().to_owned()));
    }
    let after: Vec<_> = targets.iter().map(|target| fs::read(staging.join(target)).ok()).collect();
    if before == after {
        return Err(refused("git took the patch, but no file changed".to_owned()));
    }
    Ok(())
}

/// The files that a patch names, old and new.
fn targets(patch: &str) -> BTreeSet<PathBuf> {
    let named = patch.lines().filter_map(|line| line.strip_prefix("--- a/").or_else(|| line.strip_prefix("+++ b/")));
    named.map(|name| PathBuf::from(name.split('\t').next().unwrap_or(name))).collect()
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::*;
    use crate::scratch::Scratch;

    const SOURCE: &str = "fn check(known: bool) -> bool {\n    known\n}\n";

    fn patch(name: &str, from: &str, to: &str) -> String {
        format!(
            "--- a/system/{name}\n+++ b/system/{name}\n@@ -1,3 +1,3 @@\n fn check(known: bool) -> bool {{\n-    {from}\n+    {to}\n }}\n"
        )
    }

    /// A repository whose scratch copy lies inside it and is ignored, as in life.
    fn repository(name: &str) -> Scratch {
        let scratch = Scratch::new(name);
        scratch.git(&["init", "-q"]);
        scratch.write(".gitignore", "/target\n");
        scratch.write("system/one.rs", SOURCE);
        scratch.write("system/two.rs", SOURCE);
        scratch.write("system/three.rs", SOURCE);
        scratch.write("chaos/bugs/a-one.patch", &patch("one.rs", "known", "true"));
        scratch.write("chaos/bugs/b-two.patch", &patch("two.rs", "known", "false"));
        scratch.write("chaos/bugs/README.md", "not a patch");
        scratch.git(&["add", "."]);
        scratch.git(&["commit", "-q", "-m", "First"]);
        scratch
    }

    fn prepared(scratch: &Scratch) -> Result<PathBuf, XtaskError> {
        prepare(scratch.root(), &scratch.path("target/bugs"))
    }

    fn read(path: PathBuf) -> String {
        fs::read_to_string(path).unwrap()
    }

    #[test]
    fn every_patch_is_applied_to_the_copy_and_the_source_is_left_alone() {
        let scratch = repository("planted");
        let tree = prepared(&scratch).unwrap();
        assert!(read(tree.join("system/one.rs")).contains("true"));
        assert!(read(tree.join("system/two.rs")).contains("false"));
        assert_eq!(read(tree.join("system/three.rs")), SOURCE);
        assert_eq!(read(scratch.path("system/one.rs")), SOURCE);
        assert!(!scratch.path("target/bugs/staging").exists());
        assert_eq!(names(scratch.root()).unwrap(), ["a-one", "b-two"]);
    }

    #[test]
    fn a_second_copy_touches_only_what_changed() {
        let scratch = repository("planted-again");
        let tree = prepared(&scratch).unwrap();
        let long_ago = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
        let files = ["system/one.rs", "system/two.rs", "system/three.rs"];
        let open = |name: &str| fs::File::options().write(true).open(tree.join(name)).unwrap();
        files.iter().for_each(|name| open(name).set_modified(long_ago).unwrap());
        scratch.write("system/three.rs", "fn other() {}\n");
        scratch.write("system/new.rs", "");
        assert_eq!(prepared(&scratch).unwrap(), tree);
        let touched = |name: &str| fs::metadata(tree.join(name)).unwrap().modified().unwrap() != long_ago;
        assert_eq!(files.map(touched), [false, false, true], "patched and unchanged files keep their time");
        assert!(tree.join("system/new.rs").is_file());
        fs::remove_file(scratch.path("system/new.rs")).unwrap();
        fs::remove_file(scratch.path("chaos/bugs/b-two.patch")).unwrap();
        prepared(&scratch).unwrap();
        assert!(!tree.join("system/new.rs").exists(), "what the source lost, the copy loses");
        assert_eq!(read(tree.join("system/two.rs")), SOURCE, "a patch taken away is undone");
    }

    #[test]
    fn a_patch_that_does_not_apply_is_named_with_git_s_message() {
        let scratch = repository("planted-stale");
        scratch.write("chaos/bugs/c-stale.patch", &patch("three.rs", "unknown", "true"));
        let error = prepared(&scratch).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        let text = error.to_string();
        assert!(text.contains("c-stale.patch") && text.contains("patch does not apply"), "{text}");
        scratch.write("chaos/bugs/c-stale.patch", "nothing that git knows\n");
        assert!(prepared(&scratch).unwrap_err().to_string().contains("c-stale.patch"));
    }

    #[test]
    fn the_copy_s_crates_are_versions_of_their_own() {
        let scratch = repository("planted-version");
        scratch.write("Cargo.toml", "[workspace.package]\nversion = \"0.1.0\"\n");
        let tree = prepared(&scratch).unwrap();
        assert!(read(tree.join("Cargo.toml")).contains("0.1.0+planted"));
        assert!(!read(scratch.path("Cargo.toml")).contains("planted"));
    }

    #[test]
    fn no_planted_bug_at_all_is_an_error() {
        let scratch = Scratch::new("planted-none");
        scratch.write("system/one.rs", SOURCE);
        let error = prepared(&scratch).unwrap_err();
        assert!(error.to_string().contains("no planted bug"), "{error}");
        assert_eq!(error.exit_code(), 2);
    }
}
