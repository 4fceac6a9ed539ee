#include "server/jobs/sqlite/blob_names.h"

#include <limits>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "common/resource_names.h"
#include "common/status_macros.h"
#include "google/protobuf/message.h"

namespace likeness::server {
namespace {

constexpr char kJobs[] =
    "SELECT key, tenant, job, checkpoint, state, end_time FROM jobs WHERE key > ? ORDER BY key"
    " LIMIT 500";
constexpr char kEvents[] =
    "SELECT job, seq, event, (SELECT tenant FROM jobs WHERE jobs.key = events.job)"
    " FROM events WHERE (job, seq) > (?, ?) ORDER BY job, seq LIMIT 2000";
constexpr char kModels[] =
    "SELECT tenant, id, model FROM models WHERE (tenant, id) > (?, ?) ORDER BY tenant, id"
    " LIMIT 500";

// What a field is called that names a blob: of Photo, ImportSpec, Output and Checkpoint.
constexpr char kBlobField[] = "blob";

using Visit = absl::FunctionRef<void(const NamedBlob&)>;

void VisitMessage(const google::protobuf::Message& message, const std::string& tenant,
                  Visit visit) {
  using google::protobuf::FieldDescriptor;
  const auto* reflection = message.GetReflection();
  std::vector<const FieldDescriptor*> fields;
  reflection->ListFields(message, &fields);
  for (const FieldDescriptor* field : fields) {
    if (field->cpp_type() == FieldDescriptor::CPPTYPE_STRING && field->name() == kBlobField) {
      const auto name = ParseBlobName(reflection->GetString(message, field));
      if (name.ok() && name->tenant == tenant) visit({*name});
    }
    if (field->cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE) continue;
    if (!field->is_repeated()) {
      VisitMessage(reflection->GetMessage(message, field), tenant, visit);
      continue;
    }
    for (int i = 0; i < reflection->FieldSize(message, field); ++i) {
      VisitMessage(reflection->GetRepeatedMessage(message, field, i), tenant, visit);
    }
  }
}

absl::Status Unreadable() { return absl::DataLossError("a row of the job store cannot be read"); }

// Changes of state that carry the job itself name what its own row names.
absl::Status VisitEvent(absl::string_view bytes, const std::string& tenant, Visit visit) {
  if (!absl::StrContains(bytes, "/blobs/")) return absl::OkStatus();
  v1::JobEvent event;
  if (!event.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) return Unreadable();
  if (!event.has_state_change()) VisitMessage(event, tenant, visit);
  return absl::OkStatus();
}

template <typename Message>
absl::Status VisitBytes(absl::string_view bytes, const std::string& tenant, Visit visit) {
  if (!absl::StrContains(bytes, "/blobs/")) return absl::OkStatus();  // most name none
  Message message;
  if (!message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return Unreadable();
  }
  VisitMessage(message, tenant, visit);
  return absl::OkStatus();
}

// A job that ended before it ever ran needs its photos for a retry alone.
absl::Status VisitJob(const Query& row, Visit visit) {
  if (!absl::StrContains(row.Bytes(2), "/blobs/")) return absl::OkStatus();
  v1::Job job;
  if (!job.ParseFromString(row.String(2))) return Unreadable();
  const bool ended = job.state() == v1::JOB_STATE_FAILED || job.state() == v1::JOB_STATE_CANCELLED;
  const absl::Time until = ended && job.attempt() == 0 ? row.Time(5) : absl::InfiniteFuture();
  VisitMessage(job, row.String(1), [&](const NamedBlob& blob) { visit({blob.name, until}); });
  return absl::OkStatus();
}

absl::Status VisitCheckpoint(const Query& job, Visit visit) {
  if (job.IsNull(3)) return absl::OkStatus();
  const int64_t state = job.Integer(4);
  if (state == v1::JOB_STATE_SUCCEEDED) return absl::OkStatus();
  const bool ended = state == v1::JOB_STATE_FAILED || state == v1::JOB_STATE_CANCELLED;
  const absl::Time until = ended ? job.Time(5) : absl::InfiniteFuture();
  return VisitBytes<v1::Checkpoint>(job.Bytes(3), job.String(1), [&](const NamedBlob& blob) {
    visit({blob.name, until});
  });
}

absl::Status VisitJobs(Database& database, Visit visit) {
  int64_t after = std::numeric_limits<int64_t>::min();
  for (bool more = true; more;) {
    more = false;
    Query query = database.Prepare(kJobs);
    query.Bind(after);
    for (;;) {
      ASSIGN_OR_RETURN(bool found, query.Step());
      if (!found) break;
      more = true;
      after = query.Integer(0);
      RETURN_IF_ERROR(VisitJob(query, visit));
      RETURN_IF_ERROR(VisitCheckpoint(query, visit));
    }
  }
  return absl::OkStatus();
}

absl::Status VisitEvents(Database& database, Visit visit) {
  int64_t job = std::numeric_limits<int64_t>::min();
  int64_t seq = 0;
  for (bool more = true; more;) {
    more = false;
    Query query = database.Prepare(kEvents);
    query.Bind(job).Bind(seq);
    for (;;) {
      ASSIGN_OR_RETURN(bool found, query.Step());
      if (!found) break;
      more = true;
      job = query.Integer(0);
      seq = query.Integer(1);
      RETURN_IF_ERROR(VisitEvent(query.Bytes(2), query.String(3), visit));
    }
  }
  return absl::OkStatus();
}

absl::Status VisitModels(Database& database, Visit visit) {
  std::string tenant;
  std::string id;
  for (bool more = true; more;) {
    more = false;
    Query query = database.Prepare(kModels);
    query.Bind(tenant).Bind(id);
    for (;;) {
      ASSIGN_OR_RETURN(bool found, query.Step());
      if (!found) break;
      more = true;
      tenant = query.String(0);
      id = query.String(1);
      RETURN_IF_ERROR(VisitBytes<v1::Model>(query.Bytes(2), tenant, visit));
    }
  }
  return absl::OkStatus();
}

}  // namespace

void VisitBlobsOf(const google::protobuf::Message& message, const std::string& tenant,
                  Visit visit) {
  VisitMessage(message, tenant, visit);
}

absl::Status VisitBlobNames(Database& database, Visit visit) {
  // Models last: a job that ends and is deleted meanwhile leaves its files to its model.
  RETURN_IF_ERROR(VisitJobs(database, visit));
  RETURN_IF_ERROR(VisitEvents(database, visit));
  return VisitModels(database, visit);
}

}  // namespace likeness::server
