//! The choice of an instruction set, made once.

use crate::byte_table::{self, ByteTable};
use crate::dot::Dot;
use crate::isa::Isa;
use crate::table::{Table, table};
use core::fmt;

/// Kernels for one instruction set. Copy it freely: it is a pointer to a table of functions.
#[derive(Clone, Copy)]
pub struct Kernels {
    pub(crate) table: &'static Table,
    /// For 8-bit integers.
    pub(crate) bytes: &'static ByteTable,
}

impl Kernels {
    /// The fastest kernels for this machine. Results differ in the last bits from one instruction set to another.
    pub fn best() -> Self {
        Self { table: table(Isa::best(), false), bytes: byte_table::table(Dot::best()) }
    }

    /// Kernels that give the same bits on every machine: products are rounded before they are added, every output is one
    /// chain of sums, sums along rows have one fixed shape. Only the bits of a NaN may differ ([`crate::Activation::CanonicalNan`]).
    pub fn deterministic() -> Self {
        Self { table: table(Isa::best(), true), bytes: byte_table::table(Dot::best()) }
    }

    /// Kernels for one instruction set, if this machine has it. Products of 8-bit integers, whose results are the same everywhere,
    /// are the fastest that there are.
    pub fn for_isa(isa: Isa, deterministic: bool) -> Option<Self> {
        isa.is_available().then(|| Self { table: table(isa, deterministic), ..Self::best() })
    }

    /// The same, but with another way to multiply 8-bit integers, if this machine has it.
    pub fn with_dot(self, dot: Dot) -> Option<Self> {
        dot.is_available().then(|| Self { bytes: byte_table::table(dot), ..self })
    }

    /// How 8-bit integers are multiplied.
    pub fn dot(&self) -> Dot {
        self.bytes.dot
    }

    /// The instruction set.
    pub fn isa(&self) -> Isa {
        self.table.isa
    }

    /// Whether results have the same bits on every machine.
    pub fn is_deterministic(&self) -> bool {
        self.table.deterministic
    }

    /// Floats in a vector. Channel counts that are multiples of it waste nothing.
    pub fn lanes(&self) -> usize {
        self.table.lanes
    }
}

impl fmt::Debug for Kernels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kernels").field("isa", &self.isa()).field("deterministic", &self.is_deterministic()).finish()
    }
}
