//! Pooling and resizing of images in channels-last order.

use super::chain::text;
use crate::ops::{Facts, Io, Operator, Refusal, expect_type};
use crate::view::Failure;
use pannier_engine::DType;
use pannier_kernels as kernels;
use pannier_kernels::Kernels;

/// A pooling window that slides over the image.
#[derive(Debug, Clone)]
pub(crate) struct Pool {
    pub(crate) kernels: Kernels,
    pub(crate) kind: kernels::PoolKind,
    pub(crate) window: kernels::ConvShape,
    /// Shape of the result.
    pub(crate) shape: Vec<usize>,
}

impl Operator for Pool {
    fn types(&self, inputs: &[Option<DType>]) -> Result<Vec<DType>, Refusal> {
        Ok(vec![expect_type(inputs, 0, &[DType::F32])?])
    }

    fn shapes(&self, _: &Facts<'_>) -> Result<Vec<Vec<usize>>, Refusal> {
        Ok(vec![self.shape.clone()])
    }

    fn run(&self, io: &mut Io<'_, '_>) -> Result<(), Failure> {
        let from = io.input(0)?.as_slice::<f32>()?;
        let to = io.output(0)?.as_slice::<f32>()?;
        let channels = self.window.in_channels;
        let from = kernels::View::dense(from, self.window.in_pixels(), channels).map_err(text)?;
        let to = kernels::ViewMut::dense(to, self.window.out_pixels(), channels).map_err(text)?;
        self.kernels.pool(self.kind, &self.window, from, to).map_err(text)
    }
}

/// A resize that takes the nearest pixel: which one, for each row and column of the result.
#[derive(Debug, Clone)]
pub(crate) struct Nearest {
    pub(crate) rows: Vec<usize>,
    pub(crate) columns: Vec<usize>,
    /// Columns of the operand.
    pub(crate) width: usize,
    /// Shape of the result: `[batch, height, width, channels]`.
    pub(crate) shape: Vec<usize>,
}

impl Operator for Nearest {
    fn types(&self, inputs: &[Option<DType>]) -> Result<Vec<DType>, Refusal> {
        Ok(vec![expect_type(inputs, 0, DType::ALL)?])
    }

    fn shapes(&self, _: &Facts<'_>) -> Result<Vec<Vec<usize>>, Refusal> {
        Ok(vec![self.shape.clone()])
    }

    fn run(&self, io: &mut Io<'_, '_>) -> Result<(), Failure> {
        let (from, output) = (io.input(0)?, io.output(0)?);
        let &[batch, height, width, channels] = self.shape.as_slice() else { return Err("the rank is not 4".into()) };
        // Elements are moved as bytes.
        let channels = channels * from.dtype.size_bytes();
        let (from, to) = (from.bytes, &mut *output.bytes);
        let (line, image) = (width * channels, from.len() / batch.max(1));
        if line == 0 {
            return Ok(());
        }
        for (at, row) in self.rows.iter().cycle().enumerate().take(batch * height) {
            let (done, rest) = to.split_at_mut(at * line);
            let to = rest.get_mut(..line).ok_or("a row too many")?;
            // A row that is repeated was made just before; copying it whole is faster than pixel by pixel.
            if at % height > 0 && self.rows.get(at % height - 1) == Some(row) {
                to.copy_from_slice(done.rchunks_exact(line).next().unwrap_or_default());
                continue;
            }
            let start = at / height * image + row * self.width * channels;
            for (pixel, column) in to.chunks_exact_mut(channels).zip(&self.columns) {
                let place = start + column * channels;
                pixel.copy_from_slice(from.get(place..place + channels).ok_or("a pixel outside of the image")?);
            }
        }
        Ok(())
    }
}
