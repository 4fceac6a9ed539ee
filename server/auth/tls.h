// TLS of the server's port. Certificates are read again when their files change; files that do not
// fit together are refused, and the ones before hold.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "grpcpp/security/server_credentials.h"
#include "server/auth/watched_file.h"

namespace likeness::server {

// PEM files.
struct TlsFiles {
  std::string cert{};       // the server's certificate, and those between it and its authority
  std::string key{};        // its private key, without a password
  std::string client_ca{};  // of whom workers have their certificates; empty: none are asked for
};

class TlsCertificates {
 public:
  // INVALID_ARGUMENT (TLS_FILE) for files that cannot be used.
  static absl::StatusOr<std::unique_ptr<TlsCertificates>> Open(const TlsFiles& files);
  ~TlsCertificates();

  // A client may show a certificate, which then must be good; most show none.
  const std::shared_ptr<grpc::ServerCredentials>& credentials() const { return credentials_; }

  // Connections that begin two seconds later see the new files.
  void ReloadIfChanged();
  void Reload();

 private:
  explicit TlsCertificates(const TlsFiles& files);
  absl::Status Load();
  void Serve();

  const TlsFiles files_;
  std::vector<WatchedFile> watched_;
  std::mutex mutex_;
  int identity_ ABSL_GUARDED_BY(mutex_) = -1;  // memory files that hold what was checked
  int client_ca_ ABSL_GUARDED_BY(mutex_) = -1;
  std::shared_ptr<grpc::ServerCredentials> credentials_;
};

}  // namespace likeness::server
