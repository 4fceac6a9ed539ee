// What stands at the end of a job that went well.
#pragma once

#include <string>

#include "client/cli/command.h"

namespace likeness::client {

// What a person calls the subject that a fine-tune job learned: "rhf dog".
std::string SubjectPhrase(const v1::Job& job);
std::string SubjectPhrase(const v1::Subject& subject);

// "0.043 · on the validation photos 0.112 before, 0.061 after"; empty if the job measured none.
std::string LossSummary(const v1::Job& job);

// The model, the figures and the pictures on stdout, and what to do next. `fetched`: whether what
// is for people lies in `folder`.
void ReportSuccess(const Context& context, const v1::Job& job, const std::string& folder,
                   bool fetched);

}  // namespace likeness::client
