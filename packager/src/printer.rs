//! The one way to the terminal: data on stdout, everything else on stderr.

use crate::args::{ColorMode, GlobalArgs, ProgressMode};
use crate::error::Error;
use crate::units;
use anstream::{AutoStream, ColorChoice};
use anstyle::{AnsiColor, Style};
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use pannier_bundle::Code;
use serde::Serialize;
use std::cell::Cell;
use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::time::{Duration, Instant};

/// Emphasis: names and headings.
pub const BOLD: Style = Style::new().bold();
/// Less important: units, explanations.
pub const DIM: Style = Style::new().dimmed();
/// Something is as it should be.
pub const GOOD: Style = AnsiColor::Green.on_default();
/// Something is not as it should be.
pub const BAD: Style = AnsiColor::Red.on_default().bold();
/// Something wants attention.
pub const CAUTION: Style = AnsiColor::Yellow.on_default().bold();
/// A hint.
pub const HINT: Style = AnsiColor::Cyan.on_default();

/// A step shorter than this shows no progress.
const PATIENCE: Duration = Duration::from_millis(800);
/// Time between two plain lines of one step.
const PLAIN_INTERVAL: Duration = Duration::from_secs(5);

/// `text` in a style. Styles are dropped on the way out where they are not wanted.
pub fn paint(style: Style, text: impl std::fmt::Display) -> String {
    format!("{style}{text}{style:#}")
}

/// The one way to the terminal.
pub struct Printer {
    color: ColorChoice,
    progress: Shown,
    quiet: bool,
    verbose: bool,
    annotations: bool,
    json: bool,
    bars: MultiProgress,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shown {
    Bars,
    Lines,
    Nothing,
}

impl Printer {
    /// A printer as the global flags want it.
    pub fn new(global: &GlobalArgs) -> Printer {
        let terminal = io::stderr().is_terminal();
        let progress = match global.progress {
            _ if global.quiet => Shown::Nothing,
            ProgressMode::None => Shown::Nothing,
            ProgressMode::Plain => Shown::Lines,
            ProgressMode::Auto if terminal => Shown::Bars,
            ProgressMode::Auto => Shown::Lines,
        };
        let color = match global.color {
            ColorMode::Auto => ColorChoice::Auto,
            ColorMode::Always => ColorChoice::Always,
            ColorMode::Never => ColorChoice::Never,
        };
        Printer {
            color,
            progress,
            quiet: global.quiet,
            verbose: global.verbose,
            annotations: false,
            json: global.json,
            bars: MultiProgress::with_draw_target(ProgressDrawTarget::stderr()),
        }
    }

    /// A printer that says nothing: for tests and for other programs.
    pub fn silent() -> Printer {
        Printer {
            color: ColorChoice::Never,
            progress: Shown::Nothing,
            quiet: true,
            verbose: false,
            annotations: false,
            json: false,
            bars: MultiProgress::with_draw_target(ProgressDrawTarget::hidden()),
        }
    }

    /// Repeats warnings and the error in the form that GitHub shows beside the code.
    pub fn annotate(mut self, annotations: bool) -> Printer {
        self.annotations = annotations;
        self
    }

    /// Text on stdout: the answer. A line end is added if there is none.
    ///
    /// A reader that went away (`packager inspect | head -1`) is no error: the command still ends as it would have.
    ///
    /// # Errors
    /// [`Error::Write`] for anything else, such as a full disk.
    pub fn data(&self, text: impl AsRef<str>) -> Result<(), Error> {
        let text = text.as_ref();
        let end = if text.ends_with('\n') || text.is_empty() { "" } else { "\n" };
        let mut stdout = AutoStream::new(io::stdout(), self.color);
        let written = self.bars.suspend(|| write!(stdout, "{text}{end}").and_then(|()| stdout.flush()));
        match written {
            Err(cause) if cause.kind() != io::ErrorKind::BrokenPipe => {
                Err(Error::Write { path: Path::new("stdout").to_owned(), cause })
            }
            _ => Ok(()),
        }
    }

    /// A JSON document on stdout.
    ///
    /// # Errors
    /// As [`Printer::data`].
    pub fn json(&self, document: &impl Serialize) -> Result<(), Error> {
        // A document is made of strings, numbers, lists and maps with string keys: it always serialises.
        let text = serde_json::to_string_pretty(document).unwrap_or_else(|error| format!("{{\"error\": \"{error}\"}}"));
        self.data(text)
    }

    /// Something worth knowing, on stderr.
    pub fn note(&self, text: impl AsRef<str>) {
        if !self.quiet {
            self.line(text.as_ref());
        }
    }

    /// A detail, shown with `-v`.
    pub fn detail(&self, text: impl AsRef<str>) {
        if self.verbose && !self.quiet {
            self.line(&paint(DIM, text.as_ref()));
        }
    }

    /// Something that wants attention, on stderr; `-q` does not hide it.
    pub fn warn(&self, text: impl AsRef<str>) {
        let text = text.as_ref();
        self.line(&format!("{}: {text}", paint(CAUTION, "warning")));
        if self.annotations {
            self.line(&format!("::warning::{}", escaped(text)));
        }
    }

    /// The error that ends the command: readable text, or with `--json` a document of one line.
    pub fn error(&self, error: &Error) {
        if self.json {
            let document = ErrorDocument::new(error);
            self.line(&serde_json::to_string(&document).unwrap_or_default());
        } else {
            self.line(render(error).trim_end());
        }
        if self.annotations {
            self.line(&format!("::error title={}::{}", error.code(), escaped(&error.to_string())));
        }
    }

    /// Starts to show how far a step is. A step of less than a second shows nothing.
    pub fn progress(&self, label: impl Into<String>, total: Total) -> Progress<'_> {
        Progress {
            printer: self,
            label: label.into(),
            total,
            done: Cell::new(0),
            started: Instant::now(),
            last_line: Cell::new(None),
            bar: std::cell::OnceCell::new(),
        }
    }

    fn line(&self, text: &str) {
        let mut stderr = AutoStream::new(io::stderr(), self.color);
        // There is nowhere left to complain when stderr is closed.
        let _ = self.bars.suspend(|| writeln!(stderr, "{text}"));
    }
}

/// How much there is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Total {
    /// Bytes: shown with rate and time left.
    Bytes(u64),
    /// Steps of about equal length.
    Steps(u64),
    /// Nobody knows.
    Unknown,
}

impl Total {
    fn amount(self) -> u64 {
        match self {
            Total::Bytes(amount) | Total::Steps(amount) => amount,
            Total::Unknown => 0,
        }
    }
}

/// How far one step is. Ends when dropped.
pub struct Progress<'a> {
    printer: &'a Printer,
    label: String,
    total: Total,
    done: Cell<u64>,
    started: Instant,
    last_line: Cell<Option<Instant>>,
    bar: std::cell::OnceCell<ProgressBar>,
}

impl Progress<'_> {
    /// Adds to what is done.
    pub fn inc(&self, amount: u64) {
        self.set(self.done.get().saturating_add(amount));
    }

    /// Sets what is done.
    pub fn set(&self, done: u64) {
        self.done.set(done);
        if self.started.elapsed() < PATIENCE {
            return;
        }
        match self.printer.progress {
            Shown::Nothing => {}
            Shown::Bars => self.bar.get_or_init(|| self.new_bar()).set_position(done),
            Shown::Lines => {
                if self.last_line.get().is_none_or(|last| last.elapsed() >= PLAIN_INTERVAL) {
                    self.last_line.set(Some(Instant::now()));
                    self.printer.line(&format!("{}: {}", self.label, self.so_far()));
                }
            }
        }
    }

    /// Ends the step.
    pub fn finish(self) {}

    fn so_far(&self) -> String {
        let done = self.done.get();
        match self.total {
            Total::Bytes(total) => {
                format!("{} of {} ({})", units::bytes(done), units::bytes(total), units::percent(done, total))
            }
            Total::Steps(total) => format!("{} of {}", units::count(done), units::count(total)),
            Total::Unknown => format!("{:.0} s", self.started.elapsed().as_secs_f64()),
        }
    }

    fn new_bar(&self) -> ProgressBar {
        let template = match self.total {
            Total::Bytes(_) => {
                "{msg:16} [{bar:28}] {decimal_bytes:>10} of {decimal_total_bytes:10} {decimal_bytes_per_sec:>12}  {eta} left"
            }
            Total::Steps(_) => "{msg:16} [{bar:28}] {pos:>6} of {len:6} {per_sec:>12}  {eta} left",
            Total::Unknown => "{msg:16} {spinner} {elapsed}",
        };
        let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
        let bar = match self.total {
            Total::Unknown => ProgressBar::new_spinner(),
            total => ProgressBar::new(total.amount()),
        };
        let bar = self.printer.bars.add(bar.with_style(style.progress_chars("=> ")).with_message(self.label.clone()));
        // The rate is of the whole step, not of the part since the bar came up.
        bar.with_elapsed(self.started.elapsed())
    }
}

impl Drop for Progress<'_> {
    fn drop(&mut self) {
        if let Some(bar) = self.bar.get() {
            bar.finish_and_clear();
        }
        if self.last_line.get().is_some() {
            // Of a step without a measure there is nothing but the time.
            let so_far = if self.total == Total::Unknown { "ended".to_owned() } else { self.so_far() };
            let seconds = self.started.elapsed().as_secs_f64();
            self.printer.line(&format!("{}: {so_far} after {seconds:.1} s", self.label));
        }
    }
}

/// `pannier.dev/error/v1`: what `--json` writes to stderr when a command fails.
#[derive(Debug, Serialize)]
struct ErrorDocument {
    schema: &'static str,
    code: &'static str,
    exit_status: u8,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    expected: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    found: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    r#where: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
}

impl ErrorDocument {
    fn new(error: &Error) -> ErrorDocument {
        let (expected, found) = error.difference().unzip();
        let code: Code = error.code();
        ErrorDocument {
            schema: "pannier.dev/error/v1",
            code: code.name(),
            exit_status: code.exit_status(),
            message: error.to_string(),
            expected,
            found,
            r#where: error.place().map(|path| path.display().to_string()),
            hint: error.hint(),
        }
    }
}

/// `error[E_CODE]: what`, then the details, one a line.
fn render(error: &Error) -> String {
    let mut text = format!("{}: {}\n", paint(BAD, format!("error[{}]", error.code())), paint(BOLD, error));
    let mut line = |label: &str, value: &str| {
        // Further lines of a long value stand under its first one.
        let value = value.trim_end().replace('\n', &format!("\n{:12}", ""));
        text.push_str(&format!("  {label:<9} {value}\n"));
    };
    if let Some((expected, found)) = error.difference() {
        line("expected:", &expected);
        line("found:", &found);
    }
    if let Some(path) = error.place() {
        line("where:", &path.display().to_string());
    }
    if let Some(hint) = error.hint() {
        line(&paint(HINT, "hint:    "), &hint);
    }
    text
}

/// A message as GitHub's annotation commands want it.
fn escaped(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}
