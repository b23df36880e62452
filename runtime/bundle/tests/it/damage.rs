//! One flipped bit and one missing byte, anywhere.

use pannier_bundle::{Code, Decoder, Limits, Trust};

use crate::support::{Way, key, public_key, read_all, sample, signed};

#[test]
fn a_flipped_bit_anywhere_is_caught_with_and_without_trust() {
    let publisher = key(1);
    let good = signed(&sample(), &[&publisher]);
    let trusts = [Trust::Keys(vec![public_key(&publisher)]), Trust::AllowUnsigned];
    let mut missed = Vec::new();
    for trust in &trusts {
        for way in [Way::RandomAccess, Way::Stream(usize::MAX)] {
            read_all(&good, trust, &Limits::default(), Decoder::default(), way).unwrap();
            for place in 0..good.len() {
                for bit in 0..8 {
                    let mut bad = good.clone();
                    bad[place] ^= 1 << bit;
                    if read_all(&bad, trust, &Limits::default(), Decoder::default(), way).is_ok() {
                        missed.push(format!("{trust:?} {way:?}: byte {place}, bit {bit}"));
                    }
                }
            }
        }
    }
    assert!(missed.is_empty(), "{}", missed.join("\n"));
}

#[test]
fn a_file_that_ends_anywhere_is_truncated() {
    let publisher = key(1);
    let good = signed(&sample(), &[&publisher]);
    let trust = Trust::Keys(vec![public_key(&publisher)]);
    let mut wrong = Vec::new();
    for length in 0..good.len() {
        for way in [Way::RandomAccess, Way::Stream(usize::MAX), Way::Stream(61)] {
            let outcome = read_all(&good[..length], &trust, &Limits::default(), Decoder::default(), way);
            if outcome.as_ref().err().map(|error| error.code()) != Some(Code::Truncated) {
                wrong.push(format!("{length} bytes, {way:?}: {outcome:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
