#!/usr/bin/env bash
# setup.sh VENV: finds Python 3.12 or newer (PATH, pyenv, else uv's own), makes VENV and installs the
# locked packages into it. On Debian as root it also installs what the tests run for real:
# Redis, PostgreSQL and Chromium. Safe to repeat.
set -euo pipefail
venv=${1:?usage: setup.sh VENV}
cd "$(dirname "$0")"

fits() { "$1" -c 'import sys; raise SystemExit(sys.version_info < (3, 12))' 2>/dev/null; }
find_python() {
  local candidate
  for candidate in python3.13 python3.12 python3.14 python3 "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3.1[2-9]*/bin/python3; do
    candidate=$(command -v "$candidate" 2>/dev/null) || continue
    fits "$candidate" && { echo "$candidate"; return; }
  done
  command -v uv >/dev/null && uv python install -q 3.13 && uv python find 3.13
}

if ! { [ -x "$venv/bin/python" ] && fits "$venv/bin/python"; }; then
  python=$(find_python | tail -n 1) && [ -n "$python" ] || {
    echo "setup: looked for Python 3.12 or newer on PATH, under pyenv and through uv; found none." >&2
    echo "  next: install python3.12 (or uv) and run make again" >&2; exit 4; }
  echo "setup: $("$python" --version) at $python"
  rm -rf "$venv" && "$python" -m venv "$venv"
fi
"$venv/bin/python" -c 'import uv' 2>/dev/null || "$venv/bin/pip" install -q --disable-pip-version-check --require-hashes -r requirements/uv.txt
echo "setup: packages"
"$venv/bin/uv" pip sync -q --python "$venv/bin/python" --require-hashes requirements/dev.txt
"$venv/bin/uv" pip install -q --python "$venv/bin/python" --no-deps --no-build-isolation -e .

if [ -f /etc/debian_version ] && [ "$(id -u)" = 0 ]; then
  missing=()
  for pair in redis-server:redis-server /usr/lib/postgresql/*/bin/postgres:postgresql chromium:chromium; do
    command -v ${pair%:*} >/dev/null 2>&1 || missing+=("${pair##*:}")
  done
  if [ ${#missing[@]} -gt 0 ]; then
    echo "setup: Debian packages ${missing[*]}"
    # policy-rc.d: the tests start their own servers, so none is started by the package
    printf '#!/bin/sh\nexit 101\n' >/tmp/policy-rc.d.$$ && chmod 755 /tmp/policy-rc.d.$$
    [ -e /usr/sbin/policy-rc.d ] || { cp /tmp/policy-rc.d.$$ /usr/sbin/policy-rc.d; placed=1; }
    { apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "${missing[@]}"; } >"$venv/apt.log" 2>&1 || {
      echo "setup: apt-get install ${missing[*]} failed; see $venv/apt.log" >&2; exit 4; }
    rm -f /tmp/policy-rc.d.$$; [ -z "${placed:-}" ] || rm -f /usr/sbin/policy-rc.d
  fi
fi
touch "$venv/.ready"
