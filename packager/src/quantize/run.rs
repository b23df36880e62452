//! From a program and what the user wants to a quantized program with its proof.

use super::form::{self, Form, Forms};
use super::prove::{BudgetError, GateMode, Judge, Metric, Sets, Trial, decibels, judge, paired_loss_upper};
use super::record::{LayerRecord, Proof, Record};
use super::search::{Found, Search};
use super::settings::{Scheme, Settings};
use super::{Layer, Observe, Prune, QuantizeError, is_quantized, layers};
use crate::build::RunLimits;
use crate::error::Error;
use crate::suggest;
use crate::units;
use pannier_bundle::manifest::Port;
use pannier_engine::Program;

/// A step of a quantization that may take a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Watching the original on the tuning set; counted in runs.
    Calibrate,
    /// Quantizing each layer alone; counted in layers.
    Sensitivity,
    /// The same for activations.
    Activations,
    /// Measuring times of kinds of layers.
    Latency,
    /// Trying what helps all layers.
    Ladder,
    /// Trying recipes on the tuning set.
    Search,
    /// Judging on the held-out set.
    Gate,
}

/// What goes in and comes out of a model.
#[derive(Debug, Clone, Copy)]
pub struct Model<'a> {
    /// The inputs.
    pub inputs: &'a [Port],
    /// The outputs.
    pub outputs: &'a [Port],
    /// Lists of labels that outputs refer to.
    pub labels: &'a [Vec<String>],
    /// What one run may take.
    pub limits: RunLimits,
}

/// A quantized program with its proof.
pub struct Quantized {
    /// The program.
    pub program: Program,
    /// How it was made, and what was measured.
    pub record: Record,
    /// What deserves attention.
    pub warnings: Vec<String>,
}

/// Layers of fewer weights stay as they are unless they are included by name: scales would be most of what is left of them.
const ELEMENTS_MIN: u64 = 256;
/// The same for schemes that make noise nobody measured in the layer: there, bytes are few and noise is not. With 8-bit activations
/// such layers are hardly faster, either: in `q8-static` all of them took 2 % off ocr-det and 3 % off ocr-cls (AVX-512), and of the
/// text that ocr-det found, 87 % was the original's in place of 97 %.
const UNMEASURED_ELEMENTS_MIN: u64 = 1024;
/// Fewer tuning cases than this deserve a warning: ranges of activations still move.
const TUNING_CASES_FEW: usize = 32;

/// Quantizes.
///
/// # Errors
/// [`QuantizeError::AlreadyQuantized`]; every variant of [`BudgetError`]; those of applying and running;
/// [`Error::Interrupted`].
pub fn quantize(
    program: &Program,
    model: Model<'_>,
    settings: &Settings,
    sets: &Sets,
    progress: &mut dyn FnMut(Stage, u64, u64),
) -> Result<Quantized, Error> {
    if let Some(place) = is_quantized(&program.graph) {
        return Err(QuantizeError::AlreadyQuantized { place }.into());
    }
    eligible(&layers(&program.graph), settings)?;
    check_data(settings, sets)?;
    let trial = Trial::new(model.inputs, model.outputs, model.limits);
    let mut warnings = warnings(sets);

    let (inputs, answers) = trial.runs(program, &sets.tuning.cases)?;
    let probe_cases = Search::probe_cases(&sets.tuning.cases);
    let probe_answers = trial.answers(program, &probe_cases)?;
    let judge_of = |metric, cases: &[_], answers| Judge::new(metric, model.outputs, model.labels, cases, answers);
    let tuning = judge_of(steering_metric(settings, sets), &sets.tuning.cases, answers)?;
    // Of a few cases, only the noise is asked for.
    let probe = judge_of(None, &probe_cases, probe_answers)?;
    let held_out_answers = trial.answers(program, &sets.held_out.cases)?;
    let held_out = judge_of(settings.metric, &sets.held_out.cases, held_out_answers)?;
    check_provable(&held_out, settings)?;
    let mut report = |done, total| progress(Stage::Calibrate, done, total);
    let (program, removed) = form::reduced(program, settings.prune, &inputs, &mut report)?;
    warnings.extend(removed.map(|[channels, of]| match of {
        0 => "no channel can be taken out: whoever makes or reads them does so in a way that is not known".to_owned(),
        _ => format!("{channels} of the {of} channels that can be taken out are gone"),
    }));
    let layers = layers(&program.graph);
    let eligible = eligible(&layers, settings)?;
    let original = Form::observed(&program, &layers, &inputs, observed(settings), &mut report)?;

    let mut search = Search {
        original,
        forms: Forms::default(),
        layers: &layers,
        eligible,
        settings,
        trial: &trial,
        cases: &sets.tuning.cases,
        inputs: &inputs,
        judge: &tuning,
        probe_cases,
        probe: &probe,
        steps: Vec::new(),
        times: Vec::new(),
        progress,
    };
    let mut found = search.run()?;
    let mut proof = prove(&mut search, &found, &held_out, sets)?;
    let mut looks = 1;
    while let Some(failed) = proof.as_ref().filter(|proof| !proof.verdict.passed) {
        let again = if looks < settings.gate.looks().count() { search.tighten(&found)? } else { None };
        let Some(tighter) = again else {
            let (metric, verdict) = (failed.metric, failed.verdict);
            let blame = search.blame(Some(&found))?;
            return Err(BudgetError::Gate { metric, verdict, blame }.into());
        };
        looks += 1;
        found = tighter;
        proof = prove(&mut search, &found, &held_out, sets)?;
    }
    match &proof {
        None => warnings.push("nothing was measured: give inputs with --calibrate and --evaluate".to_owned()),
        Some(proof) => warnings.extend(proof.warning()),
    }
    let (steps, times) = (std::mem::take(&mut search.steps), std::mem::take(&mut search.times));
    let record = Record {
        scheme: settings.scheme,
        objective: settings.objective,
        layers: layer_records(&layers, &found),
        recipe: found.recipe,
        tensors: found.applied.tensors,
        tuning: (!sets.tuning.cases.is_empty()).then(|| sets.record(&sets.tuning)),
        held_out: (!sets.held_out.cases.is_empty()).then(|| sets.record(&sets.held_out)),
        proof,
        steps,
        times,
    };
    Ok(Quantized { program: found.applied.program, record, warnings })
}

/// Which layers may be quantized.
fn eligible(layers: &[Layer], settings: &Settings) -> Result<Vec<bool>, BudgetError> {
    for (flag, patterns) in [("exclude", &settings.exclude), ("include", &settings.include)] {
        if let Some(pattern) = patterns.iter().find(|pattern| !layers.iter().any(|layer| names(pattern, layer))) {
            return Err(BudgetError::Pattern { flag, pattern: pattern.clone(), known: known(pattern, layers) });
        }
    }
    let named = |patterns: &[String], layer: &Layer| patterns.iter().any(|pattern| names(pattern, layer));
    let wanted = |layer: &Layer| match settings.include.is_empty() {
        true => layer.elements >= elements_min(settings.scheme),
        false => named(&settings.include, layer),
    };
    let eligible: Vec<bool> = layers.iter().map(|layer| wanted(layer) && !named(&settings.exclude, layer)).collect();
    match eligible.iter().any(|eligible| *eligible) {
        true => Ok(eligible),
        false if layers.is_empty() => Err(BudgetError::NoLayers { reason: "no node has weights" }),
        false => Err(BudgetError::NoLayers { reason: "every layer is excluded, or has too few weights" }),
    }
}

/// Weights from which on a layer gets a scheme without being asked for by name.
pub(super) fn elements_min(scheme: Scheme) -> u64 {
    match scheme {
        // What was measured, or weights alone, and those finely.
        Scheme::Auto | Scheme::Fp16 | Scheme::Q8 => ELEMENTS_MIN,
        _ => UNMEASURED_ELEMENTS_MIN,
    }
}

/// Whether a pattern is the layer's name or operator. A `*` at its end stands for anything.
fn names(pattern: &str, layer: &Layer) -> bool {
    match pattern.strip_suffix('*') {
        Some(start) => layer.name.starts_with(start),
        None => layer.name == pattern || layer.op == pattern,
    }
}

fn known(pattern: &str, layers: &[Layer]) -> String {
    let names = layers.iter().flat_map(|layer| [layer.name.as_str(), layer.op.as_str()]);
    match suggest::closest(pattern, names) {
        Some(close) => format!("did you mean `{close}`?"),
        None => {
            let names: Vec<&str> = layers.iter().take(8).map(|layer| layer.name.as_str()).collect();
            format!("layers are {}{}", names.join(", "), if layers.len() > 8 { ", ..." } else { "" })
        }
    }
}

fn check_data(settings: &Settings, sets: &Sets) -> Result<(), BudgetError> {
    let what = match settings.scheme {
        _ if !sets.is_empty() => return Ok(()),
        Scheme::Auto => "--quantize auto",
        Scheme::Q8Static => "--quantize q8-static",
        _ if settings.max_loss.is_some() => "--max-loss",
        _ => return Ok(()),
    };
    Err(BudgetError::Data { what, flag: "--calibrate" })
}

/// Typical inputs need no labels: there, decisions stand for right answers.
fn steering_metric(settings: &Settings, sets: &Sets) -> Option<Metric> {
    let labelled = sets.tuning.cases.iter().any(|case| case.label.is_some());
    settings.metric.filter(|metric| *metric != Metric::Accuracy || labelled)
}

/// Before hours are spent on a search whose result could not pass.
fn check_provable(held_out: &Judge<'_>, settings: &Settings) -> Result<(), BudgetError> {
    let Some(budget) = settings.max_loss.filter(|_| settings.gate == GateMode::Bound && held_out.metric().counts())
    else {
        return Ok(());
    };
    let cases = held_out.cases();
    let least = paired_loss_upper(0, 0, cases, settings.gate.looks());
    if least > budget { Err(BudgetError::Unprovable { cases, budget, least }) } else { Ok(()) }
}

fn warnings(sets: &Sets) -> Vec<String> {
    let mut warnings = Vec::new();
    if sets.divided {
        warnings.push(format!(
            "one file of cases was given: {} of them, by the hash of their bytes, tune the quantization, the other {} judge it",
            sets.tuning.cases.len(),
            sets.held_out.cases.len()
        ));
    }
    if sets.repeated > 0 {
        let repeated = units::plural(sets.repeated as u64, "case");
        warnings.push(format!("{repeated} of --evaluate also in --calibrate: what was tuned on does not judge"));
    }
    if (1..TUNING_CASES_FEW).contains(&sets.tuning.cases.len()) {
        warnings.push(format!(
            "{} for tuning: with {TUNING_CASES_FEW} or more, ranges and choices settle",
            units::plural(sets.tuning.cases.len() as u64, "case")
        ));
    }
    warnings
}

/// What has to be seen of the program. Halves are fine enough as they are, unless others are to stand in for what is pruned.
fn observed(settings: &Settings) -> Observe {
    match (settings.scheme, settings.prune) {
        (Scheme::Fp16, None | Some(Prune::Channels(_))) => Observe::NOTHING,
        _ => Observe::ALL,
    }
}

/// Looks at the held-out set.
fn prove(search: &mut Search<'_>, found: &Found, judge: &Judge<'_>, sets: &Sets) -> Result<Option<Proof>, Error> {
    if sets.held_out.cases.is_empty() {
        return Ok(None);
    }
    (search.progress)(Stage::Gate, 0, 1);
    let answers = search.trial.answers(&found.applied.program, &sets.held_out.cases)?;
    let score = judge.score(&answers)?;
    let verdict = self::judge(&score.outcome, search.settings.max_loss, search.settings.gate);
    (search.progress)(Stage::Gate, 1, 1);
    Ok(Some(Proof::new(judge.metric(), &score.outcome, verdict, decibels(score.noise))))
}

fn layer_records(layers: &[Layer], found: &Found) -> Vec<LayerRecord> {
    let record = |(index, layer): (usize, &Layer)| {
        let known = found.sensitivities.as_ref().and_then(|known| *known.get(index)?);
        let tensors = found.applied.tensors.iter().filter(|tensor| tensor.layer == index);
        let bytes_after: u64 = tensors.map(|tensor| tensor.bytes_after).sum();
        LayerRecord {
            name: layer.name.clone(),
            op: layer.op.clone(),
            elements: layer.elements,
            bytes_after: if bytes_after == 0 { layer.elements.saturating_mul(4) } else { bytes_after },
            int8_sqnr_db: known.map(|known| decibels(known.unit_noise / (127.0 * 127.0)) as f32),
        }
    };
    layers.iter().enumerate().map(record).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quantize::settings::Objective;

    fn layer(name: &str, op: &str, elements: u64) -> Layer {
        Layer {
            node: 0,
            name: name.into(),
            op: op.into(),
            input: None,
            weights: Vec::new(),
            axis: 0,
            elements,
            integer: false,
        }
    }

    fn settings(include: &[&str], exclude: &[&str]) -> Settings {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        Settings {
            scheme: Scheme::Q4,
            max_loss: Some(0.01),
            gate: GateMode::Point,
            metric: None,
            objective: Objective::Size,
            exclude: owned(exclude),
            include: owned(include),
            processor: None,
            prune: None,
        }
    }

    #[test]
    fn layers_are_chosen_by_name_operator_and_size() {
        let layers = [layer("stem", "Conv", 500), layer("body.1", "Conv", 5000), layer("head", "Gemm", 5000)];
        let chosen = |include: &[&str], exclude: &[&str]| eligible(&layers, &settings(include, exclude)).ok();
        assert_eq!(chosen(&[], &[]), Some(vec![false, true, true]));
        for scheme in [Scheme::Auto, Scheme::Q8, Scheme::Fp16] {
            let finer = Settings { scheme, ..settings(&[], &[]) };
            assert_eq!(eligible(&layers, &finer).ok(), Some(vec![true; 3]), "{scheme:?}");
        }
        assert_eq!(chosen(&[], &["Conv"]), Some(vec![false, false, true]));
        assert_eq!(chosen(&["stem", "head"], &[]), Some(vec![true, false, true]));
        assert_eq!(chosen(&[], &["body*"]), Some(vec![false, false, true]));
        assert_eq!(chosen(&["Conv"], &["stem"]), Some(vec![false, true, false]));
        assert_eq!(chosen(&[], &["Conv", "Gemm"]), None, "nothing is left");
        assert_eq!(chosen(&[], &["hed"]), None);
    }

    #[test]
    fn a_name_that_is_none_is_refused_with_the_one_that_was_meant() {
        let layers = [layer("stem", "Conv", 5000), layer("head", "Gemm", 5000)];
        let error = eligible(&layers, &settings(&[], &["hed"])).unwrap_err();
        assert_eq!(error.hint().unwrap(), "did you mean `head`?");
        let error = eligible(&layers, &settings(&["x"], &[])).unwrap_err();
        assert_eq!(error.hint().unwrap(), "layers are stem, head");
    }
}
