//! About how many bytes weights take in a bundle, without compressing them.

use crate::program::all_weights;
use pannier_engine::Program;
use pannier_graph::{Encoding, Span};

/// Bytes of all weights once stored: for each weight, and for each place of a byte within its elements, the entropy of the
/// bytes there. Compressed chunks were within 2 % of it for the codes of real models (3 to 7 bits each).
pub fn stored_bytes(program: &Program) -> u64 {
    let spans = all_weights(&program.graph).into_iter().flat_map(|weight| {
        let width = match weight.encoding {
            Encoding::Raw => weight.dtype.size_bytes(),
            Encoding::F16 => 2,
            Encoding::Int8 { .. } | Encoding::Int4 { .. } => 1,
        };
        // Scales are of four bytes, zero points of one: both are few, and taken as the latter.
        weight
            .spans()
            .enumerate()
            .map(move |(place, span)| (*span, if place == 0 { width } else { 1 }))
            .collect::<Vec<_>>()
    });
    let bits: f64 = spans.map(|(span, width)| span_bits(program, &span, width)).sum();
    (bits / 8.0).ceil() as u64
}

fn span_bits(program: &Program, span: &Span, width: usize) -> f64 {
    let Some(bytes) = program.bytes(span) else { return 0.0 };
    (0..width)
        .map(|place| {
            let mut counts = [0u64; 256];
            bytes.iter().skip(place).step_by(width).for_each(|byte| counts[usize::from(*byte)] += 1);
            entropy_bits(&counts)
        })
        .sum()
}

/// Bits of all bytes together in the best code for bytes that are drawn one by one (Shannon 1948).
fn entropy_bits(counts: &[u64; 256]) -> f64 {
    let total: u64 = counts.iter().sum();
    let bits = |count: &u64| match count {
        0 => 0.0,
        count => *count as f64 * (total as f64 / *count as f64).log2(),
    };
    counts.iter().map(bits).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use pannier_engine::{ProgramBuilder, Tensor};

    #[test]
    fn what_repeats_is_free_and_what_is_random_is_not() {
        let program = |values: &[u8]| {
            let mut builder = ProgramBuilder::new();
            let weight = builder.weight("w", &Tensor::from_slice([values.len()], values).unwrap());
            builder.output("w", weight);
            builder.build()
        };
        assert_eq!(stored_bytes(&program(&[7; 1000])), 0);
        let all: Vec<u8> = (0..=255).collect();
        assert_eq!(stored_bytes(&program(&all)), 256);
        assert_eq!(stored_bytes(&program(&[0, 1].repeat(400))), 100, "one bit each");
    }
}
