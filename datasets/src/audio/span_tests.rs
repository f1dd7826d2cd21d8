//! Spans beyond the first second of every format, against the PCM of the same sound and against the whole recording.

use std::f64::consts::TAU;
use std::io::Cursor;

use super::container::adts_frame_len;
use super::fixtures::fixture;
use super::wav::tests::{wav, wav_f32, wav16};
use super::{Span, decode};

const SPANS: [(f64, Option<f64>); 6] =
    [(0.25, Some(0.75)), (1.5, Some(2.5)), (2.0, Some(2.1)), (3.25, Some(4.0)), (4.5, None), (5.75, Some(6.0))];

/// Six seconds at 16 kHz, a tone of another frequency in each.
fn tones() -> Vec<i16> {
    let value = |i: usize| (TAU * (300.0 + 250.0 * (i / 16_000) as f64) * (i % 16_000) as f64 / 16_000.0).sin();
    (0..96_000).map(|i| (value(i) * 9000.0) as i16).collect()
}

/// IMA ADPCM in WAV, mono, in blocks of 256 bytes and 505 frames (IMA Digital Audio Focus and Technical Working Group, 1992).
fn ima_adpcm(samples: &[i16]) -> Vec<u8> {
    const BLOCK_FRAMES: usize = 505;
    const INDEX: [i32; 8] = [-1, -1, -1, -1, 2, 4, 6, 8];
    let steps = ima_steps();
    let (mut data, mut index) = (Vec::new(), 0_i32);
    for block in samples.chunks(BLOCK_FRAMES) {
        let mut predicted = i32::from(block[0]);
        data.extend(block[0].to_le_bytes());
        data.extend([index as u8, 0]);
        let padded = (1..BLOCK_FRAMES).map(|i| i32::from(*block.get(i).unwrap_or(&0)));
        let nibbles: Vec<u8> = padded
            .map(|sample| {
                let step = steps[index as usize];
                let difference = sample - predicted;
                let size = ((difference.abs() * 4 / step).min(7)) as usize;
                let change = step / 8
                    + (if size & 4 != 0 { step } else { 0 })
                    + (if size & 2 != 0 { step / 2 } else { 0 })
                    + (if size & 1 != 0 { step / 4 } else { 0 });
                predicted = (predicted + if difference < 0 { -change } else { change }).clamp(-32_768, 32_767);
                index = (index + INDEX[size]).clamp(0, 88);
                size as u8 | if difference < 0 { 8 } else { 0 }
            })
            .collect();
        data.extend(nibbles.chunks(2).map(|pair| pair[0] | pair[1] << 4));
    }
    let mut bytes =
        b"RIFF\0\0\0\0WAVEfmt \x14\0\0\0\x11\0\x01\0\x80\x3E\0\0\x9A\x1F\0\0\0\x01\x04\0\x02\0\xF9\x01".to_vec();
    bytes.extend(b"fact\x04\0\0\0");
    bytes.extend((samples.len() as u32).to_le_bytes());
    bytes.extend(b"data");
    bytes.extend((data.len() as u32).to_le_bytes());
    bytes.extend(data);
    bytes
}

/// The 89 step sizes of IMA ADPCM.
fn ima_steps() -> Vec<i32> {
    let mut steps =
        vec![7, 8, 9, 10, 11, 12, 13, 14, 16, 17, 19, 21, 23, 25, 28, 31, 34, 37, 41, 45, 50, 55, 60, 66, 73];
    steps
        .extend([80, 88, 97, 107, 118, 130, 143, 157, 173, 190, 209, 230, 253, 279, 307, 337, 371, 408, 449, 494, 544]);
    steps
        .extend([598, 658, 724, 796, 876, 963, 1060, 1166, 1282, 1411, 1552, 1707, 1878, 2066, 2272, 2499, 2749, 3024]);
    steps.extend([3327, 3660, 4026, 4428, 4871, 5358, 5894, 6484, 7132, 7845, 8630, 9493, 10_442, 11_487, 12_635]);
    steps.extend([13_899, 15_289, 16_818, 18_500, 20_350, 22_385, 24_623, 27_086, 29_794, 32_767]);
    steps
}

/// Microsoft ADPCM in WAV, mono, in blocks of 256 bytes and 500 frames, with the first predictor (2·a − b is the second; the
/// first repeats the last sample) and a constant step that lets a reader tell the blocks apart, not a good encoder.
fn ms_adpcm(samples: &[i16]) -> Vec<u8> {
    const ADAPT: [i32; 16] = [230, 230, 230, 230, 307, 409, 512, 614, 768, 614, 512, 409, 307, 230, 230, 230];
    let mut data = Vec::new();
    for block in samples.chunks(500) {
        let at = |i: usize| i32::from(*block.get(i).unwrap_or(&0));
        let (mut delta, mut last) = (600_i32, at(1));
        data.push(0);
        data.extend((delta as i16).to_le_bytes());
        data.extend((at(1) as i16).to_le_bytes());
        data.extend((at(0) as i16).to_le_bytes());
        let nibbles: Vec<u8> = (2..500)
            .map(|i| {
                let error = ((at(i) - last) / delta).clamp(-8, 7);
                last = (last + error * delta).clamp(-32_768, 32_767);
                let nibble = (error & 15) as usize;
                delta = (ADAPT[nibble] * delta / 256).max(16);
                nibble as u8
            })
            .collect();
        data.extend(nibbles.chunks(2).map(|pair| pair[0] << 4 | pair[1]));
    }
    let mut bytes =
        b"RIFF\0\0\0\0WAVEfmt \x32\0\0\0\x02\0\x01\0\x80\x3E\0\0\0\x20\0\0\0\x01\x04\0\x20\0\xF4\x01\x07\0".to_vec();
    let coefficients = [(256_i16, 0_i16), (512, -256), (0, 0), (192, 64), (240, 0), (460, -208), (392, -232)];
    bytes.extend(coefficients.iter().flat_map(|(a, b)| [a.to_le_bytes(), b.to_le_bytes()].concat()));
    bytes.extend(b"fact\x04\0\0\0");
    bytes.extend((samples.len() as u32).to_le_bytes());
    bytes.extend(b"data");
    bytes.extend((data.len() as u32).to_le_bytes());
    bytes.extend(data);
    bytes
}

/// FLAC with blocks of 1000 samples that are stored verbatim (RFC 9639).
fn flac(samples: &[i16]) -> Vec<u8> {
    let crc = |bytes: &[u8], polynomial: u32, bits: u32| {
        bytes.iter().fold(0_u32, |crc, byte| {
            (0..8).fold(crc ^ u32::from(*byte) << (bits - 8), |crc, _| {
                let shifted = crc << 1;
                (if crc >> (bits - 1) & 1 == 1 { shifted ^ polynomial } else { shifted }) & ((1 << bits) - 1)
            })
        })
    };
    let mut bytes = b"fLaC\x80\0\0\x22\x03\xE8\x03\xE8\0\0\0\0\0\0\x03\xE8\x00\xF0".to_vec();
    bytes.extend((samples.len() as u32).to_be_bytes());
    bytes.extend([0; 16]);
    for (number, block) in samples.chunks(1000).enumerate() {
        let mut frame = vec![0xFF, 0xF8, 0x70, 0x08, number as u8];
        frame.extend((block.len() as u16 - 1).to_be_bytes());
        frame.push(crc(&frame, 0x07, 8) as u8);
        frame.push(2);
        frame.extend(block.iter().flat_map(|sample| sample.to_be_bytes()));
        let sum = crc(&frame, 0x8005, 16) as u16;
        frame.extend(sum.to_be_bytes());
        bytes.extend(frame);
    }
    bytes
}

/// The packets of [`flac`] in an Ogg stream, four to a page (RFC 9639, 10.1).
fn ogg_flac(samples: &[i16], first_granule: u64) -> Vec<u8> {
    let native = flac(samples);
    let mut stream_info = b"\x7FFLAC\x01\0\0\x01fLaC\0".to_vec();
    stream_info.extend(&native[5..42]);
    let comment = b"\x84\0\0\x08\0\0\0\0\0\0\0\0".to_vec();
    let mut bytes = ogg_page(2, 0, 0, &[&stream_info]);
    bytes.extend(ogg_page(0, 0, 1, &[&comment]));
    let packets: Vec<&[u8]> = native[42..].chunks(2011).collect();
    for (number, page) in packets.chunks(4).enumerate() {
        let end = (4000 * number as u64 + 4000).min(samples.len() as u64);
        let flags = if end == samples.len() as u64 { 4 } else { 0 };
        bytes.extend(ogg_page(flags, first_granule + end, number as u32 + 2, page));
    }
    bytes
}

fn ogg_page(flags: u8, granule: u64, number: u32, packets: &[&[u8]]) -> Vec<u8> {
    let mut page = b"OggS\0".to_vec();
    page.push(flags);
    page.extend(granule.to_le_bytes());
    page.extend([7, 0, 0, 0]);
    page.extend(number.to_le_bytes());
    page.extend([0; 4]);
    let segments =
        packets.iter().flat_map(|packet| [vec![255; packet.len() / 255], vec![(packet.len() % 255) as u8]].concat());
    let segments: Vec<u8> = segments.collect();
    page.push(segments.len() as u8);
    page.extend(segments);
    page.extend(packets.concat());
    let crc = page.iter().fold(0_u32, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte) << 24, |crc, _| crc << 1 ^ if crc >> 31 == 1 { 0x04C1_1DB7 } else { 0 })
    });
    page[22..26].copy_from_slice(&crc.to_le_bytes());
    page
}

fn aiff(samples: &[i16]) -> Vec<u8> {
    let len = samples.len() as u32;
    let mut bytes = b"FORM".to_vec();
    bytes.extend((46 + 2 * len).to_be_bytes());
    bytes.extend(b"AIFFCOMM\0\0\0\x12\0\x01");
    bytes.extend(len.to_be_bytes());
    bytes.extend(b"\0\x10\x40\x0C\xFA\0\0\0\0\0\0\0SSND");
    bytes.extend((8 + 2 * len).to_be_bytes());
    bytes.extend([0; 8]);
    bytes.extend(samples.iter().flat_map(|sample| sample.to_be_bytes()));
    bytes
}

fn rf64(samples: &[i16]) -> Vec<u8> {
    let data: Vec<u8> = samples.iter().flat_map(|sample| sample.to_le_bytes()).collect();
    let mut bytes = wav(1, 16, 16_000, 1, &data, u32::MAX);
    bytes[..4].copy_from_slice(b"RF64");
    let sizes: Vec<u8> = [0, data.len() as u64, 0].iter().flat_map(|len| len.to_le_bytes()).collect();
    bytes.splice(12..12, [&b"ds64\x18\0\0\0"[..], &sizes].concat());
    bytes
}

fn decoded(bytes: &[u8], span: Option<Span>) -> Vec<f32> {
    decode(Box::new(Cursor::new(bytes.to_vec())), span).unwrap()
}

/// The samples of `whole` at 16 kHz that a span covers.
fn part(whole: &[f32], start_s: f64, end_s: Option<f64>) -> &[f32] {
    let at = |time_s: f64| ((time_s * 16_000.0).round() as usize).min(whole.len());
    &whole[at(start_s)..end_s.map_or(whole.len(), at)]
}

#[test]
fn a_span_of_every_format_that_the_test_writes_is_the_same_part_of_the_sound() {
    let samples = tones();
    let sound: Vec<f32> = samples.iter().map(|sample| f32::from(*sample) / 32_768.0).collect();
    let cases = [
        ("PCM", wav16(16_000, &samples), 0.0),
        ("float", wav_f32(16_000, &sound), 0.0),
        ("RF64", rf64(&samples), 0.0),
        ("AIFF", aiff(&samples), 0.0),
        ("FLAC", flac(&samples), 0.0),
        ("FLAC in Ogg", ogg_flac(&samples, 0), 0.0),
        ("FLAC in Ogg from an hour on", ogg_flac(&samples, 57_600_000), 0.0),
        ("IMA ADPCM", ima_adpcm(&samples), 0.05),
        ("Microsoft ADPCM", ms_adpcm(&samples), 0.1),
    ];
    for (name, bytes, tolerance) in cases {
        let whole = decoded(&bytes, None);
        assert_eq!(whole.len(), sound.len(), "{name}");
        for (start_s, end_s) in SPANS {
            let wave = decoded(&bytes, Some(Span { start_s, end_s }));
            assert_eq!(wave, part(&whole, start_s, end_s), "{name} from {start_s} s");
            let pairs = wave.iter().zip(part(&sound, start_s, end_s));
            let worst = pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(worst <= tolerance, "{name} from {start_s} s: {worst}");
        }
    }
}

/// The frames of an ADTS stream in an MP4 file (ISO 14496-12 and 14496-14), with an edit list that leaves out the first `delay` of them.
fn m4a(adts: &[u8], delay: u32) -> Vec<u8> {
    let (mut packets, mut rest) = (Vec::new(), adts);
    while let Some(len) = adts_frame_len(rest) {
        packets.push(&rest[7..len]);
        rest = &rest[len..];
    }
    let boxed = |id: &[u8; 4], body: &[&[u8]]| {
        let body = body.concat();
        [&(body.len() as u32 + 8).to_be_bytes()[..], id, &body].concat()
    };
    let words = |words: &[u32]| words.iter().flat_map(|word| word.to_be_bytes()).collect::<Vec<u8>>();
    let count = packets.len() as u32;
    let ftyp = boxed(b"ftyp", &[b"M4A \0\0\0\0M4A "]);
    let mdat = boxed(b"mdat", &packets);
    // Object type, index of the sample rate and channels, as the first header has them.
    let config = u16::from((adts[2] >> 6) + 1) << 11
        | u16::from(adts[2] >> 2 & 15) << 7
        | (u16::from(adts[2] & 1) << 2 | u16::from(adts[3] >> 6)) << 3;
    let decoder = [&[4, 17, 0x40, 0x15][..], &[0; 11], &[5, 2], &config.to_be_bytes()].concat();
    let esds = boxed(b"esds", &[&[0; 4], &[3, 25, 0, 0, 0], &decoder, &[6, 1, 2]]);
    let mp4a = boxed(b"mp4a", &[&[0; 6], &[0, 1], &[0; 8], &[0, 1, 0, 16], &[0; 4], &words(&[44_100 << 16]), &esds]);
    let stbl = boxed(
        b"stbl",
        &[
            &boxed(b"stsd", &[&words(&[0, 1]), &mp4a]),
            &boxed(b"stts", &[&words(&[0, 1, count, 1024])]),
            &boxed(b"stsc", &[&words(&[0, 1, 1, count, 1])]),
            &boxed(
                b"stsz",
                &[&words(&[0, 0, count]), &words(&packets.iter().map(|p| p.len() as u32).collect::<Vec<_>>())],
            ),
            &boxed(b"stco", &[&words(&[0, 1, ftyp.len() as u32 + 8])]),
        ],
    );
    let mdia = boxed(
        b"mdia",
        &[
            &boxed(b"mdhd", &[&words(&[0, 0, 0, 44_100, count * 1024, 0])]),
            &boxed(b"hdlr", &[&words(&[0, 0]), b"soun", &[0; 13]]),
            &boxed(b"minf", &[&boxed(b"smhd", &[&[0; 8]]), &stbl]),
        ],
    );
    let edts = boxed(b"edts", &[&boxed(b"elst", &[&words(&[0, 1, count * 1024 - delay, delay, 1 << 16])])]);
    let tkhd = boxed(b"tkhd", &[&words(&[0, 0, 0, 1, 0, count * 1024]), &[0; 60]]);
    let mvhd = boxed(b"mvhd", &[&words(&[0, 0, 0, 44_100, count * 1024]), &[0; 80]]);
    [ftyp, mdat, boxed(b"moov", &[&mvhd, &boxed(b"trak", &[&tkhd, &edts, &mdia])])].concat()
}

/// Asserts that spans of a recording whose decoder carries state are the same parts of the whole. They begin at whole frames of 44.1 and 22.05 kHz and of
/// 16 kHz: others are rounded to frames before they are resampled.
fn assert_spans_of_the_whole(name: &str, bytes: &[u8]) -> Vec<f32> {
    let whole = decoded(bytes, None);
    let spans =
        [(0.24, Some(0.74)), (1.5, Some(2.5)), (2.0, Some(2.1)), (3.26, Some(4.0)), (4.5, None), (5.72, Some(5.9))];
    for (start_s, end_s) in spans {
        let wave = decoded(bytes, Some(Span { start_s, end_s }));
        let expected = part(&whole, start_s, end_s);
        assert!(wave.len().abs_diff(expected.len()) <= 1, "{name} from {start_s} s");
        // The edges differ: a span is cut out before it is resampled.
        let inner = 500..expected.len().min(wave.len()) - 500;
        let error: f32 = inner.clone().map(|i| (wave[i] - expected[i]).powi(2)).sum();
        let energy: f32 = inner.map(|i| expected[i].powi(2)).sum();
        assert!(error < 1e-4 * energy, "{name} from {start_s} s: {error} of {energy}");
    }
    whole
}

#[test]
fn a_span_of_a_lossy_stream_is_the_same_part_of_the_whole() {
    for name in ["tone_44k.aac", "tone_22k_bare.mp3"] {
        assert_spans_of_the_whole(name, &fixture(name).repeat(15));
    }
}

#[test]
fn a_span_of_m4a_is_the_same_part_of_the_whole_and_of_the_stream_in_it() {
    let adts = fixture("tone_44k.aac").repeat(15);
    let stream = decoded(&adts, None);
    // Multiples of 441, so that the resampled grids agree.
    for delay in [0, 882, 2205] {
        let whole = assert_spans_of_the_whole("M4A", &m4a(&adts, delay));
        // A second on, at 16 kHz.
        let from = 16_000 + (f64::from(delay) * 16_000.0 / 44_100.0).round() as usize;
        let energy: f32 = stream[from..from + 16_000].iter().map(|x| x * x).sum();
        let error: f32 = (0..16_000).map(|i| (whole[16_000 + i] - stream[from + i]).powi(2)).sum();
        assert!(error < 0.05 * energy, "delay {delay}: {error} of {energy}");
    }
}

/// Real clips of five seconds, where they are there (`ECOSIGHT_TEST_DATA`).
fn vorbis_clips() -> Vec<Vec<u8>> {
    let data =
        std::env::var("ECOSIGHT_TEST_DATA").unwrap_or_else(|_| format!("{}/../../shared", env!("CARGO_MANIFEST_DIR")));
    let folder = |class: &str| std::path::Path::new(&data).join("audio/esc10").join(class);
    let classes = ["chainsaw", "dog", "rain", "rooster"];
    let files = classes.iter().filter_map(|class| std::fs::read_dir(folder(class)).ok()).flat_map(|files| {
        let mut paths: Vec<_> = files.filter_map(|file| Some(file.ok()?.path())).collect();
        paths.sort();
        paths.into_iter().filter(|path| path.extension().is_some_and(|name| name == "ogg")).take(2)
    });
    files.map(|path| std::fs::read(path).unwrap()).collect()
}

#[test]
fn a_span_of_vorbis_is_the_same_part_of_the_whole() {
    for bytes in vorbis_clips() {
        let whole = decoded(&bytes, None);
        for (start_s, end_s) in [(1.5, Some(2.5)), (2.9, Some(3.3)), (3.25, Some(4.0)), (4.5, None), (4.8, Some(5.0))] {
            let wave = decoded(&bytes, Some(Span { start_s, end_s }));
            let expected = part(&whole, start_s, end_s);
            assert_eq!(wave.len(), expected.len(), "from {start_s} s");
            let inner = 500..expected.len() - 500;
            let error: f32 = inner.clone().map(|i| (wave[i] - expected[i]).powi(2)).sum();
            let energy: f32 = inner.map(|i| expected[i].powi(2)).sum();
            assert!(error <= 1e-4 * energy + 1e-9, "from {start_s} s: {error} of {energy}");
        }
    }
}
