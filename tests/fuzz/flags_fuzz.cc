// The server's flags, one argument a line. What passes the checks is what may be served with.
#include <vector>

#include "common/flags.h"
#include "server/server_options.h"
#include "tests/fuzz/fuzz.h"

using likeness::fuzz::Check;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  likeness::fuzz::Input input(data, size);
  std::vector<std::string> arguments;
  while (!input.empty()) arguments.emplace_back(input.Line());
  likeness::server::ServerOptions options;
  likeness::FlagSet flags("Usage: fuzz");
  likeness::server::AddFlags(options, flags);
  if (!flags.Parse(arguments).ok()) return 0;
  if (!likeness::server::CheckOptions(options).ok()) return 0;
  Check(!options.data_dir.empty(), "there is a data directory");
  Check(options.executor_threads >= 2, "there are threads");
  Check(options.lease_duration > absl::ZeroDuration(), "a lease lasts");
  return 0;
}
