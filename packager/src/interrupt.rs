//! Ctrl-C: a flag that every long step asks for, and the temporary files to remove when nobody asks.
//!
//! The first Ctrl-C sets the flag: the step under way stops at its next check, its temporary file is removed, and the
//! command ends with status 130. A second one removes the temporary files and ends the process at once.

use crate::Error;
use pannier_engine::{Interrupt, Watch};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

static REQUESTED: AtomicBool = AtomicBool::new(false);
static TEMPORARIES: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());
static ASKING: Mutex<Option<Terminal>> = Mutex::new(None);

/// Starts to listen for Ctrl-C and for requests to terminate. Called once, by `main`.
pub fn install() {
    // Fails only when a handler is there already; then that one stays.
    let _ = ctrlc::set_handler(|| {
        let again = REQUESTED.swap(true, Ordering::SeqCst);
        let asking = ASKING.lock().is_ok_and(|terminal| terminal.as_ref().is_some_and(Terminal::restore));
        if again || asking {
            remove_temporaries();
            std::process::exit(i32::from(pannier_bundle::Code::Interrupted.exit_status()));
        }
    });
}

/// Asks the user for something secret. Ctrl-C meanwhile ends the process at once, with the terminal as it was before:
/// reading from a terminal cannot be stopped in another way.
pub(crate) fn while_asking<T>(ask: impl FnOnce() -> T) -> T {
    let set = |terminal| {
        if let Ok(mut asking) = ASKING.lock() {
            *asking = terminal;
        }
    };
    set(Terminal::state());
    let answer = ask();
    set(None);
    answer
}

/// Whether the user asked to stop.
pub fn requested() -> bool {
    REQUESTED.load(Ordering::Relaxed)
}

/// Asked by long steps, often.
///
/// # Errors
/// [`Error::Interrupted`] once the user asked to stop.
pub fn check() -> Result<(), Error> {
    if requested() { Err(Error::Interrupted) } else { Ok(()) }
}

/// The same for callbacks that answer with [`ControlFlow`].
pub fn control_flow() -> ControlFlow<()> {
    if requested() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
}

/// The same for engines.
#[derive(Debug, Clone, Copy, Default)]
pub struct OnCtrlC;

impl Watch for OnCtrlC {
    fn check(&self) -> Result<(), Interrupt> {
        if requested() { Err(Interrupt::Cancelled) } else { Ok(()) }
    }
}

/// A temporary file or folder that a second Ctrl-C removes. Forgotten when dropped.
pub(crate) struct Registered(PathBuf);

impl Registered {
    pub(crate) fn new(path: &Path) -> Registered {
        if let Ok(mut paths) = TEMPORARIES.lock() {
            paths.push(path.to_owned());
        }
        Registered(path.to_owned())
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        if let Ok(mut paths) = TEMPORARIES.lock() {
            paths.retain(|path| *path != self.0);
        }
    }
}

fn remove_temporaries() {
    if let Ok(paths) = TEMPORARIES.lock() {
        for path in paths.iter() {
            let _ = if path.is_dir() { std::fs::remove_dir_all(path) } else { std::fs::remove_file(path) };
        }
    }
}

/// The controlling terminal and its state before the echo was turned off.
#[cfg(unix)]
struct Terminal {
    tty: std::fs::File,
    state: rustix::termios::Termios,
}

#[cfg(unix)]
impl Terminal {
    fn state() -> Option<Terminal> {
        let tty = std::fs::File::open("/dev/tty").ok()?;
        let state = rustix::termios::tcgetattr(&tty).ok()?;
        Some(Terminal { tty, state })
    }

    fn restore(&self) -> bool {
        let _ = rustix::termios::tcsetattr(&self.tty, rustix::termios::OptionalActions::Now, &self.state);
        eprintln!();
        true
    }
}

/// Windows restores the console by itself.
#[cfg(not(unix))]
struct Terminal;

#[cfg(not(unix))]
impl Terminal {
    fn state() -> Option<Terminal> {
        Some(Terminal)
    }

    fn restore(&self) -> bool {
        true
    }
}
