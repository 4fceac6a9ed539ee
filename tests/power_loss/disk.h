// A disk that was told what a recording holds, and what a loss of power leaves of it. It is as mean
// as POSIX allows: of what was not fsynced any part may be there, in any order, torn within a
// write; a name is there for sure only once its directory was fsynced.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <variant>
#include <vector>

#include "tests/power_loss/record.h"

namespace likeness::testing {

struct Record {
  Op op;
  uint64_t file;
  uint64_t number;
  std::string path;
  std::string data;
  int64_t end;  // of the record in the log
};

// What a recorder has written so far.
std::vector<Record> ReadRecords(const std::string& log);

class Disk {
 public:
  // `root` is there, empty and durable.
  explicit Disk(std::string root) : root_(std::move(root)) {}

  // Puts the files of the directory `from` on the disk, durably.
  void Hold(const std::string& from);

  // What is applied from here on was recorded by another process, which numbers files anew.
  void BeginProcess();

  void Apply(const Record& record);

  enum class Luck {
    kNothing,  // all that was not fsynced is lost
    kSome,     // some of it is there
    kAll,      // it is all there
  };
  // Writes what is left into the empty directory `to`.
  void LeaveAfterPowerLoss(const std::string& to, Luck luck, std::mt19937& random) const;

 private:
  struct Change {
    bool truncate;
    uint64_t number;
    std::string data;
  };
  struct File {
    std::string durable;
    std::vector<Change> pending;
  };
  // What a name stands for: a directory, a file's number, or nothing any more.
  struct Nothing {};
  struct Directory {};
  using Target = std::variant<Nothing, Directory, uint64_t>;
  struct Names {
    std::map<std::string, Target> durable;
    std::vector<std::pair<std::string, Target>> pending;
  };

  // Makes the name that was announced.
  void MakeName(const Record& announced);
  // Makes the names that `record` shows to be there: a process goes on after what it announced, and
  // no process uses a name that is not there.
  void Decide(const Record& record);

  static void Make(std::string& bytes, const Change& change);
  static void Make(std::map<std::string, Target>& names, const std::pair<std::string, Target>& to);
  void Hold(const std::string& from, const std::string& path);
  File& FileOf(const Record& record);
  void SetName(const std::string& path, Target target);
  Target Find(const std::string& path) const;
  static size_t SizeOf(const File& file);  // if no power is lost
  std::string Contents(const File& file, Luck luck, std::mt19937& random) const;
  void Leave(const std::string& directory, const std::string& to, Luck luck,
             std::mt19937& random) const;

  const std::string root_;
  std::map<uint64_t, File> files_;                 // by a number of our own
  std::map<uint64_t, uint64_t> of_process_;        // that number, by the process's
  uint64_t first_of_process_ = 1, next_file_ = 1;  // of our own numbers
  std::map<std::string, Names> directories_;       // by path
  std::optional<Record> announced_;                // a new name, by this process
  std::optional<uint64_t> written_;                // the file, if the last record is a write
  std::vector<Record> undecided_;                  // those that processes before it announced last
};

}  // namespace likeness::testing
