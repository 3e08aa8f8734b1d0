//! The ways in which a sound model file is damaged, and what each must come to.

use candle_core::quantized::gguf_file::Value;
use frontdesk_engine::ErrorKind::{self, InvalidModel, UnsupportedModel};
use frontdesk_kernels::quant::TensorType;
use support::gguf_maker::{GgufBuilder, GgufFile};

/// A way to damage a file, and what must come of it.
pub(crate) type Mutation = (&'static str, Vec<u8>, ErrorKind, &'static str);

/// A sound file of about two kilobytes with every kind of metadata and four tensors.
pub(crate) fn sound() -> GgufBuilder {
    let strings = ["one", "two", "three"].map(|text| Value::String(text.to_owned())).to_vec();
    let weights: Vec<f32> = (0..128).map(|index| index as f32 / 16.0 - 4.0).collect();
    GgufBuilder::new()
        .set("general.architecture", Value::String("llama".to_owned()))
        .alignment(32)
        .set("a.u8", Value::U8(200))
        .set("a.i8", Value::I8(-100))
        .set("a.u16", Value::U16(60_000))
        .set("a.i16", Value::I16(-30_000))
        .set("a.u32", Value::U32(4_000_000_000))
        .set("a.i32", Value::I32(-2_000_000_000))
        .set("a.u64", Value::U64(1 << 60))
        .set("a.i64", Value::I64(-1 << 60))
        .set("a.f32", Value::F32(0.5))
        .set("a.f64", Value::F64(0.25))
        .set("a.bool", Value::Bool(true))
        .set("list.strings", Value::Array(strings))
        .set("list.bools", Value::Array(vec![Value::Bool(true), Value::Bool(false)]))
        .set("list.numbers", Value::Array(vec![Value::I32(1), Value::I32(-2)]))
        .tensor("norm.weight", TensorType::F32, &[5], &weights[..5])
        .tensor("first.weight", TensorType::Q8_0, &[2, 32], &weights[..64])
        .tensor("second.weight", TensorType::F16, &[3, 4], &weights[..12])
        .tensor("third.weight", TensorType::Q4_0, &[2, 2, 32], &weights)
}

/// The sound file after `damage`.
fn damaged(damage: impl Fn(&mut GgufFile)) -> Vec<u8> {
    let mut file = sound().build_with_layout();
    damage(&mut file);
    file.bytes
}

fn put(file: &mut GgufFile, at: usize, bytes: impl AsRef<[u8]>) {
    let bytes = bytes.as_ref();
    file.bytes[at..at + bytes.len()].copy_from_slice(bytes);
}

/// The sound file with other bytes at a fixed place.
fn with_bytes(at: usize, bytes: impl AsRef<[u8]>) -> Vec<u8> {
    damaged(|file| put(file, at, &bytes))
}

/// The sound file with other bytes `at` bytes into the value of `key`.
fn with_value(key: &str, at: usize, bytes: impl AsRef<[u8]>) -> Vec<u8> {
    damaged(|file| put(file, file.entry(key).value.start + at, &bytes))
}

/// The sound file with another type for the value of `key`.
fn with_value_type(key: &str, value_type: u32) -> Vec<u8> {
    damaged(|file| put(file, file.entry(key).type_at, value_type.to_le_bytes()))
}

/// The sound file with other bytes `at` bytes into the key of the entry `key`.
fn with_key(key: &str, at: usize, bytes: impl AsRef<[u8]>) -> Vec<u8> {
    damaged(|file| put(file, file.entry(key).key_length_at + 8 + at, &bytes))
}

/// The sound file with other bytes `at` bytes into the name of the second tensor.
fn with_name(at: usize, bytes: impl AsRef<[u8]>) -> Vec<u8> {
    damaged(|file| put(file, file.tensor("first.weight").name_length_at + 8 + at, &bytes))
}

/// The sound file whose second tensor, [2, 32] of Q8_0, is said to have these dimensions.
fn with_dimensions(innermost_first: [u64; 2]) -> Vec<u8> {
    let bytes = innermost_first.map(u64::to_le_bytes).concat();
    damaged(|file| put(file, file.tensor("first.weight").dimension_count_at + 4, &bytes))
}

/// The sound file whose second tensor is said to have this many dimensions.
fn with_dimension_count(count: u32) -> Vec<u8> {
    damaged(|file| put(file, file.tensor("first.weight").dimension_count_at, count.to_le_bytes()))
}

/// The sound file whose second tensor is said to be of this type.
fn with_tensor_type(id: u32) -> Vec<u8> {
    damaged(|file| put(file, file.tensor("first.weight").type_at, id.to_le_bytes()))
}

/// The sound file whose second tensor is said to begin here.
fn with_offset(offset: u64) -> Vec<u8> {
    damaged(|file| put(file, file.tensor("first.weight").offset_at, offset.to_le_bytes()))
}

/// The sound file with this value of `general.alignment`.
fn with_alignment(value: Value) -> Vec<u8> {
    sound().set("general.alignment", value).build()
}

/// The sound file with another tensor of 32 weights in F32.
fn with_tensor_named(name: &str) -> Vec<u8> {
    sound().tensor(name, TensorType::F32, &[32], &[0.0; 32]).build()
}

/// Damage to the preamble: magic, version, counts.
pub(crate) fn preamble_mutations() -> Vec<Mutation> {
    let version = |version: u32| sound().version(version).build();
    let tensors = |count: u64| with_bytes(8, count.to_le_bytes());
    let entries = |count: u64| with_bytes(16, count.to_le_bytes());
    vec![
        ("empty file", Vec::new(), InvalidModel, "the magic number"),
        ("wrong magic", with_bytes(0, b"GGML"), InvalidModel, "begins with 'GGML'"),
        (
            "magic of control bytes",
            with_bytes(0, [0, 27, 10, 7]),
            InvalidModel,
            r"'\0\u{1b}\n\u{7}'",
        ),
        ("reversed magic", with_bytes(0, b"FUGG"), InvalidModel, "begins with 'FUGG'"),
        ("version 0", version(0), UnsupportedModel, "version 0 is unknown"),
        ("version 1", version(1), UnsupportedModel, "version 1 is obsolete"),
        ("version 4", version(4), UnsupportedModel, "version 4 is unknown"),
        ("big-endian", version(3_u32.swap_bytes()), UnsupportedModel, "big-endian"),
        ("2^64-1 tensors", tensors(u64::MAX), InvalidModel, "at most 65536"),
        ("65537 tensors", tensors(65_537), InvalidModel, "the tensor count is 65537"),
        ("65536 tensors", tensors(65_536), InvalidModel, "the file ends too early: 65536 tensors"),
        ("2^63 metadata entries", entries(1 << 63), InvalidModel, "at most 65536"),
        ("65536 metadata entries", entries(65_536), InvalidModel, "65536 metadata entries"),
        ("one tensor too many", tensors(5), InvalidModel, "tensor 4"),
        ("one metadata entry too many", entries(17), InvalidModel, "name of tensor 0 is empty"),
        ("one metadata entry too few", entries(15), InvalidModel, "dimensions"),
    ]
}

/// Damage to keys and values.
pub(crate) fn metadata_mutations() -> Vec<Mutation> {
    let huge = u64::MAX.to_le_bytes();
    let key_length = |length: u64| {
        damaged(|file| put(file, file.entry("a.u8").key_length_at, length.to_le_bytes()))
    };
    let length = |count: u64| with_value("list.strings", 4, count.to_le_bytes());
    let element_type = |id: u32| with_value("list.strings", 0, id.to_le_bytes());
    let nested = Value::Array(vec![Value::Array(vec![Value::Array(vec![Value::U8(1)])])]);
    let name = "general.architecture";
    vec![
        ("key of 2^64-1 bytes", key_length(u64::MAX), InvalidModel, "at most 65535"),
        ("key of 65535 bytes", key_length(65_535), InvalidModel, "the key of metadata entry 2"),
        ("empty key", key_length(0), InvalidModel, "the key of metadata entry 2 is empty"),
        (
            "key of bad UTF-8",
            with_key("a.u8", 0, [0xff]),
            InvalidModel,
            "entry 2 is not valid UTF-8",
        ),
        ("key with NUL", with_key("a.u8", 3, [0]), InvalidModel, r"control characters: 'a.u\0'"),
        ("key twice", with_key("a.i8", 2, b"u"), InvalidModel, "the key 'a.u8' appears twice"),
        ("string of 2^64-1 bytes", with_value(name, 0, huge), InvalidModel, "at most 16777216"),
        (
            "string past the end",
            with_value(name, 0, 9_999_u64.to_le_bytes()),
            InvalidModel,
            "early",
        ),
        ("string of bad UTF-8", with_value(name, 8, [0xc3, 0x28]), InvalidModel, "not valid UTF-8"),
        ("string of surrogates", with_value(name, 8, [0xed, 0xa0, 0x80]), InvalidModel, "UTF-8"),
        (
            "string in an array of bad UTF-8",
            with_value("list.strings", 20, [0x80]),
            InvalidModel,
            "UTF-8",
        ),
        (
            "string in an array past the end",
            with_value("list.strings", 12, huge),
            InvalidModel,
            "at most",
        ),
        ("bool of 7", with_value("a.bool", 0, [7]), InvalidModel, "'a.bool' holds the byte 7"),
        (
            "bool of 2 in an array",
            with_value("list.bools", 13, [2]),
            InvalidModel,
            "holds the byte 2",
        ),
        ("value type 13", with_value_type("a.u8", 13), InvalidModel, "unknown value type 13"),
        (
            "value type 2^32-1",
            with_value_type("a.u8", u32::MAX),
            InvalidModel,
            "value type 4294967295",
        ),
        ("element type 99", element_type(99), InvalidModel, "unknown value type 99"),
        ("element type array", element_type(9), InvalidModel, "an array of arrays"),
        (
            "nested arrays",
            sound().set("deep", nested).build(),
            InvalidModel,
            "'deep' is an array of arrays",
        ),
        ("array of 2^64-1", length(u64::MAX), InvalidModel, "at most 2097152"),
        ("array of 2^61 strings", length(1 << 61), InvalidModel, "at most 2097152"),
        ("array of 2^20 strings", length(1 << 20), InvalidModel, "ends too early"),
        ("alignment 0", with_alignment(Value::U32(0)), InvalidModel, "the alignment is 0"),
        ("alignment 3", with_alignment(Value::U32(3)), InvalidModel, "the alignment is 3"),
        ("alignment 4", with_alignment(Value::U32(4)), InvalidModel, "the alignment is 4"),
        ("alignment 2^31", with_alignment(Value::U32(1 << 31)), InvalidModel, "is 2147483648"),
        ("alignment -32", with_alignment(Value::I32(-32)), InvalidModel, "the alignment is -32"),
        (
            "alignment in 64 bits",
            with_alignment(Value::U64(32)),
            InvalidModel,
            "not a 32-bit integer",
        ),
        (
            "alignment in words",
            with_alignment(Value::String("32".into())),
            InvalidModel,
            "not a 32-bit",
        ),
    ]
}

/// Damage to the descriptions of tensors.
pub(crate) fn tensor_mutations() -> Vec<Mutation> {
    let name_length = |length: u64| {
        damaged(|file| put(file, file.tensor("first.weight").name_length_at, length.to_le_bytes()))
    };
    let partial = damaged(|file| {
        let first = file.tensor("first.weight");
        let overlapping = (first.data.start - file.data_offset + 32) as u64;
        put(file, file.tensor("second.weight").offset_at, overlapping.to_le_bytes());
    });
    let cut = |file: Vec<u8>, left_out: usize| file[..file.len() - left_out].to_vec();
    vec![
        ("name of 2^64-1 bytes", name_length(u64::MAX), InvalidModel, "at most 256"),
        (
            "name of 257 bytes",
            with_tensor_named(&"n".repeat(257)),
            InvalidModel,
            "is 257; at most 256",
        ),
        ("empty name", with_tensor_named(""), InvalidModel, "the name of tensor 4 is empty"),
        ("name of bad UTF-8", with_name(0, [0xf8]), InvalidModel, "tensor 1 is not valid UTF-8"),
        (
            "name with a newline",
            with_name(5, b"\n"),
            InvalidModel,
            r"control characters: 'first\nweight'",
        ),
        (
            "name twice",
            with_tensor_named("norm.weight"),
            InvalidModel,
            "'norm.weight' appears twice",
        ),
        ("0 dimensions", with_dimension_count(0), InvalidModel, "'first.weight' has 0 dimensions"),
        ("5 dimensions", with_dimension_count(5), InvalidModel, "'first.weight' has 5 dimensions"),
        (
            "2^32-1 dimensions",
            with_dimension_count(u32::MAX),
            InvalidModel,
            "4294967295 dimensions",
        ),
        (
            "dimension 0 of 0",
            with_dimensions([0, 2]),
            InvalidModel,
            "dimension 0 of tensor 'first.weight' is 0",
        ),
        (
            "dimension 1 of 0",
            with_dimensions([32, 0]),
            InvalidModel,
            "dimension 1 of tensor 'first.weight' is 0",
        ),
        ("2^66 weights", with_dimensions([1 << 33, 1 << 33]), InvalidModel, "product is too large"),
        ("2^64 weights", with_dimensions([1 << 60, 16]), InvalidModel, "product is too large"),
        ("2^64 bytes", with_dimensions([1 << 59, 31]), InvalidModel, "product is too large"),
        ("2^63 weights", with_dimensions([1 << 59, 16]), InvalidModel, "past the end of the file"),
        (
            "2^40 weights",
            with_dimensions([1 << 20, 1 << 20]),
            InvalidModel,
            "past the end of the file",
        ),
        ("row of 33 weights", with_dimensions([33, 2]), InvalidModel, "not a multiple of the 32"),
        ("row of 16 weights", with_dimensions([16, 4]), InvalidModel, "has rows of 16 weights"),
        (
            "type IQ2_XS",
            with_tensor_type(17),
            UnsupportedModel,
            "tensor 'first.weight' has type 17 (IQ2_XS), which is not supported",
        ),
        ("type Q2_K", with_tensor_type(10), UnsupportedModel, "type 10 (Q2_K)"),
        ("type Q8_K", with_tensor_type(15), UnsupportedModel, "type 15 (Q8_K)"),
        (
            "removed type 4",
            with_tensor_type(4),
            UnsupportedModel,
            "tensor 'first.weight' has type 4,",
        ),
        ("type 2^32-1", with_tensor_type(u32::MAX), UnsupportedModel, "type 4294967295,"),
        (
            "type of larger blocks",
            with_tensor_type(14),
            InvalidModel,
            "256 weights of a Q6_K block",
        ),
        ("offset not aligned", with_offset(33), InvalidModel, "not a multiple of the alignment 32"),
        ("offset past the end", with_offset(1 << 20), InvalidModel, "past the end of the file"),
        ("offset of 2^64-32", with_offset(u64::MAX - 31), InvalidModel, "past the end of the file"),
        (
            "same data twice",
            with_offset(0),
            InvalidModel,
            "'first.weight' and 'norm.weight' overlap",
        ),
        ("overlap by half", partial, InvalidModel, "'first.weight' and 'second.weight' overlap"),
        (
            "last weight missing",
            cut(sound().build(), 1),
            InvalidModel,
            "'third.weight' lies past the end",
        ),
    ]
}
