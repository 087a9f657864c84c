//! Policies from a folder, or those built in.

use std::path::Path;

use nexus_governance::{PolicyBundle, PolicyEnforcer};
use nexus_platform::ProductionPlatform;

use crate::failure::Failure;

/// Compiles the policies of a folder; without one, those that are built in.
pub(crate) async fn enforcer(folder: Option<&Path>) -> Result<PolicyEnforcer, Failure> {
    match folder {
        None => Ok(PolicyEnforcer::from_catalogue()?),
        Some(folder) => Ok(PolicyEnforcer::from_bundle(bundle(folder).await?)?),
    }
}

async fn bundle(folder: &Path) -> Result<PolicyBundle, Failure> {
    let unreadable = |path: &str| {
        let path = folder.join(path);
        move |source| Failure::Policies { path, source }
    };
    let disk = ProductionPlatform::new("policies").disk_folder(folder).build().disk;
    let mut files = Vec::new();
    for path in disk.list("").await.map_err(unreadable(""))? {
        if !path.ends_with(".rego") && !path.ends_with(".json") {
            continue;
        }
        let bytes = disk.read(&path).await.map_err(unreadable(&path))?;
        let text = String::from_utf8(bytes).map_err(std::io::Error::other).map_err(unreadable(&path))?;
        files.push((path, text));
    }
    if files.is_empty() {
        return Err(Failure::NoPolicies { folder: folder.to_owned() });
    }
    Ok(PolicyBundle::from_files(files)?)
}
