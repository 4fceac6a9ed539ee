// Which blobs the database names.
#pragma once

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "google/protobuf/message.h"
#include "server/jobs/job_store.h"
#include "server/jobs/sqlite/database.h"

namespace likeness::server {

// See JobStore::VisitBlobs. Reads piece by piece, so that the log can be written back meanwhile.
absl::Status VisitBlobNames(Database& database, absl::FunctionRef<void(const NamedBlob&)> visit);

// Those that a message names, in whichever field.
void VisitBlobsOf(const google::protobuf::Message& message,
                  absl::FunctionRef<void(const NamedBlob&)> visit);

}  // namespace likeness::server
