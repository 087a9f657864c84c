//! Ctrl-C while several programs run in turn.
//!
//! The terminal sends the signal to all of them: the running one winds up by itself, and keeps what it has. This program
//! must live on to wait for it, and then start no other.

use std::sync::{
    Once,
    atomic::{AtomicBool, Ordering},
};

static WATCHING: Once = Once::new();
static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// The exit code of a program that Ctrl-C ended, as shells count.
pub const EXIT_CODE: u8 = 130;

/// From now on Ctrl-C is noted instead of ending this program.
pub fn watch() {
    WATCHING.call_once(|| {
        if let Err(error) = ctrlc::set_handler(|| INTERRUPTED.store(true, Ordering::SeqCst)) {
            anstream::eprintln!("note: Ctrl-C will end this program without a summary ({error})");
        }
    });
}

pub fn happened() -> bool {
    INTERRUPTED.load(Ordering::SeqCst)
}
