//! Areas in proportion to sizes, in a rectangle.
//!
//! The squarified layout of Bruls, Huizing and van Wijk (2000): items are laid in rows along the shorter side, and a row
//! is closed when one more item would make its worst aspect ratio worse.

/// A rectangle, in the units of the area that was asked for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Area {
    pub x: f64,
    pub y: f64,
    pub width: f64,
    pub height: f64,
}

/// One area per size, in the same order. Sizes have to be positive and sorted, largest first.
pub(super) fn squarify(sizes: &[f64], mut free: Area) -> Vec<Area> {
    let total: f64 = sizes.iter().sum();
    let mut areas = Vec::with_capacity(sizes.len());
    if total <= 0.0 {
        return areas;
    }
    let scale = free.width * free.height / total;
    let mut rest = sizes;
    while !rest.is_empty() {
        let side = free.width.min(free.height);
        let mut count = 1;
        while count < rest.len() && worst(&rest[..=count], scale, side) <= worst(&rest[..count], scale, side) {
            count += 1;
        }
        let (row, after) = rest.split_at(count);
        rest = after;
        lay(row, scale, &mut free, &mut areas);
    }
    areas
}

/// Largest aspect ratio of a row of these sizes along a side.
fn worst(row: &[f64], scale: f64, side: f64) -> f64 {
    let sum: f64 = row.iter().sum::<f64>() * scale;
    let thickness = sum / side;
    row.iter()
        .map(|size| {
            let length = size * scale / thickness;
            (length / thickness).max(thickness / length)
        })
        .fold(0.0, f64::max)
}

/// Lays one row along the shorter side of the free area and takes it off.
fn lay(row: &[f64], scale: f64, free: &mut Area, areas: &mut Vec<Area>) {
    let sum: f64 = row.iter().sum::<f64>() * scale;
    let upright = free.width >= free.height;
    let (mut x, mut y) = (free.x, free.y);
    if upright {
        let width = sum / free.height;
        for size in row {
            let height = size * scale / width;
            areas.push(Area { x, y, width, height });
            y += height;
        }
        free.x += width;
        free.width = (free.width - width).max(0.0);
    } else {
        let height = sum / free.width;
        for size in row {
            let width = size * scale / height;
            areas.push(Area { x, y, width, height });
            x += width;
        }
        free.y += height;
        free.height = (free.height - height).max(0.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn areas_are_in_proportion_and_inside() {
        // The example of the paper.
        let sizes = [6.0, 6.0, 4.0, 3.0, 2.0, 2.0, 1.0];
        let areas = squarify(&sizes, Area { x: 0.0, y: 0.0, width: 6.0, height: 4.0 });
        for (size, area) in sizes.iter().zip(&areas) {
            assert!((area.width * area.height - size).abs() < 1e-9, "{size}: {area:?}");
            assert!(
                area.x >= -1e-9
                    && area.y >= -1e-9
                    && area.x + area.width < 6.0 + 1e-9
                    && area.y + area.height < 4.0 + 1e-9
            );
            assert!((area.width / area.height).max(area.height / area.width) < 4.0, "{area:?} is a sliver");
        }
        assert_eq!(areas[0], Area { x: 0.0, y: 0.0, width: 3.0, height: 2.0 });
    }

    #[test]
    fn nothing_has_no_area() {
        assert!(squarify(&[], Area { x: 0.0, y: 0.0, width: 1.0, height: 1.0 }).is_empty());
    }
}
