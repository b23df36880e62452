//! The weights of a program while plans are made of it: each in one form, as it was stored or as a kernel reads it.
//!
//! Plans for other shapes need the same weights again. Where a packed form can be turned back, it takes the stored one's
//! place; so a program whose shapes change holds its weights once, however many plans are made.

use crate::fused::BytePacking;
use crate::ir::{Constant, Ir};
use crate::order::sorted;
use crate::view::{Failure, floats, floats_mut};
use pannier_engine::Program;
use pannier_graph::{AlignedBytes, Attribute, Body, Span, Weight};
use pannier_kernels::{Order, Packing, Storage, StoredPacking};
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};

/// What bytes a constant has, for as long as a program lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Identity {
    /// Those of a weight.
    Stored(Span),
    /// Computed ones: a hash of them, and how many.
    Computed(u64, usize),
}

impl Identity {
    pub(crate) fn computed(bytes: &[u8]) -> Identity {
        let mut hasher = DefaultHasher::new();
        hasher.write(bytes);
        Identity::Computed(hasher.finish(), bytes.len())
    }
}

/// What decides the bytes of a packed constant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct PackedKey {
    pub(crate) packing: Packing,
    /// How the weights stay as they are stored; `None` if they are numbers.
    pub(crate) storage: Option<Storage>,
    pub(crate) weights: Identity,
    pub(crate) bias: Option<Identity>,
}

/// Whether there is a way back from packed weights that stay as they are stored. The WebAssembly module is downloaded: it has no room for
/// that, and keeps such weights in both orders where they are needed again for other shapes.
const REVERSES_STORED: bool = !cfg!(target_family = "wasm");

/// How weights were packed.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Form {
    Floats(Packing),
    Bytes(BytePacking),
    /// With the order and the bytes of the codes that were stored.
    Stored(StoredPacking, Order, usize),
}

impl Form {
    fn is_reversible(&self) -> bool {
        match self {
            Form::Floats(packing) => packing.is_reversible(),
            Form::Bytes(_) => true,
            Form::Stored(..) => REVERSES_STORED,
        }
    }

    /// Bytes of the weights as they were stored.
    fn size_bytes(&self) -> usize {
        match self {
            Form::Floats(packing) => packing.weights_len().saturating_mul(4),
            Form::Bytes(packing) => packing.weights_len(),
            Form::Stored(.., size_bytes) => *size_bytes,
        }
    }

    fn unpack(&self, packed: &AlignedBytes, stored: &mut AlignedBytes) -> Result<(), Failure> {
        match self {
            Form::Floats(packing) => {
                packing.unpack(floats(packed)?, floats_mut(stored.as_bytes_mut())?).map_err(|error| error.to_string())
            }
            Form::Bytes(packing) => packing.unpack(bytemuck::cast_slice(packed), stored.as_bytes_mut()),
            Form::Stored(..) if !REVERSES_STORED => Err("the packing is not reversible".into()),
            Form::Stored(packing, order, _) => {
                packing.unpack(packed, *order, stored.as_bytes_mut()).map_err(|error| error.to_string())
            }
        }
    }
}

/// Packed weights that stand for the stored ones, and those once somebody asked for them.
#[derive(Debug)]
pub(crate) struct Turned {
    form: Form,
    packed: Arc<AlignedBytes>,
    stored: OnceLock<AlignedBytes>,
}

impl Turned {
    /// The bytes as they were stored; none where there is no memory for them.
    pub(crate) fn bytes(&self) -> &[u8] {
        self.stored.get_or_init(|| {
            let Some(mut bytes) = AlignedBytes::try_zeroed(self.len()) else { return AlignedBytes::default() };
            if self.form.unpack(&self.packed, &mut bytes).is_ok() { bytes } else { AlignedBytes::default() }
        })
    }

    pub(crate) fn len(&self) -> usize {
        self.form.size_bytes()
    }
}

/// The form in which a weight is kept.
enum Slot {
    Stored(Arc<AlignedBytes>, Range<usize>),
    Packed(Box<Form>, Arc<AlignedBytes>),
    /// A plan has it, and there will be no other plan.
    Gone,
}

/// All weights of a program.
pub(crate) struct Weights {
    /// Whether plans for other shapes may follow.
    more_plans: bool,
    slots: Mutex<HashMap<Span, Slot>>,
    /// What plans that are kept have packed.
    packed: Mutex<HashMap<PackedKey, Weak<AlignedBytes>>>,
}

impl Weights {
    /// The weights of a program that others keep as well.
    pub(crate) fn of(program: &Program, more_plans: bool) -> Weights {
        let mut slots = HashMap::new();
        for span in spans(&program.graph.body) {
            if let Some((section, range)) = stored(&program.sections, &span) {
                slots.insert(span, Slot::Stored(section.clone(), range));
            }
        }
        Weights { more_plans, slots: Mutex::new(slots), packed: Mutex::default() }
    }

    /// The weights of a program that nobody else needs: each gets memory of its own, to be given back as soon as it is
    /// packed, and the sections shrink as they are emptied.
    pub(crate) fn take(mut program: Program, more_plans: bool) -> Weights {
        // From the ends of the sections to their starts.
        let order = spans(&program.graph.body);
        let end = |span: &Span| (span.section, span.offset.saturating_add(span.size_bytes));
        let mut order: Vec<Span> = sorted(order.len(), &|a, b| end(&order[a]).cmp(&end(&order[b])))
            .into_iter()
            .map(|index| order[index])
            .collect();
        order.dedup();
        let mut slots = HashMap::new();
        while let Some(span) = order.pop() {
            let Some((section, range)) = stored(&program.sections, &span) else { continue };
            let Some(bytes) = section.get(range).and_then(AlignedBytes::lasting_copy) else { continue };
            let len = bytes.len();
            slots.insert(span, Slot::Stored(Arc::new(bytes), 0..len));
            // Nothing that is left ends behind this.
            let end = order.last().filter(|next| next.section == span.section);
            let end = end.map_or(0, |next| next.offset.saturating_add(next.size_bytes));
            let index = usize::try_from(span.section).unwrap_or(usize::MAX);
            if let Some(section) = program.sections.get_mut(index).and_then(Arc::get_mut) {
                section.truncate(usize::try_from(end).unwrap_or(usize::MAX));
            }
        }
        Weights { more_plans, slots: Mutex::new(slots), packed: Mutex::default() }
    }

    /// Whether plans for other shapes may follow.
    pub(crate) fn more_plans(&self) -> bool {
        self.more_plans
    }

    pub(crate) fn expect_more_plans(&mut self) {
        self.more_plans = true;
    }

    /// The bytes of a weight, as they were stored.
    pub(crate) fn constant(&self, span: &Span) -> Option<Constant> {
        match self.slots().get(span)? {
            Slot::Stored(bytes, range) => Constant::stored(bytes.clone(), range.clone(), *span),
            Slot::Packed(form, packed) => {
                let turned = Turned { form: **form, packed: packed.clone(), stored: OnceLock::new() };
                Some(Constant::turned(Arc::new(turned), *span))
            }
            Slot::Gone => None,
        }
    }

    /// What was packed before, or what `pack` makes now.
    ///
    /// # Errors
    /// Those of `pack`.
    pub(crate) fn packed<E>(
        &self,
        key: PackedKey,
        pack: impl FnOnce() -> Result<AlignedBytes, E>,
    ) -> Result<Arc<AlignedBytes>, E> {
        if let Some(found) = self.shared().get(&key).and_then(Weak::upgrade) {
            return Ok(found);
        }
        let made = Arc::new(pack()?);
        let mut shared = self.shared();
        // Another thread may have been faster.
        if let Some(found) = shared.get(&key).and_then(Weak::upgrade) {
            return Ok(found);
        }
        shared.retain(|_, packed| packed.strong_count() > 0);
        shared.insert(key, Arc::downgrade(&made));
        Ok(made)
    }

    /// Says that the plan that is being made reads a weight in this form and in no other.
    pub(crate) fn replace(&self, span: Span, form: Form, packed: &Arc<AlignedBytes>) {
        let mut slots = self.slots();
        let Some(slot @ Slot::Stored(..)) = slots.get_mut(&span) else { return };
        if !self.more_plans {
            *slot = Slot::Gone;
        } else if form.is_reversible() {
            *slot = Slot::Packed(Box::new(form), packed.clone());
        }
    }

    /// Says that the plan that is being made has numbers of its own of what is stored there.
    pub(crate) fn widened(&self, span: Span) {
        if !self.more_plans {
            self.slots().insert(span, Slot::Gone);
        }
    }

    /// Lets go of sections of which little is still read as it was stored, here and in a program that is ready to run.
    pub(crate) fn settle(&self, ir: &mut Ir) {
        self.leave_sections();
        for constant in ir.values.iter_mut().filter_map(|value| value.constant.as_mut()) {
            let settled = constant.span().and_then(|span| self.constant(&span));
            if let Some(settled) = settled.filter(|settled| !settled.is_turned()) {
                *constant = settled;
            }
        }
    }

    /// What is left of a section goes into memory of its own, where that is less than half.
    fn leave_sections(&self) {
        let mut slots = self.slots();
        let mut kept: HashMap<*const AlignedBytes, usize> = HashMap::new();
        for slot in slots.values() {
            if let Slot::Stored(section, range) = slot {
                *kept.entry(Arc::as_ptr(section)).or_default() += range.len();
            }
        }
        for slot in slots.values_mut() {
            let Slot::Stored(section, range) = slot else { continue };
            let kept_bytes = kept.get(&Arc::as_ptr(section)).copied().unwrap_or(0);
            if kept_bytes < section.len() / 2
                && let Some(bytes) = section.get(range.clone()).and_then(AlignedBytes::lasting_copy)
            {
                *slot = Slot::Stored(Arc::new(bytes), 0..range.len());
            }
        }
    }

    /// The allocations that are held, each once, by address.
    pub(crate) fn allocations(&self) -> HashMap<*const AlignedBytes, usize> {
        let slots = self.slots();
        let held = slots.values().filter_map(|slot| match slot {
            Slot::Stored(bytes, _) | Slot::Packed(_, bytes) => Some((Arc::as_ptr(bytes), bytes.len())),
            Slot::Gone => None,
        });
        held.collect()
    }

    fn slots(&self) -> MutexGuard<'_, HashMap<Span, Slot>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn shared(&self) -> MutexGuard<'_, HashMap<PackedKey, Weak<AlignedBytes>>> {
        self.packed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The spans of all weights, nested ones too.
fn spans(body: &Body) -> Vec<Span> {
    let mut spans: Vec<Span> = body.weights.iter().flat_map(Weight::spans).copied().collect();
    for (_, attribute) in body.nodes.iter().flat_map(|node| &node.attributes) {
        if let Attribute::Body(inner) = attribute {
            spans.extend(self::spans(inner));
        }
    }
    spans
}

fn stored<'a>(sections: &'a [Arc<AlignedBytes>], span: &Span) -> Option<(&'a Arc<AlignedBytes>, Range<usize>)> {
    let section = sections.get(usize::try_from(span.section).ok()?)?;
    let start = usize::try_from(span.offset).ok()?;
    let range = start..start.checked_add(usize::try_from(span.size_bytes).ok()?)?;
    section.get(range.clone())?;
    Some((section, range))
}
