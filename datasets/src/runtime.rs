//! The one place where bytes move over a network: a small tokio runtime beside the threads that compute.
//!
//! Connections belong to the runtime that opened them, so that all of them live in one for the life of the process. Whoever computes hands a
//! future over and waits; no future computes.

use std::sync::OnceLock;

use tokio::runtime::{Builder, Runtime};

/// Threads that move bytes. Encrypted connections keep one busy, and another goes on meanwhile.
const THREADS: usize = 2;

static RUNTIME: OnceLock<Runtime> = OnceLock::new();

fn runtime() -> &'static Runtime {
    RUNTIME.get_or_init(|| {
        let runtime = Builder::new_multi_thread().worker_threads(THREADS).thread_name("io").enable_all().build();
        runtime.expect("the system can start two threads")
    })
}

/// Chooses what encrypts connections, before the first is made.
pub(crate) fn choose_cryptography() {
    // If somebody has chosen before, that will do.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// Runs one future to its end on this thread, which must not be one of the runtime's own.
pub fn block_on<T>(future: impl Future<Output = T>) -> T {
    runtime().block_on(future)
}
