#include "server/auth/tls.h"

#include <fcntl.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <sys/mman.h>
#include <unistd.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "common/logging.h"
#include "common/rpc_error.h"
#include "common/status_macros.h"
#include "grpcpp/security/tls_certificate_provider.h"
#include "grpcpp/security/tls_credentials_options.h"
#include "server/blobs/filesystem/file.h"

// gRPC's own watcher takes whatever stands in the files, and serves nobody while it is wrong. So it
// watches copies in memory, which are replaced only by what was checked; certificate and key are
// one file there, so that both change at once.

namespace likeness::server {
namespace {

using Bio = std::unique_ptr<BIO, decltype(&BIO_free)>;
using Certificate = std::unique_ptr<X509, decltype(&X509_free)>;
using PrivateKey = std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)>;

constexpr int64_t kMaxBytes = 1 << 20;
constexpr unsigned kWatchSeconds = 1;

absl::Status Unusable(absl::string_view flag, absl::string_view problem) {
  return InvalidField(flag, problem, "TLS_FILE");
}

absl::StatusOr<std::string> ReadPem(absl::string_view flag, const std::string& path) {
  auto text = [&]() -> absl::StatusOr<std::string> {
    ASSIGN_OR_RETURN(const File file, File::OpenForReading(path));
    return file.ReadAt(0, kMaxBytes);
  }();
  if (!text.ok()) return Unusable(flag, absl::StrCat("\"", path, "\": ", text.status().message()));
  return *std::move(text) + "\n";
}

Bio Reader(const std::string& text) {
  return Bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())), &BIO_free);
}

// Never ask the terminal for a password.
int NoPassword(char*, int, int, void*) { return -1; }

Certificate FirstCertificate(const std::string& pem) {
  return Certificate(PEM_read_bio_X509(Reader(pem).get(), nullptr, &NoPassword, nullptr),
                     &X509_free);
}

absl::Status CheckPair(const std::string& cert, const std::string& key) {
  const Certificate certificate = FirstCertificate(cert);
  if (!certificate) return Unusable("--tls-cert", "holds no certificate");
  const PrivateKey own(PEM_read_bio_PrivateKey(Reader(key).get(), nullptr, &NoPassword, nullptr),
                       &EVP_PKEY_free);
  if (!own) return Unusable("--tls-key", "holds no private key that is free of a password");
  if (X509_check_private_key(certificate.get(), own.get()) == 1) return absl::OkStatus();
  return Unusable("--tls-key", "is not the key of the certificate");
}

// `descriptor` becomes a memory file with this content, in one step.
absl::Status Replace(int& descriptor, absl::string_view content) {
  const int fresh = memfd_create("likeness-tls", MFD_CLOEXEC);
  if (fresh < 0) return ErrnoStatus(errno, "keep a certificate in memory");
  if (write(fresh, content.data(), content.size()) != static_cast<ssize_t>(content.size())) {
    const auto status = ErrnoStatus(errno, "keep a certificate in memory");
    close(fresh);
    return status;
  }
  if (descriptor < 0) {
    descriptor = fresh;
    return absl::OkStatus();
  }
  const bool replaced = dup3(fresh, descriptor, O_CLOEXEC) >= 0;
  const auto status = replaced ? absl::OkStatus() : ErrnoStatus(errno, "replace a certificate");
  close(fresh);
  return status;
}

std::string PathOf(int descriptor) { return absl::StrCat("/proc/self/fd/", descriptor); }

}  // namespace

TlsCertificates::TlsCertificates(const TlsFiles& files) : files_(files) {
  for (const std::string& path : {files.cert, files.key, files.client_ca}) {
    watched_.emplace_back(path);
  }
}

TlsCertificates::~TlsCertificates() {
  credentials_.reset();
  std::lock_guard lock(mutex_);
  if (identity_ >= 0) close(identity_);
  if (client_ca_ >= 0) close(client_ca_);
}

absl::StatusOr<std::unique_ptr<TlsCertificates>> TlsCertificates::Open(const TlsFiles& files) {
  std::unique_ptr<TlsCertificates> opened(new TlsCertificates(files));
  RETURN_IF_ERROR(opened->Load());
  opened->Serve();
  return opened;
}

absl::Status TlsCertificates::Load() {
  ASSIGN_OR_RETURN(const std::string cert, ReadPem("--tls-cert", files_.cert));
  ASSIGN_OR_RETURN(const std::string key, ReadPem("--tls-key", files_.key));
  RETURN_IF_ERROR(CheckPair(cert, key));
  std::string client_ca;
  if (!files_.client_ca.empty()) {
    ASSIGN_OR_RETURN(client_ca, ReadPem("--tls-client-ca", files_.client_ca));
    if (!FirstCertificate(client_ca)) {
      return Unusable("--tls-client-ca", "holds no certificate");
    }
  }
  std::lock_guard lock(mutex_);
  RETURN_IF_ERROR(Replace(identity_, cert + key));
  return client_ca.empty() ? absl::OkStatus() : Replace(client_ca_, client_ca);
}

void TlsCertificates::Serve() {
  std::lock_guard lock(mutex_);
  const std::string identity = PathOf(identity_);
  const std::string client_ca = client_ca_ < 0 ? "" : PathOf(client_ca_);
  grpc::experimental::TlsServerCredentialsOptions options(
      std::make_shared<grpc::experimental::FileWatcherCertificateProvider>(
          identity, identity, client_ca, kWatchSeconds));
  options.watch_identity_key_cert_pairs();
  if (!client_ca.empty()) {
    options.watch_root_certs();
    options.set_cert_request_type(GRPC_SSL_REQUEST_CLIENT_CERTIFICATE_AND_VERIFY);
  }
  credentials_ = grpc::experimental::TlsServerCredentials(options);
}

void TlsCertificates::ReloadIfChanged() {
  bool changed = false;
  for (WatchedFile& file : watched_) changed |= file.Changed();
  if (changed) Reload();
}

void TlsCertificates::Reload() {
  if (const auto loaded = Load(); !loaded.ok()) {
    return LogError("TLS files refused; the ones before hold", {{"error", loaded.message()}});
  }
  LogInfo("TLS files read");
}

}  // namespace likeness::server
