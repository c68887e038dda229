//! One graph of a bundle: held to the manifest when it is loaded, then run with what it carries from one run to the next.

use std::path::Path;

use ort::memory::Allocator;
use ort::session::{Session, SessionInputValue};
use ort::value::{DynTensor, DynValue, Outlet, TensorElementType};

use super::manifest::State;
use crate::engine::bundle::MANIFEST;
use crate::engine::bundle::interface::{ANY, describe, dimensions, expect, find, fits, tensor};

/// What a graph is to be asked and to answer. A batch is always 1.
pub struct Interface<'a> {
    pub inputs: Vec<(&'a str, TensorElementType, Vec<i64>)>,
    /// Float32.
    pub output: (&'a str, Vec<i64>),
    pub state: &'a [State],
}

/// A tensor that a graph has answered.
pub struct Answer {
    pub shape: Vec<i64>,
    pub values: Vec<f32>,
}

pub struct Graph {
    session: Session,
    output: String,
    /// What the output is to be.
    shape: Vec<i64>,
    state: Vec<State>,
    /// A value for each of `state`.
    carried: Vec<DynValue>,
}

impl Graph {
    /// Holds a graph to its interface.
    ///
    /// # Errors
    /// What differs. `file` is named in it.
    pub fn new(session: Session, file: &Path, interface: &Interface<'_>) -> Result<Self, String> {
        let Interface { inputs, output: (output, shape), state } = interface;
        let check = || {
            for (name, ty, shape) in inputs {
                expect(session.inputs(), "input", name, *ty, shape)?;
            }
            expect(session.outputs(), "output", output, TensorElementType::Float32, shape)?;
            for State { input, output } in *state {
                let (ty, shape) = tensor(find(session.inputs(), "input", input)?)?;
                let same: Vec<i64> = shape.iter().map(|&length| if length < 0 { ANY } else { length }).collect();
                expect(session.outputs(), "output", output, ty, &same)?;
            }
            let known = |outlet: &Outlet| {
                let (mut inputs, mut state) = (inputs.iter(), state.iter());
                inputs.any(|(name, ..)| *name == outlet.name()) || state.any(|state| state.input == outlet.name())
            };
            match session.inputs().iter().find(|outlet| !known(outlet)) {
                Some(other) => Err(format!("has the input {}, of which {MANIFEST} says nothing", describe(other))),
                None => Ok(()),
            }
        };
        check().map_err(|reason| format!("{} {reason}", file.display()))?;
        let (output, shape, state) = ((*output).to_owned(), shape.clone(), state.to_vec());
        Ok(Self { session, output, shape, state, carried: Vec::new() })
    }

    /// The length that the graph itself gives to an axis of an input, or [`ANY`].
    pub fn length(&self, input: &str, axis: usize) -> i64 {
        let outlet = self.session.inputs().iter().find(|outlet| outlet.name() == input);
        let shape = outlet.and_then(|outlet| tensor(outlet).ok()).map(|(_, shape)| shape);
        shape.and_then(|shape| shape.get(axis).copied()).filter(|&length| length > 0).unwrap_or(ANY)
    }

    /// Carries nothing but zeros from now on.
    pub fn reset(&mut self) -> ort::Result<()> {
        let zeros = |State { input, .. }: &State| {
            let (ty, shape) = find(self.session.inputs(), "input", input).and_then(tensor).map_err(ort::Error::new)?;
            let shape: Vec<i64> = shape.iter().map(|&length| length.max(1)).collect();
            Ok(DynTensor::new(&Allocator::default(), ty, shape)?.into_dyn())
        };
        self.carried = self.state.iter().map(zeros).collect::<ort::Result<_>>()?;
        Ok(())
    }

    /// Runs the graph. A graph with a state must have been [`reset`](Self::reset) before.
    pub fn run(&mut self, inputs: Vec<(&str, SessionInputValue<'_>)>) -> ort::Result<Answer> {
        let missing = |name: &str| ort::Error::new(format!("no output {name}"));
        let mut inputs = inputs;
        inputs.extend(self.state.iter().zip(&self.carried).map(|(state, value)| (state.input.as_str(), value.into())));
        let mut outputs = self.session.run(inputs)?;
        let output = outputs.get(&self.output).ok_or_else(|| missing(&self.output))?;
        let (shape, values) = output.try_extract_tensor::<f32>()?;
        if !fits(shape, &self.shape) {
            let (found, wanted) = (dimensions(shape), dimensions(&self.shape));
            return Err(ort::Error::new(format!("the output {} is {found}, expected {wanted}", self.output)));
        }
        let answer = Answer { shape: shape.to_vec(), values: values.to_vec() };
        let next = |State { output, .. }: &State| outputs.remove(output).ok_or_else(|| missing(output));
        self.carried = self.state.iter().map(next).collect::<ort::Result<_>>()?;
        Ok(answer)
    }
}
