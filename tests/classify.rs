//! Classification with the real model: what it finds, what it reuses, and what it refuses.

use candle_core::quantized::gguf_file::Value;
use frontdesk_engine::ErrorKind;
use frontdesk_engine::cpu::Cpu;
use frontdesk_engine::language_model::LanguageModel;
use frontdesk_kernels::quant::TensorType;
use frontdesk_tasks::{Classifier, ClassifyRequest, Label, Outcome, Progress};
use std::fs::File;
use std::io::Cursor;
use support::folders::model_file;
use support::gguf_maker::tiny_llama_builder;

fn real_model() -> Option<LanguageModel<Cpu>> {
    let file = File::open(model_file("smollm2-135m-instruct")?).unwrap();
    Some(LanguageModel::load(file, Cpu::default(), 1024, &mut |_, _| {}).unwrap())
}

fn tiny_model() -> LanguageModel<Cpu> {
    tiny_model_of(1024)
}

fn tiny_model_of(context_tokens: usize) -> LanguageModel<Cpu> {
    let builder = tiny_llama_builder(TensorType::Q8_0);
    let reader = Cursor::new(builder.set("llama.context_length", Value::U32(4096)).build());
    LanguageModel::load(reader, Cpu::default(), context_tokens, &mut |_, _| {}).unwrap()
}

fn request(text: &str, labels: &[&str]) -> ClassifyRequest {
    let labels = labels.iter().map(|name| Label { name: (*name).to_owned(), description: None });
    ClassifyRequest { text: text.to_owned(), labels: labels.collect(), subject: None }
}

fn classify(
    model: &mut LanguageModel<Cpu>,
    classifier: &mut Classifier,
    request: ClassifyRequest,
) -> Outcome {
    let mut task = classifier.start(model, request).unwrap();
    loop {
        if let Progress::Done(outcome) =
            pollster::block_on(classifier.step(model, &mut task)).unwrap()
        {
            return outcome;
        }
    }
}

const LABELS: [&str; 4] = ["billing", "delivery", "account access", "praise"];

#[test]
fn plain_tickets_get_their_label() {
    let Some(mut model) = real_model() else { return };
    let mut classifier = Classifier::default();
    let tickets = [
        (
            "Hi, my card was charged twice for order 48213 on Monday, 39.90 each time. I only bought \
          one pair of headphones. Please refund the second payment. Thanks, Marta Lindqvist",
            0,
        ),
        ("My parcel has not arrived, the courier never came.", 1),
        ("I forgot my password and cannot log in to my account.", 2),
        ("Your team was wonderful, thank you so much!", 3),
    ];
    for (text, expected) in tickets {
        let outcome = classify(&mut model, &mut classifier, request(text, &LABELS));
        assert_eq!(outcome.best, expected, "{text}: {:?}", outcome.probabilities);
        assert!((outcome.probabilities.iter().sum::<f64>() - 1.0).abs() < 1e-9);
        assert!(outcome.probabilities.iter().all(|p| (0.0..=1.0).contains(p)));
    }
}

#[test]
fn the_second_text_reuses_the_prompt_and_the_biases() {
    let Some(mut model) = real_model() else { return };
    let mut classifier = Classifier::default();
    let first = classify(&mut model, &mut classifier, request("Where is my parcel?", &LABELS));
    let second = classify(&mut model, &mut classifier, request("I want a refund.", &LABELS));
    let differing = second.usage.prompt_tokens - second.usage.cached_tokens;
    assert!(differing < 40, "{differing} of {} tokens computed", second.usage.prompt_tokens);
    // And reuse changes nothing: a fresh model says the same.
    let Some(mut fresh) = real_model() else { return };
    let again =
        classify(&mut fresh, &mut Classifier::default(), request("Where is my parcel?", &LABELS));
    for (a, b) in first.probabilities.iter().zip(&again.probabilities) {
        assert!((a - b).abs() < 1e-3, "{a} {b}");
    }
}

#[test]
fn an_interrupted_classification_leaves_no_trace() {
    let labels = ["one", "two words", "three"];
    let expected =
        classify(&mut tiny_model(), &mut Classifier::default(), request("a text", &labels));
    for steps in 0..12 {
        let (mut model, mut classifier) = (tiny_model(), Classifier::default());
        let mut task = classifier.start(&model, request("another", &labels)).unwrap();
        for _ in 0..steps {
            pollster::block_on(classifier.step(&mut model, &mut task)).unwrap();
        }
        drop(task);
        let outcome = classify(&mut model, &mut classifier, request("a text", &labels));
        for (a, b) in outcome.probabilities.iter().zip(&expected.probabilities) {
            // A token computed alone, because all before it are cached, has finer activations.
            assert!((a - b).abs() < 1e-2, "after {steps} steps: {a} {b}");
        }
    }
}

#[test]
fn impossible_requests_are_refused() {
    let model = tiny_model();
    let many: Vec<String> = (0..257).map(|index| index.to_string()).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    for labels in [&[][..], &["one"], &["one", " "], &["one", "two", "one"], &many] {
        let error = Classifier::default().start(&model, request("text", labels)).err().unwrap();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
    }
}

#[test]
fn a_text_that_does_not_fit_is_a_context_overflow() {
    let model = tiny_model();
    // The second is refused by its length alone, before it is split into tokens.
    for repeats in [600, 1_000_000] {
        let text = "a long text ".repeat(repeats);
        let error = Classifier::default().start(&model, request(&text, &["one", "two"])).err();
        assert_eq!(error.unwrap().kind(), ErrorKind::ContextOverflow);
    }
}

#[test]
fn usage_counts_all_that_was_read_and_scored() {
    let (mut model, mut classifier) = (tiny_model(), Classifier::default());
    let labels = ["one", "a label of many more tokens than fit one step"];
    let tokens = |text: &str| model.tokenizer().encode(text).unwrap().len();
    let label_tokens: usize = labels.iter().map(|label| tokens(label)).sum();
    assert!(tokens(labels[1]) > 17);
    let first = classify(&mut model, &mut classifier, request("a text", &labels)).usage;
    let second = classify(&mut model, &mut classifier, request("a text", &labels)).usage;
    // The first time, two texts without content are scored besides.
    assert_eq!(first.scored_tokens, 3 * label_tokens);
    assert_eq!(second.scored_tokens, label_tokens);
    assert!(first.prompt_tokens > 2 * second.prompt_tokens);
    assert_eq!(second.cached_tokens, second.prompt_tokens - 1);
}

#[test]
fn another_request_in_between_is_an_error_not_an_answer() {
    let (mut model, mut classifier) = (tiny_model(), Classifier::default());
    let labels = ["one", "two words"];
    let mut first = classifier.start(&model, request("a text", &labels)).unwrap();
    while pollster::block_on(classifier.step(&mut model, &mut first)).unwrap() != Progress::Scored {
    }
    classify(&mut model, &mut classifier, request("another", &labels));
    let error = pollster::block_on(classifier.step(&mut model, &mut first)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
}

#[test]
fn labels_alone_and_together_score_the_same() {
    let long = "a label that is longer than any pass ".repeat(6);
    let short: Vec<String> = (0..40).map(|index| format!("label {}", index * 37)).collect();
    let short: Vec<&str> = short.iter().map(String::as_str).collect();
    for labels in [&short[..], &["one", &long, "two words", "three"]] {
        let outcome = |context_tokens| {
            let mut model = tiny_model_of(context_tokens);
            classify(&mut model, &mut Classifier::default(), request("a text", labels))
        };
        let together = outcome(4096);
        // With the least context that is enough, no two of the longest labels fit one pass.
        let fits = |context_tokens: &usize| {
            let model = tiny_model_of(*context_tokens);
            Classifier::default().start(&model, request("a text", labels)).is_ok()
        };
        let least = (100..4096).find(fits).unwrap();
        let alone = outcome(least);
        assert_eq!(together.usage, alone.usage);
        for (a, b) in together.probabilities.iter().zip(&alone.probabilities) {
            assert!((a - b).abs() < 1e-4, "{a} {b}");
        }
    }
}

#[test]
fn hundreds_of_labels_are_scored_in_bounded_steps() {
    let (mut model, mut classifier) = (tiny_model(), Classifier::default());
    let names: Vec<String> = (0..256).map(|index| format!("label {index}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut task = classifier.start(&model, request("a text", &names)).unwrap();
    let mut steps = 0;
    while let Progress::Prefill(..) | Progress::Scored =
        pollster::block_on(classifier.step(&mut model, &mut task)).unwrap()
    {
        steps += 1;
    }
    // Three texts; a step reads at most 64 tokens or scores at most 8.
    let tokens: usize =
        names.iter().map(|name| model.tokenizer().encode(name).unwrap().len()).sum();
    assert!(steps >= 3 * (tokens - names.len()) / 8, "{steps} steps for {tokens} tokens");
}
