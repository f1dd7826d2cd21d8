//! The bytes of a recording: any seekable reader, seen through a window that Symphonia can read.

use std::error::Error;
use std::fmt;
use std::io::{self, Read, Seek, SeekFrom};

use symphonia::core::io::MediaSource;

/// Where audio bytes come from: a `File`, a `Cursor` over bytes in memory, or anything that reads and seeks.
pub trait AudioSource: Read + Seek + Send + Sync {}

impl<T: Read + Seek + Send + Sync> AudioSource for T {}

/// Whether the demuxer may jump about. MPEG and ADTS readers guess a length from the bit rate when they may, and then cut
/// the recording to their guess.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    Random,
    Forward,
}

/// `prefix` followed by the bytes `start..start + len` of a source.
pub(super) struct Window {
    inner: Box<dyn AudioSource>,
    prefix: Vec<u8>,
    start: u64,
    len: u64,
    access: Access,
    position: u64,
}

/// Marks an error that came from the source itself, so that it is not mistaken for damage in the file.
#[derive(Debug)]
pub(super) struct SourceFailure(io::Error);

impl Window {
    pub(super) fn new(
        mut inner: Box<dyn AudioSource>,
        prefix: Vec<u8>,
        start: u64,
        len: u64,
        access: Access,
    ) -> io::Result<Self> {
        inner.seek(SeekFrom::Start(start))?;
        Ok(Self { inner, prefix, start, len, access, position: 0 })
    }

    fn total(&self) -> u64 {
        self.prefix.len() as u64 + self.len
    }
}

impl Read for Window {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let prefix_left = self.prefix.get(self.position as usize..).unwrap_or_default();
        let count = if prefix_left.is_empty() {
            let left = usize::try_from(self.total().saturating_sub(self.position)).unwrap_or(usize::MAX);
            let wanted = buf.len().min(left);
            loop {
                match self.inner.read(&mut buf[..wanted]) {
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) => return Err(io::Error::other(SourceFailure(error))),
                    Ok(count) => break count,
                }
            }
        } else {
            let count = buf.len().min(prefix_left.len());
            buf[..count].copy_from_slice(&prefix_left[..count]);
            count
        };
        self.position += count as u64;
        Ok(count)
    }
}

impl Seek for Window {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let target = match to {
            SeekFrom::Start(offset) => Some(offset),
            SeekFrom::End(offset) => self.total().checked_add_signed(offset),
            SeekFrom::Current(offset) => self.position.checked_add_signed(offset),
        };
        let target = target.ok_or(io::ErrorKind::InvalidInput)?;
        let inside = self.start.checked_add(target.saturating_sub(self.prefix.len() as u64));
        let inside = inside.ok_or(io::ErrorKind::InvalidInput)?;
        self.inner.seek(SeekFrom::Start(inside)).map_err(|error| io::Error::other(SourceFailure(error)))?;
        self.position = target;
        Ok(target)
    }
}

impl MediaSource for Window {
    fn is_seekable(&self) -> bool {
        self.access == Access::Random
    }

    fn byte_len(&self) -> Option<u64> {
        (self.access == Access::Random).then(|| self.total())
    }
}

impl SourceFailure {
    /// Whether `error` came from the source rather than from what was read.
    pub(super) fn caused(error: &io::Error) -> bool {
        error.get_ref().is_some_and(<dyn Error + Send + Sync>::is::<Self>)
    }
}

impl fmt::Display for SourceFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Error for SourceFailure {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.0)
    }
}

/// Reads until `buf` is full or the source ends; returns how much came.
pub(super) fn read_up_to(source: &mut dyn AudioSource, mut buf: &mut [u8]) -> io::Result<usize> {
    let mut total = 0;
    while !buf.is_empty() {
        match source.read(buf) {
            Ok(0) => break,
            Ok(count) => {
                total += count;
                buf = &mut buf[count..];
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(total)
}
