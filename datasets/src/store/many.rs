//! Doing the same to many objects: several at a time, with bounded memory, and no more once it is to stop.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};

use futures::StreamExt;
use tokio::sync::{Semaphore, SemaphorePermit};

use super::PART_BYTES;

/// Objects that are worked on at a time.
pub const AT_A_TIME: usize = 16;

/// Does `work` for each of `items`, [`AT_A_TIME`] of them side by side, and hands the results to `done` as they come. Once `stop` is set or `done`
/// breaks nothing new is begun; what is under way comes to its end.
pub async fn each<T, R, F: Future<Output = R>>(
    items: impl IntoIterator<Item = T>,
    stop: &AtomicBool,
    work: impl Fn(T) -> F,
    mut done: impl FnMut(R) -> ControlFlow<()>,
) {
    let halted = AtomicBool::new(false);
    let items = items.into_iter().take_while(|_| !stop.load(Ordering::Relaxed) && !halted.load(Ordering::Relaxed));
    let mut results = futures::stream::iter(items.map(work)).buffer_unordered(AT_A_TIME);
    while let Some(result) = results.next().await {
        if done(result).is_break() {
            halted.store(true, Ordering::Relaxed);
        }
    }
}

/// Memory that uploads side by side may take, in MiB.
#[derive(Debug)]
pub struct Room(Semaphore);

/// MiB that all uploads take together at most.
const ROOM: usize = 64;

impl Default for Room {
    fn default() -> Self {
        Self(Semaphore::new(ROOM))
    }
}

impl Room {
    /// Waits until a file of this size can be sent; the room is free again when what is returned is dropped.
    pub async fn take(&self, size_bytes: u64) -> SemaphorePermit<'_> {
        // A large file is never held as a whole: some of its parts are.
        let most = (PART_BYTES as u64 * 5).min(size_bytes);
        let permits = (most >> 20) as u32 + 1;
        self.0.acquire_many(permits).await.expect("it is never closed")
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::runtime::block_on;

    #[test]
    fn nothing_new_is_begun_once_it_is_to_stop() {
        let stop = AtomicBool::new(false);
        let mut seen = Vec::new();
        let all = each(
            0..1000,
            &stop,
            |n| async move { n },
            |n| {
                seen.push(n);
                if n == 5 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            },
        );
        block_on(all);
        assert!(seen.contains(&5) && seen.len() < 100, "{}", seen.len());
        stop.store(true, Ordering::Relaxed);
        block_on(each(0..10, &stop, |n| async move { n }, |n| panic!("{n} was begun")));
    }

    #[test]
    fn large_files_take_turns_and_small_ones_do_not() {
        let room = Room::default();
        block_on(async {
            let large = room.take(10 << 30).await;
            let small = room.take(100).await;
            assert!(tokio::time::timeout(Duration::from_millis(10), room.take(10 << 30)).await.is_err());
            drop((large, small));
            drop(room.take(10 << 30).await);
        });
    }
}
