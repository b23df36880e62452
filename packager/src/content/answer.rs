//! What the outputs of a run say, in the terms that the manifest gives them.

use super::ContentError;
use super::heatmap::{self, Region};
use super::numbers;
use pannier_bundle::manifest::{Content, Port};
use pannier_engine::Tensor;
use serde::Serialize;

/// What one output says.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Answer {
    /// The best classes, best first, for every row of the batch.
    Classes {
        /// The output.
        output: String,
        /// Rows of the batch.
        rows: Vec<Vec<Class>>,
    },
    /// A text for every row of the batch.
    Text {
        /// The output.
        output: String,
        /// Rows of the batch.
        rows: Vec<Text>,
    },
    /// A probability for every element.
    Probability {
        /// The output.
        output: String,
        /// What it is the probability of.
        of: String,
        /// The elements.
        values: Vec<f32>,
    },
    /// Regions of a picture.
    Regions {
        /// The output.
        output: String,
        /// Width of the map in pixels.
        width: usize,
        /// Height of the map in pixels.
        height: usize,
        /// Regions with a high probability, in pixels of the picture that went in, from top to bottom.
        regions: Vec<Area>,
    },
    /// Just numbers: a summary.
    Tensor {
        /// The output.
        output: String,
        /// NumPy name of the element type.
        dtype: &'static str,
        /// Row-major shape.
        shape: Vec<usize>,
        /// Least element; absent if there are none.
        #[serde(skip_serializing_if = "Option::is_none")]
        min: Option<f32>,
        /// Greatest element.
        #[serde(skip_serializing_if = "Option::is_none")]
        max: Option<f32>,
        /// Mean of the elements.
        #[serde(skip_serializing_if = "Option::is_none")]
        mean: Option<f32>,
        /// The first few elements.
        first: Vec<f32>,
    },
}

/// One class with its score.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Class {
    /// Its label, or its index as text where there is none.
    pub label: String,
    /// Its index.
    pub index: usize,
    /// What the model gives it.
    pub score: f32,
    /// Whether the row's scores are a probability distribution.
    pub is_probability: bool,
}

/// One text.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Text {
    /// The text.
    pub text: String,
    /// Mean probability of its characters; 0 for an empty text.
    pub probability: f32,
}

/// A region of the picture that went in.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Area {
    /// Left edge in pixels.
    pub x: u32,
    /// Upper edge in pixels.
    pub y: u32,
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// Mean probability of its pixels.
    pub probability: f32,
}

/// How to read outputs.
#[derive(Debug, Clone, Copy)]
pub struct Reading<'a> {
    /// The lists of the bundle's `labels` section.
    pub labels: &'a [Vec<String>],
    /// How many classes of a row to give.
    pub top: usize,
    /// Pixels of the picture per pixel of the tensor, across and down.
    pub scale: (f64, f64),
}

/// What an output says; `None` for one that is only fed back.
///
/// # Errors
/// [`ContentError::Description`]: its shape or its label list is not what the description needs.
pub fn answer(port: &Port, tensor: &Tensor, reading: &Reading<'_>) -> Result<Option<Answer>, ContentError> {
    let output = port.name.clone();
    let wrong = |reason: String| ContentError::Description { port: port.name.clone(), reason };
    let list = |index: u32| {
        let list = reading.labels.get(index as usize);
        list.ok_or_else(|| wrong(format!("there is no label list {index}")))
    };
    Ok(Some(match &port.content {
        Content::NextState => return Ok(None),
        Content::Classes { labels } => {
            let values = numbers::values(tensor);
            let count = last_axis(tensor).ok_or_else(|| wrong(format!("shape {:?} has no classes", tensor.shape())))?;
            let list = list(*labels)?;
            Answer::Classes {
                output,
                rows: values.chunks_exact(count).map(|row| classes(row, list, reading.top)).collect(),
            }
        }
        Content::Ctc { labels, blank } => {
            let list = list(*labels)?;
            let values = numbers::values(tensor);
            let (time, count) = match tensor.shape() {
                [.., time, count] if *time > 0 && *count > 0 => (*time, *count),
                shape => return Err(wrong(format!("shape {shape:?} is not [batch, time, characters]"))),
            };
            let rows = values.chunks_exact(time * count).map(|row| text(row, count, list, *blank as usize)).collect();
            Answer::Text { output, rows }
        }
        Content::Probability { of } => {
            Answer::Probability { output, of: of.clone(), values: numbers::values(tensor).into_owned() }
        }
        Content::Heatmap => {
            let [1, 1, height, width] = *tensor.shape() else {
                return Err(wrong(format!("shape {:?} is not [1, 1, height, width]", tensor.shape())));
            };
            let regions = heatmap::regions(&numbers::values(tensor), width);
            let regions = regions.iter().map(|region| area(region, reading.scale)).collect();
            Answer::Regions { output, width, height, regions }
        }
        // The others describe inputs; an output that bears one by mistake is still a tensor.
        Content::Tensor | Content::Bytes(_) | Content::Image(_) | Content::Pcm(_) | Content::State { .. } => {
            summary(output, tensor)
        }
    }))
}

/// Index of the greatest value of a row, the first of equals; `None` for an empty row.
pub fn best(row: &[f32]) -> Option<usize> {
    let greater = |best: Option<(usize, f32)>, (index, value): (usize, f32)| match best {
        Some((_, highest)) if value <= highest || value.is_nan() => best,
        _ => Some((index, value)),
    };
    row.iter().copied().enumerate().fold(None, greater).map(|(index, _)| index)
}

fn last_axis(tensor: &Tensor) -> Option<usize> {
    tensor.shape().last().copied().filter(|count| *count > 0)
}

fn classes(row: &[f32], labels: &[String], top: usize) -> Vec<Class> {
    let sum: f32 = row.iter().sum();
    let is_probability = row.iter().all(|v| (0.0..=1.0).contains(v)) && (sum - 1.0).abs() < 1e-2;
    let mut order: Vec<usize> = (0..row.len()).collect();
    order.sort_by(|a, b| row[*b].total_cmp(&row[*a]).then(a.cmp(b)));
    let class = |index: usize| {
        let label = labels.get(index).cloned().unwrap_or_else(|| index.to_string());
        Class { label, index, score: row[index], is_probability }
    };
    order.into_iter().take(top).map(class).collect()
}

/// Greedy decoding: the best character of each step, repeats and blanks dropped.
fn text(row: &[f32], count: usize, characters: &[String], blank: usize) -> Text {
    let mut text = String::new();
    let (mut sum, mut kept) = (0.0, 0u32);
    let mut previous = None;
    for step in row.chunks_exact(count) {
        let Some(index) = best(step) else { continue };
        if index != blank && previous != Some(index) {
            text.push_str(characters.get(index).map_or("\u{fffd}", String::as_str));
            sum += step[index];
            kept += 1;
        }
        previous = Some(index);
    }
    Text { text, probability: if kept == 0 { 0.0 } else { sum / kept as f32 } }
}

fn area(region: &Region, (across, down): (f64, f64)) -> Area {
    let scaled = |pixels: usize, scale: f64| (pixels as f64 * scale).round() as u32;
    Area {
        x: scaled(region.x, across),
        y: scaled(region.y, down),
        width: scaled(region.width, across),
        height: scaled(region.height, down),
        probability: region.probability,
    }
}

fn summary(output: String, tensor: &Tensor) -> Answer {
    let values = numbers::values(tensor);
    let some = |value: f32| (!values.is_empty()).then_some(value);
    let mean = values.iter().map(|v| f64::from(*v)).sum::<f64>() / values.len().max(1) as f64;
    Answer::Tensor {
        output,
        dtype: tensor.dtype().name(),
        shape: tensor.shape().to_vec(),
        min: some(values.iter().copied().fold(f32::INFINITY, f32::min)),
        max: some(values.iter().copied().fold(f32::NEG_INFINITY, f32::max)),
        mean: some(mean as f32),
        first: values.iter().copied().take(4).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pannier_engine::DType;

    fn port(content: Content) -> Port {
        Port { name: "y".into(), dtype: DType::F32, shape: vec![], description: String::new(), content }
    }

    fn read(content: Content, shape: &[usize], values: &[f32]) -> Result<Option<Answer>, ContentError> {
        let labels = [vec!["-".to_owned(), "a".to_owned(), "b".to_owned()]];
        let tensor = Tensor::from_slice(shape, values).unwrap();
        answer(&port(content), &tensor, &Reading { labels: &labels, top: 2, scale: (2.0, 0.5) })
    }

    #[test]
    fn classes_come_best_first() {
        let Ok(Some(Answer::Classes { rows, .. })) =
            read(Content::Classes { labels: 0 }, &[2, 4], &[0.1, 0.2, 0.2, 0.5, 9.0, 1.0, 2.0, 3.0])
        else {
            panic!("two rows of classes")
        };
        let names: Vec<Vec<_>> =
            rows.iter().map(|row| row.iter().map(|c| (c.label.as_str(), c.is_probability)).collect()).collect();
        assert_eq!(names, [[("3", true), ("a", true)], [("-", false), ("3", false)]]);
    }

    #[test]
    fn ctc_drops_repeats_and_blanks() {
        let one_hot = |indices: &[usize]| -> Vec<f32> {
            indices.iter().flat_map(|i| (0..3).map(move |j| if *i == j { 0.5 } else { 0.25 })).collect()
        };
        let cases: &[(&[usize], &str)] =
            &[(&[1, 1, 0, 1, 2, 2], "aab"), (&[0, 0, 0, 0, 0, 0], ""), (&[2, 1, 2, 0, 0, 2], "babb")];
        for (steps, expected) in cases {
            let Ok(Some(Answer::Text { rows, .. })) =
                read(Content::Ctc { labels: 0, blank: 0 }, &[1, 6, 3], &one_hot(steps))
            else {
                panic!("a text")
            };
            assert_eq!(rows[0].text, *expected);
            assert_eq!(rows[0].probability, if expected.is_empty() { 0.0 } else { 0.5 });
        }
    }

    #[test]
    fn regions_are_in_pixels_of_the_picture() {
        let Ok(Some(Answer::Regions { regions, .. })) = read(Content::Heatmap, &[1, 1, 4, 4], &[1.0; 16]) else {
            panic!("a region")
        };
        assert_eq!(regions, [Area { x: 0, y: 0, width: 8, height: 2, probability: 1.0 }]);
    }

    #[test]
    fn a_description_that_does_not_fit_is_an_error() {
        assert!(read(Content::Classes { labels: 7 }, &[1, 2], &[0.0; 2]).is_err());
        assert!(read(Content::Classes { labels: 0 }, &[], &[0.0]).is_err());
        assert!(read(Content::Ctc { labels: 0, blank: 0 }, &[3], &[0.0; 3]).is_err());
        assert!(read(Content::Heatmap, &[4, 4], &[0.0; 16]).is_err());
        assert_eq!(read(Content::NextState, &[1], &[0.0]).unwrap(), None);
    }

    #[test]
    fn a_tensor_without_elements_has_no_extremes() {
        let Ok(Some(Answer::Tensor { min, first, .. })) = read(Content::Tensor, &[0, 4], &[]) else {
            panic!("a summary")
        };
        assert_eq!((min, first.len()), (None, 0));
    }

    #[test]
    fn the_first_of_equals_is_best() {
        assert_eq!(best(&[1.0, 2.0, 2.0]), Some(1));
        assert_eq!(best(&[f32::NAN, 1.0]), Some(1));
        assert_eq!(best(&[]), None);
    }
}
