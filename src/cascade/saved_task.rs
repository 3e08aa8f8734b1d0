//! What a saved task does with the rows that it keeps: certifying, and noting what it is taught.

use crate::guarantee::{Budget, Guarantee, Judged, certify};
use crate::improvement::Answering;
use crate::memory::{Kept, Purpose, Teacher};
use crate::metrics::{Answer, Evaluation, evaluate};
use crate::task_file::SavedTask;
use crate::{Error, Result};

/// A row whose cosine with an example is larger is that example, or one in the same words.
const SAME: f32 = 0.99;
/// Certifying rows that repeat examples make their share look better than it is; more than this share of
/// them is taken to be a mistake.
const MOST_REPEATED: f64 = 0.5;

impl SavedTask {
    /// How good the answers to labelled features are.
    ///
    /// # Errors
    /// [`Error::Examples`] for a label that the task does not know.
    pub fn evaluate<'a>(
        &self,
        rows: impl IntoIterator<Item = (&'a [f32], &'a str)>,
    ) -> Result<Evaluation> {
        let answers = rows.into_iter().map(|(features, label)| {
            let label = self.place(label)?;
            let prediction = self.task.predict(features)?;
            Ok(Answer { label, answered: prediction.best, confidence: prediction.confidence })
        });
        Ok(evaluate(&answers.collect::<Result<Vec<_>>>()?, self.labels.len()))
    }

    /// Certifies a threshold on labelled features that the task has not learnt from, and keeps them to
    /// certify on again.
    ///
    /// # Errors
    /// [`Error::Examples`] for a label that the task does not know, or where most of the rows are ones
    /// that it has learnt from; [`Error::Budget`]; the task stays as it was.
    pub fn certify<'a>(
        &mut self,
        rows: impl IntoIterator<Item = (&'a [f32], &'a str)>,
        budget: Budget,
    ) -> Result<Guarantee> {
        budget.check()?;
        let mut memory = self.memory.clone();
        memory.forget_certifying();
        let (mut count, mut repeated) = (0, 0);
        for (features, label) in rows {
            self.place(label)?;
            let vector = self.task.vector(features)?;
            count += 1;
            repeated += usize::from(self.task.answer(&vector).nearest > SAME);
            let (purpose, teacher) = (Purpose::Certify, Teacher::Person);
            memory.keep(&vector, Kept { purpose, label: label.to_owned(), teacher })?;
        }
        if repeated as f64 > MOST_REPEATED * f64::from(count.max(1)) {
            return Err(Error::Examples(format!(
                "{repeated} of the {count} examples are ones that the task has learnt from; what it promises \
                 must be tried on others"
            )));
        }
        let earlier = std::mem::replace(&mut self.memory, memory);
        let certified = self.certify_again(budget);
        if certified.is_err() {
            self.memory = earlier;
        }
        certified
    }

    /// Certifies a threshold on the rows that are kept for it.
    ///
    /// # Errors
    /// [`Error::Budget`]; [`Error::Examples`] where no rows are kept.
    pub fn certify_again(&mut self, budget: Budget) -> Result<Guarantee> {
        let answering = Answering { task: &self.task, labels: &self.labels };
        let rows: Vec<Judged> = self
            .memory
            .of(Purpose::Certify)
            .map(|(row, kept)| answering.judge(&row, &kept.label))
            .collect();
        if rows.is_empty() {
            return Err(Error::Examples("the task keeps no examples to certify on".to_owned()));
        }
        let guarantee = certify(&rows, budget)?;
        self.guarantee = Some(guarantee);
        Ok(guarantee)
    }

    /// Notes what a text's label is, for the next challenger.
    ///
    /// # Errors
    /// As [`crate::task::Task::vector`].
    pub fn teach(&mut self, features: &[f32], label: String, teacher: Teacher) -> Result<()> {
        let vector = self.task.vector(features)?;
        match teacher {
            // Its rows are chosen for their difficulty, not for being wrong, so some may be compared on.
            Teacher::Cloud => self.memory.keep_of_cloud(&vector, label),
            Teacher::Person => {
                self.memory.keep(&vector, Kept { purpose: Purpose::Learn, label, teacher })
            }
        }
    }

    /// Notes a row to compare the next challenger on; its label is certain, and it was not chosen for
    /// being answered wrong.
    ///
    /// # Errors
    /// As [`crate::task::Task::vector`].
    pub fn compare_on(&mut self, features: &[f32], label: String) -> Result<()> {
        let vector = self.task.vector(features)?;
        let (purpose, teacher) = (Purpose::Compare, Teacher::Person);
        self.memory.keep(&vector, Kept { purpose, label, teacher })
    }

    fn place(&self, label: &str) -> Result<usize> {
        let place = self.labels.iter().position(|known| known == label);
        place.ok_or_else(|| Error::Examples(format!("the task has no label {label:?}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guarantee::Risk;
    use crate::improvement::{Improvement, Outcome, Verdict};
    use crate::learning::{Examples, Learning};
    use crate::memory::{Counts, Memory};
    use crate::task_file::Source;
    use rand::{RngExt, SeedableRng};
    use rand_pcg::Pcg64Mcg;

    const BUDGET: Budget =
        Budget { risk: Risk::Added, max_error: 0.1, confidence: 0.9, shift: 1.0 };

    /// Rows of four quarters of a plane, with noise in two more elements.
    fn rows(count: usize, seed: u64) -> Vec<([f32; 4], String)> {
        let mut random = Pcg64Mcg::seed_from_u64(seed);
        let row = |_| {
            let mut number = || 2.0 * random.random::<f32>() - 1.0;
            let row = [number(), number(), 0.3 * number(), 0.3 * number()];
            let quarter = usize::from(row[0] > 0.0) + 2 * usize::from(row[1] > 0.0);
            (row, ["a", "b", "c", "d"][quarter].to_owned())
        };
        (0..count).map(row).collect()
    }

    fn learnt(from: &[([f32; 4], String)]) -> SavedTask {
        let labels: Vec<String> = ["a", "b", "c", "d"].map(str::to_owned).to_vec();
        let place = |label| labels.iter().position(|other| *other == label).unwrap() as u32;
        let examples = Examples {
            features: from.iter().flat_map(|(row, _)| *row).collect(),
            width: 4,
            labels: from.iter().map(|(_, label)| place(label.clone())).collect(),
            weights: vec![1.0; from.len()],
            classes: 4,
            soft: Vec::new(),
            names: Vec::new(),
            importance: vec![1.0; 4],
        };
        let mut learning = Learning::new(examples, 1).unwrap();
        while learning.step().unwrap() {}
        let (task, report) = learning.into_task().unwrap();
        let source = Source { encoder_sha256: "00".to_owned(), features: "test".to_owned() };
        let memory = Memory::new(4);
        SavedTask { source, labels, task, report, guarantee: None, memory }
    }

    fn labelled(rows: &[([f32; 4], String)]) -> impl Iterator<Item = (&[f32], &str)> {
        rows.iter().map(|(row, label)| (&row[..], label.as_str()))
    }

    fn improve(champion: &SavedTask) -> Result<(SavedTask, Verdict)> {
        let mut improvement = Improvement::new(champion, 1)?;
        while improvement.step()? {}
        improvement.conclude(champion)
    }

    #[test]
    fn what_was_certified_can_be_certified_again() {
        let mut saved = learnt(&rows(300, 1));
        let rows = rows(200, 2);
        let certified = saved.certify(labelled(&rows), BUDGET).unwrap();
        assert_eq!(saved.memory.counts().certify, 200);
        // The kept rows say to the digit what the rows said.
        assert_eq!(saved.certify_again(BUDGET).unwrap(), certified);
        let strict = saved.certify_again(Budget { max_error: 0.02, ..BUDGET }).unwrap();
        let threshold = |guarantee: Guarantee| guarantee.certified.unwrap().threshold;
        assert!(threshold(strict) > threshold(certified), "{strict:?} {certified:?}");
    }

    #[test]
    fn rows_that_were_learnt_from_do_not_certify() {
        let learnt_from = rows(300, 1);
        let mut saved = learnt(&learnt_from);
        let before = saved.clone();
        let refused = saved.certify(labelled(&learnt_from), BUDGET);
        assert!(matches!(&refused, Err(Error::Examples(why)) if why.contains("has learnt from")));
        let unknown = [([0.5; 4], "e".to_owned())];
        assert!(saved.certify(labelled(&unknown), BUDGET).is_err());
        assert!(saved.certify(labelled(&rows(9, 2)), Budget { max_error: 0.0, ..BUDGET }).is_err());
        assert!(saved.certify_again(BUDGET).is_err());
        assert_eq!(saved, before);
    }

    #[test]
    fn a_challenger_that_is_better_takes_the_place() {
        let mut champion = learnt(&rows(16, 1));
        champion.certify(labelled(&rows(200, 2)), BUDGET).unwrap();
        for (row, label) in rows(400, 3) {
            champion.teach(&row, label, Teacher::Cloud).unwrap();
        }
        assert_eq!(champion.memory.counts(), Counts { certify: 200, compare: 200, learn: 200 });
        let (next, verdict) = improve(&champion).unwrap();
        assert_eq!((verdict.outcome, verdict.learnt), (Outcome::Promoted, 200), "{verdict:?}");
        assert_eq!((verdict.fresh.rows, verdict.certifying.rows), (200, 200));
        assert!(verdict.fresh.gained > verdict.fresh.lost);
        // What was compared on may be learnt from by the next.
        assert_eq!(next.memory.counts(), Counts { certify: 200, compare: 0, learn: 200 });
        assert!(next.guarantee.is_some() && next.guarantee == verdict.guarantee);
        assert_eq!(next.report.examples, 216);
        let test = rows(500, 4);
        let accuracy = |task: &SavedTask| task.evaluate(labelled(&test)).unwrap().accuracy;
        assert!(accuracy(&next) > accuracy(&champion) + 0.03);
    }

    #[test]
    fn a_challenger_that_is_not_shown_to_be_better_does_not() {
        let mut champion = learnt(&rows(400, 1));
        for (row, label) in rows(20, 3) {
            champion.teach(&row, label, Teacher::Cloud).unwrap();
        }
        let (next, verdict) = improve(&champion).unwrap();
        assert_eq!(verdict.outcome, Outcome::NotShownBetter);
        assert_eq!(next.task, champion.task);
        assert_eq!(next.memory.counts(), Counts { certify: 0, compare: 0, learn: 20 });
    }

    #[test]
    fn lessons_that_make_it_worse_are_refused() {
        let mut champion = learnt(&rows(200, 1));
        champion.certify(labelled(&rows(300, 2)), BUDGET).unwrap();
        // Wrong lessons, and rows to compare on that were taught as wrong.
        for (row, _) in rows(400, 3) {
            champion.teach(&row, "a".to_owned(), Teacher::Cloud).unwrap();
        }
        let (next, verdict) = improve(&champion).unwrap();
        assert_eq!(verdict.outcome, Outcome::Worse, "{verdict:?}");
        assert_eq!((&next.task, next.guarantee), (&champion.task, champion.guarantee));
    }

    #[test]
    fn new_labels_are_learnt_and_nothing_new_is_an_error() {
        let mut champion = learnt(&rows(100, 1));
        assert!(improve(&champion).is_err());
        let strange = |index: usize| [0.0, 0.0, 2.0 + index as f32 / 50.0, -2.0];
        for index in 0..40 {
            champion.teach(&strange(index), "e".to_owned(), Teacher::Person).unwrap();
        }
        // A person's corrections alone are no fresh rows: they were chosen for being answered wrong.
        assert!(improve(&champion).is_err());
        for index in 0..10 {
            champion.compare_on(&strange(40 + index), "e".to_owned()).unwrap();
        }
        let (next, verdict) = improve(&champion).unwrap();
        assert_eq!((verdict.outcome, verdict.fresh.gained), (Outcome::Promoted, 10));
        let prediction = next.task.predict(&strange(60)).unwrap();
        assert_eq!(next.labels[prediction.best], "e");
    }
}
