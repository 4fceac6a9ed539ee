#include "server/jobs/sqlite/filter_sql.h"

#include "absl/strings/str_cat.h"

namespace likeness::server {
namespace {

using Kind = JobFilter::Kind;
using Relation = JobFilter::Relation;

const char* Operator(Relation relation) {
  switch (relation) {
    case Relation::kLess:
      return "<";
    case Relation::kLessOrEqual:
      return "<=";
    case Relation::kGreater:
      return ">";
    case Relation::kGreaterOrEqual:
      return ">=";
    default:
      return "=";
  }
}

// The column holds all models of a job, comma between.
constexpr char kDrawsWith[] = "instr(',' || model || ',', ',' || ? || ',') > 0";

void Append(const JobFilter& filter, SqlCondition& to);

void AppendList(const JobFilter& filter, const char* separator, SqlCondition& to) {
  to.sql += "(";
  for (size_t i = 0; i < filter.operands.size(); ++i) {
    if (i > 0) to.sql += separator;
    Append(filter.operands[i], to);
  }
  to.sql += ")";
}

// What stands in the text of the statement is ours alone; whatever a client said is bound.
void Append(const JobFilter& filter, SqlCondition& to) {
  switch (filter.kind) {
    case Kind::kAnd:
      if (filter.operands.empty()) {
        to.sql += "TRUE";
      } else {
        AppendList(filter, " AND ", to);
      }
      return;
    case Kind::kOr:
      return AppendList(filter, " OR ", to);
    case Kind::kNot:
      to.sql += "NOT ";
      return AppendList(filter, "", to);
    case Kind::kState:
      to.sql += "state = ?";
      to.values.emplace_back(static_cast<int64_t>(filter.state));
      return;
    case Kind::kMethod:
      to.sql += "method = ?";
      to.values.emplace_back(filter.text);
      return;
    case Kind::kModel:
      to.sql += kDrawsWith;
      to.values.emplace_back(filter.text);
      return;
    case Kind::kLabel:
      to.sql +=
          "EXISTS (SELECT 1 FROM labels WHERE labels.job = jobs.key AND labels.key = ?"
          " AND labels.value = ?)";
      to.values.emplace_back(filter.key);
      to.values.emplace_back(filter.text);
      return;
    case Kind::kHasLabel:
      to.sql += "EXISTS (SELECT 1 FROM labels WHERE labels.job = jobs.key AND labels.key = ?)";
      to.values.emplace_back(filter.key);
      return;
    case Kind::kCreateTime:
      absl::StrAppend(&to.sql, "create_time ", Operator(filter.relation), " ?");
      to.values.emplace_back(filter.time);
      return;
    case Kind::kEndTime:
      absl::StrAppend(&to.sql, "(state IN (4, 5, 6) AND end_time ", Operator(filter.relation),
                      " ?)");
      to.values.emplace_back(filter.time);
      return;
  }
}

}  // namespace

SqlCondition ToSql(const JobFilter& filter) {
  SqlCondition condition;
  Append(filter, condition);
  return condition;
}

}  // namespace likeness::server
