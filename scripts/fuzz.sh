#!/usr/bin/env bash
# Looks for inputs that break the library, with libFuzzer:
#   scripts/fuzz.sh [TARGET|all] [MINUTES]       each target for so long; all and 1 by default
#   scripts/fuzz.sh --merge [TARGET|all]         into fuzz/corpus, what was found and adds coverage
# It fails if an input breaks something, and says how to run that again. What it finds on the way is
# kept in build/fuzz/found, and is where the next run goes on. Two runs can go on at once.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# The loop is one target, with a corpus of its own, that runs on each backend.
all=(timer_queue active_queues fd_table loop_epoll loop_poll tasks address buffered streams dns tls)

merge=false
if [[ ${1:-} == --merge ]]; then
  merge=true
  shift
fi
targets=("${1:-all}")
[[ ${targets[0]} != all ]] || targets=("${all[@]}")
minutes=${2:-1}
for target in "${targets[@]}"; do
  [[ " ${all[*]} " == *" $target "* ]] || {
    echo "fuzz.sh: no such target: $target; there are: ${all[*]}" >&2
    exit 2
  }
done

scripts/setup.sh build test check fuzz
cmake --preset fuzz >/dev/null
cmake --build --preset fuzz --parallel "$(getconf _NPROCESSORS_ONLN)" --target event_fuzz fuzz_replay
dir=build/fuzz
export ASAN_OPTIONS=detect_stack_use_after_return=1:strict_init_order=1
export UBSAN_OPTIONS=print_stacktrace=1

corpus_of() { [[ $1 == loop_* ]] && echo loop || echo "$1"; }

# fuzzer TARGET ARGUMENT...
fuzzer() {
  local target=$1
  shift
  local environment=(EVENT_FUZZ_TARGET="$(corpus_of "$target")")
  [[ $target != loop_* ]] || environment+=(EVENT_FUZZ_BACKEND="${target#loop_}")
  env "${environment[@]}" $dir/fuzz/event_fuzz -max_len=4096 -timeout=60 -rss_limit_mb=3000 "$@"
}

# Keeps one input for each edge that any reaches, the smaller of two; of the loop on all backends.
merge_corpus() {
  local corpus=$1 kept=$dir/merged/$1 found=() each
  for each in "${all[@]}"; do
    [[ $(corpus_of "$each") != "$corpus" || ! -d $dir/found/$each ]] || found+=("$dir/found/$each")
  done
  rm -rf "$kept"
  mkdir -p "$kept" "fuzz/corpus/$corpus"
  env EVENT_FUZZ_TARGET="$corpus" $dir/fuzz/event_fuzz -merge=1 -use_counters=0 -max_len=2048 \
    -timeout=120 "$kept" "fuzz/corpus/$corpus" "${found[@]}" 2>"$dir/merge.log" ||
    { tail -n 20 "$dir/merge.log" && exit 1; }
  rm -rf "fuzz/corpus/$corpus"
  cp -r "$kept" "fuzz/corpus/$corpus"
  echo "$corpus: $(find "$kept" -type f | wc -l) inputs," \
    "$(find "$kept" -type f -printf '%s\n' | awk '{s += $1} END {print s + 0}') bytes"
}

if $merge; then
  for corpus in $(for target in "${targets[@]}"; do corpus_of "$target"; done | sort -u); do
    merge_corpus "$corpus"
  done
  exit
fi

failed=0
for target in "${targets[@]}"; do
  found=$dir/found/$target
  log=$dir/$target.log
  mkdir -p "$found" "fuzz/corpus/$(corpus_of "$target")"
  status=0
  fuzzer "$target" -max_total_time=$((minutes * 60)) -print_final_stats=1 \
    -artifact_prefix="$dir/$target-" "$found" "fuzz/corpus/$(corpus_of "$target")" \
    2>"$log" >&2 || status=$?
  stat() { awk -v name="stat::$1:" '$1 == name {print $2}' "$log" | tail -n 1; }
  covered=$(grep -oE 'cov: [0-9]+ ft: [0-9]+' "$log" | tail -n 1 || true)
  printf '%-14s %10s executions %6s a second  %s (edges, features)  %s new inputs\n' "$target" \
    "$(stat number_of_executed_units)" "$(stat average_exec_per_sec)" "$covered" \
    "$(stat new_units_added)"
  [[ $status -ne 0 ]] || continue
  failed=1
  input=$(sed -n 's/.*Test unit written to //p' "$log" | tail -n 1)
  only=
  [[ $target != loop_* ]] || only="EVENT_FUZZ_BACKEND=${target#loop_} "
  echo "FAILED: $target, see $log; run it again with:"
  echo "  $only$dir/fuzz/fuzz_replay $(corpus_of "$target") $input"
done
exit $failed
