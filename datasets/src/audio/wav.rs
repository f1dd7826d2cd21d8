//! The chunks of a WAVE file, read leniently and handed on as a plain header with true lengths.
//!
//! Recorders that lose power leave lengths of 0 or of 2³²−1, tools that stream leave placeholders, long recordings are RF64
//! with the length in `ds64` (EBU Tech 3306) or have a length that wrapped at 4 GiB, and sloppy writers get the outer length
//! wrong. In all of them the samples are there. Symphonia trusts the lengths, so it is given ones that hold.
//!
//! Where the samples end (the module [`super`] has the rule for all formats):
//!
//! * a placeholder (see [`is_placeholder`]): at the end of the file;
//! * a length that more bytes follow than a chunk or padding with zeros explains: it was never updated, so at the end of the
//!   file as well;
//! * any other length: there; a file that ends before is truncated.

use std::io::{self, SeekFrom};
use std::ops::RangeInclusive;

use super::error::{AudioError, Fault};
use super::source::{AudioSource, read_up_to};

/// A length from here on was never filled in by its writer.
const UNKNOWN_LEN: u64 = 0xFFFF_FF00;
/// Lengths around 2³¹ that `sox` (`0x7FFF_F000`), `arecord` and others write when they stream.
const STREAMED_LEN: RangeInclusive<u64> = 0x7FFF_F000..=0x8000_0000;
/// The longest `fmt ` chunk kept, bytes; extensible ones have 40, ADPCM ones about 50.
const MAX_FMT_LEN: u64 = 1024;
/// Bytes behind the stated end of the samples that are examined for what follows them.
const TAIL_LEN: u64 = 4096;
/// Chunks that are known to follow samples; any other is recognised by a length that fits the file.
const TRAILING_CHUNKS: [&[u8; 4]; 19] = [
    b"LIST", b"list", b"id3 ", b"ID3 ", b"bext", b"cue ", b"iXML", b"axml", b"smpl", b"inst", b"JUNK", b"junk",
    b"PAD ", b"FLLR", b"fact", b"_PMX", b"PEAK", b"guan", b"wamd",
];
/// Format tags (`mmreg.h`) of codecs that pack many frames into a block: Microsoft and IMA ADPCM.
const ADPCM_TAGS: [u16; 2] = [0x0002, 0x0011];

/// Where the samples of a WAVE file lie.
pub(super) struct WavLayout {
    /// A complete header for `len` bytes of samples, to be read in front of them.
    pub header: Vec<u8>,
    /// Byte position of the samples.
    pub start: u64,
    /// Bytes of samples that are really there.
    pub len: u64,
    /// Frames that the file says it has; where its writer did not know, those that are there.
    pub declared_frames: u64,
    /// The codec packs many frames into a block (ADPCM).
    pub has_blocks: bool,
    /// Sample rate, Hz; 0 where the format chunk is too short to have one.
    pub rate_hz: u32,
    block_len: u64,
    frames_per_block: u64,
}

impl WavLayout {
    /// Leaves out the whole blocks before `frame`, if the codec has blocks: each is decoded by itself. Returns the frames left out.
    pub(super) fn skip_blocks(&mut self, frame: u64) -> u64 {
        if !self.has_blocks {
            return 0;
        }
        let blocks = (frame / self.frames_per_block).min((self.len / self.block_len).saturating_sub(1));
        self.start += blocks * self.block_len;
        self.len -= blocks * self.block_len;
        let at = self.header.len() - 4;
        self.header[at..].copy_from_slice(&u32::try_from(self.len).unwrap_or(u32::MAX).to_le_bytes());
        blocks * self.frames_per_block
    }
}

/// Walks the chunks of `source`, which is `file_len` bytes long, from byte `base`.
pub(super) fn layout(source: &mut dyn AudioSource, base: u64, file_len: u64) -> Result<WavLayout, AudioError> {
    let mut at = base + 12;
    let mut fmt: Option<Vec<u8>> = None;
    let (mut long_len, mut fact) = (None, None);
    loop {
        let head = read_at(source, at, 8).map_err(AudioError::io)?;
        let [a, b, c, d, e, f, g, h] = head[..] else {
            return Err(AudioError::new(Fault::Truncated, "no data chunk"));
        };
        let len = u64::from(u32::from_le_bytes([e, f, g, h]));
        let body = at + 8;
        match &[a, b, c, d] {
            b"ds64" => {
                let sizes = read_at(source, body, 16).map_err(AudioError::io)?;
                long_len = sizes.get(8..16).map(|bytes| u64::from_le_bytes(bytes.try_into().expect("eight bytes")));
            }
            b"fmt " => fmt = Some(read_at(source, body, len.min(MAX_FMT_LEN)).map_err(AudioError::io)?),
            b"fact" => {
                let frames = read_at(source, body, 4).map_err(AudioError::io)?;
                fact = frames[..].try_into().ok().map(|bytes| u64::from(u32::from_le_bytes(bytes)));
            }
            b"data" => {
                let fmt = fmt.ok_or_else(|| AudioError::new(Fault::Corrupt, "samples before their format"))?;
                let format = Format::parse(&fmt)?;
                let stated = long_len.filter(|_| len >= UNKNOWN_LEN).unwrap_or(len);
                let declared = declared_len(source, body, file_len, stated).map_err(AudioError::io)?;
                return Ok(format.samples(&fmt, fact, body, file_len.saturating_sub(body), declared));
            }
            _ => {}
        }
        at = body + len + len % 2;
    }
}

/// Whether `stated` is a length that its writer never filled in, where `present` bytes are there.
fn is_placeholder(stated: u64, present: u64) -> bool {
    stated == 0
        || (UNKNOWN_LEN..=u64::from(u32::MAX)).contains(&stated)
        || stated > i64::MAX as u64
        || (STREAMED_LEN.contains(&stated) && stated > present)
}

/// Bytes of samples from `start` on that the file declares to have; `None` if they reach to the end of the file.
fn declared_len(source: &mut dyn AudioSource, start: u64, file_len: u64, stated: u64) -> io::Result<Option<u64>> {
    let present = file_len.saturating_sub(start);
    if is_placeholder(stated, present) {
        return Ok(None);
    }
    if stated < present {
        let tail = read_at(source, start + stated, TAIL_LEN.min(present - stated))?;
        if !is_behind_samples(&tail, present - stated) {
            return Ok(None);
        }
    }
    Ok(Some(stated))
}

/// Whether `tail`, the first of `tail_len` bytes behind the stated end of the samples, are a chunk, a tag or padding.
fn is_behind_samples(tail: &[u8], tail_len: u64) -> bool {
    let is_chunk = |at: usize| {
        let Some([id @ .., a, b, c, d]) = tail.get(at..at + 8) else { return true };
        let fits = u64::from(u32::from_le_bytes([*a, *b, *c, *d])) <= tail_len;
        let is_text = id.iter().all(|byte| (0x20..0x7F).contains(byte));
        TRAILING_CHUNKS.iter().any(|known| known[..] == *id) || (is_text && fits)
    };
    let is_tag = tail.starts_with(b"TAG") || tail.starts_with(b"ID3") || tail.starts_with(b"APETAGEX");
    is_tag || is_chunk(0) || is_chunk(1) || tail.iter().all(|byte| *byte == 0)
}

/// What is needed of a `fmt ` chunk.
struct Format {
    /// Bytes of a frame, or of a block of frames.
    block_len: u64,
    frames_per_block: u64,
}

impl Format {
    fn parse(fmt: &[u8]) -> Result<Self, AudioError> {
        let field = |at: usize| fmt.get(at..at + 2).map(|bytes| u16::from_le_bytes([bytes[0], bytes[1]]));
        let (Some(tag), Some(channels), Some(block_align)) = (field(0), field(2), field(12)) else {
            return Err(AudioError::new(Fault::Corrupt, "short format chunk"));
        };
        // Before Symphonia sees it: it multiplies the channels in 16 bits.
        if channels > super::limits::MAX_CHANNELS as u16 {
            return Err(AudioError::new(Fault::TooManyChannels, format!("{channels} channels")));
        }
        let (block_len, channels) = (u64::from(block_align.max(1)), u64::from(channels.max(1)));
        // Symphonia goes by the bits, where the two differ.
        let frame_len = u64::from(field(14).unwrap_or(0) / 8) * channels;
        // Four bits a sample behind a header for each channel: of 7 bytes with two samples, or of 4 bytes with one.
        let frames_per_block = match ADPCM_TAGS.iter().position(|adpcm| *adpcm == tag) {
            Some(0) => 2 * block_len.saturating_sub(7 * channels) / channels + 2,
            Some(_) => 2 * block_len.saturating_sub(4 * channels) / channels + 1,
            None => 1,
        };
        let block_len = if frames_per_block == 1 && frame_len > 0 { frame_len } else { block_len };
        Ok(Self { block_len, frames_per_block })
    }

    fn samples(&self, fmt: &[u8], fact: Option<u64>, start: u64, present: u64, declared: Option<u64>) -> WavLayout {
        let len = declared.map_or(present, |declared| declared.min(present));
        let len = len - len % self.block_len;
        let has_blocks = self.frames_per_block > 1;
        let in_blocks = declared.unwrap_or(len) / self.block_len * self.frames_per_block;
        // The last block is filled up; `fact` has the number of frames before that.
        let is_plausible =
            |frames: &u64| *frames > in_blocks.saturating_sub(self.frames_per_block) && *frames < in_blocks;
        let declared_frames = fact.filter(|frames| has_blocks && is_plausible(frames)).unwrap_or(in_blocks);
        let mut header = b"RIFF\xFF\xFF\xFF\xFFWAVEfmt ".to_vec();
        header.extend((fmt.len() as u32).to_le_bytes());
        header.extend(fmt);
        if fmt.len() % 2 == 1 {
            header.push(0);
        }
        header.extend(b"data");
        header.extend(u32::try_from(len).unwrap_or(u32::MAX).to_le_bytes());
        let rate_hz = fmt.get(4..8).map_or(0, |bytes| u32::from_le_bytes(bytes.try_into().expect("four bytes")));
        let (block_len, frames_per_block) = (self.block_len, self.frames_per_block);
        WavLayout { header, start, len, declared_frames, has_blocks, rate_hz, block_len, frames_per_block }
    }
}

fn read_at(source: &mut dyn AudioSource, at: u64, len: u64) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; len as usize];
    source.seek(SeekFrom::Start(at))?;
    let count = read_up_to(source, &mut bytes)?;
    bytes.truncate(count);
    Ok(bytes)
}

#[cfg(test)]
pub(super) mod tests {
    use std::io::Cursor;

    use super::super::{AudioError, decode};

    /// A WAVE file around `samples`, whose data chunk says that it is `stated_len` bytes long.
    pub(in super::super) fn wav(
        tag: u16,
        bits: u16,
        rate_hz: u32,
        channels: u16,
        samples: &[u8],
        stated_len: u32,
    ) -> Vec<u8> {
        let block = (bits / 8).wrapping_mul(channels);
        let mut bytes = b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0".to_vec();
        bytes.extend(tag.to_le_bytes());
        bytes.extend(channels.to_le_bytes());
        bytes.extend(rate_hz.to_le_bytes());
        bytes.extend((rate_hz * u32::from(block)).to_le_bytes());
        bytes.extend(block.to_le_bytes());
        bytes.extend(bits.to_le_bytes());
        bytes.extend(b"data");
        bytes.extend(stated_len.to_le_bytes());
        bytes.extend(samples);
        bytes
    }

    /// 16-bit PCM at `rate_hz`.
    pub(in super::super) fn wav16(rate_hz: u32, samples: &[i16]) -> Vec<u8> {
        let bytes: Vec<u8> = samples.iter().flat_map(|x| x.to_le_bytes()).collect();
        wav(1, 16, rate_hz, 1, &bytes, bytes.len() as u32)
    }

    /// 32-bit float at `rate_hz`.
    pub(in super::super) fn wav_f32(rate_hz: u32, samples: &[f32]) -> Vec<u8> {
        let bytes: Vec<u8> = samples.iter().flat_map(|x| x.to_le_bytes()).collect();
        wav(3, 32, rate_hz, 1, &bytes, bytes.len() as u32)
    }

    fn decoded(bytes: Vec<u8>) -> Result<Vec<f32>, AudioError> {
        decode(Box::new(Cursor::new(bytes)), None)
    }

    #[test]
    fn every_depth_has_full_scale_one() {
        let half = [
            (1, 8, vec![192]),
            (1, 16, 0x4000_i16.to_le_bytes().to_vec()),
            (1, 24, vec![0, 0, 0x40]),
            (1, 32, 0x4000_0000_i32.to_le_bytes().to_vec()),
            (3, 32, 0.5_f32.to_le_bytes().to_vec()),
            (3, 64, 0.5_f64.to_le_bytes().to_vec()),
        ];
        for (tag, bits, sample) in half {
            let samples = sample.repeat(1000);
            let wave = decoded(wav(tag, bits, 16_000, 1, &samples, samples.len() as u32)).unwrap();
            assert_eq!(wave, vec![0.5; 1000], "{bits} bits");
        }
        let hot: Vec<f32> = [1.5, -2.5].repeat(500);
        assert_eq!(decoded(wav_f32(16_000, &hot)).unwrap(), hot);
    }

    #[test]
    fn a_recorder_that_lost_power_loses_no_sample() {
        let samples: Vec<u8> = (0..5000_i16).flat_map(i16::to_le_bytes).collect();
        for stated in [0, u32::MAX, u32::MAX - 8, 0x7FFF_F000, 0x7FFF_FFFF, 0x8000_0000] {
            let wave = decoded(wav(1, 16, 16_000, 1, &samples, stated)).unwrap();
            assert_eq!(wave.len(), 5000, "stated {stated}");
        }
    }

    #[test]
    fn a_long_header_gives_the_length_of_rf64() {
        let mut samples = [1_u8, 2].repeat(2000);
        samples.extend(b"LIST\x04\0\0\0INFO");
        assert_eq!(decoded(rf64(&samples, 4000)).unwrap().len(), 2000);
    }

    #[test]
    fn less_than_was_declared_is_truncated() {
        let samples = [1_u8, 2].repeat(3000);
        assert_eq!(decoded(wav(1, 16, 16_000, 1, &samples, 6100)).unwrap_err().code(), "truncated");
        assert_eq!(decoded(wav(1, 16, 16_000, 1, &samples, 6010)).unwrap().len(), 3000);
    }

    #[test]
    fn a_length_that_was_never_updated_loses_no_sample() {
        let samples: Vec<u8> = (0..5000_i16).flat_map(|i| (i % 700 - 350).to_le_bytes()).collect();
        for stated in [2, 4000, 9000] {
            assert_eq!(decoded(wav(1, 16, 16_000, 1, &samples, stated)).unwrap().len(), 5000, "stated {stated}");
        }
    }

    #[test]
    fn chunks_tags_and_padding_are_no_samples() {
        let samples: Vec<u8> = (0..5000_i16).flat_map(|i| (i % 700 - 350).to_le_bytes()).collect();
        let tails = [
            &b"LIST\x04\0\0\0INFO"[..],
            b"\0LIST\x04\0\0\0INFO",
            b"abcd\x04\0\0\0....",
            b"ID3\x04\0\0\0",
            &[0; 999],
            b"x",
        ];
        for tail in tails {
            let mut bytes = wav(1, 16, 16_000, 1, &samples, samples.len() as u32);
            bytes.extend(tail);
            assert_eq!(decoded(bytes).unwrap().len(), 5000, "{tail:?}");
        }
    }

    /// An RF64 file of 16-bit PCM whose `ds64` chunk gives `data_len`.
    fn rf64(samples: &[u8], data_len: u64) -> Vec<u8> {
        let mut bytes = wav(1, 16, 16_000, 1, samples, u32::MAX);
        bytes[..4].copy_from_slice(b"RF64");
        let sizes: Vec<u8> =
            [data_len + 100, data_len, data_len / 2].iter().flat_map(|len| len.to_le_bytes()).collect();
        bytes.splice(12..12, [&b"ds64\x18\0\0\0"[..], &sizes].concat());
        bytes
    }

    #[test]
    fn a_long_recording_that_was_cut_is_truncated() {
        let samples = [1_u8, 2].repeat(3000);
        for declared in [10_000, 1 << 32, 5 << 32] {
            assert_eq!(decoded(rf64(&samples, declared)).unwrap_err().code(), "truncated", "{declared}");
        }
        assert_eq!(decoded(rf64(&samples, 6000)).unwrap().len(), 3000);
        assert_eq!(decoded(rf64(&samples, 0)).unwrap().len(), 3000, "a placeholder");
    }

    #[test]
    fn channels_are_averaged_and_counted() {
        let stereo: Vec<u8> = [8192_i16, -4096].repeat(700).into_iter().flat_map(i16::to_le_bytes).collect();
        let wave = decoded(wav(1, 16, 16_000, 2, &stereo, stereo.len() as u32)).unwrap();
        assert_eq!(wave, vec![0.0625; 700]);
        assert_eq!(decoded(wav(1, 8, 16_000, 65, &[1; 650], 650)).unwrap_err().code(), "too_many_channels");
        assert_eq!(decoded(wav(1, 16, 16_000, 65_535, &[1; 650], 650)).unwrap_err().code(), "too_many_channels");
    }

    #[test]
    fn what_cannot_be_heard_has_a_code() {
        let nan: Vec<f32> = [0.0, f32::NAN].repeat(500);
        let codes = [
            (vec![], "empty"),
            (b"hello, world".to_vec(), "not_audio"),
            (wav16(16_000, &[]), "no_samples"),
            (wav_f32(16_000, &nan), "non_finite"),
            (wav_f32(44_100, &vec![f32::MAX; 9000]), "non_finite"),
            (wav16(3999, &[1; 500]), "sample_rate"),
            (wav16(384_001, &[1; 500]), "sample_rate"),
            (wav(0x55, 16, 16_000, 1, &[1; 500], 500), "unsupported"),
        ];
        for (bytes, code) in codes {
            assert_eq!(decoded(bytes).unwrap_err().code(), code);
        }
    }
}
