//! The tensor types of GGUF files: their block layouts and how each becomes weight panels.

/// Storage format of a tensor inside a GGUF file.
///
/// Source of the layouts: the GGUF specification and ggml's block definitions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
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
