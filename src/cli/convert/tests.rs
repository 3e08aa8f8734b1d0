//! Conversion of a tiny encoder: the file loads, is the same each time, and lies are refused.

use super::*;
use frontdesk_engine::cpu::Cpu;
use frontdesk_engine::embedding_model::EmbeddingModel;
use serde_json::{Value as Json, json};
use tempfile::TempDir;

const HIDDEN: usize = 32;

fn config() -> Json {
    json!({
        "model_type": "bert", "hidden_act": "gelu", "hidden_size": HIDDEN, "vocab_size": 8,
        "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 2,
        "max_position_embeddings": 16, "layer_norm_eps": 1e-12
    })
}

fn tokenizer() -> Json {
    let tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "card", "##s", "[", "!"];
    let vocab: serde_json::Map<String, Json> =
        tokens.iter().enumerate().map(|(id, text)| ((*text).to_owned(), json!(id))).collect();
    json!({
        "normalizer": { "type": "BertNormalizer", "lowercase": true },
        "model": { "type": "WordPiece", "vocab": vocab, "continuing_subword_prefix": "##" }
    })
}

fn weights() -> HashMap<String, Tensor> {
    let mut shapes = vec![
        ("embeddings.word_embeddings.weight".to_owned(), vec![8, HIDDEN]),
        ("embeddings.position_embeddings.weight".to_owned(), vec![16, HIDDEN]),
        ("embeddings.token_type_embeddings.weight".to_owned(), vec![2, HIDDEN]),
        ("embeddings.LayerNorm.weight".to_owned(), vec![HIDDEN]),
        ("embeddings.LayerNorm.bias".to_owned(), vec![HIDDEN]),
        ("pooler.dense.weight".to_owned(), vec![HIDDEN, HIDDEN]),
    ];
    for (part, _) in LAYER_PARTS {
        let [rows, columns] = match part {
            "intermediate.dense" => [64, HIDDEN],
            "output.dense" => [HIDDEN, 64],
            _ => [HIDDEN, HIDDEN],
        };
        let is_norm = part.ends_with("LayerNorm");
        let shape = if is_norm { vec![rows] } else { vec![rows, columns] };
        shapes.push((format!("encoder.layer.0.{part}.weight"), shape));
        shapes.push((format!("encoder.layer.0.{part}.bias"), vec![rows]));
    }
    let tensor = |(name, shape): (String, Vec<usize>)| {
        let count: usize = shape.iter().product();
        let values: Vec<f32> = (0..count).map(|i| ((i * 37 % 101) as f32 - 50.0) / 100.0).collect();
        (name, Tensor::from_vec(values, shape, &Device::Cpu).unwrap())
    };
    shapes.into_iter().map(tensor).collect()
}

/// A folder with the three files.
fn folder(config: &Json, tokenizer: &Json, weights: &HashMap<String, Tensor>) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    std::fs::write(path.join("config.json"), config.to_string()).unwrap();
    std::fs::write(path.join("tokenizer.json"), tokenizer.to_string()).unwrap();
    candle_core::safetensors::save(weights, path.join("model.safetensors")).unwrap();
    folder
}

fn convert(folder: &TempDir, to: &str, matrix_type: MatrixType) -> Result<Vec<u8>> {
    let to = folder.path().join(to);
    run(&Options { from: folder.path().to_owned(), to: to.clone(), matrix_type })?;
    Ok(std::fs::read(to)?)
}

#[test]
fn the_file_loads_and_is_the_same_each_time() {
    let folder = folder(&config(), &tokenizer(), &weights());
    for matrix_type in [MatrixType::Q8_0, MatrixType::F16, MatrixType::F32] {
        let bytes = convert(&folder, "a.gguf", matrix_type).unwrap();
        assert_eq!(bytes, convert(&folder, "b.gguf", matrix_type).unwrap());
        let reader = std::io::Cursor::new(bytes);
        let mut model = EmbeddingModel::load(reader, Cpu::default(), &mut |_, _| {}).unwrap();
        let ids = model.tokenizer().encode("Cards! [x", 16).unwrap().ids;
        assert_eq!(ids, [2, 4, 5, 7, 6, 1, 3]);
        let mut embeddings = model.embed(&["cards"]).unwrap();
        while pollster::block_on(embeddings.step(&mut model)).unwrap() {}
        assert_eq!(embeddings.into_embeddings()[0].vector.len(), HIDDEN);
    }
}

#[test]
fn what_cannot_be_converted_is_said_and_leaves_no_file() {
    let changed = |mut json: Json, pointer: &str, value: Json| {
        *json.pointer_mut(pointer).unwrap() = value;
        json
    };
    let mut missing = weights();
    missing.remove("encoder.layer.0.output.dense.bias");
    for (name, config, tokenizer, weights, reason) in [
        (
            "type",
            changed(config(), "/model_type", json!("t5")),
            tokenizer(),
            weights(),
            "type bert",
        ),
        ("act", changed(config(), "/hidden_act", json!("relu")), tokenizer(), weights(), "gelu"),
        (
            "cased",
            config(),
            changed(tokenizer(), "/normalizer/lowercase", json!(false)),
            weights(),
            "uncased",
        ),
        (
            "holes",
            config(),
            changed(tokenizer(), "/model/vocab/card", json!(99)),
            weights(),
            "holes",
        ),
        ("missing", config(), tokenizer(), missing, "output.dense.bias"),
    ] {
        let folder = folder(&config, &tokenizer, &weights);
        let error = convert(&folder, "a.gguf", MatrixType::Q8_0).unwrap_err();
        assert!(format!("{error:#}").contains(reason), "{name}: {error:#}");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 3, "{name}");
    }
}
