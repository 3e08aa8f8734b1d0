//! Makes GGUF files in memory: sound ones, and sound ones with a map of where each field lies, to be damaged.

mod tiny_models;
mod tiny_vocabularies;

use std::fmt::Display;
use std::ops::Range;

use candle_core::quantized::gguf_file::Value;
use candle_core::quantized::{GgmlDType, QTensor};
use candle_core::{Device, Tensor};
use frontdesk_kernels::quant::TensorType;

pub use tiny_models::{
    tiny_bert_builder, tiny_gemma3, tiny_gemma3_builder, tiny_llama, tiny_llama_builder,
    tiny_qwen2_builder, tiny_qwen3_builder,
};

/// Collects metadata and tensors and writes them as one GGUF file.
#[derive(Clone, Debug)]
pub struct GgufBuilder {
    version: u32,
    alignment: u32,
    metadata: Vec<(String, Value)>,
    tensors: Vec<StoredTensor>,
}

#[derive(Clone, Debug)]
struct StoredTensor {
    name: String,
    type_id: u32,
    /// Outermost first; the file has them innermost first.
    shape: Vec<usize>,
    bytes: Vec<u8>,
}

/// A file and where its fields lie, in bytes from its start.
#[derive(Clone, Debug)]
pub struct GgufFile {
    /// The whole file.
    pub bytes: Vec<u8>,
    /// The metadata entries, in the order they were added.
    pub entries: Vec<EntryLayout>,
    /// The tensor infos, in the order they were added.
    pub tensors: Vec<TensorLayout>,
    /// End of the last tensor info.
    pub header_bytes: usize,
    /// Start of the tensor data.
    pub data_offset: usize,
}

/// Where one metadata entry lies.
#[derive(Clone, Debug)]
pub struct EntryLayout {
    /// The key.
    pub key: String,
    /// Length of the key (u64), followed by the key.
    pub key_length_at: usize,
    /// Type of the value (u32).
    pub type_at: usize,
    /// The value.
    pub value: Range<usize>,
}

/// Where one tensor info lies, and its data.
#[derive(Clone, Debug)]
pub struct TensorLayout {
    /// The name.
    pub name: String,
    /// Length of the name (u64), followed by the name.
    pub name_length_at: usize,
    /// Number of dimensions (u32), followed by the dimensions (u64 each).
    pub dimension_count_at: usize,
    /// Type id (u32).
    pub type_at: usize,
    /// Offset of the data (u64), relative to the start of the data.
    pub offset_at: usize,
    /// The data.
    pub data: Range<usize>,
}

impl Default for GgufBuilder {
    fn default() -> Self {
        Self::new()
    }
}

impl GgufBuilder {
    /// An empty file of version 3 with the default alignment.
    pub fn new() -> Self {
        Self { version: 3, alignment: 32, metadata: Vec::new(), tensors: Vec::new() }
    }

    /// Writes this version instead of 3.
    pub fn version(mut self, version: u32) -> Self {
        self.version = version;
        self
    }

    /// Aligns the data so and says so in `general.alignment`.
    pub fn alignment(mut self, alignment: u32) -> Self {
        self.alignment = alignment;
        self.set("general.alignment", Value::U32(alignment))
    }

    /// Adds a metadata entry, or replaces the value of the key.
    pub fn set(mut self, key: impl Into<String>, value: Value) -> Self {
        let key = key.into();
        match self.metadata.iter_mut().find(|(existing, _)| *existing == key) {
            Some((_, existing)) => *existing = value,
            None => self.metadata.push((key, value)),
        }
        self
    }

    /// Takes a metadata entry out.
    pub fn without(mut self, key: &str) -> Self {
        self.metadata.retain(|(existing, _)| existing != key);
        self
    }

    /// Adds a tensor from f32 weights through candle's quantiser; `shape` is outermost first.
    pub fn tensor(
        self,
        name: &str,
        tensor_type: TensorType,
        shape: &[usize],
        weights: &[f32],
    ) -> Self {
        let bytes = quantised(tensor_type, shape, weights);
        self.raw_tensor(name, type_id(tensor_type), shape, bytes)
    }

    /// Adds a tensor as it is, sound or not; `shape` is outermost first.
    pub fn raw_tensor(mut self, name: &str, type_id: u32, shape: &[usize], bytes: Vec<u8>) -> Self {
        self.tensors.push(StoredTensor {
            name: name.to_owned(),
            type_id,
            shape: shape.to_vec(),
            bytes,
        });
        self
    }

    /// Takes a tensor out.
    pub fn without_tensor(mut self, name: &str) -> Self {
        self.tensors.retain(|tensor| tensor.name != name);
        self
    }

    /// The file.
    pub fn build(&self) -> Vec<u8> {
        self.build_with_layout().bytes
    }

    /// The file, and where its fields lie.
    pub fn build_with_layout(&self) -> GgufFile {
        let mut bytes = b"GGUF".to_vec();
        bytes.extend(self.version.to_le_bytes());
        bytes.extend((self.tensors.len() as u64).to_le_bytes());
        bytes.extend((self.metadata.len() as u64).to_le_bytes());
        let entries =
            self.metadata.iter().map(|(key, value)| write_entry(&mut bytes, key, value)).collect();

        let mut data_length = 0;
        let mut tensors = Vec::new();
        for tensor in &self.tensors {
            tensors.push(write_tensor_info(&mut bytes, tensor, data_length));
            data_length = self.align(data_length + tensor.bytes.len());
        }
        let header_bytes = bytes.len();
        let data_offset = self.align(header_bytes);
        for (layout, tensor) in tensors.iter_mut().zip(&self.tensors) {
            bytes.resize(self.align(bytes.len()), 0);
            layout.data = bytes.len()..bytes.len() + tensor.bytes.len();
            bytes.extend(&tensor.bytes);
        }
        GgufFile { bytes, entries, tensors, header_bytes, data_offset }
    }

    fn align(&self, position: usize) -> usize {
        position.next_multiple_of(self.alignment as usize)
    }
}

impl GgufFile {
    /// The entry with this key, which must exist.
    pub fn entry(&self, key: &str) -> &EntryLayout {
        found(self.entries.iter().find(|entry| entry.key == key), key)
    }

    /// The tensor with this name, which must exist.
    pub fn tensor(&self, name: &str) -> &TensorLayout {
        found(self.tensors.iter().find(|tensor| tensor.name == name), name)
    }
}

/// The bytes that candle's quantiser makes of `weights`; `shape` is outermost first.
pub fn quantised(tensor_type: TensorType, shape: &[usize], weights: &[f32]) -> Vec<u8> {
    let quantise = || {
        let tensor = Tensor::from_slice(weights, shape, &Device::Cpu)?;
        let quantised = QTensor::quantize(&tensor, candle_type(tensor_type))?;
        Ok::<_, candle_core::Error>(quantised.data()?.into_owned())
    };
    quantise().unwrap_or_else(|cause| panic!("{tensor_type:?} of shape {shape:?}: {cause}"))
}

/// The id of a tensor type in GGUF files.
pub fn type_id(tensor_type: TensorType) -> u32 {
    match tensor_type {
        TensorType::F32 => 0,
        TensorType::F16 => 1,
        TensorType::Q4_0 => 2,
        TensorType::Q4_1 => 3,
        TensorType::Q5_0 => 6,
        TensorType::Q5_1 => 7,
        TensorType::Q8_0 => 8,
        TensorType::Q4_K => 12,
        TensorType::Q5_K => 13,
        TensorType::Q6_K => 14,
        TensorType::BF16 => 30,
        other => panic!("the maker does not know the type {other:?}"),
    }
}

/// candle's name of a tensor type.
pub fn candle_type(tensor_type: TensorType) -> GgmlDType {
    match tensor_type {
        TensorType::F32 => GgmlDType::F32,
        TensorType::F16 => GgmlDType::F16,
        TensorType::BF16 => GgmlDType::BF16,
        TensorType::Q4_0 => GgmlDType::Q4_0,
        TensorType::Q4_1 => GgmlDType::Q4_1,
        TensorType::Q5_0 => GgmlDType::Q5_0,
        TensorType::Q5_1 => GgmlDType::Q5_1,
        TensorType::Q8_0 => GgmlDType::Q8_0,
        TensorType::Q4_K => GgmlDType::Q4K,
        TensorType::Q5_K => GgmlDType::Q5K,
        TensorType::Q6_K => GgmlDType::Q6K,
        other => panic!("the maker does not know the type {other:?}"),
    }
}

/// `count` numbers spread evenly over -1..1, always the same for the same `seed`.
pub fn pseudo_random(seed: &str, count: usize) -> Vec<f32> {
    // FNV-1a turns the seed into a state, SplitMix64 the state into numbers.
    let mut state = seed.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    std::iter::repeat_with(|| {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        (mixed >> 40) as f32 / (1_u64 << 23) as f32 - 1.0
    })
    .take(count)
    .collect()
}

fn found<T>(item: Option<T>, name: impl Display) -> T {
    item.unwrap_or_else(|| panic!("the made file has no '{name}'"))
}

fn write_entry(bytes: &mut Vec<u8>, key: &str, value: &Value) -> EntryLayout {
    let key_length_at = bytes.len();
    write_string(bytes, key);
    let type_at = bytes.len();
    bytes.extend(value_type_id(value).to_le_bytes());
    let begin = bytes.len();
    write_value(bytes, value);
    EntryLayout { key: key.to_owned(), key_length_at, type_at, value: begin..bytes.len() }
}

fn write_tensor_info(bytes: &mut Vec<u8>, tensor: &StoredTensor, offset: usize) -> TensorLayout {
    let name_length_at = bytes.len();
    write_string(bytes, &tensor.name);
    let dimension_count_at = bytes.len();
    bytes.extend((tensor.shape.len() as u32).to_le_bytes());
    for &dimension in tensor.shape.iter().rev() {
        bytes.extend((dimension as u64).to_le_bytes());
    }
    let type_at = bytes.len();
    bytes.extend(tensor.type_id.to_le_bytes());
    let offset_at = bytes.len();
    bytes.extend((offset as u64).to_le_bytes());
    let name = tensor.name.clone();
    TensorLayout { name, name_length_at, dimension_count_at, type_at, offset_at, data: 0..0 }
}

fn write_string(bytes: &mut Vec<u8>, text: &str) {
    bytes.extend((text.len() as u64).to_le_bytes());
    bytes.extend(text.as_bytes());
}

fn write_value(bytes: &mut Vec<u8>, value: &Value) {
    match value {
        Value::U8(value) => bytes.push(*value),
        Value::I8(value) => bytes.extend(value.to_le_bytes()),
        Value::U16(value) => bytes.extend(value.to_le_bytes()),
        Value::I16(value) => bytes.extend(value.to_le_bytes()),
        Value::U32(value) => bytes.extend(value.to_le_bytes()),
        Value::I32(value) => bytes.extend(value.to_le_bytes()),
        Value::F32(value) => bytes.extend(value.to_le_bytes()),
        Value::U64(value) => bytes.extend(value.to_le_bytes()),
        Value::I64(value) => bytes.extend(value.to_le_bytes()),
        Value::F64(value) => bytes.extend(value.to_le_bytes()),
        Value::Bool(value) => bytes.push(u8::from(*value)),
        Value::String(value) => write_string(bytes, value),
        Value::Array(elements) => {
            // The type of an empty array does not matter, but it needs one.
            let element_type = elements.first().map_or(4, value_type_id);
            bytes.extend(element_type.to_le_bytes());
            bytes.extend((elements.len() as u64).to_le_bytes());
            for element in elements {
                assert_eq!(value_type_id(element), element_type, "the elements differ in type");
                write_value(bytes, element);
            }
        }
    }
}

fn value_type_id(value: &Value) -> u32 {
    match value {
        Value::U8(_) => 0,
        Value::I8(_) => 1,
        Value::U16(_) => 2,
        Value::I16(_) => 3,
        Value::U32(_) => 4,
        Value::I32(_) => 5,
        Value::F32(_) => 6,
        Value::Bool(_) => 7,
        Value::String(_) => 8,
        Value::Array(_) => 9,
        Value::U64(_) => 10,
        Value::I64(_) => 11,
        Value::F64(_) => 12,
    }
}
