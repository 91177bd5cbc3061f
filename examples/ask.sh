#!/bin/sh
# Which digit does a picture show? Asked of a running server (`make serve`), with curl alone.
#     examples/ask.sh digit.png [http://127.0.0.1:8000]
set -eu
server=${2:-http://127.0.0.1:8000}
curl --silent --show-error --fail-with-body --data-binary "@$1" "$server/predict"
