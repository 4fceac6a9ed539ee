// The clock by which a store keeps what lasts: it goes on from where it stood at the last commit,
// and stands still while no server runs. So nothing in the store lies in its future, whatever has
// become of the date meanwhile.
#pragma once

#include "absl/status/statusor.h"
#include "common/clock.h"
#include "server/jobs/moment.h"
#include "server/jobs/sqlite/database.h"

namespace likeness::server {

// Thread-safe.
class StoreClock {
 public:
  // `clock` must outlive this.
  static absl::StatusOr<StoreClock> Open(Database& database, const Clock& clock);

  Moment Now() const { return {clock_.Now(), FromProcess(clock_.Steady())}; }

  // Between Clock::Steady of this process and Moment::steady. The infinities stay.
  absl::Time FromProcess(absl::Time time) const { return time + ahead_; }
  absl::Time ToProcess(absl::Time time) const { return time - ahead_; }

  // Notes how late it is. Part of every commit.
  absl::Status Save(Database& database) const;

 private:
  StoreClock(const Clock& clock, absl::Duration ahead) : clock_(clock), ahead_(ahead) {}

  const Clock& clock_;
  const absl::Duration ahead_;
};

}  // namespace likeness::server
