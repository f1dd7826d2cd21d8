//! Whether a stream of MPEG or ADTS frames ends in the middle of one.
//!
//! Such streams declare no length, so a last frame that is cut is the only trace of a file that was cut short.

use std::io::SeekFrom;

use super::container::{Container, adts_frame_len, mpeg_frame_len};
use super::error::AudioError;
use super::source::{AudioSource, read_up_to};

/// Bytes at the end of the file that are examined: more than three frames of ADTS of the greatest length, 8191.
const TAIL_LEN: u64 = 32 * 1024;
/// So many frames of one kind, one behind the other, are no coincidence.
const MIN_CHAIN: usize = 3;

/// What the last bytes of a chain of frames are.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    /// The chain reaches the end of the bytes.
    Whole,
    /// A frame begins and is not all there.
    Cut,
    /// Something else follows, such as a tag.
    Other,
}

/// Whether the file ends amid a frame, as far as its last 32 KiB show. Tags and padding behind the last frame are no frames.
pub(super) fn is_last_cut(
    source: &mut dyn AudioSource,
    container: Container,
    base: u64,
    file_len: u64,
) -> Result<bool, AudioError> {
    let start = base.max(file_len.saturating_sub(TAIL_LEN));
    let mut tail = vec![0; (file_len - start) as usize];
    source.seek(SeekFrom::Start(start)).map_err(AudioError::io)?;
    let count = read_up_to(source, &mut tail).map_err(AudioError::io)?;
    Ok(ends_amid_a_frame(&tail[..count], container))
}

fn ends_amid_a_frame(tail: &[u8], container: Container) -> bool {
    let mut at = 0;
    while at < tail.len() {
        let (frames, len, end) = chain(&tail[at..], container);
        if frames < MIN_CHAIN {
            at += 1;
        } else if end == End::Other {
            at += len;
        } else {
            return end == End::Cut;
        }
    }
    false
}

/// The complete frames of one kind at the start of `bytes`: their number, their bytes, and what follows.
fn chain(bytes: &[u8], container: Container) -> (usize, usize, End) {
    let (mut frames, mut at) = (0, 0);
    loop {
        let rest = &bytes[at..];
        let is_same = at == 0 || is_same_kind(bytes, rest, container);
        match frame_len(rest, container).filter(|_| is_same) {
            Some(len) if len <= rest.len() => (frames, at) = (frames + 1, at + len),
            Some(_) => return (frames, at, End::Cut),
            None if rest.is_empty() => return (frames, at, End::Whole),
            // A header that is not all there.
            None if is_same && rest.len() < 7 && frames > 0 && frame_header_is_cut(rest, container) => {
                return (frames, at, End::Cut);
            }
            None => return (frames, at, End::Other),
        }
    }
}

fn frame_len(bytes: &[u8], container: Container) -> Option<usize> {
    if container == Container::Aac { adts_frame_len(bytes) } else { mpeg_frame_len(bytes) }
}

fn frame_header_is_cut(rest: &[u8], container: Container) -> bool {
    rest.len() < if container == Container::Aac { 7 } else { 4 }
}

/// Whether two headers agree in what does not change within a stream: version, layer, protection, profile and sample rate.
fn is_same_kind(first: &[u8], other: &[u8], container: Container) -> bool {
    let mask = if container == Container::Aac { [0xFF, 0xFF, 0xFC] } else { [0xFF, 0xFF, 0x0C] };
    first.iter().zip(other).zip(mask).all(|((a, b), mask)| a & mask == b & mask)
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::fixture;
    use super::*;

    #[test]
    fn only_a_frame_that_is_not_all_there_is_cut() {
        for (name, container) in [("tone_44k.aac", Container::Aac), ("tone_22k_bare.mp3", Container::Mp3)] {
            let bytes = fixture(name);
            assert!(!ends_amid_a_frame(&bytes, container), "{name}");
            for missing in [1, 2, 60] {
                assert!(ends_amid_a_frame(&bytes[..bytes.len() - missing], container), "{name} less {missing}");
            }
            for tail in [&b"TAG and a title"[..], &[0; 300], b"APETAGEX"] {
                assert!(!ends_amid_a_frame(&[&bytes[..], tail].concat(), container), "{name} {tail:?}");
            }
            let whole: Vec<usize> = frame_starts(&bytes, container);
            for start in &whole[MIN_CHAIN..] {
                assert!(!ends_amid_a_frame(&bytes[..*start], container), "{name} to {start}");
                assert!(ends_amid_a_frame(&bytes[..start + 2], container), "{name} to the header at {start}");
            }
        }
    }

    fn frame_starts(bytes: &[u8], container: Container) -> Vec<usize> {
        let mut starts = vec![0];
        while let Some(len) = frame_len(&bytes[starts[starts.len() - 1]..], container) {
            starts.push(starts[starts.len() - 1] + len);
        }
        starts.pop();
        starts
    }
}
