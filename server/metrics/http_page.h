// A small HTTP server for the pages that machines look at: /metrics, /healthz (ready for work?) and
// /livez (alive?).
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
  // Called on threads of the HTTP server. `complaint`: why the server is not ready, for a 503;
  // empty for a 200 "ok".
  struct Handlers {
    std::function<std::string()> metrics;
    std::function<std::string()> complaint;
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
  static int ServeLife(mg_connection* connection, void* self);

  const std::string host_;
  const Handlers handlers_;
  mg_context* context_ = nullptr;
};

}  // namespace likeness::server
