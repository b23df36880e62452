//! Operators with programs inside. A branch that is known takes its operator's place; other programs become inner ones of their node.

use super::{Import, Stop, label};
use crate::ir::{Constant, Control, Feed, Id, Ir, Nested, NestedBody, Node, Op, Repeat, Steps, Value};
use crate::ops::Refusal;
use crate::{shape, supports};
use pannier_engine::DType;
use pannier_graph::{AlignedBytes, Attribute, Body, Node as GraphNode, ValueId};
use std::collections::HashSet;

/// Whether programs stay inside of their nodes. The small WebAssembly module has no room for what runs them there: whoever would call
/// that asks first, so that it is not linked.
pub(crate) const NESTED: bool = cfg!(any(feature = "nested", not(target_family = "wasm")));

/// An input of an inner program.
struct Given {
    dtype: DType,
    shape: Vec<usize>,
    constant: Option<Constant>,
    feed: Feed,
}

impl Given {
    /// What is like a value of the program around.
    fn like(value: &Value, feed: Feed) -> Given {
        Given { dtype: value.dtype, shape: value.shape.clone(), constant: None, feed }
    }
}

impl Import<'_> {
    /// Imports a node, if it is one of those with programs inside. Whether it was.
    pub(super) fn nested(&mut self, node: &GraphNode, inputs: &[Option<Id>]) -> Result<bool, Stop> {
        match (node.domain.as_str(), node.op.as_str()) {
            ("", "If") => self.choice(node, inputs)?,
            ("", "Loop") if NESTED => self.repeated(node, inputs)?,
            ("", "Scan") if NESTED => self.scanned(node, inputs)?,
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn attribute_body<'n>(&self, node: &'n GraphNode, name: &str) -> Result<&'n Body, Stop> {
        match node.attribute(name) {
            Some(Attribute::Body(body)) => Ok(body),
            _ => Err(self.invalid(label(node), format!("attribute {name} is missing"))),
        }
    }

    /// `If`: the branch that is known to be taken, or both.
    fn choice(&mut self, node: &GraphNode, inputs: &[Option<Id>]) -> Result<(), Stop> {
        let condition = inputs.first().copied().flatten();
        let condition = condition.ok_or_else(|| self.invalid(label(node), "the condition is missing".into()))?;
        let value = &self.ir.values[condition];
        if value.dtype != DType::Bool || value.len() != 1 {
            return Err(self.invalid(label(node), "the condition is not one boolean".into()));
        }
        let known = value.constant.as_ref().map(|constant| constant.bytes() == [1]);
        let (then, or_else) = (self.attribute_body(node, "then_branch")?, self.attribute_body(node, "else_branch")?);
        if [then, or_else].iter().any(|body| body.outputs.len() != node.outputs.len()) {
            return Err(self.invalid(label(node), "a branch has another number of results".into()));
        }
        match known {
            Some(holds) => self.inlined(if holds { then } else { or_else }, &node.outputs),
            None if !NESTED => Err(self.refused(node, inputs, Refusal::NeedsValue(0))),
            None => match self.branches(node, condition, [then, or_else]) {
                // A plan for each value may have the one branch that fits it.
                Err(_) if self.steers(condition) => Err(self.refused(node, inputs, Refusal::NeedsValue(0))),
                result => result,
            },
        }
    }

    /// Whether a value follows from nothing but inputs that are such as steer a program.
    fn steers(&self, id: Id) -> bool {
        let input = |index: &usize| self.graph.body.inputs.get(*index).is_some_and(supports::may_steer);
        !self.depends[id].is_empty() && self.depends[id].iter().all(input)
    }

    fn inlined(&mut self, body: &Body, outputs: &[Option<ValueId>]) -> Result<(), Stop> {
        self.body(body)?;
        for (inner, outer) in body.outputs.iter().zip(outputs) {
            let id = self.resolve(*inner)?;
            if let Some(outer) = outer {
                self.define(*outer, id)?;
            }
        }
        Ok(())
    }

    fn branches(&mut self, node: &GraphNode, condition: Id, bodies: [&Body; 2]) -> Result<(), Stop> {
        let mut operands = vec![Some(condition)];
        let [then, or_else] = bodies.map(|body| self.inner(body, Vec::new(), &mut operands));
        let bodies = vec![then?, or_else?];
        let kinds = |body: &NestedBody| -> Vec<(DType, Vec<usize>)> {
            body.ir.outputs.iter().map(|id| (body.ir.values[*id].dtype, body.ir.values[*id].shape.clone())).collect()
        };
        let results = kinds(&bodies[0]);
        if results != kinds(&bodies[1]) {
            let reason = "branches whose results have different types or shapes".to_string();
            return Err(self.refused(node, &[], Refusal::Unsupported(reason)));
        }
        self.emit(node, Control::Branch, bodies, operands, results)?;
        Ok(())
    }

    /// `Loop`: steps and condition, both of which may be missing, then initial values; its program has the number of the step, the
    /// condition, and the values, and gives the condition, the values, and what is collected.
    fn repeated(&mut self, node: &GraphNode, inputs: &[Option<Id>]) -> Result<(), Stop> {
        let body = self.attribute_body(node, "body")?;
        let carried = self.initial(node, inputs, 2..inputs.len())?;
        let collected = body.outputs.len().checked_sub(1 + carried.len());
        let fits =
            body.inputs.len() == 2 + carried.len() && node.outputs.len() <= carried.len() + collected.unwrap_or(0);
        let Some(collected) = collected.filter(|_| fits) else {
            return Err(self.invalid(label(node), "the body has another number of inputs or results".into()));
        };
        let known = |id: Option<Id>| id.and_then(|id| self.ir.values[id].ints());
        let condition = inputs.get(1).copied().flatten();
        let first = condition.map(|id| self.ir.values[id].constant.as_ref().map(|constant| constant.bytes() != [0]));
        let mut steps = match (inputs.first().copied().flatten(), known(inputs.first().copied().flatten())) {
            (None, _) => Steps::Any,
            (_, Some(ints)) => Steps::Known(ints.first().map_or(0, |steps| usize::try_from(*steps).unwrap_or(0))),
            (Some(_), None) => Steps::Operand(0),
        };
        if first == Some(Some(false)) {
            steps = Steps::Known(0);
        }
        let step_shape = body.inputs.first().and_then(|input| input.shape.as_ref()).map_or(0, Vec::len);
        let truth = Constant::owned(AlignedBytes::copy_from(&[1]));
        // There is a step because the condition holds.
        let mut given = vec![
            Given { dtype: DType::I64, shape: vec![1; step_shape.min(1)], constant: None, feed: Feed::Step },
            Given { dtype: DType::Bool, shape: Vec::new(), constant: Some(truth), feed: Feed::Known },
        ];
        given.extend(self.carried(&carried));
        let mut operands = inputs.to_vec();
        let mut body = self.inner(body, given, &mut operands)?;
        let tells = match body.ir.outputs.first().and_then(|id| body.ir.values[*id].constant.as_ref()) {
            Some(constant) if constant.bytes() == [0] => {
                steps = if steps == Steps::Known(0) { steps } else { Steps::Known(1) };
                false
            }
            Some(_) => false,
            None => true,
        };
        if !tells {
            body.ir.outputs.remove(0);
        }
        let condition = condition.filter(|_| first == Some(None)).map(|_| 1);
        match steps {
            Steps::Operand(_) if collected > 0 => return Err(self.refused(node, inputs, Refusal::NeedsValue(0))),
            Steps::Known(_) | Steps::Operand(_) if collected == 0 || !tells && condition.is_none() => {}
            Steps::Any if collected == 0 && tells => {}
            _ => {
                let reason = "results of each step of a loop that data ends, or a loop without an end".to_string();
                return Err(self.refused(node, inputs, Refusal::Unsupported(reason)));
            }
        }
        let carried = (2..2 + carried.len()).collect();
        let repeat = Repeat { steps, condition, tells, carried, backward: vec![false; collected] };
        let results = self.results(node, &repeat, &body)?;
        self.emit(node, Control::Repeat(repeat), vec![body], operands, results)?;
        Ok(())
    }

    /// `Scan`: initial values, then tensors that are taken apart along an axis; its program has the values and a part of each, and
    /// gives the values and what is collected.
    fn scanned(&mut self, node: &GraphNode, inputs: &[Option<Id>]) -> Result<(), Stop> {
        let body = self.attribute_body(node, "body")?;
        let elements = match node.attribute("num_scan_inputs") {
            Some(Attribute::Int(count)) => {
                usize::try_from(*count).ok().filter(|count| (1..=inputs.len()).contains(count))
            }
            _ => None,
        };
        let elements =
            elements.ok_or_else(|| self.invalid(label(node), "num_scan_inputs is no number of inputs".into()))?;
        let carried = self.initial(node, inputs, 0..inputs.len() - elements)?;
        let collected = body.outputs.len().checked_sub(carried.len());
        let fits = body.inputs.len() == inputs.len() && node.outputs.len() == body.outputs.len();
        let Some(collected) = collected.filter(|_| fits) else {
            return Err(self.invalid(label(node), "the body has another number of inputs or results".into()));
        };
        let ints = |name: &str, count: usize| match node.attribute(name) {
            Some(Attribute::Ints(list)) if list.len() == count => Ok(list.clone()),
            None => Ok(vec![0; count]),
            _ => Err(self.invalid(label(node), format!("attribute {name} has another length"))),
        };
        let (axes, directions) = (ints("scan_input_axes", elements)?, ints("scan_input_directions", elements)?);
        let (result_axes, backward) =
            (ints("scan_output_axes", collected)?, ints("scan_output_directions", collected)?);

        let mut operands = inputs.to_vec();
        let mut given = self.carried(&carried);
        let mut steps = None;
        for (index, (axis, direction)) in axes.into_iter().zip(directions).enumerate() {
            let operand = carried.len() + index;
            let id = inputs[operand].ok_or_else(|| self.invalid(label(node), format!("input {operand} is missing")))?;
            let axis = shape::axis(axis, self.ir.shape(id).len()).map_err(|why| self.invalid(label(node), why))?;
            let id = self.first_axis(node, id, axis);
            operands[operand] = Some(id);
            let value = &self.ir.values[id];
            let (Some((count, rest)), true) = (value.shape.split_first(), axis < value.shape.len()) else {
                return Err(self.invalid(label(node), format!("input {operand} has no axis to take it apart along")));
            };
            if *steps.get_or_insert(*count) != *count {
                return Err(self.invalid(label(node), "sequences of different lengths".into()));
            }
            let feed = Feed::Element { operand, backward: direction == 1 };
            given.push(Given { dtype: value.dtype, shape: rest.to_vec(), constant: None, feed });
        }
        let body = self.inner(body, given, &mut operands)?;
        let repeat = Repeat {
            steps: Steps::Known(steps.unwrap_or(0)),
            condition: None,
            tells: false,
            carried: (0..carried.len()).collect(),
            backward: backward.into_iter().map(|direction| direction == 1).collect(),
        };
        let results = self.results(node, &repeat, &body)?;
        let ids = self.emit(node, Control::Repeat(repeat), vec![body], operands, results)?;
        for (index, axis) in result_axes.into_iter().enumerate() {
            let Some((id, value)) =
                ids.get(carried.len() + index).copied().flatten().zip(node.outputs[carried.len() + index])
            else {
                continue;
            };
            let rank = self.ir.shape(id).len();
            let axis = shape::axis(axis, rank).map_err(|why| self.invalid(label(node), why))?;
            let order: Vec<usize> = (1..=axis).chain([0]).chain(axis + 1..rank).collect();
            let moved = self.permuted(node, id, order);
            self.define(value, moved)?;
        }
        Ok(())
    }

    /// Initial values, all of which have to be there.
    fn initial(&self, node: &GraphNode, inputs: &[Option<Id>], range: std::ops::Range<usize>) -> Result<Vec<Id>, Stop> {
        let given = inputs.get(range).unwrap_or_default().iter().copied().collect::<Option<Vec<Id>>>();
        given.ok_or_else(|| self.invalid(label(node), "an initial value is missing".into()))
    }

    fn carried(&self, initial: &[Id]) -> Vec<Given> {
        initial.iter().enumerate().map(|(at, id)| Given::like(&self.ir.values[*id], Feed::Carried(at))).collect()
    }

    /// Types and shapes of a repetition's results.
    fn results(&self, node: &GraphNode, repeat: &Repeat, body: &NestedBody) -> Result<Vec<(DType, Vec<usize>)>, Stop> {
        let ids = body.ir.outputs.get(usize::from(repeat.tells)..).unwrap_or_default();
        let inputs = body.feeds.iter().zip(&body.ir.inputs);
        let initial: Vec<Id> = inputs.filter(|(feed, _)| matches!(feed, Feed::Carried(_))).map(|(_, id)| *id).collect();
        let mut results = Vec::with_capacity(ids.len());
        for (index, id) in ids.iter().enumerate() {
            let value = &body.ir.values[*id];
            let mut shape = value.shape.clone();
            match (initial.get(index).map(|id| &body.ir.values[*id]), repeat.steps) {
                (Some(before), _) if before.dtype != value.dtype || before.shape != value.shape => {
                    let reason = "a value that changes its type or shape from step to step".to_string();
                    return Err(self.refused(node, &[], Refusal::Unsupported(reason)));
                }
                (None, Steps::Known(steps)) => shape.insert(0, steps),
                _ => {}
            }
            results.push((value.dtype, shape));
        }
        Ok(results)
    }

    /// The node, with results for those that the graph's node has. The ids of those.
    fn emit(
        &mut self,
        node: &GraphNode,
        control: Control,
        bodies: Vec<NestedBody>,
        operands: Vec<Option<Id>>,
        results: Vec<(DType, Vec<usize>)>,
    ) -> Result<Vec<Option<Id>>, Stop> {
        let depends: Vec<usize> = operands.iter().flatten().flat_map(|id| self.depends[*id].iter().copied()).collect();
        let mut outputs = Vec::with_capacity(results.len());
        for (index, (dtype, shape)) in results.into_iter().enumerate() {
            let wanted = node.outputs.get(index).copied().flatten();
            let Some(value) = wanted else {
                outputs.push(None);
                continue;
            };
            self.check_size(label(node), dtype, &shape)?;
            let id = self.ir.fresh(self.graph.value_name(value), dtype, shape);
            self.define(value, id)?;
            self.depend(id, depends.clone());
            outputs.push(Some(id));
        }
        let op = Op::Nested(Box::new(Nested { op: node.op.clone(), control, bodies }));
        self.ir.nodes.push(Node { name: label(node).to_string(), op, inputs: operands, outputs: outputs.clone() });
        Ok(outputs)
    }

    /// A value with an axis moved to the front.
    fn first_axis(&mut self, node: &GraphNode, id: Id, axis: usize) -> Id {
        let rank = self.ir.shape(id).len();
        self.permuted(node, id, [axis].into_iter().chain((0..rank).filter(|other| *other != axis)).collect())
    }

    fn permuted(&mut self, node: &GraphNode, id: Id, order: Vec<usize>) -> Id {
        if order.is_sorted() {
            return id;
        }
        let shape = order.iter().map(|axis| self.ir.shape(id)[*axis]).collect();
        let moved = self.ir.fresh(&self.ir.values[id].name.clone(), self.ir.values[id].dtype, shape);
        self.depend(moved, self.depends[id].clone());
        let (name, inputs, outputs) = (label(node).to_string(), vec![Some(id)], vec![Some(moved)]);
        self.ir.nodes.push(Node { name, op: Op::Transpose(order), inputs, outputs });
        moved
    }

    /// A program inside of a node. What it reads of the program around becomes a constant of its own, or an operand of the node.
    fn inner(&self, body: &Body, given: Vec<Given>, operands: &mut Vec<Option<Id>>) -> Result<NestedBody, Stop> {
        let mut import = Import {
            graph: self.graph,
            weights: self.weights,
            limits: self.limits,
            ir: Ir::default(),
            ids: vec![None; self.ids.len()],
            folded_bytes: self.folded_bytes,
            depends: Vec::new(),
        };
        let mut feeds = Vec::new();
        for (input, given) in body.inputs.iter().zip(given) {
            let Given { dtype, shape, constant, feed } = given;
            let name = self.graph.value_name(input.value).to_string();
            let id = import.ir.add(Value { name, dtype, shape, constant });
            import.define(input.value, id)?;
            import.depend(id, Vec::new());
            import.ir.inputs.push(id);
            feeds.push(feed);
        }
        for value in outside(body) {
            let around = self.resolve(value)?;
            let id = import.ir.add(self.ir.values[around].clone());
            import.define(value, id)?;
            import.depend(id, self.depends[around].clone());
            if !import.ir.is_constant(id) {
                import.ir.inputs.push(id);
                feeds.push(Feed::Operand(operands.len()));
                operands.push(Some(around));
            }
        }
        import.body(body)?;
        import.ir.outputs = body.outputs.iter().map(|value| import.resolve(*value)).collect::<Result<Vec<_>, _>>()?;
        Ok(NestedBody { ir: import.ir, feeds })
    }
}

/// The values that a body, or one inside of it, reads and does not define, in their order.
fn outside(body: &Body) -> Vec<ValueId> {
    fn walk(body: &Body, inside: &mut HashSet<ValueId>, read: &mut Vec<ValueId>) {
        inside.extend(body.inputs.iter().map(|input| input.value));
        inside.extend(body.weights.iter().map(|weight| weight.value));
        for node in &body.nodes {
            inside.extend(node.outputs.iter().flatten());
            read.extend(node.inputs.iter().flatten());
            for (_, attribute) in &node.attributes {
                if let Attribute::Body(body) = attribute {
                    walk(body, inside, read);
                }
            }
        }
    }
    let (mut inside, mut read) = (HashSet::new(), Vec::new());
    walk(body, &mut inside, &mut read);
    // A value has one definition in the whole graph.
    read.retain(|value| inside.insert(*value));
    read
}
