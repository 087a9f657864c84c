//! Which kinds of faults each scenario names, read from the files themselves.

use std::{fs, path::Path};

use nexus_faults::{FaultKind, catalogue::KindsOfScenario};

/// By tier, then by name.
pub fn read() -> Vec<KindsOfScenario> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scenarios");
    let mut scenarios = Vec::new();
    for tier in ["smoke", "fast", "slow", "regress"] {
        let entries = fs::read_dir(root.join(tier)).expect("the folders of scenarios are there");
        let mut paths: Vec<_> = entries.map(|entry| entry.expect("it can be listed").path()).collect();
        paths.retain(|path| path.extension().is_some_and(|ending| ending == "toml"));
        paths.sort();
        scenarios.extend(paths.iter().map(|path| kinds_of(path)));
    }
    scenarios
}

fn kinds_of(path: &Path) -> KindsOfScenario {
    let text = fs::read_to_string(path).expect("a scenario can be read");
    let table: toml::Table = text.parse().expect("a scenario is TOML");
    let families = table.get("faults").and_then(toml::Value::as_array).cloned().unwrap_or_default();
    let kind = |family: &toml::Value| -> Option<FaultKind> { family.get("kind")?.clone().try_into().ok() };
    let name = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    (name, families.iter().filter_map(kind).collect())
}
