//! The manifest: what the model is, what goes in and out, and what it may use.
//!
//! Everything here is covered by the signature. The structure is frozen per [`Manifest::VERSION`]; the version
//! stands before the postcard bytes of the section.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::semantics;
use crate::versioned::decode_versioned;

/// What a bundle says of itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// Short name, for example `magika`: lower case letters, digits, `-`, `_` and `.`.
    pub name: String,
    /// Semantic version of the model, for example `1.0.0`. Trust policies compare it.
    pub version: String,
    /// One line for people. May be empty.
    pub description: String,
    /// SPDX expression of the model's licence. May be empty.
    pub licence: String,
    /// The tool that made the bundle, for example `packager 0.1.0`.
    pub created_by: String,
    /// SHA-256 over the content digests of every other section, in table order: the same content has the same id,
    /// however it was compressed and whoever signed it.
    pub bundle_id: [u8; 32],
    /// Version of the ONNX operator set (domain `ai.onnx`) that the graph is written in.
    pub opset: u32,
    /// Inputs, in the order of the graph.
    pub inputs: Vec<Port>,
    /// Outputs, in the order of the graph.
    pub outputs: Vec<Port>,
    /// What a run may use.
    pub envelope: Envelope,
    /// What is promised about answers on different machines.
    pub reproducibility: Reproducibility,
    /// Targets that the publisher tested, for example `x86_64-linux`, `wasm32`. Hints only.
    pub target_hints: Vec<String>,
    /// How each quantized weight was quantized. Empty for a model that is not.
    pub quantization: Vec<Quantization>,
    /// Where the model came from, so that a build can be repeated.
    pub source: Source,
}

impl Manifest {
    /// Version of this structure on the wire.
    pub const VERSION: u16 = 1;

    /// Decodes the content of a manifest section and checks what the encoding cannot express. Whether the
    /// [bundle id](Manifest::bundle_id) is that of the content beside it is not checked.
    ///
    /// # Errors
    /// [`Error::Decode`], [`Error::Manifest`]. Never panics.
    pub fn decode(content: &[u8]) -> Result<Manifest, Error> {
        let manifest: Manifest = decode_versioned(content, Manifest::VERSION)
            .map_err(|why| Error::Decode { what: "the manifest".to_string(), why })?;
        semantics::check_manifest(&manifest)?;
        Ok(manifest)
    }

    /// The input with this name.
    pub fn input(&self, name: &str) -> Option<&Port> {
        self.inputs.iter().find(|port| port.name == name)
    }

    /// The output with this name.
    pub fn output(&self, name: &str) -> Option<&Port> {
        self.outputs.iter().find(|port| port.name == name)
    }
}

/// A named, typed input or output.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Port {
    /// Name, unique among the inputs or among the outputs.
    pub name: String,
    /// Type of an element.
    pub dtype: DType,
    /// Row-major shape; empty for a scalar.
    pub shape: Vec<Dim>,
    /// One line for people. May be empty.
    pub description: String,
    /// What the numbers mean, so that a file can be turned into them and they into a sentence.
    pub content: Content,
}

/// One dimension of a shape.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Dim {
    /// Known when the bundle was built.
    Fixed(u64),
    /// Known when inputs arrive; the same name means the same size within one run.
    Symbol(String),
}

/// Type of a tensor's elements, with the names that ONNX and NumPy use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum DType {
    /// IEEE 754 binary32.
    F32,
    /// IEEE 754 binary16.
    F16,
    /// Truncated binary32 with 7 mantissa bits.
    BF16,
    /// IEEE 754 binary64.
    F64,
    /// Signed 8 bits.
    I8,
    /// Signed 16 bits.
    I16,
    /// Signed 32 bits.
    I32,
    /// Signed 64 bits.
    I64,
    /// Unsigned 8 bits.
    U8,
    /// Unsigned 16 bits.
    U16,
    /// Unsigned 32 bits.
    U32,
    /// Unsigned 64 bits.
    U64,
    /// One byte, 0 or 1.
    Bool,
}

impl DType {
    /// Every type, in wire order.
    pub const ALL: &'static [DType] = &[
        DType::F32,
        DType::F16,
        DType::BF16,
        DType::F64,
        DType::I8,
        DType::I16,
        DType::I32,
        DType::I64,
        DType::U8,
        DType::U16,
        DType::U32,
        DType::U64,
        DType::Bool,
    ];

    /// Size of one element in bytes.
    pub const fn size_bytes(self) -> usize {
        match self {
            DType::I8 | DType::U8 | DType::Bool => 1,
            DType::F16 | DType::BF16 | DType::I16 | DType::U16 => 2,
            DType::F32 | DType::I32 | DType::U32 => 4,
            DType::F64 | DType::I64 | DType::U64 => 8,
        }
    }

    /// The NumPy name, for example `float32`. (`bfloat16` has none there; the common extension's name is used.)
    pub const fn name(self) -> &'static str {
        match self {
            DType::F32 => "float32",
            DType::F16 => "float16",
            DType::BF16 => "bfloat16",
            DType::F64 => "float64",
            DType::I8 => "int8",
            DType::I16 => "int16",
            DType::I32 => "int32",
            DType::I64 => "int64",
            DType::U8 => "uint8",
            DType::U16 => "uint16",
            DType::U32 => "uint32",
            DType::U64 => "uint64",
            DType::Bool => "bool",
        }
    }

    /// The type with this NumPy name.
    pub fn from_name(name: &str) -> Option<DType> {
        Self::ALL.iter().copied().find(|dtype| dtype.name() == name)
    }

    /// The type's number in ONNX files (`TensorProto.DataType`).
    pub const fn onnx_number(self) -> i32 {
        match self {
            DType::F32 => 1,
            DType::U8 => 2,
            DType::I8 => 3,
            DType::U16 => 4,
            DType::I16 => 5,
            DType::I32 => 6,
            DType::I64 => 7,
            DType::Bool => 9,
            DType::F16 => 10,
            DType::F64 => 11,
            DType::U32 => 12,
            DType::U64 => 13,
            DType::BF16 => 16,
        }
    }

    /// The type with this number in ONNX files, if it is one that bundles have.
    pub fn from_onnx_number(number: i32) -> Option<DType> {
        Self::ALL.iter().copied().find(|dtype| dtype.onnx_number() == number)
    }
}

/// What the numbers of an input or output mean.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Content {
    /// Just numbers.
    Tensor,
    /// Input: the first and last bytes of a file, as integers.
    Bytes(ByteWindow),
    /// Input: a picture.
    Image(ImageLayout),
    /// Input: sound, frame by frame.
    Pcm(PcmFrame),
    /// Input: carried from one run to the next. Zeros at first, then the output of this name.
    State {
        /// Name of the output that is fed back.
        output: String,
    },
    /// Output: fed back into the state input that names it; of no interest to people.
    NextState,
    /// Output: one score per class, on the last axis.
    Classes {
        /// Index of the list in the `labels` section.
        labels: u32,
    },
    /// Output: one probability, such as that somebody speaks.
    Probability {
        /// What it is the probability of, for example `speech`.
        of: String,
    },
    /// Output: scores `[batch, time, characters]` of connectionist temporal classification
    /// (Graves et al. 2006); greedy decoding gives a text.
    Ctc {
        /// Index of the character list in the `labels` section.
        labels: u32,
        /// Index of the blank.
        blank: u32,
    },
    /// Output: `[batch, 1, height, width]`, a probability per pixel of the picture that went in.
    Heatmap,
}

/// How a file becomes a window of byte values: `head` bytes from its start and `tail` bytes from its end.
///
/// White space around the content is dropped first, within `block` bytes of each end; a file that is too short
/// is filled up with `padding`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ByteWindow {
    /// Bytes from the start of the file.
    pub head: u32,
    /// Bytes from the end of the file.
    pub tail: u32,
    /// How many bytes are read at each end before white space is dropped.
    pub block: u32,
    /// Value that stands for "no byte", for example 256.
    pub padding: i32,
}

/// How a picture becomes a tensor: resize, reorder, then `(value / 255 - mean) / std` per channel.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ImageLayout {
    /// Order of the axes.
    pub axes: ImageAxes,
    /// Which colours, in which order.
    pub colour: Colour,
    /// How the picture is brought to the input's size.
    pub resize: Resize,
    /// Subtracted, per channel in the model's channel order.
    pub mean: [f32; 3],
    /// Divided by, per channel in the model's channel order.
    pub std: [f32; 3],
}

/// Order of an image tensor's axes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ImageAxes {
    /// `[batch, channels, height, width]`.
    Nchw,
    /// `[batch, height, width, channels]`.
    Nhwc,
}

/// Channels of an image tensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Colour {
    /// Red, green, blue.
    Rgb,
    /// Blue, green, red: what OpenCV reads.
    Bgr,
    /// One channel of luminance (ITU-R BT.601).
    Grey,
}

/// How a picture is brought to the size of the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Resize {
    /// To the exact size, whatever the proportions.
    Stretch {
        /// Height in pixels.
        height: u32,
        /// Width in pixels.
        width: u32,
    },
    /// To this height in proportion; the width is then filled with zeros (after normalising) up to `width`,
    /// or, if `grow`, kept when it is larger.
    FitHeight {
        /// Height in pixels.
        height: u32,
        /// Width in pixels that is filled up to.
        width: u32,
        /// Whether a longer line may have a wider tensor. If not, it is squeezed into `width`.
        grow: bool,
    },
    /// In proportion so that the longer side is at most `limit`, then each side to the nearest multiple.
    Multiple {
        /// Each side is a multiple of this.
        of: u32,
        /// Largest side in pixels.
        limit: u32,
    },
}

/// How sound becomes frames of samples in `[-1, 1]`, one run a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PcmFrame {
    /// Sampling rate in hertz; a file of another rate is refused.
    pub sample_rate_hz: u32,
    /// New samples per run.
    pub frame: u32,
    /// Samples of the frame before that stand in front of the new ones (zeros at first).
    pub context: u32,
}

/// What a run may use. The host's own limits apply as well; the stricter wins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Envelope {
    /// Most memory that a session with one run in flight may hold, weights included, in bytes. 0: not stated.
    pub peak_memory_bytes: u64,
    /// Memory of the weights alone, in bytes.
    pub weight_bytes: u64,
    /// Longest that one run may take, in milliseconds. 0: not stated.
    pub deadline_ms: u32,
}

/// What is promised about the answers of one bundle on different machines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reproducibility {
    /// The same bits everywhere (integer graphs, or deterministic mode).
    BitExact,
    /// Within the tolerance that the golden section states.
    Tolerance,
}

/// How one weight was quantized and what it cost.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Quantization {
    /// Name of the weight.
    pub weight: String,
    /// Scheme, for example `int8 per-channel symmetric`.
    pub scheme: String,
    /// Signal to quantization noise ratio in decibels.
    pub sqnr_db: f32,
}

/// Where the model came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// Format, for example `onnx`.
    pub format: String,
    /// SHA-256 of the source file.
    pub sha256: [u8; 32],
    /// Opset of the source file.
    pub opset: u32,
    /// Build options that shaped the graph (`--shape`, `--constant`), as given, sorted.
    pub options: Vec<(String, String)>,
}
