#include "server/auth/authenticator.h"

#include <openssl/crypto.h>

#include <filesystem>
#include <utility>

#include "common/digest.h"
#include "common/flag_error.h"
#include "common/logging.h"
#include "common/rpc_error.h"
#include "common/status_macros.h"

namespace likeness::server {
namespace {

absl::Status TokenInvalid() {
  return RpcError(absl::StatusCode::kUnauthenticated, "TOKEN_INVALID",
                  "the token is not known, was revoked, or has expired");
}

}  // namespace

absl::StatusOr<std::unique_ptr<Authenticator>> Authenticator::Open(const std::string& auth_file,
                                                                   const Clock& clock) {
  auto file = auth_file.empty() ? nullptr : std::make_unique<WatchedFile>(auth_file);
  std::unique_ptr<Authenticator> opened(new Authenticator(std::move(file), clock));
  if (opened->enabled()) RETURN_IF_ERROR(opened->Load());
  return opened;
}

absl::Status Authenticator::Load() {
  ASSIGN_OR_RETURN(const std::string text, ReadAuthFile(file_->path()));
  ASSIGN_OR_RETURN(AuthConfig config, ParseAuthFile(text));
  std::shared_ptr<const JwtVerifier> jwt;
  if (config.jwt) {
    const auto keys = ReadAuthFile(KeysFileOf(config));
    if (!keys.ok()) return WithFlag("jwt.keys_file", KeysFileOf(config), keys.status());
    ASSIGN_OR_RETURN(jwt, JwtVerifier::Create(*config.jwt, *keys));
  }
  LogInfo("auth file read", {{"keys", config.keys.size()}, {"jwt", jwt != nullptr}});
  std::lock_guard lock(mutex_);
  loaded_ = std::make_shared<const Loaded>(
      Loaded{std::move(config), std::move(jwt), loaded_->generation + 1});
  return absl::OkStatus();
}

void Authenticator::Reload() {
  if (!enabled()) return;
  if (const auto loaded = Load(); !loaded.ok()) {
    LogError("auth file refused; the one before holds", {{"error", loaded.message()}});
  }
}

// Relative to the auth file.
std::string Authenticator::KeysFileOf(const AuthConfig& config) const {
  if (!config.jwt) return "";
  return std::filesystem::path(file_->path()).parent_path() / config.jwt->keys_file;
}

void Authenticator::ReloadIfChanged() {
  if (!enabled()) return;
  const std::string keys_file = KeysFileOf(loaded()->config);
  if (!keys_file_ || keys_file_->path() != keys_file) {
    keys_file_ = std::make_unique<WatchedFile>(keys_file);
  }
  const bool keys_changed = keys_file_->Changed();
  if (file_->Changed() || keys_changed) Reload();
}

std::shared_ptr<const Authenticator::Loaded> Authenticator::loaded() const {
  std::lock_guard lock(mutex_);
  return loaded_;
}

TenantLimits Authenticator::LimitsOf(const std::string& tenant) const {
  const auto loaded = this->loaded();
  const auto& tenants = loaded->config.tenants;
  auto found = tenants.find(tenant);
  if (found == tenants.end()) found = tenants.find("*");
  return found == tenants.end() ? TenantLimits() : found->second;
}

bool Authenticator::StillHolds(const Caller& caller) const {
  return caller.generation == loaded()->generation && clock_.Now() < caller.expire_time;
}

absl::StatusOr<Caller> Authenticator::Identify(const Credentials& credentials) const {
  if (!enabled()) return Caller();
  const auto loaded = this->loaded();
  if (credentials.bearer) {
    ASSIGN_OR_RETURN(Caller caller, IdentifyBearer(*loaded, *credentials.bearer));
    caller.generation = loaded->generation;
    return caller;
  }
  if (credentials.certificate) {
    return Caller{.tenant = "",
                  .id = "certificate:" + *credentials.certificate,
                  .roles = {Role::kWorker},
                  .generation = loaded->generation};
  }
  return RpcError(absl::StatusCode::kUnauthenticated, "TOKEN_MISSING",
                  "this server wants a token: metadata authorization, \"Bearer TOKEN\"");
}

absl::StatusOr<Caller> Authenticator::IdentifyBearer(const Loaded& loaded,
                                                     const std::string& token) const {
  if (!loaded.jwt || !KeyIdOf(token).empty()) return IdentifyKey(loaded.config, token);
  auto caller = loaded.jwt->Verify(token, clock_.Now());
  if (caller.ok()) return caller;
  LogDebug("token refused", {{"error", caller.status().message()}});
  return TokenInvalid();
}

absl::StatusOr<Caller> Authenticator::IdentifyKey(const AuthConfig& config,
                                                  const std::string& secret) const {
  // An unknown id takes as long as a known one.
  static const auto& nobody = *new ApiKey{.sha256 = std::string(64, '0')};
  const auto found = config.keys.find(KeyIdOf(secret));
  const ApiKey& key = found == config.keys.end() ? nobody : found->second;
  const std::string hash = Sha256Hex(secret);
  const bool same = CRYPTO_memcmp(hash.data(), key.sha256.data(), hash.size()) == 0;
  if (!same || key.id.empty() || clock_.Now() >= key.expire_time) return TokenInvalid();
  return Caller{
      .tenant = key.tenant, .id = key.id, .roles = key.roles, .expire_time = key.expire_time};
}

}  // namespace likeness::server
