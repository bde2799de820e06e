#!/bin/sh
# usage: undefined_symbols.sh LIBELMS.a
# What the device library takes from others that could print, end the host, touch its signals, environment, files or
# threads. Each such symbol is allowed for a reason stated here, or the test fails.
set -eu
command -v nm >/dev/null || { echo "SKIPPED: no nm"; exit 0; }
nm -u "$1" | awk '
  BEGIN {
    allowed["getenv"] = "reads ELMS_ISA, core/cpu.cpp"
    allowed["open"] = "maps a file for reading, core/file_mapping_posix.cpp"
    allowed["fopen"] = allowed["rename"] = allowed["unlink"] = "a file that the host asks for, io/output_file.cpp"
    allowed["pthread_create"] = "threads of a pool of several, when it is first used, core/worker_thread.hpp"
    # Compilers differ in which of these they need.
    optional["__cxa_begin_catch"] = optional["__cxa_rethrow"] = optional["_Unwind_Resume"] = "memory that ran out, detail/out_of_memory.hpp"
    optional["__cxa_throw"] = optional["__cxa_allocate_exception"] = "in nlohmann/json; elms asks before it takes a value"
    optional["_ZSt9terminatev"] = "of noexcept functions, which let nothing out"
    for (name in optional) allowed[name] = optional[name]
    risky = "^(v?(f|d|as)?printf|f?puts|f?putc|putchar|perror|syslog|psignal|__(v?f?printf|fputs?)_chk|stdout|stderr|_ZSt4c(out|err|log)|" \
            "abort|_?exit|_Exit|quick_exit|atexit|__assert_fail|_ZSt9terminatev|__cxa_(throw|rethrow|begin_catch|allocate_exception)|_Unwind_Resume|" \
            "signal|sigaction|sigprocmask|pthread_sigmask|raise|kill|system|v?fork|exec[lv]p?e?|posix_spawnp?|popen|socket|connect|dlopen|dlsym|" \
            "(secure_)?getenv|setenv|putenv|unsetenv|environ|setlocale|srand|s?rand(om)?|fopen(64)?|freopen|creat|open(at)?(64)?|mkstemp|tmpfile|" \
            "unlink|remove|rename|mkdir|rmdir|chdir|umask|truncate|ftruncate|pthread_create|_ZNSt6thread15_M_start_thread.*|" \
            "_ZNSt(13|14)basic_[io]fstream.*|_ZTI.*|__dynamic_cast)$"
  }
  NF < 2 { next }
  { name = $NF; ++n_all }
  name ~ risky && !(name in seen) {
    seen[name] = 1
    if (name in allowed) print "SHOWN: taken from others: " name ": " allowed[name]
    else { print "not allowed: " name; bad = 1 }
  }
  END {
    for (name in allowed) if (!(name in seen) && !(name in optional)) { print "allowed, and no longer used: " name; bad = 1 }
    if (n_all < 50) { print "these are no symbols of the library"; bad = 1 }
    exit bad
  }'
