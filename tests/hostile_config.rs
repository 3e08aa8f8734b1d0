//! Sound GGUF files whose header lies about the model: sizes, names, shapes and numbers.

use candle_core::quantized::gguf_file::Value;
use frontdesk_engine::chat_template::{Message, Role};
use frontdesk_engine::cpu::Cpu;
use frontdesk_engine::generate::{GenerateOptions, Generation, Step};
use frontdesk_engine::language_model::LanguageModel;
use frontdesk_engine::{Error, ErrorKind};
use frontdesk_kernels::quant::TensorType;
use std::io::Cursor;
use support::gguf_maker::{GgufBuilder, tiny_gemma3_builder, tiny_llama_builder, type_id};

fn load(builder: &GgufBuilder) -> Result<LanguageModel<Cpu>, Error> {
    LanguageModel::load(Cursor::new(builder.build()), Cpu::default(), 64, &mut |_, _| {})
}

fn llama() -> GgufBuilder {
    tiny_llama_builder(TensorType::Q8_0)
}

fn gemma3() -> GgufBuilder {
    tiny_gemma3_builder(TensorType::Q8_0)
}

/// A tensor of zeros in place of the one of this name.
fn reshaped(builder: GgufBuilder, name: &str, shape: &[usize]) -> GgufBuilder {
    let weights = vec![0.0; shape.iter().product()];
    builder.without_tensor(name).tensor(name, TensorType::F32, shape, &weights)
}

/// A norm whose weights are all this number.
fn with_norm(builder: GgufBuilder, value: f32) -> GgufBuilder {
    let bytes = value.to_le_bytes().repeat(64);
    let name = "output_norm.weight";
    builder.without_tensor(name).raw_tensor(name, type_id(TensorType::F32), &[64], bytes)
}

#[test]
fn the_tiny_models_load_as_they_are() {
    for builder in [llama(), gemma3()] {
        assert!(load(&builder).is_ok());
    }
}

#[test]
fn lies_about_the_model_are_refused_by_kind_and_name() {
    use ErrorKind::{InvalidModel, UnsupportedModel};
    let set = |key: &str, value| llama().set(key, value);
    let text = |value: &str| Value::String(value.to_owned());
    let cases = [
        (
            "architecture missing",
            llama().without("general.architecture"),
            InvalidModel,
            "general.architecture",
        ),
        (
            "architecture unknown",
            set("general.architecture", text("mamba")),
            UnsupportedModel,
            "mamba",
        ),
        (
            "architecture no text",
            set("general.architecture", Value::U32(1)),
            InvalidModel,
            "general.architecture",
        ),
        ("no layers", set("llama.block_count", Value::U32(0)), InvalidModel, "block_count"),
        (
            "more layers than tensors",
            set("llama.block_count", Value::U32(3)),
            InvalidModel,
            "blk.2.",
        ),
        (
            "a million layers",
            set("llama.block_count", Value::U32(1_000_000)),
            InvalidModel,
            "layers",
        ),
        (
            "no width",
            set("llama.embedding_length", Value::U32(0)),
            InvalidModel,
            "embedding_length",
        ),
        ("other width", set("llama.embedding_length", Value::U32(128)), UnsupportedModel, "width"),
        (
            "huge width",
            set("llama.embedding_length", Value::U32(u32::MAX)),
            InvalidModel,
            "embedding_length",
        ),
        (
            "negative width",
            set("llama.embedding_length", Value::I32(-64)),
            InvalidModel,
            "embedding_length",
        ),
        ("no heads", set("llama.attention.head_count", Value::U32(0)), InvalidModel, "head_count"),
        (
            "more heads than width",
            set("llama.attention.head_count", Value::U32(1000)),
            InvalidModel,
            "heads",
        ),
        (
            "heads not divided",
            set("llama.attention.head_count_kv", Value::U32(3)),
            InvalidModel,
            "KV heads",
        ),
        (
            "no KV heads",
            set("llama.attention.head_count_kv", Value::U32(0)),
            InvalidModel,
            "head_count_kv",
        ),
        ("odd heads", set("llama.attention.key_length", Value::U32(15)), InvalidModel, "15 wide"),
        (
            "value width differs",
            set("llama.attention.value_length", Value::U32(8)),
            UnsupportedModel,
            "width",
        ),
        (
            "partial rotation",
            set("llama.rope.dimension_count", Value::U32(8)),
            UnsupportedModel,
            "width",
        ),
        (
            "no feed-forward",
            set("llama.feed_forward_length", Value::U32(0)),
            InvalidModel,
            "feed_forward",
        ),
        ("no context", set("llama.context_length", Value::U32(0)), InvalidModel, "context_length"),
        (
            "negative epsilon",
            set("llama.attention.layer_norm_rms_epsilon", Value::F32(-1.0)),
            InvalidModel,
            "epsilon",
        ),
        (
            "epsilon no number",
            set("llama.attention.layer_norm_rms_epsilon", Value::F32(f32::NAN)),
            InvalidModel,
            "epsilon",
        ),
        ("rope base zero", set("llama.rope.freq_base", Value::F32(0.0)), InvalidModel, "freq_base"),
        (
            "rope base infinite",
            set("llama.rope.freq_base", Value::F32(f32::INFINITY)),
            InvalidModel,
            "freq_base",
        ),
        (
            "rope scaling unknown",
            set("llama.rope.scaling.type", text("yarn")),
            UnsupportedModel,
            "RoPE",
        ),
        (
            "no window",
            gemma3().set("gemma3.attention.sliding_window", Value::U32(0)),
            InvalidModel,
            "sliding_window",
        ),
        (
            "embedding missing",
            llama().without_tensor("token_embd.weight"),
            InvalidModel,
            "token_embd",
        ),
        (
            "tensor missing",
            llama().without_tensor("blk.1.ffn_up.weight"),
            InvalidModel,
            "blk.1.ffn_up",
        ),
        (
            "QK norm missing",
            gemma3().without_tensor("blk.0.attn_q_norm.weight"),
            InvalidModel,
            "attn_q_norm",
        ),
        (
            "shape transposed",
            reshaped(llama(), "blk.0.ffn_up.weight", &[64, 128]),
            InvalidModel,
            "ffn_up",
        ),
        (
            "vector for matrix",
            reshaped(llama(), "token_embd.weight", &[64]),
            InvalidModel,
            "token_embd",
        ),
        (
            "few embeddings",
            reshaped(llama(), "token_embd.weight", &[4, 64]),
            InvalidModel,
            "vocabulary",
        ),
        (
            "fewer layers than tensors",
            set("llama.block_count", Value::U32(1)),
            UnsupportedModel,
            "no place",
        ),
        (
            "heads that overflow 32 bits",
            set("llama.attention.head_count", Value::U32(1 << 20))
                .set("llama.attention.key_length", Value::U32(1 << 12)),
            InvalidModel,
            "heads of",
        ),
        (
            "bias nobody adds",
            reshaped(llama(), "blk.0.attn_q.bias", &[64]),
            UnsupportedModel,
            "attn_q.bias",
        ),
        (
            "rope frequencies",
            reshaped(llama(), "rope_freqs.weight", &[8]),
            UnsupportedModel,
            "rope_freqs",
        ),
    ];
    for (name, builder, kind, fragment) in cases {
        let Err(error) = load(&builder) else { panic!("{name}: loaded") };
        assert_eq!(error.kind(), kind, "{name}: {error}");
        assert!(error.to_string().contains(fragment), "{name}: {error}");
    }
}

#[test]
fn weights_that_are_no_numbers_end_in_a_typed_error() {
    for value in [f32::NAN, f32::INFINITY] {
        let mut model = load(&with_norm(llama(), value)).unwrap();
        let message = Message { role: Role::User, content: "hello".to_owned() };
        let prompt = model.encode_chat(&[message]).unwrap();
        let options = GenerateOptions { max_tokens: 4, ..Default::default() };
        let mut generation = Generation::new(&mut model, prompt, options).unwrap();
        let error = loop {
            match pollster::block_on(generation.step(&mut model)) {
                Ok(Step::Prefill(..)) => {}
                Ok(step) => panic!("{step:?}"),
                Err(error) => break error,
            }
        };
        assert_eq!(error.kind(), ErrorKind::InvalidModel);
    }
}
