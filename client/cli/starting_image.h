// The image that likeness generate starts from, and what of it is changed.
#pragma once

#include <optional>
#include <stop_token>
#include <string>

#include "absl/status/status.h"
#include "client/lib/connection.h"
#include "common/flags.h"
#include "likeness/v1/generate.pb.h"

namespace likeness::client {

struct StartingImageFlags {
  std::string image;
  std::optional<double> strength;
  std::string mask;

  void AddTo(FlagSet& flags);

  // Reads the files into the spec, uploads them where they are large. INVALID_ARGUMENT for a file
  // that cannot be used, and for a flag that needs --image without it.
  absl::Status AddTo(v1::GenerateSpec& spec, const Connection& connection,
                     std::stop_token stop) const;
};

}  // namespace likeness::client
