//! The budget while a plan is made or run: memory and time.

use crate::view::Failure;
use pannier_engine::{EngineError, Interrupt, RunBudget, Watch};
use std::cell::Cell;

/// What a preparation may use.
#[derive(Clone, Copy, Default)]
pub(crate) struct Limits<'a> {
    budget: RunBudget<'a>,
}

impl<'a> Limits<'a> {
    pub(crate) fn new(budget: &RunBudget<'a>) -> Limits<'a> {
        Limits { budget: *budget }
    }

    /// Asks the watch whether to go on.
    pub(crate) fn check_time(&self, node: &str) -> Result<(), EngineError> {
        match self.budget.watch {
            Some(watch) => watch.check().map_err(|why| EngineError::Interrupted { node: node.to_string(), why }),
            None => Ok(()),
        }
    }

    /// Refuses a tensor that alone is larger than the budget.
    pub(crate) fn check_tensor(&self, node: &str, size_bytes: usize) -> Result<(), EngineError> {
        self.check_memory(node, u64::try_from(size_bytes).unwrap_or(u64::MAX))
    }

    /// Refuses more bytes than the budget has.
    pub(crate) fn check_memory(&self, node: &str, needed_bytes: u64) -> Result<(), EngineError> {
        if self.budget.memory_bytes.is_none_or(|budget| needed_bytes <= budget) {
            return Ok(());
        }
        Err(self.too_large(node, needed_bytes))
    }

    pub(crate) fn too_large(&self, node: &str, needed_bytes: u64) -> EngineError {
        // Without a budget, the address space is the limit.
        let budget_bytes = self.budget.memory_bytes.unwrap_or(u64::try_from(isize::MAX).unwrap_or(u64::MAX));
        EngineError::MemoryBudget { node: node.to_string(), needed_bytes, budget_bytes }
    }
}

/// Asked inside of an operator whether to go on; remembers why not.
#[derive(Clone, Copy, Default)]
pub(crate) struct Going<'a> {
    watch: Option<&'a dyn Watch>,
    why: Option<&'a Cell<Option<Interrupt>>>,
}

impl<'a> Going<'a> {
    pub(crate) fn new(watch: Option<&'a dyn Watch>, why: &'a Cell<Option<Interrupt>>) -> Going<'a> {
        Going { watch, why: Some(why) }
    }

    pub(crate) fn watch(&self) -> Option<&'a dyn Watch> {
        self.watch
    }

    /// The failure that the runner replaces by the interrupt.
    pub(crate) fn stopped(&self, why: Interrupt) -> Failure {
        if let Some(slot) = self.why {
            slot.set(Some(why));
        }
        "stopped".into()
    }

    /// # Errors
    /// [`Going::stopped`].
    pub(crate) fn check(&self) -> Result<(), Failure> {
        match self.watch.map(Watch::check) {
            Some(Err(why)) => Err(self.stopped(why)),
            _ => Ok(()),
        }
    }
}
