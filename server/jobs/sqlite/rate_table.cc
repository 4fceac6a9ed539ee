#include "server/jobs/sqlite/rate_table.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "server/jobs/sqlite/queries.h"

namespace likeness::server {
namespace {

constexpr char kRead[] =
    "SELECT device, phase, variant, pixels, measured, rates FROM rates"
    " WHERE digest = ? AND method = ?";
constexpr char kReadOne[] =
    "SELECT rates FROM rates WHERE digest = ? AND method = ? AND device = ? AND phase = ?"
    " AND variant = ? AND pixels = ?";
constexpr char kWrite[] =
    "INSERT OR REPLACE INTO rates (digest, method, device, phase, variant, pixels, measured, rates)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?)";
constexpr char kForget[] =
    "DELETE FROM rates WHERE (digest, method, device, phase, variant, pixels) IN"
    " (SELECT digest, method, device, phase, variant, pixels FROM rates ORDER BY measured DESC"
    " LIMIT -1 OFFSET ?)";

constexpr int kMost = 5'000;
// In the column `phase` of a row that counts class pictures: `variant` says which, `pixels` how
// many.
constexpr int kClassImages = -1;

// Row of one kind of work. `phase` is a number of v1::JobPhase, or kClassImages.
struct Row {
  const std::string& digest;
  std::string method;
  const std::string& device;
  int phase;
  std::string variant;
  int64_t pixels;
};

void BindRow(Query& query, const Row& row) {
  query.Bind(row.digest).Bind(row.method).Bind(row.device);
  query.Bind(int64_t{row.phase}).Bind(row.variant).Bind(row.pixels);
}

absl::Status WriteRates(Database& database, const Row& row, const std::string& rates,
                        absl::Time now) {
  Query write = database.Prepare(kWrite);
  BindRow(write, row);
  return write.Bind(now).Bind(rates).Run();
}

// Whether the row is a new one.
absl::StatusOr<bool> Measure(Database& database, const Row& row, const Amounts& amounts,
                             double seconds, absl::Time now) {
  Rates rates;
  bool found = false;
  {
    Query read = database.Prepare(kReadOne);
    BindRow(read, row);
    ASSIGN_OR_RETURN(found, read.Step());
    if (found) rates = Rates::FromText(read.String(0)).value_or(Rates());
  }
  rates.Measure(amounts, seconds);
  RETURN_IF_ERROR(WriteRates(database, row, rates.ToText(), now));
  return !found;
}

// Of the base model, also where a job draws with a personalized one: those made from one base take
// as long. What the job resolved is the digest of the model that draws.
std::string BaseDigest(Database& database, const v1::Job& job) {
  const auto name = ParseModelName(ModelOf(job));
  if (name.ok() && !name->is_base()) {
    const auto model = ReadModel(database, *name);
    if (model.ok()) return model->base_model_digest();
  }
  return job.resolved().base_model_digest();
}

}  // namespace

absl::Status MeasureJob(Database& database, const JobRecord& record, absl::Time now) {
  const v1::Job& job = record.job;
  const v1::ResolvedSpec& settings = job.resolved();
  // Of a job that was resumed or tried again a part alone was measured.
  if (job.attempt() != 1 || settings.spec_case() == v1::ResolvedSpec::SPEC_NOT_SET) {
    return absl::OkStatus();
  }
  int64_t drawn = CountOfClassImages(settings.fine_tune());
  const auto said = job.metrics().find("class_images_drawn");
  if (said != job.metrics().end()) {
    drawn = static_cast<int64_t>(std::clamp(said->second, 0.0, static_cast<double>(drawn)));
  }
  const std::vector<Work> work = WorkOf(settings, drawn);
  const std::vector<double> seconds = MeasuredSeconds(work, job, record.run_time);
  if (seconds.empty()) return absl::OkStatus();
  const std::string digest = BaseDigest(database, job);
  Row row{digest, MethodOf(job), job.device(), 0, "", 0};
  bool more = false;
  for (size_t i = 0; i < work.size(); ++i) {
    row.phase = work[i].kind.phase;
    row.variant = work[i].kind.variant;
    row.pixels = work[i].kind.pixels;
    ASSIGN_OR_RETURN(const bool added, Measure(database, row, work[i].amounts, seconds[i], now));
    more = more || added;
  }
  if (const auto images = ClassImagesOf(settings)) {
    row.phase = kClassImages;
    row.variant = *images;
    row.pixels = CountOfClassImages(settings.fine_tune());
    RETURN_IF_ERROR(WriteRates(database, row, "", now));
    more = true;
  }
  if (!more) return absl::OkStatus();
  return database.Prepare(kForget).Bind(kMost).Run();
}

absl::StatusOr<std::vector<DeviceRates>> ReadRates(Database& database, const std::string& digest,
                                                   const std::string& method) {
  std::map<std::string, DeviceRates> devices;
  Query query = database.Prepare(kRead);
  query.Bind(digest).Bind(method);
  for (;;) {
    ASSIGN_OR_RETURN(const bool found, query.Step());
    if (!found) break;
    DeviceRates& device = devices[query.String(0)];
    device.device = query.String(0);
    device.measured = std::max(device.measured, query.Time(4));
    if (query.Integer(1) == kClassImages) {
      int64_t& images = device.class_images[query.String(2)];
      images = std::max(images, query.Integer(3));
      continue;
    }
    const auto phase = static_cast<v1::JobPhase>(query.Integer(1));
    if (auto rates = Rates::FromText(query.String(5))) {
      device.rates[{phase, query.String(2), query.Integer(3)}] = *std::move(rates);
    }
  }
  std::vector<DeviceRates> result;
  for (auto& [name, device] : devices) result.push_back(std::move(device));
  std::sort(result.begin(), result.end(), [](const DeviceRates& one, const DeviceRates& other) {
    return one.measured > other.measured;
  });
  return result;
}

}  // namespace likeness::server
