//! Which audio format a file is in, from its first bytes and never from its name.

use std::fmt;

/// An audio container that the system reads.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Container {
    /// RIFF WAVE, also RF64 and BW64.
    Wav,
    /// Native FLAC.
    Flac,
    /// MPEG-1/2/2.5 layer III.
    Mp3,
    /// Ogg, with Vorbis or FLAC inside.
    Ogg,
    /// ISO base media: MP4 and M4A, with AAC inside.
    Mp4,
    /// AAC in ADTS frames.
    Aac,
    /// AIFF and AIFF-C.
    Aiff,
}

/// File name extensions, lower case, that claim to be audio. A claim only: [`sniff`] decides.
pub const AUDIO_EXTENSIONS: &[&str] = &[
    "aac", "aif", "aifc", "aiff", "amr", "bwf", "caf", "flac", "m4a", "mka", "mp1", "mp2", "mp3", "mp4", "oga", "ogg",
    "opus", "rf64", "w64", "wav", "wave", "wma", "wv",
];

/// Brands of ISO base media files that are pictures (HEIF, AVIF, Canon raw).
const PICTURE_BRANDS: [&[u8]; 8] = [b"heic", b"heix", b"heim", b"mif1", b"msf1", b"avif", b"avis", b"crx "];

impl fmt::Display for Container {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Wav => "wav",
            Self::Flac => "flac",
            Self::Mp3 => "mp3",
            Self::Ogg => "ogg",
            Self::Mp4 => "mp4",
            Self::Aac => "aac",
            Self::Aiff => "aiff",
        })
    }
}

/// Recognises the container from the first bytes of a file: 64 suffice, with more of them an MPEG or ADTS stream is also
/// checked for its second frame. An `ID3v2` tag that reaches beyond `head` means MP3.
pub fn sniff(head: &[u8]) -> Option<Container> {
    match id3v2_len(head) {
        Some(len) if len >= head.len() => Some(Container::Mp3),
        Some(len) => sniff(&head[len..]),
        None => sniff_untagged(head),
    }
}

fn sniff_untagged(head: &[u8]) -> Option<Container> {
    let four = |at: usize| head.get(at..at + 4).unwrap_or_default();
    match (four(0), four(4), four(8)) {
        (b"RIFF" | b"RF64" | b"BW64", _, b"WAVE") => Some(Container::Wav),
        (b"fLaC", ..) => Some(Container::Flac),
        (b"OggS", ..) => Some(Container::Ogg),
        (b"FORM", _, b"AIFF" | b"AIFC") => Some(Container::Aiff),
        (_, b"ftyp", brand) => (brand.len() == 4 && !PICTURE_BRANDS.contains(&brand)).then_some(Container::Mp4),
        _ if has_frames(head, mpeg_frame_len) => Some(Container::Mp3),
        _ if has_frames(head, adts_frame_len) => Some(Container::Aac),
        _ => None,
    }
}

/// The length in bytes of the `ID3v2` tag at the start of `head`, header and footer included (ID3v2.4, 3.1).
pub(super) fn id3v2_len(head: &[u8]) -> Option<usize> {
    let [b'I', b'D', b'3', major, minor, flags, size @ ..] = head.get(..10)? else {
        return None;
    };
    if *major == 0xFF || *minor == 0xFF || size.iter().any(|byte| byte & 0x80 != 0) {
        return None;
    }
    let body = size.iter().fold(0, |sum, byte| sum << 7 | usize::from(*byte));
    Some(10 + body + if flags & 0x10 == 0 { 0 } else { 10 })
}

/// A frame at the start, and another right behind it where `head` reaches that far.
fn has_frames(head: &[u8], frame_len: impl Fn(&[u8]) -> Option<usize>) -> bool {
    let Some(len) = frame_len(head) else { return false };
    head.get(len..).filter(|next| next.len() >= 7).is_none_or(|next| frame_len(next).is_some())
}

/// The length in bytes of an MPEG layer III frame, from its header (ISO 11172-3, 2.4.1.3).
pub(super) fn mpeg_frame_len(head: &[u8]) -> Option<usize> {
    const KBPS_1: [usize; 14] = [32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320];
    const KBPS_2: [usize; 14] = [8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160];
    const RATE_HZ: [usize; 3] = [44_100, 48_000, 32_000];
    let [0xFF, b1, b2, b3] = *head.get(..4)? else {
        return None;
    };
    let (version, layer) = (b1 >> 3 & 3, b1 >> 1 & 3);
    if b1 & 0xE0 != 0xE0 || version == 1 || layer != 1 || b3 & 3 == 2 {
        return None;
    }
    let index = usize::from(b2 >> 4).checked_sub(1)?;
    let rate_hz = RATE_HZ.get(usize::from(b2 >> 2 & 3))?;
    let (kbps, rate_hz, bytes_per_bit_s) = match version {
        3 => (KBPS_1.get(index)?, *rate_hz, 144),
        2 => (KBPS_2.get(index)?, rate_hz / 2, 72),
        _ => (KBPS_2.get(index)?, rate_hz / 4, 72),
    };
    Some(bytes_per_bit_s * kbps * 1000 / rate_hz + usize::from(b2 >> 1 & 1))
}

/// The length in bytes of an ADTS frame, from its header (ISO 13818-7, 6.2).
pub(super) fn adts_frame_len(head: &[u8]) -> Option<usize> {
    let [0xFF, b1, b2, b3, b4, b5, _] = *head.get(..7)? else {
        return None;
    };
    let len = usize::from(b3 & 3) << 11 | usize::from(b4) << 3 | usize::from(b5 >> 5);
    (b1 & 0xF6 == 0xF0 && b2 >> 2 & 0xF < 13 && len > 7).then_some(len)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_pictures_and_short_heads_are_no_audio() {
        let utf16 = [0xFF, 0xFE, b'a', 0, b'b', 0, b'c', 0];
        let jpeg = [0xFF, 0xD8, 0xFF, 0xE0, 0, 16, b'J', b'F', b'I', b'F'];
        let heic = b"\0\0\0\x18ftypheic\0\0\0\0";
        for head in
            [&b"id,label\n1,frog\n"[..], &utf16, &jpeg, heic, b"", b"R", b"RIFF\0\0\0\0AVI ", &[0; 64], &[0xFF; 64]]
        {
            assert_eq!(sniff(head), None, "{head:?}");
        }
    }

    #[test]
    fn a_tag_is_looked_through_where_the_head_reaches() {
        let mut head = b"ID3\x04\0\0\0\0\0\x05-----fLaC".to_vec();
        assert_eq!(sniff(&head), Some(Container::Flac));
        head.truncate(12);
        assert_eq!(sniff(&head), Some(Container::Mp3));
        assert_eq!(sniff(b"ID3\x04\0\0\0\0\0\x05-----no audio here"), None);
    }

    #[test]
    fn an_mpeg_frame_needs_its_follower() {
        let mut head = vec![0; 500];
        head[..4].copy_from_slice(&[0xFF, 0xFB, 0x90, 0x64]);
        assert_eq!(sniff(&head), None, "nothing where the second frame should be");
        assert_eq!(sniff(&head[..64]), Some(Container::Mp3));
        head[417..421].copy_from_slice(&[0xFF, 0xFB, 0x90, 0x64]);
        assert_eq!(sniff(&head), Some(Container::Mp3));
    }

    #[test]
    fn extensions_are_sorted_lower_case() {
        assert!(AUDIO_EXTENSIONS.iter().all(|name| name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit())));
    }
}
