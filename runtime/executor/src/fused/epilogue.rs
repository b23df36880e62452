//! Elementwise steps on a result before it is stored.

use crate::view::{Failure, View};
use pannier_kernels as kernels;
use pannier_kernels::{Activation, Operand, Step};

/// Most steps of one pass: their operands lie in an array of this length when it runs.
pub(crate) const MOST_STEPS: usize = 16;

/// What a step does with its element `x` and an operand `y`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Combine {
    Add,
    Sub,
    /// `y - x`
    SubFrom,
    Mul,
    Div,
    /// `y / x`
    DivInto,
    Min,
    Max,
    PRelu,
}

impl Combine {
    /// The same with `x` and `y` exchanged.
    pub(crate) fn swapped(self) -> Option<Combine> {
        match self {
            Combine::Sub => Some(Combine::SubFrom),
            Combine::SubFrom => Some(Combine::Sub),
            Combine::Div => Some(Combine::DivInto),
            Combine::DivInto => Some(Combine::Div),
            Combine::PRelu => None,
            same => Some(same),
        }
    }
}

/// How an operand covers the result, seen as a matrix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Spread {
    Scalar,
    /// One number per column.
    Cols,
    /// One number per row.
    Rows,
    /// One number per element.
    Full,
}

/// One step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum EpilogueStep {
    Activate(Activation),
    Affine {
        scale: f32,
        shift: f32,
    },
    /// With the next of the node's operands.
    Combine(Combine),
}

/// Steps in order. Operands broadcast to the result's shape, as ONNX defines it.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Epilogue {
    pub(crate) steps: Vec<EpilogueStep>,
}

impl Epilogue {
    pub(crate) fn new(step: EpilogueStep) -> Epilogue {
        Epilogue { steps: vec![step] }
    }

    /// Appends steps; those that amount to one become one. Whether there was room.
    pub(crate) fn append(&mut self, more: &Epilogue) -> bool {
        for step in &more.steps {
            match (self.steps.last_mut(), step) {
                (Some(EpilogueStep::Affine { scale, shift }), EpilogueStep::Affine { scale: by, shift: add }) => {
                    (*scale, *shift) = (*scale * by, *shift * by + add);
                }
                _ => self.steps.push(*step),
            }
        }
        self.steps.len() <= MOST_STEPS
    }

    /// The steps for people, for example ` + Relu + Add`.
    pub(crate) fn describe(&self) -> String {
        let name = |step: &EpilogueStep| match step {
            EpilogueStep::Activate(activation) => format!(" + {activation:?}"),
            EpilogueStep::Affine { scale, shift } => format!(" + x * {scale} + {shift}"),
            EpilogueStep::Combine(combine) => format!(" + {combine:?}"),
        };
        self.steps.iter().map(name).collect()
    }

    /// Hands the kernels' steps over, for a result of this shape seen as a matrix. An operand that is absent is what the
    /// destination held before.
    pub(crate) fn with_steps<'a, R>(
        &self,
        operands: &[Option<View<'a>>],
        result: &[usize],
        rows: usize,
        cols: usize,
        run: impl FnOnce(&[Step<'a>]) -> Result<R, Failure>,
    ) -> Result<R, Failure> {
        if rows == 0 || cols == 0 {
            // There is nothing to do a step with, and no matrix that operands could cover.
            return run(&[]);
        }
        let mut list = [Step::Activate(Activation::Relu); MOST_STEPS];
        let mut operands = operands.iter();
        let slots = list.get_mut(..self.steps.len()).ok_or("too many steps")?;
        for (slot, step) in slots.iter_mut().zip(&self.steps) {
            *slot = match step {
                EpilogueStep::Activate(activation) => Step::Activate(*activation),
                EpilogueStep::Affine { scale, shift } => Step::Affine { scale: *scale, shift: *shift },
                EpilogueStep::Combine(combine) => {
                    let operand = operand(*operands.next().ok_or("an operand is missing")?, result, rows, cols)?;
                    match combine {
                        Combine::Add => Step::Add(operand),
                        Combine::Sub => Step::Sub(operand),
                        Combine::SubFrom => Step::SubFrom(operand),
                        Combine::Mul => Step::Mul(operand),
                        Combine::Div => Step::Div(operand),
                        Combine::DivInto => Step::DivInto(operand),
                        Combine::Min => Step::Min(operand),
                        Combine::Max => Step::Max(operand),
                        Combine::PRelu => Step::PRelu(operand),
                    }
                }
            };
        }
        run(slots)
    }
}

fn operand<'a>(view: Option<View<'a>>, result: &[usize], rows: usize, cols: usize) -> Result<Operand<'a>, Failure> {
    let Some(view) = view else { return Ok(Operand::Destination) };
    let values = view.as_slice::<f32>()?;
    match (values, spread(view.shape, values.len(), result, rows, cols)) {
        ([value, ..], Some(Spread::Scalar)) => Ok(Operand::Scalar(*value)),
        (_, Some(Spread::Cols)) => Ok(Operand::Cols(values)),
        (_, Some(Spread::Rows)) => Ok(Operand::Rows(values)),
        (_, Some(Spread::Full)) => {
            kernels::View::dense(values, rows, cols).map(Operand::Full).map_err(|e| e.to_string())
        }
        _ => Err(format!("an operand of {:?} for {rows} x {cols}", view.shape)),
    }
}

/// How an operand that passed [`split`] covers a matrix: by its length, and where that says nothing, by whether it is repeated
/// along the last axis along which the result is not of size 1.
pub(super) fn spread(shape: &[usize], len: usize, result: &[usize], rows: usize, cols: usize) -> Option<Spread> {
    let behind = result.iter().rev().take_while(|size| **size == 1).count();
    let repeated_inside = shape.iter().rev().nth(behind).is_none_or(|size| *size == 1);
    match len {
        1 => Some(Spread::Scalar),
        len if len == rows * cols => Some(Spread::Full),
        len if len == rows && (len != cols || repeated_inside) => Some(Spread::Rows),
        len if len == cols => Some(Spread::Cols),
        _ => None,
    }
}

/// The matrix as which a result of this shape has to be seen, so that every operand is a scalar, a row, a column or whole.
///
/// `None`: there is none; an operand has to be expanded first.
pub(crate) fn split(result: &[usize], operands: &[&[usize]]) -> Option<(usize, usize)> {
    let total = crate::shape::len(result);
    let mut cols = None;
    let mut agree = |wanted: usize| match cols {
        None => {
            cols = Some(wanted);
            true
        }
        Some(cols) => cols == wanted,
    };
    for operand in operands {
        let offset = result.len().checked_sub(operand.len())?;
        let len = crate::shape::len(operand);
        if len == 1 || len == total {
            continue;
        }
        let fits = |axis: usize| axis >= offset && operand[axis - offset] == result[axis];
        // Axes of the result along which the operand is repeated must all lie before its own, or all behind them.
        let (mut count, mut leading, mut trailing) = (0, 0, 0);
        for (seen, axis) in (0..result.len()).filter(|axis| result[*axis] != 1).enumerate() {
            if fits(axis) {
                trailing = 0;
            } else {
                leading += usize::from(leading == seen);
                (count, trailing) = (count + 1, trailing + 1);
            }
        }
        let fitted = if count == leading { agree(len) } else { count == trailing && agree(total / len.max(1)) };
        if !fitted {
            return None;
        }
    }
    // Without an operand that says otherwise, rows are those of the last axis.
    let cols = cols.unwrap_or_else(|| crate::shape::row_len(result));
    Some((total.checked_div(cols).unwrap_or(0), cols))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matrices_are_found_for_operands_that_broadcast() {
        type Case<'a> = (&'a [usize], &'a [&'a [usize]], Option<(usize, usize)>);
        let cases: [Case<'_>; 7] = [
            (&[2, 3, 4], &[], Some((6, 4))),
            (&[2, 3, 4], &[&[4], &[]], Some((6, 4))),
            (&[2, 3, 4], &[&[3, 4]], Some((2, 12))),
            (&[2, 3, 4], &[&[2, 3, 1]], Some((6, 4))),
            (&[2, 3, 4], &[&[2, 1, 1], &[2, 3, 4]], Some((2, 12))),
            (&[2, 3, 4], &[&[2, 1, 4]], None),
            (&[2, 3, 4], &[&[4], &[2, 1, 1]], None),
        ];
        for (result, operands, expected) in cases {
            assert_eq!(split(result, operands), expected, "{result:?} {operands:?}");
        }
    }

    #[test]
    fn an_operand_of_a_square_matrix_is_a_row_or_a_column_by_its_axis() {
        for (shape, result, expected) in [
            (&[5, 1][..], &[5, 5][..], Spread::Rows),
            (&[1, 5], &[5, 5], Spread::Cols),
            (&[5], &[5, 5], Spread::Cols),
            (&[1, 5, 1], &[5, 5, 1], Spread::Cols),
            (&[5, 1, 1], &[5, 5, 1], Spread::Rows),
        ] {
            assert_eq!(spread(shape, 5, result, 5, 5), Some(expected), "{shape:?} of {result:?}");
        }
    }

    #[test]
    fn affine_steps_that_follow_each_other_become_one() {
        let mut epilogue = Epilogue::new(EpilogueStep::Affine { scale: 2.0, shift: 1.0 });
        assert!(epilogue.append(&Epilogue::new(EpilogueStep::Affine { scale: 3.0, shift: 4.0 })));
        assert_eq!(epilogue.steps, [EpilogueStep::Affine { scale: 6.0, shift: 7.0 }]);
    }
}
