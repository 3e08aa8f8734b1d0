//! The native command line: run, classify and bench a model file.
fn main() {}
