//! Files as sources.

use std::fs::File;
use std::path::Path;
use std::string::{String, ToString};

use super::{Source, ends_early};
use crate::error::Error;

/// A file that is read at any place, by several threads at a time.
///
/// Reads are positioned reads into the caller's memory rather than a memory map: under a map the bytes could change
/// between the check and the use, and a file that shrinks would stop the process with a signal.
#[derive(Debug)]
pub struct FileSource {
    #[cfg(unix)]
    file: File,
    #[cfg(not(unix))]
    file: std::sync::Mutex<File>,
    size_bytes: u64,
    name: String,
}

impl FileSource {
    /// Opens the file at `path` for reading.
    ///
    /// # Errors
    /// [`Error::Read`]: the file does not exist, cannot be read or is a directory.
    pub fn open(path: impl AsRef<Path>) -> Result<FileSource, Error> {
        let path = path.as_ref();
        let name = path.display().to_string();
        let failed = |cause: String| Error::Read { what: name.clone(), cause };
        let file = File::open(path).map_err(|error| failed(error.to_string()))?;
        let metadata = file.metadata().map_err(|error| failed(error.to_string()))?;
        if metadata.is_dir() {
            return Err(failed("it is a directory".to_string()));
        }
        let size_bytes = metadata.len();
        #[cfg(not(unix))]
        let file = std::sync::Mutex::new(file);
        Ok(FileSource { file, size_bytes, name })
    }

    #[cfg(unix)]
    fn read_exact_at(&self, offset: u64, into: &mut [u8]) -> std::io::Result<()> {
        std::os::unix::fs::FileExt::read_exact_at(&self.file, into, offset)
    }

    #[cfg(not(unix))]
    fn read_exact_at(&self, offset: u64, into: &mut [u8]) -> std::io::Result<()> {
        use std::io::{Read, Seek, SeekFrom};
        let mut file = self.file.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        file.seek(SeekFrom::Start(offset))?;
        file.read_exact(into)
    }
}

impl Source for FileSource {
    fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> Result<(), Error> {
        self.read_exact_at(offset, into).map_err(|error| match error.kind() {
            std::io::ErrorKind::UnexpectedEof => ends_early(offset, into.len(), self.size_bytes),
            _ => Error::Read { what: self.name.clone(), cause: error.to_string() },
        })
    }
}
