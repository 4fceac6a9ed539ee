#include "server/jobs/job_filter.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "common/rpc_error.h"
#include "common/status_macros.h"
#include "server/jobs/job_methods.h"
#include "server/jobs/job_record.h"
#include "server/jobs/job_state.h"
#include "server/jobs/proto_time.h"

namespace likeness::server {
namespace {

using Kind = JobFilter::Kind;
using Relation = JobFilter::Relation;

constexpr size_t kMaxBytes = 2000;
constexpr int kMaxDepth = 16;
constexpr int kMaxRestrictions = 64;

bool IsFieldCharacter(char c) {
  return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '.' || c == '-';
}

JobFilter Not(JobFilter operand) {
  JobFilter filter;
  filter.kind = Kind::kNot;
  filter.operands.push_back(std::move(operand));
  return filter;
}

class Parser {
 public:
  explicit Parser(absl::string_view text) : text_(text) {}

  absl::StatusOr<JobFilter> Parse() {
    if (text_.size() > kMaxBytes) {
      return InvalidField(
          "filter",
          absl::StrCat("has ", text_.size(), " bytes; at most ", kMaxBytes, " are allowed"),
          "INVALID_FILTER");
    }
    SkipSpace();
    if (AtEnd()) return JobFilter();
    ASSIGN_OR_RETURN(JobFilter filter, Conjunction());
    if (!AtEnd()) return Wrong("AND, OR or the end is expected");
    return filter;
  }

 private:
  // All of these leave at_ at the next character that is no space.

  absl::StatusOr<JobFilter> Conjunction() { return List(Kind::kAnd, "AND", &Parser::Disjunction); }
  absl::StatusOr<JobFilter> Disjunction() { return List(Kind::kOr, "OR", &Parser::Term); }

  absl::StatusOr<JobFilter> List(Kind kind, absl::string_view keyword,
                                 absl::StatusOr<JobFilter> (Parser::*operand)()) {
    JobFilter list;
    list.kind = kind;
    do {
      ASSIGN_OR_RETURN(JobFilter next, (this->*operand)());
      list.operands.push_back(std::move(next));
    } while (Keyword(keyword));
    if (list.operands.size() == 1) return JobFilter(std::move(list.operands.front()));
    return list;
  }

  absl::StatusOr<JobFilter> Term() {
    if (!Keyword("NOT") && !Symbol("-")) return Simple();
    ASSIGN_OR_RETURN(JobFilter operand, Simple());
    return Not(std::move(operand));
  }

  absl::StatusOr<JobFilter> Simple() {
    if (!Symbol("(")) return Restriction();
    if (++depth_ > kMaxDepth) {
      return Wrong(absl::StrCat("at most ", kMaxDepth, " parentheses may be open"));
    }
    ASSIGN_OR_RETURN(JobFilter inner, Conjunction());
    --depth_;
    if (!Symbol(")")) return Wrong("a ')' is missing");
    return inner;
  }

  absl::StatusOr<JobFilter> Restriction() {
    if (++restrictions_ > kMaxRestrictions) {
      return Wrong(absl::StrCat("at most ", kMaxRestrictions, " comparisons are allowed"));
    }
    const size_t start = at_;
    const std::string field = FieldName();
    if (field == "labels") return HasLabel();
    if (field == "state") return Equality(&Parser::State);
    if (field == "method") return Equality(&Parser::Method);
    if (field == "model") return Equality(&Parser::Model);
    if (field == "create_time") return Comparison(Kind::kCreateTime);
    if (field == "end_time") return Comparison(Kind::kEndTime);
    if (absl::StartsWith(field, "labels.") && field.size() > 7) {
      label_ = field.substr(7);
      return Equality(&Parser::Label);
    }
    at_ = start;
    return Wrong("a field is expected: state, method, model, labels.KEY, create_time or end_time");
  }

  absl::StatusOr<JobFilter> HasLabel() {
    if (!Symbol(":")) return Wrong("':' and a label's key are expected, or labels.KEY = VALUE");
    JobFilter filter;
    filter.kind = Kind::kHasLabel;
    ASSIGN_OR_RETURN(filter.key, Value());
    return filter;
  }

  absl::StatusOr<JobFilter> Equality(absl::StatusOr<JobFilter> (Parser::*leaf)(std::string)) {
    const bool negated = Symbol("!=");
    if (!negated && !Symbol("=")) return Wrong("= or != is expected");
    ASSIGN_OR_RETURN(std::string value, Value());
    ASSIGN_OR_RETURN(JobFilter filter, (this->*leaf)(std::move(value)));
    return negated ? Not(std::move(filter)) : std::move(filter);
  }

  absl::StatusOr<JobFilter> State(std::string value) {
    JobFilter filter;
    filter.kind = Kind::kState;
    value = absl::AsciiStrToUpper(value);  // the command line shows "failed"
    if (!absl::StartsWith(value, "JOB_STATE_")) value = absl::StrCat("JOB_STATE_", value);
    if (!v1::JobState_Parse(value, &filter.state)) {
      return WrongValue(
          "a state is expected: PENDING, RUNNING, CANCELLING, SUCCEEDED, FAILED or CANCELLED");
    }
    return filter;
  }

  absl::StatusOr<JobFilter> Method(std::string value) {
    const auto& methods = JobMethods();
    if (std::find(methods.begin(), methods.end(), value) == methods.end()) {
      return WrongValue(absl::StrCat("a method is expected: ", absl::StrJoin(methods, " or ")));
    }
    JobFilter filter;
    filter.kind = Kind::kMethod;
    filter.text = std::move(value);
    return filter;
  }

  absl::StatusOr<JobFilter> Model(std::string value) {
    // No name holds one, and lists of names are kept with commas between.
    if (absl::StrContains(value, ',')) return WrongValue("the name of one model is expected");
    JobFilter filter;
    filter.kind = Kind::kModel;
    filter.text = std::move(value);
    return filter;
  }

  absl::StatusOr<JobFilter> Label(std::string value) {
    JobFilter filter;
    filter.kind = Kind::kLabel;
    filter.key = label_;
    filter.text = std::move(value);
    return filter;
  }

  absl::StatusOr<JobFilter> Comparison(Kind kind) {
    JobFilter filter;
    filter.kind = kind;
    const bool negated = Symbol("!=");
    if (Symbol("<=")) {
      filter.relation = Relation::kLessOrEqual;
    } else if (Symbol(">=")) {
      filter.relation = Relation::kGreaterOrEqual;
    } else if (Symbol("<")) {
      filter.relation = Relation::kLess;
    } else if (Symbol(">")) {
      filter.relation = Relation::kGreater;
    } else if (!negated && !Symbol("=")) {
      return Wrong("=, !=, <, <=, > or >= is expected");
    }
    ASSIGN_OR_RETURN(const std::string value, Value());
    std::string ignored;
    if (!absl::ParseTime(absl::RFC3339_full, value, &filter.time, &ignored)) {
      return WrongValue("a time is expected, such as \"2026-11-24T09:30:00Z\"");
    }
    filter.time = absl::FromUnixMicros(absl::ToUnixMicros(filter.time));  // as jobs' times are kept
    return negated ? Not(std::move(filter)) : std::move(filter);
  }

  // A word, or text in quotation marks.
  absl::StatusOr<std::string> Value() {
    value_at_ = at_;
    std::string value;
    if (!AtEnd() && text_[at_] == '"') {
      for (++at_; !AtEnd() && text_[at_] != '"'; ++at_) {
        if (text_[at_] == '\\') ++at_;
        if (!AtEnd()) value.push_back(text_[at_]);
      }
      if (AtEnd()) return Wrong("a '\"' is missing");
      ++at_;
    } else {
      while (!AtEnd() && !absl::ascii_isspace(static_cast<unsigned char>(text_[at_])) &&
             text_[at_] != '(' && text_[at_] != ')' && text_[at_] != '"') {
        value.push_back(text_[at_++]);
      }
      if (value.empty()) return Wrong("a value is expected");
    }
    SkipSpace();
    return value;
  }

  std::string FieldName() {
    const size_t start = at_;
    while (!AtEnd() && IsFieldCharacter(text_[at_])) ++at_;
    const std::string name(text_.substr(start, at_ - start));
    SkipSpace();
    return name;
  }

  bool Keyword(absl::string_view word) {
    const size_t end = at_ + word.size();
    if (!absl::StartsWith(text_.substr(at_), word)) return false;
    if (end < text_.size() && IsFieldCharacter(text_[end])) return false;  // ANDROID
    at_ = end;
    SkipSpace();
    return true;
  }

  bool Symbol(absl::string_view symbol) {
    if (!absl::StartsWith(text_.substr(at_), symbol)) return false;
    at_ += symbol.size();
    SkipSpace();
    return true;
  }

  bool AtEnd() const { return at_ >= text_.size(); }
  void SkipSpace() {
    while (!AtEnd() && absl::ascii_isspace(static_cast<unsigned char>(text_[at_]))) ++at_;
  }

  absl::Status Wrong(absl::string_view what) const {
    return InvalidField("filter", absl::StrCat("at character ", at_ + 1, ": ", what),
                        "INVALID_FILTER");
  }
  absl::Status WrongValue(absl::string_view what) {
    at_ = value_at_;
    return Wrong(what);
  }

  const absl::string_view text_;
  size_t at_ = 0;
  size_t value_at_ = 0;  // where the last value began
  std::string label_;    // the key that Label compares
  int depth_ = 0;
  int restrictions_ = 0;
};

bool Holds(absl::Time left, Relation relation, absl::Time right) {
  switch (relation) {
    case Relation::kLess:
      return left < right;
    case Relation::kLessOrEqual:
      return left <= right;
    case Relation::kGreater:
      return left > right;
    case Relation::kGreaterOrEqual:
      return left >= right;
    default:
      return left == right;
  }
}

}  // namespace

absl::StatusOr<JobFilter> ParseJobFilter(absl::string_view text) { return Parser(text).Parse(); }

std::set<v1::JobState> PossibleStates(const JobFilter& filter) {
  switch (filter.kind) {
    case Kind::kState:
      return {filter.state};
    case Kind::kNot: {
      std::set<v1::JobState> states = kJobStates;
      if (filter.operands.front().kind == Kind::kState) {
        states.erase(filter.operands.front().state);
      }
      return states;
    }
    case Kind::kOr: {
      std::set<v1::JobState> states;
      for (const JobFilter& operand : filter.operands) states.merge(PossibleStates(operand));
      return states;
    }
    case Kind::kAnd: {
      std::set<v1::JobState> states = kJobStates;
      for (const JobFilter& operand : filter.operands) {
        const auto possible = PossibleStates(operand);
        std::erase_if(states, [&](v1::JobState state) { return !possible.contains(state); });
      }
      return states;
    }
    default:
      return kJobStates;
  }
}

bool Matches(const JobFilter& filter, const v1::Job& job) {
  const auto matches = [&](const JobFilter& operand) { return Matches(operand, job); };
  const auto& operands = filter.operands;
  switch (filter.kind) {
    case Kind::kAnd:
      return std::all_of(operands.begin(), operands.end(), matches);
    case Kind::kOr:
      return std::any_of(operands.begin(), operands.end(), matches);
    case Kind::kNot:
      return !Matches(operands.front(), job);
    case Kind::kState:
      return job.state() == filter.state;
    case Kind::kMethod:
      return MethodOf(job) == filter.text;
    case Kind::kModel: {
      const auto models = ModelsOf(job);
      return std::find(models.begin(), models.end(), filter.text) != models.end();
    }
    case Kind::kLabel: {
      const auto label = job.labels().find(filter.key);
      return label != job.labels().end() && label->second == filter.text;
    }
    case Kind::kHasLabel:
      return job.labels().contains(filter.key);
    case Kind::kCreateTime:
      return Holds(FromProto(job.create_time()), filter.relation, filter.time);
    case Kind::kEndTime:
      return job.has_end_time() && Holds(FromProto(job.end_time()), filter.relation, filter.time);
  }
  return false;
}

absl::StatusOr<JobOrder> ParseJobOrder(absl::string_view text) {
  const std::vector<absl::string_view> words = absl::StrSplit(text, ' ', absl::SkipWhitespace());
  JobOrder order;
  if (words.empty()) return order;
  const bool known = words[0] == "create_time" || words[0] == "end_time";
  const bool directed = words.size() == 2 && (words[1] == "asc" || words[1] == "desc");
  if (!known || (words.size() != 1 && !directed)) {
    return InvalidField("order_by",
                        "is not create_time or end_time, with nothing, asc or desc behind it",
                        "INVALID_ORDER_BY");
  }
  if (words[0] == "end_time") order.field = JobOrder::Field::kEndTime;
  order.descending = directed && words[1] == "desc";
  return order;
}

}  // namespace likeness::server
