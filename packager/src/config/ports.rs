//! What inputs and outputs mean, as `packager.toml` writes it: the manifest's [`Content`], with label files by path.
//!
//! [`Content`]: pannier_bundle::manifest::Content

use pannier_bundle::manifest::{ByteWindow, Colour, ImageAxes, ImageLayout, PcmFrame, Resize};
use serde::{Deserialize, Deserializer};
use std::path::PathBuf;

/// An input.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct InputConfig {
    /// One line for people.
    pub description: String,
    /// What its numbers mean.
    pub content: InputContent,
}

/// An output.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct OutputConfig {
    /// One line for people.
    pub description: String,
    /// What its numbers mean.
    pub content: OutputContent,
}

/// What an input's numbers mean.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum InputContent {
    /// Just numbers.
    #[default]
    Tensor,
    /// The first and last bytes of a file.
    Bytes {
        /// Bytes from the start.
        head: u32,
        /// Bytes from the end.
        tail: u32,
        /// Bytes read at each end before white space is dropped.
        block: u32,
        /// Value for "no byte".
        padding: i32,
    },
    /// A picture.
    Image {
        /// Order of the axes.
        #[serde(default)]
        axes: ImageAxesName,
        /// Which colours, in which order.
        #[serde(default)]
        colour: ColourName,
        /// How it is brought to size.
        resize: ResizeConfig,
        /// Subtracted per channel.
        mean: [f32; 3],
        /// Divided by per channel.
        std: [f32; 3],
    },
    /// Sound, frame by frame.
    Pcm {
        /// Sampling rate.
        sample_rate_hz: u32,
        /// New samples per run.
        frame: u32,
        /// Samples of the frame before.
        #[serde(default)]
        context: u32,
    },
    /// Carried from run to run.
    State {
        /// The output that is fed back.
        output: String,
    },
}

/// What an output's numbers mean.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum OutputContent {
    /// Just numbers.
    #[default]
    Tensor,
    /// Fed back into a state input.
    NextState,
    /// A score per class.
    Classes {
        /// File with the labels: a JSON list of texts, or one a line.
        labels: PathBuf,
    },
    /// One probability.
    Probability {
        /// What of.
        of: String,
    },
    /// Scores of connectionist temporal classification.
    Ctc {
        /// File with the characters: a JSON list of texts, or one a line.
        labels: PathBuf,
        /// Index of the blank.
        #[serde(default)]
        blank: u32,
    },
    /// A probability per pixel.
    Heatmap,
}

/// Order of an image's axes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ImageAxesName {
    /// Batch, channels, height, width.
    #[default]
    Nchw,
    /// Batch, height, width, channels.
    Nhwc,
}

/// Channels of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ColourName {
    /// Red, green, blue.
    #[default]
    Rgb,
    /// Blue, green, red.
    Bgr,
    /// Luminance.
    Grey,
}

/// How a picture is brought to size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(tag = "how", rename_all = "kebab-case", deny_unknown_fields)]
pub enum ResizeConfig {
    /// To the exact size.
    Stretch {
        /// Pixels.
        height: u32,
        /// Pixels.
        width: u32,
    },
    /// To the height, in proportion.
    FitHeight {
        /// Pixels.
        height: u32,
        /// Pixels that are filled up to.
        width: u32,
        /// Whether a longer line gets a wider tensor.
        #[serde(default)]
        grow: bool,
    },
    /// Each side to a multiple.
    Multiple {
        /// Of this many pixels.
        of: u32,
        /// Largest side.
        limit: u32,
    },
}

impl InputContent {
    /// The manifest's form.
    pub fn to_manifest(&self) -> pannier_bundle::manifest::Content {
        use pannier_bundle::manifest::Content;
        match self {
            InputContent::Tensor => Content::Tensor,
            InputContent::Bytes { head, tail, block, padding } => {
                Content::Bytes(ByteWindow { head: *head, tail: *tail, block: *block, padding: *padding })
            }
            InputContent::Image { axes, colour, resize, mean, std } => Content::Image(ImageLayout {
                axes: match axes {
                    ImageAxesName::Nchw => ImageAxes::Nchw,
                    ImageAxesName::Nhwc => ImageAxes::Nhwc,
                },
                colour: match colour {
                    ColourName::Rgb => Colour::Rgb,
                    ColourName::Bgr => Colour::Bgr,
                    ColourName::Grey => Colour::Grey,
                },
                resize: match *resize {
                    ResizeConfig::Stretch { height, width } => Resize::Stretch { height, width },
                    ResizeConfig::FitHeight { height, width, grow } => Resize::FitHeight { height, width, grow },
                    ResizeConfig::Multiple { of, limit } => Resize::Multiple { of, limit },
                },
                mean: *mean,
                std: *std,
            }),
            InputContent::Pcm { sample_rate_hz, frame, context } => {
                Content::Pcm(PcmFrame { sample_rate_hz: *sample_rate_hz, frame: *frame, context: *context })
            }
            InputContent::State { output } => Content::State { output: output.clone() },
        }
    }
}

impl OutputContent {
    /// The file with labels that it needs.
    pub fn labels(&self) -> Option<&PathBuf> {
        match self {
            OutputContent::Classes { labels } | OutputContent::Ctc { labels, .. } => Some(labels),
            _ => None,
        }
    }

    /// The manifest's form; `labels` is the index of its label list, if it needs one.
    pub fn to_manifest(&self, labels: u32) -> pannier_bundle::manifest::Content {
        use pannier_bundle::manifest::Content;
        match self {
            OutputContent::Tensor => Content::Tensor,
            OutputContent::NextState => Content::NextState,
            OutputContent::Classes { .. } => Content::Classes { labels },
            OutputContent::Probability { of } => Content::Probability { of: of.clone() },
            OutputContent::Ctc { blank, .. } => Content::Ctc { labels, blank: *blank },
            OutputContent::Heatmap => Content::Heatmap,
        }
    }
}

/// `description` stands beside the fields of the kind, and the kind may be left out.
fn split<'de, C: Deserialize<'de> + Default, D: Deserializer<'de>>(from: D) -> Result<(String, C), D::Error> {
    use serde::de::Error;
    let mut table = toml::Table::deserialize(from)?;
    let description = match table.remove("description") {
        None => String::new(),
        Some(toml::Value::String(text)) => text,
        Some(other) => return Err(D::Error::custom(format!("description: expected text, found {}", other.type_str()))),
    };
    if table.is_empty() {
        return Ok((description, C::default()));
    }
    // The message alone: the place is that of the whole table, which the outer deserialiser knows.
    let content = C::deserialize(table).map_err(|error: toml::de::Error| D::Error::custom(error.message()))?;
    Ok((description, content))
}

impl<'de> Deserialize<'de> for InputConfig {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<InputConfig, D::Error> {
        let (description, content) = split(from)?;
        Ok(InputConfig { description, content })
    }
}

impl<'de> Deserialize<'de> for OutputConfig {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<OutputConfig, D::Error> {
        let (description, content) = split(from)?;
        Ok(OutputConfig { description, content })
    }
}
