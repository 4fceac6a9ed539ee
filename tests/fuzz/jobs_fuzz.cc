// Jobs as clients ask for them, through admission: a serialized CreateJobRequest is checked, and
// one that passes the checks is accepted as it was said it would be.
#include <memory>

#include "common/clock.h"
#include "common/rpc_error.h"
#include "server/api/unknown_fields.h"
#include "server/blobs/filesystem/filesystem_blob_store.h"
#include "server/jobs/admission.h"
#include "server/jobs/sqlite/sqlite_job_store.h"
#include "server/webhooks/webhook_check.h"
#include "tests/fuzz/fuzz.h"

namespace likeness::server {
namespace {

using fuzz::Check;

struct Queue {
  Queue() {
    SqliteJobStoreOptions options;
    options.path = folder.path() + "/jobs.sqlite";
    jobs = *SqliteJobStore::Open(options, clock);
    blobs = *FilesystemBlobStore::Open(folder.path() + "/blobs", 1 << 20, clock);
    v1::BaseModel model;
    model.set_name("models/a");
    Check(jobs->OfferBaseModels({model}).ok(), "a model is offered");
    secrets = *WebhookSecrets::Parse("* whsec_" + std::string(32, 'A'));
    quota = std::make_unique<BlobQuota>(*blobs, [](const std::string&) { return 1 << 30; });
    admission =
        std::make_unique<Admission>(*jobs, *blobs, *quota, Limits(),
                                    [this](const std::string& tenant, const v1::Webhook& webhook) {
                                      return CheckWebhook(tenant, webhook, secrets, AddressRules());
                                    });
  }

  fuzz::Scratch folder;
  SystemClock clock;
  std::unique_ptr<SqliteJobStore> jobs;
  std::unique_ptr<FilesystemBlobStore> blobs;
  std::unique_ptr<BlobQuota> quota;
  WebhookSecrets secrets;
  std::unique_ptr<Admission> admission;
};

// The fault would be ours.
bool IsOurs(const absl::Status& status) {
  return absl::IsInternal(status) || absl::IsUnknown(status) || absl::IsDataLoss(status);
}

void Run(v1::CreateJobRequest request) {
  static std::unique_ptr<Queue> queue;
  static int accepted = 0;
  if (!queue || accepted > 2000) {
    queue = std::make_unique<Queue>();
    accepted = 0;
  }
  (void)RefuseUnknownFields(request);
  request.set_validate_only(true);
  const auto checked = queue->admission->Create("default", request);
  Check(!IsOurs(checked.status()), "a check ends well");
  request.set_validate_only(false);
  const auto created = queue->admission->Create("default", request);
  Check(!IsOurs(created.status()), "a creation ends well");
  if (request.request_id().empty()) {
    Check(checked.ok() == created.ok(), "what was checked is accepted");
  }
  if (!created.ok()) return;
  ++accepted;
  const auto name = ParseJobName(created->name());
  Check(name.ok() && queue->jobs->Get(*name).ok(), "what was accepted is there");
}

}  // namespace
}  // namespace likeness::server

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  likeness::v1::CreateJobRequest request;
  (void)request.ParsePartialFromArray(data, static_cast<int>(size));
  likeness::server::Run(std::move(request));
  return 0;
}
