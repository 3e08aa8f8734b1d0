//! The file of a task: versioned, hashed, and refused where model or features are other ones.
//!
//! Six bytes `FDTASK`, the version as two bytes, the SHA-256 of the rest, and the rest: a
//! [`SavedTask`] as postcard writes it.

use crate::guarantee::Guarantee;
use crate::learning::Report;
use crate::memory::Memory;
use crate::task::Task;
use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::HashSet;

const MAGIC: &[u8] = b"FDTASK";
const VERSION: u16 = 2;
const HASH_BYTES: usize = 32;
const HEADER_BYTES: usize = MAGIC.len() + 2 + HASH_BYTES;

/// A task with its labels, and what it was learnt with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SavedTask {
    /// What its vectors were computed with.
    pub source: Source,
    /// Name of each class.
    pub labels: Vec<String>,
    /// What was learnt.
    pub task: Task,
    /// How.
    pub report: Report,
    /// What may be answered on the device, once that was certified.
    pub guarantee: Option<Guarantee>,
    /// Rows to certify on, and to get better with.
    pub memory: Memory,
}

/// What feature vectors are computed with; vectors of another source mean something else.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// SHA-256 of the encoder's file, hex.
    pub encoder_sha256: String,
    /// Which of its vectors are taken.
    pub features: String,
}

impl SavedTask {
    /// The file.
    ///
    /// # Errors
    /// [`Error::TaskFile`] where it cannot be written.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let rest = postcard::to_stdvec(self)
            .map_err(|error| Error::TaskFile(format!("the task cannot be written: {error}")))?;
        let mut bytes = Vec::with_capacity(HEADER_BYTES + rest.len());
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        bytes.extend_from_slice(&Sha256::digest(&rest));
        bytes.extend_from_slice(&rest);
        Ok(bytes)
    }

    /// Reads a file whose task is to work on vectors of `source`.
    ///
    /// # Errors
    /// [`Error::TaskFile`] for anything else than a whole file of this version, of this source.
    pub fn from_bytes(bytes: &[u8], source: &Source) -> Result<Self> {
        let refuse = |why: &str| Err(Error::TaskFile(why.to_owned()));
        let Some((header, rest)) = bytes.split_at_checked(HEADER_BYTES) else {
            return refuse("this is no file of a task: it is too short");
        };
        let (magic, version) = header.split_at(MAGIC.len());
        let (version, hash) = version.split_at(2);
        if magic != MAGIC {
            return refuse("this is no file of a task");
        }
        if version != VERSION.to_le_bytes() {
            return refuse("the file of the task is of another version; export it again");
        }
        if hash != Sha256::digest(rest).as_slice() {
            return refuse(
                "the file of the task was changed or is damaged: its hash is another one",
            );
        }
        let damaged =
            |error| Error::TaskFile(format!("the file of the task cannot be read: {error}"));
        let (saved, unread): (Self, &[u8]) = postcard::take_from_bytes(rest).map_err(damaged)?;
        if saved.source != *source {
            let Source { encoder_sha256, features } = &saved.source;
            return Err(Error::TaskFile(format!(
                "the task was learnt with another model or other features: {features:?} of the encoder \
                 {encoder_sha256:?}; here they are {:?} of {:?}",
                source.features, source.encoder_sha256
            )));
        }
        if !unread.is_empty() || !saved.is_sound() {
            return refuse("the parts of the task do not fit together");
        }
        Ok(saved)
    }

    fn is_sound(&self) -> bool {
        let names: HashSet<&String> = self.labels.iter().collect();
        names.len() == self.labels.len()
            && self.labels.len() == self.task.classes()
            && self.task.is_sound()
            && self.memory.is_sound(&self.task)
            && self.guarantee.is_none_or(|guarantee| guarantee.budget.check().is_ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guarantee::{Budget, Judged, Risk, certify};
    use crate::learning::{Examples, Learning};

    fn source() -> Source {
        Source { encoder_sha256: "00ff".to_owned(), features: "test-1".to_owned() }
    }

    fn saved() -> SavedTask {
        let features = (0..40).flat_map(|row| {
            let sign = if row % 2 == 0 { 1.0 } else { -1.0 };
            [sign + row as f32 / 100.0, (row % 7) as f32]
        });
        let examples = Examples {
            features: features.collect(),
            width: 2,
            labels: (0..40).map(|row| row % 2).collect(),
            weights: vec![1.0; 40],
            classes: 2,
            soft: Vec::new(),
            names: Vec::new(),
            importance: vec![1.0; 2],
        };
        let mut learning = Learning::new(examples, 1).unwrap();
        while learning.step().unwrap() {}
        let (task, report) = learning.into_task().unwrap();
        let budget = Budget { risk: Risk::Added, max_error: 0.05, confidence: 0.9, shift: 1.0 };
        let right = Judged { confidence: 0.99, is_right: true };
        SavedTask {
            source: source(),
            labels: ["no", "yes"].map(str::to_owned).to_vec(),
            memory: Memory::new(task.width()),
            task,
            report,
            guarantee: Some(certify(&[right; 100], budget).unwrap()),
        }
    }

    /// The file of what `change` makes of a task, with a hash that fits.
    fn changed(change: impl FnOnce(&mut SavedTask)) -> Vec<u8> {
        let mut saved = saved();
        change(&mut saved);
        saved.to_bytes().unwrap()
    }

    fn refusal(bytes: &[u8]) -> String {
        match SavedTask::from_bytes(bytes, &source()) {
            Err(Error::TaskFile(why)) => why,
            other => panic!("not refused: {other:?}"),
        }
    }

    #[test]
    fn a_file_gives_the_task_back() {
        let saved = saved();
        let bytes = saved.to_bytes().unwrap();
        assert_eq!(SavedTask::from_bytes(&bytes, &source()).unwrap(), saved);
    }

    #[test]
    fn every_cut_and_every_changed_byte_is_refused() {
        let bytes = saved().to_bytes().unwrap();
        for end in 0..bytes.len() {
            refusal(&bytes[..end]);
        }
        for index in 0..bytes.len() {
            let mut bytes = bytes.clone();
            bytes[index] ^= 0x10;
            refusal(&bytes);
        }
    }

    #[test]
    fn a_task_of_another_model_or_with_parts_that_do_not_fit_is_refused() {
        let other = changed(|saved| saved.source.encoder_sha256 = "11".to_owned());
        assert!(refusal(&other).contains("another model"));
        let other = changed(|saved| saved.source.features = "test-2".to_owned());
        assert!(refusal(&other).contains("other features"));
        let unfit = "do not fit";
        assert!(refusal(&changed(|saved| saved.labels.truncate(1))).contains(unfit));
        assert!(refusal(&changed(|saved| saved.labels[1] = "no".to_owned())).contains(unfit));
        assert!(refusal(&changed(|saved| saved.task.mixture.temperature = 0.0)).contains(unfit));
        assert!(refusal(&changed(|saved| saved.task.mixture.share = f32::NAN)).contains(unfit));
        let budget = |saved: &mut SavedTask| {
            if let Some(guarantee) = &mut saved.guarantee {
                guarantee.budget.max_error = -1.0;
            }
        };
        assert!(refusal(&changed(budget)).contains(unfit));
    }

    #[test]
    fn rubbish_is_refused() {
        assert!(refusal(b"").contains("too short"));
        assert!(refusal(&[0xff; 200]).contains("no file"));
        // A header that is right before a body that claims to be huge.
        let body = [0xff_u8; 64];
        let mut bytes = [MAGIC, &VERSION.to_le_bytes(), Sha256::digest(body).as_slice()].concat();
        bytes.extend_from_slice(&body);
        refusal(&bytes);
    }
}
