//! The tensor types of GGUF files: their block layouts and how each is decoded.
//!
//! Every quantised format is brought to one form: unsigned codes, and for each group of 16 or 32
//! a scale and either a fixed offset or a minimum, so that one kernel serves all.

mod float;
mod q4_0;
mod q4_1;
mod q4_k;
mod q5_0;
mod q5_1;
mod q5_k;
mod q6_k;
mod q8_0;

pub(crate) use float::decode_float;

/// One block, decoded: weight = scale * (code - offset) + minimum, scale and minimum by group.
pub(crate) struct Decoded {
    pub(crate) codes: [u8; 256],
    pub(crate) scales: [f32; 16],
    pub(crate) mins: [f32; 16],
}

impl Decoded {
    pub(crate) fn new() -> Self {
        Self { codes: [0; 256], scales: [0.0; 16], mins: [0.0; 16] }
    }
}

/// How a quantised format is decoded.
pub(crate) struct Format {
    /// Weights that share a scale: 16 or 32.
    pub(crate) group: usize,
    /// Subtracted from every code; formats with an offset have no minimum.
    pub(crate) offset: i32,
    /// Bits of a code.
    pub(crate) code_bits: u32,
    /// Decodes one block of `block_bytes`.
    pub(crate) decode: fn(block: &[u8], into: &mut Decoded),
}

/// Storage format of a tensor inside a GGUF file.
///
/// Source of the layouts: the GGUF specification and ggml's block definitions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[allow(non_camel_case_types, reason = "the formats' names in the GGUF specification")]
pub enum TensorType {
    /// IEEE 754 single precision.
    F32,
    /// IEEE 754 half precision.
    F16,
    /// bfloat16.
    BF16,
    /// 4-bit, one scale per 32 weights.
    Q4_0,
    /// 4-bit, scale and minimum per 32 weights.
    Q4_1,
    /// 5-bit, one scale per 32 weights.
    Q5_0,
    /// 5-bit, scale and minimum per 32 weights.
    Q5_1,
    /// 8-bit, one scale per 32 weights.
    Q8_0,
    /// 4-bit super-blocks of 256 weights.
    Q4_K,
    /// 5-bit super-blocks of 256 weights.
    Q5_K,
    /// 6-bit super-blocks of 256 weights.
    Q6_K,
}

impl TensorType {
    /// Every supported type.
    pub const ALL: [TensorType; 11] = [
        TensorType::F32,
        TensorType::F16,
        TensorType::BF16,
        TensorType::Q4_0,
        TensorType::Q4_1,
        TensorType::Q5_0,
        TensorType::Q5_1,
        TensorType::Q8_0,
        TensorType::Q4_K,
        TensorType::Q5_K,
        TensorType::Q6_K,
    ];

    /// Number of consecutive weights that share one block.
    pub const fn block_len(self) -> usize {
        match self {
            TensorType::F32 | TensorType::F16 | TensorType::BF16 => 1,
            TensorType::Q4_0
            | TensorType::Q4_1
            | TensorType::Q5_0
            | TensorType::Q5_1
            | TensorType::Q8_0 => 32,
            TensorType::Q4_K | TensorType::Q5_K | TensorType::Q6_K => 256,
        }
    }

    /// Bytes of one block in the file.
    pub const fn block_bytes(self) -> usize {
        match self {
            TensorType::F32 => 4,
            TensorType::F16 | TensorType::BF16 => 2,
            TensorType::Q4_0 => 18,
            TensorType::Q4_1 => 20,
            TensorType::Q5_0 => 22,
            TensorType::Q5_1 => 24,
            TensorType::Q8_0 => 34,
            TensorType::Q4_K => 144,
            TensorType::Q5_K => 176,
            TensorType::Q6_K => 210,
        }
    }
}

impl TensorType {
    /// How to decode this type; none for the float types.
    pub(crate) fn format(self) -> Option<&'static Format> {
        Some(match self {
            TensorType::F32 | TensorType::F16 | TensorType::BF16 => return None,
            TensorType::Q4_0 => &q4_0::FORMAT,
            TensorType::Q4_1 => &q4_1::FORMAT,
            TensorType::Q5_0 => &q5_0::FORMAT,
            TensorType::Q5_1 => &q5_1::FORMAT,
            TensorType::Q8_0 => &q8_0::FORMAT,
            TensorType::Q4_K => &q4_k::FORMAT,
            TensorType::Q5_K => &q5_k::FORMAT,
            TensorType::Q6_K => &q6_k::FORMAT,
        })
    }

    /// Weights that share a scale, and bits of a code; none for the float types.
    pub fn codes(self) -> Option<(usize, u32)> {
        self.format().map(|format| (format.group, format.code_bits))
    }

    /// Bytes of `weights` consecutive weights, or nothing where they do not fill whole blocks.
    pub fn bytes_of(self, weights: usize) -> Option<usize> {
        let whole = weights.is_multiple_of(self.block_len());
        whole.then(|| (weights / self.block_len()).checked_mul(self.block_bytes())).flatten()
    }
}

/// Decodes `raw`, whole blocks of `tensor_type`, to single precision.
///
/// # Panics
/// When `raw` is not as long as `out` demands.
pub fn dequantise(tensor_type: TensorType, raw: &[u8], out: &mut [f32]) {
    assert_eq!(tensor_type.bytes_of(out.len()), Some(raw.len()), "raw bytes do not match");
    let Some(format) = tensor_type.format() else {
        decode_float(tensor_type, raw, out);
        return;
    };
    let mut decoded = Decoded::new();
    let blocks = raw.chunks_exact(tensor_type.block_bytes());
    for (block, out) in blocks.zip(out.chunks_exact_mut(tensor_type.block_len())) {
        (format.decode)(block, &mut decoded);
        for (index, (value, code)) in out.iter_mut().zip(decoded.codes).enumerate() {
            let group = index / format.group;
            *value = decoded.scales[group] * (i32::from(code) - format.offset) as f32
                + decoded.mins[group];
        }
    }
}

/// Decodes `raw`, whole blocks of a quantised type, to codes and, for each group, a scale and a minimum:
/// weight = scale * code + minimum.
///
/// # Panics
/// When the lengths do not match, or for a type without codes.
pub fn decode_codes(
    tensor_type: TensorType,
    raw: &[u8],
    codes: &mut [u8],
    numbers: &mut [[f32; 2]],
) {
    let Some(format) = tensor_type.format() else { panic!("{tensor_type:?} has no codes") };
    assert_eq!(tensor_type.bytes_of(codes.len()), Some(raw.len()), "raw bytes do not match");
    assert_eq!(numbers.len() * format.group, codes.len(), "numbers do not match");
    let mut decoded = Decoded::new();
    let length = tensor_type.block_len();
    let outputs =
        codes.chunks_exact_mut(length).zip(numbers.chunks_exact_mut(length / format.group));
    for (block, (codes, numbers)) in raw.chunks_exact(tensor_type.block_bytes()).zip(outputs) {
        (format.decode)(block, &mut decoded);
        codes.copy_from_slice(&decoded.codes[..length]);
        let pairs = decoded.scales.iter().zip(&decoded.mins);
        for (number, (scale, minimum)) in numbers.iter_mut().zip(pairs) {
            *number = [*scale, minimum - scale * format.offset as f32];
        }
    }
}

/// A little-endian half-precision number.
fn half(bytes: &[u8]) -> f32 {
    ::half::f16::from_le_bytes([bytes[0], bytes[1]]).to_f32()
}

/// 16 bytes to 32 codes: all low nibbles first, then all high ones.
fn join_nibbles(bytes: &[u8], codes: &mut [u8]) {
    let (first, second) = codes.split_at_mut(16);
    for ((byte, low), high) in bytes.iter().zip(first).zip(second) {
        *low = byte & 0x0f;
        *high = byte >> 4;
    }
}

/// Adds the fifth bit of each of 32 codes.
fn add_fifth_bits(bits: &[u8], codes: &mut [u8]) {
    for (index, code) in codes.iter_mut().enumerate() {
        *code |= ((bits[index / 8] >> (index % 8)) & 1) << 4;
    }
}

/// The 8 scales and minima of a Q4_K or Q5_K block: d, d_min (f16), then 12 bytes of 6-bit pairs.
fn k_scales(block: &[u8], into: &mut Decoded) {
    let (d, d_min) = (half(&block[0..2]), half(&block[2..4]));
    let packed = &block[4..16];
    for group in 0..8 {
        let (scale, minimum) = if group < 4 {
            (packed[group] & 63, packed[group + 4] & 63)
        } else {
            (
                (packed[group + 4] & 0x0f) | ((packed[group - 4] >> 6) << 4),
                (packed[group + 4] >> 4) | ((packed[group] >> 6) << 4),
            )
        };
        into.scales[group] = d * f32::from(scale);
        into.mins[group] = -d_min * f32::from(minimum);
    }
}
