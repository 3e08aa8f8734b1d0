//! What a task keeps beside what it has learnt: rows to certify on, and rows that are to teach it.
//!
//! Rows are vectors of the task, never text.

use crate::rows::Rows;
use crate::task::Task;
use crate::{Error, Result};
use serde::{Deserialize, Serialize};

/// Most rows that wait to teach: the oldest give way.
const MOST_WAITING: usize = 5000;
/// Most rows to certify on.
const MOST_CERTIFYING: usize = 20_000;

/// What a kept row is for; no row serves two purposes at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Purpose {
    /// Certifies thresholds; is never learnt from.
    Certify,
    /// Compares the next challenger with the champion, and is learnt from after that.
    Compare,
    /// Is learnt from by the next challenger.
    Learn,
}

/// Who says what a row's label is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Teacher {
    /// A person, who is right.
    Person,
    /// A large model, which may be wrong.
    Cloud,
}

/// What is known of a kept row.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Kept {
    /// What it is for.
    pub purpose: Purpose,
    /// Its label, which the task may not know yet.
    pub label: String,
    /// Who says so.
    pub teacher: Teacher,
}

/// Kept rows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Memory {
    rows: Rows,
    kept: Vec<Kept>,
}

/// How many rows are kept for what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// To certify on.
    pub certify: usize,
    /// To compare the next challenger on.
    pub compare: usize,
    /// To be learnt from by it.
    pub learn: usize,
}

impl Memory {
    /// Nothing is kept yet, for vectors of `width`.
    pub fn new(width: usize) -> Self {
        Self { rows: Rows::new(width), kept: Vec::new() }
    }

    /// Keeps a vector of [`Task::vector`].
    ///
    /// # Errors
    /// [`Error::Examples`] where there are too many rows to certify on.
    pub fn keep(&mut self, vector: &[f32], kept: Kept) -> Result<()> {
        let Counts { certify, compare, learn } = self.counts();
        if kept.purpose == Purpose::Certify && certify >= MOST_CERTIFYING {
            return Err(Error::Examples(format!("at most {MOST_CERTIFYING} rows certify a task")));
        }
        if kept.purpose != Purpose::Certify && compare + learn >= MOST_WAITING {
            let oldest = self.kept.iter().position(|kept| kept.purpose != Purpose::Certify);
            let mut index = 0;
            self.retain(|_| {
                index += 1;
                Some(index - 1) != oldest
            });
        }
        self.rows.push(vector);
        self.kept.push(kept);
        Ok(())
    }

    /// Keeps what a large model said of a row: every second one is to compare on.
    pub fn keep_of_cloud(&mut self, vector: &[f32], label: String) -> Result<()> {
        let Counts { compare, .. } = self.counts();
        let of_cloud =
            |kept: &&Kept| kept.teacher == Teacher::Cloud && kept.purpose == Purpose::Learn;
        let learn = self.kept.iter().filter(of_cloud).count();
        let purpose = if compare < learn { Purpose::Compare } else { Purpose::Learn };
        self.keep(vector, Kept { purpose, label, teacher: Teacher::Cloud })
    }

    /// The rows of one purpose.
    pub fn of(&self, purpose: Purpose) -> impl Iterator<Item = (Vec<f32>, &Kept)> {
        self.rows.iter().zip(&self.kept).filter(move |(_, kept)| kept.purpose == purpose)
    }

    /// How many rows are kept for what.
    pub fn counts(&self) -> Counts {
        let count = |purpose| self.kept.iter().filter(|kept| kept.purpose == purpose).count();
        Counts {
            certify: count(Purpose::Certify),
            compare: count(Purpose::Compare),
            learn: count(Purpose::Learn),
        }
    }

    /// Drops the rows that certify.
    pub fn forget_certifying(&mut self) {
        self.retain(|kept| kept.purpose != Purpose::Certify);
    }

    /// Drops the rows that were learnt from.
    pub(crate) fn forget_learnt(&mut self) {
        self.retain(|kept| kept.purpose != Purpose::Learn);
    }

    /// What was compared on has served its purpose, and may be learnt from.
    pub(crate) fn release_compared(&mut self) {
        for kept in self.kept.iter_mut().filter(|kept| kept.purpose == Purpose::Compare) {
            kept.purpose = Purpose::Learn;
        }
    }

    pub(crate) fn is_sound(&self, task: &Task) -> bool {
        self.rows.is_sound(task.width()) && self.rows.len() == self.kept.len()
    }

    fn retain(&mut self, mut stays: impl FnMut(&Kept) -> bool) {
        let mut rows = Rows::new(self.rows.width());
        let mut kept = Vec::new();
        for (row, of_row) in self.rows.iter().zip(self.kept.drain(..)) {
            if stays(&of_row) {
                rows.push(&row);
                kept.push(of_row);
            }
        }
        (self.rows, self.kept) = (rows, kept);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(purpose: Purpose, label: &str) -> Kept {
        Kept { purpose, label: label.to_owned(), teacher: Teacher::Person }
    }

    #[test]
    fn rows_are_kept_by_purpose() {
        let mut memory = Memory::new(2);
        memory.keep(&[1.0, 0.0], kept(Purpose::Certify, "a")).unwrap();
        memory.keep(&[0.0, 1.0], kept(Purpose::Learn, "b")).unwrap();
        memory.keep(&[0.6, 0.8], kept(Purpose::Compare, "c")).unwrap();
        assert_eq!(memory.counts(), Counts { certify: 1, compare: 1, learn: 1 });
        memory.forget_learnt();
        memory.release_compared();
        assert_eq!(memory.counts(), Counts { certify: 1, compare: 0, learn: 1 });
        let (row, of_row) = memory.of(Purpose::Learn).next().unwrap();
        assert_eq!(of_row.label, "c");
        assert!((row[0] - 0.6).abs() < 0.01 && (row[1] - 0.8).abs() < 0.01);
        memory.forget_certifying();
        assert_eq!(memory.counts(), Counts { certify: 0, compare: 0, learn: 1 });
    }

    #[test]
    fn every_second_row_of_the_cloud_is_compared_on() {
        let mut memory = Memory::new(1);
        for _ in 0..7 {
            memory.keep_of_cloud(&[1.0], "a".to_owned()).unwrap();
        }
        memory.keep(&[1.0], kept(Purpose::Learn, "b")).unwrap();
        assert_eq!(memory.counts(), Counts { certify: 0, compare: 3, learn: 5 });
    }

    #[test]
    fn the_oldest_rows_that_wait_give_way() {
        let mut memory = Memory::new(1);
        memory.keep(&[1.0], kept(Purpose::Certify, "first")).unwrap();
        for index in 0..MOST_WAITING + 2 {
            memory.keep(&[1.0], kept(Purpose::Learn, &index.to_string())).unwrap();
        }
        assert_eq!(memory.counts(), Counts { certify: 1, compare: 0, learn: MOST_WAITING });
        assert_eq!(memory.of(Purpose::Learn).next().unwrap().1.label, "2");
    }
}
