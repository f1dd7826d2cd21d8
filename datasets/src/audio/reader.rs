//! A recording as blocks of 16 kHz mono samples.

use std::io::SeekFrom;
use std::ops::Range;

use super::SAMPLE_RATE_HZ;
use super::container::{Container, id3v2_len, sniff};
use super::error::{AudioError, Fault};
use super::limits::check_finite;
use super::packets::Packets;
use super::resample::Resampler;
use super::source::{Access, AudioSource, Window, read_up_to};
use super::span::Span;
use super::wav;

/// Bytes looked at to recognise the format: beyond the longest MPEG frame, so that its follower is seen.
const HEAD_LEN: usize = 4096;
/// Tags that may stand in front of the audio, one behind the other.
const MAX_TAGS: usize = 4;

/// What a recording is, before any mixing or resampling.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Info {
    /// Its format.
    pub container: Container,
    /// Its own sample rate, Hz.
    pub sample_rate_hz: u32,
    /// Its channels.
    pub channels: usize,
    /// Its length in seconds where the container tells it.
    pub duration_s: Option<f64>,
}

/// Reads a recording, or a span of it, as blocks of 16 kHz mono samples in bounded memory.
pub struct MonoReader {
    packets: Packets,
    resampler: Resampler,
    info: Info,
    /// The frames to hand out, at the rate of the recording.
    wanted: Range<u64>,
    block: Vec<f32>,
    finished: bool,
}

impl MonoReader {
    /// Recognises the format, reads the header and finds the start of the span.
    ///
    /// PCM and FLAC are sought; lossy formats are decoded up to the span, because their decoders carry state.
    pub fn open(mut source: Box<dyn AudioSource>, span: Option<Span>) -> Result<Self, AudioError> {
        let file_len = source.seek(SeekFrom::End(0)).map_err(AudioError::io)?;
        let (container, base) = recognise(&mut *source, file_len)?;
        let mut declared_len = None;
        let window = match container {
            Container::Wav => {
                let layout = wav::layout(&mut *source, base, file_len)?;
                declared_len = layout.declared_len.map(|declared| (declared, layout.len));
                Window::new(source, layout.header, layout.start, layout.len, Access::Random)
            }
            Container::Mp3 | Container::Aac => Window::new(source, Vec::new(), base, file_len - base, Access::Forward),
            _ => Window::new(source, Vec::new(), base, file_len - base, Access::Random),
        };
        let mut packets = Packets::open(container, window.map_err(AudioError::io)?)?;
        if let (Some((declared, present)), Some(frames)) = (declared_len, packets.declared_frames) {
            // Frames per byte are constant, so the share of bytes that is missing is the share of frames.
            packets.declared_frames =
                Some((u128::from(frames) * u128::from(declared) / u128::from(present.max(1))) as u64);
        }
        let (rate_hz, declared_frames) = (packets.rate_hz, packets.declared_frames);
        let wanted = span.map_or(Ok(0..u64::MAX), |span| span.frames(rate_hz))?;
        if declared_frames.is_some_and(|frames| !Span::held_by(&wanted, frames, rate_hz)) {
            return Err(beyond_the_end(&wanted, rate_hz));
        }
        let seekable = matches!(container, Container::Wav | Container::Aiff | Container::Flac);
        if seekable && wanted.start > u64::from(rate_hz) {
            packets.seek(wanted.start)?;
        }
        let info = Info {
            container,
            sample_rate_hz: rate_hz,
            channels: packets.channels,
            duration_s: declared_frames.map(|frames| frames as f64 / f64::from(rate_hz)),
        };
        let resampler = Resampler::new(rate_hz, SAMPLE_RATE_HZ);
        Ok(Self { packets, resampler, info, wanted, block: Vec::new(), finished: false })
    }

    /// What the recording is.
    pub fn info(&self) -> &Info {
        &self.info
    }

    /// Packets so far that could not be decoded and were left out. More than 5 % of them is a `corrupt` error.
    pub fn skipped_packets(&self) -> u64 {
        self.packets.skipped()
    }

    /// The next samples, `[n]` at 16 kHz with n > 0; `None` when the span or the recording is at its end.
    ///
    /// Errors may come late: that a recording is truncated is known at its end.
    pub fn next_block(&mut self) -> Result<Option<&[f32]>, AudioError> {
        self.block.clear();
        while self.block.is_empty() {
            if self.finished {
                return Ok(None);
            }
            self.read_packet()?;
        }
        check_finite(&self.block)?;
        Ok(Some(&self.block))
    }

    fn read_packet(&mut self) -> Result<(), AudioError> {
        if self.packets.position() >= self.wanted.end {
            self.packets.check_failures()?;
            self.finish();
            return Ok(());
        }
        let Some((start, frames)) = self.packets.next()? else {
            if !Span::held_by(&self.wanted, self.packets.position(), self.info.sample_rate_hz) {
                return Err(beyond_the_end(&self.wanted, self.info.sample_rate_hz));
            }
            self.finish();
            return Ok(());
        };
        let inside = |frame: u64| usize::try_from(frame.saturating_sub(start)).unwrap_or(usize::MAX).min(frames.len());
        self.resampler.push(&frames[inside(self.wanted.start)..inside(self.wanted.end)], &mut self.block);
        Ok(())
    }

    fn finish(&mut self) {
        self.finished = true;
        self.resampler.finish(&mut self.block);
    }
}

/// The whole recording, or a span of it, as 16 kHz mono samples `[n]` with n > 0.
pub fn decode(source: Box<dyn AudioSource>, span: Option<Span>) -> Result<Vec<f32>, AudioError> {
    let mut reader = MonoReader::open(source, span)?;
    let mut wave = Vec::new();
    while let Some(block) = reader.next_block()? {
        wave.extend_from_slice(block);
    }
    if wave.is_empty() { Err(AudioError::new(Fault::NoSamples, "")) } else { Ok(wave) }
}

fn beyond_the_end(wanted: &Range<u64>, rate_hz: u32) -> AudioError {
    let start_s = wanted.start as f64 / f64::from(rate_hz);
    AudioError::new(Fault::Span, format!("the recording ends before the span from {start_s} s on does"))
}

/// The container and the byte at which it begins, behind any `ID3v2` tags.
fn recognise(source: &mut dyn AudioSource, file_len: u64) -> Result<(Container, u64), AudioError> {
    if file_len == 0 {
        return Err(AudioError::new(Fault::Empty, ""));
    }
    let mut base = 0;
    for _ in 0..=MAX_TAGS {
        let mut head = [0; HEAD_LEN];
        source.seek(SeekFrom::Start(base)).map_err(AudioError::io)?;
        let count = read_up_to(source, &mut head).map_err(AudioError::io)?;
        match id3v2_len(&head[..count]) {
            Some(len) => base += len as u64,
            None if base == 0 => {
                return sniff(&head[..count])
                    .map(|found| (found, base))
                    .ok_or_else(|| AudioError::new(Fault::NotAudio, ""));
            }
            // Padding between a tag and the first frame is common: the MPEG reader looks for the frame itself.
            None if count > 0 => return Ok((sniff(&head[..count]).unwrap_or(Container::Mp3), base)),
            None => break,
        }
    }
    Err(AudioError::new(Fault::Truncated, "nothing behind the tag"))
}
