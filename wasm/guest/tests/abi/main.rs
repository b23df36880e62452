//! The plain ABI, called natively as a host would call it. Each test has a thread, and so a guest, of its own.

mod bundles;
mod host;

use bundles::{ACCUMULATOR, TWICE, bundle, damaged};
use host::{F32, Host, Input, NoPlace};

#[test]
fn a_bundle_is_loaded_described_and_run() {
    let host = Host::with(&bundle(&TWICE));
    let description = host.describe();
    assert_eq!(description["schema"], "pannier.dev/describe/v1");
    assert_eq!(description["name"], "twice");
    assert_eq!(description["engine"], "executor");
    assert_eq!(description["labels"], serde_json::json!([["cat", "dog"]]));
    let x = serde_json::json!({
        "name": "x", "dtype": "float32", "onnx_type": 1, "shape": ["n", 2], "description": "", "labels": null, "state": null
    });
    assert_eq!(description["inputs"], serde_json::json!([x]));
    assert_eq!(description["report"]["self_test"]["cases"], 1);
    for values in [&[1.0f32, 2.0][..], &[3.0, 4.0, 5.0, 6.0]] {
        host.give(0, &[values.len() as u32 / 2, 2], values).unwrap();
        assert_eq!(host.run(), Ok(()));
        let doubled: Vec<f32> = values.iter().map(|value| value * 2.0).collect();
        assert_eq!(host.outputs(), [(F32, vec![values.len() as u32 / 2, 2], doubled)]);
    }
}

#[test]
fn a_deadline_in_the_manifest_is_left_to_the_host() {
    let host = Host::with(&bundle(&bundles::Model { deadline_ms: 1, ..TWICE }));
    assert_eq!(host.describe()["envelope"]["deadline_ms"], 1);
    host.give(0, &[1, 2], &[1.0, 2.0]).unwrap();
    assert_eq!(host.run(), Ok(()));
}

#[test]
fn a_stream_keeps_its_state_until_it_is_reset() {
    let host = Host::with(&bundle(&ACCUMULATOR));
    let step = |value: f32| {
        host.give(0, &[1], &[value]).unwrap();
        host.step().map(|()| host.outputs()[0].2[0])
    };
    assert_eq!(step(1.0), Ok(1.0));
    assert_eq!(step(2.0), Ok(3.0));
    assert_eq!(step(4.0), Ok(7.0));
    host.reset();
    assert_eq!(host.outputs(), []);
    assert_eq!(step(8.0), Ok(8.0));
    host.give(0, &[1], &[1.0]).unwrap();
    host.give(1, &[1], &[100.0]).unwrap();
    assert_eq!(host.step(), Ok(()), "a state that is given replaces the one that is kept");
    assert_eq!(host.outputs()[0].2, [101.0]);
    host.give(0, &[1], &[1.0]).unwrap();
    assert_eq!(host.run(), Err("E_INVALID_INPUT".into()), "a run takes no state that is kept");
    assert_eq!(step(1.0), Ok(102.0), "and changes none");
}

#[test]
fn inputs_are_forgotten_after_a_run_and_outputs_after_a_failure() {
    let host = Host::with(&bundle(&TWICE));
    host.give(0, &[1, 2], &[1.0, 2.0]).unwrap();
    assert_eq!(host.run(), Ok(()));
    assert_eq!(host.outputs().len(), 1);
    assert_eq!(host.run(), Err("E_INVALID_INPUT".into()));
    assert_eq!(host.outputs(), []);
}

#[test]
fn what_cannot_be_loaded_says_why_and_leaves_the_guest_usable() {
    let host = Host::new();
    let good = bundle(&TWICE);
    let key = "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE\n-----END PUBLIC KEY-----\n";
    let cases: &[(&str, &[u8], &str, u32, &str)] = &[
        ("nobody is trusted", &good, "", 0, "E_UNSIGNED"),
        ("keys beside the permission to do without", &good, key, 1, "E_USAGE"),
        ("a key that is none", &good, key, 0, "E_INVALID_KEY"),
        ("a policy that is none", &good, "roles = 3", 0, "E_INVALID_POLICY"),
        ("a flag that is not known", &good, "", 1 | 1 << 7, "E_USAGE"),
        ("no bundle", b"", "", 1, "E_TRUNCATED"),
        ("not a bundle", b"not a bundle at all, but long enough for a preamble of one", "", 1, "E_CORRUPT"),
        ("a damaged bundle", &damaged(&good), "", 1, "E_CORRUPT"),
        (
            "wrong answers to the golden cases",
            &bundle(&bundles::Model { golden_answer: 9.0, ..TWICE }),
            "",
            1,
            "E_ACCURACY",
        ),
    ];
    let mut failures = Vec::new();
    for (what, bundle, trust, flags, expected) in cases {
        let found = host.load(bundle, trust, *flags, 0);
        if found != Err((*expected).into()) {
            failures.push(format!("{what}: expected {expected}, found {found:?}: {}", host.text()));
        }
    }
    assert_eq!(host.load(&good, "", 1, 1), Err("E_MEMORY_BUDGET".into()), "one byte is not enough");
    let wrong = bundle(&bundles::Model { golden_answer: 9.0, ..TWICE });
    if !failures.is_empty() {
        panic!("{}", failures.join("\n"));
    }
    assert_eq!(host.load(&wrong, "", 3, 0), Ok(()), "the golden cases are left out on demand");
    assert_eq!(host.load(&good, "", 1, 0), Err("E_USAGE".into()), "one bundle for each guest");
}

#[test]
fn without_a_model_every_call_fails_and_none_panics() {
    let host = Host::new();
    assert_eq!(host.try_describe(), Err("E_USAGE".into()));
    assert_eq!(host.run(), Err("E_USAGE".into()));
    assert_eq!(host.step(), Err("E_USAGE".into()));
    assert_eq!(host.give(0, &[], &[]), Err(NoPlace::Shape));
    host.reset();
    assert_eq!(host.outputs(), []);
}

#[test]
fn numbers_that_do_not_fit_are_refused() {
    let host = Host::with(&bundle(&TWICE));
    const ABSURD: u32 = u32::MAX;
    let cases = [
        ("an index too large", Input { index: 1, ..Input::GOOD }, NoPlace::Shape),
        ("an absurd index", Input { index: ABSURD, ..Input::GOOD }, NoPlace::Shape),
        ("a rank too small", Input { shape: &[2], ..Input::GOOD }, NoPlace::Shape),
        ("a rank too large", Input { shape: &[1, 1, 2], ..Input::GOOD }, NoPlace::Shape),
        ("another type", Input { dtype: 11, size: 16, ..Input::GOOD }, NoPlace::Data),
        ("a type that does not exist", Input { dtype: 0, ..Input::GOOD }, NoPlace::Data),
        ("an absurd type", Input { dtype: ABSURD, ..Input::GOOD }, NoPlace::Data),
        ("a size too small", Input { size: 4, ..Input::GOOD }, NoPlace::Data),
        ("a size too large", Input { size: usize::MAX, ..Input::GOOD }, NoPlace::Data),
        ("a shape beyond all memory", Input { shape: &[ABSURD, ABSURD], size: 8, ..Input::GOOD }, NoPlace::Data),
    ];
    let mut failures = Vec::new();
    for (what, input, expected) in cases {
        let found = host.place(&input).map(drop);
        if found != Err(expected) || !["E_USAGE", "E_INVALID_INPUT"].contains(&host.code().as_str()) {
            failures.push(format!("{what}: expected {expected:?}, found {found:?}: {}", host.text()));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert!(host.place(&Input::GOOD).is_ok());
    for index in [0, 1, ABSURD] {
        assert!(host.output_is_absent(index), "there is no output {index} before a run");
    }
}

#[test]
fn a_shape_that_is_given_anew_forgets_the_elements() {
    let host = Host::with(&bundle(&TWICE));
    host.give(0, &[1, 2], &[1.0, 2.0]).unwrap();
    host.place(&Input { dtype: 0, ..Input::GOOD }).unwrap_err();
    assert_eq!(host.run(), Err("E_INVALID_INPUT".into()));
}

#[test]
fn an_input_wants_the_types_and_sizes_of_the_model() {
    let host = Host::with(&bundle(&TWICE));
    host.give(0, &[1, 3], &[1.0, 2.0, 3.0]).unwrap();
    assert_eq!(host.run(), Err("E_INVALID_INPUT".into()), "the model's second dimension is 2");
}

#[test]
fn buffers_are_aligned_zeroed_and_named_by_their_start() {
    let host = Host::new();
    for size in [0, 1, 63, 64, 65, 4096] {
        let buffer = host.allocate(size);
        assert_eq!(buffer.addr() % 64, 0);
        assert!(host.read(buffer, size).iter().all(|byte| *byte == 0));
        host.free(buffer);
        host.free(buffer);
    }
    assert!(host.try_allocate(usize::MAX).is_none());
    assert!(host.try_allocate(isize::MAX.unsigned_abs()).is_none());
    host.free(std::ptr::null_mut());
    host.free(std::ptr::dangling_mut());
}

#[test]
fn a_bundle_has_to_lie_in_a_buffer_and_is_consumed() {
    let host = Host::new();
    let good = bundle(&TWICE);
    let buffer = host.put(&good);
    assert_eq!(host.load_at(buffer.wrapping_add(64), good.len() - 64), Err("E_USAGE".into()), "not the start");
    assert_eq!(host.load_at(buffer, good.len() + 64), Err("E_USAGE".into()), "longer than the buffer");
    assert_eq!(host.load_at(buffer, good.len()), Err("E_USAGE".into()), "consumed by the failure before");
    let buffer = host.put(&good);
    assert_eq!(host.load_at(buffer, good.len()), Ok(()));
    assert_eq!(host.load_at(buffer, good.len()), Err("E_USAGE".into()));
}
