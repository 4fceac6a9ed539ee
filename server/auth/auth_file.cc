#include "server/auth/auth_file.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/functional/function_ref.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/digest.h"
#include "common/flag_error.h"
#include "common/ids.h"
#include "common/resource_names.h"
#include "common/rpc_error.h"
#include "common/status_macros.h"
#include "server/auth/json_object.h"
#include "server/blobs/filesystem/file.h"

namespace likeness::server {
namespace {

using Json = JsonObject::Json;

constexpr char kSecretStart[] = "lk_";
constexpr size_t kIdLength = 12;
constexpr size_t kRandomLength = 64;
constexpr int64_t kMaxFileBytes = 16 << 20;

absl::Status InvalidAuthFile(absl::string_view problem) {
  return RpcError(absl::StatusCode::kInvalidArgument, "INVALID_AUTH_FILE",
                  absl::StrCat("the auth file: ", problem));
}

// What a key's tenant and roles must be like.
absl::Status CheckScope(const ApiKey& key) {
  if (key.roles.empty()) return absl::InvalidArgumentError("a key needs at least one role");
  if (key.roles.Has(Role::kWorker)) {
    if (key.roles == Roles{Role::kWorker} && key.tenant.empty()) return absl::OkStatus();
    return absl::InvalidArgumentError(
        "a worker's key has no tenant and no other role: it works for all tenants");
  }
  if (IsResourceId(key.tenant)) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("the tenant \"", key.tenant, "\" is not of the form [a-z0-9-]{1,63}"));
}

ApiKey ReadKey(JsonObject& object) {
  ApiKey key;
  key.id = object.Text("id");
  key.tenant = object.Text("tenant");
  for (const std::string& name : object.Texts("roles")) {
    if (const auto role = ParseRole(name)) {
      key.roles.Add(*role);
    } else {
      object.Fail("roles",
                  absl::StrCat("holds \"", name, "\"; submit, read, admin and worker are allowed"));
    }
  }
  key.sha256 = object.Text("sha256");
  key.create_time = object.Time("create_time", key.create_time);
  key.expire_time = object.Time("expire_time", key.expire_time);
  key.note = object.Text("note");
  if (!IsResourceId(key.id)) object.Fail("id", "is not of the form [a-z0-9-]{1,63}");
  if (!IsSha256Hex(key.sha256)) object.Fail("sha256", "is not 64 hex digits");
  if (const auto scope = CheckScope(key); !scope.ok()) object.Fail("", scope.message());
  return key;
}

JwtOptions ReadJwt(JsonObject& object) {
  JwtOptions jwt;
  jwt.keys_file = object.Text("keys_file");
  jwt.issuer = object.Text("issuer");
  jwt.audience = object.Text("audience");
  jwt.tenant_claim = object.Text("tenant_claim", jwt.tenant_claim);
  jwt.roles_claim = object.Text("roles_claim", jwt.roles_claim);
  for (const char* needed : {"keys_file", "issuer", "audience"}) {
    if (object.Text(needed).empty()) object.Fail(needed, "is missing");
  }
  return jwt;
}

TenantLimits ReadLimits(JsonObject& object) {
  TenantLimits limits;
  const auto count = [&](const char* name, int64_t* target) {
    constexpr double kMost = 1e18;
    if (const auto number = object.Number(name)) {
      *target = static_cast<int64_t>(std::min(*number, kMost));
    }
  };
  const auto seconds = [&](const char* name, absl::Duration* target) {
    if (const auto number = object.Number(name)) *target = absl::Seconds(*number);
  };
  count("max_pending_jobs", &limits.jobs.max_pending_jobs);
  count("max_running_jobs", &limits.jobs.max_running_jobs);
  count("max_stored_bytes", &limits.stored_bytes);
  seconds("worker_seconds_per_day", &limits.jobs.worker_time_per_day);
  seconds("worker_seconds_per_month", &limits.jobs.worker_time_per_month);
  const auto rate = object.Number("calls_per_second");
  const auto burst = object.Number("calls_burst");
  if (rate && *rate == 0) object.Fail("calls_per_second", "is 0; more is allowed, or nothing");
  if (burst && !rate) object.Fail("calls_burst", "needs calls_per_second");
  // A command makes several calls at once, of which one costs several.
  constexpr double kUsualBurst = 10;  // seconds' worth
  if (rate) limits.calls = RateLimit{*rate, std::max(burst.value_or(kUsualBurst * *rate), 1.0)};
  return limits;
}

Json ToJson(const ApiKey& key) {
  Json json = {{"id", key.id}};
  if (!key.tenant.empty()) json["tenant"] = key.tenant;
  json["roles"] = Json::array();
  for (const Role role :
       {Role::kSubmit, Role::kRead, Role::kAdmin, Role::kWorker, Role::kOperator}) {
    if (key.roles.Has(role)) json["roles"].push_back(ToString({role}));
  }
  json["sha256"] = key.sha256;
  const auto text = [](absl::Time time) {
    return absl::FormatTime(absl::RFC3339_sec, time, absl::UTCTimeZone());
  };
  json["create_time"] = text(key.create_time);
  if (key.expire_time != absl::InfiniteFuture()) json["expire_time"] = text(key.expire_time);
  if (!key.note.empty()) json["note"] = key.note;
  return json;
}

absl::Status ReplaceFile(const std::string& path, const std::string& text) {
  const std::string fresh = path + ".new";
  {
    ASSIGN_OR_RETURN(File file, File::OpenForWriting(fresh));
    RETURN_IF_ERROR(file.Truncate(0));
    RETURN_IF_ERROR(file.WriteAt(0, text));
    RETURN_IF_ERROR(file.Sync());
  }
  if (rename(fresh.c_str(), path.c_str()) != 0) return ErrnoStatus(errno, "replace the auth file");
  const auto directory = std::filesystem::path(path).parent_path();
  return SyncDirectory(directory.empty() ? "." : directory.string());
}

// Nobody else changes the file while `change` does.
absl::Status ChangeFile(const std::string& path,
                        absl::FunctionRef<absl::Status(Json& file)> change) {
  const auto failed = [&](const absl::Status& status) {
    return WithFlag("--auth-file", path, status);
  };
  const int lock = open((path + ".lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0640);
  if (lock < 0) return failed(ErrnoStatus(errno, "lock the auth file"));
  const absl::Cleanup unlock = [lock] { close(lock); };
  if (flock(lock, LOCK_EX) != 0) return failed(ErrnoStatus(errno, "lock the auth file"));
  Json file = Json::object();
  auto text = ReadAuthFile(path);
  if (!text.ok() && !absl::IsNotFound(text.status())) return failed(text.status());
  if (text.ok()) {
    RETURN_IF_ERROR(ParseAuthFile(*text).status());
    file = Json::parse(*text);
  }
  RETURN_IF_ERROR(change(file));
  const std::string changed = file.dump(2) + "\n";
  RETURN_IF_ERROR(ParseAuthFile(changed).status());
  const auto replaced = ReplaceFile(path, changed);
  return replaced.ok() ? replaced : failed(replaced);
}

}  // namespace

absl::StatusOr<AuthConfig> ParseAuthFile(absl::string_view text) {
  const Json json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (json.is_discarded()) return InvalidAuthFile("it is not JSON");
  absl::Status status;
  AuthConfig config;
  JsonObject file(json, "", status);
  file.Objects("keys", [&](JsonObject& object) {
    ApiKey key = ReadKey(object);
    const std::string id = key.id;
    if (!config.keys.emplace(id, std::move(key)).second) object.Fail("id", "is there twice");
  });
  file.Object("jwt", [&](JsonObject& object) { config.jwt = ReadJwt(object); });
  file.Members("tenants", [&](const std::string& tenant, JsonObject& object) {
    if (tenant != "*" && !IsResourceId(tenant)) object.Fail("", "is no tenant's name");
    config.tenants[tenant] = ReadLimits(object);
  });
  file.RefuseOthers();
  if (!status.ok()) return InvalidAuthFile(status.message());
  return config;
}

absl::string_view KeyIdOf(absl::string_view secret) {
  constexpr size_t kStart = sizeof(kSecretStart) - 1;
  if (!absl::StartsWith(secret, kSecretStart)) return "";
  if (secret.size() != kStart + kIdLength + 1 + kRandomLength) return "";
  return secret.substr(kStart, kIdLength);
}

absl::StatusOr<NewKey> CreateKey(const std::string& path, const ApiKey& wanted) {
  if (const auto scope = CheckScope(wanted); !scope.ok()) return scope;
  ApiKey key = wanted;
  key.id = RandomId(kIdLength);
  const std::string secret =
      absl::StrCat(kSecretStart, key.id, "_", RandomSecret(), RandomSecret());
  key.sha256 = Sha256Hex(secret);
  RETURN_IF_ERROR(ChangeFile(path, [&](Json& file) {
    if (!file.contains("keys")) file["keys"] = Json::array();
    file["keys"].push_back(ToJson(key));
    return absl::OkStatus();
  }));
  return NewKey{secret, key.id};
}

absl::Status RevokeKey(const std::string& path, const std::string& id) {
  return ChangeFile(path, [&](Json& file) -> absl::Status {
    Json kept = Json::array();
    if (file.contains("keys")) {
      for (const Json& key : file["keys"]) {
        if (key.at("id") != id) kept.push_back(key);
      }
    }
    if (!file.contains("keys") || kept.size() == file["keys"].size()) {
      return RpcError(absl::StatusCode::kNotFound, "KEY_NOT_FOUND",
                      absl::StrCat("there is no key ", id));
    }
    file["keys"] = std::move(kept);
    return absl::OkStatus();
  });
}

absl::StatusOr<std::string> ReadAuthFile(const std::string& path) {
  ASSIGN_OR_RETURN(const File file, File::OpenForReading(path));
  ASSIGN_OR_RETURN(const int64_t size, file.Size());
  if (size > kMaxFileBytes) {
    return InvalidAuthFile(
        absl::StrCat("it has ", size, " bytes; at most ", kMaxFileBytes, " are allowed"));
  }
  return file.ReadAt(0, size);
}

}  // namespace likeness::server
