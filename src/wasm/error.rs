//! Engine errors as JavaScript `Error` objects with a `code`.

use frontdesk_engine::{Error, ErrorKind};
use js_sys::Reflect;
use wasm_bindgen::JsValue;

/// An `Error` named `EngineError` whose `code` is the kind's stable name.
pub(crate) fn to_js(error: &Error) -> JsValue {
    let mut message = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        message.push_str(": ");
        message.push_str(&error.to_string());
        cause = error.source();
    }
    coded(&message, error.kind().code())
}

/// An `EngineError` with this code.
pub(crate) fn coded(message: &str, code: &str) -> JsValue {
    let object = js_sys::Error::new(message);
    object.set_name("EngineError");
    // Setting a property of a fresh object cannot fail.
    let _ = Reflect::set(&object, &"code".into(), &code.into());
    object.into()
}

/// A request that cannot be what it should be.
pub(crate) fn invalid_input(context: impl ToString) -> JsValue {
    to_js(&Error::new(ErrorKind::InvalidInput, context.to_string()))
}
