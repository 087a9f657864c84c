//! A host's disk: whole files in memory that survive its crashes.

use std::{
    collections::BTreeMap,
    io,
    sync::{Arc, Mutex},
    time::Duration,
};

use nexus_ports::{BoxFuture, Disk, Timer};

use crate::handles::lock;

/// How long a durable write takes: a fast disk's flush. It also is the moment in which a crash loses the write.
const WRITE_TIME: Duration = Duration::from_millis(1);

pub(crate) type Files = Arc<Mutex<BTreeMap<String, Vec<u8>>>>;

/// One life's view of the disk; the files outlive it.
pub(crate) struct MemoryDisk {
    files: Files,
    timer: Arc<dyn Timer>,
}

impl MemoryDisk {
    pub(crate) fn new(files: Files, timer: Arc<dyn Timer>) -> Self {
        Self { files, timer }
    }
}

impl Disk for MemoryDisk {
    fn read(&self, path: &str) -> BoxFuture<'static, io::Result<Vec<u8>>> {
        let path = normalise(path);
        let files = self.files.clone();
        Box::pin(async move {
            let path = path?;
            lock(&files)
                .get(&path)
                .cloned()
                .ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, format!("no file `{path}`")))
        })
    }

    fn write(&self, path: &str, bytes: Vec<u8>) -> BoxFuture<'static, io::Result<()>> {
        let path = normalise(path);
        let files = self.files.clone();
        let flushed = self.timer.sleep(WRITE_TIME);
        Box::pin(async move {
            let path = path?;
            if path.is_empty() {
                return Err(io::Error::new(io::ErrorKind::InvalidInput, "a file needs a name"));
            }
            // A crash drops this task here, before the new content is there.
            flushed.await;
            lock(&files).insert(path, bytes);
            Ok(())
        })
    }

    fn list(&self, folder: &str) -> BoxFuture<'static, io::Result<Vec<String>>> {
        let folder = normalise(folder);
        let files = self.files.clone();
        Box::pin(async move {
            let folder = folder?;
            let prefix = if folder.is_empty() { String::new() } else { format!("{folder}/") };
            let inside = |path: &&String| path.strip_prefix(&prefix).is_some_and(|name| !name.contains('/'));
            Ok(lock(&files).keys().filter(inside).cloned().collect())
        })
    }
}

/// The same paths mean the same file as on a real disk, and none leads out of it.
fn normalise(path: &str) -> io::Result<String> {
    if path.starts_with('/') || path.split('/').any(|part| part == "..") {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("`{path}` leaves the disk's folder")));
    }
    Ok(path.split('/').filter(|part| !part.is_empty() && *part != ".").collect::<Vec<_>>().join("/"))
}
