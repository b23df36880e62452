//! A host: the plain ABI with Rust's types around it.

use pannier_guest::abi;

/// ONNX's number for float32.
pub const F32: u32 = 1;

/// The guest of this thread.
pub struct Host(());

/// What a host says of an input.
#[derive(Clone, Copy)]
pub struct Input {
    pub index: u32,
    pub shape: &'static [u32],
    pub dtype: u32,
    pub size: usize,
}

impl Input {
    /// One that `TWICE` takes.
    pub const GOOD: Input = Input { index: 0, shape: &[1, 2], dtype: F32, size: 8 };
}

/// Which of the two calls for an input was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoPlace {
    Shape,
    Data,
}

/// Element type, shape and numbers of an output.
pub type Output = (u32, Vec<u32>, Vec<f32>);

impl Host {
    pub fn new() -> Host {
        assert_eq!(abi::pannier_abi(), 1);
        Host(())
    }

    /// A host with this unsigned bundle loaded.
    pub fn with(bundle: &[u8]) -> Host {
        let host = Host::new();
        assert_eq!(host.load(bundle, "", 1, 0), Ok(()), "{}", host.text());
        host
    }

    /// Loads with `flags`; the error is its code.
    pub fn load(&self, bundle: &[u8], trust: &str, flags: u32, memory_bytes: u64) -> Result<(), String> {
        let (bundle_at, trust_at) = (self.put(bundle), self.put(trust.as_bytes()));
        let status = abi::pannier_load(bundle_at, bundle.len(), trust_at, trust.len(), flags, 0, memory_bytes);
        self.free(trust_at);
        self.outcome(status)
    }

    /// Loads whatever is there.
    pub fn load_at(&self, bundle: *mut u8, size: usize) -> Result<(), String> {
        self.outcome(abi::pannier_load(bundle, size, std::ptr::null(), 0, 1, 0, 0))
    }

    pub fn describe(&self) -> serde_json::Value {
        self.try_describe().unwrap();
        serde_json::from_str(&self.text()).unwrap()
    }

    pub fn try_describe(&self) -> Result<(), String> {
        self.outcome(abi::pannier_describe())
    }

    pub fn run(&self) -> Result<(), String> {
        self.outcome(abi::pannier_run())
    }

    pub fn step(&self) -> Result<(), String> {
        self.outcome(abi::pannier_step())
    }

    pub fn reset(&self) {
        abi::pannier_reset();
    }

    /// Gives a tensor of float32.
    pub fn give(&self, index: u32, shape: &[u32], values: &[f32]) -> Result<(), NoPlace> {
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        let place = self.place_with(index, shape, F32, bytes.len())?;
        // SAFETY: the guest gave this address for so many bytes.
        unsafe { place.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
        Ok(())
    }

    pub fn place(&self, input: &Input) -> Result<*mut u8, NoPlace> {
        self.place_with(input.index, input.shape, input.dtype, input.size)
    }

    fn place_with(&self, index: u32, shape: &[u32], dtype: u32, size: usize) -> Result<*mut u8, NoPlace> {
        let rank = u32::try_from(shape.len()).unwrap();
        let place = abi::pannier_input_shape(index, rank);
        if place.is_null() {
            return Err(NoPlace::Shape);
        }
        // SAFETY: the guest gave this address for so many numbers.
        unsafe { place.copy_from_nonoverlapping(shape.as_ptr(), shape.len()) };
        let place = abi::pannier_input_data(index, dtype, size);
        if place.is_null() { Err(NoPlace::Data) } else { Ok(place) }
    }

    pub fn outputs(&self) -> Vec<Output> {
        let number = |bytes: &[u8]| u32::from_le_bytes(bytes.try_into().unwrap());
        let output = |index| {
            let rank = usize::try_from(abi::pannier_output_rank(index)).unwrap();
            let shape = self.read(abi::pannier_output_shape(index).cast(), rank * 4);
            let data = self.read(abi::pannier_output_data(index), abi::pannier_output_size(index));
            let numbers = data.chunks(4).map(|bytes| f32::from_bits(number(bytes))).collect();
            (abi::pannier_output_dtype(index), shape.chunks(4).map(number).collect(), numbers)
        };
        (0..abi::pannier_outputs()).map(output).collect()
    }

    pub fn output_is_absent(&self, index: u32) -> bool {
        abi::pannier_output_dtype(index) == 0
            && abi::pannier_output_rank(index) == 0
            && abi::pannier_output_shape(index).is_null()
            && abi::pannier_output_data(index).is_null()
            && abi::pannier_output_size(index) == 0
    }

    pub fn text(&self) -> String {
        String::from_utf8(self.read(abi::pannier_text(), abi::pannier_text_size())).unwrap()
    }

    /// The code of the error that the last call left.
    pub fn code(&self) -> String {
        let error: serde_json::Value = serde_json::from_str(&self.text()).unwrap();
        error["code"].as_str().unwrap().to_owned()
    }

    /// A buffer with these bytes.
    pub fn put(&self, bytes: &[u8]) -> *mut u8 {
        let buffer = self.allocate(bytes.len());
        // SAFETY: the guest gave this address for so many bytes.
        unsafe { buffer.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
        buffer
    }

    pub fn allocate(&self, size: usize) -> *mut u8 {
        self.try_allocate(size).unwrap()
    }

    pub fn try_allocate(&self, size: usize) -> Option<*mut u8> {
        let buffer = abi::pannier_alloc(size);
        (!buffer.is_null()).then_some(buffer)
    }

    pub fn free(&self, buffer: *mut u8) {
        abi::pannier_free(buffer);
    }

    /// A copy of what lies at a place that the guest gave.
    pub fn read(&self, start: *const u8, size: usize) -> Vec<u8> {
        // SAFETY: callers pass what the guest said.
        unsafe { std::slice::from_raw_parts(start, size) }.to_vec()
    }

    fn outcome(&self, status: u32) -> Result<(), String> {
        if status == 0 { Ok(()) } else { Err(self.code()) }
    }
}
