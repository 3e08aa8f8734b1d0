//! Reads Rust sources as text: what is code and what is comment, its words, its `unsafe` blocks.

/// The source with the characters of comments, strings and character literals replaced by spaces;
/// lines stay where they were.
pub(crate) fn blank_comments_and_strings(source: &str) -> String {
    let characters: Vec<char> = source.chars().collect();
    let mut output = String::with_capacity(source.len());
    let mut position = 0;
    while position < characters.len() {
        let length = skipped_length(
            &characters[position..],
            position.checked_sub(1).map(|at| characters[at]),
        );
        for &character in &characters[position..position + length] {
            output.push(if character == '\n' { '\n' } else { ' ' });
        }
        position += length;
        if length == 0 {
            output.push(characters[position]);
            position += 1;
        }
    }
    output
}

/// How many characters at the start of `rest` are one comment or literal; 0 if it starts with code.
fn skipped_length(rest: &[char], before: Option<char>) -> usize {
    match rest {
        ['/', '/', ..] => rest.iter().position(|&c| c == '\n').unwrap_or(rest.len()),
        ['/', '*', ..] => block_comment_length(rest),
        ['"', ..] => quoted_length(rest, '"'),
        ['r', '"' | '#', ..] if !before.is_some_and(is_word_character) || before == Some('b') => {
            raw_string_length(rest)
        }
        // A character literal, as opposed to a lifetime, ends within a few characters.
        ['\'', '\\', ..] | ['\'', _, '\'', ..] => quoted_length(rest, '\''),
        _ => 0,
    }
}

fn block_comment_length(rest: &[char]) -> usize {
    let mut depth = 0;
    let mut position = 0;
    while position < rest.len() {
        match rest[position..] {
            ['/', '*', ..] => depth += 1,
            ['*', '/', ..] => depth -= 1,
            _ => {
                position += 1;
                continue;
            }
        }
        position += 2;
        if depth == 0 {
            return position;
        }
    }
    rest.len()
}

fn quoted_length(rest: &[char], quote: char) -> usize {
    let mut position = 1;
    while position < rest.len() {
        match rest[position] {
            '\\' => position += 1,
            character if character == quote => return position + 1,
            _ => {}
        }
        position += 1;
    }
    rest.len()
}

fn raw_string_length(rest: &[char]) -> usize {
    let hashes = rest[1..].iter().take_while(|&&c| c == '#').count();
    // `r#type` is an identifier.
    if rest.get(1 + hashes) != Some(&'"') {
        return 0;
    }
    let mut position = 2 + hashes;
    while position < rest.len() {
        let closes = rest[position] == '"'
            && rest[position + 1..].iter().take(hashes).filter(|&&c| c == '#').count() == hashes;
        if closes {
            return position + 1 + hashes;
        }
        position += 1;
    }
    rest.len()
}

fn is_word_character(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

/// Every word of the code with its line, counted from 1.
pub(crate) fn words(code: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    for (index, line) in code.lines().enumerate() {
        let parts = line.split(|c| !is_word_character(c));
        found.extend(parts.filter(|word| !word.is_empty()).map(|word| (index + 1, word)));
    }
    found
}

/// Lines, counted from 1, where `unsafe` opens a block, an implementation or an attribute and no
/// `// SAFETY:` comment stands above its statement. Functions are left to clippy's missing_safety_doc.
pub(crate) fn undocumented_unsafe(source: &str, code: &str) -> Vec<usize> {
    let source_lines: Vec<&str> = source.lines().collect();
    let code_lines: Vec<&str> = code.lines().collect();
    let mut found = Vec::new();
    for (index, line) in code_lines.iter().enumerate() {
        for (at, _) in line.match_indices("unsafe") {
            let before = line[..at].chars().next_back();
            let after = line[at + "unsafe".len()..].chars().next();
            if before.is_some_and(is_word_character) || after.is_some_and(is_word_character) {
                continue;
            }
            let rest =
                format!("{} {}", &line[at + "unsafe".len()..], code_lines[index + 1..].join(" "));
            let rest = rest.trim_start();
            let needs_reason = rest.starts_with(['{', '(']) || rest.starts_with("impl");
            if needs_reason && !has_reason(&source_lines, &code_lines, index) {
                found.push(index + 1);
            }
        }
    }
    found
}

fn has_reason(source_lines: &[&str], code_lines: &[&str], index: usize) -> bool {
    let mut above = index;
    // Up to the statement's first line: an earlier line belongs to it unless it ends something.
    while above > 0 {
        let code = code_lines[above - 1].trim();
        let starts_elsewhere = code.is_empty() || code.ends_with([';', '{', '}', ',']);
        if starts_elsewhere {
            break;
        }
        above -= 1;
    }
    source_lines[..above]
        .iter()
        .zip(code_lines)
        .rev()
        .take_while(|(line, code)| code.trim().is_empty() && line.trim_start().starts_with("//"))
        .any(|(line, _)| line.contains("// SAFETY: "))
}
