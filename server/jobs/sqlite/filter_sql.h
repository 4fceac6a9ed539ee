// A job filter as a condition of SQL.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "server/jobs/job_filter.h"

namespace likeness::server {

// An expression over the columns of `jobs`, and what its parameters are to be bound to, in order.
struct SqlCondition {
  std::string sql;
  std::vector<std::variant<int64_t, std::string, absl::Time>> values;
};

// Holds for the rows whose jobs match.
SqlCondition ToSql(const JobFilter& filter);

}  // namespace likeness::server
