//! Reading a bundle whose bytes arrive piece by piece, such as a download.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::mem;

use crate::chunk::ChunkReader;
use crate::error::Error;
use crate::frame::Decoder;
use crate::header::{Chunk, Header, Kind, PREAMBLE_BYTES, Preamble, Section, bytes, size};
use crate::limits::Limits;
use crate::manifest::Manifest;
use crate::prefix::Prefix;
use crate::reader::decode_manifest;
use crate::trust::{self, Trust, Verdict};

/// Takes the bytes of a bundle in order and gives back its sections, each verified, as they complete.
///
/// Trust is decided before the first chunk is decompressed, the policy's minimum version before the first section is
/// given out, and a chunk that is not the one the header names stops the stream when its last byte has arrived.
/// Beside the sections it holds at most one stored chunk, or the parts before the body, and one decoder.
///
/// `B` is the memory that sections are decoded into: `Vec<u8>`, or what [`Stream::with_buffers`] is given.
///
/// ```
/// use pannier_bundle::{Error, Event, Limits, Stream, Trust};
///
/// fn total(download: impl Iterator<Item = Vec<u8>>, trust: Trust) -> Result<usize, Error> {
///     let mut stream = Stream::new(Limits::default(), trust, None);
///     let mut total = 0;
///     for piece in download {
///         for event in stream.push(&piece)? {
///             if let Event::Section { content, .. } = event {
///                 total += content.len();
///             }
///         }
///     }
///     stream.finish()?;
///     Ok(total)
/// }
/// ```
pub struct Stream<B = Vec<u8>> {
    settings: Settings<B>,
    state: State<B>,
    /// The start of a part that has not arrived as a whole.
    pending: Vec<u8>,
    /// Bytes that arrived.
    position_bytes: u64,
}

/// What a [`Stream`] gives out.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event<B = Vec<u8>> {
    /// The bundle is trusted and its manifest is read. The first event.
    Opened(Box<Opened>),
    /// A section is complete. They come in the order of the file, the manifest first.
    Section {
        /// Name of the section.
        name: String,
        /// Its content.
        content: B,
    },
}

/// What is known of a bundle before its sections arrive.
#[derive(Debug)]
pub struct Opened {
    /// What the bundle says of itself.
    pub manifest: Manifest,
    /// Who signed.
    pub verdict: Verdict,
    /// The section table.
    pub header: Header,
    /// SHA-256 of everything before the body, which holds the digest of each stored chunk: so it names the whole file,
    /// signatures included.
    pub sha256: [u8; 32],
}

struct Settings<B> {
    limits: Limits,
    trust: Trust,
    now_unix_s: Option<u64>,
    decoder: Decoder,
    allocate: Box<dyn FnMut(&Section) -> B + Send>,
}

enum State<B> {
    Preamble,
    Prefix(Preamble),
    Body(Box<Body<B>>),
    Failed(Error),
}

/// What is expected next of the body.
enum Next<B> {
    /// The zeros before the section.
    Padding,
    /// A chunk of the section.
    Chunk { index: usize, content: B, filled: usize },
}

struct Body<B> {
    prefix: Prefix,
    /// Taken when the manifest is read.
    verdict: Option<Verdict>,
    reader: ChunkReader,
    /// Index of the section; past the last one at the end.
    section: usize,
    next: Next<B>,
}

impl Stream {
    /// A stream that nothing has arrived of.
    ///
    /// `now_unix_s` is the time in seconds since 1970, for keys and policies that expire.
    pub fn new(limits: Limits, trust: Trust, now_unix_s: Option<u64>) -> Stream {
        Stream::with_buffers(limits, trust, now_unix_s, |section| {
            // Bounded by `Limits::content_bytes`; where memory is shorter still, the length check refuses the result.
            let mut buffer = Vec::new();
            let size = usize::try_from(section.content_bytes).unwrap_or(0);
            if buffer.try_reserve_exact(size).is_ok() {
                buffer.resize(size, 0);
            }
            buffer
        })
    }
}

impl<B: AsMut<[u8]>> Stream<B> {
    /// A stream that decodes each section straight into memory that `allocate` gives: as long as the section's content.
    ///
    /// `allocate` is called only after trust was decided, and never for more than [`Limits::content_bytes`] in total.
    pub fn with_buffers(
        limits: Limits,
        trust: Trust,
        now_unix_s: Option<u64>,
        allocate: impl FnMut(&Section) -> B + Send + 'static,
    ) -> Stream<B> {
        let decoder = Decoder::default();
        let settings = Settings { limits, trust, now_unix_s, decoder, allocate: Box::new(allocate) };
        Stream { settings, state: State::Preamble, pending: Vec::new(), position_bytes: 0 }
    }

    /// Reads with this zstd decoder instead of the default one.
    pub fn with_decoder(mut self, decoder: Decoder) -> Self {
        self.settings.decoder = decoder;
        self
    }

    /// Takes the next bytes of the file, as many as there are.
    ///
    /// # Errors
    /// Those of [`crate::Bundle::open`], [`crate::Bundle::verify`] and [`crate::Verified::read_into`]. A stream that
    /// failed stays failed with the same error. Never panics.
    pub fn push(&mut self, arrived: &[u8]) -> Result<Vec<Event<B>>, Error> {
        let mut events = Vec::new();
        match self.advance(arrived, &mut events) {
            Ok(()) => Ok(events),
            Err(error) => {
                self.state = State::Failed(error.clone());
                self.pending = Vec::new();
                Err(error)
            }
        }
    }

    /// Ends the stream.
    ///
    /// # Errors
    /// [`Error::Truncated`]: the file does not end here. The error of the stream, if it failed.
    pub fn finish(self) -> Result<(), Error> {
        match &self.state {
            State::Body(body) if body.expected().is_none() => Ok(()),
            State::Body(body) => Err(body.prefix.preamble.truncated(self.position_bytes)),
            State::Prefix(preamble) => Err(preamble.truncated(self.position_bytes)),
            State::Preamble => match Preamble::decode(&self.pending, &self.settings.limits) {
                Err(error) => Err(error),
                Ok(preamble) => Err(preamble.truncated(self.position_bytes)),
            },
            State::Failed(error) => Err(error.clone()),
        }
    }

    /// Bytes that arrived so far.
    pub fn position_bytes(&self) -> u64 {
        self.position_bytes
    }

    /// Size of the whole file in bytes, once the preamble has arrived.
    pub fn file_bytes(&self) -> Option<u64> {
        match &self.state {
            State::Prefix(preamble) => Some(preamble.file_bytes()),
            State::Body(body) => Some(body.prefix.preamble.file_bytes()),
            State::Preamble | State::Failed(_) => None,
        }
    }

    fn advance(&mut self, arrived: &[u8], events: &mut Vec<Event<B>>) -> Result<(), Error> {
        let mut rest = arrived;
        self.position_bytes = self.position_bytes.saturating_add(bytes(arrived.len()));
        loop {
            let expected = match &self.state {
                State::Preamble => Some(PREAMBLE_BYTES),
                State::Prefix(preamble) => {
                    Some(size(preamble.header_bytes).saturating_add(size(preamble.signatures_bytes)))
                }
                State::Body(body) => body.expected(),
                State::Failed(error) => return Err(error.clone()),
            };
            let Some(expected) = expected else { return self.check_end(rest) };
            if self.pending.is_empty()
                && let Some((part, after)) = rest.split_at_checked(expected)
            {
                rest = after;
                self.take(part, events)?;
                continue;
            }
            let missing = expected.saturating_sub(self.pending.len());
            let (part, after) = rest.split_at(missing.min(rest.len()));
            rest = after;
            self.pending.extend_from_slice(part);
            if self.pending.len() < expected {
                return Ok(());
            }
            let mut part = mem::take(&mut self.pending);
            self.take(&part, events)?;
            part.clear();
            self.pending = part;
        }
    }

    fn check_end(&self, rest: &[u8]) -> Result<(), Error> {
        if rest.is_empty() {
            return Ok(());
        }
        let actual_bytes = self.position_bytes;
        Err(Error::TrailingBytes { expected_bytes: actual_bytes.saturating_sub(bytes(rest.len())), actual_bytes })
    }

    /// Takes a part that has arrived as a whole.
    fn take(&mut self, part: &[u8], events: &mut Vec<Event<B>>) -> Result<(), Error> {
        let settings = &mut self.settings;
        match &mut self.state {
            State::Preamble => self.state = State::Prefix(Preamble::decode(part, &settings.limits)?),
            State::Prefix(preamble) => {
                let prefix = Prefix::decode(*preamble, part, &settings.limits)?;
                let verdict = Some(prefix.verify(&settings.trust, settings.now_unix_s)?);
                let reader = ChunkReader::new(settings.decoder);
                let body = Body { prefix, verdict, reader, section: 0, next: Next::Padding };
                self.state = State::Body(Box::new(body));
            }
            State::Body(body) => body.take(part, settings, events)?,
            State::Failed(error) => return Err(error.clone()),
        }
        Ok(())
    }
}

impl<B: AsMut<[u8]>> Body<B> {
    /// Size of the part that is expected next; none at the end.
    fn expected(&self) -> Option<usize> {
        let section = self.prefix.header.sections.get(self.section)?;
        match &self.next {
            Next::Padding => {
                let before = self.section.checked_sub(1).and_then(|index| self.prefix.header.sections.get(index));
                let end = before.map_or(0, |before| before.offset.saturating_add(before.stored_bytes));
                usize::try_from(section.offset.saturating_sub(end)).ok()
            }
            Next::Chunk { index, .. } => Some(section.chunks.get(*index).map_or(0, Chunk::stored_bytes)),
        }
    }

    fn take(&mut self, part: &[u8], settings: &mut Settings<B>, events: &mut Vec<Event<B>>) -> Result<(), Error> {
        let Some(section) = self.prefix.header.sections.get(self.section) else { return Ok(()) };
        let next = mem::replace(&mut self.next, Next::Padding);
        let (index, mut content, filled) = match next {
            Next::Padding => {
                if part.iter().any(|byte| *byte != 0) {
                    return Err(Error::Padding { offset: section.offset });
                }
                let mut content = (settings.allocate)(section);
                let actual_bytes = bytes(content.as_mut().len());
                if actual_bytes != section.content_bytes {
                    let expected_bytes = section.content_bytes;
                    return Err(Error::BufferSize { section: section.name.clone(), expected_bytes, actual_bytes });
                }
                (0, content, 0)
            }
            Next::Chunk { index, mut content, filled } => {
                let Some(chunk) = section.chunks.get(index) else { return Ok(()) };
                let end = filled.saturating_add(size(chunk.content_bytes));
                let target = content.as_mut().get_mut(filled..end).unwrap_or_default();
                self.reader.read(chunk, part, target).map_err(|why| Error::Chunk {
                    section: section.name.clone(),
                    chunk: index,
                    why,
                })?;
                (index + 1, content, end)
            }
        };
        if index < section.chunks.len() {
            self.next = Next::Chunk { index, content, filled };
            return Ok(());
        }
        if section.kind == Kind::Manifest {
            let manifest = decode_manifest(content.as_mut(), &self.prefix.header)?;
            trust::check_version(&settings.trust, &manifest)?;
            if let Some(verdict) = self.verdict.take() {
                let (header, sha256) = (self.prefix.header.clone(), self.prefix.sha256);
                events.push(Event::Opened(Box::new(Opened { manifest, verdict, header, sha256 })));
            }
        }
        events.push(Event::Section { name: section.name.clone(), content });
        self.section += 1;
        Ok(())
    }
}
