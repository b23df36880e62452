//! Matrix products.

use crate::support::{Numbers, compare, every_kernels};
use pannier_kernels::{Activation, KernelError, Kernels, Operand, PackedWeights, Step, View, ViewMut};
use proptest::prelude::*;

struct Case {
    m: usize,
    k: usize,
    n: usize,
    /// Extra floats between rows of A and of C.
    gaps: [usize; 2],
    seed: u64,
}

fn product(case: &Case, a: &[f32], b: &[f32], bias: &[f32]) -> Vec<f64> {
    let Case { m, k, n, gaps, .. } = *case;
    let mut c = vec![0.0; m * n];
    for r in 0..m {
        for j in 0..n {
            c[r * n + j] = f64::from(bias[j])
                + (0..k).map(|i| f64::from(a[r * (k + gaps[0]) + i]) * f64::from(b[i * n + j])).sum::<f64>();
        }
    }
    c
}

fn check(case: &Case) {
    let Case { m, k, n, gaps, seed } = *case;
    let mut numbers = Numbers::new(seed);
    let (a, b, bias, full) = (numbers.vec(m * (k + gaps[0])), numbers.vec(k * n), numbers.vec(n), numbers.vec(m * n));
    let mut expected = product(case, &a, &b, &bias);
    for (i, x) in expected.iter_mut().enumerate() {
        *x = (*x + f64::from(full[i])).max(0.0) * 2.0 + f64::from(bias[i % n]);
    }
    let run = |kernels: Kernels, transposed: bool| -> Result<Vec<f32>, KernelError> {
        let product = kernels.matmul(k, n)?;
        let mut packed = vec![f32::NAN; product.packed_len()];
        if transposed {
            let flipped: Vec<f32> = (0..n * k).map(|i| b[i % k * n + i / k]).collect();
            product.pack_transposed(View::dense(&flipped, n, k)?, Some(&bias), &mut packed)?;
        } else {
            product.pack(View::dense(&b, k, n)?, Some(&bias), &mut packed)?;
        }
        let steps = [
            Step::Add(Operand::Full(View::dense(&full, m, n)?)),
            Step::Activate(Activation::Relu),
            Step::Affine { scale: 2.0, shift: 0.0 },
            Step::Add(Operand::Cols(&bias)),
        ];
        let stride = n + gaps[1];
        let mut c = vec![-7.0; m * stride];
        product.run(View::new(&a, m, k, k + gaps[0])?, &packed, ViewMut::new(&mut c, m, n, stride)?, &steps)?;
        let mut dense = Vec::new();
        for row in c.chunks(stride.max(1)).take(m) {
            dense.extend_from_slice(&row[..n]);
            assert!(row[n..].iter().all(|x| *x == -7.0), "wrote between rows");
        }
        Ok(dense)
    };
    compare("product", 1e-5 * (k as f64).sqrt().max(1.0), &expected, |kernels| run(kernels, false).unwrap());
    compare("product of a transpose", 1e-5 * (k as f64).sqrt().max(1.0), &expected, |kernels| {
        run(kernels, true).unwrap()
    });
}

#[test]
fn products_of_every_size_are_right() {
    for m in [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 13, 17, 40] {
        for (k, n) in
            [(0, 3), (1, 1), (2, 16), (3, 17), (5, 48), (7, 49), (16, 64), (33, 95), (64, 7), (9, 0), (13, 130)]
        {
            check(&Case { m, k, n, gaps: [m % 3, n % 2], seed: (m * 1000 + k * 10 + n) as u64 });
        }
    }
    check(&Case { m: 150, k: 300, n: 200, gaps: [1, 1], seed: 1 });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn products_of_random_sizes_are_right(m in 0_usize..70, k in 0_usize..90, n in 1_usize..120, gap_a in 0_usize..9, gap_c in 0_usize..9, seed: u64) {
        check(&Case { m, k, n, gaps: [gap_a, gap_c], seed });
    }
}

#[test]
fn sharing_by_rows_and_panels_changes_no_bit() {
    let (m, k, n) = (29, 31, 210);
    let mut numbers = Numbers::new(5);
    let (a, b, bias) = (numbers.vec(m * k), numbers.vec(k * n), numbers.vec(n));
    for kernels in every_kernels() {
        let product = kernels.matmul(k, n).unwrap();
        let mut packed = vec![0.0; product.packed_len()];
        product.pack(View::dense(&b, k, n).unwrap(), Some(&bias), &mut packed).unwrap();
        let a = View::dense(&a, m, k).unwrap();
        let steps = [Step::Mul(Operand::Cols(&bias))];
        let mut whole = vec![0.0; m * n];
        product.run(a, &packed, ViewMut::dense(&mut whole, m, n).unwrap(), &steps).unwrap();

        let mut parts = vec![0.0; m * n];
        let (upper, lower) = ViewMut::dense(&mut parts, m, n).unwrap().split_rows(10);
        let middle = product.panels() / 2;
        let at = product.columns(0..middle).end;
        for (c, a) in [(upper, a.sub_rows(0, 10)), (lower, a.sub_rows(10, m))] {
            let (left, right) = c.split_cols(at);
            let (rows, packed) = (0..a.rows(), PackedWeights::Floats(&packed));
            product.run_part(rows.clone(), 0..middle, a, packed, left, &steps, &mut []).unwrap();
            product.run_part(rows, middle..product.panels(), a, packed, right, &steps, &mut []).unwrap();
        }
        assert_eq!(whole, parts, "{kernels:?}");
    }
}

#[test]
fn calls_that_do_not_fit_are_errors() {
    let kernels = Kernels::best();
    let product = kernels.matmul(3, 4).unwrap();
    let mut packed = vec![0.0; product.packed_len()];
    let (data, mut out) = (vec![0.0; 64], vec![0.0; 64]);
    let view = |rows, cols| View::dense(&data, rows, cols).unwrap();
    assert!(product.pack(view(4, 3), None, &mut packed).is_err());
    assert!(product.pack(view(3, 4), Some(&data), &mut packed).is_err());
    assert!(product.pack(view(3, 4), None, &mut packed[1..]).is_err());
    let mut run = |a: View<'_>, packed: &[f32], rows, cols, steps: &[Step<'_>]| {
        product.run(a, packed, ViewMut::dense(&mut out, rows, cols).unwrap(), steps)
    };
    assert_eq!(run(view(2, 3), &packed, 2, 4, &[]), Ok(()));
    assert!(run(view(2, 2), &packed, 2, 4, &[]).is_err());
    assert!(run(view(2, 3), &packed, 3, 4, &[]).is_err());
    assert!(run(view(2, 3), &packed, 2, 3, &[]).is_err());
    assert!(run(view(2, 3), &packed[1..], 2, 4, &[]).is_err());
    assert!(run(view(2, 3), &packed, 2, 4, &[Step::Add(Operand::Cols(&data[..3]))]).is_err());
    assert!(run(view(2, 3), &packed, 2, 4, &[Step::Add(Operand::Full(view(2, 3)))]).is_err());
    assert!(View::new(&data, 2, 60, 60).is_err());
    assert!(View::new(&data, usize::MAX, 2, usize::MAX).is_err());
    assert!(ViewMut::new(&mut vec![0.0; 64], 2, 4, 3).is_err(), "rows must not overlap where they are written");
    assert!(kernels.matmul(usize::MAX, 2).is_err());
}
