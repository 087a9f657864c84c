//! Standard output as a place for lines that must never hold up who writes them.

use std::{
    collections::VecDeque,
    io::Write,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use nexus_telemetry::LineSink;

/// Lines held while standard output takes none (its reader is slow or stands still). Further ones are dropped.
const LINES_HELD_MAX: usize = 10_000;

/// Lines go to a thread of their own, since a pipe that nobody empties blocks whoever writes into it.
pub(crate) struct StandardOutput {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<String>,
    is_writing: bool,
    dropped: u64,
}

impl StandardOutput {
    pub(crate) fn start() -> Self {
        Self::into(std::io::stdout())
    }

    fn into(mut target: impl Write + Send + 'static) -> Self {
        let shared = Arc::new(Shared::default());
        let of_thread = shared.clone();
        thread::spawn(move || {
            loop {
                let (lines, dropped) = of_thread.next_lines();
                // Where standard output is gone, work goes on without it.
                let _ = write_all(&mut target, &lines);
                if dropped > 0 {
                    let _ =
                        writeln!(std::io::stderr(), "nexus: {dropped} lines of metrics found no room and were dropped");
                }
                of_thread.written();
            }
        });
        Self { shared }
    }

    /// Waits until everything is written, at most for so long; says whether it is.
    pub(crate) fn wait_until_written(&self, patience: Duration) -> bool {
        let is_busy = |state: &mut State| state.is_writing || !state.waiting.is_empty();
        let state = self.shared.lock();
        let waited = self.shared.changed.wait_timeout_while(state, patience, is_busy);
        !waited.unwrap_or_else(PoisonError::into_inner).1.timed_out()
    }
}

impl LineSink for StandardOutput {
    fn line(&self, line: &str) {
        let mut state = self.shared.lock();
        if state.waiting.len() < LINES_HELD_MAX {
            state.waiting.push_back(line.to_owned());
            self.shared.changed.notify_all();
        } else {
            state.dropped += 1;
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn next_lines(&self) -> (VecDeque<String>, u64) {
        let nothing = |state: &mut State| state.waiting.is_empty();
        let mut state = self.changed.wait_while(self.lock(), nothing).unwrap_or_else(PoisonError::into_inner);
        state.is_writing = true;
        (std::mem::take(&mut state.waiting), std::mem::take(&mut state.dropped))
    }

    fn written(&self) {
        self.lock().is_writing = false;
        self.changed.notify_all();
    }
}

fn write_all(target: &mut impl Write, lines: &VecDeque<String>) -> std::io::Result<()> {
    for line in lines {
        writeln!(target, "{line}")?;
    }
    target.flush()
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

    use super::*;

    /// Hands each write over only when somebody takes it: a pipe without room.
    struct Pipe(SyncSender<Vec<u8>>);

    impl Write for Pipe {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.send(bytes.to_vec()).map_err(std::io::Error::other)?;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn piped() -> (StandardOutput, Receiver<Vec<u8>>) {
        let (sender, receiver) = sync_channel(0);
        (StandardOutput::into(Pipe(sender)), receiver)
    }

    #[test]
    fn a_reader_that_stands_still_holds_nobody_up_and_costs_bounded_memory() {
        let (output, reader) = piped();
        output.line("0");
        // Once the thread holds the first line, it takes no other, nor the count of those that found no room.
        while !output.shared.lock().waiting.is_empty() {
            thread::yield_now();
        }
        let lines = LINES_HELD_MAX + 11;
        for number in 1..lines {
            output.line(&number.to_string());
        }
        assert!(!output.wait_until_written(Duration::from_millis(20)), "nothing was read yet");
        assert_eq!(output.shared.lock().dropped, 10);
        // The reader wakes up: what was held comes, in order.
        let mut text = String::new();
        while text.len() < "0\n1\n2\n".len() {
            text.push_str(&String::from_utf8(reader.recv().unwrap()).unwrap());
        }
        assert_eq!(text, "0\n1\n2\n");
        thread::spawn(move || for _ in reader {});
        assert!(output.wait_until_written(Duration::from_secs(30)));
    }

    #[test]
    fn lines_come_out_whole_and_in_order() {
        let (output, reader) = piped();
        for line in ["one", "two"] {
            output.line(line);
        }
        let mut text = String::new();
        while text.lines().count() < 2 || !text.ends_with('\n') {
            text.push_str(&String::from_utf8(reader.recv().unwrap()).unwrap());
        }
        assert_eq!(text, "one\ntwo\n");
        assert!(output.wait_until_written(Duration::from_secs(30)));
    }

    #[test]
    fn an_output_that_is_gone_takes_lines_all_the_same() {
        let (output, reader) = piped();
        drop(reader);
        output.line("into nothing");
        assert!(output.wait_until_written(Duration::from_secs(30)));
    }
}
