//! What an input or output means, in words.

use pannier_bundle::manifest::{Colour, Content, ImageAxes, Resize};

/// The short name of a kind, as in `packager.toml`.
pub(super) fn kind(content: &Content) -> &'static str {
    match content {
        Content::Tensor => "tensor",
        Content::Bytes(_) => "bytes",
        Content::Image(_) => "image",
        Content::Pcm(_) => "pcm",
        Content::State { .. } => "state",
        Content::NextState => "next-state",
        Content::Classes { .. } => "classes",
        Content::Probability { .. } => "probability",
        Content::Ctc { .. } => "ctc",
        Content::Heatmap => "heatmap",
    }
}

/// One line. `labels` has the number of labels in each list.
pub(super) fn words(content: &Content, labels: &[usize]) -> String {
    let label_count =
        |index: u32| usize::try_from(index).ok().and_then(|index| labels.get(index)).copied().unwrap_or(0);
    match content {
        Content::Tensor => String::new(),
        Content::Bytes(window) => format!("a file: its first {} and last {} bytes", window.head, window.tail),
        Content::Image(layout) => {
            let colour = match layout.colour {
                Colour::Rgb => "RGB",
                Colour::Bgr => "BGR",
                Colour::Grey => "grey",
            };
            let axes = match layout.axes {
                ImageAxes::Nchw => "NCHW",
                ImageAxes::Nhwc => "NHWC",
            };
            let size = match layout.resize {
                Resize::Stretch { height, width } => format!("{height} x {width} pixels"),
                Resize::FitHeight { height, width, grow: false } => format!("{height} pixels high, {width} wide"),
                Resize::FitHeight { height, width, grow: true } => {
                    format!("{height} pixels high, {width} wide or more")
                }
                Resize::Multiple { of, limit } => format!("sides are multiples of {of}, at most {limit} pixels"),
            };
            format!("a picture: {colour}, {axes}, {size}")
        }
        Content::Pcm(frame) => {
            let context =
                if frame.context == 0 { String::new() } else { format!(" after {} earlier ones", frame.context) };
            format!("sound at {} Hz: {} samples a run{context}", frame.sample_rate_hz, frame.frame)
        }
        Content::State { output } => format!("state: zeros at first, then output `{output}`"),
        Content::NextState => "the next run's state".to_owned(),
        Content::Classes { labels } => format!("a score for each of {} classes", label_count(*labels)),
        Content::Probability { of } => format!("the probability of {of}"),
        Content::Ctc { labels, .. } => format!("text: scores of {} characters over time (CTC)", label_count(*labels)),
        Content::Heatmap => "a probability for each pixel".to_owned(),
    }
}
