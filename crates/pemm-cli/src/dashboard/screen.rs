//! The terminal while the dashboard owns it. However the program ends (return, error, panic,
//! termination signal), the terminal is given back first; only SIGKILL leaves no time for it.

use std::io::{self, BufWriter, Stderr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, Once};
use std::time::Duration;

use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::cursor::Show;
use ratatui::crossterm::execute;
use ratatui::crossterm::terminal::{
    EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};
use ratatui::{Frame, Terminal};

/// Whether the terminal is ours now.
static OURS: AtomicBool = AtomicBool::new(false);
/// Held while a picture is written, so that none arrives after the terminal was given back.
static WRITING: Mutex<()> = Mutex::new(());

/// The terminal, taken over; dropping it gives it back.
pub(crate) struct Screen {
    terminal: Terminal<CrosstermBackend<BufWriter<Stderr>>>,
}

impl Screen {
    /// Switches to the alternate screen and to single keys.
    ///
    /// # Errors
    /// The terminal refuses; it is then as it was.
    pub(crate) fn enter() -> io::Result<Self> {
        restore_before_a_panic_is_told();
        OURS.store(true, Ordering::SeqCst);
        let open = || {
            enable_raw_mode()?;
            execute!(io::stderr(), EnterAlternateScreen)?;
            Terminal::new(CrosstermBackend::new(BufWriter::new(io::stderr())))
        };
        open().map(|terminal| Self { terminal }).inspect_err(|_| leave())
    }

    /// Draws a picture, unless the terminal was given back meanwhile.
    pub(crate) fn draw(&mut self, picture: impl FnOnce(&mut Frame<'_>)) -> io::Result<()> {
        // A panic in a picture poisons the lock; what it guards is outside of this program.
        let _writing = WRITING.lock();
        if is_ours() {
            self.terminal.draw(picture)?;
        }
        Ok(())
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        leave();
    }
}

/// Whether the dashboard owns the terminal, so that lines must not be printed to it.
pub(crate) fn is_ours() -> bool {
    OURS.load(Ordering::SeqCst)
}

/// Gives the terminal back, if it is ours. May be called from any thread, and twice.
pub(crate) fn leave() {
    // A picture takes milliseconds. If it takes longer, this thread panicked in the middle of it.
    let _writing = (0..100).find_map(|_| {
        WRITING.try_lock().map_err(|_| std::thread::sleep(Duration::from_millis(1))).ok()
    });
    if OURS.swap(false, Ordering::SeqCst) {
        // There is nobody to tell that the terminal is gone.
        let _ = execute!(io::stderr(), LeaveAlternateScreen, Show);
        let _ = disable_raw_mode();
    }
}

/// A panic message on the alternate screen would vanish with it.
fn restore_before_a_panic_is_told() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let tell = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            leave();
            tell(panic);
        }));
    });
}
