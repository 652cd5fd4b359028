#!/usr/bin/env bash
# The libraries of other languages that tests/interop sets on Remint: verifiers (PyJWT, jwcrypto,
# jose) and OAuth clients (Authlib, openid-client), pinned, under target/interop. Run again, it does
# nothing unless a pin changed.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
out=../../target/interop
pins=(requirements.txt package.json package-lock.json)

has() { command -v "$1" >/dev/null 2>&1; }
current() {
    [[ -x $out/venv/bin/python && -d $out/node_modules/openid-client ]] || return 1
    for pin in "${pins[@]}"; do cmp -s "$pin" "$out/$pin" || return 1; done
}

if current; then
    exit 0
fi

packages=()
python3 -c 'import ensurepip, venv' 2>/dev/null || packages+=(python3 python3-venv)
has node || packages+=(nodejs)
has npm || packages+=(npm)
if ((${#packages[@]})); then
    if ((EUID == 0)) && has apt-get; then
        apt-get update -qq
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${packages[@]}"
    else
        echo "tests/interop/setup.sh: please install: ${packages[*]}" >&2
        exit 1
    fi
fi

# The pins are copied last: a run that was cut off is then begun again.
rm -rf "$out"
mkdir -p "$out"
python3 -m venv "$out/venv"
"$out/venv/bin/python" -m pip install --quiet --disable-pip-version-check -r requirements.txt
cp package.json package-lock.json "$out/"
npm ci --prefix "$out" --silent --ignore-scripts --no-audit --no-fund
cp requirements.txt "$out/"
