//! Pruning: which weights become zero. Channels are not set to zero but taken out: see [`channels`](super::channels).
//!
//! Of equal steps in size, a coarser quantization loses less than zeros do (Kuzmin et al. 2023, arXiv:2307.02973), so nothing
//! here happens unless it is asked for. A weight's worth is its square, weighted with how strongly its input speaks where that
//! is known: what its loss costs if nothing else changes (Wanda, arXiv:2306.11695; OBS of Hassibi and Stork 1993 with a diagonal
//! Hessian). Adaptive rounding lets the weights that stay make up for those that go.

use super::Prune;
use super::weights::Rows;

/// By weight, row after row: whether it becomes zero; `None` where none does. Ties go to the lower index: the first of equals is
/// pruned.
pub(super) fn mask(rows: &Rows, prune: Prune, importance: impl Fn(usize) -> f64) -> Option<Vec<bool>> {
    let width = rows.width().max(1);
    let worth: Vec<f64> = rows
        .data
        .iter()
        .enumerate()
        .map(|(index, number)| f64::from(*number) * f64::from(*number) * importance(index))
        .collect();
    Some(match prune {
        Prune::Channels(_) => return None,
        Prune::Magnitude(share) => least(&worth, part(worth.len(), share)),
        Prune::Groups { kept, group } => {
            let group = usize::from(group).max(1);
            let rows = worth.chunks(width).flat_map(|row| row.chunks(group));
            // What is left over at the end of a row keeps its share, rounded up.
            rows.flat_map(|part| {
                let kept = (part.len() * usize::from(kept)).div_ceil(group);
                least(part, part.len().saturating_sub(kept))
            })
            .collect()
        }
    })
}

fn part(count: usize, share: f32) -> usize {
    (count as f64 * f64::from(share)) as usize
}

/// Marks the `count` smallest.
fn least(worth: &[f64], count: usize) -> Vec<bool> {
    let mut order: Vec<usize> = (0..worth.len()).collect();
    let at = |index: usize| worth.get(index).copied().unwrap_or_default();
    order.sort_by(|a, b| at(*a).total_cmp(&at(*b)).then(a.cmp(b)));
    let mut marked = vec![false; worth.len()];
    for index in order.into_iter().take(count) {
        if let Some(mark) = marked.get_mut(index) {
            *mark = true;
        }
    }
    marked
}
