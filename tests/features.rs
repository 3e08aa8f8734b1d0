//! Vectors of texts from the first layers: batches, cut texts and early exit change nothing.

use frontdesk_engine::ErrorKind;
use frontdesk_engine::backend::Backend;
use frontdesk_engine::cpu::Cpu;
use frontdesk_engine::decoder::{Checkpoint, Decoder};
use frontdesk_engine::features::{FeatureOptions, Features, Pooling};
use frontdesk_engine::language_model::LanguageModel;
use frontdesk_engine::model_file::ModelFile;
use frontdesk_engine::state::CHUNK;
use frontdesk_kernels::matrix::Precision;
use frontdesk_kernels::quant::TensorType;
use serde::Deserialize;
use std::fs::File;
use std::io::Cursor;
use support::folders::{golden_file, model_file};
use support::gguf_maker::{tiny_gemma3, tiny_llama};

const CONTEXT: usize = 128;

const POOLINGS: [Pooling; 4] = [Pooling::Mean, Pooling::Last, Pooling::First, Pooling::Max];

fn model(bytes: &[u8]) -> LanguageModel<Cpu> {
    let cpu = Cpu::new(Precision::Float32);
    LanguageModel::load(Cursor::new(bytes), cpu, CONTEXT, &mut |_, _| {}).unwrap()
}

/// Texts of these lengths.
fn texts(lengths: &[usize]) -> Vec<Vec<u32>> {
    let id = |text: usize, token: usize| (3 + (text * 31 + token * 7919) % 250) as u32;
    let text = |(text, &length): (usize, &usize)| (0..length).map(|t| id(text, t)).collect();
    lengths.iter().enumerate().map(text).collect()
}

/// All vectors, and the passes that they took.
fn finish(model: &mut LanguageModel<Cpu>, mut features: Features) -> (Vec<f32>, usize) {
    let mut passes = 1;
    while pollster::block_on(features.step(model)).unwrap() {
        passes += 1;
    }
    let (done, total) = features.progress();
    assert_eq!(done, total);
    (features.into_vectors(), passes)
}

fn vectors(
    model: &mut LanguageModel<Cpu>,
    texts: &[Vec<u32>],
    options: FeatureOptions,
) -> (Vec<f32>, usize) {
    let features = model.features(texts.to_vec(), options).unwrap();
    finish(model, features)
}

#[track_caller]
fn assert_close(actual: &[f32], expected: &[f32]) {
    assert_eq!(actual.len(), expected.len());
    for (index, (a, b)) in actual.iter().zip(expected).enumerate() {
        assert!((a - b).abs() <= 1e-4 * b.abs().max(1.0), "at {index}: {a} is not {b}");
    }
}

/// The residual stream after `layers` layers, token by token.
fn residual(bytes: &[u8], ids: &[u32], layers: usize) -> Vec<Vec<f32>> {
    let mut file = ModelFile::open(Cursor::new(bytes)).unwrap();
    let cpu = Cpu::new(Precision::Float32);
    let mut decoder = Decoder::load(&mut file, cpu, &mut |_, _| {}).unwrap();
    let (hidden, mut state) = (decoder.config().hidden, decoder.state(CONTEXT).unwrap());
    let mut rows = Vec::new();
    for chunk in ids.chunks(CHUNK) {
        let mut observe = |checkpoint, backend: &mut Cpu, tensor: &_| {
            if checkpoint == Checkpoint::AfterLayer(layers - 1) {
                let mut values = vec![0.0; chunk.len() * hidden];
                pollster::block_on(backend.read(tensor, &mut values)).unwrap();
                rows.extend(values.chunks_exact(hidden).map(<[f32]>::to_vec));
            }
        };
        decoder.extend_observed(&mut state, chunk, &mut observe).unwrap();
    }
    rows
}

fn pooled(pooling: Pooling, rows: &[Vec<f32>]) -> Vec<f32> {
    let column = |index: usize| rows.iter().map(move |row| row[index]);
    let element = |index| match pooling {
        Pooling::Mean => column(index).sum::<f32>() / rows.len() as f32,
        Pooling::Max => column(index).fold(f32::MIN, f32::max),
        Pooling::First => rows[0][index],
        Pooling::Last => rows[rows.len() - 1][index],
    };
    (0..rows[0].len()).map(element).collect()
}

#[test]
fn a_vector_is_the_pooled_residual_stream_after_its_layer() {
    // Shorter and longer than a pass, and than the sliding window of the tiny gemma3.
    let texts = texts(&[5, 128, 1, 64, 65]);
    for (bytes, layers) in
        [(tiny_llama(TensorType::Q8_0), &[1, 2][..]), (tiny_gemma3(TensorType::Q8_0), &[1, 4, 6])]
    {
        let mut model = model(&bytes);
        for &layers in layers {
            for pooling in POOLINGS {
                let (actual, _) = vectors(&mut model, &texts, FeatureOptions { layers, pooling });
                let each = texts.iter().map(|ids| pooled(pooling, &residual(&bytes, ids, layers)));
                assert_close(&actual, &each.flatten().collect::<Vec<_>>());
            }
        }
    }
}

#[test]
fn a_batch_is_as_one_text_at_a_time_in_fewer_passes() {
    let texts = texts(&[3, 9, 70, 1, 1, 12, 125, 2, 40, 33, 7, 7, 7, 64, 5]);
    let mut model = model(&tiny_llama(TensorType::Q4_0));
    for pooling in POOLINGS {
        let options = FeatureOptions { layers: 2, pooling };
        let (together, passes) = vectors(&mut model, &texts, options);
        let mut alone = Vec::new();
        for text in &texts {
            alone.extend(vectors(&mut model, std::slice::from_ref(text), options).0);
        }
        assert_close(&together, &alone);
        let tokens: usize = texts.iter().map(Vec::len).sum();
        assert!(passes <= tokens.div_ceil(CHUNK) + 2, "{passes} passes for {tokens} tokens");
    }
}

#[test]
fn the_cached_prompt_stays_unless_a_text_needs_its_room() {
    let options = FeatureOptions { layers: 1, pooling: Pooling::Mean };
    let bytes = tiny_llama(TensorType::Q8_0);
    let prompt = texts(&[30]).concat();
    let logits = |model: &mut LanguageModel<Cpu>| {
        let mut prefill = model.begin(prompt.clone(), 0).unwrap();
        while !model.prefill(&mut prefill).unwrap() {}
        let mut logits = Vec::new();
        pollster::block_on(model.logits(&[0], &mut logits)).unwrap();
        (prefill.cached(), logits)
    };
    let mut model = model(&bytes);
    let (_, expected) = logits(&mut model);
    for (longest, cached) in [(CONTEXT - 30, 29), (CONTEXT - 29, 0)] {
        vectors(&mut model, &texts(&[5, longest, 70]), options);
        let (kept, again) = logits(&mut model);
        assert_eq!(kept, cached);
        assert_close(&again, &expected);
    }
    // Nor does a batch that is given up half way leave a trace.
    let mut features = model.features(texts(&[90, 5, 90]), options).unwrap();
    assert!(pollster::block_on(features.step(&mut model)).unwrap());
    drop(features);
    let (kept, again) = logits(&mut model);
    assert_eq!(kept, 29);
    assert_close(&again, &expected);
}

#[test]
fn another_request_in_between_is_an_error_not_a_vector() {
    let options = FeatureOptions { layers: 1, pooling: Pooling::Mean };
    let mut model = model(&tiny_llama(TensorType::Q8_0));
    let mut features = model.features(texts(&[CONTEXT, 1]), options).unwrap();
    assert!(pollster::block_on(features.step(&mut model)).unwrap());
    let prefill = model.begin(vec![3, 4, 5], 0).unwrap();
    let error = pollster::block_on(features.step(&mut model)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    model.features(texts(&[3]), options).unwrap();
    assert_eq!(model.check_owner(&prefill).unwrap_err().kind(), ErrorKind::InvalidInput);
}

#[test]
fn impossible_batches_are_refused() {
    let mut model = model(&tiny_llama(TensorType::Q8_0));
    for (texts, layers, expected) in [
        (vec![vec![3], vec![]], 1, ErrorKind::InvalidInput),
        (vec![vec![u32::MAX]], 1, ErrorKind::InvalidInput),
        (vec![vec![3]], 0, ErrorKind::InvalidInput),
        (vec![vec![3]], 3, ErrorKind::InvalidInput),
        (vec![vec![3; CONTEXT + 1]], 1, ErrorKind::ContextOverflow),
    ] {
        let options = FeatureOptions { layers, pooling: Pooling::Mean };
        assert_eq!(model.features(texts, options).err().unwrap().kind(), expected);
    }
    let options = FeatureOptions { layers: 1, pooling: Pooling::Mean };
    assert_eq!(vectors(&mut model, &[], options).0, [0.0; 0]);
}

#[derive(Deserialize)]
struct Golden {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    prompt_ids: Vec<u32>,
    mean_hidden_first8: std::collections::BTreeMap<usize, [f32; 8]>,
}

#[test]
fn real_models_give_the_golden_vectors() {
    for (id, golden) in [("smollm2-135m-instruct", "smollm2.json"), ("gemma3-270m", "gemma3.json")]
    {
        let (Some(path), Some(golden)) = (model_file(id), golden_file(golden)) else { continue };
        let golden: Golden = serde_json::from_reader(File::open(golden).unwrap()).unwrap();
        let cpu = Cpu::new(Precision::Float32);
        let file = File::open(path).unwrap();
        let mut model = LanguageModel::load(file, cpu, 512, &mut |_, _| {}).unwrap();
        let texts: Vec<_> = golden.cases.iter().map(|case| case.prompt_ids.clone()).collect();
        let layers: Vec<usize> = golden.cases[0].mean_hidden_first8.keys().copied().collect();
        for layers in layers {
            let options = FeatureOptions { layers, pooling: Pooling::Mean };
            let (vectors, _) = vectors(&mut model, &texts, options);
            let width = vectors.len() / texts.len();
            for (vector, case) in vectors.chunks_exact(width).zip(&golden.cases) {
                for (value, expected) in vector.iter().zip(&case.mean_hidden_first8[&layers]) {
                    let error = (value - expected).abs() / expected.abs().max(1.0);
                    assert!(error <= 1e-3, "{id} after {layers} layers: {value} for {expected}");
                }
            }
        }
    }
}
