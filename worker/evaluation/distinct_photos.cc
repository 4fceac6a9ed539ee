#include "worker/evaluation/distinct_photos.h"

#include <algorithm>

namespace likeness {

std::vector<const Image*> Distinct(const std::vector<const Image*>& photos) {
  std::vector<const Image*> distinct;
  for (const Image* photo : photos) {
    const bool seen = std::any_of(distinct.begin(), distinct.end(), [&](const Image* other) {
      return other->width == photo->width && other->rgb == photo->rgb;
    });
    if (!seen) distinct.push_back(photo);
  }
  return distinct;
}

std::vector<const Image*> LookAlikes(const std::vector<const Image*>& gallery,
                                     const std::vector<const Image*>& photos) {
  std::vector<const Image*> all = photos;
  all.insert(all.end(), gallery.begin(), gallery.end());
  auto distinct = Distinct(all);
  distinct.erase(distinct.begin(), distinct.begin() + std::ssize(photos));
  return distinct;
}

}  // namespace likeness
