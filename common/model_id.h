// Ids of base models: what follows "baseModels/".
#pragma once

#include <string>

#include "absl/strings/string_view.h"

namespace likeness {

// The id of a base model by its display name: the name of its directory, or of a repository
// ("org/name", "org/name@1a2b3c4d" for one revision). Workers name what they offer by it, clients
// what was typed; an id given is given back.
//   Letters of ASCII, digits, '-', '_', '.', at most 128: the name itself, "Realistic_Vision_V5.1".
//   "org/name": "org--name", as Hugging Face spells it.
//   Anything else: what is left of it, and a digest that tells it from others:
//   "sd 1.5 (fp16)" is "sd-1.5-fp16-1f9d4c07", a name in Chinese is the digest alone.
std::string BaseModelId(absl::string_view display_name);

}  // namespace likeness
