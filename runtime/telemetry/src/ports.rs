//! Which inputs and outputs are watched, and what the manifest says about their values.

use crate::baseline::Role;
use crate::sample::Reading;
use pannier_bundle::Dim;
use pannier_bundle::manifest::{ByteWindow, Content, ImageAxes, ImageLayout, Port};

/// An input or output that is watched.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Watched {
    pub(crate) role: Role,
    /// Position among the manifest's inputs, or outputs.
    pub(crate) port: usize,
    pub(crate) name: String,
    /// The values that the manifest allows, from and to; `None`: any.
    pub(crate) allowed: Option<(f64, f64)>,
    pub(crate) answer: Answer,
    pub(crate) reading: Reading,
}

/// What an output says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Nothing that has a name.
    Values,
    /// Scores of so many classes on the last axis, named by this list of labels.
    Classes { count: usize, labels: usize },
    /// One probability.
    Probability,
}

/// Most classes of which the best is looked for: more would not be cheap.
const CLASSES_MAX: usize = 4096;

/// Every input and output but the state that a stream carries: that is the model's own business. And of pictures and sounds that go
/// in, how they change from one element to the next.
pub(crate) fn watched(inputs: &[Port], outputs: &[Port]) -> impl Iterator<Item = Watched> + use<> {
    let side = |role, ports: &'_ [Port]| {
        let is_state = |port: &Port| matches!(port.content, Content::State { .. } | Content::NextState);
        let all = ports.iter().enumerate().filter(move |(_, port)| !is_state(port));
        all.map(move |(index, port)| values(role, index, port)).collect::<Vec<_>>()
    };
    let changes: Vec<Watched> =
        inputs.iter().enumerate().filter_map(|(index, port)| differences(index, port)).collect();
    side(Role::Input, inputs).into_iter().chain(side(Role::Output, outputs)).chain(changes)
}

fn values(role: Role, port: usize, described: &Port) -> Watched {
    let answer = match (&described.content, described.shape.last()) {
        (Content::Classes { labels }, Some(Dim::Fixed(count))) => {
            let count = usize::try_from(*count).ok().filter(|count| (1..=CLASSES_MAX).contains(count));
            match (count, usize::try_from(*labels)) {
                (Some(count), Ok(labels)) => Answer::Classes { count, labels },
                _ => Answer::Values,
            }
        }
        (Content::Probability { .. }, _) => Answer::Probability,
        _ => Answer::Values,
    };
    let (name, allowed) = (described.name.clone(), allowed(&described.content));
    Watched { role, port, name, allowed, answer, reading: Reading::Values }
}

/// What is watched of a picture or a sound beside its values.
fn differences(port: usize, described: &Port) -> Option<Watched> {
    let distance = match &described.content {
        Content::Image(ImageLayout { axes: ImageAxes::Nchw, .. }) | Content::Pcm(_) => 1,
        // The same channel of the next pixel.
        Content::Image(ImageLayout { axes: ImageAxes::Nhwc, .. }) => match described.shape.last() {
            Some(Dim::Fixed(channels)) => usize::try_from(*channels).ok()?,
            _ => return None,
        },
        _ => return None,
    };
    Some(Watched {
        role: Role::InputDifferences,
        port,
        name: format!("{}:differences", described.name),
        allowed: None,
        answer: Answer::Values,
        reading: Reading::Differences { distance },
    })
}

fn allowed(content: &Content) -> Option<(f64, f64)> {
    match content {
        Content::Bytes(ByteWindow { padding, .. }) => {
            Some((f64::from(*padding).min(0.0), f64::from(*padding).max(255.0)))
        }
        Content::Image(layout) => Some(pixels(layout)),
        // Resampling may overshoot a little.
        Content::Pcm(_) => Some((-1.01, 1.01)),
        Content::Probability { .. } | Content::Heatmap => Some((-1e-3, 1.001)),
        _ => None,
    }
}

/// From black to white in every channel, and the zero that pictures are filled up with; with room for rounding.
fn pixels(layout: &ImageLayout) -> (f64, f64) {
    let ends = layout.mean.iter().zip(&layout.std).flat_map(|(mean, std)| {
        let (mean, std) = (f64::from(*mean), f64::from(*std));
        [-mean / std, (1.0 - mean) / std]
    });
    let (low, high) = ends.fold((0.0_f64, 0.0_f64), |(low, high), end| (low.min(end), high.max(end)));
    (low - 0.01, high + 0.01)
}
