//! A list of named steps, each timed, with a summary at the end.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// Steps run so far.
pub struct Steps {
    done: Vec<Step>,
    started: Instant,
}

struct Step {
    name: String,
    took: Duration,
    outcome: Outcome,
}

enum Outcome {
    Passed,
    Failed(anyhow::Error),
    Skipped(String),
}

impl Steps {
    /// Starts the clock.
    pub fn new() -> Steps {
        Steps { done: Vec::new(), started: Instant::now() }
    }

    /// Runs one step. A failure is remembered and the next steps still run, so that one call reports everything.
    pub fn step(&mut self, name: &str, work: impl FnOnce() -> Result<()>) {
        eprintln!("\n== {name}");
        let started = Instant::now();
        let outcome = match work() {
            Ok(()) => Outcome::Passed,
            Err(error) => {
                eprintln!("failed: {error:#}");
                Outcome::Failed(error)
            }
        };
        self.done.push(Step { name: name.to_owned(), took: started.elapsed(), outcome });
    }

    /// Notes a step that this machine cannot run, and why.
    pub fn skip(&mut self, name: &str, why: &str) {
        eprintln!("\n== {name}: skipped: {why}");
        self.done.push(Step { name: name.to_owned(), took: Duration::ZERO, outcome: Outcome::Skipped(why.to_owned()) });
    }

    /// Prints the summary; an error if a step failed.
    pub fn finish(self) -> Result<()> {
        eprintln!("\n{:>8}  step", "seconds");
        let mut failed = 0;
        for step in &self.done {
            let seconds = step.took.as_secs_f64();
            match &step.outcome {
                Outcome::Passed => eprintln!("{seconds:>8.1}  {}", step.name),
                Outcome::Skipped(why) => eprintln!("{:>8}  {}: skipped: {why}", "-", step.name),
                Outcome::Failed(error) => {
                    failed += 1;
                    eprintln!("{seconds:>8.1}  {}: FAILED: {error:#}", step.name);
                }
            }
        }
        eprintln!("{:>8.1}  in all", self.started.elapsed().as_secs_f64());
        if failed > 0 {
            bail!("{failed} of {} steps failed", self.done.len());
        }
        Ok(())
    }
}
