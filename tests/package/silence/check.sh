#!/bin/sh
# usage: check.sh PROGRAM MODEL REFINER
# Runs the program of main.cpp under strace and compares what it does with what the library may do: read the model's files
# and what the system says of its CPUs; start threads once a pool of several is used; nothing else. Prints what it saw.
set -eu
program=$1 model=$2 refiner=$3
command -v strace >/dev/null || { echo "SKIPPED: no strace"; exit 0; }
trace=$(mktemp)
trap 'rm -f "$trace"' EXIT
strace -o "$trace" true 2>/dev/null || { echo "SKIPPED: strace may not trace here"; exit 0; }
output=$(strace -f -qq -s 256 -o "$trace" "$program" "$model" "$refiner")

printf '%s\n' "$output" | awk '
  $1 == "environment" { print "SHOWN: environment: " $2; if ($2 != "ELMS_ISA") { print "read, and not documented: " $2; bad = 1 } else seen = 1 }
  $1 == "peak_kib" { printf "SHOWN: peak memory: %.1f MiB, the 7.3 MiB model and the 2.0 MiB refiner mapped\n", $2 / 1024 }
  END { if (!seen) print "the program saw no getenv at all"; exit bad || !seen }'

awk -v model="$model" -v refiner="$refiner" '
  function refuse(why) { print "not allowed in phase " phase ": " why ": " $0; bad = 1 }
  function path(  text) { text = $0; sub(/^[^"]*"/, "", text); sub(/".*/, "", text); return text }
  function allowed(file) {
    return file == model || file == refiner || file == "/absent.gguf" || file ~ /^\/proc\/cpuinfo$/ ||
           file ~ /^\/sys\/devices\/system\/cpu\// || index(file, model ".") == 1
  }
  { call = $2; sub(/\(.*/, "", call) }
  path() ~ /^\/phase\// { phase = path(); sub(/.*\//, "", phase); phases[phase] = 1; next }
  phase == "" && call ~ /^open/ && $0 !~ / = -1 / { before[path()] = 1 }
  phase == "" || phase == "over" { next }
  { ++n_calls }
  call ~ /^(open|openat|creat)$/ {
    if (!allowed(path())) refuse("this file")
    if ($0 ~ /O_WRONLY|O_RDWR|O_CREAT|O_TRUNC/ || call == "creat") refuse("writing")
    ++files[path()]
    next
  }
  call ~ /^(write|writev|pwrite64|pwritev|sendto|sendmsg|splice|ftruncate|truncate|unlink|unlinkat|rename|renameat2?|mkdir|mkdirat|link|symlink)$/ { refuse("writing") }
  call ~ /^(socket|connect|bind|pipe2?|eventfd2|execve|fork|vfork|kill|tgkill|setitimer|timer_create|prctl|setrlimit)$/ { refuse("this call") }
  # The C library asks for its own signal when the first thread starts.
  call ~ /^(rt_sigaction|sigaltstack|signalfd4)$/ && !(phase == "two_threads" && /SIGRT_1/) { refuse("a signal handler") }
  call ~ /^clone3?$/ { ++n_threads; if (phase != "two_threads") refuse("a thread") }
  { ++calls[call] }
  END {
    for (name in before) print "SHOWN: opened before main: " name | "sort"
    for (name in files) print "SHOWN: opened: " name " (" files[name] " times)" | "sort"
    for (name in calls) line = line " " name
    print "SHOWN: threads: " n_threads + 0 " started, by the first use of a pool of 2; none before" | "sort"
    print "SHOWN: other system calls:" line | "sort"
    close("sort")
    if (!phases["one_thread"] || !phases["errors"] || !phases["two_threads_not_yet_used"] || !phases["two_threads"] || !phases["over"]) {
      print "a phase is missing"; bad = 1
    }
    if (n_threads != 1) { print "expected one thread to start, saw " n_threads + 0; bad = 1 }
    if (!(model in files) || !(refiner in files)) { print "the trace does not show the model being opened"; bad = 1 }
    exit bad
  }' "$trace"
