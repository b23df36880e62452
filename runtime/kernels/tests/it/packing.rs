//! What is packed can be had back.

use crate::support::{Numbers, every_kernels};
use pannier_kernels::{ConvShape, Packing};

fn shape(channels: [usize; 2], kernel: [usize; 2], groups: usize) -> ConvShape {
    ConvShape {
        batch: 1,
        input: [9, 11],
        in_channels: channels[0],
        out_channels: channels[1],
        kernel,
        stride: [1, 1],
        dilation: [1, 1],
        padding: [0; 4],
        groups,
    }
}

#[test]
fn unpacking_gives_the_packed_weights_back() {
    let mut random = Numbers::new(7);
    for kernels in every_kernels() {
        let product = kernels.matmul(13, 67).unwrap();
        let conv = |channels, kernel, groups| kernels.conv_direct(shape(channels, kernel, groups)).unwrap().packing();
        let packings: [(&str, Packing); 8] = [
            ("matrix", product.packing(false)),
            ("transposed matrix", product.packing(true)),
            ("1 x 1", conv([24, 50], [1, 1], 1)),
            ("3 x 5", conv([6, 20], [3, 5], 1)),
            ("groups", conv([6, 8], [3, 3], 2)),
            ("depthwise", conv([21, 21], [3, 3], 21)),
            ("planes", kernels.conv_planar(shape([3, 17], [3, 3], 1)).unwrap().packing()),
            ("scattered", kernels.conv_transpose(shape([5, 12], [2, 2], 1)).unwrap().packing()),
        ];
        for (name, packing) in packings {
            let (weights, bias) = (random.vec(packing.weights_len()), random.vec(packing.bias_len()));
            let mut packed = vec![f32::NAN; packing.packed_len()];
            packing.pack(&weights, Some(&bias), &mut packed).unwrap();
            assert!(packed.iter().all(|value| !value.is_nan()), "{name}: a place is left out");
            let mut found = vec![f32::NAN; weights.len()];
            assert!(packing.is_reversible());
            packing.unpack(&packed, &mut found).unwrap();
            assert_eq!(found, weights, "{name} {kernels:?}");
        }
        let winograd = kernels.conv(ConvShape { padding: [1; 4], ..shape([16, 16], [3, 3], 1) }).unwrap().packing();
        assert!(!winograd.is_reversible());
        let mut weights = vec![0.0; winograd.weights_len()];
        assert!(winograd.unpack(&vec![0.0; winograd.packed_len()], &mut weights).is_err());
    }
}

#[test]
fn a_packing_knows_nothing_of_the_size_of_the_image() {
    let kernels = pannier_kernels::Kernels::best();
    let narrow = kernels.conv_direct(shape([8, 24], [3, 3], 1)).unwrap();
    let wide = kernels.conv_direct(ConvShape { input: [90, 70], ..shape([8, 24], [3, 3], 1) }).unwrap();
    assert_eq!(narrow.packing(), wide.packing());
    assert_ne!(narrow.packing(), kernels.conv_direct(shape([8, 25], [3, 3], 1)).unwrap().packing());
}
