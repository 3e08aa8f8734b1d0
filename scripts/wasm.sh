#!/usr/bin/env bash
# Builds for WebAssembly: one way to call cargo for every variant, then bindings and optimisation.

WASM_VARIANTS="simd relaxed simd-threads relaxed-threads"

# Exported so that each thread's instance can set up its own thread-local storage.
THREAD_FLAGS="-C link-arg=--shared-memory -C link-arg=--import-memory -C link-arg=--max-memory=4294967296"
for symbol in __wasm_init_tls __tls_size __tls_align __tls_base; do
  THREAD_FLAGS+=" -C link-arg=--export=$symbol"
done
unset symbol

# Prints the flag by which this Node knows relaxed SIMD: 20 wants one, later ones refuse it.
node_relaxed_flag() {
  if node --experimental-wasm-relaxed-simd -e 0 2>/dev/null; then
    printf -- '--experimental-wasm-relaxed-simd\n'
  fi
}

# Prints what rustc is told to build a variant: target features, how threads share memory, and not to tell in the
# messages of panics where on this machine the sources lay.
wasm_flags() {
  local features
  printf -- '--remap-path-prefix=%s=cargo --remap-path-prefix=%s=rust ' "${CARGO_HOME:-$HOME/.cargo}" "$(rustc --print sysroot)"
  case "$1" in
    simd | simd-threads) features=+simd128,+bulk-memory ;;
    relaxed | relaxed-threads) features=+simd128,+bulk-memory,+relaxed-simd ;;
    *) fail "there is no WebAssembly variant \"$1\"" ;;
  esac
  case "$1" in
    *-threads) printf -- '-C target-feature=%s,+atomics %s\n' "$features" "$THREAD_FLAGS" ;;
    *) printf -- '-C target-feature=%s\n' "$features" ;;
  esac
}

# Prints where the variant's standard library comes from; threads want one built with atomics.
wasm_std_of() {
  case "$1" in
    *-threads) wasm_std_source ;;
    *) wasm_std ;;
  esac
}

# The linker that rustup's toolchain brings, or Debian's: Debian's rustc alone finds none for wasm32.
wasm_linker() {
  local path
  for path in "$(rustc --print sysroot)"/lib/rustlib/*/bin/rust-lld /usr/bin/rust-lld /usr/bin/wasm-ld; do
    if [ -x "$path" ]; then
      printf '%s\n' "$path"
      return
    fi
  done
  return 1
}

# cargo_wasm VARIANT VERB OPTIONS...: cargo for wasm32 with the variant's features, in a target folder
# of its own, so that the variants do not push each other out.
cargo_wasm() {
  local variant=$1 verb=$2
  shift 2
  local settings=(
    "CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-target}/wasm-$variant"
    "RUSTFLAGS=$(wasm_flags "$variant")"
    "CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUNNER=$(wasm_bindgen_folder)/wasm-bindgen-test-runner"
  )
  local options=(--target wasm32-unknown-unknown) std
  std=$(wasm_std_of "$variant")
  if [ "$std" != target ]; then
    # build-std is unstable, hence the bootstrap setting.
    settings+=(
      RUSTC_BOOTSTRAP=1
      "CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER=$(wasm_linker)"
    )
    options+=(-Z "build-std=std,panic_abort")
  fi
  # A rustup proxy may be first on the PATH, hence the full name.
  [ "$std" != debian ] || settings+=(RUSTC=/usr/bin/rustc)
  env "${settings[@]}" cargo "$verb" "${options[@]}" "$@"
}

# build_wasm: all modules, bound, optimised and checked, into www/sdk/wasm/VARIANT, and the licences of what is in them.
build_wasm() {
  setup_wasm_std
  setup_wasm_bindgen
  setup_build_tools
  # The end of each build keeps one core busy, so two go at a time.
  # shellcheck disable=SC2016
  printf '%s\n' "$WASM_VARIANTS" | xargs -n 1 -P 2 bash -euc '
    source scripts/common.sh
    source scripts/setup.sh
    source scripts/wasm.sh
    build_wasm_variant "$1"' build_wasm_variant || fail "the WebAssembly modules could not be built"
  setup_python
  cargo metadata --format-version 1 --locked --filter-platform wasm32-unknown-unknown |
    python3 scripts/collect_licences.py frontdesk-wasm >www/sdk/wasm/licences.txt
}

build_wasm_variant() {
  local variant=$1
  local target=${CARGO_TARGET_DIR:-target}/wasm-$variant
  local out=www/sdk/wasm/$variant
  say "WebAssembly module, $variant"
  cargo_wasm "$variant" build --profile page -p frontdesk-wasm >&2
  local built=$target/wasm32-unknown-unknown/page/frontdesk_wasm.wasm
  local key tools
  tools=$(build_tools_folder)/node_modules/binaryen/bin
  key=$(cat "$built" scripts/wasm.sh scripts/check_module.mjs scripts/tools/package-lock.json | hash_stdin)
  is_stamped "$target/bound-stamp" "$key" && [ -f "$out/frontdesk_bg.wasm" ] && return

  local bound=$target/bound
  rm -rf "$bound"
  "$(wasm_bindgen_folder)/wasm-bindgen" --target web --out-name frontdesk --out-dir "$bound" \
    --remove-name-section --remove-producers-section "$built"
  optimise_wasm "$variant" "$bound/frontdesk_bg.wasm" "$bound/optimised.wasm"
  # shellcheck disable=SC2046
  node $(node_relaxed_flag) scripts/check_module.mjs \
    "$tools/wasm-dis" "$variant" "$bound/frontdesk_bg.wasm" "$bound/optimised.wasm"
  mv "$bound/optimised.wasm" "$bound/frontdesk_bg.wasm"
  rm -rf "$out"
  mkdir -p "$(dirname "$out")"
  cp -R "$bound" "$out"
  stamp "$target/bound-stamp" "$key"
}

# bind_kernel_bench VARIANT: the module that times kernels and whole models; prints its folder.
bind_kernel_bench() {
  local variant=$1
  local target=${CARGO_TARGET_DIR:-target}/wasm-$variant
  cargo_wasm "$variant" build --release --quiet -p frontdesk-kernel-bench >&2
  "$(wasm_bindgen_folder)/wasm-bindgen" --target web --out-name kernels --out-dir "$target/kernels/$variant" \
    "$target/wasm32-unknown-unknown/release/frontdesk_kernel_bench.wasm" >&2
  optimise_wasm "$variant" "$target/kernels/$variant/kernels_bg.wasm" "$target/kernels/optimised.wasm"
  mv "$target/kernels/optimised.wasm" "$target/kernels/$variant/kernels_bg.wasm"
  # So that Node reads the glue as a module.
  printf '{ "type": "module" }\n' >"$target/kernels/$variant/package.json"
  printf '%s\n' "$target/kernels/$variant"
}

# optimise_wasm VARIANT FROM TO: the addresses below 1024 are never used, so sums may become offsets.
optimise_wasm() {
  local threads=()
  [[ $1 != *-threads ]] || threads=(--enable-threads)
  node "$(build_tools_folder)/node_modules/binaryen/bin/wasm-opt" -O3 --strip-debug --low-memory-unused \
    ${threads[@]+"${threads[@]}"} --enable-simd --enable-relaxed-simd --enable-bulk-memory --enable-bulk-memory-opt \
    --enable-sign-ext --enable-nontrapping-float-to-int --enable-mutable-globals \
    --enable-multivalue --enable-reference-types --enable-call-indirect-overlong "$2" -o "$3"
}

# build_www: the SDK and the demo, when their sources or the modules have changed.
build_www() {
  setup_node_packages
  local key stamp_file=www/node_modules/.frontdesk-built
  key=$(hash_files www models/manifest.json)
  is_stamped "$stamp_file" "$key" && [ -d www/sdk/dist ] && return
  say "SDK and demo"
  (cd www && npm run build >&2)
  stamp "$stamp_file" "$(hash_files www models/manifest.json)"
}
