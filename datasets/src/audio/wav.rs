//! The chunks of a WAVE file, read leniently and handed on as a plain header with true lengths.
//!
//! Recorders that lose power leave lengths of 0 or of 2³²−1, tools that stream leave 2³²−1, long recordings are RF64 with
//! the length in `ds64` (EBU Tech 3306), and sloppy writers get the outer length wrong. In all of them the samples are
//! there. Symphonia trusts the lengths, so it is given ones that hold.

use std::io::{self, SeekFrom};

use super::error::{AudioError, Fault};
use super::source::{AudioSource, read_up_to};

/// A length from here on was never filled in by its writer.
const UNKNOWN_LEN: u64 = 0xFFFF_FF00;
/// The longest `fmt ` chunk kept, bytes; extensible ones have 40, ADPCM ones about 50.
const MAX_FMT_LEN: u64 = 1024;

/// Where the samples of a WAVE file lie.
pub(super) struct WavLayout {
    /// A complete header for `len` bytes of samples, to be read in front of them.
    pub header: Vec<u8>,
    /// Byte position of the samples.
    pub start: u64,
    /// Bytes of samples that are really there.
    pub len: u64,
    /// Bytes of samples that the file says it has; `None` where its writer did not know.
    pub declared_len: Option<u64>,
}

/// Walks the chunks of `source`, which is `file_len` bytes long, from byte `base`.
pub(super) fn layout(source: &mut dyn AudioSource, base: u64, file_len: u64) -> Result<WavLayout, AudioError> {
    let mut at = base + 12;
    let mut fmt: Option<Vec<u8>> = None;
    let mut long_len = None;
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
            b"data" => {
                let fmt = fmt.ok_or_else(|| AudioError::new(Fault::Corrupt, "samples before their format"))?;
                return samples(
                    &fmt,
                    body,
                    file_len.saturating_sub(body),
                    long_len.filter(|_| len >= UNKNOWN_LEN).unwrap_or(len),
                );
            }
            _ => {}
        }
        at = body + len + len % 2;
    }
}

fn samples(fmt: &[u8], start: u64, present: u64, stated: u64) -> Result<WavLayout, AudioError> {
    let field = |at: usize| fmt.get(at..at + 2).map(|bytes| u16::from_le_bytes([bytes[0], bytes[1]]));
    let (Some(channels), Some(block_align)) = (field(2), field(12)) else {
        return Err(AudioError::new(Fault::Corrupt, "short format chunk"));
    };
    // Before Symphonia sees it: it multiplies the channels in 16 bits.
    if channels > super::limits::MAX_CHANNELS as u16 {
        return Err(AudioError::new(Fault::TooManyChannels, format!("{channels} channels")));
    }
    let declared_len = (1..UNKNOWN_LEN).contains(&stated).then_some(stated);
    let declared_len = declared_len.or_else(|| (stated > u64::from(u32::MAX)).then_some(stated));
    let len = declared_len.map_or(present, |declared| declared.min(present));
    let len = len - len % u64::from(block_align.max(1));
    let mut header = b"RIFF\xFF\xFF\xFF\xFFWAVEfmt ".to_vec();
    header.extend((fmt.len() as u32).to_le_bytes());
    header.extend(fmt);
    if fmt.len() % 2 == 1 {
        header.push(0);
    }
    header.extend(b"data");
    header.extend(u32::try_from(len).unwrap_or(u32::MAX).to_le_bytes());
    Ok(WavLayout { header, start, len, declared_len })
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
        for stated in [0, u32::MAX, u32::MAX - 8] {
            let wave = decoded(wav(1, 16, 16_000, 1, &samples, stated)).unwrap();
            assert_eq!(wave.len(), 5000, "stated {stated}");
        }
    }

    #[test]
    fn a_long_header_gives_the_length_of_rf64() {
        let samples = [1_u8, 2].repeat(3000);
        let mut bytes = wav(1, 16, 16_000, 1, &samples, u32::MAX);
        bytes[..4].copy_from_slice(b"RF64");
        let sizes: Vec<u8> = [0_u64, 4000, 2000].iter().flat_map(|len| len.to_le_bytes()).collect();
        bytes.splice(12..12, [&b"ds64\x18\0\0\0"[..], &sizes].concat());
        assert_eq!(decoded(bytes).unwrap().len(), 2000);
    }

    #[test]
    fn less_than_was_declared_is_truncated() {
        let samples = [1_u8, 2].repeat(3000);
        assert_eq!(decoded(wav(1, 16, 16_000, 1, &samples, 6100)).unwrap_err().code(), "truncated");
        assert_eq!(decoded(wav(1, 16, 16_000, 1, &samples, 6010)).unwrap().len(), 3000);
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
