// The base models that workers offer. An offer that nobody repeats runs out; of each name and
// digest there is one row: what was said last of it, written when somebody says something new, else
// at most once a minute, however many workers ask for work and whatever they differ in.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_set.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "likeness/v1/model.pb.h"
#include "server/jobs/sqlite/read_pool.h"
#include "server/jobs/sqlite/store_clock.h"
#include "server/jobs/sqlite/writer.h"

namespace likeness::server {

// Thread-safe.
class BaseModelTable {
 public:
  // An offer holds for `lifetime`. The others must outlive this.
  BaseModelTable(ReadPool& readers, Writer& writer, const StoreClock& clock,
                 absl::Duration lifetime)
      : readers_(readers), writer_(writer), clock_(clock), lifetime_(lifetime) {}

  absl::Status Offer(const std::vector<v1::BaseModel>& models);

  // By name. Of one that is offered under several digests, the one that was offered last.
  absl::StatusOr<std::vector<v1::BaseModel>> List();

 private:
  struct Row {
    v1::BaseModel model;
    absl::Time offered;      // on the queue's clock
    std::string serialized;  // as it was offered, without a time
  };
  // By name and time.
  absl::StatusOr<std::shared_ptr<const std::vector<Row>>> Rows();
  bool IsKnown(const v1::BaseModel& offered);

  ReadPool& readers_;
  Writer& writer_;
  const StoreClock& clock_;
  const absl::Duration lifetime_;
  std::mutex mutex_;
  // As they are in the database; nothing if that may have changed. Every job and poll asks.
  std::shared_ptr<const std::vector<Row>> rows_ ABSL_GUARDED_BY(mutex_);
  // Of all offers that were written (HashOf): workers with different evaluators say different
  // things of one model by turns.
  absl::flat_hash_set<size_t> known_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace likeness::server
