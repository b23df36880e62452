//! How an engine is waited for. Loading and running are written once, as asynchronous functions; this is all that differs between
//! a caller that may block and one that must not.

use crate::error::Error;
use pannier_engine::golden::{self, Golden, SelfTest};
use pannier_engine::{Engine, EngineError, Prepared, Program, RunBudget, Tensor, TensorView};
use pannier_graph::Graph;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

/// How a caller waits for an engine. A type, so that a build that only blocks has nothing of the other way.
pub(crate) trait Wait {
    /// [`Engine::prepare_owned`].
    async fn prepare(
        engine: &dyn Engine,
        program: Program,
        budget: RunBudget<'_>,
    ) -> Result<Box<dyn Prepared>, EngineError>;

    /// [`golden::check`].
    async fn check(
        prepared: &dyn Prepared,
        graph: &Graph,
        golden: &Golden,
        budget: RunBudget<'_>,
    ) -> Result<SelfTest, EngineError>;

    /// [`Prepared::run`].
    async fn run(
        prepared: &dyn Prepared,
        inputs: &[TensorView<'_>],
        budget: RunBudget<'_>,
    ) -> Result<Vec<Tensor>, EngineError>;
}

/// Waits in the engine, which returns when it is done.
pub(crate) struct Blocking;

impl Wait for Blocking {
    async fn prepare(
        engine: &dyn Engine,
        program: Program,
        budget: RunBudget<'_>,
    ) -> Result<Box<dyn Prepared>, EngineError> {
        engine.prepare_owned(program, &budget)
    }

    async fn check(
        prepared: &dyn Prepared,
        graph: &Graph,
        golden: &Golden,
        budget: RunBudget<'_>,
    ) -> Result<SelfTest, EngineError> {
        golden::check(prepared, graph, golden, &budget)
    }

    async fn run(
        prepared: &dyn Prepared,
        inputs: &[TensorView<'_>],
        budget: RunBudget<'_>,
    ) -> Result<Vec<Tensor>, EngineError> {
        prepared.run(inputs, &budget)
    }
}

/// Waits in whatever polls the caller's future.
pub(crate) struct Async;

impl Wait for Async {
    async fn prepare(
        engine: &dyn Engine,
        program: Program,
        budget: RunBudget<'_>,
    ) -> Result<Box<dyn Prepared>, EngineError> {
        engine.prepare_async(program, budget).await
    }

    async fn check(
        prepared: &dyn Prepared,
        graph: &Graph,
        golden: &Golden,
        budget: RunBudget<'_>,
    ) -> Result<SelfTest, EngineError> {
        golden::check_async(prepared, graph, golden, budget).await
    }

    async fn run(
        prepared: &dyn Prepared,
        inputs: &[TensorView<'_>],
        budget: RunBudget<'_>,
    ) -> Result<Vec<Tensor>, EngineError> {
        prepared.run_async(inputs, budget).await
    }
}

/// What a future gives in which every wait is [`Blocking`]: it is done when it was polled once.
pub(crate) fn now<T>(future: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(result) => result,
        Poll::Pending => {
            let reason = "it went on after it had returned".into();
            Err(Error::Engine(EngineError::Failed { node: String::new(), reason }))
        }
    }
}
