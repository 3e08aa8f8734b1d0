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
    ClassifyRequest {
        text: text.to_owned(),
        labels: labels.collect(),
        ..ClassifyRequest::default()
    }
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

/// A request whose labels answer a question, without examples.
fn asked(text: &str, question: &str, labels: &[&str]) -> ClassifyRequest {
    ClassifyRequest {
        question: Some(question.to_owned()),
        examples: Some(false),
        ..request(text, labels)
    }
}

#[test]
fn a_question_is_what_is_answered() {
    let Some(mut model) = real_model() else { return };
    let mut classifier = Classifier::default();
    let levels =
        ["the customer is furious", "the customer is content", "the customer is delighted"];
    let mut level = |text: &str| {
        let request = asked(text, "How satisfied is the customer?", &levels);
        let outcome = classify(&mut model, &mut classifier, request);
        assert!((outcome.probabilities.iter().sum::<f64>() - 1.0).abs() < 1e-9);
        outcome.probabilities[1] + 2.0 * outcome.probabilities[2]
    };
    let angry = level("My parcel has not arrived. This is outrageous, I am furious!");
    let happy = level("Your team was wonderful, thank you so much!");
    assert!(happy > angry + 0.5, "{happy} {angry}");
}

#[test]
fn a_noul_depends_on_question_text_and_meanings() {
    let Some(mut model) = real_model() else { return };
    let mut classifier = Classifier::default();
    let mut yes = |text: &str, question: &str, meaning: Option<&str>| {
        let mut request = asked(text, question, &["yes", "no"]);
        request.labels[0].description = meaning.map(str::to_owned);
        classify(&mut model, &mut classifier, request).probabilities[0]
    };
    let (text, question) = ("Where is my parcel?", "Is the customer angry?");
    // The second time all but the last token is cached, which is computed alone then, and more finely.
    let first = yes(text, question, None);
    let second = yes(text, question, None);
    assert!((second - first).abs() < 0.01, "{first} {second}");
    assert_eq!(yes(text, question, None), second);
    for other in [
        yes("You fools lost my parcel!", question, None),
        yes(text, "Is it about a delivery?", None),
        yes(text, question, Some("the customer complains")),
    ] {
        assert!((0.0..=1.0).contains(&other) && (other - first).abs() > 0.01, "{other} {first}");
    }
}

#[test]
fn biases_of_questions_in_turn_are_computed_once() {
    let (mut model, mut classifier) = (tiny_model(), Classifier::default());
    let labels = ["yes", "no"];
    let label_tokens: usize =
        labels.iter().map(|label| model.tokenizer().encode(label).unwrap().len()).sum();
    // How many texts are scored: three where the biases are not known.
    let mut scored = |question: usize, text: &str| {
        let request = asked(text, &format!("Is it {question}?"), &labels);
        let usage = classify(&mut model, &mut classifier, request).usage;
        (usage.scored_tokens / label_tokens, usage.prompt_tokens)
    };
    let firsts: Vec<usize> = (0..16).map(|question| scored(question, "a text").1).collect();
    for text in ["a text", "b text"] {
        for question in (0..16).rev() {
            let (texts, prompt_tokens) = scored(question, text);
            assert_eq!(texts, 1, "{question}");
            assert!(firsts[question] > 2 * prompt_tokens, "{question}");
        }
    }
    // Question 15 was not asked for longest: a further one takes its place.
    assert_eq!(scored(16, "a text").0, 3);
    assert_eq!(scored(14, "a text").0, 1);
    assert_eq!(scored(15, "a text").0, 3);
}

#[test]
fn examples_subject_and_meanings_have_biases_of_their_own() {
    let (mut model, mut classifier) = (tiny_model(), Classifier::default());
    let plain = asked("a text", "Is it so?", &["yes", "no"]);
    let mut described = plain.clone();
    described.labels[0].description = Some("it is".to_owned());
    let with_examples = ClassifyRequest { examples: Some(true), ..plain.clone() };
    let of_subject = ClassifyRequest { subject: Some("letter".to_owned()), ..plain.clone() };
    let unasked = ClassifyRequest { question: None, ..plain.clone() };
    let requests = [plain, described, with_examples, of_subject, unasked];
    let mut scored = |request: &ClassifyRequest| {
        classify(&mut model, &mut classifier, request.clone()).usage.scored_tokens
    };
    let firsts: Vec<usize> = requests.iter().map(&mut scored).collect();
    assert!(firsts.iter().all(|tokens| *tokens == firsts[0]));
    for request in &requests {
        assert_eq!(3 * scored(request), firsts[0]);
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
            // A pass of one token has finer activations than a pass of several.
            assert!((a - b).abs() < 0.01 * b, "{a} {b}");
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
