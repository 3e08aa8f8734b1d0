//! What a decoder remembers between tokens: the KV cache, and scratch for the tokens in flight.

use crate::Result;
use crate::backend::{Backend, RopeSpec};
use crate::config::{Config, LayerAttention};

/// Most tokens of one forward pass: enough to use each weight often, few enough to stop promptly.
pub const CHUNK: usize = 144;

/// Most tokens whose logits are computed at once.
pub const LOGIT_ROWS: usize = 8;

/// KV cache of fixed capacity and every buffer of the forward pass.
pub struct State<B: Backend> {
    /// Ids whose keys and values are cached: the first `tokens.len()` slots, position by position.
    pub(crate) tokens: Vec<u32>,
    /// Slots of the KV cache; what lies after the tokens is scratch of other passes.
    pub(crate) capacity: usize,
    pub(crate) caches: Vec<B::Cache>,
    pub(crate) global_rope: B::Rope,
    pub(crate) local_rope: Option<B::Rope>,
    pub(crate) scratch: Scratch<B>,
}

/// Buffers for at most [`CHUNK`] tokens.
pub(crate) struct Scratch<B: Backend> {
    pub(crate) cursor: B::Cursor,
    /// Residual stream, `[tokens, hidden]`.
    pub(crate) residual: B::Tensor,
    /// `[tokens, heads * head]`.
    pub(crate) query: B::Tensor,
    /// `[tokens, kv_heads * head]`.
    pub(crate) key: B::Tensor,
    /// `[tokens, kv_heads * head]`.
    pub(crate) value: B::Tensor,
    /// `[tokens, heads * head]`.
    pub(crate) attended: B::Tensor,
    /// `[tokens, feed_forward]`.
    pub(crate) wide: B::Tensor,
    /// Pooled texts, `[texts, hidden]`.
    pub(crate) pooled: B::Tensor,
    /// `[LOGIT_ROWS, vocabulary]`.
    pub(crate) logits: B::Tensor,
}

impl<B: Backend> State<B> {
    /// Empty state for `capacity` positions.
    pub fn new(
        config: &Config,
        vocabulary: usize,
        capacity: usize,
        backend: &mut B,
    ) -> Result<Self> {
        let (query, kv) = (config.query_width(), config.kv_width());
        let rope = |backend: &mut B, attention: LayerAttention| {
            backend.rope_table(RopeSpec {
                positions: capacity,
                dimensions: config.head_dimensions,
                base: attention.rope_base,
                scale: attention.rope_scale,
            })
        };
        let [queries, key, value] = backend.tensors(CHUNK, [query, kv, kv])?;
        Ok(Self {
            tokens: Vec::with_capacity(capacity),
            capacity,
            caches: (0..config.layers)
                .map(|_| backend.cache(config.kv_heads, config.head_dimensions, capacity))
                .collect::<Result<_>>()?,
            global_rope: rope(backend, config.global)?,
            local_rope: config.local.map(|(local, _)| rope(backend, local)).transpose()?,
            scratch: Scratch {
                cursor: backend.cursor(CHUNK)?,
                residual: backend.tensor(CHUNK, config.hidden)?,
                query: queries,
                key,
                value,
                attended: backend.tensor(CHUNK, query)?,
                wide: backend.tensor(CHUNK, config.feed_forward)?,
                pooled: backend.tensor(CHUNK, config.hidden)?,
                logits: backend.tensor(LOGIT_ROWS, vocabulary)?,
            },
        })
    }

    /// Ids whose keys and values are cached, by position.
    pub fn tokens(&self) -> &[u32] {
        &self.tokens
    }

    /// Positions there is room for.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// Remembers ids whose keys and values were computed.
    pub(crate) fn append(&mut self, ids: &[u32]) {
        self.tokens.extend_from_slice(ids);
    }

    /// Forgets everything from `length` on.
    pub fn truncate(&mut self, length: usize) {
        self.tokens.truncate(length);
    }
}
