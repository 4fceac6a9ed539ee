#include "server/jobs/sqlite/event_table.h"

#include <limits>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "common/status_macros.h"
#include "server/base/planted.h"

namespace likeness::server {
namespace {

constexpr char kInsert[] =
    "INSERT INTO events (job, seq, commit_number, event) VALUES (?, ?, ?, ?)";
constexpr char kFromTheLast[] =
    "SELECT seq, event FROM events WHERE job = ? AND seq < ? ORDER BY seq DESC";
constexpr char kLastSeq[] = "SELECT last_seq FROM jobs WHERE key = ?";
constexpr int64_t kBetweenCuts = 3 * kKeptLogLines;  // events
constexpr char kDelete[] = "DELETE FROM events WHERE job = ? AND seq = ?";
constexpr char kCompacted[] = "UPDATE jobs SET compacted_seq = last_seq - 1 WHERE key = ?";

// Which lines belong to the end of a log, asked from the last one back.
class LogEnd {
 public:
  LogEnd(int lines, int64_t bytes) : lines_(lines), bytes_(bytes) {}

  bool Has(const v1::LogLine& line) {
    --lines_;
    bytes_ -= static_cast<int64_t>(line.text().size());
    return lines_ >= 0 && bytes_ >= 0;
  }

 private:
  int lines_;
  int64_t bytes_;
};

// Deletes the events of the job before `end` of which `keep`, asked from the last one back, says
// no.
absl::StatusOr<int> DeleteUnless(absl::FunctionRef<bool(const v1::JobEvent&)> keep,
                                 Database& database, int64_t key, int64_t end) {
  std::vector<int64_t> gone;
  {
    Query query = database.Prepare(kFromTheLast);
    query.Bind(key).Bind(end);
    for (;;) {
      ASSIGN_OR_RETURN(bool found, query.Step());
      if (!found) break;
      v1::JobEvent event;
      event.ParseFromString(query.String(1));
      if (!keep(event)) gone.push_back(query.Integer(0));
    }
  }
  for (const int64_t seq : gone) {
    RETURN_IF_ERROR(database.Prepare(kDelete).Bind(key).Bind(seq).Run());
  }
  return static_cast<int>(gone.size());
}

// Whether these events, which go up by one, pass a multiple of kBetweenCuts.
bool IsTimeToCut(const std::vector<v1::JobEvent>& events) {
  return !events.empty() &&
         (events.front().seq() - 1) / kBetweenCuts != events.back().seq() / kBetweenCuts;
}

absl::Status ShortenLog(Database& database, int64_t key) {
  LogEnd log(kKeptLogLines, std::numeric_limits<int64_t>::max());
  return DeleteUnless(
             [&](const v1::JobEvent& event) { return !event.has_log() || log.Has(event.log()); },
             database, key, std::numeric_limits<int64_t>::max())
      .status();
}

}  // namespace

absl::Status InsertEvents(Database& database, int64_t commit, const JobRecord& record) {
  for (const v1::JobEvent& event : record.new_events) {
    if (Planted("event-dropped") && event.seq() % 5 == 0) continue;
    Query query = database.Prepare(kInsert);
    query.Bind(record.key).Bind(event.seq()).Bind(commit).BindBlob(event.SerializeAsString());
    RETURN_IF_ERROR(query.Run());
  }
  // Looks at the events themselves seldom, so that a line costs little.
  return IsTimeToCut(record.new_events) ? ShortenLog(database, record.key) : absl::OkStatus();
}

absl::StatusOr<int> CompactEvents(Database& database, int64_t key) {
  Query last_seq = database.Prepare(kLastSeq);
  ASSIGN_OR_RETURN(const bool found, last_seq.Bind(key).Step());
  const int64_t last = found ? last_seq.Integer(0) : 0;
  LogEnd log(kKeptLogLines, kKeptLogBytes);
  const auto keep = [&](const v1::JobEvent& event) {
    return event.has_state_change() || (event.has_log() && log.Has(event.log()));
  };
  ASSIGN_OR_RETURN(const int gone, DeleteUnless(keep, database, key, last));
  RETURN_IF_ERROR(database.Prepare(kCompacted).Bind(key).Run());
  return gone;
}

}  // namespace likeness::server
