// Errors as people read them: the field, the value, the way out.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "client/cli/screen.h"

namespace likeness::client {

// What the fields of a request are on this machine.
struct RefusalNames {
  std::vector<std::string> photos;             // paths by their index in the request
  std::vector<std::string> validation_photos;  // likewise
};

// One line per wrong field, or one for the whole.
void ShowRefusal(Screen& screen, const absl::Status& status, const std::string& server,
                 const RefusalNames& names);

// "rex/04.heic: HEIC is not supported; JPEG, PNG and WebP are. Convert it: magick rex/04.heic
// rex/04.jpg (photos[3])". `reason` is that of common/image_header.h; `index` is the photo's in the
// request.
std::string PhotoRefusal(const std::string& path, absl::string_view reason,
                         absl::string_view message, int index);

}  // namespace likeness::client
