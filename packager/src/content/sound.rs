//! Sound (`.wav`) as frames of samples.

use super::ContentError;
use hound::{SampleFormat, WavReader};
use pannier_bundle::manifest::PcmFrame;
use std::io::Cursor;

/// Most samples of one file, all channels together: 1.5 hours of 48 kHz mono.
pub const SAMPLES: u64 = 1 << 28;

/// A file's samples in `[-1, 1]`, cut into frames.
#[derive(Debug, Clone)]
pub struct Sound {
    samples: Vec<f32>,
    frame: usize,
    context: usize,
    sample_rate_hz: u32,
}

impl Sound {
    /// Decodes a WAV file: 8, 16, 24 or 32 bits or 32-bit float; several channels are averaged.
    ///
    /// # Errors
    /// [`ContentError::Malformed`]: not a WAV file, a cut one, one without samples. [`ContentError::SampleRate`]: not the
    /// model's. [`ContentError::TooLarge`]: more than `SAMPLES`. [`ContentError::Description`]: frames of no samples.
    pub fn decode(what: &str, bytes: &[u8], spec: &PcmFrame) -> Result<Sound, ContentError> {
        let wrong = |e: hound::Error| ContentError::malformed(what, "WAV", e);
        if spec.frame == 0 {
            let reason = "a frame has no samples".to_owned();
            return Err(ContentError::Description { port: what.to_owned(), reason });
        }
        let mut reader = WavReader::new(Cursor::new(bytes)).map_err(wrong)?;
        let format = reader.spec();
        if format.sample_rate != spec.sample_rate_hz {
            let (expected_hz, found_hz) = (spec.sample_rate_hz, format.sample_rate);
            return Err(ContentError::SampleRate { expected_hz, found_hz });
        }
        let count = u64::from(reader.len());
        if count > SAMPLES {
            let what = what.to_owned();
            return Err(ContentError::TooLarge { what, size: count, limit: SAMPLES, unit: "samples" });
        }
        let interleaved: Vec<f32> = match format.sample_format {
            SampleFormat::Float => reader.samples::<f32>().collect::<Result<_, _>>().map_err(wrong)?,
            SampleFormat::Int => {
                let bits = format.bits_per_sample;
                let full_scale = 2f64.powi(i32::from(bits.clamp(1, 32)) - 1);
                let samples = reader.samples::<i32>().map(|s| s.map(|s| (f64::from(s) / full_scale) as f32));
                samples.collect::<Result<_, _>>().map_err(wrong)?
            }
        };
        let channels = usize::from(format.channels.max(1));
        let samples: Vec<f32> = match channels {
            1 => interleaved,
            _ => interleaved.chunks_exact(channels).map(|f| f.iter().sum::<f32>() / channels as f32).collect(),
        };
        if samples.is_empty() {
            return Err(ContentError::malformed(what, "WAV", "it holds no samples"));
        }
        let (frame, context) = (spec.frame as usize, spec.context as usize);
        Ok(Sound { samples, frame, context, sample_rate_hz: spec.sample_rate_hz })
    }

    /// Number of frames; at least one.
    #[expect(clippy::len_without_is_empty, reason = "a sound without samples is refused")]
    pub fn len(&self) -> usize {
        self.samples.len().div_ceil(self.frame)
    }

    /// One frame: the `context` samples before it, then `frame` new ones; zeros before the start and after the end.
    pub fn frame(&self, index: usize) -> Vec<f32> {
        let start = index.saturating_mul(self.frame).min(self.samples.len());
        let end = (start + self.frame).min(self.samples.len());
        let context_start = start.saturating_sub(self.context);
        let mut values = vec![0.0; self.context - (start - context_start)];
        values.extend_from_slice(&self.samples[context_start..end]);
        values.resize(self.context + self.frame, 0.0);
        values
    }

    /// Time of a frame's first new sample, in seconds.
    pub fn start_s(&self, index: usize) -> f64 {
        (index * self.frame).min(self.samples.len()) as f64 / f64::from(self.sample_rate_hz.max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hound::{WavSpec, WavWriter};
    use pannier_bundle::Code;

    const SPEC: PcmFrame = PcmFrame { sample_rate_hz: 16_000, frame: 4, context: 2 };

    fn wav(channels: u16, bits: u16, format: SampleFormat, rate: u32, samples: &[f32]) -> Vec<u8> {
        let mut file = Cursor::new(Vec::new());
        let spec = WavSpec { channels, sample_rate: rate, bits_per_sample: bits, sample_format: format };
        let mut writer = WavWriter::new(&mut file, spec).unwrap();
        for sample in samples {
            match format {
                SampleFormat::Float => writer.write_sample(*sample).unwrap(),
                SampleFormat::Int => {
                    writer.write_sample((f64::from(*sample) * 2f64.powi(i32::from(bits) - 1)) as i32).unwrap()
                }
            }
        }
        writer.finalize().unwrap();
        file.into_inner()
    }

    #[test]
    fn every_sample_format_gives_the_same_numbers() {
        let samples = [0.0, 0.5, -0.5, -1.0, 0.25];
        let formats = [
            (8, SampleFormat::Int),
            (16, SampleFormat::Int),
            (24, SampleFormat::Int),
            (32, SampleFormat::Int),
            (32, SampleFormat::Float),
        ];
        for (bits, format) in formats {
            let sound = Sound::decode("t", &wav(1, bits, format, 16_000, &samples), &SPEC).unwrap();
            assert_eq!(sound.len(), 2, "{bits} {format:?}");
            assert_eq!(
                sound.frame(0),
                [0.0, 0.0, 0.0, 0.5, -0.5, -1.0],
                "{bits} {format:?}: zeros stand before the start"
            );
            assert_eq!(
                sound.frame(1),
                [-0.5, -1.0, 0.25, 0.0, 0.0, 0.0],
                "{bits} {format:?}: context, then zeros after the end"
            );
        }
        let stereo = Sound::decode("t", &wav(2, 16, SampleFormat::Int, 16_000, &[0.5, 0.0, -0.5, 0.0]), &SPEC).unwrap();
        assert_eq!(stereo.frame(0), [0.0, 0.0, 0.25, -0.25, 0.0, 0.0], "channels are averaged");
        assert_eq!(stereo.start_s(0), 0.0);
    }

    #[test]
    fn unusable_sound_is_refused() {
        let rate = Sound::decode("t", &wav(1, 16, SampleFormat::Int, 44_100, &[0.0]), &SPEC).unwrap_err();
        assert!(
            matches!(rate, ContentError::SampleRate { expected_hz: 16_000, found_hz: 44_100 }) && rate.hint().is_some()
        );
        let good = wav(1, 16, SampleFormat::Int, 16_000, &[0.1; 16]);
        for length in 0..good.len() {
            assert_eq!(
                Sound::decode("t", &good[..length], &SPEC).unwrap_err().code(),
                Code::InvalidContent,
                "{length}"
            );
        }
        assert!(Sound::decode("t", &wav(1, 16, SampleFormat::Int, 16_000, &[]), &SPEC).is_err(), "no samples");
        for position in 0..44 {
            for value in [0, 1, 0x7f, 0x80, 0xff] {
                let mut damaged = good.clone();
                damaged[position] = value;
                let _ = Sound::decode("t", &damaged, &SPEC);
            }
        }
    }
}
