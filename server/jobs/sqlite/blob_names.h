// Which blobs the database names.
#pragma once

#include <string>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "google/protobuf/message.h"
#include "server/jobs/job_store.h"
#include "server/jobs/sqlite/database.h"

namespace likeness::server {

// See JobStore::VisitBlobs. Reads piece by piece, so that the log can be written back meanwhile.
absl::Status VisitBlobNames(Database& database, absl::FunctionRef<void(const NamedBlob&)> visit);

// Those of this tenant, whose record the message is, in fields called `blob`. No other text names
// one, whatever it says: a prompt, a label and a log line are what somebody likes to write.
void VisitBlobsOf(const google::protobuf::Message& message, const std::string& tenant,
                  absl::FunctionRef<void(const NamedBlob&)> visit);

}  // namespace likeness::server
