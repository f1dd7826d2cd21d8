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
use super::{frames, mp4, ogg, wav};

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
    /// PCM and FLAC are sought, because there it is exact; so is ADPCM in WAV, by its blocks, which Symphonia 0.6.1 counts wrongly
    /// (frames times bytes of a block). The decoders of all others carry state, and are given packets from a little before the span on: Ogg is sought by the
    /// granule positions of its pages and MP4 by its table of packets; the packets of MP3 and ADTS are read from the beginning, but not decoded.
    pub fn open(mut source: Box<dyn AudioSource>, span: Option<Span>) -> Result<Self, AudioError> {
        let file_len = source.seek(SeekFrom::End(0)).map_err(AudioError::io)?;
        let (container, base) = recognise(&mut *source, file_len)?;
        let framing = Framing::read(&mut *source, container, (base, file_len), span)?;
        let (start, len) = framing.bytes;
        let window = Window::new(source, framing.header, start, len, framing.access).map_err(AudioError::io)?;
        let mut packets = Packets::open(container, window)?;
        packets.is_cut |= framing.is_cut;
        if let Some(frames) = framing.declared_frames.filter(|frames| *frames > 0) {
            packets.declared_frames = Some(frames);
            packets.sound.end = frames;
        }
        if let Some(edit) = framing.edit {
            packets.sound = edit.frames(packets.rate_hz);
            let last = packets.declared_frames.map_or(packets.sound.end, |frames| frames.min(packets.sound.end));
            packets.declared_frames = Some(last.saturating_sub(packets.sound.start)).filter(|_| last < u64::MAX);
        }
        let (rate_hz, declared_frames) = (packets.rate_hz, packets.declared_frames);
        let wanted = span.map_or(Ok(0..u64::MAX), |span| span.frames(rate_hz))?;
        if declared_frames.is_some_and(|frames| !Span::held_by(&wanted, frames, rate_hz)) {
            return Err(beyond_the_end(&wanted, rate_hz));
        }
        if framing.skipped_frames > 0 {
            packets.start_at(framing.skipped_frames);
        }
        let last_page = framing.last_page.map_or(0, |granule| packets.frame_of_pts(granule));
        match container {
            Container::Ogg => packets.approach(wanted.start.min(last_page))?,
            Container::Mp3 | Container::Aac | Container::Mp4 => packets.approach(wanted.start)?,
            Container::Wav | Container::Flac | Container::Aiff => {
                if framing.seeks_exactly && wanted.start > u64::from(rate_hz) {
                    packets.seek(wanted.start)?;
                }
            }
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

/// What the bytes around the packets say, read before Symphonia reads the packets.
struct Framing {
    /// To be read in front of the bytes of the window.
    header: Vec<u8>,
    /// Start and length of the window in the file.
    bytes: (u64, u64),
    access: Access,
    declared_frames: Option<u64>,
    edit: Option<mp4::Edit>,
    is_cut: bool,
    seeks_exactly: bool,
    /// Frames before the window: whole blocks of ADPCM that the span does not need.
    skipped_frames: u64,
    /// Granule position at which the last page of an Ogg stream begins, where that is known: up to there time stamps are exact.
    last_page: Option<u64>,
}

impl Framing {
    fn read(
        source: &mut dyn AudioSource,
        container: Container,
        (base, file_len): (u64, u64),
        span: Option<Span>,
    ) -> Result<Self, AudioError> {
        let mut framing = Self {
            header: Vec::new(),
            bytes: (base, file_len - base),
            access: Access::Random,
            declared_frames: None,
            edit: None,
            is_cut: false,
            seeks_exactly: matches!(container, Container::Aiff | Container::Flac),
            skipped_frames: 0,
            last_page: None,
        };
        match container {
            Container::Wav => {
                let mut layout = wav::layout(source, base, file_len)?;
                if let Some(span) = span {
                    framing.skipped_frames = layout.skip_blocks(span.frames(layout.rate_hz)?.start);
                }
                framing.header = layout.header;
                framing.bytes = (layout.start, layout.len);
                framing.declared_frames = Some(layout.declared_frames);
                framing.seeks_exactly = !layout.has_blocks;
            }
            Container::Mp3 | Container::Aac => {
                framing.access = Access::Forward;
                framing.is_cut = frames::is_last_cut(source, container, base, file_len)?;
            }
            Container::Mp4 => {
                let movie = mp4::read(source, base, file_len)?;
                (framing.edit, framing.is_cut) = (movie.edit, movie.is_cut);
            }
            Container::Ogg if span.is_some() => framing.last_page = ogg::start_of_last_page(source, base, file_len)?,
            Container::Flac | Container::Ogg | Container::Aiff => {}
        }
        Ok(framing)
    }
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
