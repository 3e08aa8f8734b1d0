//! The tensors of a GGUF file under the names of the published models, for candle's forward passes.

use candle_core::{Device, Tensor};
use frontdesk_engine::model_file::ModelFile;
use frontdesk_kernels::quant::dequantise;
use std::collections::HashMap;
use std::io::Cursor;

/// Parts of names in GGUF decoders and in the published ones.
const DECODER: [(&str, &str); 15] = [
    ("token_embd.", "model.embed_tokens."),
    ("output_norm.", "model.norm."),
    ("attn_output.", "self_attn.o_proj."),
    ("output.", "lm_head."),
    ("blk.", "model.layers."),
    ("attn_norm.", "input_layernorm."),
    ("ffn_norm.", "post_attention_layernorm."),
    ("attn_q_norm.", "self_attn.q_norm."),
    ("attn_k_norm.", "self_attn.k_norm."),
    ("attn_q.", "self_attn.q_proj."),
    ("attn_k.", "self_attn.k_proj."),
    ("attn_v.", "self_attn.v_proj."),
    ("ffn_gate.", "mlp.gate_proj."),
    ("ffn_up.", "mlp.up_proj."),
    ("ffn_down.", "mlp.down_proj."),
];

/// Parts of names in GGUF encoders and in the published ones.
const ENCODER: [(&str, &str); 13] = [
    ("token_embd_norm.", "embeddings.LayerNorm."),
    ("token_embd.", "embeddings.word_embeddings."),
    ("position_embd.", "embeddings.position_embeddings."),
    ("token_types.", "embeddings.token_type_embeddings."),
    ("layer_output_norm.", "output.LayerNorm."),
    ("attn_output_norm.", "attention.output.LayerNorm."),
    ("attn_output.", "attention.output.dense."),
    ("blk.", "encoder.layer."),
    ("attn_q.", "attention.self.query."),
    ("attn_k.", "attention.self.key."),
    ("attn_v.", "attention.self.value."),
    ("ffn_up.", "intermediate.dense."),
    ("ffn_down.", "output.dense."),
];

/// The tensors of a decoder of the llama family.
pub fn decoder_tensors(gguf: &[u8]) -> HashMap<String, Tensor> {
    tensors(gguf, &DECODER)
}

/// The tensors of a BERT.
pub fn encoder_tensors(gguf: &[u8]) -> HashMap<String, Tensor> {
    tensors(gguf, &ENCODER)
}

fn tensors(gguf: &[u8], names: &[(&str, &str)]) -> HashMap<String, Tensor> {
    let mut file = ModelFile::open(Cursor::new(gguf)).expect("the file is sound");
    let entries: Vec<_> = file.tensors().cloned().collect();
    let tensor = |entry: frontdesk_engine::model_file::TensorEntry| {
        let mut raw = Vec::new();
        file.read_tensor(&entry.name, &mut raw).expect("the tensor can be read");
        let mut values = vec![0.0; entry.shape.iter().product()];
        dequantise(entry.tensor_type, &raw, &mut values);
        let tensor =
            Tensor::from_vec(values, entry.shape, &Device::Cpu).expect("the shape is right");
        (renamed(&entry.name, names), tensor)
    };
    entries.into_iter().map(tensor).collect()
}

/// The first part that a name has is replaced, and so is the layer's prefix.
fn renamed(name: &str, names: &[(&str, &str)]) -> String {
    let (layer, part) = match name.strip_prefix("blk.").and_then(|rest| rest.split_once('.')) {
        Some((layer, part)) => (Some(layer), part),
        None => (None, name),
    };
    let find = |part: &str| names.iter().find(|(ours, _)| part.starts_with(ours));
    let (ours, theirs) = find(part).unwrap_or_else(|| panic!("'{name}' has no published name"));
    let published = part.replacen(ours, theirs, 1);
    match (layer, find("blk.")) {
        (Some(layer), Some((_, prefix))) => format!("{prefix}{layer}.{published}"),
        _ => published,
    }
}
