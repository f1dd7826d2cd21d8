//! Sound inside the page.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// Of all excerpts, Hz.
const RATE_HZ: u32 = 16_000;

/// A mono WAV of 16 bit as a data URI.
pub(super) fn data_uri(samples: &[i16]) -> String {
    format!("data:audio/wav;base64,{}", STANDARD.encode(wav(samples)))
}

/// The canonical header of 44 bytes (RIFF, `fmt ` of PCM, `data`), then the samples.
fn wav(samples: &[i16]) -> Vec<u8> {
    let size = 2 * samples.len() as u32;
    let mut bytes = Vec::with_capacity(44 + 2 * samples.len());
    bytes.extend(b"RIFF");
    bytes.extend((36 + size).to_le_bytes());
    bytes.extend(b"WAVEfmt ");
    bytes.extend(16_u32.to_le_bytes());
    // PCM, one channel.
    bytes.extend([1, 0, 1, 0]);
    bytes.extend(RATE_HZ.to_le_bytes());
    bytes.extend((2 * RATE_HZ).to_le_bytes());
    // Bytes of a frame, bits of a sample.
    bytes.extend([2, 0, 16, 0]);
    bytes.extend(b"data");
    bytes.extend(size.to_le_bytes());
    bytes.extend(samples.iter().flat_map(|sample| sample.to_le_bytes()));
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decoder_reads_the_samples_back() {
        let samples = [0, 1, -1, i16::MAX, i16::MIN];
        let mut reader = hound::WavReader::new(std::io::Cursor::new(wav(&samples))).unwrap();
        let hound::WavSpec { channels, sample_rate, bits_per_sample, .. } = reader.spec();
        assert_eq!((channels, sample_rate, bits_per_sample), (1, 16_000, 16));
        assert_eq!(reader.samples::<i16>().map(Result::unwrap).collect::<Vec<_>>(), samples);
    }
}
