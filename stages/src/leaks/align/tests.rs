use std::f32::consts::TAU;

use ecosight_models::frontend::LogMel;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::*;

const SECOND: usize = 16_000;

/// White noise, as steady as rain.
fn noise(seed: u64, seconds: usize) -> Vec<f32> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    (0..seconds * SECOND).map(|_| rng.random_range(-0.2..0.2)).collect()
}

/// Chirps of random pitch at random times over faint noise.
fn calls(seed: u64, seconds: usize) -> Vec<f32> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut samples: Vec<f32> = noise(seed + 1000, seconds).iter().map(|x| x * 0.02).collect();
    for _ in 0..4 * seconds {
        let (start, from) = (rng.random_range(0..samples.len()), rng.random_range(300.0..4000.0f32));
        let slope = rng.random_range(-0.05..0.2f32);
        for (i, sample) in samples[start..].iter_mut().take(3200).enumerate() {
            let phase = TAU * (from * i as f32 + slope * (i * i) as f32 / 2.0) / SECOND as f32;
            *sample += 0.3 * (i as f32 / 3200.0 * TAU / 2.0).sin() * phase.sin();
        }
    }
    samples
}

fn fingerprint(samples: &[f32]) -> Fingerprint {
    let mut logmel = Vec::new();
    LogMel::new().rows(samples, &mut logmel);
    Fingerprint::new(&logmel)
}

fn aligned(a: &[f32], b: &[f32]) -> Option<Match> {
    align(&fingerprint(a), &fingerprint(b))
}

/// What a poor codec does: an upper limit of the spectrum (a moving average) and coarse steps.
fn degraded(samples: &[f32]) -> Vec<f32> {
    samples.windows(3).map(|x| ((x[0] + 2.0 * x[1] + x[2]) * 128.0).round() / 512.0).collect()
}

#[test]
fn trimmed_degraded_and_quiet_copies_are_found_where_they_lie() {
    for whole in [noise(1, 5), calls(1, 5)] {
        // Not a whole number of hops.
        let part: Vec<f32> = degraded(&whole[20_075..52_075]).iter().map(|x| x * 0.1).collect();
        let found = aligned(&whole, &part).expect("a copy");
        assert!((found.offset_s - 20_075.0 / 16_000.0).abs() <= 0.01, "{found:?}");
        assert!((found.overlap_s - 2.0).abs() < 0.05 && found.similarity > 0.4, "{found:?}");
        let back = aligned(&part, &whole).expect("a copy");
        let differences =
            [back.offset_s + found.offset_s, back.overlap_s - found.overlap_s, back.similarity - found.similarity];
        assert!(differences.iter().all(|x| x.abs() < 1e-9), "{found:?}, backwards {back:?}");
    }
}

#[test]
fn a_clip_is_its_own_copy_at_any_volume() {
    let clip = calls(2, 3);
    let found = aligned(&clip, &clip.iter().map(|x| x * 0.3).collect::<Vec<_>>()).expect("a copy");
    assert!(found.offset_s.abs() < 1e-9 && found.similarity > 0.9, "{found:?}");
    let same = aligned(&clip, &clip).expect("a copy");
    assert!((same.similarity - 1.0).abs() < 1e-9, "{same:?}");
}

#[test]
fn a_shifted_copy_in_silence_is_found_by_what_is_heard() {
    let call = &calls(3, 1)[..SECOND];
    let within = |before: usize| [vec![0.0; before], call.to_vec(), vec![0.0; 4 * SECOND - before]].concat();
    let found = aligned(&within(1_600), &within(1_600 + 5_920)).expect("a copy");
    assert!((found.offset_s + 0.37).abs() < 1e-9, "{found:?}");
}

#[test]
fn different_recordings_of_one_kind_are_no_copies() {
    for seed in 0..6 {
        for other in 0..seed {
            assert_eq!(aligned(&noise(seed, 3), &noise(other, 2)), None);
            assert_eq!(aligned(&calls(seed, 3), &calls(other, 2)), None);
        }
    }
    // The same rhythm at different pitches.
    let ticks = |hz: f32| -> Vec<f32> {
        let tick = |i: usize| (-((i % 8_000) as f32) / 400.0).exp() * (TAU * hz * i as f32 / SECOND as f32).sin();
        noise(hz as u64, 4).iter().enumerate().map(|(i, x)| 0.5 * tick(i) + 0.01 * x).collect()
    };
    assert_eq!(aligned(&ticks(900.0), &ticks(2_100.0)), None);
}

#[test]
fn parts_of_a_recording_that_do_not_overlap_are_no_copies() {
    for whole in [noise(4, 6), calls(4, 6)] {
        assert_eq!(aligned(&whole[..3 * SECOND], &whole[3 * SECOND..]), None);
        // A second in common is.
        let found = aligned(&whole[..3 * SECOND], &whole[2 * SECOND..]).expect("a copy");
        assert!((found.offset_s - 2.0).abs() < 1e-9 && (found.overlap_s - 1.0).abs() < 0.05, "{found:?}");
    }
}

#[test]
fn silence_hums_and_too_little_sound_match_nothing() {
    let silence = vec![0.0; 3 * SECOND];
    let hum: Vec<f32> = (0..3 * SECOND).map(|i| 0.3 * (TAU * 200.0 * i as f32 / SECOND as f32).sin()).collect();
    for clip in [silence, hum, noise(5, 1)[..4_000].to_vec(), Vec::new()] {
        assert_eq!(aligned(&clip, &clip), None);
        assert_eq!(aligned(&clip, &noise(6, 3)), None);
    }
}

#[test]
fn a_part_of_a_long_recording_is_found() {
    let long = noise(7, 60);
    let found = aligned(&long, &degraded(&long[40 * SECOND..42 * SECOND])).expect("a copy");
    assert!((found.offset_s - 40.0).abs() <= 0.01, "{found:?}");
}
