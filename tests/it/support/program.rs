//! Programs that run without a bundle around them.

use pannier::manifest::{Envelope, Reproducibility};
use pannier::{Manifest, Options, Session};
use pannier_packager::import::Imported;

/// A session over an imported model, with a manifest that says nothing but what goes in and out.
pub fn session(imported: Imported, options: &Options) -> Result<Session, pannier::Error> {
    let manifest = Manifest {
        name: "test".to_owned(),
        version: "0.0.0".to_owned(),
        description: String::new(),
        licence: String::new(),
        created_by: String::new(),
        bundle_id: [0; 32],
        opset: pannier_graph::OPSET,
        inputs: imported.inputs,
        outputs: imported.outputs,
        envelope: Envelope { peak_memory_bytes: 0, weight_bytes: 0, deadline_ms: 0 },
        reproducibility: Reproducibility::Tolerance,
        target_hints: Vec::new(),
        quantization: Vec::new(),
        source: imported.source,
    };
    Session::from_program(imported.program, manifest, options)
}
