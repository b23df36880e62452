use crate::golden::{self, Case, Golden, GoldenError, Reference, Stored, Tolerance};
use crate::*;
use pannier_graph::Graph;
use std::cell::Cell;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

fn floats(values: &[f32]) -> Tensor {
    Tensor::from_slice([values.len()], values).unwrap()
}

#[test]
fn a_tensor_is_what_its_type_and_shape_say() {
    let too_large = vec![usize::MAX, 2];
    let cases: Vec<(&str, Result<Tensor, TensorError>, Option<TensorError>)> = vec![
        ("scalar", Tensor::new(DType::F64, [], [0; 8]), None),
        ("no elements", Tensor::new(DType::I64, [3, 0], []), None),
        ("no elements, whatever the other dimensions", Tensor::new(DType::I64, [usize::MAX, usize::MAX, 0], []), None),
        ("matrix", Tensor::new(DType::U16, [2, 2], [0; 8]), None),
        (
            "too few bytes",
            Tensor::new(DType::F32, [2], [0; 7]),
            Some(TensorError::SizeMismatch { dtype: DType::F32, shape: vec![2], expected_bytes: 8, found_bytes: 7 }),
        ),
        (
            "product overflows",
            Tensor::new(DType::U8, too_large.clone(), []),
            Some(TensorError::ShapeOverflow { shape: too_large.clone() }),
        ),
        (
            "larger than any allocation",
            Tensor::zeros(DType::U8, [usize::MAX]),
            Some(TensorError::ShapeOverflow { shape: vec![usize::MAX] }),
        ),
        (
            "not a boolean",
            Tensor::new(DType::Bool, [3], [0, 1, 2]),
            Some(TensorError::NotBool { element: 2, value: 2 }),
        ),
    ];
    for (name, found, expected) in cases {
        assert_eq!(found.err(), expected, "{name}");
    }
}

#[test]
fn elements_are_lent_under_their_own_type_only() {
    let tensor = Tensor::from_slice([2], &[half::f16::from_f32(1.0), half::f16::from_f32(-2.0)]).unwrap();
    assert_eq!(tensor.as_slice::<half::f16>().map(|values| values[1].to_f32()), Some(-2.0));
    assert_eq!(tensor.as_slice::<u16>(), None);
    let bools = Tensor::from_bools([2], &[true, false]).unwrap();
    assert_eq!(bools.as_bools(), Some(&[true, false][..]));
    assert_eq!((bools.as_slice::<u8>(), tensor.as_bools()), (None, None));
    assert_eq!(Tensor::new(DType::F64, [0], []).unwrap().as_slice::<f64>(), Some(&[][..]));
}

#[test]
fn storage_is_aligned_and_borrowed_bytes_must_be() {
    let tensor = Tensor::new(DType::U8, [3], [1, 2, 3]).unwrap();
    assert_eq!(tensor.bytes().as_ptr().addr() % 64, 0);
    let numbers = [0u64; 2];
    let bytes: &[u8] = bytemuck::cast_slice(&numbers);
    assert!(TensorView::new(DType::F32, &[2], &bytes[4..12]).is_ok());
    assert_eq!(TensorView::new(DType::F32, &[2], &bytes[1..9]), Err(TensorError::Misaligned { dtype: DType::F32 }));
}

#[test]
fn every_element_type_is_read_as_a_number() {
    let cases = [
        (DType::F32, 1.5f32.to_le_bytes().to_vec(), 1.5),
        (DType::F64, (-0.25f64).to_le_bytes().to_vec(), -0.25),
        (DType::F16, half::f16::from_f32(2.0).to_le_bytes().to_vec(), 2.0),
        (DType::BF16, half::bf16::from_f32(4.0).to_le_bytes().to_vec(), 4.0),
        (DType::I8, vec![0xff], -1.0),
        (DType::I16, (-2i16).to_le_bytes().to_vec(), -2.0),
        (DType::I32, (-3i32).to_le_bytes().to_vec(), -3.0),
        (DType::I64, (-4i64).to_le_bytes().to_vec(), -4.0),
        (DType::U8, vec![0xff], 255.0),
        (DType::U16, vec![0xff, 0xff], 65535.0),
        (DType::U32, vec![0xff; 4], 4294967295.0),
        (DType::U64, 7u64.to_le_bytes().to_vec(), 7.0),
        (DType::Bool, vec![1], 1.0),
    ];
    assert_eq!(cases.len(), DType::ALL.len());
    for (dtype, bytes, expected) in cases {
        assert_eq!(number::at(dtype, &bytes, 0), Some(expected), "{dtype:?}");
        assert_eq!(number::at(dtype, &bytes, 1), None, "{dtype:?}");
    }
}

/// Answers with what it is given, whatever it is asked.
struct Fixed(Vec<Tensor>);

impl Prepared for Fixed {
    fn run(&self, _: &[TensorView<'_>], _: &RunBudget<'_>) -> Result<Vec<Tensor>, EngineError> {
        Ok(self.0.clone())
    }

    fn memory(&self) -> MemoryUse {
        MemoryUse::default()
    }
}

fn graph_with_output() -> Graph {
    let mut builder = ProgramBuilder::new();
    let x = builder.input("x", DType::F32, &[]);
    let y = builder.node("Abs", &[x]);
    builder.output("y", y);
    (*builder.build().graph).clone()
}

fn golden_of(reference: Reference) -> Golden {
    let case =
        Case { name: "000".into(), inputs: vec![Stored::new(Tensor::scalar(1f32).view())], outputs: vec![reference] };
    Golden { tolerance: Tolerance { absolute: 0.5, relative: 0.25, norm: 0.0 }, cases: vec![case] }
}

/// The verdict on an answer: `None` if it passes, else the element that is named.
fn verdict(answer: &Tensor, reference: Reference) -> Option<u64> {
    let checked =
        golden::check(&Fixed(vec![answer.clone()]), &graph_with_output(), &golden_of(reference), &RunBudget::default());
    match checked {
        Ok(_) => None,
        Err(EngineError::Golden { element, output, .. }) if output == "y" => Some(element),
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn an_answer_may_pass_as_a_whole() {
    let reference = Tensor::from_slice([4], &[3.0f32, 4.0, 0.0, 0.0]).unwrap();
    let mut golden = golden_of(Reference::sample(reference.view(), 4));
    golden.tolerance = Tolerance { absolute: 0.0, relative: 0.0, norm: 0.1 };
    let decoded = Golden::decode(&golden.encode()).unwrap();
    assert_eq!(decoded, golden, "version 2 has a norm");
    let passes = |values: &[f32]| {
        let answer = Tensor::from_slice([4], values).unwrap();
        golden::check(&Fixed(vec![answer]), &graph_with_output(), &decoded, &RunBudget::default()).is_ok()
    };
    assert!(passes(&[3.0, 4.0, 0.0, 0.49]), "a tenth of the norm, which is 5");
    assert!(!passes(&[3.0, 4.0, 0.0, 0.51]));
    assert!(!passes(&[3.0, 4.0, 0.0, f32::NAN]));
    assert!(!passes(&[f32::INFINITY, 4.0, 0.0, 0.0]));
    let integers = Reference::sample(Tensor::from_slice([2], &[100i32, 100]).unwrap().view(), 2);
    golden.cases[0].outputs = vec![integers];
    let near = Tensor::from_slice([2], &[100i32, 101]).unwrap();
    let checked = golden::check(&Fixed(vec![near]), &graph_with_output(), &golden, &RunBudget::default());
    assert!(checked.is_err(), "integers are equal or not");
}

#[test]
fn answers_pass_within_the_tolerance_and_not_beyond() {
    const NAN: f32 = f32::NAN;
    const INF: f32 = f32::INFINITY;
    let cases: &[(&str, f32, f32, bool)] = &[
        ("equal", 2.0, 2.0, true),
        ("on the border: 0.5 + 0.25 * 2", 3.0, 2.0, true),
        ("beyond it", 3.01, 2.0, false),
        ("relative to the reference, not to the answer", -10.0, -7.0, false),
        ("zero and minus zero", 0.0, -0.0, true),
        ("NaN is NaN", NAN, NAN, true),
        ("NaN is no number", NAN, 1.0, false),
        ("a number is not NaN", 1.0, NAN, false),
        ("infinity is itself", INF, INF, true),
        ("infinities have signs", INF, -INF, false),
        ("no number is near infinity", f32::MAX, INF, false),
        ("infinity is near no number", INF, f32::MAX, false),
    ];
    for (name, answer, reference, passes) in cases {
        let found = verdict(&floats(&[0.0, *answer]), Reference::sample(floats(&[0.0, *reference]).view(), 2));
        assert_eq!(found, if *passes { None } else { Some(1) }, "{name}");
    }
}

#[test]
fn integers_and_booleans_must_be_equal() {
    let near = |value: i64| Tensor::from_slice([1], &[value]).unwrap();
    // These two are the same binary64.
    let (a, b) = (near(1 << 53), near((1 << 53) + 1));
    assert_eq!(verdict(&a, Reference::sample(b.view(), 1)), Some(0));
    assert_eq!(verdict(&a, Reference::sample(a.view(), 1)), None);
    let (yes, no) = (Tensor::from_bools([1], &[true]).unwrap(), Tensor::from_bools([1], &[false]).unwrap());
    assert_eq!(verdict(&yes, Reference::sample(no.view(), 1)), Some(0));
}

#[test]
fn large_answers_are_sampled_evenly() {
    let answer = floats(&(0..10).map(|i| i as f32).collect::<Vec<_>>());
    for (most, stride, kept) in [(10, 1, 10), (5, 2, 5), (4, 3, 4), (3, 4, 3), (1, 10, 1), (0, 10, 1)] {
        let reference = Reference::sample(answer.view(), most);
        assert_eq!((reference.stride, reference.bytes.len() / 4), (stride, kept), "at most {most}");
        assert_eq!(verdict(&answer, reference), None, "at most {most}");
    }
    // Only kept elements are compared, and a wrong one is named by its place in the whole answer.
    let mut wrong = answer.clone();
    wrong.as_slice_mut::<f32>().unwrap()[4] = 100.0;
    assert_eq!(verdict(&wrong, Reference::sample(answer.view(), 5)), Some(4));
    assert_eq!(verdict(&wrong, Reference::sample(answer.view(), 3)), Some(4));
    assert_eq!(verdict(&wrong, Reference::sample(answer.view(), 4)), None);
    assert_eq!(Reference::sample(Tensor::zeros(DType::F32, [0]).unwrap().view(), 4).bytes.len(), 0);
}

#[test]
fn an_answer_of_another_kind_is_refused() {
    let reference = || golden_of(Reference::sample(floats(&[1.0]).view(), 1));
    let answers = [
        vec![],
        vec![Tensor::from_slice([1], &[1.0f64]).unwrap()],
        vec![Tensor::from_slice([1, 1], &[1.0f32]).unwrap()],
        vec![floats(&[1.0]), floats(&[1.0])],
    ];
    for answer in answers {
        let checked = golden::check(&Fixed(answer.clone()), &graph_with_output(), &reference(), &RunBudget::default());
        let found = checked.map_err(|error| error.code());
        // The engine's surplus outputs have no reference, and the graph has one output.
        if answer.len() == 2 {
            assert!(found.is_ok(), "{answer:?}");
        } else {
            assert_eq!(found, Err(Code::Accuracy), "{answer:?}");
        }
    }
}

#[test]
fn the_golden_section_survives_the_wire_and_hostile_bytes_do_not() {
    let golden = golden_of(Reference::sample(floats(&[1.0, 2.0]).view(), 1));
    let bytes = golden.encode();
    assert_eq!(Golden::decode(&bytes), Ok(golden.clone()));
    for end in 0..bytes.len() {
        assert!(Golden::decode(&bytes[..end]).is_err(), "cut at {end}");
    }
    for at in 0..bytes.len() {
        let mut flipped = bytes.clone();
        flipped[at] ^= 0xff;
        // It may still be a valid section; it must only not panic, and not be taken for the same one.
        assert_ne!(Golden::decode(&flipped), Ok(golden.clone()), "flipped at {at}");
    }
    let with = |change: &dyn Fn(&mut Golden)| {
        let mut changed = golden.clone();
        change(&mut changed);
        Golden::decode(&changed.encode())
    };
    let without_norm = |version: u16| {
        // In version 2 a norm of 0 stands where version 1 has nothing.
        let mut bytes = golden.encode();
        bytes.splice(0..2, version.to_le_bytes());
        bytes.splice(10..10, [0; 4]);
        Golden::decode(&bytes)
    };
    let cases: [(&str, Result<Golden, GoldenError>, Code); 9] = [
        ("infinite norm", with(&|g| g.tolerance.norm = f32::INFINITY), Code::Corrupt),
        ("norm of 0", without_norm(2), Code::Corrupt),
        ("another version", without_norm(3), Code::UnsupportedVersion),
        ("NaN tolerance", with(&|g| g.tolerance.absolute = f32::NAN), Code::Corrupt),
        ("negative tolerance", with(&|g| g.tolerance.relative = -1.0), Code::Corrupt),
        ("stride 0", with(&|g| g.cases[0].outputs[0].stride = 0), Code::Corrupt),
        ("shape of 2^63", with(&|g| g.cases[0].inputs[0].shape = vec![1 << 63, 2]), Code::Corrupt),
        ("bytes do not fit", with(&|g| g.cases[0].inputs[0].bytes = vec![0; 5].into()), Code::Corrupt),
        ("too many cases", with(&|g| g.cases = vec![g.cases[0].clone(); 257]), Code::Limit),
    ];
    for (name, found, code) in cases {
        assert_eq!(found.map_err(|error| error.code()), Err(code), "{name}");
    }
}

#[test]
fn inputs_must_fit_and_symbols_mean_one_size() {
    let mut builder = ProgramBuilder::new();
    let (batch, n) = (Dim::Symbol("batch".into()), Dim::Symbol("n".into()));
    builder.input("a", DType::F32, &[batch.clone(), Dim::Fixed(2)]);
    builder.input("b", DType::I64, &[batch, n]);
    let graph = builder.build().graph;
    let f = |shape: &[usize]| Tensor::zeros(DType::F32, shape).unwrap();
    let i = |shape: &[usize]| Tensor::zeros(DType::I64, shape).unwrap();
    let cases = [
        ("fits", vec![f(&[3, 2]), i(&[3, 5])], None),
        ("zero is a size", vec![f(&[0, 2]), i(&[0, 0])], None),
        ("one too few", vec![f(&[3, 2])], Some(("b", "2 inputs", "1"))),
        ("one too many", vec![f(&[3, 2]), i(&[3, 5]), i(&[])], Some(("", "2 inputs", "3"))),
        ("type", vec![i(&[3, 2]), i(&[3, 5])], Some(("a", "float32", "int64"))),
        ("fixed size", vec![f(&[3, 4]), i(&[3, 5])], Some(("a", "[batch = 3, 2]", "[3, 4]"))),
        ("rank", vec![f(&[2]), i(&[3, 5])], Some(("a", "[batch, 2]", "[2]"))),
        ("symbol of another input", vec![f(&[3, 2]), i(&[4, 5])], Some(("b", "[batch = 3, n]", "[4, 5]"))),
    ];
    for (name, inputs, expected) in cases {
        let views: Vec<_> = inputs.iter().map(Tensor::view).collect();
        let expected = expected.map(|(name, expected, found)| EngineError::InvalidInput {
            name: name.into(),
            expected: expected.into(),
            found: found.into(),
        });
        assert_eq!(check_inputs(&graph, &views).err(), expected, "{name}");
    }
    let inputs = [f(&[3, 2]), i(&[3, 5])];
    let bound = check_inputs(&graph, &[inputs[0].view(), inputs[1].view()]).unwrap();
    assert_eq!(bound.into_iter().collect::<Vec<_>>(), [("batch".to_string(), 3), ("n".to_string(), 5)]);
}

thread_local! { static NOW: Cell<Duration> = const { Cell::new(Duration::ZERO) }; }

#[test]
fn a_watch_stops_at_its_deadline_or_when_cancelled() {
    let clock: Clock = || NOW.get();
    let deadline = Deadline::after(Duration::from_millis(5), clock);
    let cancel = Cancel::new();
    let both = [Some(&deadline as &dyn Watch), None, Some(&cancel as &dyn Watch)];
    assert_eq!(both.check(), Ok(()));
    NOW.set(Duration::from_millis(4));
    assert_eq!(both.check(), Ok(()));
    NOW.set(Duration::from_millis(5));
    assert_eq!(both.check(), Err(Interrupt::Deadline));
    cancel.cancel();
    assert_eq!((both.check(), cancel.check()), (Err(Interrupt::Deadline), Err(Interrupt::Cancelled)));
    assert!(STD_CLOCK.is_some());
}

/// Polls once: answers that are there at once need no more.
fn answered<T>(future: impl Future<Output = T>) -> Option<T> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(answer) => Some(answer),
        Poll::Pending => None,
    }
}

#[test]
fn an_engine_that_blocks_answers_at_once_when_asked_asynchronously() {
    let (graph, golden) = (graph_with_output(), golden_of(Reference::sample(floats(&[1.0]).view(), 1)));
    let right = Fixed(vec![floats(&[1.0])]);
    assert_eq!(answered(right.run_async(&[], RunBudget::default())), Some(Ok(vec![floats(&[1.0])])));
    for (answer, code) in [(1.0, Ok(1)), (9.0, Err(Code::Accuracy))] {
        let prepared = Fixed(vec![floats(&[answer])]);
        let check = golden::check_async(&prepared, &graph, &golden, RunBudget::default());
        let outcome = answered(check).map(|outcome| outcome.map(|passed| passed.cases).map_err(|error| error.code()));
        assert_eq!(outcome, Some(code), "{answer}");
    }
}
