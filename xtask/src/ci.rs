//! `ci`: what a build server runs.

use anyhow::Result;

use crate::steps::Steps;
use crate::test;

/// The fast tier with the lock file frozen, then the portability checks.
pub fn run() -> Result<()> {
    let mut steps = Steps::new();
    let tools = test::prepare(&mut steps);
    test::portability(&mut steps);
    test::fast(&mut steps, tools.as_ref(), true);
    steps.finish()
}
