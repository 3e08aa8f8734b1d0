#!/usr/bin/env bash
# Builds the documentation into target/docs: the site, and beside it the references of the SDK and of the crates.

setup_docs_packages() { setup_npm docs; }

# A link that leads nowhere, or a name in the SDK's reference without a description, is an error.
build_site() {
  setup_node_packages
  setup_docs_packages
  heading "site"
  (cd docs && npm run --silent site)
  heading "reference of the SDK"
  (cd docs && npm run --silent api)
}

# A link between descriptions that leads nowhere is an error.
build_rust_reference() {
  setup_rust
  heading "reference of the crates"
  RUSTDOCFLAGS="-D warnings" cargo doc --quiet --no-deps --workspace
  rm -rf target/docs/rust
  cp -R "${CARGO_TARGET_DIR:-target}/doc" target/docs/rust
}
