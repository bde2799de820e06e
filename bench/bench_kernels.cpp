// bench_kernels [--json] [--isa NAME] [--seconds S] [--all-isas] [NAME-PART]
//
// Times each kernel on one thread and relates it to what this machine can do, measured before and after in
// the same run: GEMV against read bandwidth, GEMM against the peak of its arithmetic. Every kernel's result
// is compared with the scalar kernels' first; a wrong one fails the run.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <nlohmann/json.hpp>

#include "elms/detail/cpu.hpp"
#include "measure.hpp"

using namespace elms_bench;

namespace {

struct Arguments {
  bool json = false;
  bool all_isas = false;
  const char* isa = nullptr;
  Options options;
};

bool parse(int argc, char** argv, Arguments& arguments) {
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    if (word == "--json") {
      arguments.json = true;
    } else if (word == "--all-isas") {
      arguments.all_isas = true;
    } else if (word == "--isa" && i + 1 < argc) {
      arguments.isa = argv[++i];
    } else if (word == "--seconds" && i + 1 < argc) {
      arguments.options.seconds = std::strtod(argv[++i], nullptr);
    } else if (word.rfind("--", 0) != 0) {
      arguments.options.filter = word;
    } else {
      return false;
    }
  }
  return true;
}

const char* name_of(Limit limit) {
  return limit == Limit::kInt8 ? "int8 peak" : limit == Limit::kF32 ? "f32 peak" : "read bandwidth";
}

void print_table(const Bench& bench) {
  std::printf("one thread, its own CPU time; limits of each kernel's instruction set, measured between the runs\n\n");
  std::printf("%-34s %-7s %-44s %10s %7s %8s %7s %6s %6s  %s\n", "kernel", "isa", "shape", "median us",
              "spread", "G op/s", "GB/s", "share", "best", "of");
  for (const Result& r : bench.results) {
    std::printf("%-34s %-7s %-44s %10.2f %6.0f%% %8.1f %7.1f %6.2f %6.2f  %s %.1f%s\n", r.kernel.c_str(),
                r.isa.c_str(), r.shape.c_str(), r.median_us, 100 * r.spread, r.operations / r.median_us / 1e3,
                r.bytes / r.median_us / 1e3, r.share(), r.best_share(), name_of(r.limit), r.limit_median,
                r.right ? "" : "  WRONG RESULT");
  }
}

void print_json(const Bench& bench) {
  nlohmann::json rows = nlohmann::json::array();
  for (const Result& r : bench.results) {
    rows.push_back({{"kernel", r.kernel},
                    {"isa", r.isa},
                    {"shape", r.shape},
                    {"median_us", r.median_us},
                    {"best_us", r.best_us},
                    {"spread", r.spread},
                    {"gops", r.operations / r.median_us / 1e3},
                    {"gb_s", r.bytes / r.median_us / 1e3},
                    {"share", r.share()},
                    {"best_share", r.best_share()},
                    {"share_of", name_of(r.limit)},
                    {"limit", r.limit_median},
                    {"limit_isa", r.limit_isa},
                    {"right", r.right}});
  }
  const nlohmann::json report = {{"threads", 1}, {"results", rows}};
  std::printf("%s\n", report.dump(2).c_str());
}

int fail(const std::string& message) {
  std::fprintf(stderr, "bench_kernels: %s\n", message.c_str());
  return 1;
}

}  // namespace

int main(int argc, char** argv) {
  Arguments arguments;
  if (!parse(argc, argv, arguments)) {
    return fail("usage: bench_kernels [--json] [--isa NAME | --all-isas] [--seconds S] [NAME-PART]");
  }
  const elms_cpu_features cpu = elms::detail::detect_cpu_features();
  const elms_kernel_table* chosen = elms_select_kernels(&cpu, arguments.isa);
  if (chosen == nullptr) return fail(std::string("no kernels for this CPU named ") + arguments.isa);
  Bench bench;
  bench.options = arguments.options;
  std::size_t n_tables = 0;
  const elms_kernel_table* const* tables = elms_kernel_tables(&n_tables);
  for (std::size_t i = 0; i < n_tables; ++i) {
    if (arguments.all_isas ? !elms_kernel_table_runs_on(tables[i], &cpu) : tables[i] != chosen) continue;
    bench.limits.use(tables[i]->isa);
    bench_gemm(*tables[i], bench);
    bench_vectors(*tables[i], bench);
  }
  arguments.json ? print_json(bench) : print_table(bench);
  for (const Result& result : bench.results) {
    if (!result.right) return fail(result.kernel + " does not agree with the scalar kernels");
  }
  return 0;
}
