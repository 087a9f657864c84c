//! Scratch copies of the source: built beside the real tree, into the same target folder.
//!
//! A file of a copy is written only where its content changes: what has not changed keeps its time, and cargo does not
//! compile it again. The copy's crates carry another version, since cargo names what it builds after a package's version and
//! its place *within* its workspace, and would otherwise take them for the real ones.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    path::{Path, PathBuf},
};

use crate::error::{At, XtaskError};

/// Waits until no other process makes the copy in `folder` or builds from it; it is held until the file is dropped.
pub fn lock(folder: &Path) -> Result<File, XtaskError> {
    fs::create_dir_all(folder).at("create", folder)?;
    let path = folder.join("lock");
    let file = File::create(&path).at("create", &path)?;
    file.lock().at("lock", &path)?;
    Ok(file)
}

/// Makes `folder/tree` what `fill` puts into an empty folder, its crates' versions ending with `mark`; says where it is.
pub fn tree(
    folder: &Path,
    mark: &str,
    fill: impl FnOnce(&Path) -> Result<(), XtaskError>,
) -> Result<PathBuf, XtaskError> {
    let staging = folder.join("staging");
    if staging.exists() {
        fs::remove_dir_all(&staging).at("empty", &staging)?;
    }
    fs::create_dir_all(&staging).at("create", &staging)?;
    fill(&staging)?;
    let is_manifest = |file: &PathBuf| file.file_name().is_some_and(|name| name == "Cargo.toml");
    for manifest in files_below(&staging)?.into_iter().filter(is_manifest) {
        mark_version(&staging.join(manifest), mark)?;
    }
    let tree = folder.join("tree");
    mirror(&staging, &tree)?;
    fs::remove_dir_all(&staging).at("remove", &staging)?;
    Ok(tree)
}

/// Copies files of one folder to the same places below another.
pub fn copy_files(files: &[PathBuf], from: &Path, to: &Path) -> Result<(), XtaskError> {
    files.iter().try_for_each(|file| copy(&from.join(file), &to.join(file)))
}

/// Keeps a built program at `kept`.
pub fn set_aside(executable: &Path, kept: &Path) -> Result<(), XtaskError> {
    let mut fresh = kept.to_owned().into_os_string();
    fresh.push(".new");
    let fresh = PathBuf::from(fresh);
    copy(executable, &fresh)?;
    // Renaming works even while an earlier copy runs; writing over it would not.
    fs::rename(&fresh, kept).at("replace", kept)
}

/// Keeps the program built from a copy at `kept`, and leaves none where the real tree's has the same name: nobody may start
/// it by mistake. Cargo links it again when it is next asked for.
pub fn take_away(executable: &Path, kept: &Path) -> Result<(), XtaskError> {
    set_aside(executable, kept)?;
    fs::remove_file(executable).at("remove", executable)
}

/// Marks the version in a manifest of a copy.
fn mark_version(manifest: &Path, mark: &str) -> Result<(), XtaskError> {
    let text = fs::read_to_string(manifest).at("read", manifest)?;
    fs::write(manifest, marked(&text, mark)).at("write", manifest)
}

/// The manifest with the mark on its package's version, or on the one that the workspace hands down.
fn marked(manifest: &str, mark: &str) -> String {
    let mut in_package = false;
    let mut text = String::new();
    for line in manifest.lines() {
        if line.trim_start().starts_with('[') {
            in_package =
                ["[package]", "[workspace.package]"].iter().any(|header| line.trim_start().starts_with(header));
        }
        let version = line.trim().strip_prefix("version").map(str::trim_start).and_then(|rest| rest.strip_prefix('='));
        match version.and_then(|rest| rest.trim().strip_prefix('"')).and_then(|rest| rest.split('"').next()) {
            Some(number) if in_package => text.push_str(&format!("version = \"{number}{mark}\"")),
            _ => text.push_str(line),
        }
        text.push('\n');
    }
    text
}

fn copy(from: &Path, to: &Path) -> Result<(), XtaskError> {
    if let Some(parent) = to.parent() {
        fs::create_dir_all(parent).at("create", parent)?;
    }
    fs::copy(from, to).at("copy", from).map(drop)
}

/// Makes `to` hold the files of `from` and no others, touching only those that differ.
fn mirror(from: &Path, to: &Path) -> Result<(), XtaskError> {
    fs::create_dir_all(to).at("create", to)?;
    let wanted = files_below(from)?;
    for file in files_below(to)?.difference(&wanted) {
        let path = to.join(file);
        fs::remove_file(&path).at("remove", &path)?;
    }
    for file in &wanted {
        let (source, copy_of_it) = (from.join(file), to.join(file));
        let content = fs::read(&source).at("read", &source)?;
        if fs::read(&copy_of_it).ok().as_ref() != Some(&content) {
            copy(&source, &copy_of_it)?;
        }
    }
    Ok(())
}

fn files_below(root: &Path) -> Result<BTreeSet<PathBuf>, XtaskError> {
    let mut files = BTreeSet::new();
    let mut waiting = vec![PathBuf::new()];
    while let Some(folder) = waiting.pop() {
        let path = root.join(&folder);
        for entry in fs::read_dir(&path).at("list", &path)? {
            let entry = entry.at("list", &path)?;
            let name = folder.join(entry.file_name());
            if root.join(&name).is_dir() {
                waiting.push(name);
            } else {
                files.insert(name);
            }
        }
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_packages_are_marked_and_no_others() {
        let table = [
            (
                "[package]\nname = \"a\"\nversion = \"0.1.0\"\n",
                "[package]\nname = \"a\"\nversion = \"0.1.0+planted\"\n",
            ),
            ("[workspace.package]\nversion=\"1.2.3\" # ours\n", "[workspace.package]\nversion = \"1.2.3+planted\"\n"),
            ("[package]\nversion.workspace = true\n", "[package]\nversion.workspace = true\n"),
            ("[dependencies.b]\nversion = \"2\"\n", "[dependencies.b]\nversion = \"2\"\n"),
            (
                "[package]\nversion = \"1.0.0\"\n[profile.sim]\n",
                "[package]\nversion = \"1.0.0+planted\"\n[profile.sim]\n",
            ),
        ];
        for (manifest, expected) in table {
            assert_eq!(marked(manifest, "+planted"), expected);
        }
    }
}
