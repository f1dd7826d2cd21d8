//! Where the last page of an Ogg stream begins (RFC 3533, 6).
//!
//! The granule position of a page is that of its end. Its start follows from that and the packets in it, but for the last page,
//! which may end before its last packet does: what is sought there is sought in the page before.

use std::io::SeekFrom;

use super::error::AudioError;
use super::source::{AudioSource, read_up_to};

/// Bytes at the end of the file that are examined: more than two of the longest pages.
const TAIL_LEN: u64 = 3 * 65_307;
const HEADER_LEN: usize = 27;
/// The granule position of a page in which no packet ends.
const NO_PACKET: u64 = u64::MAX;

/// The header of a page.
struct Page {
    granule: u64,
    serial: u32,
    /// Bytes of the page, header included.
    len: usize,
}

/// The granule position at which the last page begins; none where the file holds several streams, or does not end with a page.
pub(super) fn start_of_last_page(
    source: &mut dyn AudioSource,
    base: u64,
    file_len: u64,
) -> Result<Option<u64>, AudioError> {
    let mut read = |start: u64, len: u64| {
        let mut bytes = vec![0; len as usize];
        source.seek(SeekFrom::Start(start)).map_err(AudioError::io)?;
        let count = read_up_to(source, &mut bytes).map_err(AudioError::io)?;
        bytes.truncate(count);
        Ok::<_, AudioError>(bytes)
    };
    let len = TAIL_LEN.min(file_len - base);
    let head = read(base, len.min(1024))?;
    let tail = read(file_len - len, len)?;
    let Some(first) = page(&head) else { return Ok(None) };
    let pages = (0..tail.len()).find_map(|at| pages_to_the_end(&tail[at..])).unwrap_or_default();
    let Some((_, before)) = pages.split_last() else { return Ok(None) };
    let is_one_stream = pages.iter().all(|page| page.serial == first.serial);
    let end = before.iter().rev().map(|page| page.granule).find(|granule| *granule != NO_PACKET);
    Ok(end.filter(|_| is_one_stream))
}

/// The pages of `bytes`, if it consists of pages.
fn pages_to_the_end(mut bytes: &[u8]) -> Option<Vec<Page>> {
    let mut pages = Vec::new();
    while !bytes.is_empty() {
        let page = page(bytes)?;
        bytes = bytes.get(page.len..)?;
        pages.push(page);
    }
    (!pages.is_empty()).then_some(pages)
}

/// The page that `bytes` begin with; its body may be missing.
fn page(bytes: &[u8]) -> Option<Page> {
    let header = bytes.get(..HEADER_LEN).filter(|header| header.starts_with(b"OggS\0"))?;
    let granule = u64::from_le_bytes(header[6..14].try_into().ok()?);
    let serial = u32::from_le_bytes(header[14..18].try_into().ok()?);
    let segments = bytes.get(HEADER_LEN..HEADER_LEN + usize::from(header[26]))?;
    let body: usize = segments.iter().map(|len| usize::from(*len)).sum();
    Some(Page { granule, serial, len: HEADER_LEN + segments.len() + body })
}
