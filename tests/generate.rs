//! Generation on a tiny model: limits, stop strings across tokens, log-probabilities, interruption.

use frontdesk_engine::ErrorKind;
use frontdesk_engine::chat_template::{Message, Role};
use frontdesk_engine::cpu::Cpu;
use frontdesk_engine::generate::{
    FinishReason, GenerateOptions, Generation, Step, TokenLogProbability,
};
use frontdesk_engine::language_model::LanguageModel;
use frontdesk_engine::sampler::SamplerOptions;
use frontdesk_kernels::quant::TensorType;
use std::io::Cursor;
use support::gguf_maker::tiny_llama;

const CAPACITY: usize = 100;

fn model() -> LanguageModel<Cpu> {
    let reader = Cursor::new(tiny_llama(TensorType::Q8_0));
    LanguageModel::load(reader, Cpu::default(), CAPACITY, &mut |_, _| {}).unwrap()
}

fn prompt(model: &LanguageModel<Cpu>, text: &str) -> Vec<u32> {
    model.encode_chat(&[Message { role: Role::User, content: text.to_owned() }]).unwrap()
}

/// A warm sampler, so that the tiny model's text is not one token over and over.
fn options(max_tokens: usize) -> GenerateOptions {
    let sampler = SamplerOptions { temperature: 1.5, seed: 11, ..Default::default() };
    GenerateOptions { max_tokens, sampler, ..Default::default() }
}

struct Generated {
    pieces: Vec<String>,
    log_probabilities: Vec<TokenLogProbability>,
    reason: FinishReason,
    tokens: usize,
    confidence: f64,
}

impl Generated {
    fn text(&self) -> String {
        self.pieces.concat()
    }
}

fn generate(model: &mut LanguageModel<Cpu>, options: GenerateOptions) -> Generated {
    let prompt = prompt(model, "hello");
    let mut task = Generation::new(model, prompt, options).unwrap();
    let (mut pieces, mut log_probabilities) = (Vec::new(), Vec::new());
    loop {
        match pollster::block_on(task.step(model)).unwrap() {
            Step::Prefill(..) => {}
            Step::Token { text, log_probability } => {
                pieces.push(text);
                log_probabilities.extend(log_probability);
            }
            Step::Finished { text, reason } => {
                pieces.push(text);
                let (tokens, confidence) = (task.tokens(), task.confidence());
                return Generated { pieces, log_probabilities, reason, tokens, confidence };
            }
        }
    }
}

#[test]
fn the_limit_of_tokens_is_kept() {
    for limit in [1, 2, 17] {
        let generated = generate(&mut model(), options(limit));
        assert_eq!((generated.tokens, generated.reason), (limit, FinishReason::Length));
    }
}

#[test]
fn the_end_of_the_cache_ends_the_text() {
    let mut model = model();
    let prompt_tokens = prompt(&model, "hello").len();
    // Some seeds end the turn before; one of the first fifty does not.
    let generated = (0..50).find_map(|seed| {
        let sampler = SamplerOptions { seed, ..options(1).sampler };
        let generated = generate(&mut model, GenerateOptions { sampler, ..options(10_000) });
        (generated.reason == FinishReason::Length).then_some(generated)
    });
    let generated = generated.unwrap();
    // Every cached position is used, and one more token is chosen from the last logits.
    assert_eq!(generated.tokens, CAPACITY - prompt_tokens + 1);
    let too_long = vec![5; CAPACITY];
    let error = Generation::new(&mut model, too_long, options(1)).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::ContextOverflow);
}

#[test]
fn stop_strings_are_found_across_tokens_and_left_out() {
    let whole = generate(&mut model(), options(40)).text();
    let characters: Vec<char> = whole.chars().collect();
    assert!(characters.len() > 20, "{whole:?}");
    for start in [3, 7, 12] {
        let stop: String = characters[start..start + 4].iter().collect();
        let expected = &whole[..whole.find(&stop).unwrap()];
        let stopped = generate(&mut model(), GenerateOptions { stop: vec![stop], ..options(40) });
        assert_eq!((stopped.text().as_str(), stopped.reason), (expected, FinishReason::Stop));
    }
}

#[test]
fn log_probabilities_are_the_models_own() {
    let asked = GenerateOptions { top_log_probabilities: Some(5), ..options(12) };
    let generated = generate(&mut model(), asked);
    assert_eq!(generated.log_probabilities.len(), 12);
    let mut sum = 0.0;
    for token in &generated.log_probabilities {
        assert_eq!(token.top.len(), 5);
        assert!(token.top.windows(2).all(|pair| pair[0].1 >= pair[1].1));
        assert!(token.top.iter().map(|(_, log)| log.exp()).sum::<f32>() <= 1.0 + 1e-5);
        // The chosen token is either among the alternatives, with the same number, or below all.
        match token.top.iter().find(|(id, _)| *id == token.id) {
            Some((_, log)) => assert!((log - token.log_probability).abs() < 1e-5),
            None => assert!(token.log_probability <= token.top[4].1 + 1e-5),
        }
        sum += f64::from(token.log_probability);
    }
    assert!((generated.confidence - (sum / 12.0).exp()).abs() < 1e-6);
}

#[test]
fn an_interrupted_generation_leaves_the_model_as_good_as_new() {
    let expected = generate(&mut model(), options(20)).text();
    let mut interrupted = model();
    for steps in [1, 2, 5] {
        let prompt = prompt(&interrupted, "something else altogether");
        let mut task = Generation::new(&mut interrupted, prompt, options(20)).unwrap();
        for _ in 0..steps {
            pollster::block_on(task.step(&mut interrupted)).unwrap();
        }
        drop(task);
        assert_eq!(generate(&mut interrupted, options(20)).text(), expected);
    }
}

#[test]
fn a_generation_whose_model_was_taken_over_says_so() {
    let mut model = model();
    let first = prompt(&model, "hello");
    let mut task = Generation::new(&mut model, first, options(20)).unwrap();
    for _ in 0..3 {
        pollster::block_on(task.step(&mut model)).unwrap();
    }
    generate(&mut model, options(1));
    let error = pollster::block_on(task.step(&mut model)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
}

#[test]
fn impossible_options_are_refused() {
    for bad in [
        options(0),
        GenerateOptions { top_log_probabilities: Some(21), ..options(1) },
        GenerateOptions { stop: vec![String::new()], ..options(1) },
    ] {
        let error = Generation::new(&mut model(), vec![5], bad).err().unwrap();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
    }
}
