//! Softmax, normalisation, reductions, recurrent cells, transposition.

use crate::support::{Numbers, compare, every_kernels};
use pannier_kernels::{Reduce, View, ViewMut};

const SHAPES: [(usize, usize); 10] =
    [(0, 3), (1, 1), (2, 7), (3, 16), (5, 31), (4, 32), (3, 33), (7, 40), (2, 257), (40, 120)];

fn matrix(rows: usize, cols: usize) -> Vec<f32> {
    Numbers::new((rows * 1000 + cols) as u64).vec(rows * cols).iter().map(|x| x * 4.0).collect()
}

/// `f` of each row, in f64.
fn by_row(data: &[f32], cols: usize, f: impl Fn(&[f64]) -> Vec<f64>) -> Vec<f64> {
    data.chunks(cols).flat_map(|row| f(&row.iter().map(|x| f64::from(*x)).collect::<Vec<_>>())).collect()
}

#[test]
fn softmax_of_rows() {
    for (rows, cols) in SHAPES {
        let mut data = matrix(rows, cols);
        if let Some(x) = data.last_mut() {
            *x = f32::NEG_INFINITY;
        }
        let softmax = |row: &[f64]| {
            let max = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let e: Vec<f64> =
                row.iter().map(|x| if max == f64::NEG_INFINITY { 0.0 } else { (x - max).exp() }).collect();
            let sum = e.iter().sum::<f64>();
            e.iter().map(|e| if sum == 0.0 { 0.0 } else { e / sum }).collect()
        };
        let expected = by_row(&data, cols, softmax);
        compare("softmax", 5e-7, &expected, |kernels| {
            let mut out = vec![f32::NAN; data.len()];
            let target = ViewMut::dense(&mut out, rows, cols).unwrap();
            kernels.softmax(View::dense(&data, rows, cols).unwrap(), target).unwrap();
            let mut same = data.clone();
            kernels.softmax_in_place(ViewMut::dense(&mut same, rows, cols).unwrap());
            assert_eq!(out, same);
            out
        });
        let finite = matrix(rows, cols);
        let expected = by_row(&finite, cols, |row| softmax(row).iter().map(|p| p.ln()).collect());
        compare("log softmax", 2e-6, &expected, |kernels| {
            let mut out = vec![f32::NAN; data.len()];
            let target = ViewMut::dense(&mut out, rows, cols).unwrap();
            kernels.log_softmax(View::dense(&finite, rows, cols).unwrap(), target).unwrap();
            out
        });
    }
}

#[test]
fn layer_normalisation_of_rows() {
    for (rows, cols) in SHAPES {
        let data = matrix(rows, cols);
        let (scale, shift) = (matrix(1, cols), matrix(1, cols));
        for (scale, shift) in [(None, None), (Some(&scale), None), (Some(&scale), Some(&shift))] {
            let expected = by_row(&data, cols, |row| {
                let mean = row.iter().sum::<f64>() / cols as f64;
                let variance = row.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / cols as f64;
                let at = |v: Option<&Vec<f32>>, i: usize, default| v.map_or(default, |v| f64::from(v[i]));
                (0..cols)
                    .map(|i| (row[i] - mean) / (variance + 1e-5).sqrt() * at(scale, i, 1.0) + at(shift, i, 0.0))
                    .collect()
            });
            compare("layer norm", 1e-5, &expected, |kernels| {
                let mut out = vec![f32::NAN; data.len()];
                let (source, target) =
                    (View::dense(&data, rows, cols).unwrap(), ViewMut::dense(&mut out, rows, cols).unwrap());
                let slice = |v: Option<&'_ Vec<f32>>| v.map(Vec::as_slice).map(<[f32]>::to_vec);
                let (scale, shift) = (slice(scale), slice(shift));
                kernels.layer_norm(source, target, scale.as_deref(), shift.as_deref(), 1e-5).unwrap();
                out
            });
        }
    }
}

#[test]
fn reductions_of_rows_and_columns() {
    let fold = |reduce: Reduce, values: &[f64]| match reduce {
        Reduce::Sum => values.iter().sum(),
        Reduce::Mean => values.iter().sum::<f64>() / values.len() as f64,
        Reduce::SumSquare => values.iter().map(|x| x * x).sum(),
        Reduce::Max => values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
        _ => values.iter().copied().fold(f64::INFINITY, f64::min),
    };
    for (rows, cols) in SHAPES {
        let data = matrix(rows, cols);
        for reduce in [Reduce::Sum, Reduce::Mean, Reduce::SumSquare, Reduce::Max, Reduce::Min] {
            let expected = by_row(&data, cols, |row| vec![fold(reduce, row)]);
            compare(&format!("{reduce:?} of rows"), 1e-5, &expected, |kernels| {
                let mut out = vec![f32::NAN; rows];
                kernels.reduce_rows(reduce, View::dense(&data, rows, cols).unwrap(), &mut out).unwrap();
                out
            });
            let column = |c: usize| (0..rows).map(|r| f64::from(data[r * cols + c])).collect::<Vec<_>>();
            let expected: Vec<f64> = (0..cols).map(|c| fold(reduce, &column(c))).collect();
            compare(&format!("{reduce:?} of columns"), 1e-5, &expected, |kernels| {
                let mut out = vec![f32::NAN; cols];
                kernels.reduce_cols(reduce, View::dense(&data, rows, cols).unwrap(), &mut out).unwrap();
                out
            });
        }
    }
}

#[test]
fn a_nan_is_the_maximum_and_the_minimum() {
    for at in 0..70 {
        let mut data = vec![1.0; 70];
        data[at] = f32::NAN;
        for kernels in every_kernels() {
            for reduce in [Reduce::Max, Reduce::Min, Reduce::Sum] {
                let mut out = [0.0];
                kernels.reduce_rows(reduce, View::dense(&data, 1, 70).unwrap(), &mut out).unwrap();
                assert!(out[0].is_nan(), "{reduce:?} of a row with NaN at {at}, {kernels:?}");
                kernels.reduce_cols(reduce, View::dense(&data, 70, 1).unwrap(), &mut out).unwrap();
                assert!(out[0].is_nan(), "{reduce:?} of a column with NaN at {at}, {kernels:?}");
            }
        }
    }
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

#[test]
fn recurrent_cells() {
    for (batch, hidden) in [(1, 1), (1, 128), (3, 17), (2, 5)] {
        let mut numbers = Numbers::new(hidden as u64);
        let (gates, peephole, cell) =
            (numbers.vec(batch * 4 * hidden), numbers.vec(3 * hidden), numbers.vec(batch * hidden));
        for peephole in [None, Some(&peephole)] {
            let mut expected = Vec::new();
            for (i, before) in cell.iter().enumerate() {
                let (b, u) = (i / hidden, i % hidden);
                let gate = |g: usize| f64::from(gates[(b * 4 + g) * hidden + u]);
                let peep = |g: usize, c: f64| peephole.map_or(0.0, |p| f64::from(p[g * hidden + u]) * c);
                let before = f64::from(*before);
                let input = sigmoid(gate(0) + peep(0, before));
                let c = sigmoid(gate(2) + peep(2, before)) * before + input * gate(3).tanh();
                expected.push(c);
                expected.push(sigmoid(gate(1) + peep(1, c)) * c.tanh());
            }
            compare("LSTM", 1e-6, &expected, |kernels| {
                let (mut cell, mut out) = (cell.clone(), vec![0.0; batch * hidden]);
                kernels
                    .lstm_cell(
                        View::dense(&gates, batch, 4 * hidden).unwrap(),
                        peephole.map(Vec::as_slice),
                        ViewMut::dense(&mut cell, batch, hidden).unwrap(),
                        ViewMut::dense(&mut out, batch, hidden).unwrap(),
                    )
                    .unwrap();
                cell.iter().zip(&out).flat_map(|(c, h)| [*c, *h]).collect()
            });
        }
        let (x, h) = (numbers.vec(batch * 3 * hidden), numbers.vec(batch * 3 * hidden));
        let expected: Vec<f64> = (0..batch * hidden)
            .map(|i| {
                let at = |v: &[f32], g: usize| f64::from(v[(i / hidden * 3 + g) * hidden + i % hidden]);
                let update = sigmoid(at(&x, 0) + at(&h, 0));
                let candidate = (at(&x, 2) + sigmoid(at(&x, 1) + at(&h, 1)) * at(&h, 2)).tanh();
                (1.0 - update) * candidate + update * f64::from(cell[i])
            })
            .collect();
        compare("GRU", 1e-6, &expected, |kernels| {
            let mut state = cell.clone();
            let view = |v| View::dense(v, batch, 3 * hidden).unwrap();
            kernels.gru_cell(view(&x), view(&h), ViewMut::dense(&mut state, batch, hidden).unwrap()).unwrap();
            state
        });
    }
}

#[test]
fn transposition_and_gathering() {
    for (rows, cols) in [(0, 3), (1, 1), (3, 2), (16, 16), (17, 33), (3, 640), (640, 3), (50, 70), (8, 4)] {
        let data = matrix(rows, cols + 1);
        for kernels in every_kernels() {
            let mut out = vec![f32::NAN; cols * (rows + 2)];
            let source = View::new(&data, rows, cols, cols + 1).unwrap();
            kernels.transpose(source, ViewMut::new(&mut out, cols, rows, rows + 2).unwrap()).unwrap();
            for r in 0..rows {
                for c in 0..cols {
                    assert_eq!(out[c * (rows + 2) + r], data[r * (cols + 1) + c], "{rows} x {cols}, {kernels:?}");
                }
            }
            assert!(out.chunks(rows + 2).all(|row| row[rows..].iter().all(|x| x.is_nan())), "wrote between rows");
        }
    }
    let kernels = every_kernels()[0];
    let (data, mut out) = (matrix(4, 3), vec![0.0; 6]);
    let source = View::dense(&data, 4, 3).unwrap();
    kernels.gather_rows(source, &[3, 1], ViewMut::dense(&mut out, 2, 3).unwrap()).unwrap();
    assert_eq!(out, [&data[9..12], &data[3..6]].concat());
    assert!(kernels.gather_rows(source, &[4, 1], ViewMut::dense(&mut out, 2, 3).unwrap()).is_err());
}
