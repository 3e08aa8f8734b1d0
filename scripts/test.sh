#!/usr/bin/env bash
# The test verb of build.sh: its parts, one run after the other, with a summary at the end.

TEST_PARTS=(lint unit golden gpu hostile browser packaging docs)

# Formatting, lints of every language, licences of every dependency.
test_lint() {
  setup_rust
  setup_rust_lints
  setup_wasm_std
  setup_node_packages
  setup_docs_packages
  heading "cargo fmt"
  cargo fmt --all --check
  heading "clippy"
  cargo clippy --workspace --all-targets --quiet -- -D warnings
  if [ "$(wasm_std)" = target ]; then
    heading "clippy for wasm32"
    cargo_wasm relaxed clippy --quiet -p frontdesk-kernels -p frontdesk-wasm -- -D warnings
  else
    # Clippy is tied to rustup's compiler, which has no wasm32 library to check against.
    skip "clippy for wasm32" "the wasm32 target is not installed through rustup"
  fi
  heading "licences"
  cargo metadata --format-version 1 --locked | python3 scripts/check_licences.py deny.toml
  if has shellcheck; then
    heading "shellcheck"
    shellcheck -x build.sh scripts/*.sh .ci/run
  else
    skip "shellcheck" "it is not installed"
  fi
  heading "TypeScript: lint and types"
  # The SDK is checked against the modules' declarations and the demo against the SDK's: stale ones
  # would give wrong findings.
  build_wasm
  build_www
  (cd www && npm run --silent lint && npm run --silent typecheck)
}

# Tests beside the code, in every language; kernels also on WebAssembly, where their fast versions differ.
test_unit() {
  setup_rust
  setup_python
  setup_wasm_std
  setup_wasm_bindgen
  setup_node_packages
  heading "Rust"
  cargo test --quiet --workspace --exclude frontdesk-wasm --exclude frontdesk-tests --exclude frontdesk-relay
  cargo test --quiet -p frontdesk-relay --lib
  cargo test --quiet -p frontdesk-tests --lib --test layering --test tidy
  local variant flag
  flag=$(node_relaxed_flag)
  # Threads change nothing in a kernel; the pool itself is tested natively and in the browser.
  for variant in simd relaxed; do
    heading "kernels on WebAssembly, $variant"
    # Node 20 knows relaxed SIMD only behind a flag, and its baseline compiler (V8 11.3) doubles
    # relaxed dot products; the optimising one, and today's browsers, are right.
    NODE_ARGS="--no-liftoff${flag:+,$flag}" \
      cargo_wasm "$variant" test -p frontdesk-kernels --lib
  done
  heading "Python"
  python3 -m unittest discover -s models
  python3 -m unittest discover -s scripts
  heading "TypeScript"
  (cd www && npm run --silent test:unit)
}

# The engine against golden values, with the real models.
test_golden() {
  setup_rust
  setup_models smollm2-135m-instruct gemma3-270m minilm-l6
  cargo test --quiet -p frontdesk-tests --test tokenizer --test golden --test parity --test generate --test classify --test features --test architectures --test encoder -- --nocapture
  golden_modules
}

# The same on WebAssembly, whose dot products differ. Threads share out the same sums, so their modules are
# left to the browser tests.
golden_modules() {
  [ -d "$FRONTDESK_GOLDEN" ] || { skip "golden values on WebAssembly" "there are none" && return; }
  setup_wasm_std
  setup_wasm_bindgen
  setup_build_tools
  local variant bound flag
  flag=$(node_relaxed_flag)
  for variant in simd relaxed; do
    heading "golden values on WebAssembly, $variant"
    bound=$(bind_kernel_bench "$variant")
    # As for the kernels' own tests, Node 20's baseline compiler must stay out.
    # shellcheck disable=SC2086
    node --no-liftoff $flag tests/golden_module.mjs "$bound" "$FRONTDESK_GOLDEN/smollm2.json" "$FRONTDESK_CACHE/models/smollm2-135m-instruct.gguf"
    # shellcheck disable=SC2086
    node --no-liftoff $flag tests/golden_module.mjs "$bound" "$FRONTDESK_GOLDEN/gemma3.json" "$FRONTDESK_CACHE/models/gemma3-270m.gguf"
  done
}

# The GPU backend beside the CPU's, on the software adapter that Chromium brings unless another is named.
test_gpu() {
  setup_rust
  setup_vulkan
  setup_models smollm2-135m-instruct gemma3-270m
  heading "natively"
  cargo test --quiet -p frontdesk-tests --test gpu --test gpu_choices -- --nocapture
  if setup_lavapipe; then
    heading "natively, on an adapter with half precision"
    VK_ICD_FILENAMES=$LAVAPIPE cargo test --quiet -p frontdesk-tests --test gpu -- --nocapture half_precision encoders prompts_branches self_test
  else
    skip "an adapter with half precision" "Mesa's Vulkan drivers are missing"
  fi
  heading "in Chromium"
  setup_chromium
  build_wasm
  build_www
  build_relay
  (cd www && npm run --silent test:webgpu)
}

# Files that lie, beside files that tell the truth.
test_hostile() {
  setup_rust
  cargo test --quiet -p frontdesk-tests --test hostile --test hostile_config --test model_file
}

# The built page in a real Chromium with the real model.
test_browser() {
  setup_chromium
  setup_display
  setup_models smollm2-135m-instruct minilm-l6
  build_wasm
  build_www
  build_relay
  (cd www && npm run --silent test:browser)
}

# What is published, as its users build it: bundlers, Next.js, a strict page, Node; and the relay, as operators run it.
test_packaging() {
  setup_rust
  setup_redis
  heading "relay"
  cargo test --quiet -p frontdesk-relay --test relay
  cargo test --quiet -p frontdesk-relay --test relay_soak -- --nocapture
  setup_chromium
  setup_models smollm2-135m-instruct
  build_wasm
  build_www
  setup_packed_sdk
  (cd www && npm run --silent test:packaging)
}

# The documentation: no link leads nowhere, all that is public is described, and every example does what it says.
test_docs() {
  setup_chromium
  setup_models smollm2-135m-instruct minilm-l6
  build_wasm
  build_www
  verb_docs
  heading "examples"
  (cd www && npm run --silent test:docs)
}

heading() { printf '\n-- %s\n' "$*" >&2; }

skip() { printf '\n-- %s: skipped, %s\n' "$1" "$2" >&2; }

# verb_test [PART...]: runs all parts or the named ones; one that fails does not hide the others.
verb_test() {
  local part
  for part in "$@"; do
    case " ${TEST_PARTS[*]} " in
      *" $part "*) ;;
      *) usage_error "test has no part \"$part\"; it has: ${TEST_PARTS[*]}" ;;
    esac
  done
  [ $# -gt 0 ] || set -- "${TEST_PARTS[@]}"
  local status failed=0 started summary=""
  for part in "$@"; do
    say "test $part"
    started=$SECONDS
    # In a subshell with -e set anew: under "if" or "||" bash would ignore failures inside.
    set +e
    (
      set -e
      "test_$part"
    )
    status=$?
    set -e
    if [ $status -eq 0 ]; then
      summary="$summary   $part: ok, $((SECONDS - started)) s"$'\n'
    else
      summary="$summary   $part: FAILED, $((SECONDS - started)) s"$'\n'
      failed=$((failed + 1))
    fi
    # Ctrl-C ends the whole run, not only this part.
    [ $status -ne 130 ] || break
  done
  say "Summary"
  printf '%s' "$summary" >&2
  if [ $failed -gt 0 ]; then
    printf 'build.sh: %s of %s test parts failed, after %s s\n' "$failed" "$#" "$SECONDS" >&2
    exit 1
  fi
  printf 'build.sh: all %s test parts passed in %s s\n' "$#" "$SECONDS" >&2
}
