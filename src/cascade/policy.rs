//! The policy: whether a local answer of some confidence stands, or is to be escalated.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Where an answer may come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Nothing leaves the device, whatever happens.
    OnlyOnDevice,
    /// The device answers; the cloud only where the device cannot.
    PreferOnDevice,
    /// The device answers where it is confident enough, else the cloud.
    Cascade,
    /// The cloud answers; the device where the cloud cannot.
    PreferInCloud,
    /// The cloud answers; no model is loaded.
    OnlyInCloud,
}

/// What the caller allows and demands.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Policy {
    /// Where an answer may come from.
    pub mode: Mode,
    /// In [`Mode::Cascade`], a confidence below this is escalated; 0 to 1.
    pub threshold: f64,
}

/// What is to be done with a local answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// It stands.
    Answer,
    /// The cloud is to be asked.
    Escalate,
}

/// Why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// The confidence reaches the threshold.
    Confident,
    /// It does not, or is no number.
    LowConfidence,
    /// The text is unlike all that was learnt from.
    OutOfScope,
    /// The mode forbids the cloud.
    DeviceOnly,
    /// The mode prefers the device.
    DevicePreferred,
    /// The mode prefers the cloud.
    CloudPreferred,
    /// The mode forbids the device.
    CloudOnly,
}

/// An action and its reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Decision {
    /// What is to be done.
    pub action: Action,
    /// Why.
    pub reason: Reason,
}

/// The threshold is not a number from 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PolicyError(pub f64);

impl fmt::Display for PolicyError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "threshold is {}, it must be from 0 to 1", self.0)
    }
}

impl std::error::Error for PolicyError {}

impl Policy {
    /// Checks the threshold.
    pub fn check(&self) -> Result<(), PolicyError> {
        let valid = (0.0..=1.0).contains(&self.threshold);
        if valid { Ok(()) } else { Err(PolicyError(self.threshold)) }
    }

    /// Decides on a local answer of this confidence, 0 to 1.
    pub fn decide(&self, confidence: f64) -> Decision {
        let (action, reason) = match self.mode {
            Mode::OnlyOnDevice => (Action::Answer, Reason::DeviceOnly),
            Mode::PreferOnDevice => (Action::Answer, Reason::DevicePreferred),
            Mode::Cascade if confidence >= self.threshold => (Action::Answer, Reason::Confident),
            Mode::Cascade => (Action::Escalate, Reason::LowConfidence),
            Mode::PreferInCloud => (Action::Escalate, Reason::CloudPreferred),
            Mode::OnlyInCloud => (Action::Escalate, Reason::CloudOnly),
        };
        Decision { action, reason }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decide(mode: Mode, threshold: f64, confidence: f64) -> (Action, Reason) {
        let Decision { action, reason } = Policy { mode, threshold }.decide(confidence);
        (action, reason)
    }

    #[test]
    fn the_threshold_belongs_to_the_answer() {
        let confident = (Action::Answer, Reason::Confident);
        let unsure = (Action::Escalate, Reason::LowConfidence);
        assert_eq!(decide(Mode::Cascade, 0.6, 0.6), confident);
        assert_eq!(decide(Mode::Cascade, 0.6, 0.599), unsure);
        assert_eq!(decide(Mode::Cascade, 0.0, 0.0), confident);
        assert_eq!(decide(Mode::Cascade, 0.0, f64::NAN), unsure);
    }

    #[test]
    fn other_modes_do_not_look_at_confidence() {
        for confidence in [0.0, 1.0, f64::NAN] {
            let here = |mode| decide(mode, 0.5, confidence);
            assert_eq!(here(Mode::OnlyOnDevice), (Action::Answer, Reason::DeviceOnly));
            assert_eq!(here(Mode::PreferOnDevice), (Action::Answer, Reason::DevicePreferred));
            assert_eq!(here(Mode::PreferInCloud), (Action::Escalate, Reason::CloudPreferred));
            assert_eq!(here(Mode::OnlyInCloud), (Action::Escalate, Reason::CloudOnly));
        }
    }

    #[test]
    fn thresholds_outside_0_to_1_are_refused() {
        for threshold in [-0.1, 1.1, f64::NAN, f64::INFINITY] {
            assert!(Policy { mode: Mode::Cascade, threshold }.check().is_err());
        }
        assert!(Policy { mode: Mode::Cascade, threshold: 1.0 }.check().is_ok());
    }
}
