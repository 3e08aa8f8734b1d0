//! Encoders: our vectors and token ids beside those of independent implementations, and hostile files.

use candle_core::quantized::gguf_file::Value;
use candle_core::{DType, Device, Tensor};
use candle_nn::VarBuilder;
use candle_transformers::models::bert::{BertModel, Config};
use frontdesk_engine::cpu::Cpu;
use frontdesk_engine::embedding_model::{Embedding, EmbeddingModel};
use frontdesk_engine::encoder::PASS_TOKENS;
use frontdesk_engine::{Error, ErrorKind};
use frontdesk_kernels::matrix::Precision;
use frontdesk_kernels::quant::TensorType;
use std::fs::File;
use std::io::Cursor;
use std::path::PathBuf;
use support::candle_weights::encoder_tensors;
use support::folders::model_file;
use support::gguf_maker::{GgufBuilder, tiny_bert_builder};
use tokenizers::Tokenizer;

fn load(builder: &GgufBuilder, precision: Precision) -> Result<EmbeddingModel<Cpu>, Error> {
    EmbeddingModel::load(Cursor::new(builder.build()), Cpu::new(precision), &mut |_, _| {})
}

fn embed(model: &mut EmbeddingModel<Cpu>, texts: &[String]) -> Vec<Embedding> {
    let mut embeddings = model.embed(texts).unwrap();
    while pollster::block_on(embeddings.step(model)).unwrap() {}
    embeddings.into_embeddings()
}

fn cosine(a: &[f32], b: &[f32]) -> f64 {
    let dot = |a: &[f32], b: &[f32]| -> f64 {
        a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
    };
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}

/// candle's vector of a text: the mean over its tokens.
fn reference(model: &BertModel, ids: &[u32]) -> Vec<f32> {
    let ids = Tensor::new(ids, &Device::Cpu).unwrap().unsqueeze(0).unwrap();
    let hidden = model.forward(&ids, &ids.zeros_like().unwrap(), None).unwrap();
    hidden.mean(1).unwrap().flatten_all().unwrap().to_vec1().unwrap()
}

/// Lowest and mean cosine of our vectors with candle's.
fn agreement(model: &mut EmbeddingModel<Cpu>, candle: &BertModel, texts: &[String]) -> (f64, f64) {
    let ours = embed(model, texts);
    let cosines: Vec<f64> = texts
        .iter()
        .zip(&ours)
        .map(|(text, ours)| {
            let ids = model.tokenizer().encode(text, PASS_TOKENS).unwrap().ids;
            cosine(&ours.vector, &reference(candle, &ids))
        })
        .collect();
    let lowest = cosines.iter().copied().fold(1.0, f64::min);
    (lowest, cosines.iter().sum::<f64>() / cosines.len() as f64)
}

/// Two hundred sentences about orders, of 6 to about 60 words.
fn sentences() -> Vec<String> {
    let openings = ["My card was charged", "I would like to return", "Where is", "Please cancel"];
    let things =
        ["the order", "a pair of headphones", "my subscription", "the café's invoice", "2 parcels"];
    let endings = [
        "since Monday.",
        "twice, and nobody answers the phone!",
        "because the colour isn't what the picture showed; can you help?",
        "42 days ago (reference #A-7731), although your site promised three working days.",
        "please",
    ];
    let mut sentences = Vec::new();
    for (index, opening) in openings.iter().enumerate() {
        for thing in things {
            for ending in endings {
                sentences.push(format!("{opening} {thing} {ending}"));
                sentences.push(format!("{ending} {thing}, {opening} ").repeat(1 + index % 3));
            }
        }
    }
    sentences
}

#[test]
fn the_forward_pass_agrees_with_candles() {
    let builder = tiny_bert_builder(TensorType::F32);
    let mut model = load(&builder, Precision::Float32).unwrap();
    let tensors = encoder_tensors(&builder.build());
    let weights = VarBuilder::from_tensors(tensors, DType::F32, &Device::Cpu);
    let config = Config {
        vocab_size: model.encoder().vocabulary(),
        hidden_size: 64,
        num_hidden_layers: 2,
        num_attention_heads: 4,
        intermediate_size: 128,
        max_position_embeddings: 100,
        ..Config::default()
    };
    let candle = BertModel::load(weights, &config).unwrap();
    let texts = ["hello", "the card was charged twice, pay!", "", &"payment world ".repeat(40)];
    let texts = texts.map(str::to_owned);
    for (text, ours) in texts.iter().zip(embed(&mut model, &texts)) {
        let ids = model.tokenizer().encode(text, 100).unwrap().ids;
        let expected = reference(&candle, &ids);
        let length: f32 = expected.iter().map(|x| x * x).sum::<f32>().sqrt();
        assert_eq!(ours.tokens, ids.len());
        for (a, b) in ours.vector.iter().zip(&expected) {
            assert!((a - b / length).abs() < 1e-4, "{text}: {a} is not {}", b / length);
        }
    }
    let mut fast = load(&tiny_bert_builder(TensorType::Q8_0), Precision::Int8).unwrap();
    let (lowest, _) = agreement(&mut fast, &candle, &texts[..3]);
    assert!(lowest > 0.99, "8 bits are {lowest} from single precision");
}

/// A published file of the real model, kept beside the one that was made of it.
fn published(name: &str) -> Option<PathBuf> {
    let path = model_file("minilm-l6")?.with_extension("").join(name);
    if !path.is_file() {
        println!("skipped: {name} of minilm-l6");
        return None;
    }
    Some(path)
}

#[test]
fn the_shipped_model_agrees_with_candle_in_single_precision() {
    let Some(weights) = published("model.safetensors") else { return };
    let tensors = candle_core::safetensors::load(weights, &Device::Cpu).unwrap();
    let weights = VarBuilder::from_tensors(tensors, DType::F32, &Device::Cpu);
    let config = Config {
        hidden_size: 384,
        num_hidden_layers: 6,
        intermediate_size: 1536,
        ..Config::default()
    };
    let candle = BertModel::load(weights, &config).unwrap();
    let Some(path) = model_file("minilm-l6") else { return };
    let file = File::open(path).unwrap();
    let mut model = EmbeddingModel::load(file, Cpu::default(), &mut |_, _| {}).unwrap();
    let sentences = sentences();
    assert_eq!(sentences.len(), 200);
    let (lowest, mean) = agreement(&mut model, &candle, &sentences);
    println!("minilm-l6 Q8_0 beside float32: cosine {lowest:.6} at the lowest, {mean:.6} mean");
    assert!(lowest >= 0.999, "a sentence has cosine {lowest}");
}

#[test]
fn token_ids_are_those_of_the_published_tokenizer() {
    let Some(path) = published("tokenizer.json") else { return };
    let mut published = Tokenizer::from_file(path).unwrap();
    published.with_padding(None).with_truncation(None).unwrap();
    // Text that spells a special token is text here.
    published.set_encode_special_tokens(true);
    let Some(path) = model_file("minilm-l6") else { return };
    let file = File::open(path).unwrap();
    let model = EmbeddingModel::load(file, Cpu::default(), &mut |_, _| {}).unwrap();
    let mut texts: Vec<String> = [
        "",
        " ",
        "Hello, World!",
        "I can't log in to my account :(",
        "naïve café Ångström ﬁne Ⅷ ½ ١٢٣",
        "東京 is 東京; 안녕하세요 สวัสดี नमस्ते שלום",
        "[CLS] [SEP] [MASK] [UNK] [PAD] ##ing ▁the",
        "a\u{0}b\u{fffd}c\u{200b}d\u{202e}e\u{ad}f\t\r\ng\u{85}h\u{2028}i\u{a0}j\u{3000}k",
        "\u{301}\u{301}\u{301}a\u{301}\u{323} I\u{307} İ ß ẞ ŉ ǰ",
        "👩\u{200d}👩\u{200d}👧 🇸🇪 \u{1f9ff}\u{e0001}\u{10ffff} 𝒳 𠀀",
        "http://example.com/?q=a&b=%20#x e-mail: a.b+c@d.org $39.90 50% ^~`|<>",
        "supercalifragilisticexpialidocious antidisestablishmentarianism",
    ]
    .map(str::to_owned)
    .to_vec();
    texts.push("x".repeat(100));
    texts.push("x".repeat(101) + " then more");
    texts.push("é".repeat(300));
    texts.extend(sentences());
    // Arbitrary characters of every plane, the same each run.
    let mut state = 7_u64;
    let mut random = move |below: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_041);
        (state >> 33) % below
    };
    for ceiling in [0x80, 0x250, 0x3000, 0x11_0000] {
        for _ in 0..300 {
            let scalar = |value| char::from_u32(value as u32).unwrap_or(' ');
            texts.push((0..random(30)).map(|_| scalar(random(ceiling))).collect());
        }
    }
    for text in &texts {
        let expected = published.encode(text.as_str(), true).unwrap();
        let actual = model.tokenizer().encode(text, 1 << 20).unwrap();
        assert_eq!(actual.ids, expected.get_ids(), "{text:?}");
        assert!(!actual.is_truncated);
    }
}

#[test]
fn both_spellings_of_a_vocabulary_mean_the_same() {
    let marked = tiny_bert_builder(TensorType::Q8_0);
    let tokens =
        ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "pay", "##ment", "card", "##s", "!"];
    let tokens = |spell: fn(&str) -> String| {
        Value::Array(tokens.iter().map(|token| Value::String(spell(token))).collect())
    };
    let llama_cpp = |token: &str| match token.strip_prefix("##") {
        Some(rest) => rest.to_owned(),
        None if token.starts_with('[') => token.to_owned(),
        None => format!("\u{2581}{token}"),
    };
    let ids = [tokens(llama_cpp), tokens(str::to_owned)].map(|tokens| {
        let builder = marked.clone().without("tokenizer.ggml.token_type");
        let model = load(&builder.set("tokenizer.ggml.tokens", tokens), Precision::Int8).unwrap();
        model.tokenizer().encode("Payment cards! ments", 64).unwrap().ids
    });
    assert_eq!(ids[0], [2, 5, 6, 7, 8, 9, 1, 3]);
    assert_eq!(ids[0], ids[1]);
}

#[test]
fn a_batch_is_as_one_text_at_a_time() {
    for precision in [Precision::Float32, Precision::Int8] {
        let mut model = load(&tiny_bert_builder(TensorType::Q8_0), precision).unwrap();
        let text = |index: usize| "the card was charged, pay! ".repeat(index * 7 % 11) + "hello";
        let texts: Vec<String> = (0..60).map(text).collect();
        let together = embed(&mut model, &texts);
        for (text, together) in texts.iter().zip(&together) {
            let alone = embed(&mut model, std::slice::from_ref(text)).remove(0);
            assert_eq!(
                (alone.tokens, alone.is_truncated),
                (together.tokens, together.is_truncated)
            );
            for (a, b) in alone.vector.iter().zip(&together.vector) {
                assert!((a - b).abs() < 1e-5, "{text}: {a} {b}");
            }
            let length: f32 = alone.vector.iter().map(|x| x * x).sum();
            assert!((length - 1.0).abs() < 1e-5);
        }
    }
}

#[test]
fn a_long_text_loses_its_end_and_says_so() {
    let mut model = load(&tiny_bert_builder(TensorType::Q8_0), Precision::Int8).unwrap();
    let words = |count: usize| "card ".repeat(count);
    // The tiny model has 100 positions, two of which are for the special tokens.
    let texts = [words(98), words(99), words(1_000_000), "x".repeat(10_000_000)];
    let embeddings = embed(&mut model, &texts);
    let facts: Vec<_> = embeddings.iter().map(|e| (e.tokens, e.is_truncated)).collect();
    assert_eq!(facts, [(100, false), (100, true), (100, true), (3, true)]);
    assert_eq!(embeddings[0].vector, embeddings[1].vector);
    assert!(embed(&mut model, &[]).is_empty());
}

#[test]
fn lies_about_the_model_are_refused() {
    use ErrorKind::{InvalidModel, UnsupportedModel};
    let bert = || tiny_bert_builder(TensorType::Q8_0);
    let set = |key: &str, value| bert().set(key, value);
    let number = Value::U32;
    let cases = [
        (set("general.architecture", Value::String("t5".to_owned())), UnsupportedModel),
        (bert().without("bert.embedding_length"), InvalidModel),
        (set("bert.embedding_length", number(1 << 30)), InvalidModel),
        (set("bert.embedding_length", number(1 << 24)), InvalidModel),
        (set("bert.feed_forward_length", number(1 << 24)), InvalidModel),
        (set("bert.context_length", number(1 << 24)), InvalidModel),
        (set("bert.context_length", number(0)), InvalidModel),
        (set("bert.block_count", number(1 << 20)), InvalidModel),
        (set("bert.block_count", number(3)), InvalidModel),
        (set("bert.block_count", number(1)), UnsupportedModel),
        (set("bert.attention.head_count", number(5)), InvalidModel),
        (set("bert.attention.layer_norm_epsilon", Value::F32(f32::NAN)), InvalidModel),
        (set("bert.attention.layer_norm_epsilon", Value::F32(-1.0)), InvalidModel),
        (set("bert.attention.causal", Value::Bool(true)), UnsupportedModel),
        (set("bert.pooling_type", number(4)), UnsupportedModel),
        (set("tokenizer.ggml.model", Value::String("gpt2".to_owned())), UnsupportedModel),
        (set("tokenizer.ggml.cls_token_id", number(1 << 20)), InvalidModel),
        (set("tokenizer.ggml.tokens", Value::Array(Vec::new())), InvalidModel),
        (bert().without_tensor("token_embd.weight"), InvalidModel),
        (bert().without_tensor("token_types.weight"), InvalidModel),
        (bert().without_tensor("position_embd.weight"), InvalidModel),
        (bert().without_tensor("blk.1.ffn_up.bias"), InvalidModel),
        (bert().without_tensor("blk.0.attn_output_norm.weight"), InvalidModel),
        (bert().tensor("cls.weight", TensorType::F32, &[4], &[0.0; 4]), UnsupportedModel),
    ];
    for (index, (builder, expected)) in cases.iter().enumerate() {
        let error = load(builder, Precision::Int8).err().unwrap_or_else(|| panic!("case {index}"));
        assert_eq!(error.kind(), *expected, "case {index}: {error}");
    }
}

#[test]
fn a_vector_that_is_no_number_is_an_error() {
    let bytes = f32::NAN.to_le_bytes().repeat(64);
    let name = "blk.1.layer_output_norm.bias";
    let builder = tiny_bert_builder(TensorType::Q8_0).without_tensor(name);
    let mut model = load(&builder.raw_tensor(name, 0, &[64], bytes), Precision::Int8).unwrap();
    let mut embeddings = model.embed(&["hello"]).unwrap();
    let error = pollster::block_on(embeddings.step(&mut model)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidModel);
}
