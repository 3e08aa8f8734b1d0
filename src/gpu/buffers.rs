//! What lives on the device: tensors, KV caches, cursors.

/// A buffer with a number of its own, by which bind groups are found again.
#[derive(Clone)]
pub(crate) struct Buffer {
    pub(crate) raw: wgpu::Buffer,
    pub(crate) id: u32,
}

/// Activations, `[tokens, width]`.
pub struct GpuTensor {
    pub(crate) buffer: Buffer,
    /// Where it begins, in numbers; tensors of one projection share a buffer.
    pub(crate) offset: u32,
    pub(crate) width: usize,
    /// Another buffer of this size, into which the tensor moves where it cannot change in place.
    pub(crate) spare: Option<Buffer>,
    /// What is still to be added: the norm of the backend's update.
    pub(crate) pending: Option<PendingUpdate>,
}

/// A norm whose result was not added yet.
#[derive(Clone, Copy)]
pub(crate) struct PendingUpdate {
    pub(crate) weight: GpuVector,
    pub(crate) epsilon: f32,
}

/// Weights of a norm, or a bias: where it begins among the model's vectors, in numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GpuVector {
    pub(crate) start: u32,
}

impl GpuVector {
    /// Where it begins, in vectors of four.
    pub(crate) fn fourth(self) -> u32 {
        self.start / 4
    }
}

/// Keys and values of one layer, `[capacity, heads, dimensions]` each.
pub struct GpuCache {
    pub(crate) keys: Buffer,
    pub(crate) values: Buffer,
    pub(crate) heads: u32,
    pub(crate) dimensions: u32,
    pub(crate) capacity: usize,
}

/// Cosines and sines, `[positions, dimensions / 2]`.
pub struct GpuRope {
    pub(crate) table: Buffer,
}

/// The tokens in flight, as the kernels read them.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, bytemuck::Pod, bytemuck::Zeroable)]
pub(crate) struct Token {
    pub(crate) id: u32,
    pub(crate) slot: u32,
    pub(crate) position: u32,
    pub(crate) context_start: u32,
    pub(crate) context_length: u32,
    pub(crate) own_slot: u32,
    pub(crate) own_tokens: u32,
    pub(crate) index: u32,
}

/// Ids, slots and segments of the tokens in flight.
pub struct GpuCursor {
    pub(crate) whole: Buffer,
    /// The tokens that a pass goes on with.
    pub(crate) kept: Buffer,
    /// `[segments]`: first token, tokens, earlier tokens, row.
    pub(crate) segments: Buffer,
    pub(crate) is_cut: bool,
    pub(crate) tokens: Vec<Token>,
    pub(crate) runs: Vec<Run>,
}

/// Tokens of one segment in a pass.
#[derive(Clone, Copy)]
pub(crate) struct Run {
    pub(crate) first: u32,
    pub(crate) tokens: u32,
    pub(crate) before: u32,
}

impl GpuCursor {
    /// Where the kernels find the tokens.
    pub(crate) fn buffer(&self) -> &Buffer {
        if self.is_cut { &self.kept } else { &self.whole }
    }

    pub(crate) fn count(&self) -> u32 {
        self.tokens.len() as u32
    }
}
