//! The GPU backend beside the exact CPU path: named checkpoints, logits, branches, vectors, every tensor type.

use frontdesk_engine::ErrorKind;
use frontdesk_engine::backend::{Backend, MatrixSource, RowReader};
use frontdesk_engine::cpu::Cpu;
use frontdesk_engine::decoder::{Checkpoint, Decoder};
use frontdesk_engine::embedding_model::EmbeddingModel;
use frontdesk_engine::features::{FeatureOptions, Pooling};
use frontdesk_engine::generate::{GenerateOptions, Generation, Step};
use frontdesk_engine::language_model::LanguageModel;
use frontdesk_engine::model_file::ModelFile;
use frontdesk_engine::state::State;
use frontdesk_gpu::{AdapterReport, Gpu, Limits, Options, Purpose, Sharing};
use frontdesk_kernels::matrix::Precision;
use frontdesk_kernels::quant::TensorType;
use frontdesk_tasks::{Classifier, ClassifyRequest, Label, Progress};
use pollster::block_on;
use std::io::Cursor;
use std::ops::Range;
use support::comparing::{TINY_MODELS, TinyModel, difference, ids};
use support::folders::model_file;
use support::gguf_maker::{
    tiny_bert_builder, tiny_gemma3, tiny_llama, tiny_qwen2_builder, tiny_qwen3_builder,
};

/// How far checkpoints may be apart. Scales that a format has in two parts are rounded to half precision; where both
/// round activations, one that lies between two numbers may become either, and with it what follows.
fn tolerance(tensor_type: TensorType, sharing: Sharing, place: &str) -> f32 {
    match tensor_type {
        _ if is_rounded(tensor_type, sharing) && place == "AfterAttention(0)" => 5e-3,
        _ if is_rounded(tensor_type, sharing) => 0.06,
        TensorType::Q4_K | TensorType::Q5_K | TensorType::Q6_K => 0.02,
        _ => 1e-4,
    }
}

/// Whether activations of prompts are rounded to 8 bits.
fn is_rounded(tensor_type: TensorType, sharing: Sharing) -> bool {
    sharing != Sharing::Together
        && matches!(tensor_type, TensorType::Q4_0 | TensorType::Q4_1 | TensorType::Q4_K)
}

fn gpu() -> Gpu {
    sharing(Sharing::OfAdapter)
}

/// On no more than what every device has.
fn sharing(sharing: Sharing) -> Gpu {
    open(Options { limits: Limits::Base, allow_software: true, sharing })
}

/// With subgroups and half precision where the adapter has them.
fn as_offered(sharing: Sharing) -> Gpu {
    let gpu = open(Options { limits: Limits::OfAdapter, allow_software: true, sharing });
    let AdapterReport { name, subgroup, has_halves, .. } = gpu.adapter();
    // SwiftShader's subgroups are of four; Mesa's lavapipe has both.
    assert!(subgroup.is_some() || !["SwiftShader", "llvmpipe"].iter().any(|it| name.contains(it)));
    assert!(*has_halves || !name.contains("llvmpipe"));
    gpu
}

fn open(options: Options) -> Gpu {
    block_on(Gpu::open(options)).expect("a Vulkan adapter is needed")
}

fn cpu() -> Cpu {
    Cpu::new(Precision::Float32)
}

fn decoder<B: Backend>(bytes: Vec<u8>, backend: B) -> Decoder<B> {
    let mut file = ModelFile::open(Cursor::new(bytes)).unwrap();
    Decoder::load(&mut file, backend, &mut |_, _| {}).unwrap()
}

/// Named checkpoints of the last append, and the logits after it.
type Trace = Vec<(String, Vec<f32>)>;

fn append<B: Backend>(
    decoder: &mut Decoder<B>,
    state: &mut State<B>,
    ids: &[u32],
    trace: &mut Trace,
) {
    let hidden = decoder.config().hidden;
    let mut observe = |checkpoint: Checkpoint, backend: &mut B, tensor: &B::Tensor| {
        let mut values = vec![0.0; ids.len() * hidden];
        block_on(backend.read(tensor, &mut values)).unwrap();
        trace.push((format!("{checkpoint:?}"), values));
    };
    decoder.extend_observed(state, ids, &mut observe).unwrap();
    let mut logits = Vec::new();
    block_on(decoder.logits(state, &[ids.len() - 1], &mut logits)).unwrap();
    trace.push(("logits".to_owned(), logits));
}

/// A prompt in two passes, then single tokens, all traced.
fn trace<B: Backend>(decoder: &mut Decoder<B>) -> Trace {
    let mut state = decoder.state(128).unwrap();
    let mut trace = Trace::new();
    let ids = ids(101);
    append(decoder, &mut state, &ids[..83], &mut trace);
    append(decoder, &mut state, &ids[83..96], &mut trace);
    for id in &ids[96..] {
        append(decoder, &mut state, &[*id], &mut trace);
    }
    trace
}

/// A type of each way in which matrices are stored.
const FORMS: [TensorType; 6] = [
    TensorType::F32,
    TensorType::F16,
    TensorType::BF16,
    TensorType::Q4_1,
    TensorType::Q8_0,
    TensorType::Q6_K,
];

/// The CPU that computes as the GPU does.
fn like(tensor_type: TensorType, sharing: Sharing) -> Cpu {
    if is_rounded(tensor_type, sharing) { Cpu::default() } else { cpu() }
}

/// Types that are stored alike differ in what is uploaded, which is the same for all architectures.
fn compare(name: &str, make: TinyModel, types: &[TensorType]) {
    for &tensor_type in types {
        let is_form = FORMS.contains(&tensor_type);
        let mut ways = vec![(Sharing::Together, sharing as fn(Sharing) -> Gpu)];
        if is_form {
            ways.push((Sharing::Alone, sharing));
        }
        // Threads that are alone use subgroups only for these.
        if is_form && is_rounded(tensor_type, Sharing::Alone) {
            ways.push((Sharing::Alone, as_offered));
        }
        for (how, open) in ways {
            let expected = trace(&mut decoder(make(tensor_type), like(tensor_type, how)));
            let gpu = open(how);
            let features = gpu.adapter().features();
            let actual = trace(&mut decoder(make(tensor_type), gpu));
            assert_eq!(actual.len(), expected.len());
            let mut worst: f32 = 0.0;
            for ((place, actual), (_, expected)) in actual.iter().zip(&expected) {
                let difference = difference(actual, expected);
                worst = worst.max(difference);
                let most = tolerance(tensor_type, how, place);
                let which = format!("{name} {tensor_type:?} {how:?} {features:?}");
                assert!(difference < most, "{which} {place}: {difference}");
            }
            let count = actual.len();
            println!(
                "{name} {tensor_type:?} {how:?} {features:?}: {count} checkpoints, {worst:.2e}"
            );
        }
    }
}

#[test]
fn checkpoints_of_llama_agree_for_every_tensor_type() {
    compare("llama", tiny_llama, &TensorType::ALL);
}

#[test]
fn checkpoints_of_gemma3_agree_for_every_form() {
    compare("gemma3", tiny_gemma3, &FORMS);
}

#[test]
fn checkpoints_of_qwen2_agree_for_every_form() {
    compare("qwen2", |tensor_type| tiny_qwen2_builder(tensor_type).build(), &FORMS);
}

#[test]
fn checkpoints_of_qwen3_agree_for_every_form() {
    compare("qwen3", |tensor_type| tiny_qwen3_builder(tensor_type).build(), &FORMS);
}

#[test]
fn prompts_branches_and_vectors_agree() {
    let (prompt, branches) = (ids(70), [&[9_u32, 4, 3][..], &[7, 7], &[5, 8, 11, 12]]);
    for (name, make) in TINY_MODELS {
        let expected = language_trace(make(TensorType::Q8_0), cpu(), &prompt, &branches);
        for backend in
            [sharing(Sharing::Alone), sharing(Sharing::Together), as_offered(Sharing::Together)]
        {
            // Half precision has 11 bits.
            let most = if backend.adapter().has_halves { 5e-3 } else { 1e-4 };
            let actual = language_trace(make(TensorType::Q8_0), backend, &prompt, &branches);
            for ((place, actual), (_, expected)) in actual.iter().zip(&expected) {
                let difference = difference(actual, expected);
                assert!(difference < most, "{name} {place}: {difference}");
            }
        }
    }
}

/// A prompt for its last token, branches of it, the same once more in one pass, and pooled vectors.
fn language_trace<B: Backend>(
    bytes: Vec<u8>,
    backend: B,
    prompt: &[u32],
    branches: &[&[u32]],
) -> Trace {
    let mut model = LanguageModel::load(Cursor::new(bytes), backend, 128, &mut |_, _| {}).unwrap();
    let mut trace = Trace::new();
    let logits = |model: &mut LanguageModel<B>, indices: &[usize]| {
        let mut logits = Vec::new();
        block_on(model.logits(indices, &mut logits)).unwrap();
        logits
    };
    let mut prefill = model.begin(prompt.to_vec(), 0).unwrap();
    while !model.prefill(&mut prefill).unwrap() {}
    trace.push(("prompt".to_owned(), logits(&mut model, &[0])));
    model.branch(branches).unwrap();
    trace.push(("branches".to_owned(), logits(&mut model, &[0, 3, 4, 8])));
    let mut other = prompt.to_vec();
    other[1] += 1;
    let prefill = model.begin(other, 0).unwrap();
    model.prefill_and_branch(&prefill, branches).unwrap();
    trace.push(("together".to_owned(), logits(&mut model, &[0, 1, 2, 5, 9])));
    for pooling in [Pooling::Mean, Pooling::Last, Pooling::First, Pooling::Max] {
        let texts = vec![ids(100), ids(3), ids(1), ids(60)];
        model.truncate(0);
        let mut features = model.features(texts, FeatureOptions { layers: 2, pooling }).unwrap();
        while block_on(features.step(&mut model)).unwrap() {}
        trace.push((format!("{pooling:?}"), features.into_vectors()));
    }
    trace
}

#[test]
fn encoders_agree_for_every_form() {
    let texts = ["hello", "the card was charged twice, pay!", "", &"payment world ".repeat(40)];
    let texts = texts.map(str::to_owned);
    for tensor_type in FORMS {
        let bytes = tiny_bert_builder(tensor_type).build();
        let how = Sharing::OfAdapter;
        let expected = embeddings(&bytes, like(tensor_type, how), &texts);
        let most = tolerance(tensor_type, how, "vector");
        for gpu in [sharing(how), as_offered(how)] {
            let features = gpu.adapter().features();
            let difference = difference(&embeddings(&bytes, gpu, &texts), &expected);
            assert!(difference < most, "{tensor_type:?} {features:?}: {difference}");
        }
    }
}

fn embeddings<B: Backend>(bytes: &[u8], backend: B, texts: &[String]) -> Vec<f32> {
    let mut model = EmbeddingModel::load(Cursor::new(bytes), backend, &mut |_, _| {}).unwrap();
    let mut embeddings = model.embed(texts).unwrap();
    while block_on(embeddings.step(&mut model)).unwrap() {}
    embeddings.into_embeddings().into_iter().flat_map(|embedding| embedding.vector).collect()
}

#[test]
fn a_token_needs_one_pass_few_dispatches_and_nothing_new() {
    for (name, make) in TINY_MODELS {
        let bytes = make(TensorType::Q4_K);
        let mut model =
            LanguageModel::load(Cursor::new(bytes), gpu(), 128, &mut |_, _| {}).unwrap();
        let layers = model.decoder().config().layers as u64;
        let options = GenerateOptions { max_tokens: 60, ..Default::default() };
        let mut generation = Generation::new(&mut model, ids(20), options).unwrap();
        for _ in 0..8 {
            block_on(generation.step(&mut model)).unwrap();
        }
        let before = model.decoder().backend().counters();
        let tokens = 20;
        for _ in 0..tokens {
            let step = block_on(generation.step(&mut model)).unwrap();
            assert!(matches!(step, Step::Token { .. }), "{name}: {step:?}");
        }
        let after = model.decoder().backend().counters();
        assert_eq!(after.passes - before.passes, tokens, "{name}");
        let dispatches = (after.dispatches - before.dispatches) / tokens;
        assert!(dispatches <= 7 * layers + 5, "{name}: {dispatches} of {layers} layers");
        println!("{name}: {dispatches} dispatches of {layers} layers");
        assert_eq!(after.buffers, before.buffers, "{name}");
        assert_eq!(after.bind_groups, before.bind_groups, "{name}");
        assert_eq!(after.pipelines, before.pipelines, "{name}");
        assert_eq!(after.reads - before.reads, tokens, "{name}");
        assert!(after.bytes_read - before.bytes_read <= tokens * 1024, "{name}");
    }
}

#[test]
fn a_lost_device_is_a_typed_error() {
    let bytes = tiny_llama(TensorType::Q8_0);
    let mut model = LanguageModel::load(Cursor::new(bytes), gpu(), 64, &mut |_, _| {}).unwrap();
    let options = GenerateOptions { max_tokens: 40, ..Default::default() };
    let mut generation = Generation::new(&mut model, ids(20), options).unwrap();
    for _ in 0..6 {
        block_on(generation.step(&mut model)).unwrap();
    }
    model.decoder().backend().destroy();
    let error = loop {
        match block_on(generation.step(&mut model)) {
            // Tokens that were on their way may still come.
            Ok(Step::Token { .. }) => {}
            Ok(step) => panic!("{step:?}"),
            Err(error) => break error,
        }
    };
    assert_eq!(error.kind(), ErrorKind::DeviceLost, "{error}");
}

#[test]
fn the_self_test_passes_and_software_is_refused_unless_allowed() {
    let mut backend = gpu();
    for gpu in [&mut as_offered(Sharing::Together), &mut backend] {
        for purpose in [Purpose::Decoder, Purpose::Encoder] {
            block_on(frontdesk_gpu::self_test(gpu, purpose)).unwrap();
        }
    }
    let opened = block_on(Gpu::open(Options { allow_software: false, ..Options::default() }));
    match opened {
        Ok(gpu) => assert!(!gpu.adapter().is_software),
        Err(error) => {
            assert!(backend.adapter().is_software);
            assert_eq!(error.kind(), ErrorKind::Backend);
        }
    }
    backend.destroy();
    let error = block_on(frontdesk_gpu::self_test(&mut backend, Purpose::Decoder)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::DeviceLost);
}

/// A matrix without rows.
struct NoRows;

impl RowReader for NoRows {
    fn read(&mut self, _rows: Range<usize>) -> frontdesk_engine::Result<&[u8]> {
        Ok(&[])
    }
}

#[test]
fn what_the_gpu_cannot_hold_is_refused() {
    let builder = support::gguf_maker::tiny_llama_builder(TensorType::F32);
    let mut file = ModelFile::open(Cursor::new(builder.build())).unwrap();
    let mut decoder = Decoder::load(&mut file, gpu(), &mut |_, _| {}).unwrap();
    assert!(decoder.state(128).is_ok());
    let mut backend = gpu();
    // Base limits: bindings of 128 MiB.
    let error = backend.tensor(1 << 20, 33).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::OutOfMemory);
    let error = backend.cache(1, 12, 16).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::UnsupportedModel);
    let error = backend.matrix(MatrixSource {
        tensor_type: TensorType::Q8_0,
        shape: [0, 32],
        source_row: &|row| row,
        unit: 8,
        rows: &mut NoRows,
    });
    assert_eq!(error.err().unwrap().kind(), ErrorKind::InvalidModel);
}

/// Golden values of a real model. Adapters that are software take a minute for the longest prompt.
fn agrees_with_golden_values(files: (&str, &str), gpu: Gpu) {
    let Some(report) = support::golden::run(files, ("on the GPU", gpu)) else { return };
    assert!(report.top1() >= 0.98, "top-1 agreement {}", report.top1());
    assert!(report.mean_divergence() <= 0.002, "mean KL {}", report.mean_divergence());
}

#[test]
fn smollm2_agrees_with_golden_values() {
    let gpu = as_offered(Sharing::OfAdapter);
    agrees_with_golden_values(("smollm2-135m-instruct", "smollm2.json"), gpu);
}

#[test]
fn gemma3_agrees_with_golden_values() {
    agrees_with_golden_values(("gemma3-270m", "gemma3.json"), gpu());
}

/// On an adapter that has it, as Mesa's lavapipe.
#[test]
fn half_precision_agrees_with_golden_values() {
    let gpu = as_offered(Sharing::Together);
    if gpu.adapter().has_halves {
        agrees_with_golden_values(("smollm2-135m-instruct", "smollm2.json"), gpu);
    } else {
        println!("skipped: {} has no half precision", gpu.adapter().name);
    }
}

/// The probabilities that a real model's classifications come to.
fn decisions<B: Backend>(file: &std::path::Path, backend: B) -> Vec<Vec<f64>> {
    let file = std::fs::File::open(file).unwrap();
    let mut model = LanguageModel::load(file, backend, 512, &mut |_, _| {}).unwrap();
    let mut classifier = Classifier::default();
    let asked = [
        ("I was charged twice.", ["billing", "delivery"]),
        ("Refund me.", ["delivery", "billing"]),
        ("The parcel never came.", ["account access", "delivery"]),
    ];
    asked
        .map(|(text, labels)| {
            let labels = labels.map(|name| Label { name: name.to_owned(), description: None });
            let request = ClassifyRequest {
                text: text.to_owned(),
                labels: labels.to_vec(),
                ..ClassifyRequest::default()
            };
            let mut task = classifier.start(&model, request).unwrap();
            loop {
                if let Progress::Done(outcome) =
                    block_on(classifier.step(&mut model, &mut task)).unwrap()
                {
                    return outcome.probabilities;
                }
            }
        })
        .to_vec()
}

#[test]
fn decisions_agree() {
    let Some(file) = model_file("smollm2-135m-instruct") else { return };
    let expected = decisions(&file, cpu());
    let rounded = decisions(&file, Cpu::default());
    println!("single precision {expected:.4?}\n8-bit activations {rounded:.4?}");
    for (how, open, expected, most) in [
        (Sharing::Together, sharing as fn(Sharing) -> Gpu, &expected, 1e-3),
        (Sharing::Alone, sharing, &rounded, 0.05),
        (Sharing::Alone, as_offered, &rounded, 0.05),
    ] {
        let gpu = open(how);
        let features = gpu.adapter().features();
        let actual = decisions(&file, gpu);
        println!("GPU, {how:?} {features:?} {actual:.4?}");
        for (actual, expected) in actual.iter().flatten().zip(expected.iter().flatten()) {
            assert!((actual - expected).abs() < most, "{how:?}: {actual} instead of {expected}");
        }
    }
}
