#!/usr/bin/env bash
# A whole job by grpcurl alone: photos in, a learned subject out, and one picture of it in a file.
#
#   client/examples/grpcurl.sh PHOTOS_DIR OUT_DIR
#
# LIKENESS_SERVER      HOST:PORT of the server [localhost:50051]; --server HOST:PORT does the same
# LIKENESS_CLASS       what the photos show [dog]
# LIKENESS_TRAINING    settings as JSON, e.g. {"steps": 50}; {} takes the base model's recommendation
# LIKENESS_PRIOR       likewise, e.g. {"classImages": 8}
# LIKENESS_SAMPLING    of the picture drawn at the end, e.g. {"steps": 20}
# GRPCURL              the program [grpcurl]
#
# Needs grpcurl, base64 and python3 (to pick fields from JSON).
set -euo pipefail

server="${LIKENESS_SERVER:-localhost:50051}"
if [ "${1:-}" = --server ]; then server="$2"; shift 2; fi
case "${1:-}" in -h|--help) sed -n '2,13s/^# \{0,1\}//p' "$0"; exit 0 ;; esac
[ $# -eq 2 ] || { echo "usage: $0 [--server HOST:PORT] PHOTOS_DIR OUT_DIR" >&2; exit 2; }
photos="$1" out="$2"
class="${LIKENESS_CLASS:-dog}"
mkdir -p "$out"

# call METHOD [FLAG...]: one RPC of the JobService; the request is JSON on stdin. Photos inside make messages large.
call() {
  local method="$1"
  shift
  "${GRPCURL:-grpcurl}" -plaintext -max-msg-sz 67108864 "$@" -d @ "$server" "likeness.v1.JobService/$method"
}
# field PATH: a value of the JSON object on stdin, e.g. error.message; empty if it is not there.
field() { python3 -c '
import functools, json, sys
found = functools.reduce(lambda value, key: (value or {}).get(key), sys.argv[1].split("."), json.load(sys.stdin))
print("" if found is None else found)' "$1"; }

# 1. The job: photos travel inside it, as base64.
{
  printf '{"job": {"fineTune": {"dreambooth": {}, "subjects": [{"classNoun": "%s", "photos": [' "$class"
  separator=""
  for photo in "$photos"/*.{png,jpg,jpeg,webp}; do
    [ -f "$photo" ] || continue
    printf '%s{"fileName": "%s", "inline": "' "$separator" "$(basename "$photo")"
    base64 -w0 "$photo"
    printf '"}'
    separator=", "
  done
  printf ']}], "training": %s, "prior": %s}}}' "${LIKENESS_TRAINING:-{\}}" "${LIKENESS_PRIOR:-{\}}"
} > "$out/job.json"

# 2. Create it. From here on it survives any crash of the server.
call CreateJob < "$out/job.json" > "$out/created.json"
name=$(field name < "$out/created.json")
echo "created $name" >&2

# 3. Watch it to its end: one JSON object per event.
call WatchJob <<< "{\"name\": \"$name\"}" > "$out/events.json"
call GetJob <<< "{\"name\": \"$name\"}" > "$out/finished.json"
state=$(field state < "$out/finished.json")
echo "ended $state" >&2
if [ "$state" != JOB_STATE_SUCCEEDED ]; then
  field error.message < "$out/finished.json" >&2
  exit 1
fi

# 4. Draw the subject where it never was. "{subject}" becomes its token and class.
model=$(field outputModel < "$out/finished.json")
sampling="${LIKENESS_SAMPLING:-{\}}"
spec="{\"model\": {\"name\": \"$model\"}, \"prompts\": [\"a {subject} in the snow\"]}"
request=$(python3 -c 'import json, sys; print(json.dumps({"generate": json.loads(sys.argv[1]) | json.loads(sys.argv[2])}))' \
  "$spec" "$sampling")
call GenerateImages <<< "$request" > "$out/pictures.json"

# 5. The picture is one of the stream's messages.
python3 - "$out" <<'PY'
import base64, json, pathlib, sys
out = pathlib.Path(sys.argv[1])
text, decoder = (out / "pictures.json").read_text().strip(), json.JSONDecoder()
while text:
    message, end = decoder.raw_decode(text)
    text = text[end:].lstrip()
    if "image" in message:
        (out / "picture.png").write_bytes(base64.b64decode(message["image"]["png"]))
PY
[ -s "$out/picture.png" ] || { echo "no picture came" >&2; exit 1; }
echo "$out/picture.png"
