//! A process per call: loads a bundle, says so, runs its first evaluation case, ends. `sandbox_instances` starts it and looks at the
//! clock.

use anyhow::Result;
use pannier::Session;
use pannier_benches::model::{Model, untested};

fn main() -> Result<()> {
    let (model, []) = Model::from_arguments([])?;
    let session = Session::open(&model.path, &model.trust, &untested())?;
    println!("ready");
    model.case.check(&session.run(&model.case.inputs)?)
}
