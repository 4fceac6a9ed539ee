// Records of stores before version 11, which hold messages of the contract before 1.0.
//
// A field that stayed kept its number. One that was moved or changed its type has a new number, and
// its old one is reserved: what a record holds under it is an unknown field of today's message,
// from which it is brought to its new place.
#pragma once

#include "absl/status/status.h"
#include "google/protobuf/message.h"
#include "server/jobs/sqlite/database.h"

namespace likeness::server {

// Brings the message, and all within it, up to date. Returns whether that changed anything.
bool RenewRecord(google::protobuf::Message& message);

// The same with every record of the database. Part of a migration's transaction.
absl::Status RenewRecords(Database& database);

}  // namespace likeness::server
