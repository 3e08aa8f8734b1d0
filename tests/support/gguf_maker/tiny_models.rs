//! Complete tiny models with pseudo-random weights: they load and run, and mean nothing.

use candle_core::quantized::gguf_file::Value;
use frontdesk_kernels::quant::TensorType;

use super::tiny_vocabularies::{
    byte_pair_vocabulary, sentence_piece_vocabulary, word_piece_vocabulary,
};
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

/// A Qwen 2 of two layers with biases and an output matrix of its own.
pub fn tiny_qwen2_builder(tensor_type: TensorType) -> GgufBuilder {
    let hidden = hidden_size(tensor_type);
    tiny_qwen(tensor_type, "qwen2", hidden / 4, |shape, weights, layer| {
        let kv = shape.key_value_heads * shape.head_dim;
        weights
            .bias(&format!("blk.{layer}.attn_q.bias"), hidden)
            .bias(&format!("blk.{layer}.attn_k.bias"), kv)
            .bias(&format!("blk.{layer}.attn_v.bias"), kv)
    })
}

/// A Qwen 3 of two layers, its heads wider than `hidden / heads`.
pub fn tiny_qwen3_builder(tensor_type: TensorType) -> GgufBuilder {
    let head_dim = hidden_size(tensor_type) / 2;
    tiny_qwen(tensor_type, "qwen3", head_dim, |shape, weights, layer| {
        weights
            .norm(&format!("blk.{layer}.attn_q_norm.weight"), shape.head_dim)
            .norm(&format!("blk.{layer}.attn_k_norm.weight"), shape.head_dim)
    })
}

fn tiny_qwen(
    tensor_type: TensorType,
    architecture: &str,
    head_dim: usize,
    extras: impl Fn(Shape, Weights, usize) -> Weights,
) -> GgufBuilder {
    let hidden = hidden_size(tensor_type);
    let shape = Shape {
        layers: 2,
        hidden,
        heads: 4,
        key_value_heads: 2,
        head_dim,
        feed_forward: 2 * hidden,
    };
    let (builder, vocabulary_size) = byte_pair_vocabulary(GgufBuilder::new());
    let builder = shape
        .describe(builder, architecture)
        .set("tokenizer.ggml.pre", Value::String("qwen2".to_owned()))
        .set(format!("{architecture}.rope.freq_base"), Value::F32(1_000_000.0))
        .set(format!("{architecture}.attention.key_length"), integer(head_dim))
        .set(format!("{architecture}.attention.value_length"), integer(head_dim))
        .set(format!("{architecture}.attention.layer_norm_rms_epsilon"), Value::F32(1e-6));
    let weights = Weights { builder, tensor_type }
        .matrix("token_embd.weight", [vocabulary_size, hidden])
        .matrix("output.weight", [vocabulary_size, hidden])
        .norm("output_norm.weight", hidden);
    let layers = 0..shape.layers;
    layers.fold(weights, |weights, layer| extras(shape, shape.layer(weights, layer), layer)).builder
}

/// A BERT of two layers with a WordPiece vocabulary.
pub fn tiny_bert_builder(tensor_type: TensorType) -> GgufBuilder {
    let hidden = hidden_size(tensor_type);
    let wide = 2 * hidden;
    let (builder, vocabulary_size) = word_piece_vocabulary(GgufBuilder::new());
    let builder = builder
        .set("general.architecture", Value::String("bert".to_owned()))
        .set("bert.block_count", Value::U32(2))
        .set("bert.context_length", Value::U32(100))
        .set("bert.embedding_length", integer(hidden))
        .set("bert.feed_forward_length", integer(wide))
        .set("bert.attention.head_count", Value::U32(4))
        .set("bert.attention.layer_norm_epsilon", Value::F32(1e-12))
        .set("bert.attention.causal", Value::Bool(false))
        .set("bert.pooling_type", Value::U32(1));
    let float = Weights { builder, tensor_type: TensorType::F32 }
        .matrix("position_embd.weight", [100, hidden])
        .matrix("token_types.weight", [2, hidden]);
    let weights = Weights { tensor_type, ..float }
        .matrix("token_embd.weight", [vocabulary_size, hidden])
        .norm("token_embd_norm.weight", hidden)
        .bias("token_embd_norm.bias", hidden);
    let layer = |weights: Weights, layer: usize| {
        let linear = |weights: Weights, part: &str, shape: [usize; 2]| {
            let name = format!("blk.{layer}.{part}");
            weights.matrix(&format!("{name}.weight"), shape).bias(&format!("{name}.bias"), shape[0])
        };
        let norm = |weights: Weights, part: &str| {
            let name = format!("blk.{layer}.{part}");
            weights.norm(&format!("{name}.weight"), hidden).bias(&format!("{name}.bias"), hidden)
        };
        let square = ["attn_q", "attn_k", "attn_v", "attn_output"];
        let weights = square.iter().fold(weights, |w, part| linear(w, part, [hidden, hidden]));
        let weights = norm(weights, "attn_output_norm");
        let weights = linear(weights, "ffn_up", [wide, hidden]);
        norm(linear(weights, "ffn_down", [hidden, wide]), "layer_output_norm")
    };
    (0..2).fold(weights, layer).builder
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

    /// A bias, small.
    fn bias(self, name: &str, length: usize) -> Self {
        let weights: Vec<f32> = pseudo_random(name, length).iter().map(|w| 0.3 * w).collect();
        let builder = self.builder.tensor(name, TensorType::F32, &[length], &weights);
        Self { builder, ..self }
    }

    /// The weights of a norm, near one; real files keep them in F32 whatever the matrices are.
    fn norm(self, name: &str, length: usize) -> Self {
        let weights = pseudo_random(name, length);
        let weights: Vec<f32> = weights.iter().map(|weight| 1.0 + 0.1 * weight).collect();
        let builder = self.builder.tensor(name, TensorType::F32, &[length], &weights);
        Self { builder, ..self }
    }
}
