#include "server/jobs/sqlite/base_model_table.h"

#include <algorithm>
#include <string>
#include <utility>

#include "absl/hash/hash.h"
#include "common/status_macros.h"
#include "google/protobuf/util/message_differencer.h"
#include "server/jobs/proto_time.h"

namespace likeness::server {
namespace {

constexpr char kRead[] = "SELECT model, offered FROM base_models ORDER BY name, offered";
constexpr char kOffer[] =
    "INSERT INTO base_models (name, digest, offered, model) VALUES (?, ?, ?, ?)"
    " ON CONFLICT (name, digest) DO UPDATE SET offered = excluded.offered, model = excluded.model";
constexpr char kForget[] = "DELETE FROM base_models WHERE offered <= ?";
constexpr char kForgetMost[] =
    "DELETE FROM base_models WHERE (name, digest) IN"
    " (SELECT name, digest FROM base_models ORDER BY offered DESC LIMIT -1 OFFSET ?)";

// What did not change is written again only this often, to keep last_offered_time about right.
constexpr absl::Duration kOfferInterval = absl::Minutes(1);
constexpr size_t kMost = 10'000;

v1::BaseModel WithoutTime(v1::BaseModel model) {
  model.clear_last_offered_time();
  return model;
}

size_t HashOf(const v1::BaseModel& offered) { return absl::HashOf(offered.SerializeAsString()); }

bool IsOfSameModel(const v1::BaseModel& kept, const v1::BaseModel& offered) {
  return kept.name() == offered.name() && kept.digest() == offered.digest();
}

// Of one model; `kept` has a time besides. Bytes are compared first, which are nearly always the
// same, since every poll offers them and comparing fields takes longer than all the rest of it.
bool IsSame(const v1::BaseModel& kept, const std::string& kept_bytes,
            const v1::BaseModel& offered) {
  return kept_bytes == offered.SerializeAsString() ||
         google::protobuf::util::MessageDifferencer::Equals(WithoutTime(kept), offered);
}

}  // namespace

absl::Status BaseModelTable::Offer(const std::vector<v1::BaseModel>& models) {
  const Moment now = clock_.Now();
  ASSIGN_OR_RETURN(const auto rows, Rows());
  std::vector<v1::BaseModel> news;
  for (const v1::BaseModel& model : models) {
    const bool fresh = std::any_of(rows->begin(), rows->end(), [&](const Row& row) {
      return now.steady - row.offered < kOfferInterval && IsOfSameModel(row.model, model) &&
             (IsSame(row.model, row.serialized, model) || IsKnown(model));
    });
    if (fresh) continue;
    *news.emplace_back(model).mutable_last_offered_time() = ToProto(now.wall);
  }
  if (news.empty()) return absl::OkStatus();
  RETURN_IF_ERROR(writer_.Run([&](Transaction& transaction) -> absl::Status {
    Database& database = transaction.database;
    for (const v1::BaseModel& model : news) {
      Query query = database.Prepare(kOffer);
      query.Bind(model.name()).Bind(model.digest()).Bind(now.steady);
      RETURN_IF_ERROR(query.BindBlob(model.SerializeAsString()).Run());
    }
    RETURN_IF_ERROR(database.Prepare(kForget).Bind(now.steady - lifetime_).Run());
    return database.Prepare(kForgetMost).Bind(static_cast<int64_t>(kMost)).Run();
  }));
  std::lock_guard lock(mutex_);
  rows_.reset();
  for (v1::BaseModel& model : news) {
    if (known_.size() >= kMost) known_.clear();  // they are written once more
    known_.insert(HashOf(WithoutTime(std::move(model))));
  }
  return absl::OkStatus();
}

bool BaseModelTable::IsKnown(const v1::BaseModel& offered) {
  const size_t hash = HashOf(offered);
  std::lock_guard lock(mutex_);
  return known_.contains(hash);
}

absl::StatusOr<std::vector<v1::BaseModel>> BaseModelTable::List() {
  const absl::Time now = clock_.Now().steady;
  ASSIGN_OR_RETURN(const auto rows, Rows());
  std::vector<v1::BaseModel> models;
  for (const Row& row : *rows) {
    if (row.offered + lifetime_ <= now) continue;
    if (!models.empty() && models.back().name() == row.model.name()) models.pop_back();
    models.push_back(row.model);
  }
  return models;
}

absl::StatusOr<std::shared_ptr<const std::vector<BaseModelTable::Row>>> BaseModelTable::Rows() {
  std::lock_guard lock(mutex_);
  if (rows_) return rows_;
  ASSIGN_OR_RETURN(auto database, readers_.Borrow());
  Query query = database->Prepare(kRead);
  std::vector<Row> rows;
  for (;;) {
    ASSIGN_OR_RETURN(bool found, query.Step());
    if (!found) break;
    Row& row = rows.emplace_back();
    row.model.ParseFromString(query.String(0));
    row.offered = query.Time(1);
    row.serialized = WithoutTime(row.model).SerializeAsString();
  }
  rows_ = std::make_shared<const std::vector<Row>>(std::move(rows));
  return rows_;
}

}  // namespace likeness::server
