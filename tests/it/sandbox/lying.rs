//! A guest whose arithmetic is wrong: as of a compiler's or a processor's fault, which nothing but the golden cases can tell.

use crate::support::bundle::{signed, target};
use crate::support::onnx::Onnx;
use crate::support::{sandbox, temp_dir};
use pannier::DType::F32;
use pannier::{Code, Tensor};
use pannier_wasmtime::{Cache, Config, Flavour, LoadOptions, Sandbox};

/// `f32x4.add` and `f32x4.relaxed_madd` in the binary format, each with the second byte of its opposite: `f32x4.sub` and
/// `f32x4.relaxed_nmadd`.
const LIES: [([u8; 3], u8); 2] = [([0xfd, 0xe4, 0x01], 0xe5), ([0xfd, 0x85, 0x02], 0x86)];

/// The guest, in which vectors are subtracted wherever they were added.
fn lying() -> Vec<u8> {
    let mut guest = pannier_wasmtime::guest(Flavour::Auto).expect("`cargo xtask guest` has built it");
    for at in 0..guest.len() {
        for (right, wrong) in LIES {
            if guest[at..].starts_with(&right) {
                guest[at + 1] = wrong;
            }
        }
    }
    guest
}

#[test]
#[ignore = "compiles a guest of its own: cargo xtask test --all"]
fn a_guest_that_computes_wrongly_is_refused_by_the_golden_cases() {
    let folder = temp_dir();
    let model = Onnx::new(17).input("x", F32, "1,64").node("Add", &["x", "x"], &["y"]).output("y", F32, "1,64");
    let bundle = signed(&target("double", &model.save(folder.path()))).expect("it builds");
    let ones = Tensor::from_slice([1, 64], &[1f32; 64]).expect("a tensor");
    let answer = |sandbox: &Sandbox, options: &LoadOptions| {
        let model = sandbox::load(sandbox, &bundle, options)?;
        let outputs = model.run([("x", &ones)].into_iter().collect::<pannier::Inputs<'_>>())?;
        Ok(outputs.get("y").and_then(|y| y.as_slice::<f32>()).map(<[f32]>::to_vec))
    };
    let tested = LoadOptions::default();
    let honest: Result<_, pannier_wasmtime::Error> = answer(sandbox::fast(), &tested);
    assert_eq!(honest.expect("it is honest"), Some(vec![2.0; 64]));
    let liar = Sandbox::new(&Config { guest: Some(lying()), cache: Cache::Off, ..Config::default() });
    let liar = liar.expect("it is a module like any other");
    assert_eq!(answer(&liar, &tested).map_err(|error| error.code()), Err(Code::Accuracy));
    // Nobody would know without them.
    let believed = answer(&liar, &LoadOptions { self_test: false, ..tested }).expect("it loads");
    assert_eq!(believed, Some(vec![0.0; 64]));
}
