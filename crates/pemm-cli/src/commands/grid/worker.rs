//! A run of a grid as a process of its own: a crash or a lack of memory ends it alone.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use pemm_runs::process::{Memory, memory};

use super::message::{Message, Task};

/// How much of what a run says on standard error is kept: its end.
const MAX_SAID: usize = 8 << 10;

/// How far a run is.
#[derive(Debug, Clone, Default)]
pub(super) struct RunProgress {
    /// Epochs that are done.
    pub(super) num_done: usize,
    /// Epochs in all, once it has read the data, which may decide on them.
    pub(super) num_epochs: Option<usize>,
    /// Epochs done by this process, and their seconds together.
    pub(super) measured: (usize, f64),
    /// Share of the epoch under way that is done.
    pub(super) share: f64,
    /// At present.
    pub(super) images_per_sec: Option<f64>,
}

/// A running process.
#[derive(Debug)]
pub(super) struct Worker {
    child: Child,
    /// The run goes on as long as this is open.
    input: Option<ChildStdin>,
    progress: Arc<Mutex<RunProgress>>,
    reader: Option<JoinHandle<()>>,
    said: Option<JoinHandle<String>>,
    /// As last seen.
    pub(super) memory: Memory,
}

impl Worker {
    /// Starts `task` with so many threads.
    pub(super) fn start(task: &Task, threads: usize) -> io::Result<Self> {
        let mut command = Command::new(program()?);
        #[cfg(unix)]
        std::os::unix::process::CommandExt::arg0(&mut command, "pemm");
        let mut child = command
            .args(["--threads", &threads.to_string(), "grid-cell"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let mut input = child.stdin.take().expect("it is piped");
        let line = serde_json::to_string(task).expect("tasks are plain data");
        if let Err(error) = writeln!(input, "{line}") {
            let _ = child.kill();
            let _ = child.wait();
            return Err(error);
        }
        let progress = Arc::new(Mutex::new(RunProgress::default()));
        let output = BufReader::new(child.stdout.take().expect("it is piped"));
        let errors = child.stderr.take().expect("it is piped");
        let shared = Arc::clone(&progress);
        Ok(Self {
            reader: Some(std::thread::spawn(move || follow(output, &shared))),
            said: Some(std::thread::spawn(move || end_of(errors))),
            child,
            input: Some(input),
            progress,
            memory: Memory::default(),
        })
    }

    /// How far it is.
    pub(super) fn progress(&self) -> RunProgress {
        self.progress.lock().expect("readers do not panic").clone()
    }

    /// Looks at its memory, and whether it has ended: then how, and what it said.
    pub(super) fn poll(&mut self) -> io::Result<Option<(ExitStatus, String)>> {
        if let Some(now) = memory(self.child.id()) {
            self.memory = Memory { resident: now.resident, peak: now.peak.max(self.memory.peak) };
        }
        let Some(status) = self.child.try_wait()? else { return Ok(None) };
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
        let said = self.said.take().and_then(|said| said.join().ok()).unwrap_or_default();
        Ok(Some((status, said)))
    }

    /// Asks it to save and end.
    pub(super) fn stop(&mut self) {
        self.input = None;
    }
}

/// Ends it at once; what it saved last stays.
impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// This very program, even if its file has been replaced since by a newer one: all runs of a grid
/// come from one build.
fn program() -> io::Result<PathBuf> {
    let this = PathBuf::from("/proc/self/exe");
    if this.exists() { Ok(this) } else { std::env::current_exe() }
}

fn follow(output: impl BufRead, progress: &Mutex<RunProgress>) {
    for line in output.lines().map_while(Result::ok) {
        let Ok(message) = serde_json::from_str(&line) else { continue };
        let mut progress = progress.lock().expect("readers do not panic");
        match message {
            Message::Started { num_done, num_epochs } => {
                progress.num_done = num_done;
                progress.num_epochs = Some(num_epochs);
            }
            Message::Within { share, images_per_sec } => {
                progress.share = share;
                progress.images_per_sec = Some(images_per_sec);
            }
            Message::Epoch { epoch, seconds } => {
                progress.num_done = epoch;
                progress.share = 0.0;
                progress.measured.0 += 1;
                progress.measured.1 += seconds;
            }
        }
    }
}

/// Reads to the end and keeps the last of it.
fn end_of(mut errors: impl Read) -> String {
    let mut kept: Vec<u8> = Vec::new();
    let mut piece = [0; 4096];
    while let Ok(num @ 1..) = errors.read(&mut piece) {
        kept.extend_from_slice(&piece[..num]);
        kept.drain(..kept.len().saturating_sub(MAX_SAID));
    }
    String::from_utf8_lossy(&kept).trim().to_owned()
}
