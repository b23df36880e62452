//! A file as the runs that it asks for: one, or a case after the other.

use super::bytes::{BLOCK_BYTES, Ends, window};
use super::{Array, Case, CaseFile, ContentError, Sound, numbers, picture, read_array};
use pannier_bundle::manifest::{ByteWindow, Content, ImageAxes, ImageLayout, Manifest, Port};
use pannier_engine::Tensor;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

/// The path that means standard input.
pub const STDIN: &str = "-";

/// Most bytes of a file that is read whole (a picture, a sound, standard input).
const FILE_BYTES: u64 = 2 << 30;

/// A file as the runs that it asks for.
pub struct Feed {
    runs: Runs,
    scale: (f64, f64),
}

enum Runs {
    Cases(Box<CaseFile>),
    One(Case),
    Frames { port: Port, sound: Sound, shape: Vec<usize> },
}

impl Feed {
    /// Reads a file for a model: `.npy` and `.npz` as cases, any other as the model's input describes it.
    ///
    /// A model of file contents also takes an archive whose arrays are not its inputs: as a file like any other.
    ///
    /// # Errors
    /// [`ContentError::Read`]; those of the kind of file; [`ContentError::NoSuchContent`] if no input takes such a file.
    pub fn open(path: &Path, manifest: &Manifest) -> Result<Feed, ContentError> {
        let file = Opened::open(path)?;
        let takes_bytes = manifest.inputs.iter().any(|port| matches!(port.content, Content::Bytes(_)));
        if file.is_array() {
            match file.cases(manifest) {
                Ok(cases) => return Ok(Feed { runs: Runs::Cases(Box::new(cases)), scale: (1.0, 1.0) }),
                Err(error) if !takes_bytes => return Err(error),
                Err(_) => {}
            }
        }
        let mut wanted = manifest.inputs.iter().filter(|port| !matches!(port.content, Content::State { .. }));
        match (wanted.next(), wanted.next()) {
            (Some(port), None) => Self::from_file(file, port),
            _ => Err(no_such_content(&file.what, &manifest.inputs)),
        }
    }

    /// Reads one file for each of these inputs: together they are one case.
    ///
    /// # Errors
    /// As [`Feed::open`]; [`ContentError::ArrayName`] if there is no such input.
    pub fn open_named(files: &[(&str, &Path)], manifest: &Manifest) -> Result<Feed, ContentError> {
        let mut case = Case::default();
        for (name, path) in files {
            let Some(port) = manifest.input(name) else {
                let names: Vec<_> = manifest.inputs.iter().map(|port| format!("`{}`", port.name)).collect();
                let reason = format!("not an input of this model (it has {})", names.join(", "));
                return Err(ContentError::ArrayName { name: (*name).to_owned(), reason });
            };
            let file = Opened::open(path)?;
            if file.is_array() {
                let Array::Tensor(tensor) = read_array(&file.what.clone(), file.stream()?)? else {
                    return Err(ContentError::ElementType {
                        what: path.display().to_string(),
                        found: "text".to_owned(),
                    });
                };
                case.inputs.push((port.name.clone(), tensor));
                continue;
            }
            match Self::from_file(file, port)?.runs {
                Runs::One(one) => case.inputs.extend(one.inputs),
                _ => return Err(no_such_content("sound beside other files", std::slice::from_ref(port))),
            }
        }
        Ok(Feed { runs: Runs::One(case), scale: (1.0, 1.0) })
    }

    fn from_file(file: Opened, port: &Port) -> Result<Feed, ContentError> {
        let one = |tensor: Tensor| Runs::One(Case { inputs: vec![(port.name.clone(), tensor)], ..Case::default() });
        match &port.content {
            Content::Bytes(spec) => Ok(Feed { runs: one(bytes_tensor(file, port, spec)?), scale: (1.0, 1.0) }),
            Content::Image(layout) => {
                let what = file.what.clone();
                let (tensor, scale) = image_tensor(&what, &file.whole()?, port, layout)?;
                Ok(Feed { runs: one(tensor), scale })
            }
            Content::Pcm(spec) => {
                let shape = numbers::row_shape(port, spec.frame as usize + spec.context as usize)?;
                let sound = Sound::decode(&file.what.clone(), &file.whole()?, spec)?;
                Ok(Feed { runs: Runs::Frames { port: port.clone(), sound, shape }, scale: (1.0, 1.0) })
            }
            _ => Err(no_such_content(&file.what, std::slice::from_ref(port))),
        }
    }

    /// Number of runs; at least one.
    #[expect(clippy::len_without_is_empty, reason = "a file without a run is refused")]
    pub fn len(&self) -> usize {
        match &self.runs {
            Runs::Cases(cases) => cases.len(),
            Runs::One(_) => 1,
            Runs::Frames { sound, .. } => sound.len(),
        }
    }

    /// Whether answers carry the prefix of their case when they are written to an archive.
    pub fn is_numbered(&self) -> bool {
        match &self.runs {
            Runs::Cases(cases) => cases.is_numbered(),
            Runs::One(_) => false,
            Runs::Frames { .. } => true,
        }
    }

    /// Whether each run goes on from the one before, so that state must be carried.
    pub fn is_sequence(&self) -> bool {
        matches!(self.runs, Runs::Frames { .. })
    }

    /// The cases, if the file is one of arrays.
    pub fn cases(&self) -> Option<&CaseFile> {
        match &self.runs {
            Runs::Cases(cases) => Some(cases),
            _ => None,
        }
    }

    /// When a run's frame begins, in seconds from the start of the sound.
    pub fn start_s(&self, index: usize) -> Option<f64> {
        match &self.runs {
            Runs::Frames { sound, .. } => Some(sound.start_s(index)),
            _ => None,
        }
    }

    /// Pixels of the picture per pixel of the tensor, across and down; 1 where there is no picture.
    pub fn scale(&self) -> (f64, f64) {
        self.scale
    }

    /// The inputs of one run, with what is known about the answer.
    ///
    /// # Errors
    /// Those of reading its arrays.
    pub fn read(&mut self, index: usize) -> Result<Case, ContentError> {
        match &mut self.runs {
            Runs::Cases(cases) => cases.read(index),
            Runs::One(case) => Ok(case.clone()),
            Runs::Frames { port, sound, shape } => {
                let tensor = numbers::tensor(port, shape.clone(), &sound.frame(index))?;
                Ok(Case { name: format!("{index:03}"), inputs: vec![(port.name.clone(), tensor)], ..Case::default() })
            }
        }
    }
}

/// A file that was opened, or standard input in memory.
struct Opened {
    what: String,
    source: Source,
}

enum Source {
    File(File),
    Memory(Vec<u8>),
}

impl Opened {
    fn open(path: &Path) -> Result<Opened, ContentError> {
        let what = if path.as_os_str() == STDIN { "stdin".to_owned() } else { path.display().to_string() };
        let failed = |source| ContentError::Read { what: what.clone(), source };
        if path.as_os_str() == STDIN {
            let memory = read_whole(&what, io::stdin().lock())?;
            return Ok(Opened { what, source: Source::Memory(memory) });
        }
        let file = File::open(path).map_err(failed)?;
        let metadata = file.metadata().map_err(failed)?;
        if metadata.is_dir() {
            return Err(failed(io::Error::new(io::ErrorKind::IsADirectory, "it is a folder")));
        }
        // A pipe has no end to look at.
        let source = match metadata.is_file() {
            true => Source::File(file),
            false => Source::Memory(read_whole(&what, file)?),
        };
        Ok(Opened { what, source })
    }

    /// Whether it is an array or an archive: by its first bytes, whatever its name.
    fn is_array(&self) -> bool {
        let mut magic = [0; 6];
        let found = match &self.source {
            Source::Memory(bytes) => bytes.get(..6).is_some_and(|first| {
                magic.copy_from_slice(first);
                true
            }),
            Source::File(file) => {
                let mut file = file;
                let read = file.read_exact(&mut magic).is_ok();
                read & file.rewind().is_ok()
            }
        };
        found && (magic == *b"\x93NUMPY" || magic.starts_with(b"PK\x03\x04") || magic.starts_with(b"PK\x05\x06"))
    }

    fn cases(&self, manifest: &Manifest) -> Result<CaseFile, ContentError> {
        match &self.source {
            Source::Memory(bytes) => CaseFile::from_bytes(&self.what, bytes.clone(), manifest.into()),
            Source::File(_) => CaseFile::open(Path::new(&self.what), manifest.into()),
        }
    }

    fn stream(self) -> Result<Box<dyn Read>, ContentError> {
        Ok(match self.source {
            Source::File(file) => Box::new(io::BufReader::new(file)),
            Source::Memory(bytes) => Box::new(io::Cursor::new(bytes)),
        })
    }

    fn whole(self) -> Result<Vec<u8>, ContentError> {
        match self.source {
            Source::File(file) => read_whole(&self.what, file),
            Source::Memory(bytes) => Ok(bytes),
        }
    }
}

fn read_whole(what: &str, from: impl Read) -> Result<Vec<u8>, ContentError> {
    let mut bytes = Vec::new();
    let read = from.take(FILE_BYTES + 1).read_to_end(&mut bytes);
    read.map_err(|source| ContentError::Read { what: what.to_owned(), source })?;
    if bytes.len() as u64 > FILE_BYTES {
        let (size, limit) = (bytes.len() as u64, FILE_BYTES);
        return Err(ContentError::TooLarge { what: what.to_owned(), size, limit, unit: "bytes" });
    }
    Ok(bytes)
}

/// Only the two ends are read: the file may be larger than memory.
fn bytes_tensor(file: Opened, port: &Port, spec: &ByteWindow) -> Result<Tensor, ContentError> {
    let failed = |source| ContentError::Read { what: file.what.clone(), source };
    for (asked, what) in [(spec.block, "block"), (spec.head, "head"), (spec.tail, "tail")] {
        if asked > BLOCK_BYTES {
            let reason = format!("a {what} of {asked} bytes, at most {BLOCK_BYTES} are allowed");
            return Err(ContentError::Description { port: port.name.clone(), reason });
        }
    }
    let values = match file.source {
        Source::Memory(bytes) => window(spec, Ends::of(&bytes, spec.block)),
        Source::File(mut handle) => {
            let size = handle.metadata().map_err(failed)?.len();
            let block = u64::from(spec.block).min(size);
            let mut end = |from: SeekFrom| -> io::Result<Vec<u8>> {
                let mut bytes = Vec::new();
                handle.seek(from)?;
                (&mut handle).take(block).read_to_end(&mut bytes)?;
                Ok(bytes)
            };
            let first = end(SeekFrom::Start(0)).map_err(failed)?;
            let last = end(SeekFrom::Start(size - block)).map_err(failed)?;
            window(spec, Ends { first: &first, last: &last })
        }
    };
    let shape = numbers::row_shape(port, values.len())?;
    // Exact: bytes, and a padding that is a small number.
    let values: Vec<f32> = values.into_iter().map(|v| v as f32).collect();
    numbers::tensor(port, shape, &values)
}

fn image_tensor(
    what: &str,
    bytes: &[u8],
    port: &Port,
    layout: &ImageLayout,
) -> Result<(Tensor, (f64, f64)), ContentError> {
    let picture = picture(what, bytes, layout)?;
    let shape = match layout.axes {
        ImageAxes::Nchw => vec![1, picture.channels, picture.height, picture.width],
        ImageAxes::Nhwc => vec![1, picture.height, picture.width, picture.channels],
    };
    let tensor = numbers::tensor(port, shape, &picture.values)?;
    Ok((tensor, (picture.scale_x, picture.scale_y)))
}

fn no_such_content(what: &str, inputs: &[Port]) -> ContentError {
    let described: Vec<String> = inputs
        .iter()
        .map(|port| format!("`{}` is {} {}", port.name, port.dtype.name(), crate::units::shape(&port.shape)))
        .collect();
    ContentError::NoSuchContent { what: what.to_owned(), reason: described.join(", ") }
}
