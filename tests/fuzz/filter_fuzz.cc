// ListJobs' filter and order: the first line orders, the rest filters. What SQLite finds is what
// the filter matches, and in the same order on pages of one job as on one page.
#include <algorithm>
#include <memory>

#include "common/clock.h"
#include "server/jobs/job_filter.h"
#include "server/jobs/sqlite/sqlite_job_store.h"
#include "tests/fuzz/fuzz.h"

namespace likeness::server {
namespace {

using fuzz::Check;

// A few jobs, each different.
struct Jobs {
  Jobs() {
    SqliteJobStoreOptions options;
    options.path = folder.path() + "/jobs.sqlite";
    store = *SqliteJobStore::Open(options, clock);
    for (int i = 0; i < 6; ++i) {
      NewJob fresh;
      fresh.job.set_name("tenants/default/jobs/j" + std::to_string(i));
      fresh.job.set_uid(std::to_string(i));
      fresh.job.set_max_attempts(1);
      fresh.job.mutable_generate()->mutable_model()->set_name(i % 2 == 0 ? "baseModels/a"
                                                                         : "baseModels/b");
      (*fresh.job.mutable_labels())["project"] = i < 3 ? "x" : "";
      if (i == 4) fresh.job.mutable_fine_tune()->set_base_model("baseModels/a");
      all.push_back(*store->Create(fresh));
      clock.Advance(absl::Seconds(1));
      if (i == 1) all.back() = *store->Cancel({"default", "j1"}, "");
      if (i == 2) all.back() = *store->Cancel({"default", "j2"}, "");
    }
  }

  std::vector<std::string> List(const JobFilter& filter, const JobOrder& order, int limit) {
    JobQuery query{filter, order, std::nullopt, limit};
    std::vector<std::string> names;
    for (;;) {
      const auto page = store->List("default", query);
      Check(page.ok(), "a filter that was read can be asked for");
      for (const v1::Job& job : page->jobs) names.push_back(job.name());
      if (!page->next || names.size() > all.size()) return names;
      query.after = page->next;
    }
  }

  fuzz::Scratch folder;
  FakeClock clock;
  std::unique_ptr<SqliteJobStore> store;
  std::vector<v1::Job> all;
};

void Run(absl::string_view order_by, absl::string_view text) {
  static auto& jobs = *new Jobs();
  const auto order = ParseJobOrder(order_by);
  const auto filter = ParseJobFilter(text);
  if (!filter.ok() || text.size() > 2000) return;
  const auto found = jobs.List(*filter, order.value_or(JobOrder()), 50);
  size_t matching = 0;
  for (const v1::Job& job : jobs.all) {
    const bool listed = std::find(found.begin(), found.end(), job.name()) != found.end();
    Check(listed == Matches(*filter, job), "SQLite and the filter agree");
    matching += listed;
  }
  Check(found.size() == matching, "no job is listed twice");
  Check(found == jobs.List(*filter, order.value_or(JobOrder()), 1), "pages make up the list");
}

}  // namespace
}  // namespace likeness::server

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  likeness::fuzz::Input input(data, size);
  const auto order_by = input.Line();
  likeness::server::Run(order_by, input.Rest());
  return 0;
}
