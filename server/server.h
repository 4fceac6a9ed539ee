// The server as one object: stores, services and ports. main.cc runs it; tests run it in their own
// process.
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "server/server_options.h"

namespace likeness::server {

class Server {
 public:
  // Opens the data directory and begins to serve. FAILED_PRECONDITION: ADDRESS_IN_USE;
  // DATA_DIR_IN_USE when another server has it open.
  static absl::StatusOr<std::unique_ptr<Server>> Start(const ServerOptions& options);
  ~Server();  // drains, if nobody did

  int port() const;          // of gRPC; 0 on a unix socket
  int metrics_port() const;  // 0 when there is no page

  // Removes the blobs that nothing names, soon and beside what is served.
  void CollectBlobs();

  // Reads the auth file and the TLS files again, and opens the audit log anew.
  void Reload();

  // Ends well: health says NOT_SERVING, watches end with UNAVAILABLE, calls under way may end
  // within the drain timeout, what is left is cut. Blocks until it is done.
  void Drain();

 private:
  struct Parts;
  explicit Server(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

}  // namespace likeness::server
