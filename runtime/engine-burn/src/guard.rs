//! The last resort: burn, cubecl and wgpu panic about what they did not expect.

use crate::device::Health;
use pannier_engine::EngineError;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::Poll;

/// Turns a panic into an error and marks the device as failed: what a panic left behind there is not known. Where panics abort, as
/// they do in browsers, there is nothing to catch.
pub(crate) async fn guarded<T>(
    health: &Health,
    work: impl Future<Output = Result<T, EngineError>>,
) -> Result<T, EngineError> {
    let mut work = pin!(work);
    std::future::poll_fn(move |context| {
        catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(context))).unwrap_or_else(|panic| {
            let text = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
            let reason = text.unwrap_or("a panic without a message").to_string();
            health.fail(reason.clone());
            Poll::Ready(Err(EngineError::Failed { node: String::new(), reason }))
        })
    })
    .await
}
