//! Strangers' bytes: whatever they are, decoding ends, and ends in samples or in a code.

use std::io::{self, Cursor, Read, Seek, SeekFrom};

use proptest::prelude::*;

use super::fixtures::{FIXTURES, fixture};
use super::wav::tests::wav16;
use super::{MonoReader, Span, decode};

const CODES: [&str; 10] = [
    "empty",
    "not_audio",
    "unsupported",
    "truncated",
    "corrupt",
    "no_samples",
    "sample_rate",
    "too_many_channels",
    "non_finite",
    "span",
];

/// Decodes `bytes` and states the contract: finite samples, or a code that is not `io`.
fn survives(bytes: &[u8], span: Option<Span>) -> Result<usize, &'static str> {
    match decode(Box::new(Cursor::new(bytes.to_vec())), span) {
        Ok(wave) => {
            assert!(!wave.is_empty() && wave.iter().all(|x| x.is_finite()));
            Ok(wave.len())
        }
        Err(error) => {
            assert!(CODES.contains(&error.code()), "{error:?}");
            Err(error.code())
        }
    }
}

#[test]
fn every_truncation_of_a_fixture_is_survived() {
    for (name, _) in FIXTURES {
        let bytes = fixture(name);
        for len in (0..bytes.len()).step_by(1 + bytes.len() / 400) {
            let _ = survives(&bytes[..len], None);
        }
    }
}

#[test]
fn half_of_a_file_that_declares_its_length_is_truncated() {
    for name in ["tone_16k_s16.wav", "tone_16k_stereo.flac", "tone_44k.mp3", "tone_16k.aiff"] {
        let bytes = fixture(name);
        assert_eq!(survives(&bytes[..bytes.len() / 2], None), Err("truncated"), "{name}");
    }
}

#[test]
fn a_stream_that_was_cut_is_truncated_where_that_can_be_known() {
    let names = ["hot_44k.ogg", "tone_16k_flac.ogg", "tone_22k_bare.mp3", "tone_44k.aac", "tone_44k_stereo.ogg"];
    for name in names {
        let bytes = fixture(name);
        for tenths in [6, 8, 9] {
            let cut = &bytes[..bytes.len() * tenths / 10];
            assert_eq!(survives(cut, None), Err("truncated"), "{name} to {tenths}/10");
        }
        assert_eq!(survives(&bytes[..bytes.len() - 3], None), Err("truncated"), "{name} less 3 bytes");
    }
}

#[test]
fn an_ogg_stream_without_its_last_page_is_truncated() {
    for name in ["hot_44k.ogg", "tone_16k_flac.ogg"] {
        let bytes = fixture(name);
        let last = bytes.windows(4).rposition(|four| four == b"OggS").unwrap();
        assert_eq!(survives(&bytes[..last], None), Err("truncated"), "{name}");
    }
}

/// The AAC fixture three times over, with every packet that `bad` picks filled with ones behind its header.
fn aac_with_bad_packets(bad: impl Fn(usize) -> bool) -> Vec<u8> {
    let mut bytes = fixture("tone_44k.aac").repeat(3);
    let (mut at, mut packet) = (0, 0);
    while at < bytes.len() {
        let len =
            usize::from(bytes[at + 3] & 3) << 11 | usize::from(bytes[at + 4]) << 3 | usize::from(bytes[at + 5] >> 5);
        if bad(packet) {
            bytes[at + 7..at + len].fill(0x1F);
        }
        (at, packet) = (at + len, packet + 1);
    }
    assert!(packet > 40);
    bytes
}

#[test]
fn a_few_bad_packets_are_left_out_and_counted() {
    let bytes = aac_with_bad_packets(|packet| packet == 20 || packet == 31);
    let mut reader = MonoReader::open(Box::new(Cursor::new(bytes)), None).unwrap();
    while reader.next_block().unwrap().is_some() {}
    assert_eq!(reader.skipped_packets(), 2);
}

#[test]
fn many_bad_packets_or_a_bad_first_one_are_corrupt() {
    assert_eq!(survives(&aac_with_bad_packets(|packet| packet % 10 == 9), None), Err("corrupt"));
    assert_eq!(survives(&aac_with_bad_packets(|packet| packet == 0), None), Err("corrupt"));
}

/// A source that fails from some byte on, as a network file does.
struct Failing(Cursor<Vec<u8>>, u64);

impl Read for Failing {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if self.0.position() >= self.1 { Err(io::Error::other("connection lost")) } else { self.0.read(buf) }
    }
}

impl Seek for Failing {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.0.seek(to)
    }
}

#[test]
fn a_source_that_fails_is_not_taken_for_a_bad_file() {
    for (name, _) in FIXTURES {
        for from in [0, 500, 1500] {
            let source = Failing(Cursor::new(fixture(name).repeat(30)), from);
            assert_eq!(decode(Box::new(source), None).unwrap_err().code(), "io", "{name} from {from}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_bytes_are_survived(index in 0..FIXTURES.len(), keep in 0_usize..80, tail in proptest::collection::vec(any::<u8>(), 0..3000)) {
        let mut bytes = fixture(FIXTURES[index].0);
        bytes.truncate(keep);
        bytes.extend(tail);
        let _ = survives(&bytes, None);
    }

    #[test]
    fn changed_bytes_are_survived(index in 0..FIXTURES.len(), changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4)) {
        let mut bytes = fixture(FIXTURES[index].0);
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        let _ = survives(&bytes, None);
        let _ = survives(&bytes, Some(Span { start_s: 0.15, end_s: Some(0.25) }));
    }

    #[test]
    fn changed_headers_are_survived(index in 0..FIXTURES.len(), at in 0_usize..600, bytes4 in any::<[u8; 4]>()) {
        let mut bytes = fixture(FIXTURES[index].0);
        let at = at % (bytes.len() - 4);
        bytes[at..at + 4].copy_from_slice(&bytes4);
        let _ = survives(&bytes, None);
    }

    #[test]
    fn any_span_of_any_wave_is_survived(rate_hz in 4000_u32..50_000, n in 1_usize..5000, start_s in -0.1_f64..1.5, len_s in -0.1_f64..1.5) {
        let bytes = wav16(rate_hz, &vec![1000; n]);
        if let Ok(len) = survives(&bytes, Some(Span { start_s, end_s: Some(start_s + len_s) })) {
            prop_assert!(len as f64 <= (len_s + 0.001) * 16_000.0 + 1.0);
        }
    }
}
