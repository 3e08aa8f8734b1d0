//! A synthesised model loads with the shape that was asked for and computes numbers; what cannot be is said and leaves no file.

use super::*;
use frontdesk_engine::backend::TensorType;
use frontdesk_engine::cpu::Cpu;
use frontdesk_engine::language_model::LanguageModel;
use support::gguf_maker::{tiny_gemma3, tiny_llama};
use tempfile::TempDir;

fn folder(like: &[u8]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("like.gguf"), like).unwrap();
    folder
}

fn options(folder: &TempDir, [hidden, heads, kv_heads]: [u32; 3]) -> Options {
    Options {
        like: folder.path().join("like.gguf"),
        to: folder.path().join("new.gguf"),
        layers: 2,
        hidden,
        heads,
        kv_heads,
        feed_forward: 96,
    }
}

#[test]
fn the_model_loads_and_computes() {
    let folder = folder(&tiny_llama(TensorType::F32));
    let options = options(&folder, [64, 4, 2]);
    run(&options).unwrap();
    let file = File::open(&options.to).unwrap();
    let mut model = LanguageModel::load(file, Cpu::default(), 64, &mut |_, _| {}).unwrap();
    let config = model.decoder().config();
    assert_eq!((config.layers, config.hidden, config.feed_forward), (2, 64, 96));
    assert_eq!((config.heads, config.kv_heads), (4, 2));
    let mut prefill = model.begin(vec![1, 2, 3], 0).unwrap();
    while !model.prefill(&mut prefill).unwrap() {}
    let mut logits = Vec::new();
    pollster::block_on(model.logits(&[0], &mut logits)).unwrap();
    assert_eq!(logits.len(), model.decoder().vocabulary());
    assert!(logits.iter().all(|logit| logit.is_finite()));
}

#[test]
fn what_cannot_be_synthesised_is_said_and_leaves_no_file() {
    let llama = tiny_llama(TensorType::F32);
    for (name, like, shape, reason) in [
        ("gemma", &tiny_gemma3(TensorType::F32)[..], [64, 4, 2], "architecture llama"),
        ("heads", &llama, [64, 3, 1], "heads must divide"),
        ("no heads", &llama, [64, 0, 0], "heads must divide"),
        ("groups", &llama, [64, 4, 3], "heads must divide"),
        ("odd heads", &llama, [96, 32, 32], "cannot be rotated"),
        ("blocks", &llama, [60, 4, 2], "multiples of 32"),
        ("no width", &llama, [0, 4, 2], "multiples of 32"),
        ("no model", b"text", [64, 4, 2], "cannot read"),
    ] {
        let folder = folder(like);
        let error = run(&options(&folder, shape)).unwrap_err();
        assert!(format!("{error:#}").contains(reason), "{name}: {error:#}");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "{name}");
    }
}
