//! Which part of the audio track of an MP4 file is the sound, and whether the file is all there.
//!
//! AAC encoders put 1024 to 2112 frames before the sound and fill up its last packet. An edit list (`elst`, ISO 14496-12, 8.6.6)
//! or the tag `iTunSMPB` of iTunes says how many. The start of the list's entry counts, unless it is 0 and the tag has another
//! one. The end is the tag's, which is exact, if both agree on the start; the list's is a multiple of the movie's time scale. An
//! entry that adds silence before the sound (media time −1) is ignored, and with several entries, or one that is not played at
//! normal speed, only the start of the first counts.

use std::io::SeekFrom;
use std::ops::Range;

use super::error::{AudioError, Fault};
use super::source::{AudioSource, read_up_to};

/// The longest `moov` box that is read for an edit list, bytes: the sample tables of days of AAC.
const MAX_MOOV_LEN: u64 = 32 << 20;
/// Boxes whose content is audio or describes it.
const VITAL_BOXES: [&[u8; 4]; 3] = [b"moov", b"moof", b"mdat"];

/// What the boxes of a file say.
pub(super) struct Movie {
    /// The part of the audio track that is the sound, where that is stated.
    pub edit: Option<Edit>,
    /// A box reaches beyond the end of the file.
    pub is_cut: bool,
}

/// The part of a track that is the sound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Edit {
    /// Its start, in units of the time scale.
    start: u64,
    /// Its end, in units of the time scale; none where it reaches to the end of the track.
    end: Option<u64>,
    /// Units per second.
    timescale: u32,
}

impl Edit {
    /// The frames of the sound among those decoded, at `rate_hz`.
    pub(super) fn frames(self, rate_hz: u32) -> Range<u64> {
        let at = |time| scale(time, rate_hz, self.timescale);
        at(self.start)..self.end.map_or(u64::MAX, at)
    }
}

/// Walks the boxes of `source`, which is `file_len` bytes long, from byte `base`.
pub(super) fn read(source: &mut dyn AudioSource, base: u64, file_len: u64) -> Result<Movie, AudioError> {
    let mut movie = Movie { edit: None, is_cut: false };
    let (mut at, mut has_moov) = (base, false);
    while let Some((id, header_len, len)) = box_header(source, at, file_len)? {
        let end = at.saturating_add(len);
        movie.is_cut |= end > file_len && VITAL_BOXES.contains(&&id);
        if &id == b"moov" {
            has_moov = end <= file_len;
            if len <= MAX_MOOV_LEN {
                let body = read_at(source, at + header_len, len.min(file_len - at) - header_len)?;
                movie.edit = edit(&body);
            }
        }
        at = end;
    }
    if movie.is_cut && !has_moov {
        return Err(AudioError::new(Fault::Truncated, "no complete `moov` box"));
    }
    Ok(movie)
}

/// Name, length of the header and length of the box at `at`; none at the end, or where there is no box.
fn box_header(source: &mut dyn AudioSource, at: u64, file_len: u64) -> Result<Option<([u8; 4], u64, u64)>, AudioError> {
    let head = read_at(source, at, 16)?;
    let Some([a, b, c, d, id @ ..]) = head.get(..8) else { return Ok(None) };
    let id: [u8; 4] = id.try_into().expect("four bytes");
    let (header_len, len) = match (u32::from_be_bytes([*a, *b, *c, *d]), head.get(8..16)) {
        (0, _) => (8, file_len - at),
        (1, Some(long)) => (16, u64::from_be_bytes(long.try_into().expect("eight bytes"))),
        (short, _) => (8, u64::from(short)),
    };
    Ok((len >= header_len).then_some((id, header_len, len)))
}

fn read_at(source: &mut dyn AudioSource, at: u64, len: u64) -> Result<Vec<u8>, AudioError> {
    let mut bytes = vec![0; len as usize];
    source.seek(SeekFrom::Start(at)).map_err(AudioError::io)?;
    let count = read_up_to(source, &mut bytes).map_err(AudioError::io)?;
    bytes.truncate(count);
    Ok(bytes)
}

/// The bodies of the boxes called `id` that lie one behind the other in `bytes`.
fn boxes(mut bytes: &[u8], id: [u8; 4]) -> Vec<&[u8]> {
    let mut found = Vec::new();
    while let Some([a, b, c, d, name @ ..]) = bytes.get(..8) {
        let len = u32::from_be_bytes([*a, *b, *c, *d]) as usize;
        let Some(body) = bytes.get(8..len) else { break };
        if *name == id {
            found.push(body);
        }
        bytes = &bytes[len..];
    }
    found
}

/// The first box at the end of `path`.
fn find<'a>(bytes: &'a [u8], path: &[&[u8; 4]]) -> Option<&'a [u8]> {
    path.iter().try_fold(bytes, |inside, id| boxes(inside, **id).first().copied())
}

fn be_u32(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at + 4).map(|four| u32::from_be_bytes(four.try_into().expect("four bytes")))
}

fn be_u64(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..at + 8).map(|eight| u64::from_be_bytes(eight.try_into().expect("eight bytes")))
}

/// The time scale in the body of an `mvhd` or `mdhd` box, units per second.
fn timescale(header: &[u8]) -> Option<u32> {
    be_u32(header, if header.first() == Some(&1) { 20 } else { 12 }).filter(|scale| *scale > 0)
}

/// `time` units of `1 / from` s in units of `1 / to` s, rounded.
fn scale(time: u64, to: u32, from: u32) -> u64 {
    let scaled = (u128::from(time) * u128::from(to) + u128::from(from) / 2) / u128::from(from);
    u64::try_from(scaled).unwrap_or(u64::MAX)
}

/// The edit of the first audio track in the body of a `moov` box.
fn edit(moov: &[u8]) -> Option<Edit> {
    let is_audio = |trak: &&[u8]| find(trak, &[b"mdia", b"hdlr"]).and_then(|hdlr| hdlr.get(8..12)) == Some(b"soun");
    let trak = boxes(moov, *b"trak").into_iter().find(is_audio)?;
    let timescale_hz = timescale(find(trak, &[b"mdia", b"mdhd"])?)?;
    let track_len = find(trak, &[b"mdia", b"minf", b"stbl", b"stts"]).and_then(track_len);
    let list = find(trak, &[b"edts", b"elst"])
        .zip(find(moov, &[b"mvhd"]).and_then(timescale))
        .and_then(|(elst, movie_scale)| list_edit(elst, movie_scale, timescale_hz, track_len));
    let tag = gapless_tag(moov).filter(|(start, len)| track_len.is_none_or(|total| start + len <= total));
    let (start, end) = match (list, tag) {
        (Some((from, _)), Some((start, len))) if from == start || from == 0 => (start, Some(start + len)),
        (None, Some((start, len))) => (start, Some(start + len)),
        (Some(list), _) => list,
        (None, None) => (0, None),
    };
    Some(Edit { start, end: end.or(track_len), timescale: timescale_hz })
}

/// The length of a track in units of its time scale, from its `stts` box; none in a fragmented file.
fn track_len(stts: &[u8]) -> Option<u64> {
    let entries = stts.get(8..)?.chunks_exact(8);
    let total = entries.fold(0_u64, |sum, entry| {
        let (count, delta) = (be_u32(entry, 0).unwrap_or(0), be_u32(entry, 4).unwrap_or(0));
        sum.saturating_add(u64::from(count) * u64::from(delta))
    });
    (total > 0).then_some(total)
}

/// Start and end of the sound as the body of an `elst` box has them, in units of the track's time scale.
fn list_edit(elst: &[u8], movie_scale: u32, timescale_hz: u32, track_len: Option<u64>) -> Option<(u64, Option<u64>)> {
    let is_long = elst.first() == Some(&1);
    let entry = |bytes: &[u8]| {
        let (len, start, rate) = if is_long {
            (be_u64(bytes, 0)?, be_u64(bytes, 8)? as i64, be_u32(bytes, 16)?)
        } else {
            (u64::from(be_u32(bytes, 0)?), i64::from(be_u32(bytes, 4)? as i32), be_u32(bytes, 8)?)
        };
        u64::try_from(start).ok().map(|start| (len, start, rate))
    };
    let entries: Vec<_> = elst.get(8..)?.chunks_exact(if is_long { 20 } else { 12 }).filter_map(entry).collect();
    let (len, start, rate) = *entries.first()?;
    let start = track_len.is_none_or(|total| start < total).then_some(start)?;
    let is_plain = entries.len() == 1 && rate == 0x0001_0000 && len > 0;
    let end = start.saturating_add(scale(len, timescale_hz, movie_scale));
    // An end within a unit of the movie's time scale of the track's is the track's: it was rounded.
    let unit = u64::from(timescale_hz.div_ceil(movie_scale));
    let end = track_len.filter(|total| total.abs_diff(end) <= unit).unwrap_or(end);
    Some((start, is_plain.then_some(end)))
}

/// Frames before the sound and frames of the sound, from the tag `iTunSMPB`.
fn gapless_tag(moov: &[u8]) -> Option<(u64, u64)> {
    // `meta` is a full box: four bytes of version and flags come first.
    let items = find(find(moov, &[b"udta", b"meta"])?.get(4..)?, &[b"ilst"])?;
    let item = boxes(items, *b"----").into_iter().find(|item| {
        boxes(item, *b"name").first().and_then(|name| name.get(4..)).is_some_and(|name| name == b"iTunSMPB")
    })?;
    let text = std::str::from_utf8(find(item, &[b"data"])?.get(8..)?).ok()?;
    let field = |at: usize| text.split_whitespace().nth(at).and_then(|hex| u64::from_str_radix(hex, 16).ok());
    let (start, len) = (field(1)?, field(3)?);
    (start < 1 << 20 && (1..1 << 48).contains(&len)).then_some((start, len))
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::super::fixtures::fixture;
    use super::super::{AudioError, Span, decode};

    /// The fixture, with `edit_list` or nothing instead of its edit list and with the tag `iTunSMPB` if there is a text for it.
    /// The `moov` box is the last of the file, so that no offsets change.
    fn m4a(edit_list: Option<(u32, i32)>, tag: Option<&str>) -> Vec<u8> {
        let mut bytes = fixture("tone_44k_stereo.m4a");
        let elst = bytes.windows(4).position(|four| four == b"elst").unwrap();
        match edit_list {
            Some((len, start)) => {
                bytes[elst + 12..elst + 16].copy_from_slice(&len.to_be_bytes());
                bytes[elst + 16..elst + 20].copy_from_slice(&start.to_be_bytes());
            }
            None => bytes[elst..elst + 4].copy_from_slice(b"skip"),
        }
        if let Some(text) = tag {
            let boxed = |id: &[u8], body: &[u8]| [&(body.len() as u32 + 8).to_be_bytes()[..], id, body].concat();
            let item = [
                boxed(b"mean", b"\0\0\0\0com.apple.iTunes"),
                boxed(b"name", b"\0\0\0\0iTunSMPB"),
                boxed(b"data", &[&b"\0\0\0\x01\0\0\0\0"[..], text.as_bytes()].concat()),
            ];
            let meta = [&[0; 4][..], &boxed(b"ilst", &boxed(b"----", &item.concat()))].concat();
            let moov = bytes.windows(4).position(|four| four == b"moov").unwrap();
            let udta = bytes.windows(4).position(|four| four == b"udta").unwrap();
            bytes.truncate(udta - 4);
            bytes.extend(boxed(b"udta", &boxed(b"meta", &meta)));
            let len = (bytes.len() - moov + 4) as u32;
            bytes[moov - 4..moov].copy_from_slice(&len.to_be_bytes());
        }
        bytes
    }

    fn decoded(bytes: Vec<u8>) -> Result<Vec<f32>, AudioError> {
        decode(Box::new(Cursor::new(bytes)), None)
    }

    #[test]
    fn the_edit_list_and_the_gapless_tag_say_which_frames_are_the_sound() {
        let tag = " 00000000 00000400 000000E8 00000000000044E8 00000000 00000000";
        // The track has 18,664 frames, 17,640 of which are the sound; the decoder makes 19,456 of its packets.
        let cases = [
            (Some((400, 1024)), None, 17_640),
            // Rounded down to the movie's time scale of milliseconds.
            (Some((399, 1024)), None, 17_640),
            (Some((300, 1024)), None, 13_230),
            (Some((0, 1024)), None, 17_640),
            (Some((400, -1)), None, 18_664),
            (None, None, 18_664),
            (None, Some(tag), 17_640),
            (Some((400, 1024)), Some(tag), 17_640),
            (Some((423, 0)), Some(tag), 17_640),
            // A tag that contradicts the list, and one that contradicts the track: of another file.
            (Some((300, 2048)), Some(tag), 13_230),
            (None, Some(" 00000000 00000400 00000000 0000000000FFFFFF"), 18_664),
        ];
        for (edit_list, tag, frames) in cases {
            let wave = decoded(m4a(edit_list, tag)).unwrap();
            let expected = (f64::from(frames) * 16_000.0 / 44_100.0).round() as usize;
            assert_eq!(wave.len(), expected, "{edit_list:?} {tag:?}");
        }
    }

    #[test]
    fn a_span_counts_from_the_first_sample_of_the_sound() {
        let whole = decoded(m4a(Some((400, 1024)), None)).unwrap();
        let span = Span { start_s: 0.1, end_s: Some(0.4) };
        let part = decode(Box::new(Cursor::new(m4a(Some((400, 1024)), None))), Some(span)).unwrap();
        assert_eq!(part.len(), 4800);
        // The edges differ: a span is cut out before it is resampled.
        let worst = part[400..4400].iter().zip(&whole[2000..6000]).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(worst < 1e-3, "{worst}");
    }

    #[test]
    fn a_file_without_its_last_bytes_is_truncated() {
        let bytes = fixture("tone_44k_stereo.m4a");
        for len in [bytes.len() * 6 / 10, bytes.len() - 300] {
            assert_eq!(decoded(bytes[..len].to_vec()).unwrap_err().code(), "truncated", "{len}");
        }
    }
}
