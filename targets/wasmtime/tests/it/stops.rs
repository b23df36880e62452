//! Guests that do not end by themselves, or not well: loops, traps, panics, memory that explodes, calls that are cancelled.

use crate::support::*;
use pannier::manifest::Envelope;
use pannier_wasmtime::{
    Cancel, Code, Config, Error, Interrupt, Limits, LoadOptions, RunOptions, Sandbox, SandboxedModel, Trust, Watch,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const LOOP: &str = "(loop (br 0)) unreachable";
/// A call that never returns, and is no loop either.
const RECURSE: &str = "(drop (call $run)) i32.const 0";
/// Grows until there is no more.
const EXPLODE: &str = "(loop (br_if 0 (i32.ne (memory.grow (i32.const 16)) (i32.const -1)))) unreachable";

fn stated(memory_bytes: Option<u64>, deadline: Option<Duration>) -> LoadOptions {
    let limits = Limits { memory_bytes, deadline, load_deadline: deadline, ..Limits::default() };
    LoadOptions { limits, ..LoadOptions::default() }
}

fn run(model: &SandboxedModel) -> Error {
    model.run(given([1.0, 2.0], 0.0)).unwrap_err()
}

/// What nothing here takes if it is stopped at all.
const A_LONG_TIME: Duration = Duration::from_secs(20);

#[test]
fn a_run_that_loops_ends_soon_after_its_deadline() {
    let deadline = Duration::from_millis(50);
    // A fill of 16 MiB is one instruction, and the longest of this guest.
    let filling = "(drop (memory.grow (i32.const 256)))
        (loop (memory.fill (i32.const 0x20000) (i32.const 1) (i32.const 0x1000000)) (br 0)) unreachable";
    // A function that calls another is checked at its entry; its loop, which stores nothing and calls nobody, is checked by itself.
    let computing = "(loop (br 0)) (drop (call $step)) unreachable";
    for body in [LOOP, computing, "(loop (drop (call $step)) (br 0)) unreachable", filling] {
        let bodies = [("run", body), ("step", "i32.const 0")];
        let sandbox = Sandbox::new(&config(guest_with(&bodies))).unwrap();
        let options = stated(None, Some(deadline));
        let model = sandbox.load(&bundle(FREE), &Trust::AllowUnsigned, &options).unwrap();
        for _ in 0..3 {
            let start = Instant::now();
            assert_eq!(run(&model), Error::Deadline { deadline });
            let late = start.elapsed().saturating_sub(deadline);
            // How late is for people to read: on a busy machine, this says more of the machine than of the sandbox.
            println!("{late:?} late");
            assert!(late < A_LONG_TIME, "{late:?} late");
        }
    }
}

#[test]
fn loading_has_a_deadline_too() {
    let sandbox = Sandbox::new(&config(guest_with(&[("load", LOOP)]))).unwrap();
    let start = Instant::now();
    let options = stated(None, Some(Duration::from_millis(50)));
    let error = sandbox.load(&bundle(FREE), &Trust::AllowUnsigned, &options).unwrap_err();
    assert_eq!(error.code(), Code::Deadline);
    assert!(start.elapsed() < A_LONG_TIME, "{:?}", start.elapsed());
}

#[test]
fn no_time_at_all_is_a_deadline_that_has_passed() {
    let options = RunOptions { deadline: Some(Duration::ZERO), ..RunOptions::default() };
    let error = model(guest()).run_with(given([1.0, 2.0], 0.0), &options).unwrap_err();
    assert_eq!(error.code(), Code::Deadline);
}

#[test]
fn what_traps_is_an_error_with_the_trap_and_the_panic() {
    let cases = [
        ("unreachable", "unreachable", None),
        ("unreachable", PANIC, Some("panicked: \u{fffd}[31mno such luck")),
        ("out of bounds", "(i32.load (i32.const -4))", None),
        ("divide by zero", "(i32.div_u (i32.const 1) (i32.const 0))", None),
        ("stack exhausted", RECURSE, None),
    ];
    for (expected, body, panic) in cases {
        let model = model(guest_with(&[("run", body)]));
        for _ in 0..2 {
            let error = run(&model);
            assert_eq!(error.code(), Code::Failed);
            let Error::Trap { trap, message } = error else { panic!("{expected}: {error}") };
            assert!(trap.contains(expected), "{trap}");
            assert_eq!(message.as_deref(), panic, "{expected}");
        }
    }
}

#[test]
fn a_text_from_before_is_not_taken_for_the_words_of_a_panic() {
    // The first run fails and leaves a text, the second one traps and leaves none.
    let body = "(if (i32.load (i32.const 0x700)) (then unreachable))
        (i32.store (i32.const 0x700) (i32.const 1)) (call $leave (i32.const 0x500) (i32.const 65)) i32.const 1";
    let mut session = model(guest_with(&[("run", body)])).session().unwrap();
    assert_eq!(session.run(given([1.0, 2.0], 0.0)).unwrap_err().code(), Code::InvalidInput);
    let error = session.run(given([1.0, 2.0], 0.0)).unwrap_err();
    assert!(matches!(error, Error::Trap { message: None, .. }), "{error}");
}

#[test]
fn a_guest_that_loops_over_its_last_words_has_none() {
    let text_size = "(loop (br_if 0 (i32.load (i32.const 0x700)))) (i32.load (i32.const 0x194))";
    let model = model(guest_with(&[
        ("run", "(i32.store (i32.const 0x700) (i32.const 1)) unreachable"),
        ("text_size", text_size),
    ]));
    let start = Instant::now();
    let error = run(&model);
    assert!(matches!(error, Error::Trap { message: None, .. }), "{error}");
    assert!(start.elapsed() < A_LONG_TIME);
}

#[test]
fn a_session_whose_guest_stopped_is_lost_until_it_is_reset() {
    // Stops when the first number is 1.
    let body = "(if (f32.eq (f32.load (i32.const 0x130)) (f32.const 1)) (then unreachable)) i32.const 0";
    let mut session = model(guest_with(&[("run", body)])).session().unwrap();
    assert!(session.run(given([0.0, 0.0], 0.0)).is_ok());
    assert!(matches!(session.run(given([1.0, 0.0], 0.0)), Err(Error::Trap { .. })));
    assert_eq!(session.run(given([0.0, 0.0], 0.0)), Err(Error::SessionLost));
    session.reset().unwrap();
    assert!(session.run(given([0.0, 0.0], 0.0)).is_ok());
}

#[test]
fn memory_that_explodes_is_a_budget_error() {
    let limit_bytes = 16 << 20;
    let sandbox = Sandbox::new(&config(guest_with(&[("run", EXPLODE)]))).unwrap();
    let model = sandbox.load(&bundle(FREE), &Trust::AllowUnsigned, &stated(Some(limit_bytes), None)).unwrap();
    let error = run(&model);
    assert!(matches!(error, Error::Memory { limit_bytes: found, .. } if found == limit_bytes), "{error}");
    assert_eq!(error.code(), Code::MemoryBudget);

    let sandbox = Sandbox::new(&config(guest_with(&[("load", EXPLODE)]))).unwrap();
    let error = sandbox.load(&bundle(FREE), &Trust::AllowUnsigned, &stated(Some(limit_bytes), None)).unwrap_err();
    assert_eq!(error.code(), Code::MemoryBudget, "{error}");
}

#[test]
fn memory_without_a_limit_ends_at_the_address_space() {
    let error = run(&model(guest_with(&[("run", EXPLODE)])));
    assert!(matches!(error, Error::Memory { .. } | Error::Trap { .. }), "{error}");
}

#[test]
fn what_the_envelope_implies_limits_memory() {
    let sandbox = Sandbox::new(&config(guest_with(&[("run", EXPLODE)]))).unwrap();
    let bundle = bundle(Envelope { peak_memory_bytes: 1 << 20, ..FREE });
    let model = sandbox.load(&bundle, &Trust::AllowUnsigned, &LoadOptions::default()).unwrap();
    let limit_bytes = model.report().memory_limit_bytes;
    assert!(limit_bytes < 1 << 30, "{limit_bytes}");
    assert!(matches!(run(&model), Error::Memory { limit_bytes: found, .. } if found == limit_bytes));
}

#[test]
fn a_bundle_that_cannot_fit_is_refused_before_the_guest_gets_it() {
    // Small in the file, large in memory; and a guest that would trap if it were asked for room.
    let bundle = bundle_with(FREE, &vec![0; 32 << 20]);
    assert!(bundle.len() < 1 << 20);
    let sandbox = Sandbox::new(&config(guest_with(&[("alloc", "unreachable")]))).unwrap();
    let error = sandbox.load(&bundle, &Trust::AllowUnsigned, &stated(Some(32 << 20), None)).unwrap_err();
    assert!(matches!(error, Error::TooLarge { limit_bytes: 0x200_0000, .. }), "{error}");
    assert_eq!(error.code(), Code::MemoryBudget);
}

#[test]
fn a_call_is_cancelled_half_way() {
    let config = Config {
        limits: Limits { deadline: Some(Duration::from_secs(60)), ..Limits::default() },
        ..config(guest_with(&[("run", LOOP)]))
    };
    let model = load(&Sandbox::new(&config).unwrap());
    let cancel = Arc::new(Cancel::new());
    let options = RunOptions { watch: Some(cancel.clone()), ..RunOptions::default() };
    let start = Instant::now();
    std::thread::scope(|scope| {
        let call = scope.spawn(|| model.run_with(given([1.0, 2.0], 0.0), &options));
        std::thread::sleep(Duration::from_millis(30));
        cancel.cancel();
        let error = call.join().unwrap().unwrap_err();
        assert_eq!(error, Error::Cancelled);
        assert_eq!(error.code(), Code::Interrupted);
    });
    assert!(start.elapsed() < A_LONG_TIME, "{:?}", start.elapsed());
    // A button that was pressed before stops the call before it begins.
    assert_eq!(model.run_with(given([1.0, 2.0], 0.0), &options), Err(Error::Cancelled));
}

#[test]
fn a_caller_that_panics_when_asked_cancels_its_own_run_and_no_other() {
    /// Answers once, since a call asks before it begins.
    struct Panics(AtomicBool);
    impl Watch for Panics {
        fn check(&self) -> Result<(), Interrupt> {
            assert!(!self.0.swap(true, Ordering::Relaxed), "a caller's mistake");
            Ok(())
        }
    }
    let sandbox = Sandbox::new(&config(guest_with(&[("run", LOOP)]))).unwrap();
    let model = load(&sandbox);
    let options = RunOptions { watch: Some(Arc::new(Panics(AtomicBool::new(false)))), ..RunOptions::default() };
    assert_eq!(model.run_with(given([1.0, 2.0], 0.0), &options), Err(Error::Cancelled));
    // The thread that stops runs goes on.
    let options = RunOptions { deadline: Some(Duration::from_millis(20)), ..RunOptions::default() };
    assert_eq!(model.run_with(given([1.0, 2.0], 0.0), &options).unwrap_err().code(), Code::Deadline);
}

#[test]
fn loading_is_cancelled_half_way() {
    let sandbox = Sandbox::new(&config(guest_with(&[("load", LOOP)]))).unwrap();
    let cancel = Arc::new(Cancel::new());
    let options = LoadOptions { watch: Some(cancel.clone()), ..LoadOptions::default() };
    std::thread::scope(|scope| {
        let call = scope.spawn(|| sandbox.load(&bundle(FREE), &Trust::AllowUnsigned, &options));
        std::thread::sleep(Duration::from_millis(30));
        cancel.cancel();
        assert_eq!(call.join().unwrap().unwrap_err(), Error::Cancelled);
    });
}

#[test]
fn the_host_goes_on_after_every_kind_of_stop() {
    // What happens is in the first number: 1 traps, 2 loops, 3 explodes, everything else answers.
    let body = "(if (f32.eq (f32.load (i32.const 0x130)) (f32.const 1)) (then unreachable))
        (loop (br_if 0 (f32.eq (f32.load (i32.const 0x130)) (f32.const 2))))
        (if (f32.eq (f32.load (i32.const 0x130)) (f32.const 3)) (then
            (loop (br_if 0 (i32.ne (memory.grow (i32.const 16)) (i32.const -1)))) unreachable))
        i32.const 0";
    let sandbox = Sandbox::new(&Config { max_instances: 1, ..config(guest_with(&[("run", body)])) }).unwrap();
    let options = stated(Some(16 << 20), Some(Duration::from_millis(20)));
    let model = sandbox.load(&bundle(FREE), &Trust::AllowUnsigned, &options).unwrap();
    for round in 0..3 {
        for (number, code) in [(1.0, Code::Failed), (2.0, Code::Deadline), (3.0, Code::MemoryBudget)] {
            assert_eq!(model.run(given([number, 0.0], 0.0)).unwrap_err().code(), code, "round {round}");
            assert!(model.run(given([9.0, 0.0], 0.0)).is_ok(), "round {round}, after {code}");
        }
    }
}
