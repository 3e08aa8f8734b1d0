//! The browser module: converts between JavaScript and the engine, and forwards.
