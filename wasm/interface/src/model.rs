//! The model that an instance holds, and one stream of calls to it: all of an ABI's logic, without pointers.

use std::rc::Rc;

use pannier::manifest::Port;
use pannier::{Code, DType, Inputs, RunOptions, Session, State, Tensor};
use pannier_graph::AlignedBytes;

use crate::{Description, Failure};

/// A loaded model with the inputs, the outputs and the state of its one stream.
pub struct Model {
    session: Rc<Session>,
    state: State,
    /// One per input, in the manifest's order.
    inputs: Vec<Slot>,
    outputs: Vec<Output>,
}

/// What was given for one input since the last run.
#[derive(Default)]
struct Slot {
    shape: Option<Vec<u32>>,
    data: Option<(DType, AlignedBytes)>,
}

/// One output of the last run.
pub struct Output {
    /// Row-major shape, as 32-bit numbers whatever the machine.
    pub shape: Vec<u32>,
    /// The tensor itself.
    pub tensor: Tensor,
}

impl Model {
    /// The model of a session.
    pub fn new(session: Session) -> Model {
        let inputs = session.manifest().inputs.iter().map(|_| Slot::default()).collect();
        Model { session: Rc::new(session), state: State::new(), inputs, outputs: Vec::new() }
    }

    /// The session, for streams of their own.
    pub fn session(&self) -> Rc<Session> {
        Rc::clone(&self.session)
    }

    /// What the model is.
    pub fn describe(&self) -> Description<'_> {
        Description::of(&self.session)
    }

    /// Room for the shape of an input that the host is about to give; what was given for it before is forgotten.
    pub fn input_shape(&mut self, index: usize, rank: usize) -> Result<&mut [u32], Failure> {
        let (port, slot) = self.slot(index)?;
        *slot = Slot::default();
        if rank != port.shape.len() {
            return Err(Failure::input(&port.name, format_args!("expected rank {}, found {rank}", port.shape.len())));
        }
        Ok(slot.shape.insert(vec![0; rank]))
    }

    /// Room for the elements of an input whose shape was given.
    pub fn input_data(&mut self, index: usize, dtype: u32, size_bytes: usize) -> Result<&mut [u8], Failure> {
        let (port, slot) = self.slot(index)?;
        slot.data = None;
        let found = i32::try_from(dtype).ok().and_then(DType::from_onnx_number);
        let Some(dtype) = found.filter(|dtype| *dtype == port.dtype) else {
            let found = found.map_or_else(|| format!("type number {dtype}"), |dtype| dtype.name().to_owned());
            return Err(Failure::input(&port.name, format_args!("expected {}, found {found}", port.dtype.name())));
        };
        let Some(shape) = &slot.shape else {
            return Err(Failure::input(&port.name, "its shape comes first"));
        };
        let taken =
            shape.iter().try_fold(dtype.size_bytes(), |size, dim| size.checked_mul(usize::try_from(*dim).ok()?));
        if taken != Some(size_bytes) {
            let what = format!("shape {shape:?} of {} does not take {size_bytes} bytes", dtype.name());
            return Err(Failure::input(&port.name, what));
        }
        let Some(bytes) = AlignedBytes::try_zeroed(size_bytes) else {
            return Err(Failure::new(
                Code::MemoryBudget,
                format!("there is no memory for {size_bytes} bytes of input"),
            ));
        };
        Ok(slot.data.insert((dtype, bytes)).1.as_bytes_mut())
    }

    fn slot(&mut self, index: usize) -> Result<(&Port, &mut Slot), Failure> {
        let len = self.inputs.len();
        let port = self.session.manifest().inputs.get(index);
        port.zip(self.inputs.get_mut(index))
            .ok_or_else(|| Failure::usage(format!("there is no input {index}: the model has {len}")))
    }

    /// Runs with the inputs that were given, all of which must be there.
    pub fn run(&mut self) -> Result<(), Failure> {
        let inputs = self.take_inputs()?;
        let outputs = self.session.run(&inputs)?;
        self.keep(outputs);
        Ok(())
    }

    /// Runs with the inputs that were given; state inputs that were not come from the run before.
    pub fn step(&mut self) -> Result<(), Failure> {
        let inputs = self.take_inputs()?;
        let outputs = self.session.step(&mut self.state, &inputs)?;
        self.keep(outputs);
        Ok(())
    }

    /// [`Model::run`] for an engine that computes elsewhere.
    pub async fn run_async(&mut self) -> Result<(), Failure> {
        let inputs = self.take_inputs()?;
        let outputs = self.session.run_async(&inputs, &RunOptions::default()).await?;
        self.keep(outputs);
        Ok(())
    }

    /// [`Model::step`] for an engine that computes elsewhere.
    pub async fn step_async(&mut self) -> Result<(), Failure> {
        let inputs = self.take_inputs()?;
        let outputs = self.session.step_async(&mut self.state, &inputs, &RunOptions::default()).await?;
        self.keep(outputs);
        Ok(())
    }

    /// Forgets state, inputs and outputs.
    pub fn reset(&mut self) {
        self.state.reset();
        self.outputs.clear();
        self.inputs.iter_mut().for_each(|slot| *slot = Slot::default());
    }

    /// The outputs of the last run, in the manifest's order; none after a failure.
    pub fn outputs(&self) -> &[Output] {
        &self.outputs
    }

    /// Takes the inputs and drops the outputs of the last run, so that they are not in memory during the next.
    fn take_inputs(&mut self) -> Result<Inputs<'static>, Failure> {
        self.outputs.clear();
        let mut inputs = Inputs::new();
        let mut refused = None;
        for (port, slot) in self.session.manifest().inputs.iter().zip(&mut self.inputs) {
            let Slot { shape: Some(shape), data: Some((dtype, bytes)) } = std::mem::take(slot) else { continue };
            let shape: Vec<usize> = shape.into_iter().map(|dim| usize::try_from(dim).unwrap_or(usize::MAX)).collect();
            match Tensor::from_aligned(dtype, shape, bytes) {
                Ok(tensor) => inputs.push(port.name.clone(), tensor),
                Err(why) => refused = Some(Failure::input(&port.name, why)),
            }
        }
        refused.map_or(Ok(inputs), Err)
    }

    fn keep(&mut self, outputs: pannier::Outputs) {
        self.outputs = outputs.into_iter().map(|(_, tensor)| Output::new(tensor)).collect();
    }
}

impl Output {
    fn new(tensor: Tensor) -> Output {
        Output { shape: shape(&tensor), tensor }
    }
}

/// A tensor's shape in the 32-bit numbers of both interfaces. A guest's memory has no room for larger dimensions.
pub fn shape(tensor: &Tensor) -> Vec<u32> {
    tensor.shape().iter().map(|dim| u32::try_from(*dim).unwrap_or(u32::MAX)).collect()
}
