//! NumPy archives (`.npz`): a zip of arrays.

use super::ContentError;
use super::array::{Array, read_array, write_array};
use npyz::npz::{array_name_from_file_name, file_name_from_array_name};
use npyz::zip;
use pannier_engine::Tensor;
use std::io::{self, Read, Seek, Write};

/// Most arrays of one archive.
pub const ARRAYS: usize = 1 << 20;

/// Something an archive can be read from.
pub trait Stream: Read + Seek + Send {}
impl<T: Read + Seek + Send> Stream for T {}

/// An archive whose arrays are read one at a time.
pub struct Npz {
    what: String,
    zip: zip::ZipArchive<Box<dyn Stream>>,
}

impl Npz {
    /// Reads the directory. `what` names the file in errors.
    ///
    /// # Errors
    /// [`ContentError::Malformed`]: not a zip file. [`ContentError::TooLarge`]: more than `ARRAYS` entries.
    pub fn open(what: &str, from: Box<dyn Stream>) -> Result<Npz, ContentError> {
        let zip = zip::ZipArchive::new(from).map_err(|e| ContentError::malformed(what, "npz", e))?;
        if zip.len() > ARRAYS {
            let (size, limit) = (zip.len() as u64, ARRAYS as u64);
            return Err(ContentError::TooLarge { what: what.to_owned(), size, limit, unit: "arrays" });
        }
        Ok(Npz { what: what.to_owned(), zip })
    }

    /// Names of the arrays, sorted.
    pub fn names(&self) -> Vec<String> {
        let mut names: Vec<String> =
            self.zip.file_names().filter_map(array_name_from_file_name).map(str::to_owned).collect();
        names.sort();
        names
    }

    /// Reads one array.
    ///
    /// # Errors
    /// Those of [`read_array`]; [`ContentError::Malformed`] if the entry is missing or damaged.
    pub fn read(&mut self, name: &str) -> Result<Array, ContentError> {
        let what = format!("{}: array `{name}`", self.what);
        let entry = self.zip.by_name(&file_name_from_array_name(name));
        read_array(&what, entry.map_err(|e| ContentError::malformed(&what, "npz", e))?)
    }
}

/// Writes an archive. The same arrays give the same bytes: entries carry no time.
///
/// # Errors
/// Those of the writer.
pub fn write_npz<'a>(to: impl Write + Seek, arrays: impl IntoIterator<Item = (&'a str, &'a Tensor)>) -> io::Result<()> {
    let options = zip::write::FileOptions::default()
        .compression_method(zip::CompressionMethod::Deflated)
        .last_modified_time(zip::DateTime::default())
        .unix_permissions(0o644);
    let mut writer = zip::ZipWriter::new(to);
    for (name, tensor) in arrays {
        let large = tensor.bytes().len() as u64 > u64::from(u32::MAX / 2);
        writer.start_file(file_name_from_array_name(name), options.large_file(large))?;
        write_array(tensor, &mut writer)?;
    }
    writer.finish()?.flush()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    fn sample() -> Vec<u8> {
        let first = Tensor::from_slice([2], &[1.5f32, -2.0]).unwrap();
        let second = Tensor::from_slice([1, 3], &[1i64, 2, 3]).unwrap();
        let mut file = Cursor::new(Vec::new());
        write_npz(&mut file, [("000/out/scale_0/tmp.1", &first), ("b", &second)]).unwrap();
        file.into_inner()
    }

    #[test]
    fn arrays_survive_and_the_bytes_repeat() {
        let file = sample();
        assert_eq!(file, sample());
        let mut npz = Npz::open("t", Box::new(Cursor::new(file))).unwrap();
        assert_eq!(npz.names(), ["000/out/scale_0/tmp.1", "b"]);
        let Array::Tensor(tensor) = npz.read("b").unwrap() else { panic!("a tensor went in") };
        assert_eq!(tensor.as_slice::<i64>(), Some(&[1, 2, 3][..]));
        assert!(npz.read("c").is_err());
    }

    /// Neither a cut nor a flipped byte may panic: the zip reader sees them first.
    #[test]
    fn damage_is_an_error_or_harmless_but_never_a_panic() {
        let file = sample();
        let read_all = |bytes: Vec<u8>| {
            let Ok(mut npz) = Npz::open("t", Box::new(Cursor::new(bytes))) else { return };
            for name in npz.names() {
                let _ = npz.read(&name);
            }
        };
        (0..file.len()).for_each(|length| read_all(file[..length].to_vec()));
        for position in 0..file.len() {
            for value in [0, 1, 0x7f, 0x80, 0xff] {
                let mut damaged = file.clone();
                damaged[position] = value;
                read_all(damaged);
            }
        }
    }
}
