//! What every command needs from its surroundings: where things lie, which revision this is, and Ctrl-C.

use std::{
    env,
    io::IsTerminal,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

/// Surroundings of one invocation.
pub struct Context {
    pub workspace: PathBuf,
    pub revision: String,
    pub profile: String,
    /// Set by Ctrl-C: no new trials, keep what is finished.
    pub stop: Arc<AtomicBool>,
}

impl Context {
    /// Reads what `cargo xtask` handed over in the environment. A second Ctrl-C ends the process at once.
    #[allow(clippy::disallowed_methods)] // The command line is the rim: no trial reads this environment.
    pub fn from_environment() -> Self {
        let variable = |name: &str| env::var(name).ok().filter(|value| !value.is_empty());
        let stop = Arc::new(AtomicBool::new(false));
        let on_interrupt = stop.clone();
        // Without a handler Ctrl-C simply ends the process; that is no reason to refuse to run.
        let _ = ctrlc::set_handler(move || {
            if on_interrupt.swap(true, Ordering::SeqCst) {
                std::process::exit(130);
            }
            eprintln!("stopping: the reports of finished trials are kept (once more to stop at once)");
        });
        Self {
            workspace: variable("NEXUS_WORKSPACE_ROOT").map_or_else(|| PathBuf::from("."), PathBuf::from),
            revision: variable("NEXUS_REVISION").unwrap_or_else(|| "unknown".to_owned()),
            profile: variable("NEXUS_PROFILE").unwrap_or_else(|| "unknown".to_owned()),
            stop,
        }
    }

    pub fn scenarios(&self) -> PathBuf {
        self.workspace.join("scenarios")
    }

    /// Where reports go: the folder asked for, or `target/nexus`.
    pub fn out(&self, asked: Option<&Path>) -> PathBuf {
        asked.map_or_else(|| self.workspace.join("target").join("nexus"), Path::to_owned)
    }

    /// What the environment says, if it says anything.
    #[allow(clippy::disallowed_methods)] // As above.
    pub fn variable(name: &str) -> Option<String> {
        env::var(name).ok().filter(|value| !value.is_empty())
    }

    pub fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::SeqCst)
    }

    /// A path as the user would write it: relative to where he stands, if it lies below.
    pub fn shown(&self, path: &Path) -> String {
        let here = env::current_dir().unwrap_or_default();
        path.strip_prefix(&here).unwrap_or(path).display().to_string()
    }

    pub fn colour() -> bool {
        std::io::stdout().is_terminal() && env::var_os("NO_COLOR").is_none()
    }
}
