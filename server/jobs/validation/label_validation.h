// Labels: of jobs, of workers, and those that jobs require of workers.
#pragma once

#include <string>

#include "google/protobuf/map.h"
#include "server/jobs/validation/field_checker.h"

namespace likeness::server {

using Labels = google::protobuf::Map<std::string, std::string>;

// TOO_MANY_LABELS, INVALID_LABEL.
void CheckLabels(const std::string& field, const Labels& labels, FieldChecker& checker);

// The same for labels that are matched between jobs and workers; CONTROL_CHARACTERS besides.
void CheckMatchLabels(const std::string& field, const Labels& labels, FieldChecker& checker);

}  // namespace likeness::server
