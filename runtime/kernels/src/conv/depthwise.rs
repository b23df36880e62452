//! A convolution of each channel by itself.

use super::Run;
use crate::kernel::depthwise::Depthwise;
use crate::kernel::pointwise::Target;
use crate::kernel::quick::Quick;

/// # Safety
///
/// The call was checked.
pub(super) unsafe fn run(run: &Run<'_>) {
    let s = &run.conv.shape;
    let [out_h, out_w] = s.output();
    let (y_axis, x_axis) = (s.axis(0), s.axis(1));
    let pixel = run.input.stride();
    let line = x_axis.len * pixel;
    let quick = Quick::of(run.steps);
    for (i, row) in run.rows.clone().enumerate() {
        let (image, y) = (row / out_h, row % out_h);
        let (first_line, end) = y_axis.inside(y);
        let in_y = y_axis.position(y, first_line).unwrap_or(0);
        // SAFETY: the first line is inside the image, or there is none and it is not read.
        unsafe {
            let dst = run.output.ptr().add(i * out_w * run.output.stride());
            (run.conv.kernels.table.depthwise)(&Depthwise {
                src: run.input.ptr().add((image * y_axis.len + in_y) * line),
                line: line * y_axis.dilation,
                pixel,
                lines: end - first_line,
                first_line,
                weights: run.floats(),
                kernel_h: y_axis.taps,
                taps: x_axis.taps,
                dilation: x_axis.dilation,
                stride: x_axis.stride,
                pad: x_axis.before,
                in_w: x_axis.len,
                target: Target {
                    dst,
                    stride: run.output.stride(),
                    rows: out_w,
                    cols: s.out_channels,
                    row: row * out_w,
                    col: 0,
                    steps: run.steps,
                    quick,
                },
                finish: run.conv.kernels.table.finish,
            });
        }
    }
}
