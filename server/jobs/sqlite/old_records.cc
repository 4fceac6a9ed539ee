#include "server/jobs/sqlite/old_records.h"

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/casts.h"
#include "absl/functional/function_ref.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/rpc_error.h"
#include "common/status_macros.h"
#include "google/protobuf/unknown_field_set.h"
#include "likeness/v1/event.pb.h"
#include "likeness/v1/model.pb.h"
#include "likeness/v1/worker_service.pb.h"

namespace likeness::server {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::UnknownField;

constexpr char kOldBase[] = "models/";

// Numbers of fields as they were.
constexpr int kProgressPhase = 1;
constexpr int kProgressPhases = 6;
constexpr int kGenerateModel = 1;
constexpr int kTrainingTextEncoderRate = 3;

// What a message holds under a number that is no field of it any longer; valid until Drop.
std::vector<UnknownField> Take(Message& message, int number) {
  auto& unknown = *message.GetReflection()->MutableUnknownFields(&message);
  std::vector<UnknownField> taken;
  for (int i = 0; i < unknown.field_count(); ++i) {
    if (unknown.field(i).number() == number) taken.push_back(unknown.field(i));
  }
  return taken;
}

void Drop(Message& message, int number) {
  message.GetReflection()->MutableUnknownFields(&message)->DeleteByNumber(number);
}

v1::JobPhase PhaseNamed(absl::string_view name) {
  static constexpr std::pair<absl::string_view, v1::JobPhase> kNames[] = {
      {"queued", v1::JOB_PHASE_QUEUED},
      {"preparing", v1::JOB_PHASE_PREPARING},
      {"class pictures", v1::JOB_PHASE_CLASS_IMAGES},
      {"training", v1::JOB_PHASE_TRAINING},
      {"saving", v1::JOB_PHASE_SAVING},
      {"samples", v1::JOB_PHASE_SAMPLING},
      {"uploading", v1::JOB_PHASE_UPLOADING},
      {"done", v1::JOB_PHASE_DONE},
  };
  for (const auto& [known, phase] : kNames) {
    if (known == name) return phase;
  }
  return v1::JOB_PHASE_UNSPECIFIED;
}

bool RenewName(std::string* name) {
  if (!absl::StartsWith(*name, kOldBase)) return false;
  *name = absl::StrCat("baseModels/", name->substr(sizeof(kOldBase) - 1));
  return true;
}

bool Renew(v1::Progress& progress) {
  const auto phase = Take(progress, kProgressPhase);
  const auto phases = Take(progress, kProgressPhases);
  for (const UnknownField& field : phase) {
    if (field.type() != UnknownField::TYPE_LENGTH_DELIMITED) continue;
    progress.set_phase(PhaseNamed(field.length_delimited()));
  }
  for (const UnknownField& field : phases) {
    if (field.type() != UnknownField::TYPE_LENGTH_DELIMITED) continue;
    progress.add_phases(PhaseNamed(field.length_delimited()));
  }
  if (progress.unit() == "pictures") progress.set_unit("images");
  Drop(progress, kProgressPhase);
  Drop(progress, kProgressPhases);
  return !phase.empty() || !phases.empty();
}

bool Renew(v1::GenerateSpec& spec) {
  const auto model = Take(spec, kGenerateModel);
  for (const UnknownField& field : model) {
    if (field.type() != UnknownField::TYPE_LENGTH_DELIMITED) continue;
    std::string& name = *spec.mutable_model()->mutable_name();
    name = field.length_delimited();
    RenewName(&name);
  }
  Drop(spec, kGenerateModel);
  return !model.empty();
}

bool Renew(v1::FineTuneSpec& spec) {
  bool renewed = RenewName(spec.mutable_base_model());
  if (!spec.has_training()) return renewed;
  v1::Training& training = *spec.mutable_training();
  for (const UnknownField& field : Take(training, kTrainingTextEncoderRate)) {
    renewed = true;
    if (field.type() != UnknownField::TYPE_FIXED64) continue;
    spec.mutable_dreambooth()->set_text_encoder_learning_rate(
        absl::bit_cast<double>(field.fixed64()));
  }
  Drop(training, kTrainingTextEncoderRate);
  return renewed;
}

bool Renew(v1::BaseModel& model) {
  if (!RenewName(model.mutable_name())) return false;
  model.set_display_name(model.name().substr(model.name().find('/') + 1));
  return true;
}

// Seed 0 was not told from none; pictures have one.
bool Renew(v1::Output& output) {
  const bool drawn =
      output.kind() == v1::OUTPUT_KIND_IMAGE || output.kind() == v1::OUTPUT_KIND_PREVIEW;
  if (!drawn || output.has_seed()) return false;
  output.set_seed(0);
  return true;
}

template <typename Record>
bool RenewIf(Message& message, bool* renewed) {
  if (message.GetDescriptor() != Record::descriptor()) return false;
  *renewed = Renew(static_cast<Record&>(message)) || *renewed;
  return true;
}

absl::Status DamagedRow(absl::string_view table, absl::string_view key, absl::string_view what) {
  return RpcError(absl::StatusCode::kDataLoss, "STORE_DAMAGED",
                  absl::StrCat("the job store cannot be brought up to date: table ", table, ", ",
                               key, ": ", what, "; nothing was changed"));
}

// Pages through a table by up to two columns of its key, and writes back the records that change.
// `read` selects key, key, record; both have the same order of keys.
template <typename Record>
absl::Status RenewTable(Database& database, const char* table, const char* read,
                        const char* write) {
  constexpr int kRows = 500;
  struct Row {
    int64_t key = -1;
    int64_t seq = -1;
    Record record;
    bool renewed = false;
  };
  Row last;
  for (;;) {
    std::vector<Row> rows;
    {
      Query query = database.Prepare(read);
      query.Bind(last.key).Bind(last.seq).Bind(kRows);
      for (;;) {
        const auto found = query.Step();
        if (!found.ok()) {
          const Row& before = rows.empty() ? last : rows.back();
          return DamagedRow(table, absl::StrCat("after key ", before.key, "/", before.seq),
                            found.status().message());
        }
        if (!*found) break;
        Row& row = rows.emplace_back();
        row.key = query.Integer(0);
        row.seq = query.Integer(1);
        if (!row.record.ParseFromString(query.String(2))) {
          return DamagedRow(table, absl::StrCat("key ", row.key, "/", row.seq),
                            "the record cannot be read");
        }
        row.renewed = RenewRecord(row.record);
      }
    }
    for (const Row& row : rows) {
      if (!row.renewed) continue;
      Query query = database.Prepare(write);
      query.BindBlob(row.record.SerializeAsString()).Bind(row.key).Bind(row.seq);
      RETURN_IF_ERROR(query.Run());
    }
    if (rows.size() < kRows) return absl::OkStatus();
    last = std::move(rows.back());
  }
}

// Tables with keys of text, which are small.
template <typename Record>
absl::Status RenewNamed(Database& database, const char* table, const char* read,
                        const char* write) {
  std::vector<std::pair<std::pair<std::string, std::string>, std::string>> rows;
  {
    Query query = database.Prepare(read);
    for (;;) {
      const auto found = query.Step();
      if (!found.ok()) return DamagedRow(table, "some key", found.status().message());
      if (!*found) break;
      Record record;
      if (!record.ParseFromString(query.String(2))) {
        return DamagedRow(table, absl::StrCat("key ", query.Bytes(0), "/", query.Bytes(1)),
                          "the record cannot be read");
      }
      if (!RenewRecord(record)) continue;
      rows.push_back({{query.String(0), query.String(1)}, record.SerializeAsString()});
    }
  }
  for (const auto& [key, bytes] : rows) {
    RETURN_IF_ERROR(database.Prepare(write).BindBlob(bytes).Bind(key.first).Bind(key.second).Run());
  }
  return absl::OkStatus();
}

}  // namespace

bool RenewRecord(Message& message) {
  bool renewed = false;
  RenewIf<v1::Progress>(message, &renewed) || RenewIf<v1::GenerateSpec>(message, &renewed) ||
      RenewIf<v1::FineTuneSpec>(message, &renewed) || RenewIf<v1::BaseModel>(message, &renewed) ||
      RenewIf<v1::Output>(message, &renewed);
  if (message.GetDescriptor() == v1::Model::descriptor()) {
    renewed = RenewName(static_cast<v1::Model&>(message).mutable_base_model()) || renewed;
  }
  const auto* reflection = message.GetReflection();
  std::vector<const FieldDescriptor*> fields;
  reflection->ListFields(message, &fields);
  for (const FieldDescriptor* field : fields) {
    if (field->cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE || field->is_map()) continue;
    if (!field->is_repeated()) {
      renewed = RenewRecord(*reflection->MutableMessage(&message, field)) || renewed;
      continue;
    }
    for (int i = 0; i < reflection->FieldSize(message, field); ++i) {
      renewed = RenewRecord(*reflection->MutableRepeatedMessage(&message, field, i)) || renewed;
    }
  }
  return renewed;
}

absl::Status RenewRecords(Database& database) {
  RETURN_IF_ERROR(RenewTable<v1::Job>(
      database, "jobs",
      "SELECT key, 0, job FROM jobs WHERE key > ?1 AND ?2 < 1 ORDER BY key LIMIT ?3",
      "UPDATE jobs SET job = ?1 WHERE key = ?2 AND ?3 = 0"));
  RETURN_IF_ERROR(RenewTable<v1::Checkpoint>(
      database, "jobs",
      "SELECT key, 0, checkpoint FROM jobs WHERE key > ?1 AND ?2 < 1 AND checkpoint IS NOT NULL"
      " ORDER BY key LIMIT ?3",
      "UPDATE jobs SET checkpoint = ?1 WHERE key = ?2 AND ?3 = 0"));
  RETURN_IF_ERROR(RenewTable<v1::JobEvent>(
      database, "events",
      "SELECT job, seq, event FROM events WHERE (job, seq) > (?1, ?2) ORDER BY job, seq LIMIT ?3",
      "UPDATE events SET event = ?1 WHERE job = ?2 AND seq = ?3"));
  RETURN_IF_ERROR(RenewTable<v1::Progress>(
      database, "reports",
      "SELECT owner, 0, progress FROM reports WHERE owner > ?1 AND ?2 < 1 ORDER BY owner LIMIT ?3",
      "UPDATE reports SET progress = ?1 WHERE owner = ?2 AND ?3 = 0"));
  RETURN_IF_ERROR(RenewTable<v1::WebhookCall>(
      database, "webhook_calls",
      "SELECT key, 0, call FROM webhook_calls WHERE key > ?1 AND ?2 < 1 ORDER BY key LIMIT ?3",
      "UPDATE webhook_calls SET call = ?1 WHERE key = ?2 AND ?3 = 0"));
  RETURN_IF_ERROR(RenewNamed<v1::Model>(
      database, "models", "SELECT tenant, id, model FROM models WHERE model IS NOT NULL",
      "UPDATE models SET model = ? WHERE tenant = ? AND id = ?"));
  return RenewNamed<v1::BaseModel>(
      database, "base_models", "SELECT name, digest, model FROM base_models",
      "UPDATE base_models SET model = ? WHERE name = ? AND digest = ?");
}

}  // namespace likeness::server
