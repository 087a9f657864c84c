//! Small whole files in a folder, each replaced atomically.

use std::{
    ffi::OsStr,
    fs::{self, File},
    io::{self, Write},
    path::{Component, Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use nexus_ports::{BoxFuture, Disk};

/// What a file is called while it is written. A crash leaves it behind; no reader ever lists it.
const UNFINISHED_SUFFIX: &str = ".unfinished";

pub(crate) struct FolderDisk {
    root: PathBuf,
    /// Tells concurrent writers' temporary files apart.
    writes_begun: Arc<AtomicU64>,
}

impl FolderDisk {
    pub(crate) fn new(root: PathBuf) -> Self {
        Self { root, writes_begun: Arc::new(AtomicU64::new(0)) }
    }
}

impl Disk for FolderDisk {
    fn read(&self, path: &str) -> BoxFuture<'static, io::Result<Vec<u8>>> {
        let target = resolve(&self.root, path);
        blocking(move || fs::read(target?))
    }

    fn write(&self, path: &str, bytes: Vec<u8>) -> BoxFuture<'static, io::Result<()>> {
        let target = resolve(&self.root, path);
        let root = self.root.clone();
        let write_number = self.writes_begun.fetch_add(1, Ordering::Relaxed);
        blocking(move || replace_file(&root, &target?, &bytes, write_number))
    }

    /// A folder that does not exist holds no files.
    fn list(&self, folder: &str) -> BoxFuture<'static, io::Result<Vec<String>>> {
        let target = resolve(&self.root, folder);
        let folder = folder.trim_end_matches('/').to_owned();
        blocking(move || list_files(&target?, &folder))
    }
}

fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> BoxFuture<'static, io::Result<T>> {
    Box::pin(async move { tokio::task::spawn_blocking(work).await.map_err(io::Error::other)? })
}

/// Refuses paths that would leave the root.
fn resolve(root: &Path, path: &str) -> io::Result<PathBuf> {
    let relative = Path::new(path);
    if relative.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir)) {
        Ok(root.join(relative))
    } else {
        Err(io::Error::new(io::ErrorKind::InvalidInput, format!("`{path}` leaves the disk's folder")))
    }
}

fn replace_file(root: &Path, target: &Path, bytes: &[u8], write_number: u64) -> io::Result<()> {
    let (Some(folder), Some(name)) = (target.parent(), target.file_name()) else {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "a file needs a name"));
    };
    create_folders_durably(root, folder)?;
    let mut unfinished_name = name.to_owned();
    unfinished_name.push(format!(".{}-{write_number}{UNFINISHED_SUFFIX}", std::process::id()));
    let unfinished = folder.join(unfinished_name);
    let written = write_then_rename(&unfinished, target, bytes);
    if written.is_err() {
        // The first error is the one to report; a left-over is harmless.
        let _removed = fs::remove_file(&unfinished);
    }
    written?;
    sync_folder(folder)
}

fn write_then_rename(unfinished: &Path, target: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = File::create_new(unfinished)?;
    file.write_all(bytes)?;
    // Without this a crash after the rename could show an empty file under the final name.
    file.sync_all()?;
    fs::rename(unfinished, target)
}

/// A new folder is durable only once its parent is synced.
fn create_folders_durably(root: &Path, folder: &Path) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    fs::create_dir_all(folder)?;
    let mut ancestor = folder;
    while ancestor != root {
        let Some(parent) = ancestor.parent() else { break };
        sync_folder(parent)?;
        ancestor = parent;
    }
    Ok(())
}

fn sync_folder(folder: &Path) -> io::Result<()> {
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    File::open(folder)?.sync_all()
}

fn list_files(target: &Path, folder: &str) -> io::Result<Vec<String>> {
    let entries = match fs::read_dir(target) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut paths = Vec::new();
    for entry in entries {
        let entry = entry?;
        if entry.file_type()?.is_file()
            && let Some(name) = finished_name(&entry.file_name())
        {
            paths.push(if folder.is_empty() { name } else { format!("{folder}/{name}") });
        }
    }
    paths.sort();
    Ok(paths)
}

fn finished_name(name: &OsStr) -> Option<String> {
    name.to_str().filter(|name| !name.ends_with(UNFINISHED_SUFFIX)).map(str::to_owned)
}
