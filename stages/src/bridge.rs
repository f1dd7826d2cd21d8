//! Where tokio hands over to rayon: files are opened (later: fetched) by async tasks, a few ahead, and come out of a channel of
//! fixed capacity in the order in which they were asked for.

use std::sync::mpsc::{Receiver, sync_channel};

use ecosight_datasets::DatasetError;
use ecosight_datasets::audio::AudioSource;
use ecosight_datasets::store::{OpenError, Store};
use futures::StreamExt;

/// Files that may be open and waiting, so that workers never wait for one and memory stays bounded.
const AHEAD: usize = 16;

/// A file of the store, or why it cannot be opened.
pub type Opened = Result<Box<dyn AudioSource>, OpenError>;

/// Opens `uris` in order on a thread of its own while `work` takes them from the channel.
pub fn fetch<T>(store: &Store, uris: &[&str], work: impl FnOnce(Receiver<Opened>) -> T) -> Result<T, DatasetError> {
    ahead(uris.iter().map(|uri| store.open(uri)), work)
}

/// Runs `files`, which open one file each, on a thread of its own, a few at a time; `work` gets the files in their order.
pub fn ahead<T, F: Future<Output = Opened>>(
    files: impl Iterator<Item = F> + Send,
    work: impl FnOnce(Receiver<Opened>) -> T,
) -> Result<T, DatasetError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .map_err(|e| DatasetError::new("start the reader of", "files", e))?;
    std::thread::scope(|scope| {
        let (sender, receiver) = sync_channel(AHEAD);
        scope.spawn(move || {
            runtime.block_on(async {
                let mut opened = futures::stream::iter(files).buffered(AHEAD);
                while let Some(file) = opened.next().await {
                    // The worker has gone: it failed or was cancelled, and says so itself.
                    if sender.send(file).is_err() {
                        break;
                    }
                }
            });
        });
        Ok(work(receiver))
    })
}

/// Runs one future to its end.
pub fn block_on<T>(future: impl Future<Output = T>) -> T {
    futures::executor::block_on(future)
}
