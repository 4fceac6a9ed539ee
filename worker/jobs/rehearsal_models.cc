#include "worker/jobs/rehearsal_models.h"

#include <algorithm>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/digest.h"
#include "common/model_id.h"
#include "common/resource_names.h"
#include "common/rpc_error.h"

namespace likeness {
namespace {

constexpr int kDefaultSize = 64, kSmallestSize = 64, kLargestSize = 2048, kSizeStep = 8;
constexpr size_t kMostModels = 100;
constexpr char kToken[] = "sks";

absl::Status Refused(absl::string_view entry, absl::string_view allowed) {
  return absl::InvalidArgumentError(
      absl::StrCat("--rehearse-models: \"", entry, "\" is not allowed; ", allowed));
}

}  // namespace

absl::StatusOr<RehearsalModels> RehearsalModels::Parse(const std::string& list) {
  RehearsalModels models;
  for (const absl::string_view text : absl::StrSplit(list, ',')) {
    const size_t colon = std::min(text.find(':'), text.size());
    const std::string name(text.substr(0, colon));
    int size = kDefaultSize;
    if (colon < text.size() && !absl::SimpleAtoi(text.substr(colon + 1), &size)) size = 0;
    if (name.empty() || size < kSmallestSize || size > kLargestSize || size % kSizeStep) {
      return Refused(text,
                     absl::StrCat("NAME or NAME:SIZE is, with a SIZE of ", kSmallestSize, " to ",
                                  kLargestSize, " pixels, a multiple of ", kSizeStep));
    }
    Entry entry{.display_name = name, .facts = {}};
    entry.facts.name = ModelName{.tenant = "", .id = BaseModelId(name)}.ToString();
    // No model's files have this digest: what is rehearsed is never taken for it.
    entry.facts.digest = Sha256Hex(absl::StrCat("rehearsal of ", name, " at ", size));
    entry.facts.image_size = size;
    const bool twice =
        std::any_of(models.entries_.begin(), models.entries_.end(),
                    [&](const Entry& other) { return other.facts.name == entry.facts.name; });
    if (twice) return Refused(text, "each name may be given once");
    models.entries_.push_back(std::move(entry));
    if (models.entries_.size() > kMostModels) {
      return Refused(text, absl::StrCat("at most ", kMostModels, " names are"));
    }
  }
  return models;
}

absl::StatusOr<ModelFacts> RehearsalModels::Find(const std::string& name) const {
  if (name.empty() && entries_.size() == 1) return entries_.front().facts;
  const auto found = std::find_if(entries_.begin(), entries_.end(),
                                  [&](const Entry& entry) { return entry.facts.name == name; });
  if (found != entries_.end()) return found->facts;
  return RpcError(absl::StatusCode::kNotFound, "MODEL_NOT_FOUND",
                  absl::StrCat("base model \"", name, "\" is not rehearsed here"));
}

std::vector<v1::BaseModel> RehearsalModels::Offers() const {
  std::vector<v1::BaseModel> offers;
  for (const Entry& entry : entries_) {
    v1::BaseModel& offer = offers.emplace_back();
    offer.set_name(entry.facts.name);
    offer.set_digest(entry.facts.digest);
    offer.set_image_size(entry.facts.image_size);
    offer.set_default_token(kToken);
    offer.set_display_name(entry.display_name);
  }
  return offers;
}

}  // namespace likeness
