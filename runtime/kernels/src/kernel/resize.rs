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
            let (p, q) = (S::load_part(p.add(c), n), S::load_part(q.add(c), n));
            let (r, s) = (S::load_part(r.add(c), n), S::load_part(s.add(c), n));
            let (x, y) = (S::splat(l.x), S::splat(l.y));
            let top = S::madd(S::sub(q, p), x, p);
            let bottom = S::madd(S::sub(s, r), x, r);
            let value = S::madd(S::sub(bottom, top), y, top);
            S::store_part(l.dst.add(c), value, n);
        }
        c += n;
    }
}
