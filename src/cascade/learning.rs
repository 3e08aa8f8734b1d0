//! Learning a task from examples, in steps short enough to stop between any two.
//!
//! Penalty, mixture, calibration and gate are chosen on examples that were held out, fold by fold; the
//! task is then fitted on all examples.

use crate::calibrate::{Calibrator, temperature};
use crate::gate::{Gate, Signs};
use crate::guarantee::Judged;
use crate::head::{Head, HeadFit, HeadOptions, Targets};
use crate::neighbours::{Neighbours, Votes};
use crate::standardise::Standardiser;
use crate::task::{Mixture, Task, log_sum_exp, surest};
use crate::{Error, Result};
use ndarray::{Array2, ArrayView1, ArrayView2, Axis, concatenate};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_pcg::Pcg64Mcg;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::rc::Rc;

/// Most classes of a task.
pub const MOST_CLASSES: usize = 1000;
/// With more examples, one fold is held out instead of each in turn: it is large enough.
const MOST_CROSS_VALIDATED: usize = 3000;
const FOLDS: usize = 3;
/// Share of the examples that is held out of many: one in so many.
const HELD_OUT_OF_MANY: usize = 5;
/// With fewer examples nothing can be held out.
const LEAST_CROSS_VALIDATED: usize = 12;
/// Strengths of the prior on the head's weights that are tried: the penalty is that over the number
/// of examples. The strongest first, so that each fit starts where the one before ended.
const STRENGTHS: [f64; 2] = [0.03, 0.01];
const DEFAULT_STRENGTH: f64 = 0.03;
/// What the neighbours may count.
const SHARES: [f32; 4] = [0.0, 0.15, 0.3, 0.45];
const DEFAULT_SHARE: f32 = 0.15;
/// Held-out vectors whose neighbours are looked up in one step.
const VOTES_A_STEP: usize = 64;
/// Most iterations of a fit.
const ITERATIONS: u64 = 60;

/// What is learnt from.
#[derive(Clone, Debug)]
pub struct Examples {
    /// `[rows, width]`.
    pub features: Vec<f32>,
    /// Elements of a feature vector.
    pub width: usize,
    /// Class of each row.
    pub labels: Vec<u32>,
    /// What each row counts; above 0.
    pub weights: Vec<f32>,
    /// Number of classes.
    pub classes: usize,
    /// Probabilities of the classes for rows whose class is not certain, by row.
    pub soft: Vec<(usize, Vec<f32>)>,
    /// Vectors of the classes' names, `[classes, width]`, or none: a name is one example of its class.
    pub names: Vec<f32>,
    /// How much of a vector's length each element is to have, `[width]`.
    pub importance: Vec<f32>,
}

/// What was chosen, and how good it was on examples that were held out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// Examples learnt from.
    pub examples: usize,
    /// Examples that were held out once; 0 where there were too few.
    pub held_out: usize,
    /// Share of these that was answered right.
    pub held_out_accuracy: f64,
    /// Strength of the prior on the head's weights.
    pub strength: f64,
    /// What the neighbours count.
    pub neighbour_share: f32,
    /// What log-probabilities are divided by.
    pub temperature: f32,
}

/// A task being learnt.
pub struct Learning {
    examples: Examples,
    /// Where the features are standardised already, by what.
    standardiser: Option<Standardiser>,
    /// The fold of each row, and how many are held out in turn.
    folds: Vec<usize>,
    fold_count: usize,
    next_fold: usize,
    split: Split,
    /// Strength of the prior, once the first fold has shown the best.
    strength: Option<f64>,
    held_out: HeldOut,
    chosen: Option<Chosen>,
    task: Option<Task>,
}

/// What heads and neighbours said of held-out rows.
#[derive(Default)]
struct HeldOut {
    labels: Vec<u32>,
    /// `[rows][classes]`.
    logits: Vec<Vec<f32>>,
    votes: Vec<Votes>,
}

struct Chosen {
    report: Report,
    mixture: Mixture,
    calibrator: Calibrator,
    gate: Gate,
}

impl Learning {
    /// Checks the examples and prepares the first step; `seed` says which of them are held out.
    ///
    /// # Errors
    /// [`Error::Examples`] for fewer than two classes or too many, a class without an example, or
    /// sizes that do not fit; [`Error::NotFinite`].
    pub fn new(examples: Examples, seed: u64) -> Result<Self> {
        Self::start(examples, None, seed)
    }

    /// Learns from vectors of [`Task::vector`]; the new task takes the same.
    ///
    /// # Errors
    /// As [`Learning::new`].
    pub fn again(task: &Task, examples: Examples, seed: u64) -> Result<Self> {
        Self::start(examples, Some(task.standardiser.clone()), seed)
    }

    fn start(examples: Examples, standardiser: Option<Standardiser>, seed: u64) -> Result<Self> {
        check(&examples)?;
        let rows = examples.labels.len();
        let (parts, fold_count) = match rows {
            0..LEAST_CROSS_VALIDATED => (1, 0),
            LEAST_CROSS_VALIDATED..=MOST_CROSS_VALIDATED => (FOLDS, FOLDS),
            _ => (HELD_OUT_OF_MANY, 1),
        };
        let folds = assign_folds(&examples, parts, seed);
        let given = standardiser.as_ref();
        let split = match fold_count {
            0 => Split::new(&examples, given, |_| true, &[DEFAULT_STRENGTH])?,
            _ => Split::new(&examples, given, |row| folds[row] != 0, &STRENGTHS)?,
        };
        let chosen = (fold_count == 0).then(|| Chosen::by_default(rows));
        Ok(Self {
            examples,
            standardiser,
            folds,
            fold_count,
            next_fold: 1,
            split,
            strength: None,
            held_out: HeldOut::default(),
            chosen,
            task: None,
        })
    }

    /// Does a piece of work; false once the task is learnt.
    pub fn step(&mut self) -> Result<bool> {
        if self.task.is_some() {
            return Ok(false);
        }
        if self.split.step()? {
            return Ok(true);
        }
        if let Some(chosen) = &self.chosen {
            self.task = Some(self.split.task(chosen)?);
            return Ok(false);
        }
        let best = self.split.best_head()?;
        let strength = *self.strength.get_or_insert(STRENGTHS[best]);
        let start = self.split.heads.swap_remove(best);
        self.held_out.take(&mut self.split, &start);
        let (folds, given) = (&self.folds, self.standardiser.as_ref());
        if self.next_fold < self.fold_count {
            let fold = self.next_fold;
            self.next_fold += 1;
            self.split = Split::new(&self.examples, given, |row| folds[row] != fold, &[strength])?;
        } else {
            self.chosen = Some(self.held_out.choose(strength, self.examples.labels.len())?);
            self.split = Split::new(&self.examples, given, |_| true, &[strength])?;
            // What most of the examples have taught is near to what all of them will.
            self.split.start = start;
        }
        Ok(true)
    }

    /// Share of the work that is done, about.
    pub fn progress(&self) -> f64 {
        let splits = (self.fold_count + 1) as f64;
        let done = if self.chosen.is_some() { self.fold_count } else { self.next_fold - 1 };
        if self.task.is_some() { 1.0 } else { (done as f64 + self.split.progress()) / splits }
    }

    /// The task and how it came to be; nothing before the last step.
    pub fn into_task(self) -> Option<(Task, Report)> {
        self.task.zip(self.chosen.map(|chosen| chosen.report))
    }
}

fn check(examples: &Examples) -> Result<()> {
    let Examples { features, width, labels, weights, classes, soft, names, importance } = examples;
    let refuse = |why: String| Err(Error::Examples(why));
    if *classes < 2 || *classes > MOST_CLASSES {
        return refuse(format!("{classes} labels; 2 to {MOST_CLASSES} are possible"));
    }
    let fits = labels.len().checked_mul(*width) == Some(features.len())
        && *width > 0
        && weights.len() == labels.len()
        && importance.len() == *width
        && (names.is_empty() || names.len() == classes * width)
        && soft.iter().all(|(row, soft)| *row < labels.len() && soft.len() == *classes);
    if !fits {
        return refuse("the sizes of the examples do not fit together".to_owned());
    }
    let mut counts = vec![0; *classes];
    for label in labels {
        match counts.get_mut(*label as usize) {
            Some(count) => *count += 1,
            None => return refuse(format!("label {label} of {classes}")),
        }
    }
    if let Some(class) = counts.iter().position(|count| *count == 0).filter(|_| names.is_empty()) {
        return refuse(format!("label {class} has no example"));
    }
    let numbers = [features, weights, names, importance].into_iter().flatten();
    if !numbers.chain(soft.iter().flat_map(|(_, soft)| soft)).all(|x| x.is_finite()) {
        return Err(Error::NotFinite("an example"));
    }
    match weights.iter().chain(importance).all(|x| *x > 0.0) {
        true => Ok(()),
        false => refuse("an example counts nothing, or less".to_owned()),
    }
}

/// What each row counts so that every class counts the same: `[rows]`, 1 in the mean.
pub fn balanced(labels: &[u32], classes: usize) -> Vec<f32> {
    let mut counts = vec![0_u32; classes];
    labels.iter().for_each(|label| counts[*label as usize] += 1);
    let present = counts.iter().filter(|count| **count > 0).count();
    let share = labels.len() as f32 / present.max(1) as f32;
    labels.iter().map(|label| share / counts[*label as usize] as f32).collect()
}

/// Deals the rows of each class out to the folds, in random order.
fn assign_folds(examples: &Examples, parts: usize, seed: u64) -> Vec<usize> {
    let mut rows: Vec<usize> = (0..examples.labels.len()).collect();
    rows.shuffle(&mut Pcg64Mcg::seed_from_u64(seed));
    rows.sort_by_key(|row| examples.labels[*row]);
    let mut folds = vec![0; rows.len()];
    for (place, row) in rows.iter().enumerate() {
        folds[*row] = place % parts;
    }
    folds
}

impl Chosen {
    fn by_default(examples: usize) -> Self {
        let mixture = Mixture { share: DEFAULT_SHARE, temperature: 1.0 };
        let report = Report {
            examples,
            held_out: 0,
            held_out_accuracy: 0.0,
            strength: DEFAULT_STRENGTH,
            neighbour_share: mixture.share,
            temperature: mixture.temperature,
        };
        Self { report, mixture, calibrator: Calibrator::Identity, gate: Gate::fit(&[]) }
    }
}

impl HeldOut {
    fn take(&mut self, split: &mut Split, head: &Head) {
        self.labels.append(&mut split.held_labels);
        self.votes.append(&mut split.votes);
        self.logits.extend(head.logits(&split.held).rows().into_iter().map(|row| row.to_vec()));
    }

    /// What head and neighbours say together of each row.
    fn mixed(&self, mixture: Mixture) -> Vec<Vec<f32>> {
        let rows = self.logits.iter().zip(&self.votes);
        rows.map(|(row, votes)| mixture.apply(row[..].into(), votes)).collect()
    }

    /// Takes the share with the least log-loss, then calibrates.
    fn choose(&self, strength: f64, examples: usize) -> Result<Chosen> {
        let loss = |mixture: &Mixture| {
            let rows = self.mixed(*mixture).into_iter().zip(&self.labels);
            rows.map(|(row, label)| -f64::from(row[*label as usize])).sum::<f64>()
        };
        let mixtures = SHARES.map(|share| Mixture { share, temperature: 1.0 });
        let losses = mixtures.map(|mixture| (loss(&mixture), mixture));
        let best = losses.into_iter().min_by(|a, b| a.0.total_cmp(&b.0));
        let Some((_, mut mixture)) = best.filter(|_| !self.labels.is_empty()) else {
            return Ok(Chosen::by_default(examples));
        };
        let mixed = self.mixed(mixture);
        mixture.temperature = temperature(&mixed, &self.labels)? as f32;
        let answers = self.mixed(mixture);
        let judged: Vec<Judged> = answers
            .iter()
            .zip(&self.labels)
            .map(|(row, label)| {
                let (answered, confidence) = surest(row);
                Judged { confidence, is_right: answered == *label as usize }
            })
            .collect();
        let rows = self.logits.iter().zip(&self.votes);
        let signs: Vec<Signs> = rows.map(|(row, votes)| Signs::new(row, votes.distance)).collect();
        let right = judged.iter().filter(|row| row.is_right).count();
        let report = Report {
            examples,
            held_out: judged.len(),
            held_out_accuracy: right as f64 / judged.len() as f64,
            strength,
            neighbour_share: mixture.share,
            temperature: mixture.temperature,
        };
        let calibrator = Calibrator::fit(&judged)?;
        Ok(Chosen { report, mixture, calibrator, gate: Gate::fit(&signs) })
    }
}

/// Heads of several strengths and neighbours, fitted on some rows; what they say of the others.
struct Split {
    standardiser: Standardiser,
    targets: Rc<Targets>,
    neighbours: Neighbours,
    /// Strengths whose heads are not fitted yet, the next one last.
    strengths: Vec<f64>,
    fit: Option<(HeadFit, u64)>,
    /// Where the first fit starts; each other one starts where the one before ended.
    start: Head,
    /// Fitted heads, and how many there will be.
    heads: Vec<Head>,
    head_count: usize,
    /// `[rows, width]`.
    held: Array2<f32>,
    held_labels: Vec<u32>,
    votes: Vec<Votes>,
}

impl Split {
    fn new(
        examples: &Examples,
        given: Option<&Standardiser>,
        is_fitted: impl Fn(usize) -> bool,
        strengths: &[f64],
    ) -> Result<Self> {
        let Examples { width, labels, classes, .. } = examples;
        let unfit = |_| Error::Examples("the sizes of the examples do not fit together".to_owned());
        let all = ArrayView2::from_shape((labels.len(), *width), &examples.features[..]);
        let all = all.map_err(unfit)?;
        let names = examples.names.len() / width;
        let names = ArrayView2::from_shape((names, *width), &examples.names[..]).map_err(unfit)?;
        let (fitted, held): (Vec<usize>, Vec<usize>) =
            (0..labels.len()).partition(|row| is_fitted(*row));
        let features = all.select(Axis(0), &fitted);
        let fit = || Standardiser::fit(features.view(), &examples.importance);
        let standardiser = given.cloned().unwrap_or_else(fit);
        let apply = |x| if given.is_some() { x } else { standardiser.apply(x) };
        let features = concatenate(Axis(0), &[features.view(), names]).map_err(unfit)?;
        let features = apply(features);
        let mut row_labels: Vec<u32> = fitted.iter().map(|row| labels[*row]).collect();
        row_labels.extend(0..names.nrows() as u32);
        let mut weights: Vec<f32> = fitted.iter().map(|row| examples.weights[*row]).collect();
        weights.resize(row_labels.len(), 1.0);
        let mut targets = Array2::zeros((row_labels.len(), *classes));
        for (row, label) in row_labels.iter().enumerate() {
            targets[[row, *label as usize]] = 1.0;
        }
        let soft: HashMap<usize, &Vec<f32>> =
            examples.soft.iter().map(|(row, soft)| (*row, soft)).collect();
        for (index, row) in fitted.iter().enumerate() {
            if let Some(soft) = soft.get(row) {
                targets.row_mut(index).iter_mut().zip(*soft).for_each(|(to, from)| *to = *from);
            }
        }
        Ok(Self {
            held: apply(all.select(Axis(0), &held)),
            held_labels: held.iter().map(|row| labels[*row]).collect(),
            standardiser,
            neighbours: Neighbours::new(features.view(), &row_labels, *classes),
            targets: Rc::new(Targets { features, classes: targets, weights }),
            strengths: strengths.iter().rev().copied().collect(),
            fit: None,
            start: Head::zeros(*classes, *width),
            heads: Vec::new(),
            head_count: strengths.len(),
            votes: Vec::new(),
        })
    }

    /// Does a piece of work; false once heads and votes are there.
    fn step(&mut self) -> Result<bool> {
        if let Some((fit, iterations)) = &mut self.fit {
            *iterations += 1;
            if !fit.step()? {
                self.heads.extend(self.fit.take().map(|(fit, _)| fit.into_head()));
            }
            return Ok(true);
        }
        if let Some(strength) = self.strengths.pop() {
            let start = self.heads.last().unwrap_or(&self.start).clone();
            let l2 = strength / self.targets.features.nrows() as f64;
            let options = HeadOptions { l2, iterations: ITERATIONS };
            self.fit = Some((HeadFit::new(start, Rc::clone(&self.targets), options)?, 0));
            return Ok(true);
        }
        let rest = self.held.rows().into_iter().skip(self.votes.len()).take(VOTES_A_STEP);
        let votes: Vec<Votes> = rest.map(|row| self.neighbours.votes(&row.to_vec())).collect();
        self.votes.extend(votes);
        Ok(self.votes.len() < self.held.nrows())
    }

    /// Index of the head with the least log-loss on the rows that are held out.
    fn best_head(&self) -> Result<usize> {
        let loss = |head: &Head| {
            let logits = head.logits(&self.held);
            let rows = logits.rows().into_iter().zip(&self.held_labels);
            let loss = |(row, label): (ArrayView1<'_, f32>, &u32)| {
                f64::from(log_sum_exp(row.iter().copied()) - row[*label as usize])
            };
            rows.map(loss).sum::<f64>()
        };
        let heads = self.heads.iter().map(loss).enumerate();
        let best = heads.min_by(|a, b| a.1.total_cmp(&b.1)).map(|(index, _)| index);
        best.ok_or_else(|| Error::Training("no head".to_owned()))
    }

    fn progress(&self) -> f64 {
        let running = self.fit.as_ref().map_or(0.0, |(_, done)| *done as f64 / ITERATIONS as f64);
        (self.heads.len() as f64 + running.min(1.0)) / self.head_count as f64
    }

    fn task(&mut self, chosen: &Chosen) -> Result<Task> {
        let head = self.heads.pop().ok_or_else(|| Error::Training("no head".to_owned()))?;
        Ok(Task {
            standardiser: self.standardiser.clone(),
            head,
            neighbours: self.neighbours.clone(),
            mixture: chosen.mixture,
            calibrator: chosen.calibrator.clone(),
            gate: chosen.gate.clone(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::RngExt;

    /// Classes around points of a circle; every second element is noise.
    fn examples(rows: usize, classes: usize, seed: u64) -> Examples {
        let mut random = Pcg64Mcg::seed_from_u64(seed);
        let mut noise = |scale: f32| scale * (random.random::<f32>() - 0.5);
        let labels: Vec<u32> = (0..rows).map(|row| (row % classes) as u32).collect();
        let features = labels.iter().flat_map(|label| {
            let angle = *label as f32 / classes as f32 * std::f32::consts::TAU;
            [angle.cos() + noise(0.6), noise(1.0), angle.sin() + noise(0.6), noise(1.0)]
        });
        Examples {
            features: features.collect(),
            width: 4,
            weights: vec![1.0; rows],
            labels,
            classes,
            soft: Vec::new(),
            names: Vec::new(),
            importance: vec![1.0; 4],
        }
    }

    fn learn(examples: Examples) -> Result<(Task, Report)> {
        let mut learning = Learning::new(examples, 1)?;
        let mut before = 0.0;
        while learning.step()? {
            assert!(learning.progress() >= before && learning.progress() <= 1.0);
            before = learning.progress();
        }
        Ok(learning.into_task().unwrap())
    }

    fn accuracy(task: &Task, test: &Examples) -> f64 {
        let rows = test.features.chunks_exact(test.width).zip(&test.labels);
        let right = rows.filter(|(row, label)| task.predict(row).unwrap().best == **label as usize);
        right.count() as f64 / test.labels.len() as f64
    }

    #[test]
    fn a_task_is_learnt_from_few_and_from_many() {
        for (rows, least) in [(8, 0.6), (60, 0.9), (3500, 0.95)] {
            let (task, report) = learn(examples(rows, 4, 1)).unwrap();
            let accuracy = accuracy(&task, &examples(400, 4, 2));
            assert!(accuracy > least, "{rows} rows: {accuracy}");
            assert_eq!(report.examples, rows);
            let held_out = [0, 60, 700][usize::from(rows > 8) + usize::from(rows > 60)];
            assert_eq!(report.held_out, held_out);
            assert!(held_out == 0 || report.held_out_accuracy > least);
        }
    }

    #[test]
    fn what_is_unlike_the_examples_is_out_of_scope() {
        let (task, _) = learn(examples(600, 4, 1)).unwrap();
        let like = task.predict(&[1.0, 0.0, 0.0, 0.0]).unwrap();
        assert!(!like.is_out_of_scope && like.best == 0 && like.confidence > 0.8);
        let unlike = task.predict(&[0.0, 9.0, 0.0, 9.0]).unwrap();
        assert!(unlike.is_out_of_scope && unlike.strangeness > like.strangeness);
    }

    #[test]
    fn names_and_soft_labels_teach() {
        let mut named = examples(40, 4, 1);
        // No example of the last class but its name.
        let rows = (0..40).filter(|row| named.labels[*row] != 3);
        named.features = rows.flat_map(|row| named.features[row * 4..][..4].to_vec()).collect();
        named.labels.retain(|label| *label != 3);
        named.weights.truncate(30);
        named.names = examples(4, 4, 3).features;
        let (task, _) = learn(named).unwrap();
        assert_eq!(task.predict(&[0.0, 0.0, -1.0, 0.0]).unwrap().best, 3);
        let mut doubted = examples(60, 2, 1);
        doubted.soft = (0..60).map(|row| (row, vec![0.5, 0.5])).collect();
        let (task, _) = learn(doubted).unwrap();
        assert!(
            task.head.logits(&ndarray::arr2(&[[1.0, 0.0, 0.0, 0.0]])).iter().all(|x| x.abs() < 0.1)
        );
    }

    #[test]
    fn balanced_classes_count_the_same() {
        assert_eq!(balanced(&[0, 0, 0, 2], 3), [2.0 / 3.0, 2.0 / 3.0, 2.0 / 3.0, 2.0]);
        // Few of one class among many: balanced, it is found more often.
        let mut few = examples(240, 2, 1);
        let rows = (0..240).filter(|row| row % 2 == 0 || row % 24 == 1);
        let rows: Vec<usize> = rows.collect();
        few.features = rows.iter().flat_map(|row| few.features[row * 4..][..4].to_vec()).collect();
        few.labels = rows.iter().map(|row| few.labels[*row]).collect();
        let mass = |weights: Vec<f32>| {
            let (task, _) = learn(Examples { weights, ..few.clone() }).unwrap();
            let logits = task.head.logits(&ndarray::arr2(&[[0.0; 4]]));
            logits[[0, 1]] - logits[[0, 0]]
        };
        assert!(mass(balanced(&few.labels, 2)) > mass(vec![1.0; rows.len()]) + 0.5);
    }

    #[test]
    fn the_same_seed_gives_the_same_task() {
        let [a, b] = [0, 1].map(|_| learn(examples(60, 3, 1)).unwrap().0);
        assert_eq!(a, b);
    }

    #[test]
    fn examples_that_cannot_be_learnt_from_are_refused() {
        let spoil = |change: fn(&mut Examples)| {
            let mut bad = examples(30, 3, 1);
            change(&mut bad);
            Learning::new(bad, 1).err()
        };
        let is_refused = |change| matches!(spoil(change), Some(Error::Examples(_)));
        assert!(is_refused(|bad| bad.classes = 1));
        assert!(is_refused(|bad| bad.classes = MOST_CLASSES + 1));
        assert!(is_refused(|bad| bad.classes = 4));
        assert!(is_refused(|bad| bad.labels[3] = 7));
        assert!(is_refused(|bad| bad.labels.clear()));
        assert!(is_refused(|bad| bad.weights[0] = 0.0));
        assert!(is_refused(|bad| bad.names = vec![0.0; 3]));
        assert!(is_refused(|bad| bad.soft = vec![(99, vec![0.0; 3])]));
        assert!(matches!(spoil(|bad| bad.features[5] = f32::NAN), Some(Error::NotFinite(_))));
        let (task, _) = learn(examples(30, 3, 1)).unwrap();
        assert!(matches!(task.predict(&[0.0; 3]), Err(Error::Examples(_))));
        assert!(matches!(task.predict(&[f32::NAN; 4]), Err(Error::NotFinite(_))));
    }
}
