// What is odd about the words for a subject's class.
#pragma once

#include <string>
#include <vector>

#include "likeness/v1/fine_tune.pb.h"

namespace likeness {

// A warning for each subject whose class noun is "a dog", since prompts put the article before the
// noun themselves; and for each whose class noun has the token of a subject among its words, since
// then the class's prompts name that subject. Nothing for "dog".
std::vector<std::string> ClassNounWarnings(const v1::FineTuneSpec& spec);

}  // namespace likeness
