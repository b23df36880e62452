//! The exports of `wasm/wit/model.wit`: the same sessions as behind the plain ABI, as typed values.

use std::cell::RefCell;
use std::rc::Rc;

use pannier::manifest::Port;
use pannier::{DType, Dim, Inputs, Manifest, Outputs, Session, State, Tensor, Trust};
use pannier_bundle::Bundle;

use crate::options::LoadOptions;
use crate::{abi, guest};
use pannier_wasm_interface::{FLAVOUR, Failure, describe, model, trust};

mod bindings {
    wit_bindgen::generate!({ path: "../wit", world: "guest" });
}

use bindings::exports::pannier::model::{bundles, packed, sessions};

bindings::export!(Component with_types_in bindings);

struct Component;

impl sessions::Guest for Component {
    type Session = Stream;
}

/// One stream of runs of a model.
struct Stream {
    session: Rc<Session>,
    state: RefCell<State>,
}

impl Stream {
    fn handle(session: Rc<Session>) -> sessions::Session {
        sessions::Session::new(Stream { session, state: RefCell::default() })
    }
}

impl sessions::GuestSession for Stream {
    fn describe(&self) -> sessions::Description {
        description(self.session.manifest())
    }

    fn labels(&self) -> Vec<Vec<String>> {
        self.session.labels().to_vec()
    }

    fn report(&self) -> sessions::Report {
        let report = self.session.report();
        let rejected = report.rejected.into_iter().map(|rejected| sessions::Rejected {
            engine: rejected.engine.into(),
            code: rejected.error.code().name().into(),
            message: rejected.error.to_string(),
        });
        sessions::Report {
            engine: report.engine.into(),
            flavour: FLAVOUR.into(),
            rejected: rejected.collect(),
            self_test: report.self_test.map(|test| sessions::SelfTest {
                cases: u32::try_from(test.cases).unwrap_or(u32::MAX),
                elements: test.elements,
                largest_difference: test.largest_difference,
            }),
            weight_bytes: report.memory.weight_bytes,
            peak_bytes: report.memory.peak_bytes,
        }
    }

    fn run(&self, inputs: Vec<sessions::NamedTensor>) -> Result<Vec<sessions::NamedTensor>, sessions::Error> {
        run(&self.session, inputs)
    }

    fn step(&self, inputs: Vec<sessions::NamedTensor>) -> Result<Vec<sessions::NamedTensor>, sessions::Error> {
        let outputs = self.session.step(&mut self.state.borrow_mut(), take(inputs)?).map_err(Failure::from)?;
        Ok(give(outputs))
    }

    fn reset(&self) {
        self.state.borrow_mut().reset();
    }
}

impl bundles::Guest for Component {
    fn describe(
        bundle: Vec<u8>,
        trust: bundles::Trust,
        options: bundles::Options,
    ) -> Result<sessions::Description, sessions::Error> {
        let LoadOptions { trust, now_unix_s, .. } = load_options(trust, options)?;
        let opened = Bundle::open(bundle, &pannier::Limits::default()).map_err(Failure::from)?;
        let verified = opened.verify(&trust, now_unix_s).map_err(Failure::from)?;
        Ok(description(verified.manifest()))
    }

    fn prepare(
        bundle: Vec<u8>,
        trust: bundles::Trust,
        options: bundles::Options,
    ) -> Result<bundles::Session, sessions::Error> {
        let options = load_options(trust, options)?;
        let session = abi::clearing(|| guest::open(bundle, &options))?;
        Ok(Stream::handle(Rc::new(session)))
    }
}

impl packed::Guest for Component {
    fn describe() -> Result<sessions::Description, sessions::Error> {
        Ok(description(packed_session()?.manifest()))
    }

    fn open() -> Result<packed::Session, sessions::Error> {
        Ok(Stream::handle(packed_session()?))
    }

    fn run(inputs: Vec<sessions::NamedTensor>) -> Result<Vec<sessions::NamedTensor>, sessions::Error> {
        run(packed_session()?.as_ref(), inputs)
    }
}

/// Runs once, without a state.
fn run(session: &Session, inputs: Vec<sessions::NamedTensor>) -> Result<Vec<sessions::NamedTensor>, sessions::Error> {
    let outputs = session.run(take(inputs)?).map_err(Failure::from)?;
    Ok(give(outputs))
}

/// The session that was loaded through the plain ABI when the component was made.
fn packed_session() -> Result<Rc<Session>, Failure> {
    let none = Err(Failure::usage("there is no model in this component"));
    abi::with(none, |guest| Ok(guest.model()?.session()))
}

fn load_options(trust: bundles::Trust, options: bundles::Options) -> Result<LoadOptions, Failure> {
    let trust = match trust {
        bundles::Trust::Keys(keys) => trust::from_keys(keys.iter().map(String::as_str))?,
        bundles::Trust::Policy(policy) => trust::from_policy(&policy)?,
        bundles::Trust::AllowUnsigned => Trust::AllowUnsigned,
    };
    let bundles::Options { now_unix_s, memory_bytes, skip_self_test, deterministic } = options;
    Ok(LoadOptions { trust, self_test: !skip_self_test, deterministic, now_unix_s, memory_bytes })
}

fn description(manifest: &Manifest) -> sessions::Description {
    sessions::Description {
        name: manifest.name.clone(),
        version: manifest.version.clone(),
        description: manifest.description.clone(),
        bundle_id: describe::hex(&manifest.bundle_id),
        inputs: manifest.inputs.iter().map(port).collect(),
        outputs: manifest.outputs.iter().map(port).collect(),
        envelope: sessions::Envelope {
            peak_memory_bytes: manifest.envelope.peak_memory_bytes,
            weight_bytes: manifest.envelope.weight_bytes,
            deadline_ms: manifest.envelope.deadline_ms,
        },
    }
}

fn port(port: &Port) -> sessions::Port {
    let dimension = |dim: &Dim| match dim {
        Dim::Fixed(size) => sessions::Dimension::Fixed(*size),
        Dim::Symbol(name) => sessions::Dimension::Symbol(name.clone()),
    };
    sessions::Port {
        name: port.name.clone(),
        element_type: element_type(port.dtype),
        shape: port.shape.iter().map(dimension).collect(),
        description: port.description.clone(),
        labels: describe::labels(&port.content),
        state: describe::state(&port.content).map(str::to_owned),
    }
}

fn take(inputs: Vec<sessions::NamedTensor>) -> Result<Inputs<'static>, Failure> {
    let tensor = |sessions::NamedTensor { name, tensor }| {
        let shape = tensor.shape.iter().map(|dim| usize::try_from(*dim).unwrap_or(usize::MAX));
        let taken = Tensor::new(dtype(tensor.element_type), shape.collect::<Vec<_>>(), &tensor.data);
        taken.map_err(|why| Failure::input(&name, why)).map(|taken| (name, taken))
    };
    inputs.into_iter().map(tensor).collect()
}

fn give(outputs: Outputs) -> Vec<sessions::NamedTensor> {
    let named = |(name, tensor): (String, Tensor)| sessions::NamedTensor {
        name,
        tensor: sessions::Tensor {
            element_type: element_type(tensor.dtype()),
            shape: model::shape(&tensor),
            data: tensor.bytes().to_vec(),
        },
    };
    outputs.into_iter().map(named).collect()
}

impl From<Failure> for sessions::Error {
    fn from(failure: Failure) -> sessions::Error {
        let Failure { code, message, hint } = failure;
        sessions::Error { code: code.into(), message, hint: hint.map(str::to_owned) }
    }
}

/// Pairs of the same types in both vocabularies.
macro_rules! element_types {
    ($($ours:ident $theirs:ident,)*) => {
        fn element_type(dtype: DType) -> sessions::ElementType {
            match dtype { $(DType::$ours => sessions::ElementType::$theirs,)* }
        }

        fn dtype(element_type: sessions::ElementType) -> DType {
            match element_type { $(sessions::ElementType::$theirs => DType::$ours,)* }
        }
    };
}

element_types! {
    F32 Float32, F16 Float16, BF16 Bfloat16, F64 Float64,
    I8 Int8, I16 Int16, I32 Int32, I64 Int64,
    U8 Uint8, U16 Uint16, U32 Uint32, U64 Uint64,
    Bool Boolean,
}
