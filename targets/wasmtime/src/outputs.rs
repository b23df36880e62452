//! Tensors into and out of an instance.

use crate::error::{Error, GuestFault};
use crate::instance::Instance;
use pannier::manifest::{Content, Port};
use pannier::{DType, Inputs, Outputs, Tensor, TensorView};

/// Most axes of an output.
const RANK_MAX: u32 = 64;

/// The given inputs in the model's order, `None` where one is not given.
pub(crate) fn arrange<'v>(ports: &[Port], inputs: &'v Inputs<'_>) -> Result<Vec<Option<TensorView<'v>>>, Error> {
    let mut views = vec![None; ports.len()];
    for (name, view) in inputs.iter() {
        let slot = ports.iter().position(|port| port.name == name).and_then(|index| views.get_mut(index));
        let slot = slot.ok_or_else(|| {
            let known = ports.iter().map(|port| port.name.clone()).collect();
            Error::Input(pannier::Error::UnknownInput { name: name.to_string(), known })
        })?;
        if slot.replace(view).is_some() {
            return Err(Error::Input(pannier::Error::DuplicateInput { name: name.to_string() }));
        }
    }
    Ok(views)
}

/// Refuses a run that lacks an input, other than one of the state where that may be missing.
pub(crate) fn complete(ports: &[Port], views: &[Option<TensorView<'_>>], state_may_lack: bool) -> Result<(), Error> {
    let lacks =
        |(port, view): &(&Port, &Option<TensorView<'_>>)| view.is_none() && !(state_may_lack && fed_by(port).is_some());
    match ports.iter().zip(views).find(lacks) {
        Some((port, _)) => Err(Error::Input(pannier::Error::MissingInput { name: port.name.clone() })),
        None => Ok(()),
    }
}

/// The name of the output that feeds this input, if it is a state input.
pub(crate) fn fed_by(input: &Port) -> Option<&str> {
    match &input.content {
        Content::State { output } => Some(output),
        _ => None,
    }
}

/// Gives the inputs that are there to an instance.
pub(crate) fn give(instance: &mut Instance, ports: &[Port], views: &[Option<TensorView<'_>>]) -> Result<(), Error> {
    for (index, (port, view)) in (0..).zip(ports.iter().zip(views)) {
        let Some(view) = view else { continue };
        let mut shape = Vec::with_capacity(view.shape().len().saturating_mul(4));
        for dim in view.shape() {
            // No such tensor fits a linear memory: let the guest refuse the largest that it can be told.
            shape.extend(u32::try_from(*dim).unwrap_or(u32::MAX).to_le_bytes());
        }
        instance.input(index, &port.name, &shape, view.dtype().onnx_number(), view.bytes())?;
    }
    Ok(())
}

/// Copies the outputs of the last run out of an instance.
///
/// # Errors
/// [`Error::Output`]: they are larger than allowed, which is decided before any is copied. [`Error::Guest`]: they are no
/// tensors, or not as many as the manifest has.
pub(crate) fn take(instance: &mut Instance, ports: &[Port], limit_bytes: u64) -> Result<Outputs, Error> {
    let found = instance.call(|guest| &mut guest.outputs, ())?;
    if usize::try_from(found) != Ok(ports.len()) {
        return Err(GuestFault::OutputCount { expected: ports.len(), found }.into());
    }
    let mut places = Vec::with_capacity(ports.len());
    let mut size_bytes = 0_u64;
    for (index, port) in (0_u32..).zip(ports) {
        let place = Place::of(instance, index, port)?;
        size_bytes = size_bytes.saturating_add(u64::from(place.size_bytes));
        places.push(place);
    }
    if size_bytes > limit_bytes {
        return Err(Error::Output { size_bytes, limit_bytes });
    }
    let tensors = ports.iter().zip(&places).map(|(port, place)| {
        let bytes = instance.read("an output", place.offset, u64::from(place.size_bytes))?;
        let tensor = Tensor::new(place.dtype, place.shape.as_slice(), bytes);
        let tensor = tensor.map_err(|why| no_tensor(port, why.to_string()))?;
        Ok((port.name.clone(), tensor))
    });
    tensors.collect::<Result<Outputs, Error>>()
}

/// Where an output lies, and what it should be.
struct Place {
    dtype: DType,
    shape: Vec<usize>,
    offset: u32,
    size_bytes: u32,
}

impl Place {
    fn of(instance: &mut Instance, index: u32, port: &Port) -> Result<Place, Error> {
        let number = instance.call(|guest| &mut guest.output_dtype, index)?;
        let dtype = DType::from_onnx_number(number.cast_signed())
            .ok_or_else(|| no_tensor(port, format!("{number} is no element type")))?;
        let rank = instance.call(|guest| &mut guest.output_rank, index)?;
        if rank > RANK_MAX {
            return Err(no_tensor(port, format!("it has {rank} axes, at most {RANK_MAX} are read")));
        }
        let offset = instance.call(|guest| &mut guest.output_shape, index)?;
        let shape = instance.read("the shape of an output", offset, u64::from(rank).saturating_mul(4))?;
        let (dims, _) = shape.as_chunks::<4>();
        let shape = dims.iter().map(|dim| usize::try_from(u32::from_le_bytes(*dim)).unwrap_or(usize::MAX)).collect();
        let offset = instance.call(|guest| &mut guest.output_data, index)?;
        let size_bytes = instance.call(|guest| &mut guest.output_size, index)?;
        Ok(Place { dtype, shape, offset, size_bytes })
    }
}

fn no_tensor(port: &Port, reason: String) -> Error {
    GuestFault::Output { name: port.name.clone(), reason }.into()
}
