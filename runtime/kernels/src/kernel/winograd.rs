//! Winograd's F(4x4, 3x3): a tile of 4 x 4 outputs of a 3 x 3 convolution from 36 products instead of 144.
//!
//! Matrices of Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks" (arXiv 1509.09308).

use super::pointwise::{Finish, Target, Tile};
use crate::simd::Simd;

/// Width of a tile of outputs, and of the inputs that it needs.
pub const OUT: usize = 4;
pub const IN: usize = 6;

/// The transform of one tile of inputs.
pub struct Input {
    /// Its pixels, row by row; pixels outside of the image point to zeros.
    pub pixels: [*const f32; IN * IN],
    pub channels: usize,
    /// Where its first point goes, and floats from point to point.
    pub dst: *mut f32,
    pub point: usize,
}

/// The transform of one tile of sums into outputs.
pub struct Output<'a> {
    /// The sums of its first point, and floats from point to point.
    pub src: *const f32,
    pub point: usize,
    pub bias: *const f32,
    /// The first pixel that is written, from where on `first_line` lines of the tile are left out: `rows` pixels of each of
    /// `lines` lines, `line` floats apart and `line_rows` rows.
    pub target: Target<'a>,
    pub first_line: usize,
    pub lines: usize,
    pub line: usize,
    pub line_rows: usize,
    pub finish: unsafe fn(&Finish<'_>),
}

/// `B^T d`
#[inline(always)]
unsafe fn input_line<S: Simd>(d: [S::V; IN]) -> [S::V; IN] {
    // SAFETY: arithmetic only.
    unsafe {
        let (two, four, five) = (S::splat(2.0), S::splat(-4.0), S::splat(-5.0));
        let even = S::madd(d[2], four, d[4]);
        let odd = S::madd(d[1], four, d[3]);
        let near = S::sub(d[4], d[2]);
        let far = S::mul(S::sub(d[3], d[1]), two);
        [
            S::madd(d[0], S::splat(4.0), S::madd(d[2], five, d[4])),
            S::add(even, odd),
            S::sub(even, odd),
            S::add(near, far),
            S::sub(near, far),
            S::madd(d[1], S::splat(4.0), S::madd(d[3], five, d[5])),
        ]
    }
}

/// `A^T m`
#[inline(always)]
unsafe fn output_line<S: Simd>(m: [S::V; IN]) -> [S::V; OUT] {
    // SAFETY: arithmetic only.
    unsafe {
        let (a, b) = (S::add(m[1], m[2]), S::sub(m[1], m[2]));
        let (c, d) = (S::add(m[3], m[4]), S::sub(m[3], m[4]));
        [
            S::add(m[0], S::add(a, c)),
            S::madd(d, S::splat(2.0), b),
            S::madd(c, S::splat(4.0), a),
            S::add(S::madd(d, S::splat(8.0), b), m[5]),
        ]
    }
}

/// Column `x`. Not by `map`: a closure there would be compiled without the instruction set, and its vectors go through memory.
#[inline(always)]
fn column<S: Simd, const N: usize>(lines: &[[S::V; N]; IN], x: usize) -> [S::V; IN] {
    [lines[0][x], lines[1][x], lines[2][x], lines[3][x], lines[4][x], lines[5][x]]
}

#[inline(always)]
pub unsafe fn input<S: Simd>(t: &Input) {
    let mut c = 0;
    while c < t.channels {
        let n = (t.channels - c).min(S::LANES);
        // SAFETY: each pixel has `channels` floats, and so has each point.
        unsafe {
            let mut lines = [[S::zero(); IN]; IN];
            for (y, line) in lines.iter_mut().enumerate() {
                let mut d = [S::zero(); IN];
                for (x, d) in d.iter_mut().enumerate() {
                    *d = S::load_part(t.pixels[y * IN + x].add(c), n);
                }
                *line = input_line::<S>(d);
            }
            for x in 0..IN {
                for (y, v) in input_line::<S>(column::<S, IN>(&lines, x)).into_iter().enumerate() {
                    S::store_part(t.dst.add((y * IN + x) * t.point + c), v, n);
                }
            }
        }
        c += n;
    }
}

#[inline(always)]
pub unsafe fn output<S: Simd>(t: &Output<'_>) {
    let target = &t.target;
    let mut c = 0;
    while c < target.cols {
        let n = (target.cols - c).min(S::LANES);
        // SAFETY: each point has whole vectors of sums; the target has the lines and pixels stated.
        unsafe {
            let bias = S::load_part(t.bias.add(c), n);
            let mut lines = [[S::zero(); OUT]; IN];
            for (y, line) in lines.iter_mut().enumerate() {
                let mut m = [S::zero(); IN];
                for (x, m) in m.iter_mut().enumerate() {
                    *m = S::load(t.src.add((y * IN + x) * t.point + c));
                }
                *line = output_line::<S>(m);
            }
            let mut tile = [[S::zero(); OUT]; OUT];
            for x in 0..OUT {
                let outputs = output_line::<S>(column::<S, OUT>(&lines, x));
                for (line, v) in tile.iter_mut().zip(outputs) {
                    line[x] = S::add(v, bias);
                }
            }
            if let Some(quick) = &target.quick {
                quick.apply::<S, OUT, OUT>(&mut tile);
                for (y, row) in tile.iter().enumerate() {
                    if y < t.first_line || y >= t.first_line + t.lines {
                        continue;
                    }
                    let dst = target.dst.add((y - t.first_line) * t.line + c);
                    for (x, v) in row.iter().enumerate() {
                        if x < target.rows {
                            S::store_part(dst.add(x * target.stride), *v, n);
                        }
                    }
                }
            } else {
                finish::<S>(t, &tile, c, n);
            }
        }
        c += n;
    }
}

/// The general steps, line by line.
#[inline(always)]
unsafe fn finish<S: Simd>(t: &Output<'_>, tile: &[[S::V; OUT]; OUT], c: usize, cols: usize) {
    let mut buffer = Tile::new();
    let buffer = buffer.as_mut_ptr();
    // SAFETY: as in `output`; four vectors fit in a tile.
    unsafe {
        for line in 0..t.lines {
            for (x, v) in tile[t.first_line + line].iter().enumerate() {
                S::store(buffer.add(x * S::LANES), *v);
            }
            let target = Target {
                dst: t.target.dst.add(line * t.line + c),
                cols,
                row: t.target.row + line * t.line_rows,
                col: t.target.col + c,
                ..t.target
            };
            (t.finish)(&Finish::tile(buffer, S::LANES, target));
        }
    }
}
