//! Raw files through the `packager` binary: pictures and a sound of the real models, read as a user has them read.
//!
//! The cases beside a model hold tensors that were made of such files by others, with ONNX Runtime's answers. Where a
//! picture becomes exactly the tensor of a case, what is printed must be what that answer says. The files differ from
//! one folder of models to another, so nothing here knows what is in them but from the files themselves.

use crate::support::examples::{self, BUNDLE};
use crate::support::packager::Ran;
use crate::support::{Failures, model, packager, temp_dir};
use pannier::{Options, Session, Tensor, Trust};
use pannier_packager::content::{Answer, Area, Case, CaseFile, Feed, Label, Reading, answer};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// Most characters that the model may read wrongly in a line.
const MISREAD: usize = 2;

/// Most by which a probability may differ from ONNX Runtime's.
const TOLERANCE: f64 = 1e-3;

#[test]
fn lines_of_text_read_as_the_reference_reads_them() {
    let sampled = Sampled::build("ocr-rec");
    let lines = sampled.files("png");
    let (document, cases) = (sampled.run(&lines), sampled.cases());
    let mut failures = Failures::default();
    let (mut known, mut answered) = (0, 0);
    for (index, line) in lines.iter().enumerate() {
        failures.check(line.display(), || {
            let answers = answers(&document, index);
            let printed = text_at(&answers[0], "/rows/0/text").to_owned();
            let drawn = std::fs::read_to_string(line.with_extension("txt")).expect("its text lies beside it");
            let misread = distance(&printed, &drawn);
            let case = sampled.same_tensor(line, &cases);
            known += usize::from(case.is_some());
            let read = case.and_then(|case| sampled.reference(case, (1.0, 1.0)));
            answered += usize::from(read.is_some());
            println!("{}: `{printed}`, drawn `{drawn}`, {misread} misread, {}", name(line), origin(case));
            if let Some(Answer::Text { rows, .. }) = read
                && rows[0].text != printed
            {
                return Err(format!("`{printed}`, but ONNX Runtime's answer says `{}`", rows[0].text));
            }
            match case.and_then(|case| case.label.as_ref()) {
                Some(Label::Text(label)) if *label != drawn => Err(format!("drawn as `{drawn}` and `{label}`")),
                _ if misread > MISREAD => Err(format!("`{printed}` for `{drawn}`: {misread} characters differ")),
                _ => Ok(()),
            }
        });
    }
    println!("ocr-rec: {} pictures, {known} the tensor of a case, {answered} with an answer", lines.len());
    failures.assert_none();
    assert!(known > 0, "no picture becomes the tensor of a case");
}

#[test]
fn regions_of_a_page_are_its_lines_of_text() {
    let sampled = Sampled::build("ocr-det");
    let pages = sampled.files("png");
    let (document, cases) = (sampled.run(&pages), sampled.cases());
    let mut failures = Failures::default();
    let mut known = 0;
    for (index, page) in pages.iter().enumerate() {
        failures.check(page.display(), || {
            let answers = answers(&document, index);
            let regions: Vec<Region> = list(&answers[0], "/regions").iter().map(Region::printed).collect();
            let mut feed = Feed::open(page, sampled.session.manifest()).expect("the page is readable");
            let tensor = feed.read(0).expect("a page is one case").inputs.remove(0).1;
            let lines: Vec<_> = bands(&tensor).into_iter().map(|band| scaled(band, feed.scale().1)).collect();
            let case = sampled.same_tensor(page, &cases);
            known += usize::from(case.is_some());
            println!("{}: {} regions, {} lines, {}", name(page), regions.len(), lines.len(), origin(case));

            let lies_in = |region: &Region, line: &(f64, f64)| line.0 <= region.middle() && region.middle() <= line.1;
            if let Some(line) = lines.iter().find(|line| !regions.iter().any(|region| lies_in(region, line))) {
                return Err(format!("no region is in the line of text at {line:?}: {regions:?}"));
            }
            if let Some(region) = regions.iter().find(|region| !lines.iter().any(|line| lies_in(region, line))) {
                return Err(format!("no text is in {region:?}: lines at {lines:?}"));
            }
            match case.and_then(|case| sampled.reference(case, feed.scale())) {
                Some(Answer::Regions { regions: reference, .. }) => same_regions(&regions, &reference),
                _ => Ok(()),
            }
        });
    }
    println!("ocr-det: {} pages, {known} the tensor of a case", pages.len());
    failures.assert_none();
    assert!(known > 0, "no page becomes the tensor of a case");
}

#[test]
fn speech_is_found_in_a_sound() {
    let sampled = Sampled::build("silero-vad");
    let sounds = sampled.files("wav");
    let (document, cases) = (sampled.run(&sounds), sampled.cases());
    let mut failures = Failures::default();
    for (index, sound) in sounds.iter().enumerate() {
        failures.check(sound.display(), || {
            let file = &list(&document, "/files")[index];
            let frames: Vec<(f64, f64)> = list(file, "/runs")
                .iter()
                .map(|run| (number_at(run, "/start_s"), number_at(run, "/answers/0/values/0")))
                .collect();
            let ranges = list(file, "/ranges");
            println!("{}: {} frames, speech in {ranges:?}", name(sound), frames.len());
            if let Some(frame) = frames.iter().find(|(_, probability)| !(0.0..=1.0).contains(probability)) {
                return Err(format!("{frame:?} is no probability"));
            }
            if ranges.is_empty() {
                return Err("no speech".to_owned());
            }
            let mut last_end_s = 0.0;
            for range in ranges {
                let (start_s, end_s) = (number_at(range, "/start_s"), number_at(range, "/end_s"));
                let within = |(frame_s, _): &&(f64, f64)| (start_s..end_s).contains(frame_s);
                let loudest = frames.iter().filter(within).map(|frame| frame.1).fold(0.0, f64::max);
                if !(last_end_s <= start_s && start_s < end_s) || loudest < 0.5 {
                    return Err(format!("{start_s} s to {end_s} s, after {last_end_s} s, at most {loudest}"));
                }
                last_end_s = end_s;
            }
            // Only from the same beginning on is the state the same; a case without an answer ends the comparison.
            let mut feed = Feed::open(sound, sampled.session.manifest()).expect("the sound is readable");
            let same = |index: &usize| {
                let frame = feed.read(*index).expect("the frame is readable").inputs.remove(0);
                cases[*index].inputs.contains(&frame) && !cases[*index].outputs.is_empty()
            };
            let known = (0..frames.len().min(cases.len())).take_while(same).count();
            println!("{}: the first {known} frames are those of the cases", name(sound));
            for (case, (start_s, printed)) in cases.iter().zip(&frames).take(known) {
                let Some(Answer::Probability { values, .. }) = sampled.reference(case, (1.0, 1.0)) else {
                    return Err(format!("case {} has no probability", case.name));
                };
                if (printed - f64::from(values[0])).abs() > TOLERANCE {
                    return Err(format!("at {start_s} s {printed}, ONNX Runtime's answer is {}", values[0]));
                }
            }
            Ok(())
        });
    }
    failures.assert_none();
}

/// A model with sample files, and the bundle that the binary built of it.
struct Sampled {
    model: PathBuf,
    workplace: tempfile::TempDir,
    session: Session,
}

impl Sampled {
    /// `packager build` with the example configuration beside the model's own files.
    fn build(name: &str) -> Sampled {
        let (model, workplace) = (model(name), temp_dir());
        examples::build(name, workplace.path());
        let session = Session::open(workplace.path().join(BUNDLE), &Trust::AllowUnsigned, &Options::default());
        Sampled { session: session.unwrap_or_else(|error| panic!("{name}: {error}")), model, workplace }
    }

    /// The sample files with this ending, sorted; at least one.
    fn files(&self, ending: &str) -> Vec<PathBuf> {
        let samples = self.model.join("samples");
        let entries = std::fs::read_dir(&samples).expect("the model has samples");
        let paths = entries.map(|entry| entry.expect("the folder is readable").path());
        let mut files: Vec<_> = paths.filter(|path| path.extension().is_some_and(|end| end == ending)).collect();
        assert!(!files.is_empty(), "no .{ending} in {}", samples.display());
        files.sort();
        files
    }

    /// What `packager run --json` prints about these files.
    fn run(&self, files: &[PathBuf]) -> Value {
        let options = ["run", BUNDLE, "--allow-unsigned", "--json"].map(PathBuf::from);
        let ran: Ran = packager(self.workplace.path(), options.iter().chain(files)).expect(0);
        let document = ran.json();
        assert_eq!(list(&document, "/files").len(), files.len(), "an entry for every file");
        document
    }

    /// The cases with answers, then those without.
    fn cases(&self) -> Vec<Case> {
        let read = |file: &str| -> Vec<Case> {
            let path = self.model.join(file);
            let mut cases = CaseFile::open(&path, self.session.manifest().into()).expect("the cases fit the model");
            (0..cases.len()).map(|index| cases.read(index).expect("the case is readable")).collect()
        };
        ["evaluation.npz", "calibration.npz"].into_iter().flat_map(read).collect()
    }

    /// The case whose inputs are this file's, bit by bit.
    fn same_tensor<'a>(&self, file: &Path, cases: &'a [Case]) -> Option<&'a Case> {
        let mut feed = Feed::open(file, self.session.manifest()).expect("the sample is readable");
        let inputs = feed.read(0).expect("a picture is one case").inputs;
        cases.iter().find(|case| case.inputs == inputs)
    }

    /// What ONNX Runtime's answer to a case says, if it is there.
    fn reference(&self, case: &Case, scale: (f64, f64)) -> Option<Answer> {
        let reading = Reading { labels: self.session.labels(), top: 1, scale };
        case.outputs.iter().find_map(|(output, tensor)| {
            let port = self.session.manifest().output(output).expect("the model has this output");
            answer(port, tensor, &reading).expect("the description fits")
        })
    }
}

/// A region of a page, in its pixels.
#[derive(Debug)]
struct Region {
    /// Left edge, upper edge, width, height.
    place: [f64; 4],
    probability: f64,
}

impl Region {
    fn printed(region: &Value) -> Region {
        let place = ["/x", "/y", "/width", "/height"].map(|name| number_at(region, name));
        Region { place, probability: number_at(region, "/probability") }
    }

    /// The height at which it lies.
    fn middle(&self) -> f64 {
        self.place[1] + self.place[3] / 2.0
    }
}

/// Equal but for a pixel at an edge, where a last digit decides whether it belongs to the region.
fn same_regions(printed: &[Region], reference: &[Area]) -> Result<(), String> {
    if printed.len() != reference.len() {
        return Err(format!("{} regions, ONNX Runtime's answer has {}", printed.len(), reference.len()));
    }
    for (ours, theirs) in printed.iter().zip(reference) {
        let place = [theirs.x, theirs.y, theirs.width, theirs.height].map(f64::from);
        let apart = ours.place.iter().zip(place).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        if apart > 1.0 || (ours.probability - f64::from(theirs.probability)).abs() > 10.0 * TOLERANCE {
            return Err(format!("{ours:?}, ONNX Runtime's answer has {theirs:?}"));
        }
    }
    Ok(())
}

/// Lines of text on a page with a plain light background: runs of rows with ink, as first row and row behind the last.
fn bands(page: &Tensor) -> Vec<(usize, usize)> {
    let width = page.shape()[3];
    let channel = &page.as_slice::<f32>().expect("pages are binary32")[..page.shape()[2] * width];
    let (least, most) = channel.iter().fold((f32::MAX, f32::MIN), |(l, m), value| (l.min(*value), m.max(*value)));
    let mut bands: Vec<(usize, usize)> = Vec::new();
    for (row, values) in channel.chunks(width).enumerate() {
        if values.iter().all(|value| *value > f32::midpoint(least, most)) {
            continue;
        }
        match bands.last_mut() {
            // The dot of an `i` stands apart.
            Some(band) if row - band.1 <= GAP => band.1 = row + 1,
            _ => bands.push((row, row + 1)),
        }
    }
    bands
}

/// Rows without ink that still lie within a line.
const GAP: usize = 4;

fn scaled(band: (usize, usize), scale: f64) -> (f64, f64) {
    (band.0 as f64 * scale, band.1 as f64 * scale)
}

/// Characters to insert, remove or replace to make one text of the other (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, to) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(from != *to);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

/// The answers about a file that is one run.
fn answers(document: &Value, file: usize) -> &[Value] {
    let runs = list(&list(document, "/files")[file], "/runs");
    assert_eq!(runs.len(), 1, "a picture is one run");
    list(&runs[0], "/answers")
}

fn list<'a>(value: &'a Value, pointer: &str) -> &'a [Value] {
    value.pointer(pointer).and_then(Value::as_array).unwrap_or_else(|| panic!("no list {pointer} in {value}"))
}

fn text_at<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_else(|| panic!("no text {pointer} in {value}"))
}

fn number_at(value: &Value, pointer: &str) -> f64 {
    value.pointer(pointer).and_then(Value::as_f64).unwrap_or_else(|| panic!("no number {pointer} in {value}"))
}

fn name(path: &Path) -> std::borrow::Cow<'_, str> {
    path.file_name().expect("a file has a name").to_string_lossy()
}

fn origin(case: Option<&Case>) -> String {
    match case {
        Some(case) if case.outputs.is_empty() => format!("the tensor of case {}, which has no answer", case.name),
        Some(case) => format!("the tensor of case {}", case.name),
        None => "no case has its tensor".to_owned(),
    }
}
