//! Browsers other than Chromium, which answer the conformance suite as well: Firefox, and WebKit as GNOME has it.

use std::path::Path;

use anyhow::Result;

use super::debian;

/// WebKit draws on a display, which Xvfb pretends to be.
const PROGRAMS: [(&str, &str); 3] = [
    ("/usr/bin/firefox-esr", "firefox-esr"),
    ("/usr/bin/WebKitWebDriver", "webkit2gtk-driver"),
    ("/usr/bin/Xvfb", "xvfb"),
];

/// Installs those that are not there.
pub fn ensure() -> Result<()> {
    let missing = PROGRAMS.iter().filter(|(program, _)| !Path::new(program).exists());
    let packages: Vec<&str> = missing.map(|(_, package)| *package).collect();
    if packages.is_empty() { Ok(()) } else { debian::install(&packages) }
}
