// likeness_card.json: what a personalized model is and how it came to be.
#pragma once

#include <string>

#include "third_party/nlohmann/json_fwd.hpp"
#include "worker/training/dreambooth.h"

namespace likeness {

nlohmann::json DreamBoothCard(const std::string& base_digest, const DreamBoothOptions& options,
                              const DreamBoothResult& result);

}  // namespace likeness
