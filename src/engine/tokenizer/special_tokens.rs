//! Splits text at tokens that are recognised whole: longest tokens first, each from left to right.

use std::collections::HashMap;
use std::ops::Range;

use super::vocabulary::{TokenKind, Vocabulary};

/// A stretch of text, or a token that was recognised in it.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Fragment {
    Text(Range<usize>),
    Token(u32),
}

/// The tokens of a vocabulary that are recognised whole.
pub(super) struct SpecialTokens {
    /// Longest first.
    groups: Vec<SameLength>,
}

/// Special tokens of one length, so that a table look-up tells whether one begins at a place.
struct SameLength {
    length: usize,
    ids: HashMap<Box<[u8]>, SpecialToken>,
    /// Whether some token begins with the byte, and whether some token ends with it: two cheap
    /// tests that spare nearly all look-ups.
    begins: [bool; 256],
    ends: [bool; 256],
    has_user_defined: bool,
}

#[derive(Clone, Copy)]
struct SpecialToken {
    id: u32,
    control: bool,
}

impl SpecialTokens {
    pub(super) fn new(vocabulary: &Vocabulary<'_>) -> Self {
        let mut by_length: HashMap<usize, SameLength> = HashMap::new();
        for (id, text, kind) in vocabulary.iter() {
            let control = match kind {
                TokenKind::Control | TokenKind::Unknown => true,
                TokenKind::UserDefined => false,
                TokenKind::Normal | TokenKind::Unused | TokenKind::Byte => continue,
            };
            let bytes = text.as_bytes();
            let group = by_length.entry(bytes.len()).or_insert_with(|| SameLength {
                length: bytes.len(),
                ids: HashMap::new(),
                begins: [false; 256],
                ends: [false; 256],
                has_user_defined: false,
            });
            if let (Some(first), Some(last)) = (bytes.first(), bytes.last()) {
                group.begins[usize::from(*first)] = true;
                group.ends[usize::from(*last)] = true;
            }
            group.has_user_defined |= !control;
            group.ids.insert(bytes.into(), SpecialToken { id, control });
        }
        let mut groups: Vec<SameLength> = by_length.into_values().collect();
        groups.sort_unstable_by_key(|group| std::cmp::Reverse(group.length));
        Self { groups }
    }

    /// Splits at user-defined tokens only.
    pub(super) fn split_plain(&self, text: &str) -> Vec<Fragment> {
        self.split(text, false, |_| false)
    }

    /// Splits at user-defined tokens, and at control tokens where `allows_control` says so.
    pub(super) fn split_prompt(
        &self,
        text: &str,
        allows_control: impl Fn(Range<usize>) -> bool,
    ) -> Vec<Fragment> {
        self.split(text, true, allows_control)
    }

    fn split(
        &self,
        text: &str,
        any_control: bool,
        allows_control: impl Fn(Range<usize>) -> bool,
    ) -> Vec<Fragment> {
        let mut fragments = Vec::new();
        if !text.is_empty() {
            fragments.push(Fragment::Text(0..text.len()));
        }
        for group in &self.groups {
            if !any_control && !group.has_user_defined {
                continue;
            }
            let mut next = Vec::new();
            let mut found_any = false;
            for fragment in &fragments {
                match fragment {
                    Fragment::Token(id) => next.push(Fragment::Token(*id)),
                    Fragment::Text(range) => {
                        found_any |=
                            group.split_range(text, range.clone(), &allows_control, &mut next);
                    }
                }
            }
            if found_any {
                fragments = next;
            }
        }
        fragments
    }
}

impl SameLength {
    /// Appends the fragments of `range` and says whether a token was among them.
    fn split_range(
        &self,
        text: &str,
        range: Range<usize>,
        allows_control: &impl Fn(Range<usize>) -> bool,
        fragments: &mut Vec<Fragment>,
    ) -> bool {
        let bytes = text.as_bytes();
        let mut found = false;
        let mut text_start = range.start;
        let mut position = range.start;
        while position + self.length <= range.end {
            let window = &bytes[position..position + self.length];
            let token = if self.begins[usize::from(window[0])]
                && self.ends[usize::from(window[self.length - 1])]
            {
                self.ids.get(window).filter(|token| {
                    !token.control || allows_control(position..position + self.length)
                })
            } else {
                None
            };
            match token {
                None => position += 1,
                Some(token) => {
                    if text_start < position {
                        fragments.push(Fragment::Text(text_start..position));
                    }
                    fragments.push(Fragment::Token(token.id));
                    position += self.length;
                    text_start = position;
                    found = true;
                }
            }
        }
        if text_start < range.end {
            fragments.push(Fragment::Text(text_start..range.end));
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(tokens: &[(&'static str, TokenKind)], text: &str) -> Vec<Fragment> {
        let vocabulary = Vocabulary {
            texts: tokens.iter().map(|(text, _)| *text).collect(),
            kinds: tokens.iter().map(|(_, kind)| *kind).collect(),
        };
        SpecialTokens::new(&vocabulary).split_prompt(text, |range| range.start != 0)
    }

    #[test]
    fn longer_tokens_win_wherever_they_stand() {
        let tokens = [
            ("ab", TokenKind::UserDefined),
            ("bcd", TokenKind::UserDefined),
            ("d", TokenKind::UserDefined),
            ("x", TokenKind::Normal),
        ];
        assert_eq!(
            split(&tokens, "abcdxabd"),
            [
                Fragment::Text(0..1),
                Fragment::Token(1),
                Fragment::Text(4..5),
                Fragment::Token(0),
                Fragment::Token(2)
            ]
        );
    }

    #[test]
    fn control_tokens_need_permission_at_their_place() {
        let tokens = [("<c>", TokenKind::Control), ("c", TokenKind::UserDefined)];
        assert_eq!(
            split(&tokens, "<c><c>"),
            [Fragment::Text(0..1), Fragment::Token(1), Fragment::Text(2..3), Fragment::Token(0)]
        );
    }
}
