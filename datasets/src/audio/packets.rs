//! Packets of a recording decoded to mono frames at its own rate, and the policy for those that fail.

use symphonia::core::codecs::audio::{AudioDecoder, AudioDecoderOptions};
use symphonia::core::errors::Error as Symphonia;
use symphonia::core::formats::{FormatOptions, FormatReader, SeekMode, SeekTo, Track, TrackType};
use symphonia::core::io::{MediaSourceStream, MediaSourceStreamOptions};
use symphonia::core::units::Timestamp;
use symphonia::default::{formats, get_codecs};

use super::contain::contain;
use super::container::Container;
use super::error::{AudioError, Fault};
use super::limits::{check_channels, check_finite, check_rate};
use super::source::{SourceFailure, Window};

/// This many packets that fail in a row end the reading.
const MAX_FAILED_IN_A_ROW: u64 = 16;

/// A decoder of one audio track.
pub(super) struct Packets {
    format: Box<dyn FormatReader>,
    decoder: Box<dyn AudioDecoder>,
    track_id: u32,
    /// Frames that the container says the track has.
    pub declared_frames: Option<u64>,
    pub rate_hz: u32,
    pub channels: usize,
    planes: Vec<Vec<f32>>,
    mono: Vec<f32>,
    /// The first packet, decoded while opening, has not been handed out yet.
    first_waits: bool,
    /// Position in the recording behind the frames handed out.
    frame: u64,
    /// Frames that the packets which failed since the last good one would have held, as far as is known.
    lost_frames: u64,
    last_packet_frames: u64,
    decoded: u64,
    skipped: u64,
    failed_in_a_row: u64,
}

impl Packets {
    /// Opens the first audio track and decodes its first packet: only that tells the true rate and channels.
    pub(super) fn open(container: Container, window: Window) -> Result<Self, AudioError> {
        contain(|| Self::open_trusting(container, window))
    }

    fn open_trusting(container: Container, window: Window) -> Result<Self, AudioError> {
        let stream = MediaSourceStream::new(Box::new(window), MediaSourceStreamOptions::default());
        let format = demuxer(container, stream)?;
        let track = format
            .default_track(TrackType::Audio)
            .ok_or_else(|| AudioError::new(Fault::Unsupported, "no audio track"))?;
        let (track_id, declared_frames) = (track.id, declared_frames(container, track));
        let params = track.codec_params.as_ref().and_then(|params| params.audio());
        let params = params.ok_or_else(|| AudioError::new(Fault::Unsupported, "unknown codec"))?;
        if let Some(rate_hz) = params.sample_rate {
            check_rate(rate_hz)?;
        }
        if let Some(channels) = &params.channels {
            check_channels(channels.count())?;
        }
        let decoder = get_codecs().make_audio_decoder(params, &AudioDecoderOptions::default())?;
        let mut packets = Self {
            format,
            decoder,
            track_id,
            declared_frames,
            rate_hz: 0,
            channels: 0,
            planes: Vec::new(),
            mono: Vec::new(),
            first_waits: false,
            frame: 0,
            lost_frames: 0,
            last_packet_frames: 0,
            decoded: 0,
            skipped: 0,
            failed_in_a_row: 0,
        };
        if !packets.advance()? {
            return Err(packets.nothing_came());
        }
        packets.first_waits = true;
        Ok(packets)
    }

    /// The next frames, `[n]` mono with n > 0, and the position of the first; `None` at the end of the recording.
    pub(super) fn next(&mut self) -> Result<Option<(u64, &[f32])>, AudioError> {
        if !std::mem::take(&mut self.first_waits) && !contain(|| self.advance())? {
            self.check_complete()?;
            return Ok(None);
        }
        let start = self.frame;
        self.frame += self.mono.len() as u64;
        Ok(Some((start, &self.mono)))
    }

    /// Jumps to the packet that holds `frame`, or to one before it.
    pub(super) fn seek(&mut self, frame: u64) -> Result<(), AudioError> {
        let ts = Timestamp::new(i64::try_from(frame).map_err(|_| AudioError::new(Fault::Span, ""))?);
        let to = SeekTo::Timestamp { ts, track_id: self.track_id };
        let seeked = contain(|| Ok(self.format.seek(SeekMode::Accurate, to)?))?;
        self.frame = u64::try_from(seeked.actual_ts.get()).unwrap_or(0);
        self.decoder.reset();
        self.first_waits = false;
        Ok(())
    }

    /// Position in the recording behind the frames handed out so far.
    pub(super) fn position(&self) -> u64 {
        self.frame
    }

    pub(super) fn skipped(&self) -> u64 {
        self.skipped
    }

    /// Fails when more than 5 % of the packets so far could not be decoded.
    pub(super) fn check_failures(&self) -> Result<(), AudioError> {
        if self.skipped * 20 > self.skipped + self.decoded {
            let detail = format!("{} of {} packets", self.skipped, self.skipped + self.decoded);
            return Err(AudioError::new(Fault::Corrupt, detail));
        }
        Ok(())
    }

    fn check_complete(&self) -> Result<(), AudioError> {
        self.check_failures()?;
        let came = self.frame + self.lost_frames;
        match self.declared_frames {
            Some(declared) if came < declared - declared / 100 => {
                Err(AudioError::new(Fault::Truncated, format!("{came} of {declared} frames")))
            }
            _ => Ok(()),
        }
    }

    fn nothing_came(&self) -> AudioError {
        match (self.skipped, self.declared_frames) {
            (1.., _) => AudioError::new(Fault::Corrupt, "no packet could be decoded"),
            (_, Some(1..)) => AudioError::new(Fault::Truncated, "nothing behind the header"),
            _ => AudioError::new(Fault::NoSamples, ""),
        }
    }

    /// Decodes up to the next packet that holds frames, into `mono`; false at the end.
    fn advance(&mut self) -> Result<bool, AudioError> {
        loop {
            let packet = match self.format.next_packet() {
                Ok(Some(packet)) if packet.track_id == self.track_id => packet,
                Ok(Some(_)) => continue,
                Ok(None) => return Ok(false),
                Err(Symphonia::IoError(error)) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
                    return Ok(false);
                }
                Err(error) => {
                    self.skip(self.last_packet_frames, error)?;
                    continue;
                }
            };
            let packet_frames = packet.dur.get().min(1 << 20);
            match self.decoder.decode(&packet) {
                Ok(buffer) => {
                    let spec = (buffer.spec().rate(), buffer.num_planes());
                    buffer.copy_to_vecs_planar::<f32>(&mut self.planes);
                    self.decoded += 1;
                    self.failed_in_a_row = 0;
                    self.last_packet_frames = packet_frames;
                    if self.planes.first().is_some_and(|plane| !plane.is_empty()) {
                        self.take_spec(spec)?;
                        self.mix_down()?;
                        return Ok(true);
                    }
                }
                Err(error) => self.skip(packet_frames, error)?,
            }
        }
    }

    /// Counts a packet that failed, or gives up: on the first packet, on too many in a row, on what cannot get better.
    fn skip(&mut self, frames: u64, error: Symphonia) -> Result<(), AudioError> {
        let recoverable = match &error {
            // A damaged packet can look like a feature that is not supported.
            Symphonia::DecodeError(_) | Symphonia::Unsupported(_) => true,
            Symphonia::IoError(error) => !SourceFailure::caused(error),
            _ => false,
        };
        self.skipped += 1;
        self.failed_in_a_row += 1;
        self.lost_frames += frames;
        if recoverable && self.decoded > 0 && self.failed_in_a_row < MAX_FAILED_IN_A_ROW {
            return Ok(());
        }
        match error {
            Symphonia::IoError(error) if recoverable => Err(AudioError::new(Fault::Corrupt, error.to_string())),
            error => Err(error.into()),
        }
    }

    fn take_spec(&mut self, (rate_hz, channels): (u32, usize)) -> Result<(), AudioError> {
        if self.rate_hz == 0 {
            check_rate(rate_hz)?;
            check_channels(channels)?;
            (self.rate_hz, self.channels) = (rate_hz, channels);
        } else if (self.rate_hz, self.channels) != (rate_hz, channels) {
            let detail = format!("{} Hz × {} becomes {rate_hz} Hz × {channels}", self.rate_hz, self.channels);
            return Err(AudioError::new(Fault::Unsupported, detail));
        }
        Ok(())
    }

    fn mix_down(&mut self) -> Result<(), AudioError> {
        let (first, others) = self.planes.split_first().expect("a buffer with frames has a plane");
        self.mono.clear();
        // Silence stands for what was lost, so that everything behind it keeps its place in time.
        self.mono.resize(std::mem::take(&mut self.lost_frames) as usize, 0.0);
        let lost = self.mono.len();
        self.mono.extend_from_slice(first);
        if !others.is_empty() {
            for plane in others {
                self.mono[lost..].iter_mut().zip(plane).for_each(|(sum, x)| *sum += x);
            }
            let weight = 1.0 / self.planes.len() as f32;
            self.mono.iter_mut().for_each(|sum| *sum *= weight);
        }
        check_finite(&self.mono)
    }
}

/// What the container says about its length. An Ogg stream says nothing: its length is that of its last page.
fn declared_frames(container: Container, track: &Track) -> Option<u64> {
    track.num_frames.filter(|frames| container != Container::Ogg && *frames > 0 && *frames < u64::from(u32::MAX))
}

fn demuxer(container: Container, stream: MediaSourceStream<'static>) -> Result<Box<dyn FormatReader>, Symphonia> {
    let options = FormatOptions::default();
    Ok(match container {
        Container::Wav => Box::new(formats::WavReader::try_new(stream, options)?),
        Container::Flac => Box::new(formats::FlacReader::try_new(stream, options)?),
        Container::Mp3 => Box::new(formats::MpaReader::try_new(stream, options)?),
        Container::Ogg => Box::new(formats::OggReader::try_new(stream, options)?),
        Container::Mp4 => Box::new(formats::IsoMp4Reader::try_new(stream, options)?),
        Container::Aac => Box::new(formats::AdtsReader::try_new(stream, options)?),
        Container::Aiff => Box::new(formats::AiffReader::try_new(stream, options)?),
    })
}
