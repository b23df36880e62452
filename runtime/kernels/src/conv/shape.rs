//! The shape of a convolution or pooling, and the arithmetic of its windows.

use crate::error::{KernelError, product};

/// Shape of a convolution over images (`[batch, height, width, channels]`). A 1-D convolution has a height of 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ConvShape {
    /// Images.
    pub batch: usize,
    /// Height and width of an input image.
    pub input: [usize; 2],
    /// Channels of the input.
    pub in_channels: usize,
    /// Channels of the output.
    pub out_channels: usize,
    /// Height and width of the kernel.
    pub kernel: [usize; 2],
    /// Pixels from window to window.
    pub stride: [usize; 2],
    /// Pixels from tap to tap.
    pub dilation: [usize; 2],
    /// Zeros around the image: top, left, bottom, right.
    pub padding: [usize; 4],
    /// Groups of channels that do not see each other; divides both channel counts.
    pub groups: usize,
}

impl ConvShape {
    /// A convolution of one group with stride 1, without padding.
    pub fn new(input: [usize; 2], in_channels: usize, out_channels: usize, kernel: [usize; 2]) -> Self {
        Self {
            batch: 1,
            input,
            in_channels,
            out_channels,
            kernel,
            stride: [1, 1],
            dilation: [1, 1],
            padding: [0; 4],
            groups: 1,
        }
    }

    /// Height and width of an output image. Zero where no window fits.
    pub fn output(&self) -> [usize; 2] {
        [self.axis(0).windows(), self.axis(1).windows()]
    }

    /// Pixels of all input images.
    pub fn in_pixels(&self) -> usize {
        self.batch * self.input[0] * self.input[1]
    }

    /// Pixels of all output images.
    pub fn out_pixels(&self) -> usize {
        let [height, width] = self.output();
        self.batch * height * width
    }

    pub(crate) fn axis(&self, axis: usize) -> Axis {
        Axis {
            len: self.input[axis],
            taps: self.kernel[axis],
            stride: self.stride[axis],
            dilation: self.dilation[axis],
            before: self.padding[axis],
            after: self.padding[axis + 2],
        }
    }

    /// Channels of a group: input, output.
    pub(crate) fn group(&self) -> [usize; 2] {
        [self.in_channels / self.groups, self.out_channels / self.groups]
    }

    /// Checks everything that the other functions and the kernels rely on.
    pub(crate) fn check(&self) -> Result<(), KernelError> {
        let range = |what, value| Err(KernelError::Range { what, value });
        for axis in 0..2 {
            let Axis { len, taps, stride, dilation, before, after } = self.axis(axis);
            if taps == 0 {
                return range("kernel", taps);
            }
            if stride == 0 {
                return range("stride", stride);
            }
            if dilation == 0 {
                return range("dilation", dilation);
            }
            let padded = len.checked_add(before).and_then(|sum| sum.checked_add(after));
            let reach = (taps - 1).checked_mul(dilation).and_then(|reach| reach.checked_add(1));
            let largest = [padded, reach, Some(stride)].into_iter().try_fold(0, |max, size| size.map(|s| max.max(s)));
            // Half of the bits for each axis, so that sums and products of two positions cannot wrap.
            if largest.is_none_or(|largest| largest > isize::MAX as usize >> (usize::BITS / 2)) {
                return Err(KernelError::Overflow { what: "image" });
            }
        }
        if self.groups == 0
            || !self.in_channels.is_multiple_of(self.groups)
            || !self.out_channels.is_multiple_of(self.groups)
        {
            return range("groups", self.groups);
        }
        let [height, width] = self.output();
        product("input", &[self.batch, self.input[0], self.input[1], self.in_channels])?;
        product("output", &[self.batch, height, width, self.out_channels])?;
        product("weights", &[self.kernel[0], self.kernel[1], self.in_channels, self.out_channels])?;
        Ok(())
    }
}

/// Windows along one axis.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Axis {
    pub len: usize,
    pub taps: usize,
    pub stride: usize,
    pub dilation: usize,
    pub before: usize,
    pub after: usize,
}

impl Axis {
    /// Positions at which a window fits.
    pub fn windows(&self) -> usize {
        let reach = (self.taps - 1) * self.dilation + 1;
        let padded = self.len + self.before + self.after;
        if padded < reach { 0 } else { (padded - reach) / self.stride + 1 }
    }

    /// The taps of window `at` that are inside the image, `first..end`.
    pub fn inside(&self, at: usize) -> (usize, usize) {
        let start = at * self.stride;
        let first = self.before.saturating_sub(start).div_ceil(self.dilation).min(self.taps);
        let end = (self.before + self.len).saturating_sub(start).div_ceil(self.dilation).min(self.taps);
        (first, end.max(first))
    }

    /// The position of tap `tap` of window `at`, if it is inside the image.
    pub fn position(&self, at: usize, tap: usize) -> Option<usize> {
        (at * self.stride + tap * self.dilation).checked_sub(self.before).filter(|position| *position < self.len)
    }

    /// The position of the first tap of window `at`, if all taps are inside the image.
    pub fn whole(&self, at: usize) -> Option<usize> {
        let first = (at * self.stride).checked_sub(self.before)?;
        (first + (self.taps - 1) * self.dilation < self.len).then_some(first)
    }

    pub fn is_padded(&self) -> bool {
        self.before > 0 || self.after > 0
    }
}
