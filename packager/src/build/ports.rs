//! What `packager.toml` says about inputs and outputs, put onto what the model has, and checked against it.

use super::BuildError;
use crate::config::{InputConfig, OutputConfig};
use crate::content::read_labels;
use crate::error::Error;
use crate::input;
use crate::units;
use pannier_bundle::manifest::{Colour, Content, DType, Dim, ImageAxes, ImageLayout, Port, Resize};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Described inputs and outputs, and the label lists that they refer to.
#[derive(Debug, Clone, PartialEq)]
pub struct Ports {
    /// Inputs, in the graph's order.
    pub inputs: Vec<Port>,
    /// Outputs, in the graph's order.
    pub outputs: Vec<Port>,
    /// Content of the `labels` section.
    pub labels: Vec<Vec<String>>,
}

/// Describes the model's inputs and outputs.
///
/// # Errors
/// [`BuildError::UnknownPort`], [`BuildError::Description`]; those of reading label files.
pub fn describe(
    mut inputs: Vec<Port>,
    mut outputs: Vec<Port>,
    input_configs: &BTreeMap<String, InputConfig>,
    output_configs: &BTreeMap<String, OutputConfig>,
) -> Result<Ports, Error> {
    for (name, config) in input_configs {
        let port = find(&mut inputs, "input", name)?;
        port.description.clone_from(&config.description);
        port.content = config.content.to_manifest();
    }
    let mut labels = Vec::new();
    let mut files: Vec<&PathBuf> = Vec::new();
    for (name, config) in output_configs {
        let mut list = 0;
        if let Some(path) = config.content.labels() {
            // One file that two outputs name is one list.
            let index = match files.iter().position(|file| *file == path) {
                Some(index) => index,
                None => {
                    let what = path.display().to_string();
                    labels.push(read_labels(&what, &input::read(path)?)?);
                    files.push(path);
                    files.len() - 1
                }
            };
            list = u32::try_from(index).unwrap_or(u32::MAX);
        }
        let port = find(&mut outputs, "output", name)?;
        port.description.clone_from(&config.description);
        port.content = config.content.to_manifest(list);
    }
    let ports = Ports { inputs, outputs, labels };
    ports.check()?;
    Ok(ports)
}

fn find<'a>(ports: &'a mut [Port], kind: &'static str, name: &str) -> Result<&'a mut Port, BuildError> {
    match ports.iter().position(|port| port.name == name) {
        Some(index) => Ok(&mut ports[index]),
        None => {
            let known = ports.iter().map(|port| format!("`{}`", port.name)).collect();
            Err(BuildError::UnknownPort { kind, name: name.to_owned(), known })
        }
    }
}

impl Ports {
    /// Checks every description against the type and shape of what it describes.
    fn check(&self) -> Result<(), BuildError> {
        for port in &self.inputs {
            self.check_input(port).map_err(|reason| wrong("input", port, reason))?;
        }
        for port in &self.outputs {
            self.check_output(port).map_err(|reason| wrong("output", port, reason))?;
        }
        Ok(())
    }

    fn check_input(&self, port: &Port) -> Result<(), String> {
        match &port.content {
            Content::Bytes(window) => {
                if window.head.max(window.tail) > window.block {
                    return Err("`block` is less than `head` or `tail`".to_owned());
                }
                is_number(port)?;
                row_of(port, u64::from(window.head) + u64::from(window.tail))
            }
            Content::Pcm(frame) => {
                if frame.frame == 0 || frame.sample_rate_hz == 0 {
                    return Err("`frame` and `sample_rate_hz` must be more than 0".to_owned());
                }
                is_float(port)?;
                row_of(port, u64::from(frame.frame) + u64::from(frame.context))
            }
            Content::Image(layout) => {
                is_number(port)?;
                image(port, layout)
            }
            Content::State { output } => {
                let Some(next) = self.outputs.iter().find(|other| other.name == *output) else {
                    return Err(format!("it is fed from `{output}`, and the model has no such output"));
                };
                if next.dtype != port.dtype {
                    return Err(format!("it is {}, `{output}` is {}", port.dtype.name(), next.dtype.name()));
                }
                let same_rank = next.shape.len() == port.shape.len();
                if same_rank && port.shape.iter().zip(&next.shape).all(|(a, b)| may_be_equal(a, b)) {
                    return Ok(());
                }
                Err(format!(
                    "its shape is {}, that of `{output}` {}",
                    units::shape(&port.shape),
                    units::shape(&next.shape)
                ))
            }
            Content::Tensor => Ok(()),
            Content::NextState
            | Content::Classes { .. }
            | Content::Probability { .. }
            | Content::Ctc { .. }
            | Content::Heatmap => Err("that is said of outputs only".to_owned()),
        }
    }

    fn check_output(&self, port: &Port) -> Result<(), String> {
        match &port.content {
            Content::Classes { labels } => {
                is_number(port)?;
                self.one_label_each(port, *labels)
            }
            Content::Ctc { labels, blank } => {
                is_float(port)?;
                if port.shape.len() < 2 {
                    return Err(format!("shape {} is not [batch, time, characters]", units::shape(&port.shape)));
                }
                self.one_label_each(port, *labels)?;
                let count = self.labels.get(*labels as usize).map_or(0, Vec::len);
                match (*blank as usize) < count {
                    true => Ok(()),
                    false => Err(format!("`blank` is {blank}, and there are {count} characters")),
                }
            }
            Content::Heatmap => {
                is_float(port)?;
                match port.shape.as_slice() {
                    [_, channels, _, _] if may_be_equal(channels, &Dim::Fixed(1)) => Ok(()),
                    shape => Err(format!("shape {} is not [batch, 1, height, width]", units::shape(shape))),
                }
            }
            Content::Probability { .. } => is_float(port),
            Content::NextState => {
                let fed = |input: &&Port| matches!(&input.content, Content::State { output } if *output == port.name);
                match self.inputs.iter().any(|input| fed(&input)) {
                    true => Ok(()),
                    false => Err("no input is a state that is fed from it".to_owned()),
                }
            }
            Content::Tensor => Ok(()),
            Content::Bytes(_) | Content::Image(_) | Content::Pcm(_) | Content::State { .. } => {
                Err("that is said of inputs only".to_owned())
            }
        }
    }

    /// As many labels as the last axis is long, where that is known.
    fn one_label_each(&self, port: &Port, list: u32) -> Result<(), String> {
        let count = self.labels.get(list as usize).map_or(0, Vec::len) as u64;
        match port.shape.last() {
            Some(Dim::Fixed(classes)) if *classes != count => {
                Err(format!("it has {classes} classes, the label file has {count} labels"))
            }
            Some(_) => Ok(()),
            None => Err("it is a scalar".to_owned()),
        }
    }
}

fn wrong(kind: &'static str, port: &Port, reason: String) -> BuildError {
    BuildError::Description { kind, name: port.name.clone(), reason }
}

fn may_be_equal(a: &Dim, b: &Dim) -> bool {
    !matches!((a, b), (Dim::Fixed(a), Dim::Fixed(b)) if a != b)
}

fn is_number(port: &Port) -> Result<(), String> {
    if port.dtype == DType::Bool { Err("it is boolean".to_owned()) } else { Ok(()) }
}

fn is_float(port: &Port) -> Result<(), String> {
    match port.dtype {
        DType::F32 | DType::F16 | DType::BF16 | DType::F64 => Ok(()),
        other => Err(format!("it is {}, not of floating-point numbers", other.name())),
    }
}

/// The last axis takes `size` values, every other one takes 1.
fn row_of(port: &Port, size: u64) -> Result<(), String> {
    let fits = match port.shape.split_last() {
        Some((last, others)) => {
            may_be_equal(last, &Dim::Fixed(size)) && others.iter().all(|dim| may_be_equal(dim, &Dim::Fixed(1)))
        }
        None => false,
    };
    if fits { Ok(()) } else { Err(format!("{size} values do not fit its shape {}", units::shape(&port.shape))) }
}

fn image(port: &Port, layout: &ImageLayout) -> Result<(), String> {
    if layout.std.iter().any(|std| *std == 0.0 || !std.is_finite()) || layout.mean.iter().any(|m| !m.is_finite()) {
        return Err("`std` must not be 0, and `mean` and `std` must be finite".to_owned());
    }
    let channels = Dim::Fixed(if layout.colour == Colour::Grey { 1 } else { 3 });
    let any = Dim::Symbol(String::new());
    let size = |pixels: u32| Dim::Fixed(u64::from(pixels));
    let (height, width) = match layout.resize {
        Resize::Stretch { height, width } => (size(height), size(width)),
        Resize::FitHeight { height, width, grow: false } => (size(height), size(width)),
        Resize::FitHeight { height, grow: true, .. } => (size(height), any.clone()),
        Resize::Multiple { of: 0, .. } => return Err("a multiple of 0 is no size".to_owned()),
        Resize::Multiple { .. } => (any.clone(), any),
    };
    let wanted = match layout.axes {
        ImageAxes::Nchw => [Dim::Fixed(1), channels, height, width],
        ImageAxes::Nhwc => [Dim::Fixed(1), height, width, channels],
    };
    if port.shape.len() == 4 && port.shape.iter().zip(&wanted).all(|(a, b)| may_be_equal(a, b)) {
        return Ok(());
    }
    Err(format!("a picture gives {}, its shape is {}", units::shape(&wanted), units::shape(&port.shape)))
}
