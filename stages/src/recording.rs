//! A file that can be read more than once, and that counts what reading it costs.

use std::io::{self, Read, Seek, SeekFrom};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ecosight_datasets::audio::AudioSource;

use crate::timings::thread_cpu;

/// A handle to a file. All handles share one position: they are for readers that come one after the other, and each reader looks for
/// the beginning itself.
#[derive(Clone)]
pub(crate) struct Recording {
    shared: Arc<Shared>,
}

struct Shared {
    file: Mutex<Box<dyn AudioSource>>,
    bytes: AtomicU64,
    nanoseconds: AtomicU64,
}

impl Recording {
    pub(crate) fn new(file: Box<dyn AudioSource>) -> Self {
        let shared = Shared { file: Mutex::new(file), bytes: AtomicU64::new(0), nanoseconds: AtomicU64::new(0) };
        Self { shared: Arc::new(shared) }
    }

    /// Bytes and processor time since this was last asked.
    pub(crate) fn take_cost(&self) -> (u64, Duration) {
        let bytes = self.shared.bytes.swap(0, Ordering::Relaxed);
        (bytes, Duration::from_nanos(self.shared.nanoseconds.swap(0, Ordering::Relaxed)))
    }

    fn file(&self) -> MutexGuard<'_, Box<dyn AudioSource>> {
        self.shared.file.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Read for Recording {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let start = thread_cpu();
        let count = self.file().read(buffer)?;
        let cpu = thread_cpu().saturating_sub(start);
        self.shared.bytes.fetch_add(count as u64, Ordering::Relaxed);
        self.shared.nanoseconds.fetch_add(cpu.as_nanos() as u64, Ordering::Relaxed);
        Ok(count)
    }
}

impl Seek for Recording {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.file().seek(to)
    }
}
