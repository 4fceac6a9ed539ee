#include "server/jobs/sqlite/store_clock.h"

#include "common/status_macros.h"

namespace likeness::server {
namespace {

constexpr char kSaved[] = "SELECT value FROM meta WHERE name = 'steady_time'";
constexpr char kSave[] = "UPDATE meta SET value = MAX(value, ?) WHERE name = 'steady_time'";

}  // namespace

absl::StatusOr<StoreClock> StoreClock::Open(Database& database, const Clock& clock) {
  Query query = database.Prepare(kSaved);
  RETURN_IF_ERROR(query.Run());
  // A new file begins with the date, so that its times can be read.
  const absl::Time saved = query.Integer(0) == 0 ? clock.Now() : query.Time(0);
  return StoreClock(clock, saved - clock.Steady());
}

absl::Status StoreClock::Save(Database& database) const {
  return database.Prepare(kSave).Bind(Now().steady).Run();
}

}  // namespace likeness::server
