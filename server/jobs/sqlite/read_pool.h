// Connections for reading, one per concurrent reader, opened when needed. A few are kept: what a
// moment of many readers took of memory and open files comes back after it.
//
// A loan is one read transaction: all its statements see the store as of the first of them, however
// much is written meanwhile. What one statement found, the next one finds too.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "server/jobs/sqlite/database.h"

namespace likeness::server {

class ReadPool {
 public:
  explicit ReadPool(std::string path) : path_(std::move(path)) {}

  // A connection on loan; it goes back when this goes away.
  class Loan {
   public:
    Loan(ReadPool* pool, std::unique_ptr<Database> database)
        : pool_(pool), database_(std::move(database)) {}
    Loan(Loan&&) = default;
    ~Loan() {
      if (!database_) return;  // moved away
      if (database_->in_transaction() && !database_->Prepare("COMMIT").Run().ok()) return;
      pool_->GiveBack(std::move(database_));
    }
    Database& operator*() const { return *database_; }
    Database* operator->() const { return database_.get(); }

   private:
    ReadPool* pool_;
    std::unique_ptr<Database> database_;
  };

  absl::StatusOr<Loan> Borrow() {
    auto loan = BorrowWithoutTransaction();
    if (!loan.ok()) return loan;
    if (auto begun = (*loan)->Prepare("BEGIN").Run(); !begun.ok()) return begun;
    return loan;
  }

  // Each statement sees the store as it is by then: for a single one, which is a transaction of its
  // own, and for what reads so long that the log of changes must not be held up by it.
  absl::StatusOr<Loan> BorrowWithoutTransaction() {
    {
      std::lock_guard lock(mutex_);
      if (!idle_.empty()) {
        auto database = std::move(idle_.back());
        idle_.pop_back();
        return Loan(this, std::move(database));
      }
    }
    auto database = Database::Open(path_, Database::Mode::kReader);
    if (!database.ok()) return database.status();
    return Loan(this, *std::move(database));
  }

 private:
  void GiveBack(std::unique_ptr<Database> database) {
    std::lock_guard lock(mutex_);
    if (idle_.size() < kKept) idle_.push_back(std::move(database));
  }

  static constexpr size_t kKept = 24;

  const std::string path_;
  std::mutex mutex_;
  std::vector<std::unique_ptr<Database>> idle_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace likeness::server
