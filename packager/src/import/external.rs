//! Data that a model keeps in files beside it.

use super::error::{ExternalWhy, Why};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Component, Path, PathBuf};
use tract_onnx::pb::StringStringEntryProto;

/// Reads the `expected` bytes of a tensor that `entries` locate.
///
/// # Errors
/// [`Why::External`] if the location leaves the folder, by its path or through a symbolic link, or the file is too
/// short; [`Why::DataSize`] if the stated length is not what the shape needs.
pub(super) fn read(entries: &[StringStringEntryProto], expected: u64, folder: Option<&Path>) -> Result<Vec<u8>, Why> {
    let field = |key: &str| entries.iter().find(|entry| entry.key == key).map(|entry| entry.value.as_str());
    let location = field("location").filter(|location| !location.is_empty());
    let location = location.ok_or(Why::External(ExternalWhy::Key("location")))?;
    let offset = number("offset", field("offset"))?.unwrap_or(0);
    let found = number("length", field("length"))?.unwrap_or(expected);
    if found != expected {
        return Err(Why::DataSize { expected, found });
    }
    let folder = folder.ok_or(Why::External(ExternalWhy::NoFolder))?;
    let unreadable = |error: std::io::Error| {
        Why::External(ExternalWhy::Read { location: location.to_owned(), reason: crate::error::reason(&error) })
    };
    let path = resolve(folder, location).map_err(unreadable)?;
    let path = path.ok_or_else(|| Why::External(ExternalWhy::Escape(location.to_owned())))?;
    // Looked at before it is opened: opening a pipe would wait for its writer.
    let metadata = std::fs::metadata(&path).map_err(unreadable)?;
    if !metadata.is_file() {
        return Err(unreadable(std::io::Error::other("it is not a file")));
    }
    let mut file = File::open(&path).map_err(unreadable)?;
    let (found, needed) = (metadata.len(), offset.saturating_add(expected));
    if needed > found {
        return Err(Why::External(ExternalWhy::TooShort { location: location.to_owned(), found, needed }));
    }
    let mut bytes = vec![0; usize::try_from(expected).map_err(|_| Why::Shape)?];
    file.seek(SeekFrom::Start(offset)).and_then(|_| file.read_exact(&mut bytes)).map_err(unreadable)?;
    Ok(bytes)
}

/// The file at a location within a folder; `None` if it lies outside.
fn resolve(folder: &Path, location: &str) -> std::io::Result<Option<PathBuf>> {
    let relative = Path::new(location);
    let inside = relative.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
    if !inside {
        return Ok(None);
    }
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder }.canonicalize()?;
    let path = folder.join(relative).canonicalize()?;
    Ok(path.starts_with(&folder).then_some(path))
}

fn number(key: &'static str, text: Option<&str>) -> Result<Option<u64>, Why> {
    text.map(str::parse).transpose().map_err(|_| Why::External(ExternalWhy::Key(key)))
}
