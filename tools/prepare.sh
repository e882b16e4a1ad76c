#!/usr/bin/env bash
# Prepares this machine: installs missing Debian packages, and the pinned Python packages into .venv.
# Returns quickly if nothing is missing. With the argument `test` it also installs the packages of
# the tests and linters, with `bench` those of the benchmarks.
set -euo pipefail
cd "$(dirname "$0")/.."

# command → its Debian package
declare -A PACKAGE_OF=(
  [dockerd]=docker.io
  [mmdebstrap]=mmdebstrap
  [iptables]=iptables
  [ip]=iproute2
  [ssh]=openssh-client
  [curl]=curl
  [git]=git
)

# packages without a command: file → its Debian package
declare -A PACKAGE_WITH=(
  [/usr/share/keyrings/debian-archive-trixie-stable.gpg]=debian-archive-keyring
)

if ((EUID != 0)); then
  PACKAGE_OF+=([newuidmap]=uidmap) # without root, mmdebstrap needs it to be root in a namespace
fi

if [[ ${1:-} == test ]]; then
  # the nodes' scripts use jq and openssl
  PACKAGE_OF+=([jq]=jq [openssl]=openssl [shellcheck]=shellcheck [systemd-analyze]=systemd)
fi

if [[ ${1:-} =~ ^(test|bench)$ ]]; then
  PACKAGE_OF+=([wrk]=wrk) # generates the load of `make bench`
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
  # The services of these packages must not start: the lab starts a Docker daemon if none answers.
  local policy=/usr/sbin/policy-rc.d made_policy=
  # a policy with our mark is left over from a run that was killed
  if [[ ! -e $policy ]] || grep -qs "$POLICY_MARK" "$policy"; then
    printf '#!/bin/sh\n# %s\nexit 101\n' "$POLICY_MARK" >"$policy"
    chmod 0755 "$policy"
    made_policy=yes
    trap 'rm -f /usr/sbin/policy-rc.d' EXIT
  fi
  # apt-get refuses to work after an interrupted installation
  run_quietly env DEBIAN_FRONTEND=noninteractive dpkg --configure -a
  run_quietly env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "${missing[@]}"
  if [[ $made_policy ]]; then rm -f "$policy"; fi
}

make_virtualenv() {
  local wanted
  wanted=$(cat requirements.txt requirements-dev.txt | sha256sum | cut -d' ' -f1)
  if [[ -x .venv/bin/python && $(cat .venv/.requirements 2>/dev/null) == "$wanted" ]]; then return; fi
  echo "Making the virtual environment .venv"
  # a link leads to the .venv of another clone
  if [[ -L .venv ]]; then rm .venv; fi
  # --clear: an environment from an interrupted run may lack pip or parts of a package
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
    echo "Failed: $*" >&2
    tail -n 20 "$log" >&2
    echo "The whole log: $log" >&2
    exit "$status"
  fi
  rm -f "$log"
}

interrupted() {
  rm -f "${log:-}" # made by run_quietly
  echo "interrupted: run the same command again to continue" >&2
  exit 130
}

trap interrupted INT
install_packages
make_virtualenv
