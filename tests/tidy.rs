//! Every source file says what it is, stays short, leaves nothing open and hides no type.

#[path = "repository.rs"]
mod repository;

use std::fs;
use std::path::Path;

const MOST_LINES: usize = 600;
const MOST_BYTES: u64 = 1 << 20;

/// Extensions of files that people write, each with how a comment starts in it.
const SOURCES: [(&str, &[&str]); 11] = [
    ("rs", &["//! ", "// "]),
    ("ts", &["// ", "/** ", "/* "]),
    ("tsx", &["// ", "/** ", "/* "]),
    ("mjs", &["// ", "/** ", "/* "]),
    ("js", &["// ", "/** ", "/* "]),
    ("py", &["# ", "\"\"\""]),
    ("sh", &["# "]),
    ("wgsl", &["// "]),
    ("css", &["/* "]),
    ("html", &["<!-- "]),
    ("toml", &["# "]),
];

/// Extensions of model files and archives, which are fetched and never committed.
const WEIGHTS: [&str; 10] =
    ["gguf", "safetensors", "onnx", "pt", "pth", "npz", "bin", "whl", "zip", "wasm"];

/// Marks of unfinished work, in two parts so that this file does not hold them itself.
const UNFINISHED: [&str; 5] = [
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("XX", "X"),
    concat!("todo", "!"),
    concat!("unimplemented", "!"),
];

/// How the type checker is told to look away.
const SILENCERS: [&str; 2] = [concat!("@ts-", "ignore"), concat!("@ts-", "nocheck")];

/// Objections to one file; `path` is relative to the repository.
fn text_findings(path: &str, text: &str) -> Vec<String> {
    let extension = Path::new(path).extension().and_then(|e| e.to_str()).unwrap_or_default();
    let Some((_, openings)) = SOURCES.iter().find(|(known, _)| *known == extension) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    if !says_what_it_is(text, openings) {
        found.push(format!("{path}:1: the first line does not say in a comment what the file is"));
    }
    let lines = text.lines().count();
    if lines > MOST_LINES {
        found.push(format!("{path}: {lines} lines, more than {MOST_LINES}"));
    }
    let typed = matches!(extension, "ts" | "tsx");
    for (index, line) in text.lines().enumerate() {
        let mut report = |what: &str| found.push(format!("{path}:{}: {what}", index + 1));
        for mark in UNFINISHED.iter().filter(|mark| has_word(line, mark)) {
            report(&format!("{mark} is left"));
        }
        if line.ends_with([' ', '\t']) {
            report("a space at the end");
        }
        if line.contains('\t') && (typed || extension == "rs") {
            report("a tab");
        }
        if SILENCERS.iter().any(|silencer| line.contains(silencer)) {
            report("the type checker is silenced");
        }
        if typed && uses_any(line) {
            report("the type any");
        }
        // Chromium was seen to keep the last turn's value of one that is declared in a loop.
        if extension == "wgsl" && line.trim_start().starts_with("var ") && !line.contains('=') {
            report("a variable without a first value");
        }
    }
    if !text.is_empty() && !text.ends_with('\n') {
        found.push(format!("{path}: the last line does not end"));
    }
    found
}

/// Objections to a file's name and size, whatever it holds.
fn file_findings(path: &str, bytes: u64) -> Vec<String> {
    let extension = Path::new(path).extension().and_then(|e| e.to_str()).unwrap_or_default();
    let mut found = Vec::new();
    if bytes > MOST_BYTES {
        found.push(format!("{path}: {bytes} bytes, more than {MOST_BYTES}"));
    }
    if WEIGHTS.contains(&extension) {
        found.push(format!("{path}: weights and archives are fetched, not committed"));
    }
    found
}

/// Whether the first line, after a line that only machines read, is a comment of some words.
fn says_what_it_is(text: &str, openings: &[&str]) -> bool {
    let mut lines = text.lines();
    let mut first = lines.next().unwrap_or_default();
    if first.starts_with("#!/") || first.to_ascii_lowercase().starts_with("<!doctype") {
        first = lines.next().unwrap_or_default();
    }
    openings.iter().any(|opening| {
        first.strip_prefix(opening).is_some_and(|comment| {
            let words =
                comment.split_whitespace().filter(|word| word.contains(char::is_alphabetic));
            words.count() >= 3
        })
    })
}

fn is_word_character(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

/// Whether `word` stands in the line with no letter or digit right before or after it.
fn has_word(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + word.len()..].chars().next();
        !before.is_some_and(is_word_character) && !after.is_some_and(is_word_character)
    })
}

/// Whether a line of TypeScript names the type `any`, and not only the English word in a comment.
fn uses_any(line: &str) -> bool {
    let trimmed = line.trim_start();
    if trimmed.starts_with(['*', '/']) {
        return false;
    }
    let code = trimmed.split("// ").next().unwrap_or_default();
    code.match_indices("any").any(|(at, word)| {
        let before = code[..at].trim_end();
        let after = code[at + word.len()..].trim_start();
        let is_type = before.ends_with([':', '<', '|', '&']) || before.ends_with(" as");
        let is_list = after.starts_with("[]") || after.starts_with('>');
        let ends =
            !after.starts_with(is_word_character) || code[at + word.len()..].starts_with(' ');
        let starts = !code[..at].ends_with(is_word_character);
        // A colon before a word is also how text in quotes goes on: the word after it tells.
        let goes_on =
            code[at + word.len()..].starts_with(' ') && after.starts_with(char::is_alphabetic);
        starts && ends && !goes_on && (is_type || is_list)
    })
}

#[test]
fn every_file_is_tidy() {
    let root = repository::root();
    let files = repository::files(&root);
    assert!(files.len() > 20, "only {} files found", files.len());
    let mut found = Vec::new();
    for path in files {
        let name = path.to_string_lossy();
        let content = fs::read(root.join(&path)).expect("listed files can be read");
        found.extend(file_findings(&name, content.len() as u64));
        if let Ok(text) = std::str::from_utf8(&content) {
            found.extend(text_findings(&name, text));
        }
    }
    assert!(found.is_empty(), "{} findings:\n{}", found.len(), found.join("\n"));
}

/// Tests of the manifest `tests/Cargo.toml` that the script does not run.
fn forgotten_tests(manifest: &str, script: &str) -> Vec<String> {
    let mut lines = manifest.lines();
    let mut found = Vec::new();
    while lines.any(|line| line == "[[test]]") {
        let name = lines.next().and_then(|line| line.strip_prefix("name = ")).unwrap_or_default();
        let option = format!("--test {}", name.trim_matches('"'));
        if !has_word(script, &option) {
            found.push(format!("scripts/test.sh lacks {option}"));
        }
    }
    found
}

#[test]
fn every_test_is_run() {
    let root = repository::root();
    let read = |path: &str| fs::read_to_string(root.join(path)).expect("the file is there");
    let manifest = read("tests/Cargo.toml");
    assert!(manifest.contains("name = \"tidy\""), "this test is not in the manifest");
    assert_eq!(forgotten_tests(&manifest, &read("scripts/test.sh")), [""; 0]);
}

#[test]
fn a_forgotten_test_is_reported() {
    let manifest = "[[test]]\nname = \"tidy\"\npath = \"tidy.rs\"\n\n[[test]]\nname = \"tid\"\n";
    assert_eq!(
        forgotten_tests(manifest, "cargo test --test tidy\n"),
        ["scripts/test.sh lacks --test tid"]
    );
    assert_eq!(forgotten_tests(manifest, "cargo test --test tid --test tidy\n"), [""; 0]);
}

#[test]
fn untidy_files_are_reported() {
    let unfinished = format!("//! A file of code.\n// {}: later\n", UNFINISHED[0]);
    let panics = format!("//! A file of code.\nfn f() {{ {}() }}\n", UNFINISHED[4]);
    let silenced = format!("// Code that is here.\n// {}\n", SILENCERS[0]);
    let long = format!("//! A file of code.\n{}", "\n".repeat(MOST_LINES));
    for (path, text, reason) in [
        ("a.rs", "use std::fs;\n", "does not say"),
        ("a.rs", "//! Code.\n", "does not say"),
        ("a.rs", "", "does not say"),
        ("a.html", "<!doctype html>\n<html>\n", "does not say"),
        ("a.sh", "#!/usr/bin/env bash\nset -e\n", "does not say"),
        ("a.py", "import os\n", "does not say"),
        ("a.rs", &unfinished, "is left"),
        ("a.rs", &panics, "is left"),
        ("a.rs", &long, "601 lines"),
        ("a.css", "/* How the page looks. */ \n", "a space at the end"),
        ("a.ts", "// Code that is here.\n\tf();\n", "a tab"),
        ("a.rs", "//! A file of code.", "does not end"),
        ("a.ts", &silenced, "silenced"),
        ("a.ts", "// Code that is here.\nlet a: any = 1;\n", "the type any"),
        ("a.ts", "// Code that is here.\nf(a as any);\n", "the type any"),
        ("a.ts", "// Code that is here.\nlet a: Promise<any>;\n", "the type any"),
        ("a.ts", "// Code that is here.\nlet a: string | any;\n", "the type any"),
        ("a.ts", "// Code that is here.\nfunction f(...a: any[]) {}\n", "the type any"),
        ("a.wgsl", "// Code that is here.\n  var sum: f32;\n", "without a first value"),
    ] {
        let found = text_findings(path, text);
        assert!(found.len() == 1 && found[0].contains(reason), "{path} {text:?}: {found:?}");
    }
    assert_eq!(file_findings("models/a.gguf", 10).len(), 1);
    assert_eq!(file_findings("a.json", MOST_BYTES + 1).len(), 1);
}

#[test]
fn tidy_files_are_not_reported() {
    for (path, text) in [
        ("a.rs", "//! A file of code.\n"),
        ("a.html", "<!doctype html>\n<!-- The page of the demo. -->\n"),
        ("a.sh", "#!/usr/bin/env bash\n# Starts the demo server.\n"),
        ("a.py", "\"\"\"Fetches the model files.\"\"\"\n"),
        ("a.ts", "/** Code that is here. */\nconst company = 'Take it: any company will do';\n"),
        ("a.ts", "// Code that is here.\n// an answer: any of them\nlet many: Many[] = [];\n"),
        ("a.json", "{\t}"),
    ] {
        let found = text_findings(path, text);
        assert!(found.is_empty(), "{path} {text:?}: {found:?}");
    }
    assert!(file_findings("src/engine/lib.rs", MOST_BYTES).is_empty());
}
