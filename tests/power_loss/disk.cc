#include "tests/power_loss/disk.h"

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <utility>

namespace likeness::testing {
namespace {

namespace fs = std::filesystem;

constexpr size_t kSectorBytes = 512;

std::string ParentOf(const std::string& path) { return fs::path(path).parent_path().string(); }
std::string NameOf(const std::string& path) { return fs::path(path).filename().string(); }

}  // namespace

std::vector<Record> ReadRecords(const std::string& log) {
  std::ifstream file(log, std::ios::binary);
  const std::string bytes((std::istreambuf_iterator<char>(file)), {});
  std::vector<Record> records;
  for (size_t at = 0; at + sizeof(Header) <= bytes.size();) {
    Header header;
    std::memcpy(&header, bytes.data() + at, sizeof(header));
    at += sizeof(header);
    if (at + header.path_size + header.data_size > bytes.size()) break;  // killed while writing
    Record record{header.op, header.file, header.number, {}, {}, 0};
    record.path = bytes.substr(at, header.path_size);
    record.data = bytes.substr(at + header.path_size, header.data_size);
    at += header.path_size + header.data_size;
    record.end = static_cast<int64_t>(at);
    records.push_back(std::move(record));
  }
  return records;
}

void Disk::Make(std::string& bytes, const Change& change) {
  if (change.truncate) return bytes.resize(change.number);
  const size_t end = change.number + change.data.size();
  if (bytes.size() < end) bytes.resize(end);
  bytes.replace(change.number, change.data.size(), change.data);
}

void Disk::Make(std::map<std::string, Target>& names,
                const std::pair<std::string, Target>& change) {
  if (std::holds_alternative<Nothing>(change.second)) {
    names.erase(change.first);
  } else {
    names[change.first] = change.second;
  }
}

void Disk::SetName(const std::string& path, Target target) {
  directories_[ParentOf(path)].pending.emplace_back(NameOf(path), target);
}

Disk::Target Disk::Find(const std::string& path) const {
  const auto directory = directories_.find(ParentOf(path));
  if (directory == directories_.end()) return Nothing{};
  const std::string name = NameOf(path);
  const auto& [durable, pending] = directory->second;
  for (auto change = pending.rbegin(); change != pending.rend(); ++change) {
    if (change->first == name) return change->second;
  }
  const auto found = durable.find(name);
  return found == durable.end() ? Target(Nothing{}) : found->second;
}

void Disk::Hold(const std::string& from) { Hold(from, root_); }

void Disk::Hold(const std::string& from, const std::string& path) {
  for (const auto& entry : fs::directory_iterator(from)) {
    const std::string name = NameOf(entry.path());
    if (entry.is_directory()) {
      directories_[path].durable[name] = Directory{};
      Hold(entry.path(), path + "/" + name);
    } else {
      std::ifstream file(entry.path(), std::ios::binary);
      files_[next_file_].durable.assign(std::istreambuf_iterator<char>(file), {});
      directories_[path].durable[name] = next_file_++;
    }
  }
}

void Disk::BeginProcess() {
  if (announced_) undecided_.push_back(*std::exchange(announced_, std::nullopt));
  written_.reset();
  of_process_.clear();
  first_of_process_ = next_file_;
}

Disk::File& Disk::FileOf(const Record& record) { return files_[of_process_.at(record.file)]; }

void Disk::MakeName(const Record& announced) {
  if (announced.op == Op::kMakeDirectory) return SetName(announced.path, Directory{});
  const Target target = Find(announced.path);
  if (std::holds_alternative<Nothing>(target)) return;  // one that is not recorded
  SetName(announced.data, target);
  SetName(announced.path, Nothing{});
}

void Disk::Decide(const Record& record) {
  if (announced_ && record.op != Op::kFailed) MakeName(*announced_);
  announced_.reset();
  std::erase_if(undecided_, [&](const Record& announced) {
    const bool is_directory = announced.op == Op::kMakeDirectory;  // there, or made anew
    const bool is_there = is_directory || record.path == announced.data;
    if (is_there) MakeName(announced);
    return is_there || record.path == announced.path;
  });
}

void Disk::Apply(const Record& record) {
  Decide(record);
  if (record.op != Op::kFailed) written_.reset();
  switch (record.op) {
    case Op::kFailed:
      if (written_) files_.at(*std::exchange(written_, std::nullopt)).pending.pop_back();
      return;
    case Op::kFile: {
      const Target known = Find(record.path);
      const auto* number = std::get_if<uint64_t>(&known);
      if (number != nullptr && *number < first_of_process_) {  // left by a process before
        of_process_[record.file] = *number;
        File& file = files_.at(*number);
        // What was announced last before a kill came to nothing.
        if (SizeOf(file) > record.number) file.pending.push_back({true, record.number, ""});
        return;
      }
      of_process_[record.file] = next_file_;
      files_[next_file_];
      return SetName(record.path, next_file_++);
    }
    case Op::kWrite:
      FileOf(record).pending.push_back({false, record.number, record.data});
      written_ = of_process_.at(record.file);
      return;
    case Op::kTruncate:
      FileOf(record).pending.push_back({true, record.number, ""});
      return;
    case Op::kSync: {
      File& file = FileOf(record);
      for (const Change& change : file.pending) Make(file.durable, change);
      file.pending.clear();
      return;
    }
    case Op::kMakeDirectory:
    case Op::kRename:
      announced_ = record;
      return;
    case Op::kUnlink:
      return SetName(record.path, Nothing{});
    case Op::kSyncDirectory: {
      Names& names = directories_[record.path];
      for (const auto& change : names.pending) Make(names.durable, change);
      names.pending.clear();
      return;
    }
  }
}

size_t Disk::SizeOf(const File& file) {
  size_t size = file.durable.size();
  for (const Change& change : file.pending) {
    size = change.truncate ? change.number
                           : std::max<size_t>(size, change.number + change.data.size());
  }
  return size;
}

std::string Disk::Contents(const File& file, Luck luck, std::mt19937& random) const {
  std::string bytes = file.durable;
  if (luck == Luck::kNothing) return bytes;
  for (Change change : file.pending) {
    if (luck == Luck::kSome) {
      const auto fate = random() % 4;
      if (fate < 2) continue;
      if (fate == 2 && change.data.size() > kSectorBytes) {  // torn
        change.data.resize(random() % (change.data.size() / kSectorBytes) * kSectorBytes);
      }
    }
    Make(bytes, change);
  }
  return bytes;
}

void Disk::Leave(const std::string& directory, const std::string& to, Luck luck,
                 std::mt19937& random) const {
  fs::create_directories(to);
  const auto found = directories_.find(directory);
  if (found == directories_.end()) return;
  auto names = found->second.durable;
  const auto& pending = found->second.pending;
  // A journal keeps the order of changes to one directory.
  const size_t kept = luck == Luck::kNothing ? 0
                      : luck == Luck::kAll   ? pending.size()
                                             : random() % (pending.size() + 1);
  for (size_t i = 0; i < kept; ++i) Make(names, pending[i]);
  for (const auto& [name, target] : names) {
    if (std::holds_alternative<Directory>(target)) {
      Leave(directory + "/" + name, to + "/" + name, luck, random);
    } else {
      const File& file = files_.at(std::get<uint64_t>(target));
      std::ofstream(to + "/" + name, std::ios::binary) << Contents(file, luck, random);
    }
  }
}

void Disk::LeaveAfterPowerLoss(const std::string& to, Luck luck, std::mt19937& random) const {
  Leave(root_, to, luck, random);
}

}  // namespace likeness::testing
