#include "benchmarks/engine_timing.h"

#include <algorithm>
#include <cstdio>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "benchmarks/device_meter.h"
#include "worker/base/allocator.h"

namespace likeness {
namespace {

double PeakGiB(torch::Device device) { return static_cast<double>(PeakBytes(device)) / (1 << 30); }

double Median(std::vector<double> values) {
  const auto middle = values.begin() + values.size() / 2;
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

absl::Status Check(const TimingOptions& options) {
  if (options.dtype != "float32" && options.dtype != "bfloat16")
    return absl::InvalidArgumentError(
        absl::StrCat("dtype is ", options.dtype, "; allowed: float32, bfloat16"));
  if (options.threads < 1 || options.warm_up < 1 || options.repetitions < 1)
    return absl::InvalidArgumentError("threads, warm-up and repetitions are 1 or more");
  return absl::OkStatus();
}

}  // namespace

torch::ScalarType TimingOptions::ScalarType() const {
  return dtype == "bfloat16" ? torch::kBFloat16 : torch::kFloat32;
}

std::optional<int> ParseTimingFlags(FlagSet& flags, TimingOptions& options, int argc, char** argv) {
  flags.Add("model", &options.model, "Diffusers directory.");
  flags.Add("dtype", &options.dtype, "float32, or bfloat16 under float32 master weights.");
  flags.Add("device", &options.device, "cpu or cuda:N.");
  flags.Add("threads", &options.threads, "LibTorch's threads.");
  flags.Add("warm-up", &options.warm_up, "Repetitions before the measurement; 1 or more.");
  flags.Add("repetitions", &options.repetitions, "Repetitions measured.");
  flags.Add("json", &options.json, "Print one JSON object.");
  const auto parsed = flags.Parse(Arguments(argc, argv));
  if (flags.help_requested()) {
    std::puts(flags.Help().c_str());
    return 0;
  }
  const absl::Status status = parsed.ok() ? Check(options) : parsed.status();
  if (!status.ok()) {
    std::fprintf(stderr, "%s\n", std::string(status.message()).c_str());
    return 2;
  }
  SetUpAllocator(argv);
  torch::set_num_threads(options.threads);
  return std::nullopt;
}

void PrintTiming(const std::string& what, const TimingOptions& options,
                 const std::vector<Lap>& laps, const std::string& extra) {
  std::vector<double> seconds, cpu_seconds;
  for (const Lap& lap : laps) {
    seconds.push_back(lap.wall);
    cpu_seconds.push_back(lap.cpu);
  }
  if (options.json) {
    std::printf(
        "{\"what\": \"%s\", \"seconds\": [%s], \"cpu_seconds\": [%s], \"peak_gib\": %.3f, "
        "\"threads\": %d, \"dtype\": \"%s\"%s}\n",
        what.c_str(), absl::StrJoin(seconds, ", ").c_str(),
        absl::StrJoin(cpu_seconds, ", ").c_str(), PeakGiB(options.Device()), options.threads,
        options.dtype.c_str(), extra.c_str());
  } else {
    std::printf(
        "%s: median %.1f ms of %zu (%.1f ms of CPU), %d threads, %s, peak memory %.2f GiB\n",
        what.c_str(), 1000 * Median(seconds), laps.size(), 1000 * Median(cpu_seconds),
        options.threads, options.dtype.c_str(), PeakGiB(options.Device()));
  }
}

}  // namespace likeness
