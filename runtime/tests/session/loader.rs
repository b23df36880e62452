//! Bundles that arrive piece by piece.

use super::{Empty, FREE, bundle, envelope, floats, golden, options, twice};
use pannier::{Code, Engine, Error, LoadStep, Loader, Options, Session, TractEngine, Trust, inputs};
use std::sync::{Arc, Mutex};

/// Loads in pieces of so many bytes.
fn load(bytes: &[u8], piece_bytes: usize, options: Options) -> Result<Session, Error> {
    let mut loader = Loader::new(Trust::AllowUnsigned, options)?;
    for piece in bytes.chunks(piece_bytes) {
        loader.push(piece)?;
    }
    loader.finish()
}

#[test]
fn pieces_of_any_size_make_the_session_that_the_whole_makes() {
    let bytes = bundle(twice(FREE), Some(golden(&[1.0], &[2.0])));
    let whole = Session::from_bytes(bytes.clone(), &Trust::AllowUnsigned, &Options::default()).unwrap();
    for piece_bytes in [1, 7, 64, 1000, bytes.len()] {
        let session = load(&bytes, piece_bytes, Options::default()).unwrap();
        assert_eq!(session.manifest(), whole.manifest());
        assert_eq!(session.labels(), whole.labels());
        assert_eq!(session.verdict(), whole.verdict());
        assert_eq!(session.report().self_test, whole.report().self_test);
        let outputs = session.run(inputs! { "x" => floats(&[1.5, -2.0]) }).unwrap();
        assert_eq!(outputs.get("y"), Some(&floats(&[3.0, -4.0])));
    }
}

#[test]
fn what_is_known_of_a_bundle_is_known_as_soon_as_it_is_trusted() {
    let bytes = bundle(twice(FREE), None);
    let mut loader = Loader::new(Trust::AllowUnsigned, Options::default()).unwrap();
    assert_eq!((loader.file_bytes(), loader.sha256()), (None, None));
    let mut known_at = None;
    for byte in &bytes {
        loader.push(&[*byte]).unwrap();
        if known_at.is_none() && loader.manifest().is_some() {
            known_at = Some(loader.position_bytes());
        }
    }
    assert!(known_at.unwrap() < bytes.len() as u64);
    assert_eq!(loader.file_bytes(), Some(bytes.len() as u64));
    assert_eq!(loader.manifest().unwrap().name, "test");
    let other = bundle(twice(envelope(0, 7)), None);
    let mut another = Loader::new(Trust::AllowUnsigned, Options::default()).unwrap();
    another.push(&other).unwrap();
    assert_ne!(loader.sha256(), another.sha256());
}

#[test]
fn a_loader_that_failed_stays_failed() {
    let mut bytes = bundle(twice(FREE), None);
    *bytes.last_mut().unwrap() ^= 1;
    let mut loader = Loader::new(Trust::AllowUnsigned, Options::default()).unwrap();
    let error = loader.push(&bytes).unwrap_err();
    assert_eq!(error.code(), Code::Corrupt);
    assert_eq!(loader.push(&[]), Err(error.clone()));
    assert_eq!(loader.finish().unwrap_err(), error);
}

#[test]
fn a_bundle_that_ends_too_early_or_too_late_is_refused() {
    let bytes = bundle(twice(FREE), None);
    for end in [0, 10, 24, bytes.len() / 2, bytes.len() - 1] {
        assert_eq!(load(&bytes[..end], 64, Options::default()).unwrap_err().code(), Code::Truncated, "at {end}");
    }
    let longer = [bytes, vec![0]].concat();
    assert_eq!(load(&longer, 64, Options::default()).unwrap_err().code(), Code::Corrupt);
}

#[test]
fn a_graph_that_no_engine_supports_is_refused_when_it_arrives() {
    let bytes = bundle(twice(FREE), None);
    let load = |engines: Vec<Arc<dyn Engine>>| {
        let mut loader = Loader::new(Trust::AllowUnsigned, options(engines)).unwrap();
        for (index, byte) in bytes.iter().enumerate() {
            if let Err(error) = loader.push(&[*byte]) {
                return (index, loader.is_supported(), Err(error));
            }
        }
        (bytes.len(), loader.is_supported(), loader.finish())
    };
    let (at, supported, refused) = load(vec![Arc::new(Empty)]);
    let error = refused.unwrap_err();
    assert_eq!((error.code(), supported), (Code::UnsupportedOperator, false));
    assert!(error.to_string().contains("empty: 1 operator(s) not supported"), "{error}");
    assert!(at < bytes.len() - 64, "before the weights: byte {at} of {}", bytes.len());

    let (_, supported, session) = load(vec![Arc::new(Empty), Arc::new(TractEngine::new())]);
    let rejected = session.unwrap().report().rejected;
    assert_eq!((supported, rejected.len()), (true, 1), "one engine is enough");
}

#[test]
fn nobody_is_trusted_without_being_named() {
    let mut loader = Loader::new(Trust::Keys(vec![]), Options::default()).unwrap();
    assert_eq!(loader.push(&bundle(twice(FREE), None)).unwrap_err().code(), Code::Unsigned);
    assert!(loader.manifest().is_none());
}

#[test]
fn weights_beyond_the_memory_that_is_allowed_are_refused_before_they_have_a_place() {
    let bytes = bundle(twice(FREE), None);
    let options = Options { memory_bytes: Some(1), ..Options::default() };
    assert_eq!(load(&bytes, bytes.len(), options).unwrap_err().code(), Code::MemoryBudget);
    let stated = bundle(twice(envelope(1, 0)), None);
    assert_eq!(load(&stated, stated.len(), Options::default()).unwrap_err().code(), Code::MemoryBudget);
}

#[test]
fn the_steps_of_loading_are_told_as_they_begin() {
    let steps: Arc<Mutex<Vec<LoadStep>>> = Arc::default();
    let told = Arc::clone(&steps);
    let on_step = Some(Arc::new(move |step| told.lock().unwrap().push(step)) as _);
    let options = Options { on_step, ..Options::default() };
    let with = bundle(twice(FREE), Some(golden(&[1.0], &[2.0])));
    load(&with, 100, options.clone()).unwrap();
    Session::from_bytes(bundle(twice(FREE), None), &Trust::AllowUnsigned, &options).unwrap();
    let expected = [LoadStep::Read, LoadStep::Prepare, LoadStep::SelfTest, LoadStep::Read, LoadStep::Prepare];
    assert_eq!(*steps.lock().unwrap(), expected);
}
