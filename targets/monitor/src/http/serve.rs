//! Connections: how many, and how long each may take to say what it wants.

use crate::app::App;
use crate::http::routes;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};

/// Most connections at once. Devices keep theirs between two reports only for as long as `HEADER_TIMEOUT`.
const CONNECTIONS: usize = 16_384;
/// A request's head has to arrive within this, and an idle connection is closed after it.
const HEADER_TIMEOUT: Duration = Duration::from_secs(30);
/// Largest head of a request, in bytes.
const HEAD_BYTES: usize = 16 << 10;
/// How long requests in progress may take when the server ends.
const GRACE: Duration = Duration::from_secs(10);

/// Serves until `stop` changes, then lets requests in progress end.
pub async fn serve(listener: TcpListener, app: Arc<App>, mut stop: watch::Receiver<bool>) {
    let service = TowerToHyperService::new(routes(Arc::clone(&app)));
    let slots = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let slot = tokio::select! {
            slot = Arc::clone(&slots).acquire_owned() => slot,
            _ = stop.changed() => break,
        };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stop.changed() => break,
        };
        let (Ok(slot), Ok((stream, _))) = (slot, accepted) else {
            // Out of file descriptors, most likely: some will be closed.
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let _ = stream.set_nodelay(true);
        let connection = hyper::server::conn::http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEADER_TIMEOUT)
            .max_buf_size(HEAD_BYTES)
            .serve_connection(TokioIo::new(stream), service.clone());
        let (app, mut stop) = (Arc::clone(&app), stop.clone());
        tokio::spawn(async move {
            app.counters.connections.fetch_add(1, Ordering::Relaxed);
            let mut connection = std::pin::pin!(connection);
            // An error here is a peer that went away or sent no HTTP: nothing that anybody could act on.
            tokio::select! {
                _ = connection.as_mut() => {}
                _ = stop.changed() => {
                    connection.as_mut().graceful_shutdown();
                    let _ = tokio::time::timeout(GRACE, connection).await;
                }
            }
            app.counters.connections.fetch_sub(1, Ordering::Relaxed);
            drop(slot);
        });
    }
    let _ = tokio::time::timeout(GRACE, slots.acquire_many(u32::try_from(CONNECTIONS).unwrap_or(u32::MAX))).await;
}
