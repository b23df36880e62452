//! A probability per pixel: the regions where it is high, and the map as a picture.

use std::io::Cursor;

/// From this probability on a pixel belongs to a region.
pub const THRESHOLD: f32 = 0.5;

/// Regions of fewer pixels are specks.
const LEAST_PIXELS: usize = 9;

/// A connected region of high probability: its bounding box in pixels of the map.
#[derive(Debug, Clone, PartialEq)]
pub struct Region {
    /// Left edge.
    pub x: usize,
    /// Upper edge.
    pub y: usize,
    /// Width.
    pub width: usize,
    /// Height.
    pub height: usize,
    /// Mean probability of its pixels.
    pub probability: f32,
}

/// Regions of pixels that touch each other (corners included) with at least [`THRESHOLD`], from top to bottom.
///
/// Pixels past the end of `values` count as 0. Never panics.
pub fn regions(values: &[f32], width: usize) -> Vec<Region> {
    if width == 0 {
        return Vec::new();
    }
    let height = values.len().div_ceil(width);
    let mut open: Vec<bool> = values.iter().map(|value| *value >= THRESHOLD).collect();
    open.resize(width * height, false);
    let mut found = Vec::new();
    let mut stack = Vec::new();
    for start in 0..open.len() {
        if !std::mem::take(&mut open[start]) {
            continue;
        }
        let (mut left, mut right, mut top, mut bottom) = (usize::MAX, 0, usize::MAX, 0);
        let (mut pixels, mut sum) = (0usize, 0f64);
        stack.push(start);
        while let Some(index) = stack.pop() {
            let (x, y) = (index % width, index / width);
            (left, right, top, bottom) = (left.min(x), right.max(x), top.min(y), bottom.max(y));
            pixels += 1;
            sum += f64::from(values[index]);
            for near_y in y.saturating_sub(1)..=(y + 1).min(height - 1) {
                for near_x in x.saturating_sub(1)..=(x + 1).min(width - 1) {
                    let near = near_y * width + near_x;
                    if std::mem::take(&mut open[near]) {
                        stack.push(near);
                    }
                }
            }
        }
        if pixels >= LEAST_PIXELS {
            let probability = (sum / pixels as f64) as f32;
            found.push(Region { x: left, y: top, width: right - left + 1, height: bottom - top + 1, probability });
        }
    }
    found.sort_by_key(|region| (region.y, region.x));
    found
}

/// The map as a grey PNG, white where the probability is 1. `None` if the values do not fill `width` x `height`.
pub fn png(values: &[f32], width: usize, height: usize) -> Option<Vec<u8>> {
    let pixels = values.iter().map(|value| (value.clamp(0.0, 1.0) * 255.0).round() as u8).collect();
    let image = image::GrayImage::from_raw(u32::try_from(width).ok()?, u32::try_from(height).ok()?, pixels)?;
    let mut file = Cursor::new(Vec::new());
    image.write_to(&mut file, image::ImageFormat::Png).ok()?;
    Some(file.into_inner())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(rows: &[&str]) -> (Vec<f32>, usize) {
        let values = rows.iter().flat_map(|row| row.bytes()).map(|b| if b == b'#' { 0.75 } else { 0.25 }).collect();
        (values, rows[0].len())
    }

    #[test]
    fn touching_pixels_are_one_region_and_specks_are_none() {
        let (values, width) =
            map(&["###....####", "###....####", "###....####", "...#.......", "....#....##", "..........."]);
        let boxes: Vec<_> = regions(&values, width).iter().map(|r| (r.x, r.y, r.width, r.height)).collect();
        assert_eq!(boxes, [(0, 0, 5, 5), (7, 0, 4, 3)]);
        assert!(regions(&values, width).iter().all(|r| r.probability == 0.75));
        assert_eq!(regions(&[], 4), []);
        assert_eq!(regions(&values, 0), []);
        assert!(!regions(&[1.0; 11], 3).is_empty(), "a last row that is cut short");
    }

    #[test]
    fn the_map_is_a_grey_picture() {
        let file = png(&[0.0, 1.0, 2.0, -1.0], 2, 2).unwrap();
        let image = image::load_from_memory(&file).unwrap().into_luma8();
        assert_eq!(image.into_raw(), [0, 255, 255, 0]);
        assert_eq!(png(&[0.0], 2, 2), None);
    }
}
