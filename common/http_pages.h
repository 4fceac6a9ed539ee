// A small HTTP server for the pages that machines look at: /metrics, /healthz (ready for work?) and
// /livez (alive?). Anybody who can reach it may ask it, so whatever they send or leave unsent is
// bounded in bytes, time and number.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "common/address.h"

namespace likeness {

class HttpPages {
 public:
  struct Page {
    std::string body;
    int status = 200;
    std::string type = "text/plain";
  };
  // By path: "/metrics". Called on two threads of the HTTP server.
  using Pages = std::map<std::string, std::function<Page()>>;

  // The type of a page in Prometheus' text format.
  static constexpr char kMetricsType[] = "text/plain; version=0.0.4; charset=utf-8";

  // Listens on the host's address, of a name on the first IPv4 address; port 0 takes a free one.
  // FAILED_PRECONDITION, whose message is the reason alone: "Address already in use".
  static absl::StatusOr<std::unique_ptr<HttpPages>> Start(const Address& address, Pages pages);
  // Cuts connections, and waits for the pages that are being made.
  ~HttpPages();
  int port() const;

 private:
  struct Parts;
  explicit HttpPages(std::unique_ptr<Parts> parts);

  const std::unique_ptr<Parts> parts_;
};

}  // namespace likeness
