"""The clips that are measured: real recordings where there are any, else made-up ones."""

from pathlib import Path

import numpy as np

from yamnet_layout import SAMPLE_RATE_HZ

CLIP_SAMPLES = 5 * SAMPLE_RATE_HZ
AUDIO = {".aiff", ".flac", ".mp3", ".ogg", ".wav"}


def recordings(folder: Path, count: int) -> list[Path]:
    """At most `count` recordings below `folder`, spread evenly over them."""
    files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in AUDIO)
    count = min(count, len(files))
    return [files[i * len(files) // count] for i in range(count)]


def real(files: list[Path]) -> np.ndarray:
    """`[clips, CLIP_SAMPLES]`: the first five seconds of each file at 16 kHz, mono; silence behind a shorter one."""
    import soundfile
    import soxr

    clips = np.zeros((len(files), CLIP_SAMPLES), np.float32)
    for clip, path in zip(clips, files, strict=True):
        samples, rate_hz = soundfile.read(path, dtype="float32", always_2d=True)
        wave = soxr.resample(samples.mean(axis=1), rate_hz, SAMPLE_RATE_HZ)[:CLIP_SAMPLES]
        clip[: len(wave)] = wave
    return clips


def made_up(count: int, seed: int = 20) -> np.ndarray:
    """`[clips, CLIP_SAMPLES]`: noise bursts, chirps and tones with harmonics in turn, over a little noise."""
    random = np.random.default_rng(seed)
    time_s = np.arange(CLIP_SAMPLES) / SAMPLE_RATE_HZ
    clips = [_one(index % 3, time_s, random) for index in range(count)]
    return np.stack(clips).astype(np.float32)


def _one(kind: int, time_s: np.ndarray, random: np.random.Generator) -> np.ndarray:
    envelope = np.zeros_like(time_s)
    for start_s in random.uniform(0.0, 4.5, random.integers(1, 6)):
        after = time_s - start_s
        envelope += np.where(after >= 0.0, np.exp(-after / random.uniform(0.05, 0.8)), 0.0)
    pitch_hz = random.uniform(100.0, 1_500.0)
    if kind == 0:
        sound = random.normal(0.0, 0.3, len(time_s))
    elif kind == 1:
        sweep_hz = pitch_hz + random.uniform(0.0, 5_000.0) * (time_s % 0.5)
        sound = np.sin(2.0 * np.pi * np.cumsum(sweep_hz) / SAMPLE_RATE_HZ)
    else:
        sound = sum(np.sin(2.0 * np.pi * pitch_hz * k * time_s) / k for k in range(1, 6)) / 2.0
    background = random.normal(0.0, 10.0 ** random.uniform(-4.0, -2.0), len(time_s))
    return 0.5 * np.clip(envelope, 0.0, 1.0) * sound + background
