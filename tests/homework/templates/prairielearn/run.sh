#!/usr/bin/env bash
# The entrypoint of the question's container. What is written first says that the submission could not be graded,
# which costs no attempt; the grade takes its place at the end.
set -u
HERE="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
ROOT="$(cd "$HERE/../.." && pwd)"
RESULTS="$ROOT/results/results.json"
umask 077

mkdir -p "$ROOT/results"
cat > "$RESULTS" << 'END'
{"gradable": false, "format_errors": ["The grader did not finish. This is not your mistake: tell your instructor."]}
END
chmod 700 "$ROOT/serverFilesCourse" "$ROOT/results" "$ROOT/student"

mapfile -t ARGUMENTS < "$HERE/project/arguments.txt"
cd "$HERE/project" || exit 1
env -i PATH="$PATH" LANG=C.UTF-8 HOME=/nonexistent \
    python3 -m tests.homework grade "$ROOT/student" "${ARGUMENTS[@]}" --format prairielearn > "$RESULTS.new" &&
    mv "$RESULTS.new" "$RESULTS"
