// A small HTTP server for the two pages that machines look at: /metrics and /healthz.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"

struct mg_context;
struct mg_connection;

namespace likeness::server {

class HttpPages {
 public:
  // Both are called on threads of the HTTP server. `healthy`: 200 "ok" or 503 "draining".
  struct Handlers {
    std::function<std::string()> metrics;
    std::function<bool()> healthy;
  };

  // `address`: host:port; port 0 takes a free one. FAILED_PRECONDITION (ADDRESS_IN_USE).
  static absl::StatusOr<std::unique_ptr<HttpPages>> Start(const std::string& address,
                                                          Handlers handlers);
  ~HttpPages();
  int port() const;

 private:
  HttpPages(const std::string& address, Handlers handlers)
      : host_(address.substr(0, address.rfind(':'))), handlers_(std::move(handlers)) {}
  static int ServeMetrics(mg_connection* connection, void* self);
  static int ServeHealth(mg_connection* connection, void* self);

  const std::string host_;
  const Handlers handlers_;
  mg_context* context_ = nullptr;
};

}  // namespace likeness::server
