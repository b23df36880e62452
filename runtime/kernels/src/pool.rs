//! Pooling and resizing of images in channels-last order.

use crate::conv::ConvShape;
use crate::error::{KernelError, same};
use crate::kernel::pool::Pool;
pub use crate::kernel::pool::PoolKind;
use crate::kernel::resize::Lerp;
use crate::kernels::Kernels;
use crate::view::{View, ViewMut};

/// One axis of a bilinear resize: `(1 - weight) * src[low] + weight * src[high]` for each position of the output.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LerpAxis {
    /// The position before.
    pub low: u32,
    /// The position behind.
    pub high: u32,
    /// Weight of `high`.
    pub weight: f32,
}

impl Kernels {
    /// Pools windows of pixels. `shape` gives the windows; both its channel counts are those of the image, and it has one group.
    /// A window without a pixel inside the image gives minus infinity (`Max`) or NaN. For global pooling see
    /// [`Kernels::reduce_cols`].
    ///
    /// # Errors
    ///
    /// `Size`: shapes do not fit each other. `Range`, `Overflow`: the shape is not one.
    pub fn pool(
        &self,
        kind: PoolKind,
        shape: &ConvShape,
        input: View<'_>,
        output: ViewMut<'_>,
    ) -> Result<(), KernelError> {
        shape.check()?;
        same("channels of a pool's output", shape.in_channels, shape.out_channels)?;
        same("rows of the input", shape.in_pixels(), input.rows())?;
        same("columns of the input", shape.in_channels, input.cols())?;
        same("rows of the output", shape.out_pixels(), output.rows())?;
        same("columns of the output", shape.in_channels, output.cols())?;
        let [out_h, out_w] = shape.output();
        let (y_axis, x_axis) = (shape.axis(0), shape.axis(1));
        if input.is_empty() || output.is_empty() {
            return Ok(());
        }
        for row in 0..shape.batch * out_h {
            let (image, y) = (row / out_h, row % out_h);
            let (first, end) = y_axis.inside(y);
            let in_y = y_axis.position(y, first).unwrap_or(0);
            let padded_end = y_axis.before + y_axis.len + y_axis.after;
            let padded_lines = (padded_end - y * y_axis.stride).div_ceil(y_axis.dilation).min(y_axis.taps);
            let line = x_axis.len * input.stride();
            // SAFETY: the rows are inside both images, taps outside are cut by the kernel.
            unsafe {
                (self.table.pool)(&Pool {
                    kind,
                    src: input.ptr().add((image * y_axis.len + in_y) * line),
                    line: line * y_axis.dilation,
                    pixel: input.stride(),
                    lines: end - first,
                    dst: output.ptr().add(row * out_w * output.stride()),
                    dst_pixel: output.stride(),
                    out_w,
                    channels: shape.in_channels,
                    in_w: x_axis.len,
                    taps: x_axis.taps,
                    dilation: x_axis.dilation,
                    stride: x_axis.stride,
                    pad: x_axis.before,
                    padded_lines,
                    padded_end: x_axis.before + x_axis.len + x_axis.after,
                });
            }
        }
        Ok(())
    }

    /// Resizes one image bilinearly; `width` is that of the input, the axes give every position of the output.
    ///
    /// # Errors
    ///
    /// `Size`: shapes do not fit each other. `Range`: a position is outside of the image.
    pub fn resize_linear(
        &self,
        input: View<'_>,
        width: usize,
        output: ViewMut<'_>,
        y_axis: &[LerpAxis],
        x_axis: &[LerpAxis],
    ) -> Result<(), KernelError> {
        let height = input.rows().checked_div(width).unwrap_or(0);
        same("rows of the input", height * width, input.rows())?;
        same("rows of the output", crate::error::product("output", &[y_axis.len(), x_axis.len()])?, output.rows())?;
        same("columns of the output", input.cols(), output.cols())?;
        for (axis, len) in [(y_axis, height), (x_axis, width)] {
            for position in axis {
                let last = position.low.max(position.high) as usize;
                if last >= len {
                    return Err(KernelError::Range { what: "position", value: last });
                }
            }
        }
        for (oy, y) in y_axis.iter().enumerate() {
            for (ox, x) in x_axis.iter().enumerate() {
                let at = |row: u32, column: u32| (row as usize * width + column as usize) * input.stride();
                // SAFETY: every position was compared with the image.
                unsafe {
                    let corners = [at(y.low, x.low), at(y.low, x.high), at(y.high, x.low), at(y.high, x.high)];
                    (self.table.lerp)(&Lerp {
                        corners: corners.map(|corner| input.ptr().add(corner)),
                        x: x.weight,
                        y: y.weight,
                        dst: output.ptr().add((oy * x_axis.len() + ox) * output.stride()),
                        channels: input.cols(),
                    });
                }
            }
        }
        Ok(())
    }
}
