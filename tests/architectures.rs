//! Architectures against candle's independent forward passes, on the same synthetic weights.

use candle_core::{DType, Device, Tensor};
use candle_nn::{Activation, VarBuilder};
use candle_transformers::models::{qwen2, qwen3};
use frontdesk_engine::ErrorKind;
use frontdesk_engine::cpu::Cpu;
use frontdesk_engine::decoder::Decoder;
use frontdesk_engine::model_file::ModelFile;
use frontdesk_kernels::matrix::Precision;
use frontdesk_kernels::quant::TensorType;
use std::io::Cursor;
use support::candle_weights::decoder_tensors;
use support::gguf_maker::{
    GgufBuilder, tiny_llama_builder, tiny_qwen2_builder, tiny_qwen3_builder,
};

fn decoder(bytes: &[u8]) -> Decoder<Cpu> {
    let mut file = ModelFile::open(Cursor::new(bytes)).unwrap();
    Decoder::load(&mut file, Cpu::new(Precision::Float32), &mut |_, _| {}).unwrap()
}

fn ids() -> Vec<u32> {
    (0..37).map(|index| 3 + index * 7919 % 250).collect()
}

/// Our logits after the last of the ids.
fn our_logits(bytes: &[u8]) -> Vec<f32> {
    let mut decoder = decoder(bytes);
    let mut state = decoder.state(64).unwrap();
    let ids = ids();
    decoder.extend(&mut state, &ids[..30]).unwrap();
    decoder.extend(&mut state, &ids[30..]).unwrap();
    let mut logits = Vec::new();
    pollster::block_on(decoder.logits(&mut state, &[6], &mut logits)).unwrap();
    logits
}

/// candle's weights and input for the same.
fn candle_input(bytes: &[u8]) -> (VarBuilder<'static>, Tensor) {
    let weights = VarBuilder::from_tensors(decoder_tensors(bytes), DType::F32, &Device::Cpu);
    (weights, Tensor::new(ids(), &Device::Cpu).unwrap().unsqueeze(0).unwrap())
}

#[track_caller]
fn assert_same(name: &str, actual: &[f32], expected: &Tensor) {
    let expected: Vec<f32> = expected.flatten_all().unwrap().to_vec1().unwrap();
    assert_eq!(actual.len(), expected.len());
    let error = actual.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    let largest = expected.iter().fold(0.0f32, |a, b| a.max(b.abs()));
    println!("{name}: largest logit error {error:.2e}, largest logit {largest:.2}");
    assert!(largest > 0.1, "{name}: the logits say nothing");
    assert!(error <= 1e-3, "{name}: logits differ by {error}");
}

#[test]
fn qwen2_agrees_with_candle_with_and_without_an_output_matrix() {
    let builder = tiny_qwen2_builder(TensorType::F32);
    for tied in [false, true] {
        let builder = builder.clone();
        let builder = if tied { builder.without_tensor("output.weight") } else { builder };
        let bytes = builder.build();
        let (weights, input) = candle_input(&bytes);
        let vocabulary = decoder(&bytes).vocabulary();
        let config = qwen2::Config {
            vocab_size: vocabulary,
            hidden_size: 64,
            intermediate_size: 128,
            num_hidden_layers: 2,
            num_attention_heads: 4,
            num_key_value_heads: 2,
            max_position_embeddings: 128,
            sliding_window: 128,
            max_window_layers: 2,
            tie_word_embeddings: tied,
            rope_theta: 1e6,
            rms_norm_eps: 1e-6,
            use_sliding_window: false,
            hidden_act: Activation::Silu,
        };
        let mut model = qwen2::ModelForCausalLM::new(&config, weights).unwrap();
        let expected = model.forward(&input, 0).unwrap();
        assert_same("qwen2", &our_logits(&bytes), &expected);
    }
}

#[test]
fn qwen3_agrees_with_candle() {
    let bytes = tiny_qwen3_builder(TensorType::F32).build();
    let (weights, input) = candle_input(&bytes);
    let config = qwen3::Config {
        vocab_size: decoder(&bytes).vocabulary(),
        hidden_size: 64,
        intermediate_size: 128,
        num_hidden_layers: 2,
        num_attention_heads: 4,
        head_dim: 32,
        attention_bias: false,
        num_key_value_heads: 2,
        max_position_embeddings: 128,
        sliding_window: None,
        max_window_layers: 2,
        tie_word_embeddings: false,
        rope_theta: 1e6,
        rms_norm_eps: 1e-6,
        use_sliding_window: false,
        hidden_act: Activation::Silu,
    };
    let mut model = qwen3::ModelForCausalLM::new(&config, weights).unwrap();
    let expected = model.forward(&input, 0).unwrap();
    assert_same("qwen3", &our_logits(&bytes), &expected);
}

#[test]
fn a_bias_has_its_place_in_qwen2_alone() {
    let with_bias = |builder: GgufBuilder| {
        builder.tensor("blk.0.attn_q.bias", TensorType::F32, &[64], &[0.5; 64])
    };
    let load = |builder: GgufBuilder| {
        let mut file = ModelFile::open(Cursor::new(builder.build()))?;
        Decoder::load(&mut file, Cpu::default(), &mut |_, _| {}).map(|_| ())
    };
    for builder in [tiny_llama_builder(TensorType::Q8_0), tiny_qwen3_builder(TensorType::Q8_0)] {
        let error = load(with_bias(builder)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::UnsupportedModel);
        assert!(error.to_string().contains("blk.0.attn_q.bias"), "{error}");
    }
    // And Qwen 2 is not Qwen 2 without them.
    let missing = tiny_qwen2_builder(TensorType::Q8_0).without_tensor("blk.1.attn_v.bias");
    assert_eq!(load(missing).unwrap_err().kind(), ErrorKind::InvalidModel);
}
