//! Model files that lie: each is refused with the right kind of error, without a panic and without believing its numbers.

#[path = "hostile_mutations.rs"]
mod mutations;

use std::io::{Cursor, Read, Seek, SeekFrom};
use std::sync::{Mutex, MutexGuard, PoisonError};

use frontdesk_engine::ErrorKind::{self, InvalidModel, Io};
use frontdesk_engine::model_file::ModelFile;
use frontdesk_kernels::quant::TensorType;
use mutations::{metadata_mutations, preamble_mutations, sound, tensor_mutations};
use peak_alloc::PeakAlloc;
use support::gguf_maker::{tiny_gemma3_builder, tiny_llama_builder};
use support::sparse_file::SparseFile;

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

/// What opening a small hostile file may allocate: the read buffer and some change.
const SMALL: usize = 1 << 20;
/// What opening a large hostile file may allocate.
const LARGE: usize = 64 << 20;

#[test]
fn every_mutation_is_refused() {
    let alone = Alone::new();
    let mutations = [preamble_mutations(), metadata_mutations(), tensor_mutations()].concat();
    assert!(mutations.len() >= 25);
    let failures: Vec<String> = mutations
        .into_iter()
        .filter_map(|(name, bytes, kind, says)| {
            let complaint = alone.complaint(Cursor::new(bytes), kind, says, SMALL)?;
            Some(format!("{name}: {complaint}"))
        })
        .collect();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn limits_hold_in_files_long_enough_for_the_lie() {
    let alone = Alone::new();
    // One entry of metadata and no tensors, up to the value of the key 'k'.
    let entry = |count: u64| [&preamble(count)[..], &key("k")].concat();
    let string = |length: u64| [8_u32.to_le_bytes().as_slice(), &length.to_le_bytes()].concat();
    let array = |element_type: u32, length: u64| {
        [&9_u32.to_le_bytes()[..], &element_type.to_le_bytes(), &length.to_le_bytes()].concat()
    };
    let long = 1 << 40;
    let largest = 16 << 20;
    let two_strings_short_of_the_limit =
        ["k", "l", "m"].iter().fold(SparseFile::new(preamble(4)), |file, name| {
            file.then(key(name)).then(string(largest)).then_zeros(largest)
        });
    let cases = [
        (
            "string of 16 MiB and a byte",
            SparseFile::new(entry(1)).then(string(largest + 1)).then_zeros(long),
            "the length of the value of 'k' is 16777217",
        ),
        (
            "key of 64 KiB",
            SparseFile::new(preamble(1)).then(65_536_u64.to_le_bytes()).then_zeros(long),
            "is 65536; at most 65535",
        ),
        (
            "array of 2^21 + 1 bytes",
            SparseFile::new(entry(1)).then(array(0, (1 << 21) + 1)).then_zeros(long),
            "the length of array 'k' is 2097153",
        ),
        (
            "two arrays of 2^20 and one of a byte",
            SparseFile::new(entry(3))
                .then(array(0, 1 << 20))
                .then_zeros(1 << 20)
                .then(key("l"))
                .then(array(0, 1 << 20))
                .then_zeros(1 << 20)
                .then(key("m"))
                .then(array(0, 1))
                .then_zeros(long),
            "all arrays together is 2097153",
        ),
        (
            "header of more than 64 MiB",
            two_strings_short_of_the_limit.then(key("n")).then(string(largest)).then_zeros(long),
            "the length of the header is",
        ),
    ];
    for (name, file, says) in cases {
        let complaint = alone.complaint(file, InvalidModel, says, LARGE);
        assert_eq!(complaint, None, "{name}");
    }
}

#[test]
fn the_largest_arrays_allowed_take_bounded_memory() {
    let alone = Alone::new();
    // candle's values are far larger than the bytes they come from; the limit on array elements
    // is what keeps a file of 2 MiB from taking more than this.
    let elements = 1 << 21;
    let header = [&9_u32.to_le_bytes()[..], &0_u32.to_le_bytes(), &u64::to_le_bytes(elements)];
    let file = SparseFile::new(preamble(1)).then(key("k")).then(header.concat());
    let (opened, peak) = alone.peak_during(|| ModelFile::open(file.then_zeros(elements)).map(drop));
    assert!(opened.is_ok(), "{opened:?}");
    assert!(peak < 160 << 20, "opening took {peak} bytes");
}

#[test]
fn every_truncation_is_refused() {
    let alone = Alone::new();
    let files = [
        ("sound", sound().build_with_layout()),
        ("llama", tiny_llama_builder(TensorType::Q8_0).build_with_layout()),
        ("gemma3", tiny_gemma3_builder(TensorType::Q4_K).build_with_layout()),
    ];
    for (name, file) in files {
        assert!(ModelFile::open(Cursor::new(&file.bytes)).is_ok(), "{name}");
        for length in 0..=file.header_bytes {
            let complaint =
                alone.complaint(Cursor::new(&file.bytes[..length]), InvalidModel, "", SMALL);
            assert_eq!(complaint, None, "{name} cut to {length} bytes");
        }
        for layout in &file.tensors {
            for length in [layout.data.start, layout.data.start + 1, layout.data.end - 1] {
                let cut = Cursor::new(&file.bytes[..length]);
                let complaint =
                    alone.complaint(cut, InvalidModel, "past the end of the file", SMALL);
                assert_eq!(complaint, None, "{name} cut to {length} bytes, in '{}'", layout.name);
            }
        }
    }
}

#[test]
fn every_changed_byte_is_refused_or_harmless() {
    let alone = Alone::new();
    let file = sound().build_with_layout();
    let (mut refused, mut harmless) = (0, 0);
    for at in 0..file.header_bytes {
        for change in [0x01, 0x02, 0x04, 0x08, 0x10, 0x20, 0x40, 0x80, 0xff, file.bytes[at]] {
            let mut bytes = file.bytes.clone();
            bytes[at] ^= change;
            let (read, peak) = alone.peak_during(|| read_everything(&bytes));
            assert!(peak < SMALL, "byte {at} ^ {change:#x} took {peak} bytes");
            match read {
                Ok(()) => harmless += 1,
                Err(error) => {
                    assert_eq!(flaw(&error), None, "byte {at} ^ {change:#x}: {error}");
                    refused += 1;
                }
            }
        }
    }
    assert!(refused > file.header_bytes, "only {refused} refused, {harmless} harmless");
}

#[test]
fn long_and_strange_text_is_not_echoed() {
    let _alone = Alone::new();
    let name = format!("{}\u{202e}", "x".repeat(250));
    let file = sound().raw_tensor(&name, 17, &[32], vec![0; 34]).build();
    let error = ModelFile::open(Cursor::new(file)).err().map(|error| error.to_string());
    let echoed =
        format!("tensor '{}...' has type 17 (IQ2_XS), which is not supported", "x".repeat(96));
    assert_eq!(error, Some(echoed));
}

#[test]
fn a_reader_that_lies_or_fails_gives_an_error() {
    let alone = Alone::new();
    let file = sound().build();
    let ends_early =
        FaultyReader { inner: Cursor::new(file.clone()), good_bytes: 100, fails: false };
    assert_eq!(alone.complaint(ends_early, InvalidModel, "ends too early", SMALL), None);
    let fails = FaultyReader { inner: Cursor::new(file.clone()), good_bytes: 100, fails: true };
    assert_eq!(alone.complaint(fails, Io, "could not be read", SMALL), None);

    let good_bytes = file.len() - 1;
    let data_missing = FaultyReader { inner: Cursor::new(file), good_bytes, fails: false };
    let mut model = ModelFile::open(data_missing).expect("the header is sound");
    let mut bytes = Vec::new();
    let error = model.read_tensor("third.weight", &mut bytes).expect_err("the data is cut");
    assert_eq!(error.kind(), Io);
    assert!(error.to_string().contains("shorter than it was"), "{error}");
}

/// A reader that says it is as long as `inner`, and ends or fails earlier.
struct FaultyReader {
    inner: Cursor<Vec<u8>>,
    good_bytes: usize,
    fails: bool,
}

impl Read for FaultyReader {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let left = self.good_bytes.saturating_sub(self.inner.position() as usize);
        if left == 0 && self.fails {
            return Err(std::io::Error::other("the disk is gone"));
        }
        let count = into.len().min(left);
        self.inner.read(&mut into[..count])
    }
}

impl Seek for FaultyReader {
    fn seek(&mut self, target: SeekFrom) -> std::io::Result<u64> {
        self.inner.seek(target)
    }
}

/// Magic, version, no tensors and this many metadata entries.
fn preamble(entries: u64) -> Vec<u8> {
    let counts = [0, entries].map(u64::to_le_bytes).concat();
    [b"GGUF", &3_u32.to_le_bytes()[..], &counts].concat()
}

fn key(name: &str) -> Vec<u8> {
    [&(name.len() as u64).to_le_bytes(), name.as_bytes()].concat()
}

/// Opens a file and reads all that is in it.
fn read_everything(bytes: &[u8]) -> frontdesk_engine::Result<()> {
    let mut model = ModelFile::open(Cursor::new(bytes))?;
    let entries: Vec<_> = model.tensors().cloned().collect();
    let mut data = Vec::new();
    for entry in entries {
        model.read_tensor(&entry.name, &mut data)?;
        assert_eq!(data.len(), entry.bytes);
    }
    Ok(())
}

/// What is wrong with the text of an error: it must be short and free of control characters.
fn flaw(error: &frontdesk_engine::Error) -> Option<String> {
    let text = error.to_string();
    if text.is_empty() || text.len() > 320 || text.contains(char::is_control) {
        return Some(format!("the message is not fit to be shown: {text:?}"));
    }
    None
}

/// Held by a test while it measures: memory is counted for the whole process.
struct Alone {
    _guard: MutexGuard<'static, ()>,
}

impl Alone {
    fn new() -> Self {
        static LOCK: Mutex<()> = Mutex::new(());
        Self { _guard: LOCK.lock().unwrap_or_else(PoisonError::into_inner) }
    }

    /// Runs `work` and returns the most memory it held at once.
    fn peak_during<T>(&self, work: impl FnOnce() -> T) -> (T, usize) {
        let before = ALLOCATOR.current_usage();
        ALLOCATOR.reset_peak_usage();
        let result = work();
        (result, ALLOCATOR.peak_usage().saturating_sub(before))
    }

    /// What is wrong with the outcome of opening `file`, which must be an error of this kind that
    /// `says` something and takes at most `limit` bytes of memory.
    fn complaint(
        &self,
        file: impl Read + Seek,
        kind: ErrorKind,
        says: &str,
        limit: usize,
    ) -> Option<String> {
        let (outcome, peak) = self.peak_during(|| ModelFile::open(file).map(drop));
        let Err(error) = outcome else { return Some("it was opened".to_owned()) };
        if error.kind() != kind || !error.to_string().contains(says) {
            return Some(format!("expected {kind:?} '{says}', got {:?} '{error}'", error.kind()));
        }
        if peak > limit {
            return Some(format!("it took {peak} bytes of memory"));
        }
        flaw(&error)
    }
}
