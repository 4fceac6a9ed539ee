// The queue below gRPC, for the targets that work on jobs: stores in a folder of their own, and
// admission before them. One base model, models/a, is offered.
#pragma once

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "common/clock.h"
#include "server/blobs/filesystem/filesystem_blob_store.h"
#include "server/jobs/admission.h"
#include "server/jobs/sqlite/sqlite_job_store.h"
#include "server/webhooks/webhook_check.h"
#include "tests/fuzz/fuzz.h"

namespace likeness::fuzz {

struct Queue {
  Queue() {
    server::SqliteJobStoreOptions options;
    options.path = folder.path() + "/jobs.sqlite";
    jobs = *server::SqliteJobStore::Open(options, clock);
    blobs = *server::FilesystemBlobStore::Open(folder.path() + "/blobs", 1 << 20, clock);
    v1::BaseModel model;
    model.set_name("baseModels/a");
    Check(jobs->OfferBaseModels({model}).ok(), "a model is offered");
    secrets = *server::WebhookSecrets::Parse("* whsec_" + std::string(32, 'A'));
    quota = std::make_unique<server::BlobQuota>(*blobs, [](const std::string&) { return 1 << 30; });
    admission = std::make_unique<server::Admission>(
        *jobs, *blobs, *quota, server::Limits(),
        [this](const std::string& tenant, const v1::Webhook& webhook) {
          return server::CheckWebhook(tenant, webhook, secrets, server::AddressRules());
        },
        [] { return std::nullopt; },
        [](const std::string&, const std::vector<v1::Measure>&) { return true; },
        [](const v1::Requirements&) { return true; },
        [](const std::string&, absl::string_view) { return true; });
  }

  Scratch folder;
  FakeClock clock;
  std::unique_ptr<server::SqliteJobStore> jobs;
  std::unique_ptr<server::FilesystemBlobStore> blobs;
  std::unique_ptr<server::BlobQuota> quota;
  server::WebhookSecrets secrets;
  std::unique_ptr<server::Admission> admission;
};

// The fault would be ours.
inline bool IsOurs(const absl::Status& status) {
  return absl::IsInternal(status) || absl::IsUnknown(status) || absl::IsDataLoss(status);
}

}  // namespace likeness::fuzz
