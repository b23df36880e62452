//! Engines that lie: each computes one operator of a program wrongly, which nothing but the golden cases can tell.

use super::{FREE, bundle, manifest, open, options, port};
use pannier::manifest::{Content, Manifest};
use pannier::{Code, DType, Dim, Engine, EngineError, Executor, Options, Program, Tensor, TractEngine, inputs};
use pannier_engine::golden::{Case, Golden, Reference, Stored, Tolerance};
use pannier_engine::{Prepared, ProgramBuilder, RunBudget, Unsupported};
use pannier_graph::{Attribute, Graph, Literal, Node, ValueId};
use std::sync::Arc;

/// What is wrong with an engine.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Lie {
    /// Nothing: what the others do is not the wrapper's doing.
    None,
    /// `Relu` lets a hundredth of what is negative through.
    Leak,
    /// Every result of `MatMul` is a hundredth too large, as of a product in too few bits.
    Drift,
    /// `Add` forgets its second operand's sign.
    Sign,
}

/// An engine that computes another program than the one that it is given.
struct Liar<E>(E, Lie);

impl<E: Engine> Engine for Liar<E> {
    fn name(&self) -> &'static str {
        "liar"
    }

    fn supports(&self, graph: &Graph) -> Result<(), Vec<Unsupported>> {
        self.0.supports(graph)
    }

    fn prepare(&self, program: &Program, budget: &RunBudget<'_>) -> Result<Box<dyn Prepared>, EngineError> {
        let graph = Arc::new(rewritten(&program.graph, self.1));
        self.0.prepare(&Program { graph, sections: program.sections.clone() }, budget)
    }
}

fn rewritten(graph: &Graph, lie: Lie) -> Graph {
    let mut graph = graph.clone();
    for node in std::mem::take(&mut graph.body.nodes) {
        match (lie, node.op.as_str()) {
            (Lie::Leak, "Relu") => {
                let attributes = vec![("alpha".into(), Attribute::Float(0.01))];
                graph.body.nodes.push(Node { op: "LeakyRelu".into(), attributes, ..node });
            }
            (Lie::Sign, "Add") => graph.body.nodes.push(Node { op: "Sub".into(), ..node }),
            (Lie::Drift, "MatMul") => {
                let (right, factor) = (value(&mut graph, "right"), value(&mut graph, "factor"));
                let literal = Literal { dtype: DType::F32, shape: vec![], bytes: 1.01f32.to_le_bytes().to_vec() };
                let constant = vec![("value".into(), Attribute::Tensor(literal))];
                let outputs = node.outputs.clone();
                graph.body.nodes.extend([
                    Node { outputs: vec![Some(right)], ..node },
                    another("Constant", vec![], vec![Some(factor)], constant),
                    another("Mul", vec![Some(right), Some(factor)], outputs, vec![]),
                ]);
            }
            _ => graph.body.nodes.push(node),
        }
    }
    graph
}

fn value(graph: &mut Graph, name: &str) -> ValueId {
    graph.values.push(name.into());
    ValueId(u32::try_from(graph.values.len() - 1).unwrap())
}

fn another(
    op: &str,
    inputs: Vec<Option<ValueId>>,
    outputs: Vec<Option<ValueId>>,
    attributes: Vec<(String, Attribute)>,
) -> Node {
    Node {
        name: format!("a {op} that nobody wrote"),
        domain: String::new(),
        op: op.into(),
        inputs,
        outputs,
        attributes,
    }
}

/// `y = relu(x w + b)`, with a case in which parts of the sum are negative.
fn layer() -> (Program, Manifest, Golden) {
    let rows = || vec![Dim::Symbol("n".into()), Dim::Fixed(2)];
    let mut builder = ProgramBuilder::new();
    let x = builder.input("x", DType::F32, &rows());
    let w = builder.weight("w", &Tensor::from_slice([2, 2], &[1.0f32, -2.0, 0.5, 1.0]).unwrap());
    let b = builder.weight("b", &Tensor::from_slice([2], &[0.25f32, -0.5]).unwrap());
    let product = builder.node("MatMul", &[x, w]);
    let sum = builder.node("Add", &[product, b]);
    let y = builder.node("Relu", &[sum]);
    builder.output("y", y);
    let ports = |name: &str| vec![port(name, &rows(), Content::Tensor)];
    let case = Case {
        name: "000".into(),
        inputs: vec![Stored::new(input().view())],
        outputs: vec![Reference::sample(answer().view(), 100)],
    };
    let tolerance = Tolerance { absolute: 1e-4, relative: 1e-3, norm: 0.0 };
    (builder.build(), manifest(ports("x"), ports("y"), FREE), Golden { tolerance, cases: vec![case] })
}

fn input() -> Tensor {
    Tensor::from_slice([2, 2], &[1.0f32, 2.0, -1.0, 3.0]).unwrap()
}

fn answer() -> Tensor {
    // x w + b is [[2.25, -0.5], [0.75, 4.5]].
    Tensor::from_slice([2, 2], &[2.25f32, 0.0, 0.75, 4.5]).unwrap()
}

fn engines(lie: Lie) -> Vec<(&'static str, Arc<dyn Engine>)> {
    vec![("executor", Arc::new(Liar(Executor::new(), lie))), ("tract", Arc::new(Liar(TractEngine::new(), lie)))]
}

#[test]
fn the_golden_cases_tell_an_engine_that_lies_and_the_next_one_answers() {
    let (program, manifest, golden) = layer();
    let file = bundle((program, manifest), Some(golden));
    for lie in [Lie::Leak, Lie::Drift, Lie::Sign] {
        for (below, liar) in engines(lie) {
            let honest = Arc::new(Executor::new()) as Arc<dyn Engine>;
            let session = open(file.clone(), &options(vec![liar.clone(), honest])).unwrap();
            let report = session.report();
            let rejected: Vec<_> = report.rejected.iter().map(|it| (it.engine, it.error.code())).collect();
            assert_eq!((report.engine, rejected), ("executor", vec![("liar", Code::Accuracy)]), "{lie:?} over {below}");
            let outputs = session.run(inputs! { "x" => input() }).unwrap();
            assert_eq!(outputs.get("y"), Some(&answer()), "{lie:?} over {below}");

            let alone = open(file.clone(), &options(vec![liar.clone()])).unwrap_err();
            assert_eq!(alone.code(), Code::Accuracy, "{lie:?} over {below}");

            // It is the self-test that tells: without it, the lie goes through.
            let untested = Options { self_test: false, ..options(vec![liar]) };
            let outputs = open(file.clone(), &untested).unwrap().run(inputs! { "x" => input() }).unwrap();
            assert_ne!(outputs.get("y"), Some(&answer()), "{lie:?} over {below}");
        }
    }
}

#[test]
fn an_engine_behind_the_same_wrapper_that_does_not_lie_is_taken() {
    let (program, manifest, golden) = layer();
    let file = bundle((program, manifest), Some(golden));
    for (below, engine) in engines(Lie::None) {
        let session = open(file.clone(), &options(vec![engine])).unwrap();
        assert_eq!((session.report().engine, session.report().rejected.len()), ("liar", 0), "over {below}");
    }
}
