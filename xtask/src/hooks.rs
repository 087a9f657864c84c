//! `hooks install`: what git runs before a commit.

use std::{
    fs,
    path::{Path, PathBuf},
};

use nexus_commands::{HooksInstallOptions, exit};

use crate::{
    error::{At, XtaskError},
    source_files::git,
    workspace::Workspace,
};

const HOOK: &str = include_str!("pre-commit.sh");
/// By this line a hook of ours is known, whatever version wrote it.
const MARK: &str = "# nexus pre-commit hook";
const NAME: &str = "pre-commit";
/// Where a hook goes that ours takes the place of.
const BEFORE: &str = "pre-commit.before-nexus";

pub fn install(workspace: &Workspace, options: &HooksInstallOptions) -> Result<u8, XtaskError> {
    let path = install_in(workspace.root(), options.force)?;
    anstream::println!("commits in this clone are checked by {}", path.display());
    Ok(exit::HELD)
}

fn install_in(root: &Path, force: bool) -> Result<PathBuf, XtaskError> {
    let folder = hooks_folder(root)?;
    let path = folder.join(NAME);
    // What is there may be a link to nowhere: it is a hook of somebody's all the same.
    if path.symlink_metadata().is_ok() {
        let is_ours = fs::read_to_string(&path).is_ok_and(|text| text.contains(MARK));
        match (is_ours, force) {
            (true, _) => fs::remove_file(&path).at("replace", &path)?,
            (false, true) => fs::rename(&path, folder.join(BEFORE)).at("put aside", &path)?,
            (false, false) => return Err(XtaskError::ForeignHook { path }),
        }
    }
    fs::create_dir_all(&folder).at("make", &folder)?;
    fs::write(&path, HOOK).at("write", &path)?;
    make_executable(&path)?;
    Ok(path)
}

/// Where git looks for hooks: `core.hooksPath`, else the folder that all work trees of the clone share.
fn hooks_folder(root: &Path) -> Result<PathBuf, XtaskError> {
    let output = git(root).args(["rev-parse", "--git-path", "hooks"]).output();
    let output = output.map_err(|source| XtaskError::Start { program: "git".to_owned(), source })?;
    let text = String::from_utf8_lossy(&output.stdout);
    match (output.status.success(), text.trim()) {
        (true, folder) if !folder.is_empty() => Ok(root.join(folder)),
        _ => Err(XtaskError::NoHooks { root: root.to_owned() }),
    }
}

#[cfg(unix)]
fn make_executable(path: &Path) -> Result<(), XtaskError> {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).at("make executable", path)
}

#[cfg(not(unix))]
fn make_executable(_: &Path) -> Result<(), XtaskError> {
    Ok(())
}

#[cfg(all(test, unix))]
mod tests {
    use std::{
        os::unix::fs::PermissionsExt as _,
        process::{Command, Output},
    };

    use super::*;
    use crate::scratch::Scratch;

    fn clone_of_ours(name: &str) -> Scratch {
        let scratch = Scratch::new(name);
        scratch.git(&["init", "-q"]);
        scratch.git(&["config", "user.email", "a@b.c"]);
        scratch.git(&["config", "user.name", "a"]);
        scratch
    }

    #[test]
    fn the_hook_is_written_where_git_looks_and_may_be_written_again() {
        let scratch = clone_of_ours("hooks-plain");
        let path = install_in(scratch.root(), false).unwrap();
        assert_eq!(path, scratch.path(".git/hooks/pre-commit"));
        assert_eq!(fs::read_to_string(&path).unwrap(), HOOK);
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o111, 0o111);
        assert_eq!(install_in(scratch.root(), false).unwrap(), path);
    }

    #[test]
    fn the_configured_folder_goes_first() {
        let scratch = clone_of_ours("hooks-path");
        scratch.git(&["config", "core.hooksPath", "our-hooks"]);
        assert_eq!(install_in(scratch.root(), false).unwrap(), scratch.path("our-hooks/pre-commit"));
        assert!(!scratch.path(".git/hooks/pre-commit").exists());
    }

    #[test]
    fn a_foreign_hook_is_replaced_only_by_force_and_kept() {
        let scratch = clone_of_ours("hooks-foreign");
        scratch.write(".git/hooks/pre-commit", "#!/bin/sh\nexit 0\n");
        let refused = install_in(scratch.root(), false).unwrap_err();
        assert!(matches!(refused, XtaskError::ForeignHook { .. }), "{refused}");
        assert_eq!(fs::read_to_string(scratch.path(".git/hooks/pre-commit")).unwrap(), "#!/bin/sh\nexit 0\n");
        install_in(scratch.root(), true).unwrap();
        assert_eq!(
            fs::read_to_string(scratch.path(".git/hooks/pre-commit.before-nexus")).unwrap(),
            "#!/bin/sh\nexit 0\n"
        );
        assert_eq!(fs::read_to_string(scratch.path(".git/hooks/pre-commit")).unwrap(), HOOK);
    }

    #[test]
    fn without_git_there_is_nothing_to_write_to() {
        let scratch = Scratch::new("hooks-none");
        let told = install_in(scratch.root(), false);
        assert!(matches!(told, Err(XtaskError::NoHooks { .. })));
    }

    /// Runs the hook with a `cargo` that writes down what it is asked, and fails on the words that `fails` names.
    fn run_hook(scratch: &Scratch, fails: &str) -> (Output, String) {
        scratch.write(
            "bin/cargo",
            &format!("#!/bin/sh\necho \"$*\" >> \"$ASKED\"\ncase \"$*\" in {fails}) exit 1 ;; esac\n"),
        );
        make_executable(&scratch.path("bin/cargo")).unwrap();
        let asked = scratch.path("bin/asked");
        let _ = fs::remove_file(&asked);
        let path = format!("{}:{}", scratch.path("bin").display(), std::env::var("PATH").unwrap());
        let hook = install_in(scratch.root(), false).unwrap();
        let output =
            Command::new(hook).current_dir(scratch.root()).env("PATH", path).env("ASKED", &asked).output().unwrap();
        (output, fs::read_to_string(asked).unwrap_or_default())
    }

    #[test]
    fn the_hook_asks_only_what_concerns_the_commit() {
        let scratch = clone_of_ours("hooks-run");
        let (output, asked) = run_hook(&scratch, "never");
        assert!(output.status.success() && asked.is_empty(), "nothing is staged: {asked}");
        scratch.write("system/a.rs", "fn a() {}\n");
        scratch.git(&["add", "system/a.rs"]);
        let (output, asked) = run_hook(&scratch, "never");
        assert!(output.status.success(), "{output:?}");
        assert_eq!(asked, "xtask policy check --changed\n");
        scratch.write("policies/desk/a.rego", "package a\n");
        scratch.git(&["add", "policies"]);
        let (_, asked) = run_hook(&scratch, "never");
        assert_eq!(asked, "xtask policy test\nxtask policy check --changed\n");
    }

    #[test]
    fn the_hook_blocks_what_a_check_refuses_and_what_is_not_formatted() {
        let scratch = clone_of_ours("hooks-block");
        scratch.write("system/a.rs", "fn a() {}\n");
        scratch.git(&["add", "system/a.rs"]);
        assert!(!run_hook(&scratch, "*check*").0.status.success());
        scratch.write("system/a file.rs", "fn   a( ) {}\n");
        scratch.git(&["add", "system/a file.rs"]);
        // What is staged counts, not what the file says meanwhile.
        scratch.write("system/a file.rs", "fn a() {}\n");
        let (output, _) = run_hook(&scratch, "never");
        assert!(!output.status.success());
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(told.contains("  system/a file.rs\n") && told.contains("hint: cargo fmt"), "{told}");
    }
}
