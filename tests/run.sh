#!/usr/bin/env bash
# Every check of Remint. It sets up what a fresh machine lacks, given a Rust toolchain.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

say() { printf '\n== %s\n' "$*"; }
has() { command -v "$1" >/dev/null 2>&1; }

# Only what is missing is installed, and only where this user may.
packages=()
has cc || packages+=(gcc libc6-dev)
has cmake || packages+=(cmake)
has make || packages+=(make)
has curl || packages+=(curl)
has jq || packages+=(jq)
# The store of used tokens is tested with a real Redis or Valkey, in CI always.
export REMINT_TEST_REDIS="${REMINT_TEST_REDIS:-required}"
if ! has redis-server && ! has valkey-server; then
    if ((EUID == 0)) && has apt-get; then
        packages+=(redis-server)
    elif [[ -z "${CI:-}" ]]; then
        REMINT_TEST_REDIS=absent
        say "WITHOUT the tests of the store of used tokens: please install redis-server or valkey-server" >&2
    fi
fi
if ((${#packages[@]})); then
    if ((EUID == 0)) && has apt-get; then
        say "installing ${packages[*]}"
        apt-get update -qq
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${packages[@]}"
    else
        echo "tests/run.sh: please install: ${packages[*]}" >&2
        exit 1
    fi
fi

components=()
cargo fmt --version >/dev/null 2>&1 || components+=(rustfmt)
cargo clippy --version >/dev/null 2>&1 || components+=(clippy)
if ((${#components[@]})); then
    say "installing ${components[*]}"
    rustup component add "${components[@]}"
fi

if [[ -f tests/interop/setup.sh ]]; then
    say "setting up other languages"
    bash tests/interop/setup.sh
fi

# One profile and one feature set, so that dependencies are compiled once for the checks and once for the
# tests; with the store of used tokens, only the tests that need it are built.
say "format"
cargo fmt --check
say "lints"
cargo clippy --all-targets --locked -- -D warnings
cargo clippy --test limits --features redis --locked -- -D warnings
say "documentation"
RUSTDOCFLAGS="-D warnings" cargo doc --no-deps --locked
say "tests"
cargo test --locked
say "tests with a store of used tokens"
cargo test --locked --features redis --lib --test limits -- store replay::redis
say "benchmark, unmeasured"
cargo test --locked --bench throughput -- --smoke
if has cargo-deny; then
    say "licences, bans and sources"
    cargo deny --locked check bans licenses sources
fi
say "everything passed"
