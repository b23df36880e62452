//! `Einsum`: sums of products over letters.

use super::elementwise::numbers;
use super::{Attributes, FLOATS, Facts, Io, Operator, Refusal, expect_same, expect_type, write_floats};
use crate::shape;
use crate::view::Failure;
use pannier_engine::DType;
use std::sync::Arc;

/// An axis: a letter, or the n-th of those that dots stand for, counted from the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Label {
    Letter(u8),
    Dots(usize),
}

/// The labels of a term, with the place of the dots.
#[derive(Debug, Clone)]
struct Term {
    letters: Vec<u8>,
    dots: Option<usize>,
}

/// `Einsum` with its equation.
#[derive(Debug)]
struct Einsum {
    terms: Vec<Term>,
    /// `None`: letters that occur once, in the order of the alphabet, after the dots.
    result: Option<Term>,
}

/// `Einsum`
pub(crate) fn einsum(attributes: &Attributes<'_>) -> Result<Arc<dyn Operator>, Refusal> {
    let equation: String = attributes.text("equation", "")?.chars().filter(|c| !c.is_whitespace()).collect();
    let (terms, result) = match equation.split_once("->") {
        Some((terms, result)) => (terms, Some(term(result)?)),
        None => (equation.as_str(), None),
    };
    let terms = terms.split(',').map(term).collect::<Result<Vec<_>, _>>()?;
    Ok(Arc::new(Einsum { terms, result }))
}

fn term(text: &str) -> Result<Term, Refusal> {
    let dots = text.find("...");
    let letters: Vec<u8> = text.replacen("...", "", 1).into_bytes();
    if letters.iter().all(u8::is_ascii_alphabetic) {
        return Ok(Term { letters, dots });
    }
    Err(Refusal::Invalid(format!("`{text}` in an equation")))
}

impl Term {
    /// The labels of axes, where dots stand for as many as are left of `rank`.
    fn labels(&self, rank: usize) -> Result<Vec<Label>, String> {
        let missing = rank.checked_sub(self.letters.len()).filter(|missing| self.dots.is_some() || *missing == 0);
        let missing = missing.ok_or_else(|| format!("{} letters for a rank of {rank}", self.letters.len()))?;
        let mut labels: Vec<Label> = self.letters.iter().map(|letter| Label::Letter(*letter)).collect();
        if let Some(dots) = self.dots {
            labels.splice(dots..dots, (0..missing).rev().map(Label::Dots));
        }
        Ok(labels)
    }
}

/// Sizes of all labels, those of the result first, and how operands are read.
struct Sums {
    sizes: Vec<usize>,
    /// Labels of the result.
    kept: usize,
    strides: Vec<Vec<usize>>,
}

impl Einsum {
    fn sums(&self, shapes: &[&[usize]]) -> Result<Sums, String> {
        if shapes.len() != self.terms.len() {
            return Err(format!("{} operands for {} terms", shapes.len(), self.terms.len()));
        }
        let terms = self.terms.iter().zip(shapes);
        let operands = terms.map(|(term, shape)| term.labels(shape.len())).collect::<Result<Vec<_>, _>>()?;
        let mut sizes: Vec<(Label, usize)> = Vec::new();
        for (label, size) in operands.iter().zip(shapes).flat_map(|(labels, shape)| labels.iter().zip(shape.iter())) {
            match sizes.iter_mut().find(|(known, _)| known == label) {
                None => sizes.push((*label, *size)),
                Some((_, known)) if *known == *size || *size == 1 => {}
                Some((_, known)) if *known == 1 => *known = *size,
                Some((_, known)) => return Err(format!("sizes {known} and {size} for one letter")),
            }
        }
        let dots = sizes.iter().filter(|(label, _)| matches!(label, Label::Dots(_))).count();
        let result = match &self.result {
            Some(term) => term.labels(term.letters.len() + if term.dots.is_some() { dots } else { 0 })?,
            None => {
                let count = |label: &Label| operands.iter().flatten().filter(|other| *other == label).count();
                let once = |(label, _): &(Label, usize)| match label {
                    Label::Letter(letter) if count(label) == 1 => Some(*letter),
                    _ => None,
                };
                let mut once: Vec<u8> = sizes.iter().filter_map(once).collect();
                once.sort_unstable();
                let letters = once.into_iter().map(Label::Letter);
                (0..dots).rev().map(Label::Dots).chain(letters).collect()
            }
        };
        let mut order: Vec<(Label, usize)> = Vec::with_capacity(sizes.len());
        for label in &result {
            let known = sizes.iter().find(|(known, _)| known == label).ok_or("a letter that no operand has")?;
            if order.contains(known) {
                return Err("a letter twice in the result".into());
            }
            order.push(*known);
        }
        let kept = order.len();
        order.extend(sizes.iter().filter(|known| !result.contains(&known.0)));
        let strides = operands.iter().zip(shapes).map(|(labels, shape)| {
            let own = shape::strides(shape);
            // A letter twice is a diagonal; an axis of size 1 is repeated.
            let along = |label: &Label| {
                let axes = (0..labels.len()).filter(|axis| labels[*axis] == *label && shape[*axis] != 1);
                axes.map(|axis| own[axis]).fold(0, usize::saturating_add)
            };
            order.iter().map(|(label, _)| along(label)).collect()
        });
        Ok(Sums { strides: strides.collect(), sizes: order.into_iter().map(|(_, size)| size).collect(), kept })
    }
}

impl Operator for Einsum {
    fn types(&self, inputs: &[Option<DType>]) -> Result<Vec<DType>, Refusal> {
        let dtype = expect_type(inputs, 0, FLOATS)?;
        (1..inputs.len()).try_for_each(|index| expect_same(inputs, index, dtype))?;
        Ok(vec![dtype])
    }

    fn shapes(&self, inputs: &Facts<'_>) -> Result<Vec<Vec<usize>>, Refusal> {
        let shapes = (0..inputs.0.len()).map(|index| inputs.shape(index)).collect::<Result<Vec<_>, _>>()?;
        let Sums { sizes, kept, .. } = self.sums(&shapes)?;
        Ok(vec![sizes.get(..kept).unwrap_or_default().to_vec()])
    }

    fn flops(&self, inputs: &Facts<'_>) -> usize {
        let shapes: Option<Vec<_>> = inputs.0.iter().map(|fact| fact.map(|fact| fact.shape)).collect();
        let sums = shapes.and_then(|shapes| self.sums(&shapes).ok());
        sums.map_or(0, |sums| shape::len(&sums.sizes).saturating_mul(self.terms.len()))
    }

    fn run(&self, io: &mut Io<'_, '_>) -> Result<(), Failure> {
        let views = (0..io.inputs.len()).map(|index| io.input(index)).collect::<Result<Vec<_>, _>>()?;
        let shapes: Vec<&[usize]> = views.iter().map(|view| view.shape).collect();
        let Sums { sizes, kept, strides } = self.sums(&shapes)?;
        let operands = views.iter().map(|view| numbers(*view)).collect::<Result<Vec<_>, _>>()?;
        let (outer, inner) = sizes.split_at(kept);
        let mut sums = Vec::with_capacity(shape::len(outer));
        let (mut place, mut step) = (vec![0; outer.len()], vec![0; inner.len()]);
        let mut offsets = vec![0; operands.len()];
        for _ in 0..shape::len(outer) {
            for (offset, strides) in offsets.iter_mut().zip(&strides) {
                *offset = dot(&place, strides);
            }
            let mut sum = 0.0;
            for at in 0..shape::len(inner) {
                if at % 4096 == 0 {
                    io.limits.check()?;
                }
                let values = operands.iter().zip(&offsets).zip(&strides);
                sum += values
                    .map(|((values, offset), strides)| {
                        let behind = strides.get(kept..).unwrap_or_default();
                        values.get(offset + dot(&step, behind)).copied().unwrap_or(0.0)
                    })
                    .product::<f64>();
                advance(&mut step, inner);
            }
            sums.push(sum);
            advance(&mut place, outer);
        }
        write_floats(io.output(0)?, &mut |at| sums.get(at).copied().unwrap_or(0.0))
    }
}

fn dot(index: &[usize], strides: &[usize]) -> usize {
    index.iter().zip(strides).map(|(index, stride)| index * stride).sum()
}

/// The next place in row-major order; after the last, the first.
fn advance(place: &mut [usize], shape: &[usize]) {
    for (at, size) in place.iter_mut().zip(shape).rev() {
        *at += 1;
        if *at < *size {
            return;
        }
        *at = 0;
    }
}
