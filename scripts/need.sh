#!/usr/bin/env bash
# Makes sure that the programs which tests start are there: Node.js with npm,
# Chromium, MariaDB, PostgreSQL, nginx, tmux. On Debian and its relatives a missing one is installed.
set -euo pipefail

missing=()
have() { command -v "$1" >/dev/null 2>&1 || [ -x "/usr/sbin/$1" ]; }

have node || missing+=(nodejs)
have npm || missing+=(npm)
have chromium-headless-shell || have chromium || have chromium-browser || have google-chrome || [ -n "${CHROMIUM:-}" ] || missing+=(chromium-headless-shell)
have mariadbd || have mysqld || missing+=(mariadb-server)
have postgres || compgen -G "/usr/lib/postgresql/*/bin/postgres" >/dev/null || missing+=(postgresql)
have nginx || missing+=(nginx)
have tmux || missing+=(tmux)
[ ${#missing[@]} -eq 0 ] && exit 0

if ! have apt-get; then
  echo "The tests need ${missing[*]} (names of Debian packages). Please install them." >&2
  exit 1
fi
as_root=()
[ "$(id -u)" = 0 ] || as_root=(sudo)
echo "Installing what the tests need: ${missing[*]}" >&2
"${as_root[@]}" apt-get update -qq
apt-cache show chromium-headless-shell >/dev/null 2>&1 || missing=("${missing[@]/chromium-headless-shell/chromium}")
DEBIAN_FRONTEND=noninteractive "${as_root[@]}" apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
