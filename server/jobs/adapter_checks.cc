#include "server/jobs/adapter_checks.h"

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "common/prompt_adapters.h"
#include "common/resource_names.h"
#include "common/rpc_error.h"
#include "common/status_macros.h"

namespace likeness::server {

absl::StatusOr<v1::Model> AdapterChecks::FindModel(const std::string& name,
                                                   const std::string& field) {
  if (const auto known = found_.find(name); known != found_.end()) return known->second;
  ASSIGN_OR_RETURN(const ModelName model, ParseModelName(name, field));
  if (model.tenant == tenant_) {
    ASSIGN_OR_RETURN(v1::Model found, jobs_.GetModel(model));
    return found_[name] = std::move(found);
  }
  return RpcError(absl::StatusCode::kNotFound, "MODEL_NOT_FOUND",
                  absl::StrCat("there is no model ", model.ToString()),
                  {{"resource", model.ToString()}});
}

absl::Status AdapterChecks::Check(const std::string& path,
                                  const std::optional<v1::Model>& personalized,
                                  v1::ModelSelection& selection) {
  Below below{personalized ? personalized->base_model_digest() : "", {}};
  for (int i = 0; i < selection.adapters_size(); ++i) {
    const std::string field = absl::StrCat(path, ".adapters[", i, "]");
    RETURN_IF_ERROR(CheckOne(selection.adapters(i), field + ".model", field + ".strength",
                             personalized, selection, below));
  }
  return absl::OkStatus();
}

absl::Status AdapterChecks::CheckOne(const v1::Adapter& said, const std::string& field,
                                     const std::string& strength_field,
                                     const std::optional<v1::Model>& personalized,
                                     v1::ModelSelection& selection, Below& below) {
  ASSIGN_OR_RETURN(const v1::Model adapter, FindModel(said.model(), field));
  if (adapter.kind() != v1::MODEL_KIND_ADAPTER) {
    return InvalidField(field, "is a whole model; name it as the model to draw with",
                        "INVALID_ADAPTER");
  }
  // What they add is the difference of weights that they trained from those of their base.
  if (personalized && (adapter.method() == "custom_diffusion" || adapter.method() == "svdiff")) {
    return InvalidField(field,
                        absl::StrCat("is an adapter of ", adapter.method(),
                                     ", which lies over its base model alone, not over a whole "
                                     "personalized model"),
                        "INVALID_ADAPTER");
  }
  if (adapter.method() == "textual_inversion" && said.has_strength() && said.strength() != 1) {
    return InvalidField(
        strength_field,
        absl::StrCat("gives ", said.model(), " the strength ", said.strength(),
                     "; it is a learned word, which has the strength 1 and no other"),
        "INVALID_ADAPTER");
  }
  RETURN_IF_ERROR(CheckWord(adapter, field, below));
  if (selection.name().empty()) selection.set_name(adapter.base_model());
  if (said.allow_other_base()) return absl::OkStatus();  // the worker sees whether it fits
  const bool other_base = !personalized && selection.name() != adapter.base_model();
  if (other_base || (!below.digest.empty() && below.digest != adapter.base_model_digest())) {
    return InvalidField(
        field,
        absl::StrCat("was made for ", adapter.base_model(), " with the digest ",
                     adapter.base_model_digest(),
                     "; allow_other_base lets it draw on another one whose layers have the same "
                     "shapes"),
        "INVALID_ADAPTER");
  }
  below.digest = adapter.base_model_digest();
  return absl::OkStatus();
}

// A prompt's word means one learned word.
absl::Status AdapterChecks::CheckWord(const v1::Model& adapter, const std::string& field,
                                      Below& below) {
  if (adapter.method() != "textual_inversion" || adapter.token().empty()) return absl::OkStatus();
  const auto [other, added] =
      below.words.try_emplace(absl::AsciiStrToLower(adapter.token()), adapter.name());
  if (added) return absl::OkStatus();
  return InvalidField(field,
                      absl::StrCat("is ", adapter.name(), ", which has learned the word \"",
                                   adapter.token(), "\", and so has ", other->second,
                                   " (in upper or lower case); leave one of them out"),
                      "INVALID_ADAPTER");
}

absl::Status AdapterChecks::CheckPrompts(const v1::GenerateSpec& spec) {
  if (!spec.prompt_adapters()) return absl::OkStatus();
  v1::ModelSelection selection = spec.model();
  std::optional<v1::Model> personalized;
  ASSIGN_OR_RETURN(const ModelName model, ParseModelName(selection.name()));
  if (!model.is_base()) {
    ASSIGN_OR_RETURN(personalized, FindModel(selection.name(), "job.generate.model.name"));
  }
  Below of_all{personalized ? personalized->base_model_digest() : "", {}};
  for (const v1::Adapter& adapter : selection.adapters()) {
    ASSIGN_OR_RETURN(const v1::Model made, FindModel(adapter.model(), ""));
    RETURN_IF_ERROR(CheckWord(made, "job.generate.model.adapters", of_all));
    if (!adapter.allow_other_base()) of_all.digest = made.base_model_digest();
  }
  for (int i = 0; i < spec.prompts_size(); ++i) {
    const std::string field = absl::StrCat("job.generate.prompts[", i, "]");
    ASSIGN_OR_RETURN(const auto prompt, ParsePromptAdapters(spec.prompts(i)));
    Below below = of_all;
    for (const PromptAdapter& named : prompt.adapters) {
      v1::Adapter adapter;
      adapter.set_model(ModelName{tenant_, named.id}.ToString());
      adapter.set_strength(named.strength);
      const auto& others = selection.adapters();
      if (std::any_of(others.begin(), others.end(),
                      [&](const v1::Adapter& other) { return other.model() == adapter.model(); })) {
        return InvalidField(field,
                            absl::StrCat("names ", named.id,
                                         ", which is among the adapters of all prompts; say one "
                                         "strength for it"),
                            "INVALID_ADAPTER");
      }
      RETURN_IF_ERROR(CheckOne(adapter, field, field, personalized, selection, below));
    }
  }
  return absl::OkStatus();
}

}  // namespace likeness::server
