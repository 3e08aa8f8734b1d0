//! Which crate may use which, where `unsafe` may stand, and that every use of it says why it is sound.

#[path = "repository.rs"]
mod repository;
#[path = "rust_text.rs"]
mod rust_text;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use rust_text::{blank_comments_and_strings, undocumented_unsafe, words};
use serde_json::{Value, json};

/// For each crate, those of ours that it may use; the folder under `src` has the name after the dash.
const MAY_USE: [(&str, &[&str]); 8] = [
    ("frontdesk-kernels", &[]),
    ("frontdesk-cascade", &[]),
    ("frontdesk-engine", &["frontdesk-kernels"]),
    ("frontdesk-gpu", &["frontdesk-engine"]),
    ("frontdesk-tasks", &["frontdesk-engine"]),
    ("frontdesk-wasm", LIBRARIES),
    ("frontdesk-cli", LIBRARIES),
    ("frontdesk-relay", &[]),
];

const LIBRARIES: &[&str] = &[
    "frontdesk-kernels",
    "frontdesk-cascade",
    "frontdesk-engine",
    "frontdesk-gpu",
    "frontdesk-tasks",
];

/// Crates that talk to a browser; only `frontdesk-wasm` may.
const BROWSER: [&str; 5] = ["wasm-bindgen", "js-sys", "web-sys", "gloo", "serde-wasm-bindgen"];

fn allowed(name: &str) -> Option<&'static [&'static str]> {
    MAY_USE.iter().find(|(of, _)| *of == name).map(|(_, uses)| *uses)
}

fn is_browser(name: &str) -> bool {
    BROWSER.iter().any(|known| {
        name.strip_prefix(known).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
    })
}

/// Why `user` may not depend on `used`, if it may not.
fn objection(user: &str, used: &str, only_in_tests: bool) -> Option<String> {
    let uses = allowed(user)?;
    let supports_tests = used == "frontdesk-tests" && only_in_tests;
    if used.starts_with("frontdesk-") && used != user && !uses.contains(&used) && !supports_tests {
        return Some(format!("{user} must not use {used}"));
    }
    // The kernels' tests run on WebAssembly, where the test harness is a browser crate.
    let harness = user == "frontdesk-kernels" && used == "wasm-bindgen-test" && only_in_tests;
    (is_browser(used) && user != "frontdesk-wasm" && !harness)
        .then(|| format!("{user} must not use {used}: only frontdesk-wasm may talk to a browser"))
}

/// Objections to the dependencies that `cargo metadata` reports, and crates that no rule names.
fn dependency_findings(metadata: &Value) -> Vec<String> {
    let mut found = Vec::new();
    for package in list(&metadata["packages"]) {
        let name = text(&package["name"]);
        let manifest = text(&package["manifest_path"]);
        if allowed(name).is_none() && manifest.contains("/src/") {
            found.push(format!("{name} has no rule in tests/layering.rs"));
        }
        for dependency in list(&package["dependencies"]) {
            let only_in_tests = dependency["kind"] == "dev";
            found.extend(objection(name, text(&dependency["name"]), only_in_tests));
        }
    }
    found
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// Objections to one source file of the crate `name`.
fn source_findings(name: &str, path: &str, source: &str) -> Vec<String> {
    let code = blank_comments_and_strings(source);
    let mut found = Vec::new();
    for (line, word) in words(&code) {
        let used = word.replace('_', "-");
        let objection =
            objection(name, &used, path.contains("test") || source.contains("cfg(test)"));
        found.extend(objection.map(|why| format!("{path}:{line}: {why}")));
        if word == "unsafe" && name != "frontdesk-kernels" {
            found.push(format!("{path}:{line}: unsafe stands outside src/kernels"));
        }
    }
    for line in undocumented_unsafe(source, &code) {
        found.push(format!("{path}:{line}: no SAFETY comment above this unsafe"));
    }
    let is_root = path.ends_with("/lib.rs") || path.ends_with("/main.rs");
    let guard = match name {
        "frontdesk-kernels" => return found,
        // The binding macros write unsafe code of their own and allow it for themselves.
        "frontdesk-wasm" => "#![deny(unsafe_code)]",
        _ => "#![forbid(unsafe_code)]",
    };
    if is_root && path.matches('/').count() == 2 && !code.contains(guard) {
        found.push(format!("{path}: {guard} is missing"));
    }
    found
}

/// The crate that a path like `src/engine/error.rs` belongs to.
fn crate_of(path: &Path) -> Option<String> {
    let mut parts = path.iter();
    let in_source = parts.next()? == "src";
    let folder = parts.next()?.to_str()?;
    (in_source && path.extension()? == "rs").then(|| format!("frontdesk-{folder}"))
}

fn metadata(root: &Path) -> Value {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["metadata", "--no-deps", "--offline", "--format-version", "1"])
        .current_dir(root)
        .output()
        .expect("cargo starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("cargo metadata prints JSON")
}

fn assert_none(found: &[String]) {
    assert!(found.is_empty(), "{} findings:\n{}", found.len(), found.join("\n"));
}

#[test]
fn crates_depend_only_on_what_they_may() {
    let metadata = metadata(&repository::root());
    let names: Vec<&str> = list(&metadata["packages"]).iter().map(|p| text(&p["name"])).collect();
    assert!(names.contains(&"frontdesk-engine"), "cargo metadata named only {names:?}");
    assert_none(&dependency_findings(&metadata));
}

#[test]
fn sources_use_only_what_they_may_and_unsafe_is_explained() {
    let root = repository::root();
    let sources: Vec<(String, PathBuf)> = repository::files(&root)
        .into_iter()
        .filter_map(|path| Some((crate_of(&path)?, path)))
        .collect();
    assert!(sources.len() > 5, "only {} sources found under src", sources.len());
    let mut found = Vec::new();
    for (name, path) in sources {
        let source = fs::read_to_string(root.join(&path)).expect("sources are UTF-8");
        found.extend(source_findings(&name, &path.to_string_lossy(), &source));
    }
    assert_none(&found);
}

#[test]
fn a_forbidden_dependency_is_reported() {
    let package = |name: &str, used: &str, kind: Value| {
        json!({ "packages": [{
            "name": name,
            "manifest_path": format!("/somewhere/src/{name}/Cargo.toml"),
            "dependencies": [{ "name": used, "kind": kind }],
        }]})
    };
    for (user, used) in [
        ("frontdesk-kernels", "frontdesk-engine"),
        ("frontdesk-engine", "frontdesk-tasks"),
        ("frontdesk-engine", "frontdesk-cascade"),
        ("frontdesk-tasks", "frontdesk-kernels"),
        ("frontdesk-cascade", "frontdesk-engine"),
        ("frontdesk-gpu", "frontdesk-kernels"),
        ("frontdesk-wasm", "frontdesk-cli"),
        ("frontdesk-engine", "web-sys"),
        ("frontdesk-cli", "wasm-bindgen-futures"),
        ("frontdesk-cli", "frontdesk-tests"),
        ("frontdesk-kernels", "wasm-bindgen-test"),
    ] {
        let found = dependency_findings(&package(user, used, Value::Null));
        assert_eq!(found.len(), 1, "{user} -> {used}: {found:?}");
        assert!(found[0].contains(&format!("{user} must not use {used}")), "{found:?}");
    }
    for (user, used, kind) in [
        ("frontdesk-engine", "frontdesk-kernels", Value::Null),
        ("frontdesk-wasm", "web-sys", Value::Null),
        ("frontdesk-wasm", "frontdesk-cascade", Value::Null),
        ("frontdesk-kernels", "wasm-bindgen-test", json!("dev")),
        ("frontdesk-cli", "frontdesk-tests", json!("dev")),
        ("frontdesk-kernels", "glow", Value::Null),
    ] {
        assert_none(&dependency_findings(&package(user, used, kind)));
    }
    let unknown = dependency_findings(&package("frontdesk-new", "serde", Value::Null));
    assert_eq!(unknown, ["frontdesk-new has no rule in tests/layering.rs"]);
}

#[test]
fn a_forbidden_use_in_a_source_is_reported() {
    let path = "src/engine/some.rs";
    let report = |source: &str| source_findings("frontdesk-engine", path, source);
    assert_eq!(report("//! A file.\nuse frontdesk_tasks::chat;\n").len(), 1);
    assert_eq!(report("//! A file.\nfn now() { web_sys::window(); }\n").len(), 1);
    assert_eq!(
        report("// SAFETY: none.\nunsafe { go() }\n"),
        ["src/engine/some.rs:2: unsafe stands outside src/kernels"]
    );
    assert_none(&report(
        "//! Not unsafe, and \"web_sys\" only in words.\nuse frontdesk_kernels::quant;\n",
    ));
    assert_none(&report("const TEXT: &str = \"unsafe web_sys\"; /* unsafe */\n"));
    let root = "src/engine/lib.rs";
    assert_eq!(source_findings("frontdesk-engine", root, "//! A crate.\n").len(), 1);
    assert_none(&source_findings(
        "frontdesk-engine",
        root,
        "//! A crate.\n#![forbid(unsafe_code)]\n",
    ));
    assert_eq!(
        source_findings("frontdesk-wasm", "src/wasm/lib.rs", "// #![deny(unsafe_code)]\n").len(),
        1
    );
}

#[test]
fn unsafe_without_a_reason_is_reported() {
    let report = |source: &str| source_findings("frontdesk-kernels", "src/kernels/some.rs", source);
    for undocumented in [
        "fn f() {\n    unsafe { g() }\n}\n",
        "// Safety is a fine thing.\nunsafe { g() }\n",
        "// SAFETY: of the line below only.\nlet a = 1;\nunsafe { g() }\n",
        "unsafe impl Send for A {}\n",
        "let a = \"// SAFETY: no\";\nunsafe { g() }\n",
        "#[unsafe(no_mangle)]\nfn f() {}\n",
    ] {
        assert_eq!(report(undocumented).len(), 1, "{undocumented}");
    }
    for documented in [
        "// SAFETY: g has no conditions.\nunsafe { g() }\n",
        "// SAFETY: g has\n// no conditions.\nlet a = unsafe { g() };\n",
        "// SAFETY: g has no conditions.\nlet a =\n    unsafe { g() };\n",
        "// SAFETY: no state.\n#[allow(dead_code)]\nunsafe impl Send for A {}\n",
        "/// Reads.\n///\n/// # Safety\n/// `p` is valid.\nunsafe fn read(p: *const u8) {}\n",
    ] {
        assert_none(&report(documented));
    }
}
