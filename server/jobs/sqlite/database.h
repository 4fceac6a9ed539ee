// A SQLite connection and its prepared statements, with absl::Status for errors. A connection
// belongs to one thread at a time.
#pragma once

#include <sqlite3.h>

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace likeness::server {

// A prepared statement in use; when this goes away it is reset, or thrown away if it was made for
// this once. Columns count from 0, and are those
// of the last Step.
class Query {
 public:
  Query(sqlite3_stmt* statement, bool once) : statement_(statement), once_(once) {}
  // One that could not be prepared: every Step fails.
  explicit Query(absl::Status failure)
      : statement_(nullptr), once_(false), failure_(std::move(failure)) {}
  Query(Query&& other) noexcept
      : statement_(std::exchange(other.statement_, nullptr)),
        once_(other.once_),
        next_parameter_(other.next_parameter_),
        failure_(std::move(other.failure_)) {}
  Query& operator=(const Query&) = delete;
  ~Query();

  // Binds the next parameter, in order.
  Query& Bind(int64_t value);
  Query& Bind(absl::string_view text);
  Query& Bind(absl::Time time);  // as microseconds; the infinities are kept
  Query& BindBlob(absl::string_view bytes);
  Query& BindNull();

  // Whether there is a row. RESOURCE_EXHAUSTED (STORAGE_FULL); DATA_LOSS (STORE_DAMAGED) when it
  // would have to be read from a damaged page.
  absl::StatusOr<bool> Step();
  // For statements that return none.
  absl::Status Run();

  int64_t Integer(int column) const { return sqlite3_column_int64(statement_, column); }
  absl::Time Time(int column) const;
  // Text or blob; valid until the next Step.
  absl::string_view Bytes(int column) const;
  std::string String(int column) const { return std::string(Bytes(column)); }
  bool IsNull(int column) const { return sqlite3_column_type(statement_, column) == SQLITE_NULL; }

 private:
  sqlite3_stmt* statement_;
  const bool once_;
  int next_parameter_ = 1;
  absl::Status failure_;
};

class Database {
 public:
  enum class Mode { kWriter, kReader };

  // Opens or (the writer) creates the file, in WAL mode with synchronous=FULL, and with checksums
  // in its pages (see checked_files.h). DATA_LOSS: STORE_DAMAGED.
  static absl::StatusOr<std::unique_ptr<Database>> Open(const std::string& path, Mode mode);
  ~Database();

  // `sql` must be a string literal: statements are prepared once and kept under its address. A
  // wrong statement is a defect of ours, and ends the program.
  Query Prepare(const char* sql);

  // For statements that are put together as they are needed.
  Query PrepareOnce(const std::string& sql);

  // Any number of statements without results.
  absl::Status Execute(const char* sql);

  // Rows that the last statement changed.
  int changes() const { return sqlite3_changes(connection_); }
  // The key that the last INSERT of this connection gave to its row.
  int64_t last_key() const { return sqlite3_last_insert_rowid(connection_); }
  // Rows changed since the connection was opened.
  int64_t total_changes() const { return sqlite3_total_changes64(connection_); }
  bool in_transaction() const { return sqlite3_get_autocommit(connection_) == 0; }
  // Whether the pages have checksums.
  bool has_checksums() const;

  // While this lives, statements of the connection are cut off when the time is over:
  // RESOURCE_EXHAUSTED (SEARCH_TOO_LONG).
  class Patience {
   public:
    Patience(Database& database, absl::Duration patience);
    ~Patience();
    Patience(const Patience&) = delete;

   private:
    sqlite3* const connection_;
    const std::chrono::steady_clock::time_point end_;
  };

 private:
  explicit Database(sqlite3* connection) : connection_(connection) {}
  absl::StatusOr<sqlite3_stmt*> Compile(const std::string& sql, unsigned flags);

  sqlite3* connection_;
  std::map<const char*, sqlite3_stmt*> statements_;
};

}  // namespace likeness::server
