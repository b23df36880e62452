//! One thing to build, with every setting decided: flags, then `PACKAGER_*`, then `packager.toml`, then defaults.

use super::{Config, FILE_NAME, InputConfig, ModelConfig, OutputConfig, OutputContent};
use crate::args::{BuildArgs, BuildFormat, NamedConstant, NamedShape, Percent};
use crate::error::Error;
use crate::quantize::settings::{Scheme, Settings};
use crate::suggest;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Version of a model that nobody gave one.
const DEFAULT_VERSION: &str = "0.1.0";

/// What a search may lose where nobody says.
const DEFAULT_LOSS: f64 = 0.01;

/// Longest name that a reader accepts.
const NAME_BYTES_MAX: usize = 64;

/// One thing to build.
#[derive(Debug, Clone, PartialEq)]
pub struct Target {
    /// The model's name.
    pub name: String,
    /// The ONNX file.
    pub source: PathBuf,
    /// What is written.
    pub format: BuildFormat,
    /// Where it goes.
    pub output: PathBuf,
    /// Semantic version.
    pub version: String,
    /// One line; may be empty.
    pub description: String,
    /// SPDX expression; may be empty.
    pub licence: String,
    /// Shapes that inputs are pinned to, sorted by name.
    pub shapes: Vec<NamedShape>,
    /// Inputs that become constants, sorted by name.
    pub constants: Vec<NamedConstant>,
    /// Inputs with reference answers.
    pub evaluate: Option<PathBuf>,
    /// Typical inputs.
    pub calibrate: Option<PathBuf>,
    /// Largest loss of right answers.
    pub max_loss: Option<Percent>,
    /// How it is quantized, if at all.
    pub quantize: Option<Settings>,
    /// Private key to sign with.
    pub sign: Option<PathBuf>,
    /// Longest that one run may take, in milliseconds; 0: not stated.
    pub deadline_ms: u32,
    /// Most memory that a session may hold, in bytes; `None`: to be measured.
    pub peak_memory_bytes: Option<u64>,
    /// The model card (Markdown); `None`: to be written from the rest.
    pub card: Option<PathBuf>,
    /// Targets that the publisher tested.
    pub target_hints: Vec<String>,
    /// What the inputs mean, by name.
    pub inputs: BTreeMap<String, InputConfig>,
    /// What the outputs mean, by name. Paths of labels are resolved.
    pub outputs: BTreeMap<String, OutputConfig>,
}

/// Everything that one `packager build` builds, in the order of names.
///
/// # Errors
/// [`Error::Usage`]: nothing to build, an unknown name, or flags that fit one model given for several.
/// [`Error::Read`]: a configuration that was asked for is not there.
pub fn targets(args: &BuildArgs) -> Result<Vec<Target>, Error> {
    let path = match (&args.config, &args.model) {
        (Some(path), _) => path.clone(),
        (None, Some(model)) => folder_of(model).join(FILE_NAME),
        (None, None) => PathBuf::from(FILE_NAME),
    };
    let config = if path.exists() || args.config.is_some() { Some(Config::load(&path)?) } else { None };
    let folder = folder_of(&path);
    match &args.model {
        Some(model) => Ok(vec![for_model(args, model, config.as_ref(), &folder)?]),
        None => {
            let config = config.ok_or_else(|| {
                Error::usage_with_hint(
                    format!("no model is named, and there is no {FILE_NAME} here"),
                    "name a model: `packager build model.onnx`; or write the file: `packager init model.onnx`",
                )
            })?;
            from_config(args, &config, &folder).map_err(|error| error.in_file(&path))
        }
    }
}

/// The settings of the model that the command line names: those of the configuration's entry with that source.
fn for_model(args: &BuildArgs, model: &Path, config: Option<&Config>, folder: &Path) -> Result<Target, Error> {
    let same = |source: &Path| match (folder.join(source).canonicalize(), model.canonicalize()) {
        (Ok(a), Ok(b)) => a == b,
        _ => folder.join(source) == model,
    };
    let mut entries = config
        .into_iter()
        .flat_map(|config| &config.models)
        .filter(|(_, entry)| entry.source.as_deref().is_some_and(same));
    let target = match (entries.next(), entries.next()) {
        (Some((first, _)), Some((second, _))) => {
            return Err(Error::usage_with_hint(
                format!("{FILE_NAME} builds both `{first}` and `{second}` from this file"),
                "choose one with --only NAME instead of naming the file",
            ));
        }
        (Some((name, entry)), None) => Target::new(name, entry, model.to_owned(), folder, args)?,
        (None, _) => {
            let name = default_name(model);
            let mut target = Target::new(&name, &ModelConfig::default(), model.to_owned(), folder, args)?;
            // Nothing says where: where the command runs, as a compiler does.
            target.output = file_name(&name, target.format);
            target
        }
    };
    target.overridden(args)
}

fn from_config(args: &BuildArgs, config: &Config, folder: &Path) -> Result<Vec<Target>, Error> {
    let mut all: Vec<(String, Target)> = Vec::new();
    for (name, entry) in &config.models {
        let source = entry.source.as_ref().ok_or_else(|| Error::usage(format!("[model.{name}] names no `source`")))?;
        all.push((name.clone(), Target::new(name, entry, folder.join(source), folder, args)?));
        for (variant, settings) in &entry.variant {
            let merged = entry.with(settings);
            let source = merged.source.as_ref().unwrap_or(source);
            let target = Target::new(&format!("{name}-{variant}"), &merged, folder.join(source), folder, args)?;
            all.push((format!("{name}/{variant}"), target));
        }
    }
    for wanted in &args.only {
        if !all.iter().any(|(name, _)| name == wanted) {
            let known = all.iter().map(|(name, _)| name.as_str());
            let hint = match suggest::closest(wanted, known.clone()) {
                Some(close) => format!("did you mean `{close}`?"),
                None => format!("known: {}", known.collect::<Vec<_>>().join(", ")),
            };
            return Err(Error::usage_with_hint(format!("there is no model `{wanted}`"), hint));
        }
    }
    if !args.only.is_empty() {
        all.retain(|(name, _)| args.only.contains(name));
    }
    if all.is_empty() {
        return Err(Error::usage("the configuration names no model"));
    }
    let of_one_model =
        args.name.is_some() || args.output.is_some() || !args.shape.is_empty() || !args.constant.is_empty();
    if of_one_model && all.len() > 1 {
        return Err(Error::usage_with_hint(
            format!("--name, --output, --shape and --constant are about one model, and {} are to be built", all.len()),
            "choose one with --only NAME",
        ));
    }
    let targets: Vec<Target> = all.into_iter().map(|(_, target)| target.overridden(args)).collect::<Result<_, _>>()?;
    for (index, target) in targets.iter().enumerate() {
        if let Some(other) = targets[..index].iter().find(|other| other.output == target.output) {
            return Err(Error::usage(format!(
                "`{}` and `{}` would both be written to {}",
                other.name,
                target.name,
                target.output.display()
            )));
        }
    }
    Ok(targets)
}

impl ModelConfig {
    /// These settings with those of flags over them, if the model is to be quantized. A budget that nobody named is that of
    /// [`DEFAULT_LOSS`] where schemes are chosen by it.
    fn quantization(&self, args: &BuildArgs) -> Result<Option<Settings>, Error> {
        let flags = &args.quantization;
        let lists = |flags: &[String], entry: &Option<Vec<String>>| match flags {
            [] => entry.clone().unwrap_or_default(),
            flags => flags.to_vec(),
        };
        let Some(scheme) = args.quantize.or(self.quantize) else {
            let names = [
                ("--gate", flags.gate.is_some()),
                ("--metric", flags.metric.is_some()),
                ("--objective", flags.objective.is_some()),
                ("--exclude", !flags.exclude.is_empty()),
                ("--include", !flags.include.is_empty()),
                ("--target", flags.target.is_some()),
                ("--prune", flags.prune.is_some()),
            ];
            return match names.iter().find(|(_, given)| *given) {
                None => Ok(None),
                Some((name, _)) => Err(Error::usage_with_hint(
                    format!("{name} says how to quantize, and nothing is to be quantized"),
                    "add --quantize auto, or another scheme",
                )),
            };
        };
        let stated = args.max_loss.or(self.max_loss).map(|percent| percent.fraction);
        let budget = if scheme == Scheme::Auto { stated.or(Some(DEFAULT_LOSS)) } else { stated };
        Ok(Some(Settings {
            scheme,
            max_loss: budget,
            gate: flags.gate.or(self.gate).unwrap_or_default(),
            metric: flags.metric.or(self.metric),
            objective: flags.objective.or(self.objective).unwrap_or_default(),
            exclude: lists(&flags.exclude, &self.exclude),
            include: lists(&flags.include, &self.include),
            processor: flags.target.or(self.target),
            prune: flags.prune.or(self.prune).map(|prune| prune.0),
        }))
    }

    /// These settings with those of a variant over them.
    fn with(&self, variant: &ModelConfig) -> ModelConfig {
        let mut merged = self.clone();
        merged.variant.clear();
        // Two variants never share a file.
        merged.output = variant.output.clone();
        fn take<T: Clone>(into: &mut Option<T>, from: &Option<T>) {
            if from.is_some() {
                into.clone_from(from);
            }
        }
        take(&mut merged.source, &variant.source);
        take(&mut merged.format, &variant.format);
        take(&mut merged.version, &variant.version);
        take(&mut merged.description, &variant.description);
        take(&mut merged.licence, &variant.licence);
        take(&mut merged.evaluate, &variant.evaluate);
        take(&mut merged.calibrate, &variant.calibrate);
        take(&mut merged.max_loss, &variant.max_loss);
        take(&mut merged.quantize, &variant.quantize);
        take(&mut merged.gate, &variant.gate);
        take(&mut merged.metric, &variant.metric);
        take(&mut merged.objective, &variant.objective);
        take(&mut merged.exclude, &variant.exclude);
        take(&mut merged.include, &variant.include);
        take(&mut merged.target, &variant.target);
        take(&mut merged.prune, &variant.prune);
        take(&mut merged.sign, &variant.sign);
        take(&mut merged.deadline_ms, &variant.deadline_ms);
        take(&mut merged.peak_memory_bytes, &variant.peak_memory_bytes);
        take(&mut merged.card, &variant.card);
        take(&mut merged.target_hints, &variant.target_hints);
        replace(&mut merged.shapes, &variant.shapes, |shape| &shape.name);
        replace(&mut merged.constants, &variant.constants, |constant| &constant.name);
        merged.inputs.extend(variant.inputs.clone());
        merged.outputs.extend(variant.outputs.clone());
        merged
    }
}

/// Replaces the entries of the same name, adds the others, and sorts.
fn replace<T: Clone>(into: &mut Vec<T>, from: &[T], name: impl Fn(&T) -> &String) {
    into.retain(|old| !from.iter().any(|new| name(new) == name(old)));
    into.extend_from_slice(from);
    into.sort_by(|a, b| name(a).cmp(name(b)));
}

impl Target {
    fn new(name: &str, entry: &ModelConfig, source: PathBuf, folder: &Path, args: &BuildArgs) -> Result<Target, Error> {
        let resolved = |path: &Option<PathBuf>| path.as_ref().map(|path| folder.join(path));
        let mut outputs = entry.outputs.clone();
        for output in outputs.values_mut() {
            if let OutputContent::Classes { labels } | OutputContent::Ctc { labels, .. } = &mut output.content {
                *labels = folder.join(&*labels);
            }
        }
        let format = entry.format.unwrap_or_default();
        let mut target = Target {
            name: name.to_owned(),
            source,
            format,
            output: resolved(&entry.output).unwrap_or_else(|| folder.join(file_name(name, format))),
            version: entry.version.clone().unwrap_or_else(|| DEFAULT_VERSION.to_owned()),
            description: entry.description.clone().unwrap_or_default(),
            licence: entry.licence.clone().unwrap_or_default(),
            shapes: entry.shapes.clone(),
            constants: entry.constants.clone(),
            evaluate: resolved(&entry.evaluate),
            calibrate: resolved(&entry.calibrate),
            max_loss: entry.max_loss,
            quantize: entry.quantization(args)?,
            sign: resolved(&entry.sign),
            deadline_ms: entry.deadline_ms.unwrap_or(0),
            peak_memory_bytes: entry.peak_memory_bytes,
            card: resolved(&entry.card),
            target_hints: entry.target_hints.clone().unwrap_or_default(),
            inputs: entry.inputs.clone(),
            outputs,
        };
        target.shapes.sort_by(|a, b| a.name.cmp(&b.name));
        target.constants.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(target)
    }

    fn overridden(mut self, args: &BuildArgs) -> Result<Target, Error> {
        let folder = folder_of(&self.output);
        // A name from the configuration is that of the format there: a module does not replace the bundle.
        let default_output = self.output == folder.join(file_name(&self.name, self.format))
            || args.format.is_some_and(|format| format != self.format);
        if let Some(name) = &args.name {
            self.name.clone_from(name);
        }
        self.format = args.format.unwrap_or(self.format);
        if default_output {
            self.output = folder.join(file_name(&self.name, self.format));
        }
        if let Some(output) = &args.output {
            self.output.clone_from(output);
        }
        if let Some(version) = &args.model_version {
            self.version.clone_from(version);
        }
        if let Some(description) = &args.description {
            self.description.clone_from(description);
        }
        if let Some(licence) = &args.licence {
            self.licence.clone_from(licence);
        }
        replace(&mut self.shapes, &args.shape, |shape| &shape.name);
        replace(&mut self.constants, &args.constant, |constant| &constant.name);
        self.evaluate = args.evaluate.clone().or(self.evaluate);
        self.calibrate = args.calibrate.clone().or(self.calibrate);
        self.max_loss = args.max_loss.or(self.max_loss);
        self.sign = args.sign.clone().or(self.sign);
        check_name(&self.name)?;
        check_version(&self.version)?;
        Ok(self)
    }
}

fn check_name(name: &str) -> Result<(), Error> {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_.".contains(c);
    let first = name.chars().next().is_some_and(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
    if first && name.len() <= NAME_BYTES_MAX && name.chars().all(allowed) {
        return Ok(());
    }
    Err(Error::usage_with_hint(
        format!("`{name}` cannot be a model's name"),
        "up to 64 lower case letters, digits, `-`, `_` and `.`, a letter or digit first; --name gives another",
    ))
}

fn check_version(version: &str) -> Result<(), Error> {
    match semver::Version::parse(version) {
        Ok(_) => Ok(()),
        Err(why) => Err(Error::usage_with_hint(
            format!("`{version}` is not a semantic version: {why}"),
            "three numbers, for example 1.0.0",
        )),
    }
}

/// The file's name where nothing says another.
fn file_name(model: &str, format: BuildFormat) -> PathBuf {
    PathBuf::from(format!("{model}.{}", format.extension()))
}

/// The name of a model that nobody named: its file's, in the letters that names may have.
pub fn default_name(model: &Path) -> String {
    let stem = model.file_stem().map(|stem| stem.to_string_lossy().to_lowercase()).unwrap_or_default();
    let name: String =
        stem.chars().map(|c| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '-' }).collect();
    let name = name.trim_matches(['-', '.', '_']);
    if name.is_empty() { "model".to_owned() } else { name.to_owned() }
}

fn folder_of(path: &Path) -> PathBuf {
    path.parent().map(Path::to_owned).unwrap_or_default()
}
