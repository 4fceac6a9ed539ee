#include "worker/methods/initial_values.h"

#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "worker/base/error.h"

namespace likeness {
namespace {

std::string SizesOf(const torch::Tensor& value) {
  std::ostringstream text;
  text << value.sizes();
  return text.str();
}

}  // namespace

void BeginWith(const MethodRow& method, Family& model, Attached& attached,
               const std::filesystem::path& directory) {
  const auto refuse = [](const std::string& why) {
    throw Error(ErrorKind::kFailedPrecondition,
                "the initial model does not fit the settings: " + why);
  };
  torch::NoGradGuard no_grad;
  std::map<std::string, torch::Tensor> values;
  for (auto& [name, value] : method.read(model, attached, directory)) values[name] = value;
  const auto& names = attached.names();
  const auto& masters = attached.masters();
  for (size_t i = 0; i < names.size(); ++i) {
    const auto found = values.find(names[i]);
    if (found == values.end()) refuse("it has no " + names[i]);
    if (found->second.sizes() != masters[i].sizes()) {
      refuse(names[i] + " is " + SizesOf(found->second) + " in it, and " + SizesOf(masters[i]) +
             " with these settings");
    }
  }
  if (values.size() != names.size()) {
    for (const std::string& name : names) values.erase(name);
    refuse("it has " + values.begin()->first + ", which these settings do not train");
  }
  std::vector<torch::Tensor> begun;
  for (const std::string& name : names) begun.push_back(values.at(name));
  attached.BeginWith(begun);
}

}  // namespace likeness
