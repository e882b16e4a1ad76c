#!/usr/bin/env bash
# Makes the machine ready for everything else: Debian packages that are missing and the virtual
# environment with the pinned Python packages. Does nothing, quickly, when all of it is there.
# With the argument `test` also what only the tests and linters need, with `bench` the benchmarks.
set -euo pipefail
cd "$(dirname "$0")/.."

# command → the Debian package that brings it
declare -A PACKAGE_OF=(
  [dockerd]=docker.io
  [mmdebstrap]=mmdebstrap
  [iptables]=iptables
  [ip]=iproute2
  [ssh]=openssh-client
  [curl]=curl
  [git]=git
)

# Packages without a command of their own, as a file that proves them.
declare -A PACKAGE_WITH=(
  [/usr/share/keyrings/debian-archive-trixie-stable.gpg]=debian-archive-keyring
)

if ((EUID != 0)); then
  PACKAGE_OF+=([newuidmap]=uidmap) # without it mmdebstrap has no way to be root in its own world
fi

if [[ ${1:-} == test ]]; then
  # jq and openssl: the scripts of the nodes are tested as they are
  PACKAGE_OF+=([jq]=jq [openssl]=openssl [shellcheck]=shellcheck [systemd-analyze]=systemd)
fi

if [[ ${1:-} =~ ^(test|bench)$ ]]; then
  PACKAGE_OF+=([wrk]=wrk) # the load of `make bench`
fi

POLICY_MARK='made by tools/prepare.sh of fleet-azure while it installs packages'

missing_packages() {
  local command file
  for command in "${!PACKAGE_OF[@]}"; do
    # /usr/sbin is not on every user's PATH.
    PATH="$PATH:/usr/sbin:/sbin" command -v "$command" >/dev/null || echo "${PACKAGE_OF[$command]}"
  done
  for file in "${!PACKAGE_WITH[@]}"; do
    [[ -e $file ]] || echo "${PACKAGE_WITH[$file]}"
  done
  if ! python3 -c 'import ensurepip, venv' 2>/dev/null; then echo python3-venv; fi
}

install_packages() {
  local -a missing
  mapfile -t missing < <(missing_packages | sort -u)
  if ((${#missing[@]} == 0)); then return; fi
  if ((EUID != 0)) || ! command -v apt-get >/dev/null; then
    echo "Missing on this machine: ${missing[*]}" >&2
    echo "Install them (on Debian: sudo apt-get install ${missing[*]}) and run the command again." >&2
    exit 1
  fi
  echo "Installing Debian packages: ${missing[*]}"
  run_quietly apt-get update
  # No service of these packages is to start here: the lab starts a Docker daemon of its own, and
  # only if none answers.
  local policy=/usr/sbin/policy-rc.d made_policy=
  # one of ours is from a run that was killed
  if [[ ! -e $policy ]] || grep -qs "$POLICY_MARK" "$policy"; then
    printf '#!/bin/sh\n# %s\nexit 101\n' "$POLICY_MARK" >"$policy"
    chmod 0755 "$policy"
    made_policy=yes
    trap 'rm -f /usr/sbin/policy-rc.d' EXIT
  fi
  # what an interrupted run left half done stops apt-get
  run_quietly env DEBIAN_FRONTEND=noninteractive dpkg --configure -a
  run_quietly env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "${missing[@]}"
  if [[ $made_policy ]]; then rm -f "$policy"; fi
}

make_virtualenv() {
  local wanted
  wanted=$(cat requirements.txt requirements-dev.txt | sha256sum | cut -d' ' -f1)
  if [[ -x .venv/bin/python && $(cat .venv/.requirements 2>/dev/null) == "$wanted" ]]; then return; fi
  echo "Making the virtual environment .venv"
  # a link leads to another clone's, which is in use there
  if [[ -L .venv ]]; then rm .venv; fi
  # always anew: one that was left half made may lack pip, or hold half a package
  run_quietly python3 -m venv --clear .venv
  run_quietly .venv/bin/python -m pip install --disable-pip-version-check -r requirements-dev.txt
  echo "$wanted" >.venv/.requirements
}

# Runs a command without its output; shows the last lines if it fails.
run_quietly() {
  local log status=0
  log=$(mktemp)
  "$@" >"$log" 2>&1 || status=$?
  if ((status != 0)); then
    echo "failed: $*" >&2
    tail -n 20 "$log" >&2
    echo "The whole log: $log" >&2
    exit "$status"
  fi
  rm -f "$log"
}

interrupted() {
  rm -f "${log:-}" # of run_quietly
  echo "interrupted: run the same command again to go on" >&2
  exit 130
}

trap interrupted INT
install_packages
make_virtualenv
