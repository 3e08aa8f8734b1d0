//! The head: multinomial logistic regression on feature vectors, trained with L-BFGS.
//!
//! Minimises the mean of the rows' cross-entropies with their targets, plus half of `l2` times the
//! squared weights; biases are free. Source: Liu and Nocedal, On the limited memory BFGS method, 1989.

use crate::{Error, Result};
use argmin::core::{CostFunction, Gradient, IterState, Problem, Solver, State};
use argmin::solver::linesearch::MoreThuenteLineSearch;
use argmin::solver::quasinewton::LBFGS;
use ndarray::{Array1, Array2, Axis};
use serde::{Deserialize, Serialize};
use std::cell::RefCell;
use std::rc::Rc;

/// Steps that the solver remembers.
const MEMORY: usize = 7;
/// The solver stops once the loss changes by less: held-out accuracy no longer does.
const LEAST_CHANGE: f64 = 3e-5;

/// Weights and biases.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Head {
    /// `[classes, width]`.
    weights: Array2<f32>,
    /// `[classes]`.
    biases: Array1<f32>,
}

/// Feature vectors, `[rows, width]`, that a head can be fitted on.
pub trait Design {
    /// Rows and width.
    fn shape(&self) -> (usize, usize);
    /// Whether every number is finite.
    fn is_finite(&self) -> bool;
    /// `self * weights^T`, `[rows, classes]`; weights are `[classes, width]`.
    fn logits(&self, weights: &Array2<f32>) -> Array2<f32>;
    /// `residuals^T * self`, `[classes, width]`; residuals are `[rows, classes]`.
    fn gradient(&self, residuals: &Array2<f32>) -> Array2<f32>;
}

impl Design for Array2<f32> {
    fn shape(&self) -> (usize, usize) {
        self.dim()
    }

    fn is_finite(&self) -> bool {
        self.iter().all(|x| x.is_finite())
    }

    fn logits(&self, weights: &Array2<f32>) -> Array2<f32> {
        self.dot(&weights.t())
    }

    fn gradient(&self, residuals: &Array2<f32>) -> Array2<f32> {
        residuals.t().dot(self)
    }
}

/// What a head learns from.
#[derive(Clone, Debug)]
pub struct Targets<D = Array2<f32>> {
    /// `[rows, width]`.
    pub features: D,
    /// What each row's class is, as probabilities: `[rows, classes]`.
    pub classes: Array2<f32>,
    /// What each row counts: `[rows]`.
    pub weights: Vec<f32>,
}

/// How a head is trained.
#[derive(Clone, Copy, Debug)]
pub struct HeadOptions {
    /// Strength of the penalty on the weights.
    pub l2: f64,
    /// Most iterations of the solver.
    pub iterations: u64,
}

impl Head {
    /// All classes equally likely.
    pub fn zeros(classes: usize, width: usize) -> Self {
        Self { weights: Array2::zeros((classes, width)), biases: Array1::zeros(classes) }
    }

    /// Number of classes.
    pub fn classes(&self) -> usize {
        self.biases.len()
    }

    /// Elements of a feature vector.
    pub fn width(&self) -> usize {
        self.weights.ncols()
    }

    /// Whether there is a row of weights for each bias, each of `width` finite numbers.
    pub(crate) fn is_sound(&self, width: usize) -> bool {
        self.weights.dim() == (self.classes(), width)
            && self.weights.iter().chain(&self.biases).all(|x| x.is_finite())
    }

    /// Logits of `x`, `[rows, width]`: `[rows, classes]`.
    pub fn logits<D: Design>(&self, x: &D) -> Array2<f32> {
        x.logits(&self.weights) + &self.biases
    }

    fn from_parameters(parameters: &[f64], classes: usize, width: usize) -> Self {
        let mut numbers = parameters.iter().map(|x| *x as f32);
        let weights =
            Array2::from_shape_simple_fn((classes, width), || numbers.next().unwrap_or(0.0));
        Self { weights, biases: numbers.collect() }
    }

    fn parameters(&self) -> Vec<f64> {
        self.weights.iter().chain(&self.biases).map(|x| f64::from(*x)).collect()
    }
}

/// A head in training; each step is one iteration of the solver.
pub struct HeadFit<D: Design = Array2<f32>> {
    problem: Problem<Loss<D>>,
    solver: LBFGS<LineSearch, Vec<f64>, Vec<f64>, f64>,
    state: Option<SolverState>,
    best: Head,
}

type LineSearch = MoreThuenteLineSearch<Vec<f64>, Vec<f64>, f64>;
type SolverState = IterState<Vec<f64>, Vec<f64>, (), (), (), f64>;

impl<D: Design> HeadFit<D> {
    /// Starts from `head`, whose classes and width the targets have.
    pub fn new(head: Head, targets: Rc<Targets<D>>, options: HeadOptions) -> Result<Self> {
        let loss = Loss::new(targets, &head, options.l2)?;
        let solver = LBFGS::new(MoreThuenteLineSearch::new(), MEMORY)
            .with_tolerance_grad(1e-7)
            .and_then(|solver| solver.with_tolerance_cost(LEAST_CHANGE))
            .map_err(solver_error)?;
        let state = IterState::new().param(head.parameters()).max_iters(options.iterations);
        Ok(Self { problem: Problem::new(loss), solver, state: Some(state), best: head })
    }

    /// Runs one iteration; false once the solver is done.
    pub fn step(&mut self) -> Result<bool> {
        let Some(mut state) = self.state.take() else { return Ok(false) };
        if state.get_gradient().is_none() {
            (state, _) = self.solver.init(&mut self.problem, state).map_err(solver_error)?;
            state.update();
        }
        if self.is_over(&state) {
            return Ok(false);
        }
        (state, _) = self.solver.next_iter(&mut self.problem, state).map_err(solver_error)?;
        state.update();
        state.increment_iter();
        if let Some(parameters) = state.get_best_param() {
            self.best = Head::from_parameters(parameters, self.best.classes(), self.best.width());
        }
        let goes_on = !state.terminated() && !self.is_over(&state);
        self.state = goes_on.then_some(state);
        Ok(goes_on)
    }

    fn is_over(&mut self, state: &SolverState) -> bool {
        Solver::<Loss<D>, _>::terminate_internal(&mut self.solver, state).terminated()
    }

    /// The best head so far.
    pub fn into_head(self) -> Head {
        self.best
    }
}

fn solver_error(error: argmin::core::Error) -> Error {
    Error::Training(error.to_string())
}

/// The loss and its gradient, which share their most costly part.
struct Loss<D> {
    targets: Rc<Targets<D>>,
    l2: f64,
    /// Sum of the rows' weights.
    total: f64,
    /// Classes and width.
    shape: (usize, usize),
    last: RefCell<Option<Evaluated>>,
}

struct Evaluated {
    parameters: Vec<f64>,
    cost: f64,
    /// Derivative of the loss by the logits, `[rows, classes]`.
    residuals: Array2<f32>,
}

impl<D: Design> Loss<D> {
    fn new(targets: Rc<Targets<D>>, head: &Head, l2: f64) -> Result<Self> {
        let shape = (head.classes(), head.width());
        let Targets { features, classes, weights } = &*targets;
        let (rows, width) = features.shape();
        let total: f64 = weights.iter().map(|weight| f64::from(*weight)).sum();
        if (classes.nrows(), weights.len()) != (rows, rows) || (classes.ncols(), width) != shape {
            return Err(Error::Training("the shapes of examples and head differ".to_owned()));
        }
        let is_number = |x: &f32| x.is_finite();
        if !features.is_finite() || !classes.iter().chain(weights).all(is_number) || total <= 0.0 {
            return Err(Error::NotFinite("an example"));
        }
        Ok(Self { targets, l2, total, shape, last: RefCell::new(None) })
    }

    fn evaluate(&self, parameters: &[f64]) -> Evaluated {
        let Targets { features, classes, weights } = &*self.targets;
        let head = Head::from_parameters(parameters, self.shape.0, self.shape.1);
        let mut residuals = head.logits(features);
        let mut cost = 0.0;
        let rows = residuals.rows_mut().into_iter().zip(classes.rows()).zip(weights);
        for ((mut row, target), weight) in rows {
            let largest = row.fold(f32::MIN, |a, b| a.max(*b));
            // Against the target's own logits, before they are overwritten.
            let expected: f32 = row.iter().zip(target).map(|(x, y)| (x - largest) * y).sum();
            row.mapv_inplace(|x| (x - largest).exp());
            let sum = row.sum();
            let mass: f32 = target.sum();
            cost += f64::from(*weight) * f64::from(mass * sum.ln() - expected);
            let scale = weight / self.total as f32;
            row.zip_mut_with(&target, |x, y| *x = (*x / sum * mass - y) * scale);
        }
        let (weights, _) = parameters.split_at(self.shape.0 * self.shape.1);
        let penalty: f64 = weights.iter().map(|x| x * x).sum::<f64>() * self.l2 / 2.0;
        let cost = cost / self.total + penalty;
        Evaluated { parameters: parameters.to_vec(), cost, residuals }
    }

    fn with_last<T>(&self, parameters: &[f64], work: impl FnOnce(&Evaluated) -> T) -> T {
        let mut last = self.last.borrow_mut();
        if last.as_ref().is_none_or(|last| last.parameters != parameters) {
            *last = None;
        }
        work(last.get_or_insert_with(|| self.evaluate(parameters)))
    }
}

impl<D: Design> CostFunction for Loss<D> {
    type Param = Vec<f64>;
    type Output = f64;

    fn cost(&self, parameters: &Vec<f64>) -> Result<f64, argmin::core::Error> {
        Ok(self.with_last(parameters, |last| last.cost))
    }
}

impl<D: Design> Gradient for Loss<D> {
    type Param = Vec<f64>;
    type Gradient = Vec<f64>;

    fn gradient(&self, parameters: &Vec<f64>) -> Result<Vec<f64>, argmin::core::Error> {
        Ok(self.with_last(parameters, |last| {
            let weights = self.targets.features.gradient(&last.residuals);
            let biases = last.residuals.sum_axis(Axis(0));
            let penalised = weights.iter().zip(parameters);
            penalised
                .map(|(x, parameter)| f64::from(*x) + self.l2 * parameter)
                .chain(biases.iter().map(|x| f64::from(*x)))
                .collect()
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::arr2;

    fn targets() -> Targets {
        Targets {
            features: arr2(&[[1.0, 0.2], [0.8, -0.1], [-0.9, 0.3], [-1.1, 0.0], [0.1, 1.0]]),
            classes: arr2(&[[1.0, 0.0], [0.9, 0.1], [0.0, 1.0], [0.0, 1.0], [0.5, 0.5]]),
            weights: vec![1.0, 2.0, 1.0, 1.0, 0.5],
        }
    }

    fn fit(targets: Targets, l2: f64) -> Head {
        let shape = (targets.classes.ncols(), targets.features.ncols());
        let options = HeadOptions { l2, iterations: 100 };
        let head = Head::zeros(shape.0, shape.1);
        let mut fit = HeadFit::new(head, Rc::new(targets), options).unwrap();
        while fit.step().unwrap() {}
        fit.into_head()
    }

    #[test]
    fn the_gradient_is_that_of_the_loss() {
        let head = Head::zeros(2, 2);
        let loss = Loss::new(Rc::new(targets()), &head, 0.1).unwrap();
        let at = vec![0.3, -0.2, 0.1, 0.4, -0.5, 0.2];
        let gradient = loss.gradient(&at).unwrap();
        for index in 0..at.len() {
            let mut moved = [at.clone(), at.clone()];
            moved[0][index] += 1e-2;
            moved[1][index] -= 1e-2;
            let slope = (loss.cost(&moved[0]).unwrap() - loss.cost(&moved[1]).unwrap()) / 2e-2;
            assert!((gradient[index] - slope).abs() < 1e-3, "{index}: {gradient:?} {slope}");
        }
    }

    #[test]
    fn a_fit_ends_where_the_gradient_does() {
        let head = fit(targets(), 0.05);
        let loss = Loss::new(Rc::new(targets()), &head, 0.05).unwrap();
        let gradient = loss.gradient(&head.parameters()).unwrap();
        assert!(gradient.iter().all(|x| x.abs() < 2e-3), "{gradient:?}");
        let logits = head.logits(&targets().features);
        assert!(logits[[0, 0]] > logits[[0, 1]] && logits[[2, 0]] < logits[[2, 1]]);
    }

    #[test]
    fn a_stronger_penalty_gives_smaller_weights() {
        let squares = |head: Head| head.weights.iter().map(|x| x * x).sum::<f32>();
        assert!(squares(fit(targets(), 1.0)) < 0.5 * squares(fit(targets(), 0.05)));
    }

    #[test]
    fn what_is_no_number_is_refused() {
        let mut bad = targets();
        bad.features[[0, 0]] = f32::NAN;
        let options = HeadOptions { l2: 0.1, iterations: 5 };
        let result = HeadFit::new(Head::zeros(2, 2), Rc::new(bad), options);
        assert!(matches!(result.err(), Some(Error::NotFinite(_))));
        let result = HeadFit::new(Head::zeros(3, 2), Rc::new(targets()), options);
        assert!(matches!(result.err(), Some(Error::Training(_))));
    }
}
