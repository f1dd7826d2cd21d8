//! Where tokio hands over to rayon: files are opened or fetched by async tasks, a few ahead, and come out of a channel of
//! fixed capacity in the order in which they were asked for.

use std::sync::mpsc::{Receiver, sync_channel};

use ecosight_datasets::audio::AudioSource;
use ecosight_datasets::runtime;
use ecosight_datasets::store::{OpenError, Store, Version};
use futures::StreamExt;

/// Files that may be open and waiting, so that workers never wait for one and memory stays bounded.
const AHEAD: usize = 32;

/// A file of the store, or why it cannot be opened.
pub type Opened = Result<Box<dyn AudioSource>, OpenError>;

/// A file to be opened: its path below the source, and what it was when it was listed.
#[derive(Clone, Debug)]
pub struct Listed<'a> {
    /// Path below the source.
    pub uri: &'a str,
    /// What it was, where that is known.
    pub version: Option<Version>,
}

/// Opens `files` in order on a thread of its own while `work` takes them from the channel.
pub fn fetch<T>(store: &Store, files: &[Listed<'_>], work: impl FnOnce(Receiver<Opened>) -> T) -> T {
    ahead(files.iter().map(|file| store.open(file.uri, file.version.as_ref())), work)
}

/// Runs `files`, which open one file each, on a thread of its own, a few at a time; `work` gets the files in their order.
pub fn ahead<T, F: Future<Output = Opened>>(
    files: impl Iterator<Item = F> + Send,
    work: impl FnOnce(Receiver<Opened>) -> T,
) -> T {
    std::thread::scope(|scope| {
        let (sender, receiver) = sync_channel(AHEAD);
        scope.spawn(move || {
            runtime::block_on(async {
                let mut opened = futures::stream::iter(files).buffered(AHEAD);
                while let Some(file) = opened.next().await {
                    // The worker has gone: it failed or was cancelled, and says so itself.
                    if sender.send(file).is_err() {
                        break;
                    }
                }
            });
        });
        work(receiver)
    })
}
