//! A program and what belongs to it, as the sections of a bundle.

use crate::error::Error;
use crate::import::ImportError;
use crate::interrupt;
use crate::quantize::{Record, attestation};
use pannier_bundle::encode_versioned;
use pannier_bundle::manifest::Manifest;
use pannier_bundle::write::{SealOptions, Sealed, SectionContent, content_id, seal};
use pannier_engine::Program;
use pannier_graph::{Body, Encoding, Span};
use std::borrow::Cow;

/// Version of the `labels` section.
pub const LABELS_VERSION: u16 = 1;

/// What stands in a bundle beside manifest, graph and weights. Empty parts have no section.
#[derive(Debug, Clone, Default)]
pub struct Extras {
    /// Encoded golden cases.
    pub golden: Vec<u8>,
    /// Encoded baseline.
    pub baseline: Vec<u8>,
    /// Lists of labels.
    pub labels: Vec<Vec<String>>,
    /// Model card in Markdown.
    pub card: String,
    /// Bill of materials in JSON.
    pub bom: Vec<u8>,
    /// Encoded record of a quantization.
    pub quantization: Vec<u8>,
    /// Encoded in-toto statement.
    pub attestation: Vec<u8>,
}

/// Puts everything into sections, sets the manifest's bundle id, and seals.
///
/// `progress` is told the bytes that are compressed and their total.
///
/// # Errors
/// [`Error::Interrupted`]; [`Error::Bundle`] if the sections make no bundle, such as one that is too large.
pub fn assemble(
    program: &Program,
    manifest: &mut Manifest,
    extras: &Extras,
    mut progress: impl FnMut(u64, u64),
) -> Result<Sealed, Error> {
    let plain = |name: &str, bytes: Vec<u8>, critical: bool| SectionContent {
        name: name.to_owned(),
        bytes: Cow::Owned(bytes),
        element_bytes: 1,
        cuts: Vec::new(),
        critical,
    };
    let mut sections = vec![plain("graph", program.graph.encode().map_err(ImportError::from)?, true)];
    if !extras.golden.is_empty() {
        // Mostly numbers of four bytes: inputs and answers.
        sections.push(SectionContent { element_bytes: 4, ..plain("golden", extras.golden.clone(), false) });
    }
    if !extras.labels.is_empty() {
        sections.push(plain("labels", encode_versioned(LABELS_VERSION, &extras.labels), false));
    }
    if !extras.baseline.is_empty() {
        sections.push(plain("baseline", extras.baseline.clone(), false));
    }
    if !extras.card.is_empty() {
        sections.push(plain("card", extras.card.clone().into_bytes(), false));
    }
    if !extras.bom.is_empty() {
        sections.push(plain("bom", extras.bom.clone(), false));
    }
    if !extras.attestation.is_empty() {
        sections.push(plain(attestation::SECTION, extras.attestation.clone(), false));
    }
    if !extras.quantization.is_empty() {
        sections.push(plain(Record::SECTION, extras.quantization.clone(), false));
    }
    let layouts = layouts(program);
    for (index, (bytes, layout)) in program.sections.iter().zip(&layouts).enumerate() {
        sections.push(SectionContent {
            name: format!("weights/{index}"),
            bytes: Cow::Borrowed(bytes.as_bytes()),
            element_bytes: layout.element_bytes,
            cuts: layout.cuts.clone(),
            critical: true,
        });
    }
    manifest.bundle_id = content_id(&sections)?;
    sections.push(plain("manifest", encode_versioned(Manifest::VERSION, manifest), true));

    let mut watch = |done, total| {
        progress(done, total);
        interrupt::control_flow()
    };
    match seal(sections, &SealOptions::default(), &mut watch) {
        Err(_) if interrupt::requested() => Err(Error::Interrupted),
        sealed => Ok(sealed?),
    }
}

/// Where tensors begin in a weights section, and how wide most of its elements are.
#[derive(Default, Clone)]
struct Layout {
    cuts: Vec<u64>,
    element_bytes: u8,
    /// Bytes of elements of each width: 1, 2, 4, 8.
    by_width: [u64; 4],
}

fn layouts(program: &Program) -> Vec<Layout> {
    let mut layouts = vec![Layout::default(); program.sections.len()];
    let mut add = |span: &Span, width: usize| {
        let index = usize::try_from(span.section).unwrap_or(usize::MAX);
        let Some(layout) = layouts.get_mut(index) else { return };
        layout.cuts.push(span.offset);
        if let Some(bytes) = layout.by_width.get_mut(width.trailing_zeros() as usize) {
            *bytes = bytes.saturating_add(span.size_bytes);
        }
    };
    visit(&program.graph.body, &mut |body| {
        for weight in &body.weights {
            let (width, others) = match &weight.encoding {
                Encoding::Raw => (weight.dtype.size_bytes(), [None, None]),
                Encoding::F16 => (2, [None, None]),
                Encoding::Int8 { scale, zero_point, .. } | Encoding::Int4 { scale, zero_point, .. } => {
                    (1, [Some((*scale, 4)), zero_point.map(|span| (span, 1))])
                }
            };
            add(&weight.data, width);
            others.into_iter().flatten().for_each(|(span, width)| add(&span, width));
        }
    });
    for layout in &mut layouts {
        layout.cuts.sort_unstable();
        layout.cuts.dedup();
        let widest = (0..4).max_by_key(|index| layout.by_width.get(*index).copied().unwrap_or(0));
        layout.element_bytes = 1 << widest.unwrap_or(0);
    }
    layouts
}

fn visit(body: &Body, each: &mut dyn FnMut(&Body)) {
    each(body);
    for node in &body.nodes {
        for (_, attribute) in &node.attributes {
            if let pannier_graph::Attribute::Body(inner) = attribute {
                visit(inner, each);
            }
        }
    }
}
