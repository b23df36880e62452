//! What a sandboxed model answers when nothing is wrong, and what it says to inputs that do not fit.

use crate::support::*;
use pannier::manifest::Envelope;
use pannier_wasmtime::{Code, Error, Flavour, Inputs, LoadOptions, RunOptions, Sandbox, State, Trust, inputs};
use std::time::Duration;

#[test]
fn a_model_says_what_it_is() {
    let model = model(guest());
    assert_eq!(model.manifest().name, "sum");
    assert_eq!(model.labels(), [["cat", "dog"]]);
    assert!(!model.verdict().is_trusted());
    let report = model.report();
    assert_eq!(report.engine, "by hand");
    assert_ne!(report.flavour, Flavour::Auto);
    assert!(!report.from_cache);
    assert_eq!(report.memory_limit_bytes, 4 << 30);
    assert!(report.load.total_ms() > 0.0);
}

#[test]
fn every_run_has_an_instance_of_its_own() {
    let model = model(guest());
    for _ in 0..3 {
        let outputs = model.run(given([1.0, 2.0], 10.0)).unwrap();
        assert_eq!(y(&outputs), [11.0, 12.0]);
        // What one run gives to the guest, the next one does not find there.
        let outputs = model.step(&mut State::new(), inputs! { "x" => vector(&[1.0, 2.0]) }).unwrap();
        assert_eq!(y(&outputs), [1.0, 2.0]);
    }
}

#[test]
fn the_state_of_a_stream_is_carried_by_the_caller_or_kept_in_a_session() {
    let model = model(guest());
    let (mut state, mut session) = (State::new(), model.session().unwrap());
    for step in 0..4_u8 {
        let x = || inputs! { "x" => vector(&[1.0, 2.0]) };
        let expected = [1.0 + f32::from(step), 2.0 + f32::from(step)];
        assert_eq!(y(&model.step(&mut state, x()).unwrap()), expected);
        assert_eq!(y(&session.step(x()).unwrap()), expected);
    }
    // A state that is given replaces the one that is there.
    assert_eq!(y(&session.step(given([0.0, 0.0], 50.0)).unwrap()), [50.0, 50.0]);
    assert_eq!(y(&session.step(inputs! { "x" => vector(&[0.0, 0.0]) }).unwrap()), [51.0, 51.0]);
    session.reset().unwrap();
    assert_eq!(y(&session.step(inputs! { "x" => vector(&[0.0, 0.0]) }).unwrap()), [0.0, 0.0]);
    assert_eq!(y(&session.run(given([3.0, 3.0], 1.0)).unwrap()), [4.0, 4.0]);
}

#[test]
fn inputs_that_do_not_fit_are_refused_and_the_session_goes_on() {
    let model = model(guest());
    let mut session = model.session().unwrap();
    let twice: Inputs = [("x", vector(&[1.0, 2.0])), ("x", vector(&[1.0, 2.0]))].into_iter().collect();
    let cases = [
        ("unknown", inputs! { "z" => vector(&[1.0]) }, "no input `z`"),
        ("missing", inputs! { "x" => vector(&[1.0, 2.0]) }, "`s` is missing"),
        ("twice", twice, "`x` is given twice"),
        ("of another size", inputs! { "x" => vector(&[1.0]), "s" => vector(&[0.0]) }, "input `x`: no"),
    ];
    for (name, inputs, message) in cases {
        for result in [model.run(&inputs), session.run(&inputs)] {
            let error = result.unwrap_err();
            assert_eq!(error.code(), Code::InvalidInput, "{name}: {error}");
            assert!(error.to_string().contains(message), "{name}: {error}");
            assert!(error.hint().is_some(), "{name}");
        }
        assert_eq!(y(&session.run(given([1.0, 2.0], 0.0)).unwrap()), [1.0, 2.0], "after {name}");
    }
}

#[test]
fn a_bundle_is_not_run_without_trust() {
    let sandbox = Sandbox::new(&config(guest())).unwrap();
    let error = sandbox.load(&bundle(FREE), &Trust::Keys(vec![]), &LoadOptions::default()).unwrap_err();
    assert_eq!(error.code(), Code::Unsigned, "{error}");
}

#[test]
fn outputs_are_limited_by_sandbox_model_and_run() {
    let strict = |bytes| pannier_wasmtime::Limits { output_bytes: Some(bytes), ..Default::default() };
    // The outputs have 12 bytes.
    for (sandbox_bytes, model_bytes, run_bytes, fits) in
        [(12, 12, 12, true), (11, 12, 12, false), (12, 11, 12, false), (12, 12, 11, false)]
    {
        let config = pannier_wasmtime::Config { limits: strict(sandbox_bytes), ..config(guest()) };
        let options = LoadOptions { limits: strict(model_bytes), ..LoadOptions::default() };
        let model = Sandbox::new(&config).unwrap().load(&bundle(FREE), &Trust::AllowUnsigned, &options).unwrap();
        let options = RunOptions { output_bytes: Some(run_bytes), ..RunOptions::default() };
        let result = model.run_with(given([1.0, 2.0], 0.0), &options);
        match result {
            Ok(_) => assert!(fits),
            Err(error) => {
                assert!(!fits, "{error}");
                assert_eq!(error, Error::Output { size_bytes: 12, limit_bytes: 11 });
                assert_eq!(error.code(), Code::Limit);
            }
        }
    }
}

#[test]
fn the_stricter_of_envelope_and_policy_counts() {
    let looping = guest_with(&[("run", "(loop (br 0)) unreachable")]);
    let sandbox = Sandbox::new(&config(looping)).unwrap();
    for (stated_ms, policy_ms, expected_ms) in
        [(40, None, 40), (0, Some(40), 40), (9000, Some(40), 40), (40, Some(9000), 40)]
    {
        let limits = pannier_wasmtime::Limits { deadline: policy_ms.map(Duration::from_millis), ..Default::default() };
        let options = LoadOptions { limits, ..LoadOptions::default() };
        let bundle = bundle(Envelope { deadline_ms: stated_ms, ..FREE });
        let model = sandbox.load(&bundle, &Trust::AllowUnsigned, &options).unwrap();
        let error = model.run(given([1.0, 2.0], 0.0)).unwrap_err();
        assert_eq!(error, Error::Deadline { deadline: Duration::from_millis(expected_ms) });
    }
}
