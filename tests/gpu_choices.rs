//! Tokens chosen on the GPU beside those that the engine's sampler chooses from the same logits.

use frontdesk_engine::ErrorKind;
use frontdesk_engine::backend::{
    Backend, Chosen, Linear, LinearLayer, MatrixSource, RowReader, RunStart, Segment,
};
use frontdesk_engine::cpu::Cpu;
use frontdesk_engine::generate::{
    FinishReason, GenerateOptions, Generation, Step, TokenLogProbability,
};
use frontdesk_engine::language_model::LanguageModel;
use frontdesk_engine::sampler::{Sampler, SamplerOptions, log_sum_exp, top_log_probabilities};
use frontdesk_gpu::{Gpu, Limits, Options, Sharing};
use frontdesk_kernels::matrix::Precision;
use frontdesk_kernels::quant::TensorType;
use pollster::block_on;
use std::io::Cursor;
use std::ops::Range;
use support::comparing::{TINY_MODELS, ids};
use support::folders::model_file;
use support::gguf_maker::{pseudo_random, tiny_llama};

/// Bytes of a record, which are all that comes back for a token.
const RECORD: u64 = 528;

/// On no more than what every device has.
fn gpu() -> Gpu {
    let sharing = Sharing::OfAdapter;
    let options = Options { limits: Limits::Base, allow_software: true, sharing };
    block_on(Gpu::open(options)).expect("a Vulkan adapter is needed")
}

/// Every way to choose, with and without a penalty.
fn samplers() -> Vec<SamplerOptions> {
    let warm = SamplerOptions { temperature: 1.3, ..Default::default() };
    let ways = [
        SamplerOptions::default(),
        SamplerOptions { temperature: 0.7, ..Default::default() },
        warm.clone(),
        SamplerOptions { top_p: Some(0.3), ..warm.clone() },
        SamplerOptions { top_p: Some(0.95), ..warm.clone() },
        SamplerOptions { min_p: Some(0.1), ..warm.clone() },
        SamplerOptions { min_p: Some(1.0), ..warm.clone() },
        SamplerOptions { top_p: Some(0.8), min_p: Some(0.02), ..warm.clone() },
        SamplerOptions { top_k: Some(40), ..warm.clone() },
        SamplerOptions { top_k: Some(64), top_p: Some(0.7), ..warm.clone() },
        SamplerOptions { top_k: Some(9), min_p: Some(0.2), ..warm.clone() },
        SamplerOptions { top_k: Some(300), ..warm.clone() },
        SamplerOptions { top_k: Some(100), top_p: Some(0.9), min_p: Some(0.01), ..warm },
    ];
    let penalties = [1.0, 1.4, 0.8];
    let with =
        |repetition_penalty| ways.clone().map(|way| SamplerOptions { repetition_penalty, ..way });
    penalties.into_iter().flat_map(with).collect()
}

/// A device with a matrix that makes given logits of a constant.
struct Logits {
    gpu: Gpu,
    cursor: <Gpu as Backend>::Cursor,
    one: <Gpu as Backend>::Tensor,
    matrix: Linear<Gpu>,
    tensor: <Gpu as Backend>::Tensor,
    values: Vec<f32>,
}

/// Rows of 32 numbers, of which the first is given.
struct Rows<'a>(&'a [f32], Vec<u8>);

impl RowReader for Rows<'_> {
    fn read(&mut self, rows: Range<usize>) -> frontdesk_engine::Result<&[u8]> {
        self.1.clear();
        for value in &self.0[rows] {
            self.1.extend(value.to_le_bytes());
            self.1.resize(self.1.len() + 31 * 4, 0);
        }
        Ok(&self.1)
    }
}

fn matrix(gpu: &mut Gpu, values: &[f32]) -> <Gpu as Backend>::Matrix {
    let source = MatrixSource {
        tensor_type: TensorType::F32,
        shape: [values.len(), 32],
        source_row: &|row| row,
        unit: 8,
        rows: &mut Rows(values, Vec::new()),
    };
    gpu.matrix(source).unwrap()
}

impl Logits {
    fn new(values: Vec<f32>) -> Self {
        let mut gpu = gpu();
        let mut cursor = gpu.cursor(1).unwrap();
        let mut one = gpu.tensor(1, 32).unwrap();
        let table = matrix(&mut gpu, &[1.0; 8]);
        gpu.seek(&mut cursor, &[0], 0, &[Segment { tokens: 1, context: 0..0 }]);
        gpu.embed(&cursor, &table, 1.0, &mut one);
        let matrix = LinearLayer { matrix: matrix(&mut gpu, &values), bias: None };
        let tensor = gpu.tensor(1, values.len()).unwrap();
        let mut logits = Self { gpu, cursor, one, matrix, tensor, values };
        logits.compute();
        let mut there = vec![0.0; logits.values.len()];
        block_on(logits.gpu.read(&logits.tensor, &mut there)).unwrap();
        let same = |(a, b): (&f32, &f32)| a == b || a.is_nan() && b.is_nan();
        assert!(there.iter().zip(&logits.values).all(same));
        logits
    }

    fn compute(&mut self) {
        let outputs = &mut [(&self.matrix, &mut self.tensor)];
        self.gpu.project(&self.cursor, &mut self.one, None, outputs);
    }

    /// Begins the next choice of a run, or the first of one with what was seen before it.
    fn begin(&mut self, sampler: &mut Sampler, seen: Option<&[u32]>) {
        self.compute();
        let start = seen.map(|seen| RunStart { slot: 0, seen });
        self.gpu.choose(&mut self.cursor, start, &self.tensor, sampler.choice(5));
    }

    fn choose(
        &mut self,
        sampler: &mut Sampler,
        seen: Option<&[u32]>,
    ) -> frontdesk_engine::Result<Chosen> {
        self.begin(sampler, seen);
        block_on(self.gpu.chosen())
    }

    /// What is to be said of a token.
    fn expected(&self, id: u32) -> Chosen {
        let log_sum = log_sum_exp(&self.values);
        let top = top_log_probabilities(&self.values, log_sum, 5);
        Chosen { id, log_probability: self.values[id as usize] - log_sum, top }
    }
}

fn assert_same(actual: &Chosen, expected: &Chosen, what: &str) {
    assert_eq!(actual.id, expected.id, "{what}");
    let difference = (actual.log_probability - expected.log_probability).abs();
    assert!(difference < 1e-4, "{what}: {difference}");
    let places = |chosen: &Chosen| chosen.top.iter().map(|(id, _)| *id).collect::<Vec<_>>();
    assert_eq!(places(actual), places(expected), "{what}");
    for ((_, actual), (_, expected)) in actual.top.iter().zip(&expected.top) {
        assert!((actual - expected).abs() < 1e-4, "{what}");
    }
}

#[test]
fn choices_are_those_of_the_sampler() {
    let mut compared = 0;
    for vocabulary in [50, 1024, 3001, 20_011] {
        // Flat, peaked, and with many equals.
        let shapes: [fn(f32) -> f32; 3] =
            [|x| 3.0 * x, |x| 20.0 * x * x * x, |x| (9.0 * x * x.abs()).round() / 2.0];
        for (shape, of) in shapes.iter().enumerate() {
            let values = pseudo_random(&format!("logits {shape}"), vocabulary);
            let mut logits = Logits::new(values.into_iter().map(of).collect());
            let best = logits.expected(0).top.iter().map(|(id, _)| *id).collect::<Vec<_>>();
            let seen = [best[0], best[2], 3, 40, vocabulary as u32 - 1, best[0]];
            for options in samplers() {
                for seed in 0..6 {
                    let options = SamplerOptions { seed, ..options.clone() };
                    let what = format!("{vocabulary} {shape} {options:?}");
                    let mut sampler = Sampler::new(options.clone()).unwrap();
                    let id = sampler.sample(&mut logits.values.clone(), &seen).unwrap();
                    let mut sampler = Sampler::new(options).unwrap();
                    let actual = logits.choose(&mut sampler, Some(&seen)).unwrap();
                    assert_same(&actual, &logits.expected(id), &what);
                    compared += 1;
                }
            }
        }
    }
    println!("{compared} choices are the sampler's");
}

/// What the sampler chooses one after the other from the same logits.
fn run(logits: &Logits, options: &SamplerOptions, seen: &[u32], count: usize) -> Vec<u32> {
    let mut sampler = Sampler::new(options.clone()).unwrap();
    let mut seen = seen.to_vec();
    for _ in 0..count {
        seen.push(sampler.sample(&mut logits.values.clone(), &seen).unwrap());
    }
    seen
}

#[test]
fn a_chosen_token_is_seen_until_the_next_run() {
    let values = pseudo_random("runs", 2100).into_iter().map(|x| 8.0 * x).collect();
    let mut logits = Logits::new(values);
    for options in samplers().into_iter().filter(|options| options.repetition_penalty != 1.0) {
        for before in [vec![], vec![7, 2099, 31, 32]] {
            let expected = run(&logits, &options, &before, 24);
            let mut sampler = Sampler::new(options.clone()).unwrap();
            let mut seen = before.clone();
            while seen.len() < expected.len() {
                let start = (seen.len() == before.len()).then_some(&before[..]);
                seen.push(logits.choose(&mut sampler, start).unwrap().id);
            }
            assert_eq!(seen, expected, "{options:?}");
            // Two more, of which nobody hears.
            logits.begin(&mut sampler, None);
            logits.begin(&mut sampler, None);
            logits.gpu.forget_choices();
        }
    }
}

#[test]
fn logits_that_are_not_finite_are_a_typed_error() {
    for value in [f32::NAN, f32::INFINITY] {
        let mut values: Vec<f32> = pseudo_random("broken", 1500);
        values[1203] = value;
        let mut logits = Logits::new(values);
        for options in samplers() {
            let mut sampler = Sampler::new(options.clone()).unwrap();
            let error = logits.choose(&mut sampler, Some(&[1203])).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidModel, "{value} {options:?}");
        }
    }
}

/// The rest of a generation: what it chose, with log-probabilities of the choice and its alternatives.
fn rest_of<B: Backend>(
    model: &mut LanguageModel<B>,
    generation: &mut Generation,
) -> (Vec<TokenLogProbability>, FinishReason) {
    let mut tokens = Vec::new();
    loop {
        match block_on(generation.step(model)).unwrap() {
            Step::Token { log_probability, .. } => tokens.extend(log_probability),
            Step::Finished { reason, .. } => return (tokens, reason),
            Step::Prefill(..) => {}
        }
    }
}

fn load<B: Backend>(bytes: Vec<u8>, backend: B) -> LanguageModel<B> {
    LanguageModel::load(Cursor::new(bytes), backend, 64, &mut |_, _| {}).unwrap()
}

fn asked(sampler: &SamplerOptions, max_tokens: usize) -> GenerateOptions {
    let sampler = sampler.clone();
    let top_log_probabilities = Some(5);
    GenerateOptions { max_tokens, sampler, top_log_probabilities, ..Default::default() }
}

#[test]
fn generations_are_those_of_the_cpu() {
    for (name, make) in TINY_MODELS {
        let bytes = make(TensorType::Q8_0);
        let mut exact = load(bytes.clone(), Cpu::new(Precision::Float32));
        let mut model = load(bytes, gpu());
        for sampler in samplers() {
            // To the limit of tokens, and to the end of the cache.
            for max_tokens in [1, 100] {
                let options = asked(&sampler, max_tokens);
                let mut generation = Generation::new(&mut exact, ids(31), options.clone()).unwrap();
                let expected = rest_of(&mut exact, &mut generation);
                let mut generation = Generation::new(&mut model, ids(31), options).unwrap();
                let actual = rest_of(&mut model, &mut generation);
                assert_eq!(actual.1, expected.1, "{name}");
                assert_eq!(actual.0.len(), expected.0.len(), "{name}");
                for (actual, expected) in actual.0.iter().zip(&expected.0) {
                    assert_eq!(actual.id, expected.id, "{name} {sampler:?}");
                    assert!((actual.log_probability - expected.log_probability).abs() < 1e-3);
                    let [actual, expected] = [actual, expected]
                        .map(|token| token.top.iter().map(|(id, _)| *id).collect::<Vec<_>>());
                    assert_eq!(actual, expected, "{name}");
                }
                assert_eq!(model.length(), exact.length(), "{name}: what is remembered");
            }
        }
    }
}

/// A penalty that a warm text shows.
fn penalised() -> SamplerOptions {
    SamplerOptions {
        temperature: 1.2,
        repetition_penalty: 1.5,
        top_p: Some(0.9),
        seed: 4,
        ..Default::default()
    }
}

#[test]
fn generations_that_are_given_up_or_resumed_leave_the_penalty_right() {
    let bytes = tiny_llama(TensorType::Q8_0);
    let (mut model, mut other) = (load(bytes.clone(), gpu()), load(bytes, gpu()));
    let options = asked(&penalised(), 24);
    let mut generation = Generation::new(&mut model, ids(20), options.clone()).unwrap();
    let expected = rest_of(&mut model, &mut generation).0;
    for steps in [1, 2, 3, 9] {
        let mut generation = Generation::new(&mut model, ids(20), options.clone()).unwrap();
        let mut tokens: Vec<TokenLogProbability> = Vec::new();
        for _ in 0..steps {
            if let Step::Token { log_probability, .. } =
                block_on(generation.step(&mut model)).unwrap()
            {
                tokens.extend(log_probability);
            }
        }
        // On another device, where a generation was given up that had seen other tokens.
        let mut given_up = Generation::new(&mut other, ids(9), options.clone()).unwrap();
        for _ in 0..5 {
            block_on(given_up.step(&mut other)).unwrap();
        }
        generation.resume(&mut other).unwrap();
        tokens.extend(rest_of(&mut other, &mut generation).0);
        let ids = |tokens: &[TokenLogProbability]| tokens.iter().map(|t| t.id).collect::<Vec<_>>();
        assert_eq!(ids(&tokens), ids(&expected), "after {steps} steps");
    }
}

#[test]
fn all_ways_to_choose_read_records_alone_and_make_nothing_new() {
    let mut model = load(tiny_llama(TensorType::Q4_K), gpu());
    let layers = model.decoder().config().layers as u64;
    let mut generate = |sampler: &SamplerOptions| {
        let mut generation = Generation::new(&mut model, ids(20), asked(sampler, 12)).unwrap();
        let mut steps = Vec::new();
        loop {
            let before = model.decoder().backend().counters();
            let step = block_on(generation.step(&mut model)).unwrap();
            let after = model.decoder().backend().counters();
            steps.push((after.passes - before.passes, after.dispatches - before.dispatches));
            if matches!(step, Step::Finished { .. }) {
                return (steps, after);
            }
        }
    };
    for sampler in samplers() {
        let (_, before) = generate(&sampler);
        let (steps, after) = generate(&sampler);
        assert_eq!(after.buffers, before.buffers, "{sampler:?}");
        assert_eq!(after.bind_groups, before.bind_groups, "{sampler:?}");
        assert_eq!(after.pipelines, before.pipelines, "{sampler:?}");
        let (reads, bytes) = (after.reads - before.reads, after.bytes_read - before.bytes_read);
        assert_eq!(bytes, reads * RECORD, "{sampler:?}");
        let most = 7 * layers + 5;
        // After the prompt, and the first token with those that are begun before it is told.
        for (passes, dispatches) in &steps[2..] {
            assert!(*passes <= 1 && *dispatches <= most, "{sampler:?} {dispatches}");
        }
    }
}

#[test]
fn a_real_models_text_is_what_the_sampler_makes_of_its_logits() {
    let Some(file) = model_file("smollm2-135m-instruct") else { return };
    let file = std::fs::File::open(file).unwrap();
    let mut model = LanguageModel::load(file, gpu(), 128, &mut |_, _| {}).unwrap();
    let prompt = model.tokenizer().encode("Once upon a time there was").unwrap();
    for sampler in [
        SamplerOptions { temperature: 1.0, seed: 1, ..Default::default() },
        penalised(),
        SamplerOptions { repetition_penalty: 1.3, ..Default::default() },
    ] {
        let count = 10;
        model.truncate(0);
        let before = model.decoder().backend().counters();
        let options = asked(&sampler, count);
        let mut generation = Generation::new(&mut model, prompt.clone(), options).unwrap();
        let actual = rest_of(&mut model, &mut generation).0;
        let after = model.decoder().backend().counters();
        assert_eq!(after.bytes_read - before.bytes_read, actual.len() as u64 * RECORD);
        let mut of_logits = Sampler::new(sampler.clone()).unwrap();
        model.truncate(0);
        let mut prefill = model.begin(prompt.clone(), 1).unwrap();
        while !model.prefill(&mut prefill).unwrap() {}
        let (mut seen, mut logits) = (Vec::new(), Vec::new());
        for token in &actual {
            block_on(model.logits(&[0], &mut logits)).unwrap();
            let log_sum = log_sum_exp(&logits);
            let own = logits.clone();
            let id = of_logits.sample(&mut logits, &seen).unwrap();
            assert_eq!(token.id, id);
            assert!((token.log_probability - (own[id as usize] - log_sum)).abs() < 1e-3);
            seen.push(id);
            model.extend(&[id]).unwrap();
        }
        let text: Vec<u8> =
            seen.iter().flat_map(|id| model.tokenizer().token_bytes(*id)).copied().collect();
        println!("{sampler:?}: {}", String::from_utf8_lossy(&text));
    }
}
