//! Convolutions and pools.

use super::elementwise::same_rank;
use super::{Outcome, Size, View, fixed, known, typed, untyped};
use crate::import::error::Why;
use crate::import::model::Attributes;
use pannier_graph::DType;

pub(super) fn rule(view: &View<'_>) -> Option<Outcome> {
    Some(match view.node.op.as_str() {
        "Conv" => convolution(view, 1, view.dtype(0)),
        "ConvInteger" => convolution(view, 1, Some(DType::I32)),
        "QLinearConv" => convolution(view, 3, view.dtype(7)),
        "ConvTranspose" => transposed(view),
        "MaxPool" => Ok(vec![typed(view.dtype(0), pool(view)), typed(Some(DType::I64), pool(view))]),
        "AveragePool" | "LpPool" => Ok(vec![typed(view.dtype(0), pool(view))]),
        "GlobalAveragePool" | "GlobalMaxPool" | "GlobalLpPool" => {
            let ones = |shape: &[Size]| {
                shape.iter().enumerate().map(|(axis, size)| if axis < 2 { size.clone() } else { known(1) }).collect()
            };
            Ok(vec![typed(view.dtype(0), view.shape(0).map(ones))])
        }
        _ => return None,
    })
}

/// What the attributes say of one spatial axis.
struct Window {
    kernel: u64,
    stride: u64,
    dilation: u64,
    pads: (u64, u64),
    auto_pad: AutoPad,
    ceil: bool,
}

#[derive(Clone, Copy, PartialEq)]
enum AutoPad {
    NotSet,
    Same,
    Valid,
}

fn windows(view: &View<'_>, kernel: &[u64]) -> Option<Vec<Window>> {
    let list = |name: &str, default: u64| -> Option<Vec<u64>> {
        match view.node.ints(name) {
            None => Some(vec![default; kernel.len()]),
            Some(values) => values.iter().map(|value| u64::try_from(*value).ok()).collect(),
        }
    };
    let (strides, dilations) = (list("strides", 1)?, list("dilations", 1)?);
    let pads: Vec<u64> = match view.node.ints("pads") {
        None => vec![0; kernel.len() * 2],
        Some(values) => values.iter().map(|value| u64::try_from(*value).ok()).collect::<Option<_>>()?,
    };
    let auto_pad = match view.node.string("auto_pad") {
        None | Some("NOTSET") => AutoPad::NotSet,
        Some("VALID") => AutoPad::Valid,
        Some(_) => AutoPad::Same,
    };
    let ceil = view.node.int_or("ceil_mode", 0) != 0;
    let window = |axis: usize| {
        let pads = (*pads.get(axis)?, *pads.get(axis + kernel.len())?);
        let (kernel, stride, dilation) = (*kernel.get(axis)?, *strides.get(axis)?, *dilations.get(axis)?);
        (stride > 0 && kernel > 0).then_some(Window { kernel, stride, dilation, pads, auto_pad, ceil })
    };
    (0..kernel.len()).map(window).collect()
}

impl Window {
    /// Elements that the window spans.
    fn extent(&self) -> Option<u64> {
        (self.kernel - 1).checked_mul(self.dilation)?.checked_add(1)
    }

    fn output(&self, size: &Size) -> Size {
        let extent = self.extent()?;
        let (before, after) = if self.auto_pad == AutoPad::NotSet { self.pads } else { (0, 0) };
        let same = self.auto_pad == AutoPad::Same || extent.checked_sub(1) == before.checked_add(after);
        if same && self.stride == 1 {
            return size.clone();
        }
        let size = fixed(size)?;
        if self.auto_pad == AutoPad::Same {
            return known(size.div_ceil(self.stride));
        }
        let padded = size.checked_add(before)?.checked_add(after)?;
        let room = padded.checked_sub(extent)?;
        if room % self.stride != 0 && self.ceil {
            // Whether a window that starts in the padding counts differs between versions of the standard.
            let last = room / self.stride + 1;
            return if last.checked_mul(self.stride)? < size.checked_add(before)? { known(last + 1) } else { None };
        }
        known(room / self.stride + 1)
    }
}

fn convolution(view: &View<'_>, weight: usize, dtype: Option<DType>) -> Outcome {
    let (Some(x), Some(w)) = (view.shape(0), view.shape(weight)) else { return Ok(vec![untyped(dtype)]) };
    same_rank(view, 0, weight)?;
    let ([batch, channels, spatial @ ..], [filters, depth, kernel @ ..]) = (x, w) else {
        return Err(view.mismatch(&[0, weight]));
    };
    let groups = u64::try_from(view.node.int_or("group", 1)).ok().filter(|groups| *groups > 0);
    let groups = groups.ok_or(Why::Attribute { name: "group".to_owned(), reason: "not a positive number" })?;
    if let (Some(channels), Some(depth)) = (fixed(channels), fixed(depth))
        && depth.checked_mul(groups) != Some(channels)
    {
        return Err(view.mismatch(&[0, weight]));
    }
    let sizes = kernel.iter().map(fixed).collect::<Option<Vec<u64>>>().and_then(|kernel| windows(view, &kernel));
    let sizes = match sizes {
        Some(windows) => windows.iter().zip(spatial).map(|(window, size)| window.output(size)).collect(),
        None => vec![None; spatial.len()],
    };
    let shape = [batch.clone(), filters.clone()].into_iter().chain(sizes).collect();
    Ok(vec![typed(dtype, Some(shape))])
}

fn transposed(view: &View<'_>) -> Outcome {
    let dtype = view.dtype(0);
    let (Some(x), Some(w)) = (view.shape(0), view.shape(1)) else { return Ok(vec![untyped(dtype)]) };
    same_rank(view, 0, 1)?;
    let ([batch, channels, spatial @ ..], [depth, filters, kernel @ ..]) = (x, w) else {
        return Err(view.mismatch(&[0, 1]));
    };
    if let (Some(channels), Some(depth)) = (fixed(channels), fixed(depth))
        && channels != depth
    {
        return Err(view.mismatch(&[0, 1]));
    }
    let groups = u64::try_from(view.node.int_or("group", 1)).unwrap_or(1);
    let filters = fixed(filters).and_then(|filters| filters.checked_mul(groups)).and_then(known);
    let stated = view.node.ints("output_shape").is_some();
    let extra = view.node.ints("output_padding").unwrap_or_default();
    let windows = kernel.iter().map(fixed).collect::<Option<Vec<u64>>>().and_then(|kernel| windows(view, &kernel));
    let size = |axis: usize, size: &Size| {
        let window = windows.as_ref()?.get(axis)?;
        let plain = window.auto_pad == AutoPad::NotSet && !stated;
        let extra = u64::try_from(extra.get(axis).copied().unwrap_or(0)).ok()?;
        let steps = fixed(size)?.checked_sub(1)?.checked_mul(window.stride)?;
        let full = steps.checked_add(window.extent()?)?.checked_add(extra)?;
        known(full.checked_sub(window.pads.0.checked_add(window.pads.1)?)?).filter(|_| plain)
    };
    let sizes = spatial.iter().enumerate().map(|(axis, spatial)| size(axis, spatial));
    let shape = [batch.clone(), filters].into_iter().chain(sizes).collect();
    Ok(vec![typed(dtype, Some(shape))])
}

fn pool(view: &View<'_>) -> Option<Vec<Size>> {
    let [batch, channels, spatial @ ..] = view.shape(0)? else { return None };
    let kernel = view.node.ints("kernel_shape")?;
    let kernel: Vec<u64> = kernel.iter().map(|size| u64::try_from(*size).ok()).collect::<Option<_>>()?;
    let windows = windows(view, &kernel).filter(|windows| windows.len() == spatial.len())?;
    let sizes = windows.iter().zip(spatial).map(|(window, size)| window.output(size));
    Some([batch.clone(), channels.clone()].into_iter().chain(sizes).collect())
}
