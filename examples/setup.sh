#!/bin/sh
# Brings what the Python and Node examples need: a virtual environment in the target directory, and
# examples/node/node_modules. It does nothing where both are up to date.
set -eu

cd "$(dirname "$0")/.."
venv=${CARGO_TARGET_DIR:-target}/examples-python
python=examples/python
node=examples/node

.ci/packages python3=python3 node=nodejs npm=npm
# Debian's python3 cannot make an environment by itself; there is no such command as `ensurepip`.
python3 -c 'import ensurepip' 2>/dev/null || .ci/packages ensurepip=python3-venv

if ! cmp -s $python/requirements.txt "$venv/requirements.txt"; then
    echo "installing $python/requirements.txt" >&2
    python3 -m venv --clear "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check --requirement $python/requirements.txt
    cp $python/requirements.txt "$venv/"
fi
if ! cmp -s $node/package-lock.json $node/node_modules/installed-lock.json; then
    echo "installing $node/package-lock.json" >&2
    npm ci --prefix $node --silent --no-audit --no-fund
    cp $node/package-lock.json $node/node_modules/installed-lock.json
fi
