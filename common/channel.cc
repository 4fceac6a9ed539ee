#include "common/channel.h"

#include <fstream>
#include <iterator>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/address.h"
#include "common/rpc_error.h"
#include "common/status_macros.h"
#include "grpcpp/create_channel.h"
#include "grpcpp/security/credentials.h"
#include "grpcpp/support/client_interceptor.h"

namespace likeness {
namespace {

using grpc::experimental::ClientInterceptorFactoryInterface;
using grpc::experimental::ClientRpcInfo;
using grpc::experimental::InterceptionHookPoints;
using grpc::experimental::Interceptor;
using grpc::experimental::InterceptorBatchMethods;

// Call credentials of gRPC's own demand TLS; this adds the token on a loopback connection too.
class TokenInterceptor : public Interceptor {
 public:
  explicit TokenInterceptor(const std::string& value) : value_(value) {}

  void Intercept(InterceptorBatchMethods* methods) override {
    if (methods->QueryInterceptionHookPoint(InterceptionHookPoints::PRE_SEND_INITIAL_METADATA)) {
      methods->GetSendInitialMetadata()->emplace("authorization", value_);
    }
    methods->Proceed();
  }

 private:
  const std::string value_;
};

class TokenInterceptorFactory : public ClientInterceptorFactoryInterface {
 public:
  explicit TokenInterceptorFactory(const std::string& token)
      : value_(absl::StrCat("Bearer ", token)) {}
  Interceptor* CreateClientInterceptor(ClientRpcInfo*) override {
    return new TokenInterceptor(value_);
  }

 private:
  const std::string value_;
};

absl::StatusOr<std::string> ReadPem(const std::string& flag, const std::string& path) {
  if (path.empty()) return "";
  std::ifstream file(path, std::ios::binary);
  std::string text{std::istreambuf_iterator<char>(file), {}};
  if (!text.empty()) return text;
  return InvalidField(flag, absl::StrCat("cannot read ", path), "TLS_FILE");
}

absl::StatusOr<std::shared_ptr<grpc::ChannelCredentials>> CredentialsFor(
    const ChannelSecurity& security) {
  if (!security.encrypts()) return grpc::InsecureChannelCredentials();
  if (security.tls_cert.empty() != security.tls_key.empty()) {
    return InvalidField("--tls-cert", "and --tls-key need each other", "TLS_FILE");
  }
  grpc::SslCredentialsOptions options;
  ASSIGN_OR_RETURN(options.pem_root_certs, ReadPem("--tls-ca", security.tls_ca));
  ASSIGN_OR_RETURN(options.pem_cert_chain, ReadPem("--tls-cert", security.tls_cert));
  ASSIGN_OR_RETURN(options.pem_private_key, ReadPem("--tls-key", security.tls_key));
  return grpc::SslCredentials(options);
}

bool IsHeaderText(const std::string& token) {
  return token.find_first_not_of(
             "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~+/=") ==
         std::string::npos;
}

}  // namespace

bool ChannelSecurity::encrypts() const {
  return tls || !tls_ca.empty() || !tls_cert.empty() || !tls_key.empty();
}

void ChannelSecurity::AddTo(FlagSet& flags) {
  flags.Add("token", &token,
            "API key or JSON web token. Others on this machine can see a command line: better "
            "set the variable.",
            "LIKENESS_TOKEN");
  flags.Add("tls", &tls, "Use TLS; verify the server by the system's certificate authorities.",
            "LIKENESS_TLS");
  flags.Add("tls-ca", &tls_ca,
            "Use TLS; PEM file of the certificate authority to verify the server by.",
            "LIKENESS_TLS_CA");
  flags.Add("tls-cert", &tls_cert, "PEM file of the client certificate.", "LIKENESS_TLS_CERT");
  flags.Add("tls-key", &tls_key, "PEM file of its key.", "LIKENESS_TLS_KEY");
  flags.Add("insecure-token", &insecure_token,
            "Send the token to another machine without encryption.", "LIKENESS_INSECURE_TOKEN");
}

absl::StatusOr<std::shared_ptr<grpc::Channel>> OpenChannel(const std::string& address,
                                                           const ChannelSecurity& security,
                                                           grpc::ChannelArguments arguments) {
  ASSIGN_OR_RETURN(const Address server, ParseTarget("--server", address));
  // An http_proxy in the environment is not meant for this machine itself.
  if (IsLoopback(server)) arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  ASSIGN_OR_RETURN(auto credentials, CredentialsFor(security));
  if (security.token.empty()) {
    return grpc::CreateCustomChannel(address, credentials, arguments);
  }
  if (!IsHeaderText(security.token)) {
    return InvalidField("--token", "holds characters that no token has", "TOKEN_INVALID");
  }
  if (!security.encrypts() && !IsLoopback(server) && !security.insecure_token) {
    return InvalidField("--token",
                        absl::StrCat("would go to ", address,
                                     " unencrypted, for anybody on the way to read; use --tls or "
                                     "--tls-ca (or --insecure-token)"),
                        "TOKEN_UNPROTECTED");
  }
  std::vector<std::unique_ptr<ClientInterceptorFactoryInterface>> interceptors;
  interceptors.push_back(std::make_unique<TokenInterceptorFactory>(security.token));
  return grpc::experimental::CreateCustomChannelWithInterceptors(address, credentials, arguments,
                                                                 std::move(interceptors));
}

}  // namespace likeness
