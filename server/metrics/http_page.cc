#include "server/metrics/http_page.h"

#include "absl/strings/str_cat.h"
#include "common/rpc_error.h"
#include "server/metrics/civetweb.h"

namespace likeness::server {
namespace {

int Answer(mg_connection* connection, int code, const char* type, const std::string& body) {
  mg_printf(
      connection,
      "HTTP/1.1 %d %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n",
      code, mg_get_response_code_text(connection, code), type, body.size());
  mg_write(connection, body.data(), body.size());
  return code;
}

}  // namespace

absl::StatusOr<std::unique_ptr<HttpPages>> HttpPages::Start(const std::string& address,
                                                            Handlers handlers) {
  std::unique_ptr<HttpPages> pages(new HttpPages(address, std::move(handlers)));
  const char* options[] = {"listening_ports", address.c_str(), "num_threads", "2", nullptr};
  const mg_callbacks callbacks = {};
  pages->context_ = mg_start(&callbacks, nullptr, options);
  if (pages->context_ == nullptr) {
    return RpcError(absl::StatusCode::kFailedPrecondition, "ADDRESS_IN_USE",
                    absl::StrCat("cannot listen on ", address, " for the metrics page"));
  }
  mg_set_request_handler(pages->context_, "/metrics$", &ServeMetrics, pages.get());
  mg_set_request_handler(pages->context_, "/healthz$", &ServeHealth, pages.get());
  mg_set_request_handler(pages->context_, "/livez$", &ServeLife, pages.get());
  return pages;
}

HttpPages::~HttpPages() {
  if (context_ != nullptr) StopCivetweb(context_, host_);
}

int HttpPages::port() const { return PortOf(context_); }

int HttpPages::ServeMetrics(mg_connection* connection, void* self) {
  return Answer(connection, 200, "text/plain; version=0.0.4",
                static_cast<HttpPages*>(self)->handlers_.metrics());
}

int HttpPages::ServeHealth(mg_connection* connection, void* self) {
  const std::string complaint = static_cast<HttpPages*>(self)->handlers_.complaint();
  return complaint.empty() ? Answer(connection, 200, "text/plain", "ok\n")
                           : Answer(connection, 503, "text/plain", complaint + "\n");
}

int HttpPages::ServeLife(mg_connection* connection, void*) {
  return Answer(connection, 200, "text/plain", "ok\n");
}

}  // namespace likeness::server
