// POSTs to addresses that clients chose, many at a time on one thread: no redirect is followed, no
// proxy used, and every connection's resolved address is held against the rules at the moment it is
// opened, so that a name which changes its mind gains nothing. Time and the answer's size are
// bounded.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "server/webhooks/addresses.h"

namespace likeness::server {

struct HttpPost {
  std::string url;
  std::vector<std::string> headers;  // "name: value"
  std::string body;
};

struct HttpAnswer {
  int64_t id = 0;                // as given to Start
  int status = 0;                // 0: none came
  bool address_refused = false;  // by the rules
  std::string error;             // why none came; names no URL
  absl::Duration took;
};

// Belongs to one thread, but for Wake.
class HttpPoster {
 public:
  HttpPoster(AddressRules rules, absl::Duration timeout);
  ~HttpPoster();  // cuts what is under way

  void Start(int64_t id, HttpPost post);
  // The answers that have come; waits for one, for Wake, or for `patience`.
  std::vector<HttpAnswer> Poll(absl::Duration patience);
  size_t under_way() const { return transfers_.size(); }
  void Wake();  // thread-safe

 private:
  struct Transfer;
  void Collect(std::vector<HttpAnswer>& answers);

  const AddressRules rules_;
  const absl::Duration timeout_;
  void* multi_;  // CURLM
  std::map<void*, std::unique_ptr<Transfer>> transfers_;
};

}  // namespace likeness::server
