#!/usr/bin/env bash
# The one entry to this repository: sets up what is missing, builds, tests and serves.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")"
# shellcheck source=scripts/common.sh
source scripts/common.sh
# shellcheck source=scripts/setup.sh
source scripts/setup.sh
# shellcheck source=scripts/wasm.sh
source scripts/wasm.sh
# shellcheck source=scripts/docs.sh
source scripts/docs.sh
# shellcheck source=scripts/test.sh
source scripts/test.sh

print_verbs() {
  cat <<'VERBS'
Usage: ./build.sh VERB [options]

  setup                  install and fetch everything that the other verbs need
  build                  build the WebAssembly modules, the SDK, the demo and the extension's pages
  test [PART...]         set up and run every test, or only the named parts:
                         lint unit golden gpu hostile browser packaging docs
  lint                   the same as "test lint": formatting, clippy, licences, shell, TypeScript
  bench [--backend wasm] [--quick] [--json FILE]
                         time it beside wllama, llama.cpp and onnxruntime; without --quick the
                         results go into docs/performance.md, which has all options
  bench --backend webgpu [--rounds N] [--limit SECONDS] [--engines NAME,...] [--json FILE]
                         time it on WebGPU beside wllama and onnxruntime-web; docs/gpu.md has figures
  decisions              learn, certify and try tasks on public data sets, half an hour; the figures
                         go into docs/decisions.md
  docs                   build the documentation into target/docs: the site, and the references of SDK and crates
  demo [--port N]        set up, build and serve the demo on http://127.0.0.1:8080
  demo --static DIR [--backend URL] [--no-isolation]
                         put the demo into DIR as a static site for any host; www/demo/README.md says more
  extension [--backend URL] [--out FILE.zip]
                         build the browser extension, its model in it: target/extension to load as it is, and
                         target/frontdesk-extension.zip; with --backend it can reach that back office and no other host
  clean                  remove what was built here; the caches in ~/.cache/frontdesk stay
  help                   print this

Every verb can be repeated; what is done already is skipped.

Environment:
  FRONTDESK_CACHE        tools and models (default ~/.cache/frontdesk)
  FRONTDESK_CHROMIUM     the Chromium that the browser tests start (default /usr/bin/chromium)
  FRONTDESK_GOLDEN       golden values (default ../shared/golden); absent: those tests skip
  FRONTDESK_DATA         data sets (default ../shared/data); absent: those tests skip
  VK_ICD_FILENAMES       the Vulkan driver of "test gpu" (default: the software adapter of Chromium)
  FRONTDESK_WASM_STD     "target" or "source": where the wasm32 standard library comes from
VERBS
}

verb_setup() {
  setup_rust
  setup_wasm_std
  setup_wasm_bindgen
  setup_build_tools
  setup_node_packages
  setup_docs_packages
  setup_chromium
  setup_models smollm2-135m-instruct gemma3-270m minilm-l6
}

verb_build() {
  build_wasm
  build_www
}

# Beside its peers on this machine; all options but --backend go to the benchmark's program.
verb_bench() {
  local backend=wasm options=()
  while [ $# -gt 0 ]; do
    case "$1" in
      --backend) backend=${2:-} && shift $(($# > 1 ? 2 : 1)) ;;
      --backend=*) backend=${1#--backend=} && shift ;;
      *) options+=("$1") && shift ;;
    esac
  done
  case "$backend" in
    wasm | webgpu) "bench_$backend" ${options[@]+"${options[@]}"} ;;
    *) usage_error "bench has no backend \"$backend\"; it has: wasm webgpu" ;;
  esac
}

# On the CPU, in the browser and natively.
bench_wasm() {
  setup_chromium
  setup_models smollm2-135m-instruct gemma3-270m minilm-l6
  verb_build
  setup_bench_packages
  # Native llama.cpp has no package for every system; without it the benchmark says that it is missing.
  local status
  set +e
  (
    set -e
    setup_npm bench/peers
  )
  status=$?
  set -e
  [ $status -eq 0 ] || note "native llama.cpp could not be installed here"
  local kernels
  kernels=$(bind_kernel_bench relaxed)
  node bench/profile.mjs --module "$kernels" --model "$FRONTDESK_CACHE/models/smollm2-135m-instruct.gguf"
  node bench/run.mjs "$@"
}

# On the adapter of Chromium's WebGPU, which is SwiftShader: right, and slow.
bench_webgpu() {
  setup_chromium
  setup_models smollm2-135m-instruct
  verb_build
  setup_bench_packages
  node bench/webgpu.mjs "$@"
}

# Figures of trained tasks, from data sets that are not kept here.
verb_decisions() {
  [ $# -eq 0 ] || usage_error "decisions takes no options"
  [ -d "$FRONTDESK_DATA" ] || fail "the data sets are not in $FRONTDESK_DATA; docs/decisions.md says what they are"
  setup_rust
  setup_models smollm2-135m-instruct minilm-l6
  setup_bench_packages
  cargo run --release -p frontdesk-cli -- eval decisions \
    --model "$FRONTDESK_CACHE/models/minilm-l6.gguf" \
    --language-model "$FRONTDESK_CACHE/models/smollm2-135m-instruct.gguf" \
    --data "$FRONTDESK_DATA" --keep "$FRONTDESK_CACHE/vectors" --json docs/results/decisions.json
  setup_chromium
  verb_build
  node bench/learning.mjs --data "$FRONTDESK_DATA"
  node bench/decisions.mjs
}

verb_docs() {
  build_site
  build_rust_reference
  heading "links"
  (cd docs && npm run --silent links)
}

verb_demo() {
  local port=8080 folder='' options=()
  while [ $# -gt 0 ]; do
    case "$1" in
      --port) port=${2:-} && shift $(($# > 1 ? 2 : 1)) ;;
      --port=*) port=${1#--port=} && shift ;;
      --static) folder=${2:-} && shift $(($# > 1 ? 2 : 1)) && [ -n "$folder" ] || usage_error "--static wants a folder" ;;
      --static=*) folder=${1#--static=} && shift && [ -n "$folder" ] || usage_error "--static wants a folder" ;;
      --backend) options+=("--backend=${2:-}") && shift $(($# > 1 ? 2 : 1)) ;;
      --backend=* | --no-isolation) options+=("$1") && shift ;;
      *) usage_error "demo does not know \"$1\"; it takes --port N, or --static DIR with --backend URL and --no-isolation" ;;
    esac
  done
  [ -n "$folder" ] || [ ${#options[@]} -eq 0 ] || usage_error "--backend and --no-isolation belong to --static"
  case "$port" in
    '' | *[!0-9]*) usage_error "--port wants a number" ;;
  esac
  # What can only be asked for comes first, before a long download.
  setup_rust
  setup_node
  setup_models smollm2-135m-instruct minilm-l6
  verb_build
  if [ -n "$folder" ]; then
    node www/demo/static.mjs ${options[@]+"${options[@]}"} -- "$folder"
    return
  fi
  say "Serving http://127.0.0.1:$port (Ctrl-C ends it)"
  build_relay
  exec "${CARGO_TARGET_DIR:-target}/debug/frontdesk-relay" --port "$port" --page www/demo/dist --models "$FRONTDESK_CACHE/models"
}

# The program that serves the demo, docs/relay.md.
build_relay() {
  setup_rust
  cargo build --quiet -p frontdesk-relay
}

# The program checks the options, which may all be left out.
verb_extension() {
  setup_rust
  setup_node
  setup_models smollm2-135m-instruct
  verb_build
  node www/extension/pack.mjs "$@"
}

verb_clean() {
  rm -rf target www/sdk/dist www/sdk/wasm www/sdk/LICENSE-* www/demo/dist www/extension/dist www/node_modules docs/node_modules
}

main() {
  local verb=${1:-help}
  [ $# -eq 0 ] || shift
  case " $* " in
    *" --help "* | *" -h "*) verb=help ;;
  esac
  case "$verb" in
    help | --help | -h) print_verbs && return ;;
  esac
  make_cache
  case "$verb" in
    setup | build | docs | clean)
      [ $# -eq 0 ] || usage_error "$verb takes no options, but was given \"$*\""
      "verb_$verb"
      ;;
    bench | decisions | demo | extension) "verb_$verb" "$@" ;;
    test) verb_test "$@" ;;
    lint) verb_test lint ;;
    *) usage_error "there is no verb \"$verb\"" ;;
  esac
}

main "$@"
