//! Renders messages through the chat template of a model file, and remembers which parts of the result to trust.
//!
//! A template is a program from an untrusted file, so it runs on a budget. Message contents are
//! untrusted in another way: text such as `<|im_start|>system` in them must stay text. Before
//! rendering, a mark that occurs in no text is put before every character of a message that
//! could begin a control token; after rendering the marks are taken out again and their places
//! kept. A tokenizer then makes no control token that covers such a place. Unlike marks around
//! whole messages, these survive a template that trims, splits or cuts what it is given.

use std::collections::BTreeSet;
use std::ops::Range;

use minijinja::syntax::SyntaxConfig;
use minijinja::{Environment, ErrorKind as TemplateErrorKind, Value, context};
use serde::Deserialize;

use crate::metadata::Metadata;
use crate::tokenizer::vocabulary::{TokenKind, Vocabulary};
use crate::{Error, ErrorKind, Result};

/// A noncharacter: Unicode keeps it out of text that is exchanged.
const MARK: char = '\u{FDD0}';

const NAME: &str = "chat";

/// Published templates are at most some tens of kilobytes.
const MAX_SOURCE_BYTES: usize = 256 << 10;

/// Depth of nested blocks and macro calls, small enough for the stack of a browser.
const MAX_DEPTH: usize = 80;

/// One unit is one step of the template or about 64 bytes that it makes.
const FUEL: u64 = 100_000;
const FUEL_PER_MESSAGE: u64 = 2_000;

/// What a template may add to the messages.
const MAX_ADDED_BYTES: usize = 256 << 10;

/// Who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Instructions from the application.
    System,
    /// The person.
    User,
    /// The model.
    Assistant,
}

/// One turn of a conversation.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Message {
    /// Who speaks.
    pub role: Role,
    /// What they say; never more than text, whatever it contains.
    pub content: String,
}

/// Text for the model that knows which of it may hold control tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prompt {
    text: String,
    /// Where untrusted characters stand that could begin a control token, in order; none if
    /// nothing is trusted.
    untrusted: Option<Vec<usize>>,
}

impl Prompt {
    /// Text in which nothing is trusted.
    pub fn plain(text: &str) -> Self {
        Self { text: text.to_owned(), untrusted: None }
    }

    /// The text, as the model will read it.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether a control token may stand in this range of bytes.
    pub(crate) fn is_trusted(&self, range: Range<usize>) -> bool {
        self.untrusted.as_ref().is_some_and(|places| {
            let next = places.partition_point(|place| *place < range.start);
            places.get(next).is_none_or(|place| *place >= range.end)
        })
    }

    /// Takes the marks out of rendered text.
    fn from_marked(marked: &str) -> Self {
        let mut text = String::with_capacity(marked.len());
        let mut untrusted = Vec::new();
        for (index, part) in marked.split(MARK).enumerate() {
            if index > 0 {
                untrusted.push(text.len());
            }
            text.push_str(part);
        }
        Self { text, untrusted: Some(untrusted) }
    }
}

/// The chat template of one model.
pub struct ChatTemplate {
    environment: Environment<'static>,
    guard: Guard,
    bos_token: String,
    eos_token: String,
}

impl ChatTemplate {
    /// The template of a model file, or nothing if the file has none.
    pub fn from_metadata(metadata: &Metadata) -> Result<Option<Self>> {
        const TEMPLATE: &str = "tokenizer.chat_template";
        let Some(source) = metadata.string_opt(TEMPLATE)? else { return Ok(None) };
        if source.len() > MAX_SOURCE_BYTES {
            return Err(Error::invalid_model(format!(
                "{TEMPLATE} is {} bytes long; at most {MAX_SOURCE_BYTES} are allowed",
                source.len()
            )));
        }
        let vocabulary = Vocabulary::from_metadata(metadata)?;
        let spelling = |name| {
            let id = vocabulary.special_id(metadata, name)?;
            Result::Ok(id.and_then(|id| vocabulary.text(id)).unwrap_or_default().to_owned())
        };
        Ok(Some(Self {
            environment: environment(source)?,
            guard: Guard::new(&vocabulary),
            bos_token: spelling("bos")?,
            eos_token: spelling("eos")?,
        }))
    }

    /// Renders a conversation; `add_generation_prompt` ends it where the model is to reply.
    pub fn render(&self, messages: &[Message], add_generation_prompt: bool) -> Result<Prompt> {
        let guarded: Vec<Value> = messages
            .iter()
            .map(|message| {
                context! {
                    role => message.role.name(),
                    content => self.guard.mark(&message.content),
                }
            })
            .collect();
        let content_bytes: usize = messages.iter().map(|message| message.content.len()).sum();
        let mut environment = self.environment.clone();
        environment.set_fuel(Some(
            FUEL.saturating_add(FUEL_PER_MESSAGE.saturating_mul(messages.len() as u64))
                .saturating_add(content_bytes as u64),
        ));
        let rendered = environment
            .get_template(NAME)
            .and_then(|template| {
                template.render(context! {
                    messages => guarded,
                    add_generation_prompt,
                    bos_token => self.bos_token.as_str(),
                    eos_token => self.eos_token.as_str(),
                    // Templates test these with `is not none` as often as with `is defined`.
                    tools => Value::from(()),
                    documents => Value::from(()),
                })
            })
            .map_err(render_error)?;
        let prompt = Prompt::from_marked(&rendered);
        let limit = content_bytes.saturating_mul(4).saturating_add(MAX_ADDED_BYTES);
        if prompt.text.len() > limit {
            return Err(Error::invalid_model(format!(
                "the chat template made {} bytes of {content_bytes}",
                prompt.text.len()
            )));
        }
        Ok(prompt)
    }
}

impl Role {
    /// The name that templates know.
    pub const fn name(self) -> &'static str {
        match self {
            Role::System => "system",
            Role::User => "user",
            Role::Assistant => "assistant",
        }
    }
}

/// Marks in messages the places where a control token could begin.
struct Guard {
    /// First characters of control tokens.
    first: BTreeSet<char>,
    /// Those of them that some control token follows with a slash.
    first_before_slash: BTreeSet<char>,
}

impl Guard {
    fn new(vocabulary: &Vocabulary<'_>) -> Self {
        let mut guard = Self { first: BTreeSet::new(), first_before_slash: BTreeSet::new() };
        for (_, text, kind) in vocabulary.iter() {
            if !matches!(kind, TokenKind::Control | TokenKind::Unknown) {
                continue;
            }
            let mut chars = text.chars();
            if let Some(first) = chars.next() {
                guard.first.insert(first);
                if chars.next() == Some('/') {
                    guard.first_before_slash.insert(first);
                }
            }
        }
        guard
    }

    fn mark(&self, content: &str) -> String {
        let mut marked = String::with_capacity(content.len() + content.len() / 16);
        let mut chars = content.chars().peekable();
        while let Some(char) = chars.next() {
            // Templates look for `</think>` in earlier replies: leave it whole where no control
            // token looks like it.
            let closing = chars.peek() == Some(&'/') && !self.first_before_slash.contains(&char);
            if self.first.contains(&char) && !closing {
                marked.push(MARK);
            }
            marked.push(if char == MARK { char::REPLACEMENT_CHARACTER } else { char });
        }
        marked
    }
}

fn environment(source: &str) -> Result<Environment<'static>> {
    let compile = || {
        let mut environment = Environment::new();
        // Templates are written for Jinja with these settings.
        let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build()?;
        environment.set_syntax(syntax);
        environment.set_recursion_limit(MAX_DEPTH);
        environment
            .set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
        environment.add_function("raise_exception", raise_exception);
        environment.add_template_owned(NAME, source.to_owned())?;
        Ok(environment)
    };
    compile().map_err(|cause: minijinja::Error| {
        Error::invalid_model("the chat template has a syntax error").with_source(cause)
    })
}

/// The template's own objection to the messages.
#[derive(Debug)]
struct Raised(String);

impl std::fmt::Display for Raised {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl std::error::Error for Raised {}

fn raise_exception(message: String) -> std::result::Result<Value, minijinja::Error> {
    let message = message.chars().filter(|char| *char != MARK).take(400).collect();
    Err(minijinja::Error::new(TemplateErrorKind::InvalidOperation, "raise_exception")
        .with_source(Raised(message)))
}

fn render_error(cause: minijinja::Error) -> Error {
    let mut source: Option<&(dyn std::error::Error + 'static)> = Some(&cause);
    while let Some(error) = source {
        if let Some(Raised(message)) = error.downcast_ref() {
            return Error::new(
                ErrorKind::InvalidInput,
                format!("the chat template refuses these messages: {message}"),
            );
        }
        source = error.source();
    }
    let context = match cause.kind() {
        TemplateErrorKind::OutOfFuel => "the chat template does not come to an end",
        _ => "the chat template cannot be rendered",
    };
    Error::invalid_model(context).with_source(cause)
}

#[cfg(test)]
mod tests;
