//! Typed access to the metadata of a model file; errors name the key, what was found and what was expected.

use std::collections::HashMap;

use candle_core::quantized::gguf_file::Value;

use crate::model_header::{Quoted, invalid};
use crate::{Error, Result};

/// The key/value pairs in the header of a model file.
#[derive(Clone, Debug)]
pub struct Metadata {
    values: HashMap<String, Value>,
}

impl Metadata {
    pub(crate) fn new(values: HashMap<String, Value>) -> Self {
        Self { values }
    }

    /// Whether the file has this key.
    pub fn contains(&self, key: &str) -> bool {
        self.values.contains_key(key)
    }

    /// Every key, in no particular order.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.values.keys().map(String::as_str)
    }

    /// An integer of any width that fits 32 bits without sign.
    pub fn u32(&self, key: &str) -> Result<u32> {
        let value = self.required(key)?;
        integer(value)
            .and_then(|integer| u32::try_from(integer).ok())
            .ok_or_else(|| mismatch(key, value, "an integer from 0 to 4294967295"))
    }

    /// Like [`Metadata::u32`], with a value for files that lack the key.
    pub fn u32_or(&self, key: &str, default: u32) -> Result<u32> {
        if self.contains(key) { self.u32(key) } else { Ok(default) }
    }

    /// A finite floating-point number.
    pub fn f32(&self, key: &str) -> Result<f32> {
        let value = self.required(key)?;
        float(value)
            .filter(|float| float.is_finite())
            .ok_or_else(|| mismatch(key, value, "a finite floating-point number"))
    }

    /// Like [`Metadata::f32`], with a value for files that lack the key.
    pub fn f32_or(&self, key: &str, default: f32) -> Result<f32> {
        if self.contains(key) { self.f32(key) } else { Ok(default) }
    }

    /// A bool, or `default` for files that lack the key.
    pub fn bool_or(&self, key: &str, default: bool) -> Result<bool> {
        match self.values.get(key) {
            None => Ok(default),
            Some(Value::Bool(value)) => Ok(*value),
            Some(value) => Err(mismatch(key, value, "a bool")),
        }
    }

    /// A string.
    pub fn string(&self, key: &str) -> Result<&str> {
        let value = self.required(key)?;
        text(value).ok_or_else(|| mismatch(key, value, "a string"))
    }

    /// A string, or nothing for files that lack the key.
    pub fn string_opt(&self, key: &str) -> Result<Option<&str>> {
        if self.contains(key) { self.string(key).map(Some) } else { Ok(None) }
    }

    /// An array of strings.
    pub fn strings(&self, key: &str) -> Result<Vec<&str>> {
        self.array(key, "strings", text)
    }

    /// An array of floating-point numbers, not necessarily finite.
    pub fn f32s(&self, key: &str) -> Result<Vec<f32>> {
        self.array(key, "floating-point numbers", float)
    }

    /// An array of integers of any width, each of which fits 32 bits with sign.
    pub fn i32s(&self, key: &str) -> Result<Vec<i32>> {
        self.array(key, "integers from -2147483648 to 2147483647", |value| {
            integer(value).and_then(|integer| i32::try_from(integer).ok())
        })
    }

    fn array<'a, T>(
        &'a self,
        key: &str,
        expected: &str,
        convert: impl Fn(&'a Value) -> Option<T>,
    ) -> Result<Vec<T>> {
        let value = self.required(key)?;
        let Value::Array(elements) = value else {
            return Err(mismatch(key, value, &format!("an array of {expected}")));
        };
        elements
            .iter()
            .map(|element| {
                convert(element)
                    .ok_or_else(|| mismatch(key, element, &format!("only {expected} in the array")))
            })
            .collect()
    }

    fn required(&self, key: &str) -> Result<&Value> {
        self.values
            .get(key)
            .ok_or_else(|| invalid(format!("the metadata has no key '{}'", Quoted(key))))
    }
}

fn integer(value: &Value) -> Option<i128> {
    Some(match *value {
        Value::U8(value) => value.into(),
        Value::I8(value) => value.into(),
        Value::U16(value) => value.into(),
        Value::I16(value) => value.into(),
        Value::U32(value) => value.into(),
        Value::I32(value) => value.into(),
        Value::U64(value) => value.into(),
        Value::I64(value) => value.into(),
        _ => return None,
    })
}

fn float(value: &Value) -> Option<f32> {
    match *value {
        Value::F32(value) => Some(value),
        Value::F64(value) => Some(value as f32),
        _ => None,
    }
}

fn text(value: &Value) -> Option<&str> {
    match value {
        Value::String(value) => Some(value),
        _ => None,
    }
}

fn mismatch(key: &str, found: &Value, expected: &str) -> Error {
    let found = match found {
        Value::String(text) => format!("the string '{}'", Quoted(text)),
        Value::Array(elements) => format!("an array of {} elements", elements.len()),
        Value::Bool(value) => format!("the bool {value}"),
        Value::F32(value) => format!("the number {value:e}"),
        Value::F64(value) => format!("the number {value:e}"),
        other => match integer(other) {
            Some(value) => format!("the integer {value}"),
            None => "something else".to_owned(),
        },
    };
    invalid(format!("the key '{}' holds {found}; expected {expected}", Quoted(key)))
}
