//! Loads two bundles into one sandbox and answers from both at the same time, on several threads.
//!
//! ```console
//! $ cargo run --release -p pannier-wasmtime --example two_models -- one.pannier other.pannier [PUBLIC-KEY.pem]
//! ```
//!
//! The questions are the golden cases that the bundles carry: real inputs of their models. Without a key, bundles are
//! run unsigned.

use pannier::PublicKey;
use pannier::manifest::Content;
use pannier_bundle::Bundle;
use pannier_engine::golden::Golden;
use pannier_wasmtime::{
    Config, Error, Event, Inputs, Limits, LoadOptions, Outputs, Sandbox, SandboxedModel, State, Trust,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Threads that answer.
const THREADS: usize = 4;

/// Questions per model.
const QUESTIONS: usize = 20;

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (paths, key) = match arguments.as_slice() {
        [one, other] => ([one, other], None),
        [one, other, key] => ([one, other], Some(key)),
        _ => return Err("usage: two_models ONE.pannier OTHER.pannier [PUBLIC-KEY.pem]".into()),
    };
    let trust = match key {
        Some(path) => Trust::Keys(vec![PublicKey::from_pem(&std::fs::read_to_string(path)?)?]),
        None => Trust::AllowUnsigned,
    };

    // One sandbox for the whole program: the guest is compiled once, and the second start takes it from the cache.
    let sandbox = Sandbox::new(&Config {
        limits: Limits { deadline: Some(Duration::from_secs(10)), ..Limits::default() },
        on_event: Some(Arc::new(|event| match event {
            Event::Compiling { .. } => eprintln!("compiling the guest, once"),
            Event::CacheRejected { path, why } => eprintln!("{} is not used: {why}", path.display()),
            _ => {}
        })),
        ..Config::default()
    })?;
    let mut models = Vec::new();
    for path in paths {
        let bundle = std::fs::read(path)?;
        let model = sandbox.load(&bundle, &trust, &LoadOptions::default())?;
        let report = model.report();
        println!(
            "{} {}: ready after {:.0} ms{}, {:.1} MiB shared by all of its instances",
            model.manifest().name,
            model.manifest().version,
            report.load.total_ms(),
            if report.from_cache { " from the cache" } else { "" },
            to_mib(report.image_bytes),
        );
        let questions = questions(&bundle, &trust, &model)?;
        models.push((model, questions));
    }

    // Threads take the next question, whichever model it is for.
    let (next, start) = (AtomicUsize::new(0), Instant::now());
    let failed = thread::scope(|scope| {
        let answering = || -> Result<(), Failure> {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                let (question, which) = (number / models.len(), number % models.len());
                if question >= QUESTIONS {
                    return Ok(());
                }
                let (model, questions) = &models[which];
                answer(number, model, &questions[question % questions.len()])?;
            }
        };
        let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(answering)).collect();
        threads.into_iter().filter_map(|thread| thread.join().ok()?.err()).next()
    });
    if let Some(error) = failed {
        return Err(error);
    }
    println!("{} answers in {:.0} ms", QUESTIONS * models.len(), start.elapsed().as_secs_f64() * 1e3);
    Ok(())
}

/// Answers one question in an instance of its own, and prints the answer with its time.
fn answer(number: usize, model: &SandboxedModel, question: &Inputs<'_>) -> Result<(), Failure> {
    let start = Instant::now();
    let outputs = match model.step(&mut State::new(), question) {
        Ok(outputs) => outputs,
        // A bundle that misbehaves costs its own answer, and nobody else's.
        Err(error @ (Error::Trap { .. } | Error::Deadline { .. } | Error::Memory { .. })) => {
            println!("{number:3} {}: {error} ({})", model.manifest().name, error.code());
            return Ok(());
        }
        Err(error) => return Err(error.into()),
    };
    let took_ms = start.elapsed().as_secs_f64() * 1e3;
    println!("{number:3} {:<12} {took_ms:8.2} ms  {}", model.manifest().name, sentence(model, &outputs));
    Ok(())
}

/// The best class, where the manifest says that there are classes; else the first numbers of each output.
fn sentence(model: &SandboxedModel, outputs: &Outputs) -> String {
    for port in &model.manifest().outputs {
        let Content::Classes { labels } = &port.content else { continue };
        let names = usize::try_from(*labels).ok().and_then(|index| model.labels().get(index));
        let scores = outputs.get(&port.name).and_then(|tensor| tensor.as_slice::<f32>());
        let best = scores.and_then(|scores| scores.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1)));
        if let (Some(names), Some((index, score))) = (names, best) {
            return format!("{} ({score:.3})", names.get(index).map_or("?", String::as_str));
        }
    }
    let tensors: Vec<_> = outputs.iter().map(|(name, tensor)| format!("{name} {tensor:?}")).collect();
    tensors.join(", ")
}

/// The inputs of a bundle's golden cases.
fn questions(bundle: &[u8], trust: &Trust, model: &SandboxedModel) -> Result<Vec<Inputs<'static>>, Failure> {
    let now_unix_s = LoadOptions::default().now_unix_s;
    let verified = Bundle::open(bundle, &pannier::Limits::default())?.verify(trust, now_unix_s)?;
    let golden = Golden::decode(&verified.read("golden")?)?;
    let names = || model.manifest().inputs.iter().map(|port| port.name.clone());
    let inputs = golden.cases.iter().map(|case| {
        let tensors = case.inputs.iter().map(|stored| stored.tensor());
        let named = names().zip(tensors).map(|(name, tensor)| Ok((name, tensor?)));
        named.collect::<Result<Inputs<'static>, Failure>>()
    });
    inputs.collect()
}

fn to_mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}
