#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Runs every fuzzer for so many seconds each, two at a time, from its seeds in corpus/; prints TAP.
#   tests/fuzz/run.sh [SECONDS] [NAME...]
# KURA_FUZZ_BUILD is the tree with the programs (build/fuzz). What a fuzzer learns stays in a scratch
# folder and goes with it; an input that breaks something is kept in the tree's folder and named.
set -uo pipefail

here=$(cd "$(dirname "$0")" && pwd)
build=${KURA_FUZZ_BUILD:-$(cd "$here/../.." && pwd)/build/fuzz}
seconds=${1:-30}
[ $# = 0 ] || shift
[ $# != 0 ] || set -- text config cdb pdu talk

scratch=$(mktemp -d -t kura-fuzz.XXXXXXXX)
trap 'rm -rf "$scratch"' EXIT
crashes=$build/fuzz-crashes
export ASAN_OPTIONS=detect_leaks=1:allocator_may_return_null=1
export UBSAN_OPTIONS=print_stacktrace=1

# The sanitizers of this age cannot place their shadow in a very random layout.
calm=""
bits=0
read -r bits </proc/sys/vm/mmap_rnd_bits 2>/dev/null || bits=0
[ "$bits" -le 28 ] || calm="setarch -R"

fuzz_one() { # name
	mkdir -p "$scratch/$1" "$crashes"
	# what the golden conversations say now is where this one begins
	[ "$1" != talk ] || "$here/talk_seeds.py" "$scratch/talk" || return
	# shellcheck disable=SC2086 # an empty word or two
	(cd "$scratch/$1" && exec timeout -k 10 $((seconds + 90)) $calm "$build/tests/fuzz/fuzz_$1" \
		-max_total_time="$seconds" -rss_limit_mb=1024 -timeout=10 -max_len=8192 \
		-print_final_stats=1 -artifact_prefix="$crashes/$1-" \
		"$scratch/$1" "$here/corpus/$1") >"$scratch/$1.log" 2>&1
	echo $? >"$scratch/$1.rc"
}

running=0
for name in "$@"; do
	fuzz_one "$name" &
	running=$((running + 1))
	if [ $running -ge 2 ]; then
		wait -n
		running=$((running - 1))
	fi
done
wait

number=0
failed=0
for name in "$@"; do
	number=$((number + 1))
	runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$scratch/$name.log")
	if [ "$(cat "$scratch/$name.rc")" = 0 ] && [ "${runs:-0}" -gt 0 ]; then
		echo "ok $number - fuzz $name: $runs inputs in $seconds s"
	else
		failed=1
		echo "not ok $number - fuzz $name"
		grep -E -A25 'ERROR|SUMMARY|runtime error|Test unit|No such|broken' "$scratch/$name.log" |
			head -60 | sed 's/^/# /'
		tail -5 "$scratch/$name.log" | sed 's/^/# /'
	fi
done
rmdir "$crashes" 2>/dev/null
echo "1..$number"
exit $failed
