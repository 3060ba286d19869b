//! The keys that somebody presses, and whether the terminal is still there.
//!
//! Crossterm reads for ever from a terminal that is gone, so here the terminal is waited for, and
//! crossterm asked only where there is something to read.

use std::io;
use std::time::Duration;

use ratatui::crossterm::event::{self, Event, KeyEvent, KeyEventKind};

/// The keys of the terminal.
pub(super) struct Keys {
    #[cfg(unix)]
    terminal: Terminal,
}

impl Keys {
    /// The keys of the terminal that crossterm reads.
    ///
    /// # Errors
    /// There is none.
    pub(super) fn open() -> io::Result<Self> {
        Ok(Self {
            #[cfg(unix)]
            terminal: Terminal::open()?,
        })
    }

    /// What is pressed within `pause`, none if nothing is.
    ///
    /// # Errors
    /// The terminal is gone.
    pub(super) fn within(&mut self, pause: Duration) -> io::Result<Vec<KeyEvent>> {
        #[cfg(unix)]
        let is_there = self.terminal.has_input(pause)?;
        #[cfg(not(unix))]
        let is_there = event::poll(pause)?;
        let mut keys = Vec::new();
        while is_there && event::poll(Duration::ZERO)? {
            if let Event::Key(key) = event::read()?
                && key.kind == KeyEventKind::Press
            {
                keys.push(key);
            }
        }
        Ok(keys)
    }
}

/// The terminal as something to wait for.
#[cfg(unix)]
struct Terminal {
    poll: mio::Poll,
    events: mio::Events,
    /// Open as long as it is waited for.
    _file: Option<std::fs::File>,
}

#[cfg(unix)]
impl Terminal {
    fn open() -> io::Result<Self> {
        use std::io::IsTerminal;
        use std::os::fd::AsRawFd;

        let poll = mio::Poll::new()?;
        // Standard input, or else the terminal of the process, as crossterm has it.
        let input = io::stdin();
        let file = if input.is_terminal() { None } else { Some(std::fs::File::open("/dev/tty")?) };
        let fd = file.as_ref().map_or(input.as_raw_fd(), AsRawFd::as_raw_fd);
        let readable = mio::Interest::READABLE;
        poll.registry().register(&mut mio::unix::SourceFd(&fd), mio::Token(0), readable)?;
        Ok(Self { poll, events: mio::Events::with_capacity(4), _file: file })
    }

    fn has_input(&mut self, pause: Duration) -> io::Result<bool> {
        match self.poll.poll(&mut self.events, Some(pause)) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(false),
            polled => polled?,
        }
        if self.events.iter().any(|event| event.is_read_closed() || event.is_error()) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(!self.events.is_empty())
    }
}
