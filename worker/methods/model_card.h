// likeness_card.json: what a personalized model is and how it came to be.
#pragma once

#include <string>

#include "third_party/nlohmann/json_fwd.hpp"
#include "worker/methods/fine_tune_model.h"

namespace likeness {

nlohmann::json ModelCard(const std::string& base_digest, const FineTuneOptions& options,
                         const FineTuneResult& result);

}  // namespace likeness
