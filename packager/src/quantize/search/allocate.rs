//! How finely each layer is quantized when so much noise is allowed in all.
//!
//! Noise of a layer with codes from `-L` to `L` is about `s / L^2`, and small noises of layers add up (Zhou et al. 2018,
//! arXiv:1712.01048). Its bytes are about `n (log2 L + c) / 8`. The least bytes for a given noise (Lagrange) have `L^2`
//! proportional to `s / n`: each bit of each weight costs the same noise. One number is left, and it is found by halving.

/// What is known of a layer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sensitivity {
    /// Weights.
    pub elements: u64,
    /// Noise at the outputs, as a part of their energy, that this layer alone makes with codes of 1: measured with finer
    /// ones, times the square of their largest code.
    pub unit_noise: f64,
}

/// How a layer's weights are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grain {
    /// Integers up to this code.
    Levels(u8),
    /// binary16.
    Half,
    /// binary32.
    Float,
}

/// Fewest codes: below, noise is no more proportional to the square of the step.
const LEVELS_MIN: f64 = 5.0;
/// Most codes.
const LEVELS_MAX: f64 = 127.0;
/// A layer that wants so many times more than the most codes gets no integers.
const INTEGERS_UP_TO: f64 = LEVELS_MAX * 4.0;
/// Largest code of 11 bits: the precision of binary16.
const HALF: f64 = 2048.0;
/// A layer that wants more than this is left alone.
const HALF_UP_TO: f64 = HALF * 4.0;

impl Grain {
    /// What a layer gets that wants codes up to `levels`.
    fn wanting(levels: f64) -> Grain {
        if levels <= INTEGERS_UP_TO {
            // Within 5 to 127.
            Grain::Levels(levels.clamp(LEVELS_MIN, LEVELS_MAX).ceil() as u8)
        } else if levels <= HALF_UP_TO {
            Grain::Half
        } else {
            Grain::Float
        }
    }

    /// The noise at the outputs that is expected of a layer.
    pub fn noise(self, unit_noise: f64) -> f64 {
        match self {
            Grain::Levels(levels) => unit_noise / (f64::from(levels) * f64::from(levels)),
            Grain::Half => unit_noise / (HALF * HALF),
            Grain::Float => 0.0,
        }
    }
}

/// The fewest bytes whose noise is expected to be at most `noise`, of all layers together.
pub fn allocate(layers: &[Sensitivity], noise: f64) -> Vec<Grain> {
    let grains = |log_scale: f64| -> Vec<Grain> {
        let scale = log_scale.exp2();
        let wanted = |layer: &Sensitivity| (scale * layer.unit_noise.max(0.0) / layer.elements.max(1) as f64).sqrt();
        layers.iter().map(|layer| Grain::wanting(wanted(layer))).collect()
    };
    let total = |grains: &[Grain]| -> f64 {
        layers.iter().zip(grains).map(|(layer, grain)| grain.noise(layer.unit_noise)).sum()
    };
    // Of all scales that keep the noise, the least. At the highest, every layer with any noise is left alone.
    let (mut low, mut high) = (-200.0, 200.0);
    for _ in 0..60 {
        let middle = (low + high) / 2.0;
        if total(&grains(middle)) > noise { low = middle } else { high = middle }
    }
    grains(high)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layer(elements: u64, unit_noise: f64) -> Sensitivity {
        Sensitivity { elements, unit_noise }
    }

    fn bits(layers: &[Sensitivity], grains: &[Grain]) -> f64 {
        let bits = |grain: &Grain| match grain {
            Grain::Levels(levels) => f64::from(*levels).log2() + 2.05,
            Grain::Half => 16.0,
            Grain::Float => 32.0,
        };
        layers.iter().zip(grains).map(|(layer, grain)| layer.elements as f64 * bits(grain)).sum()
    }

    fn noise(layers: &[Sensitivity], grains: &[Grain]) -> f64 {
        layers.iter().zip(grains).map(|(layer, grain)| grain.noise(layer.unit_noise)).sum()
    }

    #[test]
    fn it_is_as_good_as_trying_all_combinations() {
        let layers = [layer(1000, 0.5), layer(4000, 0.1), layer(2000, 3.0)];
        for budget in [1e-1, 1e-2, 1e-3, 5e-4] {
            let found = allocate(&layers, budget);
            assert!(noise(&layers, &found) <= budget);
            let mut least = f64::INFINITY;
            for a in 5..=127 {
                for b in 5..=127 {
                    for c in 5..=127 {
                        let grains = [Grain::Levels(a), Grain::Levels(b), Grain::Levels(c)];
                        if noise(&layers, &grains) <= budget {
                            least = least.min(bits(&layers, &grains));
                        }
                    }
                }
            }
            // Codes are whole numbers, rounded up.
            let ratio = bits(&layers, &found) / least;
            assert!(ratio < 1.03, "{budget}: {found:?}, {ratio}");
        }
    }

    #[test]
    fn less_noise_never_takes_fewer_bits() {
        let layers = [layer(1000, 0.5), layer(40, 90.0), layer(200_000, 0.01), layer(7, 0.0)];
        let mut last = 0.0;
        for decibels in 0..120 {
            let grains = allocate(&layers, 10f64.powf(-f64::from(decibels) / 10.0));
            let now = bits(&layers, &grains);
            assert!(now >= last, "{decibels} dB: {grains:?}");
            last = now;
        }
        assert_eq!(allocate(&layers, 0.0)[..3], [Grain::Float; 3]);
    }

    #[test]
    fn a_layer_that_breaks_is_left_alone() {
        // One of ten makes as much noise with the finest codes as there is signal.
        let mut layers = vec![layer(10_000, 1e-3); 10];
        layers[4].unit_noise = 127.0 * 127.0;
        let grains = allocate(&layers, 1e-3);
        for (index, grain) in grains.iter().enumerate() {
            assert_eq!(matches!(grain, Grain::Levels(_)), index != 4, "{index}: {grain:?}");
        }
    }

    #[test]
    fn nothing_is_allocated_to_nobody() {
        assert_eq!(allocate(&[], 1.0), []);
        assert_eq!(allocate(&[layer(0, 0.0)], 0.0), [Grain::Levels(5)]);
        assert_eq!(allocate(&[layer(1, f64::INFINITY)], 1.0), [Grain::Float]);
    }
}
