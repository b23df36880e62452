//! Interpolation between rows of pixels.

use crate::simd::Simd;

/// `dst = (1 - wy) ((1 - wx) a + wx b) + wy ((1 - wx) c + wx d)` for one output pixel's channels.
pub struct Lerp {
    pub corners: [*const f32; 4],
    pub x: f32,
    pub y: f32,
    pub dst: *mut f32,
    pub channels: usize,
}

#[inline(always)]
pub unsafe fn lerp<S: Simd>(l: &Lerp) {
    let mut c = 0;
    while c < l.channels {
        let n = (l.channels - c).min(S::LANES);
        // SAFETY: each pixel has `channels` floats.
        unsafe {
            let [p, q, r, s] = l.corners;
            let (p, q) = (load::<S>(p.add(c), n), load::<S>(q.add(c), n));
            let (r, s) = (load::<S>(r.add(c), n), load::<S>(s.add(c), n));
            let (x, y) = (S::splat(l.x), S::splat(l.y));
            let top = S::madd(S::sub(q, p), x, p);
            let bottom = S::madd(S::sub(s, r), x, r);
            let value = S::madd(S::sub(bottom, top), y, top);
            if n == S::LANES {
                S::store(l.dst.add(c), value);
            } else {
                S::store_first(l.dst.add(c), value, n);
            }
        }
        c += n;
    }
}

#[inline(always)]
unsafe fn load<S: Simd>(p: *const f32, n: usize) -> S::V {
    // SAFETY: `n` floats are there.
    unsafe { if n == S::LANES { S::load(p) } else { S::load_first(p, n) } }
}
