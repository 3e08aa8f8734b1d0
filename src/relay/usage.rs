//! How many tokens an answer cost: what the upstream reports, or else an estimate.

use serde::Deserialize;
use serde_json::Value;

/// A token of English text has about so many bytes; where nothing is reported, this is what is counted.
const BYTES_OF_A_TOKEN: u64 = 4;
/// The line of a stream that reports usage is shorter; longer ones are passed on unread.
const MAX_LINE_BYTES: usize = 64 * 1024;

/// Tokens of one answer.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
pub(crate) struct Usage {
    #[serde(rename = "prompt_tokens", default)]
    pub(crate) read: u64,
    #[serde(rename = "completion_tokens", default)]
    pub(crate) written: u64,
}

impl Usage {
    pub(crate) fn total(self) -> u64 {
        self.read.saturating_add(self.written)
    }
}

/// What is read of an answer, or of a piece of a streamed one.
#[derive(Deserialize)]
struct Piece {
    #[serde(default)]
    usage: Option<Usage>,
    #[serde(default)]
    choices: Vec<Choice>,
}

#[derive(Deserialize)]
struct Choice {
    #[serde(default)]
    delta: Value,
}

/// Bytes of all texts in a value, of whatever name they have.
fn text_bytes(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len(),
        Value::Array(values) => values.iter().map(text_bytes).sum(),
        Value::Object(fields) => fields.values().map(text_bytes).sum(),
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
    }
}

/// About how many tokens a text of so many bytes has.
pub(crate) fn estimate(bytes: usize) -> u64 {
    (bytes as u64).div_ceil(BYTES_OF_A_TOKEN)
}

/// Of a whole answer; `None` where it is no JSON object.
pub(crate) fn of_document(bytes: &[u8], read: u64) -> Option<Usage> {
    let Piece { usage, .. } = serde_json::from_slice(bytes).ok()?;
    Some(usage.unwrap_or(Usage { read, written: estimate(bytes.len()) }))
}

/// Reads usage from server-sent events as they pass, in pieces of any length.
#[derive(Debug)]
pub(crate) struct StreamMeter {
    read: u64,
    line: Vec<u8>,
    too_long: bool,
    events: u64,
    text_bytes: usize,
    reported: Option<Usage>,
    done: bool,
}

impl StreamMeter {
    pub(crate) fn new(read: u64) -> Self {
        Self {
            read,
            line: Vec::new(),
            too_long: false,
            events: 0,
            text_bytes: 0,
            reported: None,
            done: false,
        }
    }

    pub(crate) fn see(&mut self, piece: &[u8]) {
        for part in piece.split_inclusive(|byte| *byte == b'\n') {
            if self.line.len() + part.len() > MAX_LINE_BYTES {
                self.too_long = true;
                self.line.clear();
            }
            if !self.too_long {
                self.line.extend_from_slice(part);
            }
            if part.ends_with(b"\n") {
                self.end_line();
            }
        }
    }

    /// What was reported, or else what came: an event is a token at the least, and so are four bytes of text. `None` where nothing came.
    pub(crate) fn usage(&self) -> Option<Usage> {
        let counted =
            Usage { read: self.read, written: self.events.max(estimate(self.text_bytes)) };
        self.reported.or((self.events > 0).then_some(counted))
    }

    /// Whether the stream said that it is whole.
    pub(crate) fn is_done(&self) -> bool {
        self.done
    }

    fn end_line(&mut self) {
        let too_long = std::mem::take(&mut self.too_long);
        let line = self.line.trim_ascii();
        if let Some(data) = line.strip_prefix(b"data:").map(<[u8]>::trim_ascii) {
            if data == b"[DONE]" {
                self.done = true;
            } else {
                self.events += 1;
                if let Ok(Piece { usage, choices }) = serde_json::from_slice(data) {
                    self.reported = usage.or(self.reported);
                    self.text_bytes +=
                        choices.iter().map(|choice| text_bytes(&choice.delta)).sum::<usize>();
                }
            }
        } else if too_long {
            self.events += 1;
        }
        self.line.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STREAM: &str = "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}],\"usage\":null}\r\n\r\ndata:{\"choices\":[]}\n\n: ping\n\n\
        data: {\"choices\":[],\"usage\":{\"prompt_tokens\":42,\"completion_tokens\":3,\"total_tokens\":45}}\n\ndata: [DONE]\n\n";

    #[test]
    fn usage_is_found_wherever_the_stream_is_cut() {
        for length in 1..STREAM.len() {
            let mut meter = StreamMeter::new(7);
            for piece in STREAM.as_bytes().chunks(length) {
                meter.see(piece);
            }
            assert_eq!(meter.usage(), Some(Usage { read: 42, written: 3 }), "pieces of {length}");
            assert!(meter.is_done());
        }
    }

    #[test]
    fn without_a_report_events_are_counted() {
        let mut meter = StreamMeter::new(7);
        meter.see(
            b"data: {}\n\ndata: {\"usage\": \"nonsense\"}\n\ndata: not json \"usage\"\n\ndata: {}",
        );
        assert_eq!(meter.usage(), Some(Usage { read: 7, written: 3 }));
        assert!(!meter.is_done());
    }

    #[test]
    fn many_tokens_in_one_event_are_many_tokens() {
        let mut meter = StreamMeter::new(7);
        assert_eq!(meter.usage(), None);
        meter.see(b"data: {\"choices\":[{\"delta\":{\"content\":\"sixteen bytes ok\",\"reasoning\":{\"text\":\"and eight\"}}}]}\n\n");
        assert_eq!(meter.usage(), Some(Usage { read: 7, written: 7 }));
    }

    #[test]
    fn an_endless_line_is_not_kept() {
        let mut meter = StreamMeter::new(0);
        for _ in 0..100 {
            meter.see(&[b'x'; 10_000]);
        }
        assert!(meter.line.capacity() <= 2 * MAX_LINE_BYTES, "{}", meter.line.capacity());
        meter.see(b"\ndata: {\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":2}}\n");
        assert_eq!(meter.usage(), Some(Usage { read: 1, written: 2 }));
    }

    #[test]
    fn a_whole_answer_reports_or_is_estimated() {
        assert_eq!(
            of_document(br#"{"usage":{"prompt_tokens":5,"completion_tokens":6}}"#, 9),
            Some(Usage { read: 5, written: 6 })
        );
        assert_eq!(of_document(br#"{"choices":[]}  "#, 9), Some(Usage { read: 9, written: 4 }));
        assert_eq!(of_document(b"<html>", 9), None);
        assert_eq!(of_document(b"", 9), None);
    }
}
