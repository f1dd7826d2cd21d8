//! A thread of its own for whoever writes, behind a channel of fixed capacity: the disk does not hold up the workers, and a slow disk
//! does not fill up the memory.

use std::sync::mpsc::sync_channel;

use ecosight_datasets::DatasetError;

use crate::StageErrorKind;

/// Items that may wait for the writer; the largest are all rows of a clip.
const CAPACITY: usize = 4;

/// Runs `produce`, which hands items to its argument; `write` takes them, in order, on another thread. Both are done when this returns.
///
/// When `write` fails, handing over fails from then on, and the error of `write` is the result.
pub fn write_behind<T: Send, R>(
    mut write: impl FnMut(T) -> Result<(), DatasetError> + Send,
    produce: impl FnOnce(&mut dyn FnMut(T) -> Result<(), StageErrorKind>) -> Result<R, StageErrorKind>,
) -> Result<R, StageErrorKind> {
    std::thread::scope(|scope| {
        let (sender, receiver) = sync_channel(CAPACITY);
        let writer = scope.spawn(move || receiver.into_iter().try_for_each(&mut write));
        // What this error says is never seen: the writer has a better one.
        let result = produce(&mut |item| sender.send(item).map_err(|_| StageErrorKind::Cancelled));
        drop(sender);
        match writer.join() {
            Ok(written) => written.map_err(StageErrorKind::from).and(result),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_writer_that_fails_stops_the_producer_and_its_error_is_told() {
        let mut written = 0;
        let write = |item: u32| {
            written += 1;
            if item < 3 { Ok(()) } else { Err(DatasetError::invalid("write table", "x", "No space left on device")) }
        };
        let mut handed = 0;
        let result = write_behind(write, |hand| {
            for item in 0.. {
                hand(item)?;
                handed += 1;
            }
            Ok(())
        });
        let error = result.unwrap_err();
        assert!(matches!(&error, StageErrorKind::Dataset(e) if e.kind.to_string().contains("No space")), "{error:?}");
        assert!(handed < 100 && written == 4, "{handed} {written}");
    }

    #[test]
    fn everything_is_written_before_it_returns() {
        let mut written = Vec::new();
        let write = |item: u32| {
            written.push(item);
            Ok(())
        };
        let sum = write_behind(write, |hand| {
            (0..50).try_for_each(&mut *hand)?;
            Ok(7)
        });
        assert_eq!((sum.unwrap(), written), (7, (0..50).collect::<Vec<_>>()));
    }
}
