//! `pannier-bindgen LINKED.wasm GLUE.js MODULE.wasm`: the JavaScript that goes with a module, and the module without what only
//! that was made of.
//!
//! The JavaScript is an ES module with one function, `instantiate`. Each call of it gives bindings of their own, for one instance:
//! what a session holds goes with the session, and a trap ends nobody else's.

use anyhow::{Context as _, Result, bail};
use wasm_bindgen_cli_support::Bindgen;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [linked, glue, module] = arguments.as_slice() else {
        bail!("usage: pannier-bindgen LINKED.wasm GLUE.js MODULE.wasm");
    };
    let mut bindgen = Bindgen::new();
    // A script, not an ES module: the bindings of one instance in one expression.
    bindgen.input_path(linked).no_modules(true)?.omit_default_module_path(true).typescript(false);
    // The name is in the imports: one for all modules, so that one JavaScript goes with all of them.
    bindgen.out_name("pannier");
    let mut output = bindgen.generate_output().with_context(|| linked.clone())?;
    let wrapped = wrap(output.js());
    std::fs::write(glue, wrapped).with_context(|| glue.clone())?;
    std::fs::write(module, output.wasm_mut().emit_wasm()).with_context(|| module.clone())?;
    Ok(())
}

/// The script as the body of a function. It frees nothing by itself: memory goes with the instance, and one in which a call never
/// returned is not to be called again.
fn wrap(script: &str) -> String {
    format!(
        "// Generated from wasm/web/src by wasm-bindgen.\n\n\
         /** Bindings for one instance: call what this returns with `{{ module_or_path: module }}`. */\n\
         export function instantiate() {{\nconst FinalizationRegistry = undefined;\n{script}\nreturn wasm_bindgen;\n}}\n"
    )
}
