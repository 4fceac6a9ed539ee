#include "worker/support/resident_memory.h"

#include <algorithm>
#include <fstream>
#include <optional>
#include <string>

namespace likeness {
namespace {

// The number after `key` in a file of "KEY NUMBER" lines; with an empty key the file's first.
std::optional<double> NumberIn(const std::string& file, const std::string& key = "") {
  std::ifstream stream(file);
  double number = 0;
  if (key.empty()) return stream >> number ? std::optional(number) : std::nullopt;
  for (std::string word; stream >> word; stream.ignore(1 << 12, '\n')) {
    if (word == key && stream >> number) return number;
  }
  return std::nullopt;
}

// The directory of the control group: the line "0::/PATH" of the process.
std::string ControlGroup() {
  std::ifstream groups("/proc/self/cgroup");
  for (std::string line; std::getline(groups, line);) {
    if (line.starts_with("0::")) return "/sys/fs/cgroup" + line.substr(3);
  }
  return "/sys/fs/cgroup";
}

}  // namespace

double ReadAvailableMemory() {
  const double machine = 1024 * NumberIn("/proc/meminfo", "MemAvailable:").value_or(0);
  const std::string group = ControlGroup();
  const auto most = NumberIn(group + "/memory.max");  // "max" is no number: no limit
  const auto now = NumberIn(group + "/memory.current");
  if (!most || !now) return machine;
  // Pages of files that nobody has used lately are given back when memory is needed.
  const double files = NumberIn(group + "/memory.stat", "inactive_file").value_or(0);
  return std::clamp(*most - *now + files, 0.0, machine);
}

ResidentMemory ReadResidentMemory() {
  ResidentMemory memory;
  std::ifstream status("/proc/self/status");
  std::string key;
  while (status >> key) {
    double kilobytes = 0;
    if (key == "VmRSS:" && status >> kilobytes) memory.now_bytes = kilobytes * 1024;
    if (key == "VmHWM:" && status >> kilobytes) memory.peak_bytes = kilobytes * 1024;
    status.ignore(1 << 12, '\n');
  }
  return memory;
}

}  // namespace likeness
