//! A readable file that is mostly zeros and takes no memory for them, to test limits far larger than a test's memory.

use std::io::{Error, ErrorKind, Read, Result, Seek, SeekFrom};

/// Pieces of content with zeros between them.
#[derive(Clone, Debug, Default)]
pub struct SparseFile {
    /// Offset and content, in ascending order and apart from each other.
    pieces: Vec<(u64, Vec<u8>)>,
    length: u64,
    position: u64,
}

impl SparseFile {
    /// A file with this content.
    pub fn new(content: impl Into<Vec<u8>>) -> Self {
        Self::default().then(content)
    }

    /// Adds content at the end.
    pub fn then(mut self, content: impl Into<Vec<u8>>) -> Self {
        let content = content.into();
        let offset = self.length;
        self.length += content.len() as u64;
        self.pieces.push((offset, content));
        self
    }

    /// Adds `count` zeros at the end.
    pub fn then_zeros(mut self, count: u64) -> Self {
        self.length += count;
        self
    }
}

impl Read for SparseFile {
    fn read(&mut self, into: &mut [u8]) -> Result<usize> {
        let left = self.length.saturating_sub(self.position);
        let count = into.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        let into = &mut into[..count];
        into.fill(0);
        for (offset, content) in &self.pieces {
            let begin = (*offset).max(self.position);
            let end = (offset + content.len() as u64).min(self.position + count as u64);
            if begin < end {
                let from = (begin - offset) as usize..(end - offset) as usize;
                let to = (begin - self.position) as usize..(end - self.position) as usize;
                into[to].copy_from_slice(&content[from]);
            }
        }
        self.position += count as u64;
        Ok(count)
    }
}

impl Seek for SparseFile {
    fn seek(&mut self, target: SeekFrom) -> Result<u64> {
        let position = match target {
            SeekFrom::Start(offset) => Some(offset),
            SeekFrom::End(offset) => self.length.checked_add_signed(offset),
            SeekFrom::Current(offset) => self.position.checked_add_signed(offset),
        };
        self.position = position.ok_or(Error::from(ErrorKind::InvalidInput))?;
        Ok(self.position)
    }
}
