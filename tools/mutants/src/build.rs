//! Plant, build, leave out what does not compile, and again until it does.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use nexus_commands::switch;
use serde::Serialize;

use crate::{
    Answer, Request,
    blame::{Places, Said},
    error::MutantsError,
    listing::{self, ByFile, Mutant},
    plant,
};

/// Only the system is mutated: what tests it is judged by the mutants.
const FOLDER: &str = "system/";

/// A mutant of the built program, as the laboratory reads it.
#[derive(Clone, Debug, Serialize)]
struct Planted<'a> {
    number: usize,
    name: &'a str,
    lasting_name: String,
    genre: listing::Genre,
}

pub fn build(request: &Request) -> Result<Answer, MutantsError> {
    let cargo_mutants = installed(&request.tools)?;
    let folders = linked(&request.root, &request.package)?;
    let order = listing::shuffled(list(&cargo_mutants, &request.root)?, &folders, request.draw);
    let mut refused = BTreeSet::new();
    let mut round = 0;
    loop {
        round += 1;
        let (sampled, places) = plant_sample(request, &order, &mut refused)?;
        let count = sampled.values().map(Vec::len).sum::<usize>();
        anstream::eprintln!("round {round}: {count} mutants planted, {} left out", refused.len());
        // A check takes seconds where a build takes minutes, and a crate whose dependency is broken is not looked at: many
        // rounds are needed, and only the last builds.
        let mut said = compile(request, "check")?;
        if said.has_succeeded {
            said = compile(request, "build")?;
        }
        if let Some(executable) = said.executable.clone() {
            let mutants = write_list(&request.folder, &sampled, &refused)?;
            return Ok(Answer { executable, mutants });
        }
        let (blamed, unexplained) = said.blamed(&places);
        if blamed.is_empty() {
            return Err(MutantsError::Compile { messages: unexplained.join("\n") });
        }
        let names: BTreeMap<usize, &str> =
            sampled.values().flatten().map(|(number, mutant)| (*number, mutant.name.as_str())).collect();
        refused.extend(blamed.iter().filter_map(|number| names.get(number)).map(|name| (*name).to_owned()));
    }
}

/// The program `cargo-mutants`: the user's own, or one that is installed for this repository alone.
fn installed(tools: &Path) -> Result<PathBuf, MutantsError> {
    let own = PathBuf::from("cargo-mutants");
    let kept = tools.join("bin").join("cargo-mutants");
    for program in [&own, &kept] {
        let mut command = Command::new(program);
        command.args(["mutants", "--version"]).stdout(Stdio::null()).stderr(Stdio::null());
        if command.status().is_ok_and(|status| status.success()) {
            return Ok(program.clone());
        }
    }
    anstream::eprintln!("installing cargo-mutants into {} (once)", tools.display());
    let mut command = Command::new("cargo");
    command.args(["install", "--locked", "--root"]).arg(tools).arg("cargo-mutants").stdout(Stdio::null());
    let status = command.status().map_err(|source| MutantsError::Start { program: "cargo".to_owned(), source })?;
    if status.success() { Ok(kept) } else { Err(MutantsError::Install { status: status.to_string() }) }
}

fn list(cargo_mutants: &Path, root: &Path) -> Result<Vec<Mutant>, MutantsError> {
    let mut command = Command::new(cargo_mutants);
    command.args(["mutants", "--list", "--json", "--no-config", "--file", "system/**/*.rs", "--dir"]).arg(root);
    let output =
        command.output().map_err(|source| MutantsError::Start { program: "cargo-mutants".to_owned(), source })?;
    if !output.status.success() {
        let message = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        return Err(MutantsError::Listing { status: output.status.to_string(), message });
    }
    serde_json::from_slice(&output.stdout).map_err(MutantsError::ListingForm)
}

/// The folders of the system's crates that are part of `package`: a change to another cannot show.
fn linked(root: &Path, package: &str) -> Result<Vec<String>, MutantsError> {
    let mut command = Command::new("cargo");
    command.current_dir(root).args(["tree", "--locked", "--edges", "normal", "--prefix", "none", "--format", "{p}"]);
    let output = command
        .args(["--package", package])
        .output()
        .map_err(|source| MutantsError::Start { program: "cargo".to_owned(), source })?;
    if !output.status.success() {
        let message = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        return Err(MutantsError::Listing { status: output.status.to_string(), message });
    }
    let beginning = format!("{}/", root.display());
    let mut folders: Vec<String> = String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter_map(|line| line.split_once('(')?.1.split(')').next()?.strip_prefix(&beginning).map(str::to_owned))
        .filter(|folder| folder.starts_with(FOLDER))
        .map(|folder| folder + "/src/")
        .collect();
    folders.sort();
    folders.dedup();
    Ok(folders)
}

/// Draws the sample and writes its files; what cannot be planted is refused, and the sample drawn again.
fn plant_sample(
    request: &Request,
    order: &[Mutant],
    refused: &mut BTreeSet<String>,
) -> Result<(ByFile, Places), MutantsError> {
    loop {
        let sampled = listing::sample(order, request.sample, refused);
        let found = sampled.values().map(Vec::len).sum();
        if found < request.sample {
            return Err(MutantsError::TooFew { wanted: request.sample, found });
        }
        let mut texts = BTreeMap::new();
        let before = refused.len();
        for (file, mutants) in &sampled {
            let source = read(&request.root.join(file))?;
            let planted =
                plant::plant(&source, mutants).map_err(|source| MutantsError::Syntax { file: file.clone(), source })?;
            refused.extend(planted.refused);
            texts.insert(file.clone(), planted.text);
        }
        if refused.len() > before {
            continue;
        }
        let mut places = Places::default();
        for (file, text) in &texts {
            places.note(file, text, sampled[file].iter().map(|(number, _)| *number));
        }
        write_tree(request, order, texts)?;
        return Ok((sampled, places));
    }
}

/// Writes the planted files, the helper into their crates' roots, and all others as they are in the repository.
fn write_tree(request: &Request, order: &[Mutant], mut texts: BTreeMap<String, String>) -> Result<(), MutantsError> {
    let mut roots = BTreeSet::new();
    for mutant in order {
        roots.extend(roots_of(&request.root, &mutant.file));
        if !texts.contains_key(&mutant.file) {
            texts.insert(mutant.file.clone(), read(&request.root.join(&mutant.file))?);
        }
    }
    let helper = helper();
    for root in roots {
        let text = match texts.remove(&root) {
            Some(text) => text,
            None => read(&request.root.join(&root))?,
        };
        texts.insert(root, text + &helper);
    }
    for (file, text) in texts {
        write_if_changed(&request.tree.join(file), &text)?;
    }
    Ok(())
}

/// The roots of the crates that a file may belong to: a package's library and its program.
fn roots_of(root: &Path, file: &str) -> Vec<String> {
    let Some((package, below)) = file.split_once("/src/") else { return Vec::new() };
    if below.starts_with("bin/") {
        return vec![file.to_owned()];
    }
    let candidates = ["lib.rs", "main.rs"].map(|name| format!("{package}/src/{name}"));
    candidates.into_iter().filter(|candidate| root.join(candidate).is_file()).collect()
}

/// The module that is asked before every mutant.
fn helper() -> String {
    let names = [("@VARIABLE@", switch::VARIABLE), ("@MUTANT@", switch::MUTANT), ("@REACHED@", switch::REACHED)];
    names.iter().fold(HELPER.to_owned(), |text, (mark, name)| text.replace(mark, name))
}

const HELPER: &str = r#"

#[doc(hidden)]
#[allow(warnings, clippy::all)]
pub(crate) mod mutated {
    use std::{collections::BTreeSet, io::Write as _, sync::{Mutex, OnceLock}};

    enum Mode { Off, One(usize), Note(Mutex<(std::fs::File, BTreeSet<usize>)>) }

    fn mode() -> &'static Mode {
        static MODE: OnceLock<Mode> = OnceLock::new();
        MODE.get_or_init(|| {
            let word = std::env::var("@VARIABLE@").unwrap_or_default();
            if let Some(number) = word.strip_prefix("@MUTANT@") {
                return number.parse().map_or(Mode::Off, Mode::One);
            }
            let file = word.strip_prefix("@REACHED@").map(|path| {
                std::fs::File::options().create(true).append(true).open(path).expect("the file can be written")
            });
            file.map_or(Mode::Off, |file| Mode::Note(Mutex::new((file, BTreeSet::new()))))
        })
    }

    pub(crate) fn on(number: usize) -> bool {
        match mode() {
            Mode::Off => false,
            Mode::One(active) => *active == number,
            Mode::Note(notes) => {
                let mut notes = notes.lock().expect("nobody panics while noting");
                if notes.1.insert(number) {
                    let _ = writeln!(notes.0, "{number}");
                }
                false
            }
        }
    }
}
"#;

fn compile(request: &Request, verb: &str) -> Result<Said, MutantsError> {
    let mut command = Command::new("cargo");
    command
        .current_dir(&request.tree)
        .args([verb, "--keep-going", "--message-format", "json", "--profile", &request.profile])
        .args(["--package", &request.package, "--bin", &request.binary, "--target-dir"])
        .arg(&request.target)
        .stderr(Stdio::inherit());
    let output = command.output().map_err(|source| MutantsError::Start { program: "cargo".to_owned(), source })?;
    let mut said = Said::read(&String::from_utf8_lossy(&output.stdout), &request.binary);
    said.has_succeeded = output.status.success();
    if !said.has_succeeded {
        said.executable = None;
    }
    Ok(said)
}

fn write_list(folder: &Path, sampled: &ByFile, refused: &BTreeSet<String>) -> Result<PathBuf, MutantsError> {
    let mut planted: Vec<Planted> = sampled
        .values()
        .flatten()
        .map(|(number, mutant)| Planted {
            number: *number,
            name: &mutant.name,
            lasting_name: mutant.lasting_name(),
            genre: mutant.genre,
        })
        .collect();
    planted.sort_by_key(|mutant| mutant.number);
    let path = folder.join("mutants.json");
    let text = serde_json::json!({ "mutants": planted, "left_out": refused }).to_string();
    write_if_changed(&path, &text)?;
    Ok(path)
}

fn read(path: &Path) -> Result<String, MutantsError> {
    fs::read_to_string(path).map_err(|source| MutantsError::File { what: "read", path: path.to_owned(), source })
}

/// What does not change keeps its time, and cargo does not compile it again.
fn write_if_changed(path: &Path, text: &str) -> Result<(), MutantsError> {
    if fs::read_to_string(path).is_ok_and(|present| present == text) {
        return Ok(());
    }
    fs::write(path, text).map_err(|source| MutantsError::File { what: "write", path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_helper_is_rust_and_knows_its_names() {
        let text = helper();
        syn::parse_file(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
        assert!(text.contains("\"NEXUS_PLANTED_BUG\"") && !text.contains('@'), "{text}");
    }
}
