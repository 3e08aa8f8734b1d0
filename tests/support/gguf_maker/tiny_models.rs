//! Complete tiny models with pseudo-random weights: they load and run, and mean nothing.

use candle_core::quantized::gguf_file::Value;
use frontdesk_kernels::quant::TensorType;

use super::tiny_vocabularies::{byte_pair_vocabulary, sentence_piece_vocabulary};
use super::{GgufBuilder, pseudo_random};

/// A Llama of two layers with tied embeddings and a byte-level BPE vocabulary.
pub fn tiny_llama(tensor_type: TensorType) -> Vec<u8> {
    tiny_llama_builder(tensor_type).build()
}

/// A Gemma 3 of six layers, the sixth with global attention, and a SentencePiece-like vocabulary.
pub fn tiny_gemma3(tensor_type: TensorType) -> Vec<u8> {
    tiny_gemma3_builder(tensor_type).build()
}

/// [`tiny_llama`] before it is written, for tests that change it.
pub fn tiny_llama_builder(tensor_type: TensorType) -> GgufBuilder {
    let hidden = hidden_size(tensor_type);
    let shape = Shape {
        layers: 2,
        hidden,
        heads: 4,
        key_value_heads: 2,
        head_dim: hidden / 4,
        feed_forward: 2 * hidden,
    };
    let (builder, vocabulary_size) = byte_pair_vocabulary(GgufBuilder::new());
    let builder = shape
        .describe(builder, "llama")
        .set("llama.rope.freq_base", Value::F32(10_000.0))
        .set("llama.rope.dimension_count", integer(shape.head_dim))
        .set("llama.attention.layer_norm_rms_epsilon", Value::F32(1e-5))
        .set("llama.vocab_size", integer(vocabulary_size));
    let weights = Weights { builder, tensor_type }
        .matrix("token_embd.weight", [vocabulary_size, hidden])
        .norm("output_norm.weight", hidden);
    (0..shape.layers).fold(weights, |weights, layer| shape.layer(weights, layer)).builder
}

/// [`tiny_gemma3`] before it is written, for tests that change it.
pub fn tiny_gemma3_builder(tensor_type: TensorType) -> GgufBuilder {
    let hidden = hidden_size(tensor_type);
    let shape = Shape {
        layers: 6,
        hidden,
        heads: 4,
        key_value_heads: 1,
        // Not hidden / heads, so that whoever takes one for the other is found out.
        head_dim: hidden / 2,
        feed_forward: 2 * hidden,
    };
    let (builder, vocabulary_size) = sentence_piece_vocabulary(GgufBuilder::new());
    let builder = shape
        .describe(builder, "gemma3")
        .set("gemma3.attention.key_length", integer(shape.head_dim))
        .set("gemma3.attention.value_length", integer(shape.head_dim))
        .set("gemma3.attention.sliding_window", Value::U32(16))
        .set("gemma3.attention.layer_norm_rms_epsilon", Value::F32(1e-6))
        .set("gemma3.rope.freq_base", Value::F32(1_000_000.0));
    let weights = Weights { builder, tensor_type }
        .norm("output_norm.weight", hidden)
        .matrix("token_embd.weight", [vocabulary_size, hidden]);
    let with_layers = (0..shape.layers).fold(weights, |weights, layer| {
        shape
            .layer(weights, layer)
            .norm(&format!("blk.{layer}.attn_q_norm.weight"), shape.head_dim)
            .norm(&format!("blk.{layer}.attn_k_norm.weight"), shape.head_dim)
            .norm(&format!("blk.{layer}.post_attention_norm.weight"), hidden)
            .norm(&format!("blk.{layer}.post_ffw_norm.weight"), hidden)
    });
    with_layers.builder
}

/// The columns of every matrix are a multiple of this, which is whole blocks of the type.
fn hidden_size(tensor_type: TensorType) -> usize {
    tensor_type.block_len().max(64)
}

fn integer(value: usize) -> Value {
    Value::U32(value as u32)
}

#[derive(Clone, Copy)]
struct Shape {
    layers: usize,
    hidden: usize,
    heads: usize,
    key_value_heads: usize,
    head_dim: usize,
    feed_forward: usize,
}

impl Shape {
    /// The metadata that every architecture has, under its own prefix.
    fn describe(&self, builder: GgufBuilder, architecture: &str) -> GgufBuilder {
        builder
            .set("general.architecture", Value::String(architecture.to_owned()))
            .set("general.name", Value::String(format!("tiny {architecture}")))
            .set(format!("{architecture}.block_count"), integer(self.layers))
            .set(format!("{architecture}.context_length"), Value::U32(128))
            .set(format!("{architecture}.embedding_length"), integer(self.hidden))
            .set(format!("{architecture}.feed_forward_length"), integer(self.feed_forward))
            .set(format!("{architecture}.attention.head_count"), integer(self.heads))
            .set(format!("{architecture}.attention.head_count_kv"), integer(self.key_value_heads))
    }

    /// The tensors that a layer of every architecture has.
    fn layer(&self, weights: Weights, layer: usize) -> Weights {
        let (hidden, feed_forward) = (self.hidden, self.feed_forward);
        let query = self.heads * self.head_dim;
        let key_value = self.key_value_heads * self.head_dim;
        let name = |part: &str| format!("blk.{layer}.{part}.weight");
        weights
            .norm(&name("attn_norm"), hidden)
            .matrix(&name("attn_q"), [query, hidden])
            .matrix(&name("attn_k"), [key_value, hidden])
            .matrix(&name("attn_v"), [key_value, hidden])
            .matrix(&name("attn_output"), [hidden, query])
            .norm(&name("ffn_norm"), hidden)
            .matrix(&name("ffn_gate"), [feed_forward, hidden])
            .matrix(&name("ffn_up"), [feed_forward, hidden])
            .matrix(&name("ffn_down"), [hidden, feed_forward])
    }
}

/// Adds tensors whose weights depend on nothing but their names and shapes, so that the same model
/// in two tensor types has the same weights before quantisation.
struct Weights {
    builder: GgufBuilder,
    tensor_type: TensorType,
}

impl Weights {
    /// A matrix whose product with a vector keeps about the vector's size.
    fn matrix(self, name: &str, [rows, columns]: [usize; 2]) -> Self {
        let scale = (3.0 / columns as f32).sqrt();
        let weights = pseudo_random(name, rows * columns);
        let weights: Vec<f32> = weights.iter().map(|weight| weight * scale).collect();
        let builder = self.builder.tensor(name, self.tensor_type, &[rows, columns], &weights);
        Self { builder, ..self }
    }

    /// The weights of an RMS norm, near one; real files keep them in F32 whatever the matrices are.
    fn norm(self, name: &str, length: usize) -> Self {
        let weights = pseudo_random(name, length);
        let weights: Vec<f32> = weights.iter().map(|weight| 1.0 + 0.1 * weight).collect();
        let builder = self.builder.tensor(name, TensorType::F32, &[length], &weights);
        Self { builder, ..self }
    }
}
