//! `pemm train --tui`: the run as curves in the terminal while it goes.
//!
//! The training thread only notes what happened; a thread of its own draws it a few times a second
//! and reads the keys, so that a key is answered in the middle of a long step too. If the terminal
//! goes away, the run stops as by SIGHUP; where that is ignored, it goes on without being drawn.

mod keys;
mod panel;
pub(crate) mod screen;
mod state;
mod view;

use std::io::IsTerminal;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use pemm::train::Event;
use pemm_runs::process;
use ratatui::crossterm::event::{KeyCode, KeyModifiers};
use ratatui::crossterm::terminal;

use crate::interrupt;
use keys::Keys;
use screen::Screen;
pub(crate) use state::{Facts, State};

/// Between two pictures, if no key comes.
const PAUSE: Duration = Duration::from_millis(200);
/// The smallest terminal, in columns and rows, for which the dashboard is started.
const SMALLEST: (u16, u16) = (40, 10);

/// The dashboard of a run; taking it down gives the terminal back.
pub(crate) struct Dashboard {
    shared: Arc<Shared>,
    drawing: Option<JoinHandle<std::io::Result<()>>>,
}

struct Shared {
    state: Mutex<State>,
    started: Instant,
    ended: AtomicBool,
}

impl Shared {
    /// A thread that panicked while it held the state has left nothing half done in it.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why there can be no dashboard here, if so.
pub(crate) fn obstacle() -> Option<String> {
    if !std::io::stderr().is_terminal() || !std::io::stdout().is_terminal() {
        return Some("the output is no terminal".into());
    }
    match terminal::size() {
        Err(error) => Some(format!("the terminal does not tell its size ({error})")),
        Ok((columns, rows)) if columns < SMALLEST.0 || rows < SMALLEST.1 => Some(format!(
            "the terminal has {columns}×{rows} characters, and {}×{} are needed",
            SMALLEST.0, SMALLEST.1
        )),
        Ok(_) => None,
    }
}

impl Dashboard {
    /// Takes the terminal over and shows `state`.
    ///
    /// # Errors
    /// The terminal refuses; it is then as it was.
    pub(crate) fn start(state: State) -> std::io::Result<Self> {
        let keys = Keys::open()?;
        let screen = Screen::enter()?;
        let shared = Arc::new(Shared {
            state: Mutex::new(state),
            started: Instant::now(),
            ended: AtomicBool::new(false),
        });
        let seen = Arc::clone(&shared);
        let name = std::thread::Builder::new().name("dashboard".into());
        let drawing = name.spawn(move || watch(screen, keys, &seen))?;
        Ok(Self { shared, drawing: Some(drawing) })
    }

    /// Notes what happened.
    pub(crate) fn note(&self, event: &Event<'_>) {
        self.shared.state().note(event, self.shared.started.elapsed());
    }
}

impl Drop for Dashboard {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::Relaxed);
        let Some(drawing) = self.drawing.take() else { return };
        // Whether drawing failed is of no interest any more: the terminal is given back either way. A
        // thread that hangs on a terminal that is gone ends with the process.
        let is_over = (0..100).any(|_| {
            std::thread::sleep(Duration::from_millis(10));
            drawing.is_finished()
        });
        if is_over {
            let _ = drawing.join();
        }
        screen::leave();
    }
}

/// Draws and reads keys until the run ends or the terminal is gone.
fn watch(screen: Screen, mut keys: Keys, shared: &Shared) -> std::io::Result<()> {
    let result = draw_and_read(screen, &mut keys, shared);
    if result.is_err() && !shared.ended.load(Ordering::Relaxed) {
        interrupt::hang_up();
    }
    result
}

fn draw_and_read(mut screen: Screen, keys: &mut Keys, shared: &Shared) -> std::io::Result<()> {
    while !shared.ended.load(Ordering::Relaxed) {
        let mut state = shared.state();
        state.stopping = interrupt::requested();
        state.memory = process::memory(std::process::id());
        screen.draw(|frame| view::draw(frame, &state, shared.started.elapsed()))?;
        drop(state);
        for key in keys.within(PAUSE)? {
            // The terminal sends no signal while it hands over every key.
            match (key.code, key.modifiers.contains(KeyModifiers::CONTROL)) {
                (KeyCode::Char('c'), true) => interrupt::interrupt(),
                (KeyCode::Char('q'), false) => interrupt::request(),
                _ => {}
            }
        }
    }
    Ok(())
}
