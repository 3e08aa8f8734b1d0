//! What goes wrong on the device, kept until someone waits for it: the first failure counts.

use frontdesk_engine::{Error, ErrorKind};
use std::sync::{Arc, Mutex, PoisonError};

/// The first failure of a device.
#[derive(Clone, Default)]
pub(crate) struct Failures(Arc<Mutex<Option<(ErrorKind, String)>>>);

impl Failures {
    /// Remembers a failure, unless there is one. That the device is lost explains all others.
    pub(crate) fn note(&self, kind: ErrorKind, context: String) {
        let mut first = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if first.is_none() || kind == ErrorKind::DeviceLost {
            *first = Some((kind, context));
        }
    }

    /// Remembers an error that wgpu reported.
    pub(crate) fn note_error(&self, error: &wgpu::Error) {
        let (kind, context) = match error {
            wgpu::Error::OutOfMemory { .. } => {
                (ErrorKind::OutOfMemory, "the GPU has not enough memory".to_owned())
            }
            error => (ErrorKind::Backend, format!("the GPU refused an operation: {error}")),
        };
        self.note(kind, context);
    }

    /// The first failure, if any; it stays.
    pub(crate) fn check(&self) -> Result<(), Error> {
        match &*self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            Some((kind, context)) => Err(Error::new(*kind, context.clone())),
            None => Ok(()),
        }
    }
}
