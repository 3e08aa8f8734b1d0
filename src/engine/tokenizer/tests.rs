//! Tokenizers from small and from lying metadata.

use std::collections::HashMap;

use candle_core::quantized::gguf_file::Value;

use super::*;

fn strings(texts: &[&str]) -> Value {
    Value::Array(texts.iter().map(|text| Value::String((*text).to_owned())).collect())
}

fn integers(numbers: &[i32]) -> Value {
    Value::Array(numbers.iter().map(|number| Value::I32(*number)).collect())
}

fn floats(numbers: &[f32]) -> Value {
    Value::Array(numbers.iter().map(|number| Value::F32(*number)).collect())
}

/// A byte-level vocabulary of ten tokens.
fn byte_level() -> HashMap<String, Value> {
    [
        ("model", Value::String("gpt2".into())),
        ("pre", Value::String("smollm".into())),
        ("tokens", strings(&["a", "b", "ab", "Ġ", "Ġab", "<|end|>", "é", "[x]", "<|", "abab"])),
        ("token_type", integers(&[1, 1, 1, 1, 1, 3, 4, 4, 5, 1])),
        ("merges", strings(&["a b", "Ġ ab", "ab ab"])),
        ("eos_token_id", Value::U32(5)),
    ]
    .map(|(key, value)| (format!("tokenizer.ggml.{key}"), value))
    .into()
}

/// A scored vocabulary with a token for unknown text.
fn scored() -> HashMap<String, Value> {
    [
        ("model", Value::String("llama".into())),
        ("tokens", strings(&["<unk>", "<s>", "a", "aa", "▁", "▁a", "aaa", "<0x62>", "  ", "X\n"])),
        ("token_type", integers(&[2, 3, 1, 1, 1, 1, 1, 6, 4, 4])),
        ("scores", floats(&[0.0, 0.0, -5.0, -2.0, -9.0, -1.0, -3.0, 0.0, 0.0, 0.0])),
        ("unknown_token_id", Value::U32(0)),
        ("bos_token_id", Value::U32(1)),
        ("add_space_prefix", Value::Bool(false)),
    ]
    .map(|(key, value)| (format!("tokenizer.ggml.{key}"), value))
    .into()
}

fn build(values: HashMap<String, Value>) -> Result<Tokenizer> {
    Tokenizer::from_metadata(&Metadata::new(values))
}

#[test]
fn byte_level_text_is_merged_by_rank() -> Result<()> {
    let tokenizer = build(byte_level())?;
    assert_eq!(tokenizer.encode("ababa ab")?, [9, 0, 4]);
    assert_eq!(tokenizer.encode("aébé[x]")?, [0, 6, 1, 6, 7]);
    assert_eq!(tokenizer.token_bytes(4), b" ab");
    assert_eq!(tokenizer.token_bytes(6), "é".as_bytes());
    assert_eq!(tokenizer.token_bytes(5), b"");
    assert_eq!(tokenizer.token_bytes(0), b"a");
    assert_eq!(tokenizer.token_bytes(u32::MAX), b"");
    assert!(tokenizer.is_end_of_generation(5));
    assert!(!tokenizer.is_end_of_generation(4));
    // Control tokens are not text, unused tokens are not reachable; 'z' has no bytes here, and
    // what stands on its two sides is not merged.
    assert_eq!(tokenizer.encode("a<|end|>azb")?, [0, 0, 1]);
    Ok(())
}

#[test]
fn scored_text_is_merged_by_score_from_the_left() -> Result<()> {
    let tokenizer = build(scored())?;
    assert_eq!(tokenizer.encode("aaaaa")?, [3, 6]);
    // "▁a" scores better than "aa"; two spaces are a token of their own, made first.
    assert_eq!(tokenizer.encode(" aa a  a")?, [5, 2, 5, 8, 2]);
    assert_eq!(tokenizer.encode("\u{2581}a")?, [5]);
    assert_eq!(tokenizer.encode("b\u{e9}X\na")?, [7, 0, 0, 9, 2]);
    assert_eq!(tokenizer.encode("<s><unk><0x62>")?.iter().filter(|id| **id == 1).count(), 0);
    assert_eq!(tokenizer.encode_prompt(&Prompt::plain("<s>a"))?.first(), Some(&1));
    assert_eq!(tokenizer.token_bytes(5), b" a");
    assert_eq!(tokenizer.token_bytes(7), b"b");
    Ok(())
}

#[test]
fn a_space_prefix_is_added_where_the_file_says_so() -> Result<()> {
    let mut values = scored();
    values.insert("tokenizer.ggml.add_space_prefix".into(), Value::Bool(true));
    let tokenizer = build(values)?;
    assert_eq!(tokenizer.encode("aX\na")?, [5, 9, 5]);
    assert_eq!(tokenizer.encode("")?, [0_u32; 0]);
    Ok(())
}

#[test]
fn merges_cannot_make_control_tokens() -> Result<()> {
    let mut values = byte_level();
    values.insert("tokenizer.ggml.token_type".into(), integers(&[1, 1, 3, 1, 1, 3, 4, 4, 5, 1]));
    assert_eq!(build(values)?.encode("ab")?, [0, 1]);
    let mut values = scored();
    values.insert("tokenizer.ggml.token_type".into(), integers(&[2, 3, 1, 3, 1, 1, 1, 6, 4, 4]));
    assert_eq!(build(values)?.encode("aa")?, [2, 2]);
    Ok(())
}

#[test]
fn lying_metadata_is_refused() {
    type Lie = (&'static str, Option<Value>, ErrorKind);
    let name = |text: &str| Some(Value::String(text.into()));
    let many = "a".repeat(1 << 15);
    let byte_level_lies: Vec<Lie> = vec![
        ("model", None, ErrorKind::InvalidModel),
        ("model", name("bert"), ErrorKind::UnsupportedModel),
        ("model", Some(Value::U32(1)), ErrorKind::InvalidModel),
        ("pre", None, ErrorKind::UnsupportedModel),
        ("pre", name("tekken"), ErrorKind::UnsupportedModel),
        ("tokens", None, ErrorKind::InvalidModel),
        ("tokens", Some(strings(&[])), ErrorKind::InvalidModel),
        ("tokens", Some(strings(&["a", "b"])), ErrorKind::InvalidModel),
        ("tokens", Some(strings(&["a"; 10])), ErrorKind::InvalidModel),
        ("tokens", Some(integers(&[1; 10])), ErrorKind::InvalidModel),
        (
            "tokens",
            Some(strings(&["a", "b", "ab", "Ġ", "Ġab", "e", "é", "x", "語", "y z"])),
            ErrorKind::InvalidModel,
        ),
        (
            "tokens",
            Some(strings(&["a", "b", "ab", "Ġ", "Ġab", "e", "é", "x", "y", &many])),
            ErrorKind::InvalidModel,
        ),
        ("token_type", Some(integers(&[1; 9])), ErrorKind::InvalidModel),
        ("token_type", Some(integers(&[1; 11])), ErrorKind::InvalidModel),
        ("token_type", Some(integers(&[7; 10])), ErrorKind::InvalidModel),
        ("token_type", Some(integers(&[-1; 10])), ErrorKind::InvalidModel),
        ("token_type", Some(integers(&[6; 10])), ErrorKind::InvalidModel),
        ("merges", None, ErrorKind::InvalidModel),
        ("merges", Some(strings(&["ab"])), ErrorKind::InvalidModel),
        ("merges", Some(strings(&[" b"])), ErrorKind::InvalidModel),
        ("merges", Some(strings(&["a "])), ErrorKind::InvalidModel),
        ("merges", Some(strings(&["a b b"])), ErrorKind::InvalidModel),
        ("merges", Some(strings(&["a q"])), ErrorKind::InvalidModel),
        ("merges", Some(strings(&["abab abab"])), ErrorKind::InvalidModel),
        ("merges", Some(strings(&[&format!("a {many}")])), ErrorKind::InvalidModel),
        ("eos_token_id", Some(Value::U32(10)), ErrorKind::InvalidModel),
        ("eos_token_id", Some(Value::I32(-1)), ErrorKind::InvalidModel),
        ("bos_token_id", Some(Value::U32(u32::MAX)), ErrorKind::InvalidModel),
        ("add_bos_token", Some(Value::Bool(true)), ErrorKind::InvalidModel),
        ("add_bos_token", Some(Value::U32(1)), ErrorKind::InvalidModel),
    ];
    let scored_lies: Vec<Lie> = vec![
        ("scores", None, ErrorKind::InvalidModel),
        ("scores", Some(floats(&[0.0; 9])), ErrorKind::InvalidModel),
        ("scores", Some(integers(&[0; 10])), ErrorKind::InvalidModel),
        ("token_type", Some(integers(&[6; 10])), ErrorKind::InvalidModel),
        ("unknown_token_id", None, ErrorKind::InvalidModel),
        ("unknown_token_id", Some(Value::U32(10)), ErrorKind::InvalidModel),
    ];
    let lies = byte_level_lies
        .into_iter()
        .map(|lie| (byte_level(), lie))
        .chain(scored_lies.into_iter().map(|lie| (scored(), lie)));
    for (mut values, (key, value, expected)) in lies {
        let key = format!("tokenizer.ggml.{key}");
        let shown = format!("{key}: {value:.200?}");
        match value {
            Some(value) => values.insert(key, value),
            None => values.remove(&key),
        };
        assert_eq!(build(values).err().map(|error| error.kind()), Some(expected), "{shown}");
    }
}

#[test]
fn scores_that_are_no_numbers_do_no_harm() -> Result<()> {
    let mut values = scored();
    let scores = [f32::NAN, 0.0, f32::INFINITY, -f32::NAN, f32::NEG_INFINITY, f32::NAN];
    values.insert("tokenizer.ggml.scores".into(), floats(&[&scores[..], &[0.0; 4]].concat()));
    let tokenizer = build(values)?;
    let text = "aaaa aa a";
    let ids = tokenizer.encode(text)?;
    let bytes: Vec<u8> = ids.iter().flat_map(|id| tokenizer.token_bytes(*id)).copied().collect();
    assert_eq!(bytes, text.as_bytes());
    Ok(())
}
