#include "server/jobs/sqlite/database.h"

#include <cstdlib>
#include <limits>

#include "absl/strings/str_cat.h"
#include "common/logging.h"
#include "common/rpc_error.h"
#include "common/status_macros.h"
#include "server/base/planted.h"
#include "server/jobs/sqlite/checked_files.h"

namespace likeness::server {
namespace {

constexpr int kStepsBetweenLooks = 1000;  // at the clock; well under a millisecond

constexpr int kBusyMilliseconds = 10'000;

// Memory that a connection keeps for what its statements allocate and free each time they run.
constexpr int kSlotBytes = 1200;
constexpr int kSlots = 500;

// SQLite counts its memory under one lock for all connections, at every allocation; nobody reads
// it.
void ConfigureOnce() {
  [[maybe_unused]] static const int configured = sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
}

// What cannot be read, or is not what was written. To try again does no harm, and no good.
bool IsDamage(int code) {
  switch (code & 0xFF) {
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return true;
    case SQLITE_IOERR:
      return code == SQLITE_IOERR_DATA || code == SQLITE_IOERR_READ ||
             code == SQLITE_IOERR_SHORT_READ || code == SQLITE_IOERR_CORRUPTFS;
    default:
      return false;
  }
}

absl::Status ErrorOf(sqlite3* connection, int code) {
  const char* message = sqlite3_errmsg(connection);
  if (IsDamage(code)) {
    LogError("job store damaged", {{"code", code}, {"error", message}});
    return RpcError(absl::StatusCode::kDataLoss, "STORE_DAMAGED",
                    "what was asked for lies in a part of jobs.sqlite that is damaged on the disk");
  }
  if ((code & 0xFF) == SQLITE_FULL) {
    LogError("job store is full", {{"error", message}});
    return RpcError(absl::StatusCode::kResourceExhausted, "STORAGE_FULL",
                    "the disk of the job store is full; nothing was changed");
  }
  if ((code & 0xFF) == SQLITE_INTERRUPT) {
    return RpcError(absl::StatusCode::kResourceExhausted, "SEARCH_TOO_LONG",
                    "the search took longer than it may; narrow the filter down, by state or by "
                    "create_time");
  }
  LogError("job store failed", {{"code", code}, {"error", message}});
  return RpcError(absl::StatusCode::kInternal, "STORE_FAILED",
                  absl::StrCat("the job store failed (SQLite error ", code, ")"));
}

}  // namespace

Query::~Query() {
  if (statement_ == nullptr) return;  // moved away
  if (once_) {
    sqlite3_finalize(statement_);
    return;
  }
  sqlite3_reset(statement_);
  sqlite3_clear_bindings(statement_);
}

Query& Query::Bind(int64_t value) {
  sqlite3_bind_int64(statement_, next_parameter_++, value);
  return *this;
}

Query& Query::Bind(absl::string_view text) {
  sqlite3_bind_text64(statement_, next_parameter_++, text.data(), text.size(), SQLITE_TRANSIENT,
                      SQLITE_UTF8);
  return *this;
}

Query& Query::Bind(absl::Time time) {
  return Bind(absl::ToUnixMicros(time));  // saturates at the infinities
}

Query& Query::BindBlob(absl::string_view bytes) {
  // An empty view may have no address, which SQLite would take for NULL.
  sqlite3_bind_blob64(statement_, next_parameter_++, bytes.empty() ? "" : bytes.data(),
                      bytes.size(), SQLITE_TRANSIENT);
  return *this;
}

Query& Query::BindNull() {
  sqlite3_bind_null(statement_, next_parameter_++);
  return *this;
}

absl::StatusOr<bool> Query::Step() {
  if (statement_ == nullptr) return failure_;
  const int code = sqlite3_step(statement_);
  if (code == SQLITE_ROW) return true;
  if (code == SQLITE_DONE) return false;
  return ErrorOf(sqlite3_db_handle(statement_), code);
}

absl::Status Query::Run() { return Step().status(); }

absl::Time Query::Time(int column) const {
  const int64_t micros = Integer(column);
  if (micros == std::numeric_limits<int64_t>::min()) return absl::InfinitePast();
  if (micros == std::numeric_limits<int64_t>::max()) return absl::InfiniteFuture();
  return absl::FromUnixMicros(micros);
}

absl::string_view Query::Bytes(int column) const {
  const auto* data = static_cast<const char*>(sqlite3_column_blob(statement_, column));
  return {data, static_cast<size_t>(sqlite3_column_bytes(statement_, column))};
}

absl::StatusOr<std::unique_ptr<Database>> Database::Open(const std::string& path, Mode mode) {
  ConfigureOnce();
  sqlite3* connection = nullptr;
  const int flags =
      SQLITE_OPEN_NOMUTEX |
      (mode == Mode::kWriter ? SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE : SQLITE_OPEN_READONLY);
  const int code = sqlite3_open_v2(path.c_str(), &connection, flags, CheckedFiles());
  std::unique_ptr<Database> database(new Database(connection));
  if (code != SQLITE_OK) return ErrorOf(connection, code);
  sqlite3_extended_result_codes(connection, 1);
  sqlite3_busy_timeout(connection, kBusyMilliseconds);
  sqlite3_db_config(connection, SQLITE_DBCONFIG_LOOKASIDE, nullptr, kSlotBytes, kSlots);
  int reserved = kChecksumBytes;  // of a database that is made now, here or by VACUUM INTO
  sqlite3_file_control(connection, "main", SQLITE_FCNTL_RESERVE_BYTES, &reserved);
  RETURN_IF_ERROR(database->Execute("PRAGMA cache_size = -16384"));
  if (mode == Mode::kWriter) {
    // FULL: a commit is on the disk when it returns. The writer alone checkpoints, every 4,000
    // pages. What a savepoint could take back stays in memory: a batch touches so many pages that
    // it would go to a temporary file. So do the pages of a transaction until it ends, or the log's
    // checksums would not hold meanwhile. What is deleted or replaced is overwritten, however
    // SQLite was built: a subject that is erased can't be read from pages that its jobs gave back
    // before.
    RETURN_IF_ERROR(
        database->Execute("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
                          "PRAGMA wal_autocheckpoint = 4000; PRAGMA foreign_keys = ON;"
                          "PRAGMA temp_store = MEMORY; PRAGMA cache_spill = OFF;"
                          "PRAGMA secure_delete = ON"));
    if (Planted("visible-before-durable")) (void)database->Execute("PRAGMA synchronous = OFF");
  }
  return database;
}

Database::~Database() {
  for (auto& [sql, statement] : statements_) sqlite3_finalize(statement);
  sqlite3_close(connection_);
}

Database::Patience::Patience(Database& database, absl::Duration patience)
    : connection_(database.connection_),
      end_(std::chrono::steady_clock::now() + absl::ToChronoNanoseconds(patience)) {
  const auto is_over = [](void* self) {
    return std::chrono::steady_clock::now() >= static_cast<Patience*>(self)->end_ ? 1 : 0;
  };
  sqlite3_progress_handler(connection_, kStepsBetweenLooks, is_over, this);
}

Database::Patience::~Patience() { sqlite3_progress_handler(connection_, 0, nullptr, nullptr); }

bool Database::has_checksums() const { return HasChecksums(connection_); }

absl::StatusOr<sqlite3_stmt*> Database::Compile(const std::string& sql, unsigned flags) {
  sqlite3_stmt* statement = nullptr;
  const int code = sqlite3_prepare_v3(connection_, sql.c_str(), -1, flags, &statement, nullptr);
  if (code == SQLITE_OK) return statement;
  if ((code & 0xFF) != SQLITE_ERROR) return ErrorOf(connection_, code);
  LogError("bad statement", {{"sql", sql}, {"error", sqlite3_errmsg(connection_)}});
  std::abort();
}

Query Database::Prepare(const char* sql) {
  const auto known = statements_.find(sql);
  if (known != statements_.end()) return Query(known->second, /*once=*/false);
  const auto statement = Compile(sql, SQLITE_PREPARE_PERSISTENT);
  if (!statement.ok()) return Query(statement.status());
  statements_.emplace(sql, *statement);
  return Query(*statement, /*once=*/false);
}

Query Database::PrepareOnce(const std::string& sql) {
  const auto statement = Compile(sql, 0);
  return statement.ok() ? Query(*statement, /*once=*/true) : Query(statement.status());
}

absl::Status Database::Execute(const char* sql) {
  const int code = sqlite3_exec(connection_, sql, nullptr, nullptr, nullptr);
  return code == SQLITE_OK ? absl::OkStatus() : ErrorOf(connection_, code);
}

}  // namespace likeness::server
