//! Two tiny vocabularies as metadata: byte-level BPE with ChatML, and SentencePiece-like with byte fallback.

use candle_core::quantized::gguf_file::Value;

use super::GgufBuilder;

const NORMAL: i32 = 1;
const CONTROL: i32 = 3;
const BYTE: i32 = 6;

const CHATML_TEMPLATE: &str = "{% for message in messages %}\
    {{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n' }}\
    {% endfor %}\
    {% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}";

const TURN_TEMPLATE: &str = "{{ bos_token }}{% for message in messages %}\
    {% set role = 'model' if message['role'] == 'assistant' else message['role'] %}\
    {{ '<start_of_turn>' + role + '\n' + message['content'] + '<end_of_turn>' + '\n' }}\
    {% endfor %}\
    {% if add_generation_prompt %}{{ '<start_of_turn>model\n' }}{% endif %}";

/// Merges of the byte-level vocabulary, best first; what they make becomes a token too.
/// A leading space is written as the byte-level alphabet writes it.
const MERGES: [&str; 37] = [
    "Ġ t", "h e", "i n", "Ġ a", "r e", "o n", "Ġt he", "e r", "Ġ s", "a t", "e n", "o r", "Ġ w",
    "i s", "Ġ c", "in g", "l l", "he ll", "hell o", "Ġw or", "l d", "Ġwor ld", "Ġ b", "o u", "i t",
    "Ġ f", "Ġ m", "e d", "a r", "Ġc ar", "c ar", "car d", "Ġ p", "a y", "Ġp ay", "m en", "men t",
];

/// Pieces of the SentencePiece-like vocabulary, best first. Each is two earlier or single pieces.
const PIECES: [&str; 30] = [
    "▁t", "he", "▁a", "in", "▁the", "er", "on", "re", "▁s", "at", "en", "or", "▁w", "is", "▁c",
    "ing", "ll", "hell", "hello", "▁wor", "ld", "▁world", "▁b", "ou", "it", "▁p", "ay", "▁pay",
    "ed", "ar",
];

/// Adds a WordPiece tokenizer in GGUF's spelling; returns the number of tokens.
pub(super) fn word_piece_vocabulary(builder: GgufBuilder) -> (GgufBuilder, usize) {
    let special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"];
    let words =
        ["the", "card", "was", "charged", "twice", "pay", "hello", "world", "!", ",", "[", "]"];
    let letters = 'a'..='z';
    let starts =
        words.iter().map(|word| (*word).to_owned()).chain(letters.clone().map(String::from));
    let starts = starts.map(|word| format!("\u{2581}{word}"));
    let pieces =
        ["ment", "ing", "ed"].map(str::to_owned).into_iter().chain(letters.map(String::from));
    let tokens: Vec<String> =
        special.iter().map(|token| (*token).to_owned()).chain(starts).chain(pieces).collect();
    let kind = |index: usize| if index < special.len() { CONTROL } else { NORMAL };
    let builder = builder
        .set("tokenizer.ggml.model", text("bert"))
        .set("tokenizer.ggml.tokens", strings(tokens.iter().map(String::as_str)))
        .set("tokenizer.ggml.token_type", integers((0..tokens.len()).map(kind)))
        .set("tokenizer.ggml.unknown_token_id", Value::U32(1))
        .set("tokenizer.ggml.cls_token_id", Value::U32(2))
        .set("tokenizer.ggml.seperator_token_id", Value::U32(3));
    (builder, tokens.len())
}

/// Adds a byte-level BPE tokenizer; returns the number of tokens.
pub(super) fn byte_pair_vocabulary(builder: GgufBuilder) -> (GgufBuilder, usize) {
    let mut tokens: Vec<(String, i32)> = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
        .map(|token| (token.to_owned(), CONTROL))
        .to_vec();
    tokens.extend(byte_alphabet().map(|character| (character.to_string(), NORMAL)));
    for merge in MERGES {
        let (left, right) = merge.split_once(' ').unwrap_or((merge, ""));
        let known = |part: &str| tokens.iter().any(|(token, _)| token == part);
        assert!(known(left) && known(right), "no earlier merge makes the parts of '{merge}'");
        tokens.push((format!("{left}{right}"), NORMAL));
    }
    let builder = builder
        .set("tokenizer.ggml.model", text("gpt2"))
        .set("tokenizer.ggml.pre", text("smollm"))
        .set("tokenizer.ggml.tokens", strings(tokens.iter().map(|(token, _)| token.as_str())))
        .set("tokenizer.ggml.token_type", integers(tokens.iter().map(|(_, kind)| *kind)))
        .set("tokenizer.ggml.merges", strings(MERGES.into_iter()))
        .set("tokenizer.ggml.bos_token_id", Value::U32(1))
        .set("tokenizer.ggml.eos_token_id", Value::U32(2))
        .set("tokenizer.ggml.unknown_token_id", Value::U32(0))
        .set("tokenizer.ggml.padding_token_id", Value::U32(2))
        .set("tokenizer.ggml.add_bos_token", Value::Bool(false))
        .set("tokenizer.ggml.add_space_prefix", Value::Bool(false))
        .set("tokenizer.chat_template", text(CHATML_TEMPLATE));
    (builder, tokens.len())
}

/// Adds a SentencePiece-like tokenizer with scores and byte fallback; returns the number of tokens.
pub(super) fn sentence_piece_vocabulary(builder: GgufBuilder) -> (GgufBuilder, usize) {
    let control = ["<pad>", "<eos>", "<bos>", "<unk>", "<start_of_turn>", "<end_of_turn>"];
    let mut tokens: Vec<(String, i32, f32)> =
        control.map(|token| (token.to_owned(), CONTROL, -1000.0)).to_vec();
    tokens.extend((0..=255_u8).map(|byte| (format!("<0x{byte:02X}>"), BYTE, 0.0)));
    let characters = ('a'..='z').chain('A'..='Z').chain('0'..='9').chain("▁.,!?'\n".chars());
    let pieces = PIECES.iter().map(|piece| (*piece).to_owned());
    for (rank, piece) in pieces.chain(characters.map(String::from)).enumerate() {
        tokens.push((piece, NORMAL, -(rank as f32)));
    }
    let scores = Value::Array(tokens.iter().map(|(_, _, score)| Value::F32(*score)).collect());
    let builder = builder
        .set("tokenizer.ggml.model", text("llama"))
        .set("tokenizer.ggml.pre", text("default"))
        .set("tokenizer.ggml.tokens", strings(tokens.iter().map(|(token, _, _)| token.as_str())))
        .set("tokenizer.ggml.scores", scores)
        .set("tokenizer.ggml.token_type", integers(tokens.iter().map(|(_, kind, _)| *kind)))
        .set("tokenizer.ggml.bos_token_id", Value::U32(2))
        .set("tokenizer.ggml.eos_token_id", Value::U32(1))
        .set("tokenizer.ggml.unknown_token_id", Value::U32(3))
        .set("tokenizer.ggml.padding_token_id", Value::U32(0))
        .set("tokenizer.ggml.add_bos_token", Value::Bool(true))
        .set("tokenizer.ggml.add_eos_token", Value::Bool(false))
        .set("tokenizer.ggml.add_space_prefix", Value::Bool(false))
        .set("tokenizer.chat_template", text(TURN_TEMPLATE));
    (builder, tokens.len())
}

/// The 256 characters that stand for bytes in byte-level BPE, by byte: printable Latin-1 stands
/// for itself, the rest is moved to U+0100 and up.
fn byte_alphabet() -> impl Iterator<Item = char> {
    let mut moved = 0;
    (0..=255_u8).map(move |byte| match byte {
        b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff => char::from(byte),
        _ => {
            moved += 1;
            char::from_u32(0xff + moved).unwrap_or(char::REPLACEMENT_CHARACTER)
        }
    })
}

fn text(value: &str) -> Value {
    Value::String(value.to_owned())
}

fn strings<'a>(values: impl Iterator<Item = &'a str>) -> Value {
    Value::Array(values.map(text).collect())
}

fn integers(values: impl Iterator<Item = i32>) -> Value {
    Value::Array(values.map(Value::I32).collect())
}
