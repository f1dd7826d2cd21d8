//! Packets of a recording decoded to mono frames at its own rate, and the policy for those that fail.

use std::ops::Range;

use symphonia::core::codecs::audio::{AudioDecoder, AudioDecoderOptions};
use symphonia::core::errors::Error as Symphonia;
use symphonia::core::formats::{FormatOptions, FormatReader, SeekMode, SeekTo, Track, TrackType};
use symphonia::core::io::{MediaSourceStream, MediaSourceStreamOptions};
use symphonia::core::packet::Packet;
use symphonia::core::units::Timestamp;
use symphonia::default::{formats, get_codecs};

use super::contain::contain;
use super::container::Container;
use super::error::{AudioError, Fault};
use super::limits::{check_channels, check_finite, check_rate};
use super::source::{SourceFailure, Window};

/// This many packets that fail in a row end the reading.
const MAX_FAILED_IN_A_ROW: u64 = 16;

/// Frames that time stamps may be off, and that a decoder remembers at most: two of the longest blocks of Vorbis, fourteen frames of MP3.
const SEEK_SLACK: u64 = 2 * 8192;

/// A decoder of one audio track.
pub(super) struct Packets {
    format: Box<dyn FormatReader>,
    decoder: Box<dyn AudioDecoder>,
    track_id: u32,
    /// Frames that the container says the recording has.
    pub declared_frames: Option<u64>,
    /// The decoded frames that are the recording; what an encoder added before and behind them is left out.
    pub sound: Range<u64>,
    /// The bytes are known to end amid a page or frame, or before the end of the stream.
    pub is_cut: bool,
    container: Container,
    pub rate_hz: u32,
    pub channels: usize,
    planes: Vec<Vec<f32>>,
    mono: Vec<f32>,
    /// The first packet, decoded while opening, has not been handed out yet.
    first_waits: bool,
    /// Time stamp of the first frame of the recording, in frames: Ogg streams may begin at any.
    first_pts: i64,
    /// Time stamp of the first frame of the packet decoded last.
    packet_pts: i64,
    /// The decoded frame that was sought, until the time stamp of the next packet says how far that got.
    sought: Option<u64>,
    /// Time stamps count frames.
    has_frame_stamps: bool,
    /// Decoded frames so far, those outside `sound` included.
    decoded_frames: u64,
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
        let units_per_s = track.time_base.filter(|base| base.numer.get() == 1).map(|base| base.denom.get());
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
            sound: 0..u64::MAX,
            is_cut: false,
            container,
            rate_hz: 0,
            channels: 0,
            planes: Vec::new(),
            mono: Vec::new(),
            first_waits: false,
            first_pts: 0,
            packet_pts: 0,
            sought: None,
            has_frame_stamps: false,
            decoded_frames: 0,
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
        packets.has_frame_stamps = units_per_s == Some(packets.rate_hz);
        packets.first_pts = packets.packet_pts;
        packets.first_waits = true;
        Ok(packets)
    }

    /// The next frames, `[n]` mono with n > 0, and the position of the first; `None` at the end of the recording.
    pub(super) fn next(&mut self) -> Result<Option<(u64, &[f32])>, AudioError> {
        loop {
            if !std::mem::take(&mut self.first_waits) && !contain(|| self.advance())? {
                self.check_complete()?;
                return Ok(None);
            }
            self.find_position()?;
            let (first, len) = (self.decoded_frames, self.mono.len());
            self.decoded_frames += len as u64;
            let inside = |frame: u64| usize::try_from(frame.saturating_sub(first)).unwrap_or(usize::MAX).min(len);
            let (from, to) = (inside(self.sound.start), inside(self.sound.end));
            if from < to {
                let start = self.frame;
                self.frame += (to - from) as u64;
                return Ok(Some((start, &self.mono[from..to])));
            }
        }
    }

    /// Jumps to the packet that holds `frame`, or to one before it.
    pub(super) fn seek(&mut self, frame: u64) -> Result<(), AudioError> {
        let ts = i64::try_from(frame).ok().and_then(|frame| frame.checked_add(self.first_pts));
        let ts = Timestamp::new(ts.ok_or_else(|| AudioError::new(Fault::Span, ""))?);
        let to = SeekTo::Timestamp { ts, track_id: self.track_id };
        let seeked = contain(|| Ok(self.format.seek(SeekMode::Accurate, to)?))?;
        self.start_at(u64::try_from(seeked.actual_ts.get().saturating_sub(self.first_pts)).unwrap_or(0));
        self.decoder.reset();
        self.first_waits = false;
        Ok(())
    }

    /// Has the next packet be one a little before `frame` of the recording, or later ones as far as they are needed for that: far enough that nothing of what
    /// the decoder remembers of earlier packets is left. Without an index of packets, those before are read and not decoded. Stays where it is if
    /// time stamps do not count frames.
    pub(super) fn approach(&mut self, frame: u64) -> Result<(), AudioError> {
        let decoded = frame.saturating_add(self.sound.start).saturating_sub(2 * SEEK_SLACK);
        if !self.has_frame_stamps || decoded < u64::from(self.rate_hz) {
            return Ok(());
        }
        // The packets behind it say where they are: the first of them may decode to nothing, where a decoder needs the packet before.
        if matches!(self.container, Container::Ogg | Container::Mp4) {
            self.seek(decoded)?;
        }
        self.first_waits = false;
        self.sought = Some(decoded);
        Ok(())
    }

    /// The next packet begins with this decoded frame.
    pub(super) fn start_at(&mut self, decoded: u64) {
        self.frame = decoded.saturating_sub(self.sound.start);
        self.decoded_frames = decoded;
    }

    /// Whether a packet lies before the frame that was sought.
    fn is_before_sought(&self, packet: &Packet) -> bool {
        let end = packet.pts.get().saturating_sub(self.first_pts).saturating_add_unsigned(packet.dur.get());
        self.sought.is_some_and(|sought| u64::try_from(end).is_ok_and(|end| end <= sought))
    }

    /// The frame of the recording that has this time stamp, or 0.
    pub(super) fn frame_of_pts(&self, pts: u64) -> u64 {
        i64::try_from(pts).ok().and_then(|pts| u64::try_from(pts.saturating_sub(self.first_pts)).ok()).unwrap_or(0)
    }

    /// Goes by the time stamp of the packet decoded last, if it is the first one after a jump.
    fn find_position(&mut self) -> Result<(), AudioError> {
        let Some(sought) = self.sought.take() else { return Ok(()) };
        match u64::try_from(self.packet_pts.saturating_sub(self.first_pts)) {
            Ok(frame) if frame <= sought.saturating_add(SEEK_SLACK) => {
                self.start_at(frame);
                Ok(())
            }
            _ => Err(AudioError::new(Fault::Corrupt, format!("its time stamps do not lead to frame {sought}"))),
        }
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

    /// Fails at the end of the bytes where the recording is known to go on: the rule is in the module [`super`].
    fn check_complete(&self) -> Result<(), AudioError> {
        self.check_failures()?;
        if self.is_cut {
            return Err(AudioError::new(Fault::Truncated, "it does not end where its stream does"));
        }
        let came = self.frame + self.lost_frames;
        match self.declared_frames {
            Some(declared) if came < declared - (declared / 100).min(u64::from(self.rate_hz)) => {
                Err(AudioError::new(Fault::Truncated, format!("{came} of {declared} frames")))
            }
            _ => Ok(()),
        }
    }

    fn nothing_came(&self) -> AudioError {
        match (self.skipped, self.declared_frames) {
            (1.., _) => AudioError::new(Fault::Corrupt, "no packet could be decoded"),
            _ if self.is_cut => AudioError::new(Fault::Truncated, "no complete packet"),
            (_, Some(1..)) => AudioError::new(Fault::Truncated, "nothing behind the header"),
            _ => AudioError::new(Fault::NoSamples, ""),
        }
    }

    /// Decodes up to the next packet that holds frames, into `mono`; false at the end.
    fn advance(&mut self) -> Result<bool, AudioError> {
        loop {
            let packet = match self.format.next_packet() {
                Ok(Some(packet)) if packet.track_id == self.track_id && !self.is_before_sought(&packet) => packet,
                Ok(Some(_)) => continue,
                Ok(None) => return Ok(false),
                Err(Symphonia::IoError(error)) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
                    // An Ogg stream without its last page, or a frame of ADTS or MP4 that is not all there.
                    self.is_cut |= matches!(self.container, Container::Ogg | Container::Aac | Container::Mp4);
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
                        self.packet_pts = packet
                            .pts
                            .get()
                            .saturating_add_unsigned(packet.trim_start.get())
                            .saturating_sub_unsigned(self.lost_frames);
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
