#!/usr/bin/env bash
# What every part of build.sh shares: messages, stamps, time limits and the folders.

FRONTDESK_CACHE=${FRONTDESK_CACHE:-$HOME/.cache/frontdesk}
FRONTDESK_GOLDEN=${FRONTDESK_GOLDEN:-$PWD/../shared/golden}
FRONTDESK_DATA=${FRONTDESK_DATA:-$PWD/../shared/data}
FRONTDESK_CHROMIUM=${FRONTDESK_CHROMIUM:-/usr/bin/chromium}

# absolute PATH: the same path from the root; a folder that does not exist stays as it was given.
absolute() {
  if [ -d "$1" ]; then
    (cd "$1" && pwd)
  else
    case "$1" in
      /*) printf '%s\n' "$1" ;;
      *) printf '%s\n' "$PWD/$1" ;;
    esac
  fi
}

FRONTDESK_CACHE=$(absolute "$FRONTDESK_CACHE")
FRONTDESK_GOLDEN=$(absolute "$FRONTDESK_GOLDEN")
FRONTDESK_DATA=$(absolute "$FRONTDESK_DATA")
# Compiled Python files would lie between the sources.
export PYTHONDONTWRITEBYTECODE=1
export FRONTDESK_CACHE FRONTDESK_GOLDEN FRONTDESK_DATA FRONTDESK_CHROMIUM

make_cache() { mkdir -p "$FRONTDESK_CACHE/tools" "$FRONTDESK_CACHE/stamps"; }

say() { printf '== %s\n' "$*" >&2; }
note() { printf '   %s\n' "$*" >&2; }

fail() {
  printf 'build.sh: %s\n' "$*" >&2
  exit 1
}

usage_error() {
  printf 'build.sh: %s\n\n' "$*" >&2
  print_verbs >&2
  exit 2
}

has() { command -v "$1" >/dev/null 2>&1; }

# limited SECONDS COMMAND...: runs the command under a time limit, also where coreutils is absent.
limited() {
  if has timeout; then
    # In the foreground, so that Ctrl-C and a password prompt still work.
    timeout --foreground "$@"
  else
    perl -e 'alarm shift; exec @ARGV or exit 127' "$@"
  fi
}

hash_stdin() {
  if has sha256sum; then
    sha256sum | cut -d' ' -f1
  else
    shasum -a 256 | cut -d' ' -f1
  fi
}

# hash_files PATH...: one hash over the names and contents of all files below the paths,
# built and installed folders left out.
hash_files() {
  find "$@" \( -name node_modules -o -name dist -o -name test-results \) -prune -o -type f -print |
    LC_ALL=C sort | while IFS= read -r path; do
      printf '%s %s\n' "$path" "$(hash_stdin <"$path")"
    done | hash_stdin
}

# is_stamped FILE KEY: whether the work that FILE stands for was last done for this KEY.
is_stamped() { [ -f "$1" ] && [ "$(cat "$1")" = "$2" ]; }

stamp() {
  mkdir -p "$(dirname "$1")"
  printf '%s\n' "$2" >"$1"
}

# apt_install PACKAGE...: through apt as root or with sudo; false where neither is possible.
apt_install() {
  has apt-get || return 1
  local become=()
  if [ "$(id -u)" -ne 0 ]; then
    has sudo || return 1
    # Without a terminal sudo must not wait for a password that nobody can type.
    if [ -t 0 ]; then become=(sudo); else become=(sudo -n); fi
  fi
  local fetched=$FRONTDESK_CACHE/stamps/apt-update
  # One refresh of the package lists a day is enough.
  if [ -z "$(find "$fetched" -mmin -1440 2>/dev/null)" ]; then
    note "apt-get update"
    limited 300 ${become[@]+"${become[@]}"} apt-get update -q >&2 || return 1
    : >"$fetched"
  fi
  note "apt-get install $*"
  limited 900 ${become[@]+"${become[@]}"} env DEBIAN_FRONTEND=noninteractive \
    apt-get install -q -y --no-install-recommends "$@" >&2
}
