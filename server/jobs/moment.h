// Now, on both clocks. A store takes it once for each change.
#pragma once

#include "absl/time/time.h"

namespace likeness::server {

struct Moment {
  absl::Time wall;    // the date: what people are told, and what they fix by date
  absl::Time steady;  // on the queue's clock, which only ever goes forward: all that lasts

  // When a time of the queue's clock will come, or came, by date.
  absl::Time Dated(absl::Time time) const { return wall + (time - steady); }
  // The reverse.
  absl::Time Steadied(absl::Time date) const { return steady + (date - wall); }
};

}  // namespace likeness::server
