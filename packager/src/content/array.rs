//! One NumPy array file (`.npy`): every tensor type, text for labels, either byte order, either axis order.

use super::ContentError;
use npyz::{DType as NpyType, Endianness, NpyHeader, Order, TypeChar, TypeStr, WriteOptions, WriterBuilder};
use pannier_engine::{DType, Tensor};
use std::io::{self, Read, Write};

/// Longest header that is read, in bytes. NumPy writes 128; a tensor's never needs more than a few hundred.
const HEADER_BYTES: usize = 4096;

/// Most bytes of one array, so that a damaged header cannot ask for all of the memory.
pub const ARRAY_BYTES: u64 = 4 << 30;

/// What an array file holds.
#[derive(Debug, Clone, PartialEq)]
pub enum Array {
    /// Numbers.
    Tensor(Tensor),
    /// Text (`str_` or `bytes_`), in row-major order.
    Text(Vec<String>),
}

/// Reads one array. `what` names it in errors.
///
/// # Errors
/// [`ContentError::Malformed`]: not an array file, or one that ends too early. [`ContentError::TooLarge`]: it claims more
/// than [`ARRAY_BYTES`]; nothing was allocated for it. [`ContentError::ElementType`]: complex numbers, dates, objects.
pub fn read_array(what: &str, mut from: impl Read) -> Result<Array, ContentError> {
    let header = read_header(what, &mut from)?;
    let NpyType::Plain(element) = header.dtype() else {
        return Err(ContentError::ElementType { what: what.to_owned(), found: header.dtype().descr() });
    };
    let width = element_bytes(&element);
    let count = header.len();
    let size = count.checked_mul(width).filter(|size| *size <= ARRAY_BYTES);
    let size = size.ok_or_else(|| too_large(what, count.saturating_mul(width)))?;

    // Grows with what really arrives, so a header that lies costs nothing.
    let mut bytes = Vec::new();
    let read = from.take(size).read_to_end(&mut bytes).map_err(|e| ContentError::malformed(what, "npy", e))?;
    if read as u64 != size {
        return Err(ContentError::malformed(what, "npy", format!("{size} bytes of elements expected, {read} found")));
    }
    let swap_unit = match element.type_char() {
        TypeChar::UnicodeStr => 4,
        TypeChar::ByteStr | TypeChar::RawData => 1,
        _ => width,
    };
    if element.endianness() == Endianness::Big && swap_unit > 1 {
        bytes.chunks_exact_mut(swap_unit as usize).for_each(<[u8]>::reverse);
    }
    let shape = header.shape().iter().map(|d| usize::try_from(*d)).collect::<Result<Vec<_>, _>>();
    let shape = shape.map_err(|_| too_large(what, u64::MAX))?;
    if header.order() == Order::Fortran && shape.len() > 1 {
        bytes = row_major(&shape, width as usize, &bytes);
    }
    match tensor_type(&element) {
        Some(dtype) => {
            if dtype == DType::Bool && bytes.iter().any(|b| *b > 1) {
                return Err(ContentError::malformed(what, "npy", "a boolean is neither 0 nor 1"));
            }
            let tensor = Tensor::new(dtype, shape, bytes).map_err(|e| ContentError::malformed(what, "npy", e))?;
            Ok(Array::Tensor(tensor))
        }
        None => match element.type_char() {
            TypeChar::UnicodeStr => Ok(Array::Text(texts(width as usize, count, &bytes, decode_ucs4))),
            TypeChar::ByteStr => Ok(Array::Text(texts(width as usize, count, &bytes, decode_utf8))),
            _ => Err(ContentError::ElementType { what: what.to_owned(), found: element.to_string() }),
        },
    }
}

/// Writes a tensor as NumPy does. bfloat16, which NumPy has not, is written as the raw type `V2`, as its common
/// extension does.
///
/// # Errors
/// Those of the writer.
pub fn write_array(tensor: &Tensor, mut to: impl Write) -> io::Result<()> {
    let name = match tensor.dtype() {
        DType::F32 => "<f4",
        DType::F16 => "<f2",
        DType::BF16 => "<V2",
        DType::F64 => "<f8",
        DType::I8 => "|i1",
        DType::I16 => "<i2",
        DType::I32 => "<i4",
        DType::I64 => "<i8",
        DType::U8 => "|u1",
        DType::U16 => "<u2",
        DType::U32 => "<u4",
        DType::U64 => "<u8",
        DType::Bool => "|b1",
    };
    let element: TypeStr = name.parse().map_err(|e| io::Error::new(io::ErrorKind::InvalidInput, format!("{e}")))?;
    let shape: Vec<u64> = tensor.shape().iter().map(|d| *d as u64).collect();
    WriteOptions::new_header_only().dtype(NpyType::Plain(element)).shape(&shape).writer(&mut to).write_header_only()?;
    to.write_all(tensor.bytes())
}

/// Reads the header, after checking it for what the parser would trip over: it multiplies the dimensions without
/// looking and follows brackets as deep as they go.
fn read_header(what: &str, from: &mut impl Read) -> Result<NpyHeader, ContentError> {
    let malformed = |reason: &str| ContentError::malformed(what, "npy", reason);
    let mut head = vec![0; 8];
    from.read_exact(&mut head).map_err(|_| malformed("it ends within the header"))?;
    if !head.starts_with(b"\x93NUMPY") {
        return Err(malformed("it does not start with the NumPy magic"));
    }
    let length_bytes = if head[6] == 1 { 2 } else { 4 };
    let mut length = [0; 4];
    from.read_exact(&mut length[..length_bytes]).map_err(|_| malformed("it ends within the header"))?;
    head.extend_from_slice(&length[..length_bytes]);
    let length = u32::from_le_bytes(length) as usize;
    if length > HEADER_BYTES {
        return Err(malformed("its header is too long"));
    }
    let start = head.len();
    head.resize(start + length, 0);
    from.read_exact(&mut head[start..]).map_err(|_| malformed("it ends within the header"))?;

    let text = &head[start..];
    if text.iter().filter(|b| b"([{".contains(b)).count() > 8 {
        return Err(malformed("its header is not that of a plain array"));
    }
    // All numbers of the header together: dimensions and the element's width, so this bounds the size as well.
    let numbers = text.split(|b| !b.is_ascii_digit()).filter(|digits| !digits.is_empty());
    let mut size: u64 = 1;
    for digits in numbers {
        let value = std::str::from_utf8(digits).ok().and_then(|d| d.parse::<u64>().ok()).unwrap_or(u64::MAX);
        size = size.checked_mul(value.max(1)).ok_or_else(|| too_large(what, u64::MAX))?;
    }
    NpyHeader::from_reader(head.as_slice()).map_err(|e| ContentError::malformed(what, "npy", e))
}

fn too_large(what: &str, size: u64) -> ContentError {
    ContentError::TooLarge { what: what.to_owned(), size, limit: ARRAY_BYTES, unit: "bytes" }
}

/// Bytes of one element; a unicode string's size counts characters of four bytes.
fn element_bytes(element: &TypeStr) -> u64 {
    match element.type_char() {
        TypeChar::UnicodeStr => element.size_field().saturating_mul(4),
        _ => element.size_field(),
    }
}

fn tensor_type(element: &TypeStr) -> Option<DType> {
    Some(match (element.type_char(), element.size_field()) {
        (TypeChar::Float, 2) => DType::F16,
        (TypeChar::Float, 4) => DType::F32,
        (TypeChar::Float, 8) => DType::F64,
        (TypeChar::Int, 1) => DType::I8,
        (TypeChar::Int, 2) => DType::I16,
        (TypeChar::Int, 4) => DType::I32,
        (TypeChar::Int, 8) => DType::I64,
        (TypeChar::Uint, 1) => DType::U8,
        (TypeChar::Uint, 2) => DType::U16,
        (TypeChar::Uint, 4) => DType::U32,
        (TypeChar::Uint, 8) => DType::U64,
        (TypeChar::Bool, 1) => DType::Bool,
        (TypeChar::RawData, 2) => DType::BF16,
        _ => return None,
    })
}

/// Brings elements whose first axis runs fastest into row-major order.
fn row_major(shape: &[usize], width: usize, bytes: &[u8]) -> Vec<u8> {
    let mut sorted = Vec::with_capacity(bytes.len());
    let mut strides = Vec::with_capacity(shape.len());
    let mut stride = width;
    for dim in shape {
        strides.push(stride);
        stride *= dim;
    }
    let mut index = vec![0; shape.len()];
    while sorted.len() < bytes.len() {
        let offset: usize = index.iter().zip(&strides).map(|(i, s)| i * s).sum();
        sorted.extend_from_slice(&bytes[offset..offset + width]);
        for (i, dim) in index.iter_mut().zip(shape).rev() {
            *i += 1;
            if *i < *dim {
                break;
            }
            *i = 0;
        }
    }
    sorted
}

fn texts(width: usize, count: u64, bytes: &[u8], decode: fn(&[u8]) -> String) -> Vec<String> {
    if width == 0 {
        return vec![String::new(); usize::try_from(count.min(1)).unwrap_or(0)];
    }
    bytes.chunks_exact(width).map(decode).collect()
}

fn decode_ucs4(bytes: &[u8]) -> String {
    let points = bytes.chunks_exact(4).map(|c| u32::from_le_bytes([c[0], c[1], c[2], c[3]]));
    let text: String = points.map(|point| char::from_u32(point).unwrap_or(char::REPLACEMENT_CHARACTER)).collect();
    text.trim_end_matches('\0').to_owned()
}

fn decode_utf8(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).trim_end_matches('\0').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use pannier_bundle::Code;

    fn npy(header: &str, data: &[u8]) -> Vec<u8> {
        let mut file = b"\x93NUMPY\x01\x00".to_vec();
        file.extend_from_slice(&(header.len() as u16).to_le_bytes());
        file.extend_from_slice(header.as_bytes());
        file.extend_from_slice(data);
        file
    }

    #[test]
    fn every_type_survives_writing_and_reading() {
        for dtype in DType::ALL {
            let bytes = if *dtype == DType::Bool {
                vec![1, 0, 1, 1, 0, 0]
            } else {
                (0..6 * dtype.size_bytes()).map(|b| b as u8).collect()
            };
            let tensor = Tensor::new(*dtype, vec![2, 3], bytes).unwrap();
            let mut file = Vec::new();
            write_array(&tensor, &mut file).unwrap();
            assert_eq!(file.len() % 64, tensor.bytes().len() % 64, "{dtype:?}: NumPy aligns the data to 64 bytes");
            assert_eq!(read_array("x", file.as_slice()).unwrap(), Array::Tensor(tensor), "{dtype:?}");
        }
    }

    #[test]
    fn byte_order_and_axis_order_are_brought_to_ours() {
        let big = npy("{'descr': '>i2', 'fortran_order': False, 'shape': (2,), }\n", &[1, 2, 3, 4]);
        let expected = Tensor::from_slice([2], &[0x0102i16, 0x0304]).unwrap();
        assert_eq!(read_array("x", &big[..]).unwrap(), Array::Tensor(expected));
        let columns = npy("{'descr': '|u1', 'fortran_order': True, 'shape': (2, 3), }\n", &[1, 4, 2, 5, 3, 6]);
        let expected = Tensor::from_slice([2, 3], &[1u8, 2, 3, 4, 5, 6]).unwrap();
        assert_eq!(read_array("x", &columns[..]).unwrap(), Array::Tensor(expected));
    }

    #[test]
    fn labels_are_text_of_either_kind() {
        let wide: Vec<u8> = "né\0".chars().flat_map(|c| (c as u32).to_le_bytes()).collect();
        let file = npy("{'descr': '<U3', 'fortran_order': False, 'shape': (), }\n", &wide);
        assert_eq!(read_array("x", &file[..]).unwrap(), Array::Text(vec!["né".into()]));
        let file = npy("{'descr': '|S4', 'fortran_order': False, 'shape': (1,), }\n", b"180\0");
        assert_eq!(read_array("x", &file[..]).unwrap(), Array::Text(vec!["180".into()]));
        let file = npy("{'descr': '<U0', 'fortran_order': False, 'shape': (), }\n", b"");
        assert_eq!(read_array("x", &file[..]).unwrap(), Array::Text(vec![String::new()]));
    }

    #[test]
    fn hostile_headers_are_refused_without_allocating() {
        let deep = format!("{}{}", "(".repeat(2000), ")".repeat(2000));
        let cases: &[(&str, Vec<u8>, Code)] = &[
            ("empty", vec![], Code::InvalidContent),
            ("no magic", b"hello, world".to_vec(), Code::InvalidContent),
            ("header of 4 GB", b"\x93NUMPY\x02\x00\xff\xff\xff\xff".to_vec(), Code::InvalidContent),
            ("deep brackets", npy(&deep, b""), Code::InvalidContent),
            (
                "product overflows",
                npy("{'descr': '<f4', 'fortran_order': False, 'shape': (4294967296, 4294967296, 8), }\n", b""),
                Code::Limit,
            ),
            (
                "a dimension of 2^80",
                npy("{'descr': '<f4', 'fortran_order': False, 'shape': (1208925819614629174706176,), }\n", b""),
                Code::Limit,
            ),
            (
                "too large",
                npy("{'descr': '<f4', 'fortran_order': False, 'shape': (4294967296,), }\n", b""),
                Code::Limit,
            ),
            (
                "too short",
                npy("{'descr': '<f4', 'fortran_order': False, 'shape': (1000000,), }\n", b"1234"),
                Code::InvalidContent,
            ),
            (
                "objects",
                npy("{'descr': '|O', 'fortran_order': False, 'shape': (1,), }\n", b"1234"),
                Code::InvalidContent,
            ),
            (
                "complex",
                npy("{'descr': '<c8', 'fortran_order': False, 'shape': (1,), }\n", b"12345678"),
                Code::InvalidContent,
            ),
            (
                "boolean of 7",
                npy("{'descr': '|b1', 'fortran_order': False, 'shape': (1,), }\n", b"\x07"),
                Code::InvalidContent,
            ),
            (
                "records",
                npy("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,), }\n", b"1234"),
                Code::InvalidContent,
            ),
        ];
        for (name, file, code) in cases {
            let error = read_array("x", file.as_slice()).unwrap_err();
            assert_eq!(error.code(), *code, "{name}: {error}");
        }
    }
}
