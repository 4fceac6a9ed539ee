// What a job made, brought to this machine.
#pragma once

#include <stop_token>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "client/cli/screen.h"
#include "client/lib/connection.h"
#include "client/lib/download.h"

namespace likeness::client {

bool IsPicture(const v1::Output& output);    // finished ones, previews and the contact sheet
bool IsForPeople(const v1::Output& output);  // those, and reports
bool IsModelFile(const v1::Output& output);
bool IsExport(const v1::Output& output);  // a file of an export job

// What --force says about files that are there.
Existing ReplaceOrRefuse(bool force);

// `status` with --force as a way out, if a file is there already.
absl::Status WithForce(const absl::Status& status);

// Bytes of the personalized model; 0 if the job made none.
int64_t ModelBytes(const v1::Job& job);

// Fetches those of `job`'s outputs that `wanted` says yes to, below `folder`, with a bar on
// `screen`. Returns their paths in the job's order. What is there already is not fetched again.
absl::StatusOr<std::vector<std::string>> DownloadOutputs(const Connection& connection,
                                                         const v1::Job& job,
                                                         const std::string& folder,
                                                         bool (*wanted)(const v1::Output&),
                                                         Existing existing, Screen& screen,
                                                         std::stop_token stop = {});

// Fetches one output; returns its path. A file that is there and holds something else stays.
absl::StatusOr<std::string> DownloadOutput(const Connection& connection, const v1::Output& output,
                                           const std::string& folder,
                                           Existing existing = Existing::kKeep,
                                           std::stop_token stop = {});

// Writes bytes that came with a stream to the output's place below `folder`; returns its path.
absl::StatusOr<std::string> WriteOutput(const v1::Output& output, const std::string& bytes,
                                        const std::string& folder,
                                        Existing existing = Existing::kKeep);

}  // namespace likeness::client
