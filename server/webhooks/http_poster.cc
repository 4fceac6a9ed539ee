#include "server/webhooks/http_poster.h"

#include <curl/curl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "common/version.h"

namespace likeness::server {
namespace {

constexpr size_t kMaxAnswerBytes = 64 << 10;  // of the headers, and again of the body
constexpr long kMaxConnections = 64;          // kept open in all

void InitCurl() {
  static const CURLcode code = curl_global_init(CURL_GLOBAL_DEFAULT);
  if (code != CURLE_OK) std::abort();
}

// Counts what comes, and refuses what is too much.
size_t Discard(char*, size_t size, size_t count, void* left) {
  size_t& bytes = *static_cast<size_t*>(left);
  if (size * count > bytes) return 0;
  bytes -= size * count;
  return size * count;
}

}  // namespace

struct HttpPoster::Transfer {
  int64_t id = 0;
  HttpPost post;
  const AddressRules* rules = nullptr;
  bool address_refused = false;
  size_t header_bytes_left = kMaxAnswerBytes;
  size_t body_bytes_left = kMaxAnswerBytes;
  curl_slist* headers = nullptr;
  char error[CURL_ERROR_SIZE] = "";

  ~Transfer() { curl_slist_free_all(headers); }

  static curl_socket_t OpenSocket(void* self, curlsocktype, curl_sockaddr* address) {
    auto* transfer = static_cast<Transfer*>(self);
    if (!transfer->rules->Permits(address->addr)) {
      transfer->address_refused = true;
      return CURL_SOCKET_BAD;
    }
    return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
  }
};

HttpPoster::HttpPoster(AddressRules rules, absl::Duration timeout)
    : rules_(std::move(rules)), timeout_(timeout) {
  InitCurl();
  multi_ = curl_multi_init();
  curl_multi_setopt(multi_, CURLMOPT_MAXCONNECTS, kMaxConnections);
}

HttpPoster::~HttpPoster() {
  for (auto& [easy, transfer] : transfers_) {
    curl_multi_remove_handle(multi_, easy);
    curl_easy_cleanup(easy);
  }
  curl_multi_cleanup(multi_);
}

void HttpPoster::Start(int64_t id, HttpPost post) {
  auto transfer = std::make_unique<Transfer>();
  transfer->id = id;
  transfer->post = std::move(post);
  transfer->rules = &rules_;
  transfer->headers = curl_slist_append(nullptr, "Expect:");
  for (const std::string& header : transfer->post.headers) {
    transfer->headers = curl_slist_append(transfer->headers, header.c_str());
  }
  static const std::string& agent = *new std::string(std::string("likeness/") + Version());
  CURL* easy = curl_easy_init();
  curl_easy_setopt(easy, CURLOPT_URL, transfer->post.url.c_str());
  curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(easy, CURLOPT_DISALLOW_USERNAME_IN_URL, 1L);
  curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
  curl_easy_setopt(easy, CURLOPT_PROXY, "");  // the environment's would do the resolving for us
  curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1);
  curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, &Transfer::OpenSocket);
  curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, transfer.get());
  curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE, static_cast<long>(transfer->post.body.size()));
  curl_easy_setopt(easy, CURLOPT_POSTFIELDS, transfer->post.body.data());
  curl_easy_setopt(easy, CURLOPT_HTTPHEADER, transfer->headers);
  curl_easy_setopt(easy, CURLOPT_USERAGENT, agent.c_str());
  curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, &Discard);
  curl_easy_setopt(easy, CURLOPT_WRITEDATA, &transfer->body_bytes_left);
  curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, &Discard);
  curl_easy_setopt(easy, CURLOPT_HEADERDATA, &transfer->header_bytes_left);
  curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, static_cast<long>(timeout_ / absl::Milliseconds(1)));
  curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
#if LIBCURL_VERSION_NUM >= 0x075700
  // The thread that still resolves a name when the time is over is left to itself: waiting for it,
  // as libcurl does otherwise, would hold up all other calls.
  curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
#endif
  curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, transfer->error);
  curl_multi_add_handle(multi_, easy);
  transfers_[easy] = std::move(transfer);
}

std::vector<HttpAnswer> HttpPoster::Poll(absl::Duration patience) {
  std::vector<HttpAnswer> answers;
  int running = 0;
  curl_multi_perform(multi_, &running);
  Collect(answers);
  if (!answers.empty()) return answers;
  const auto milliseconds = std::clamp<int64_t>(patience / absl::Milliseconds(1), 0, 60'000);
  curl_multi_poll(multi_, nullptr, 0, static_cast<int>(milliseconds), nullptr);
  curl_multi_perform(multi_, &running);
  Collect(answers);
  return answers;
}

void HttpPoster::Collect(std::vector<HttpAnswer>& answers) {
  int left = 0;
  while (CURLMsg* message = curl_multi_info_read(multi_, &left)) {
    if (message->msg != CURLMSG_DONE) continue;
    CURL* easy = message->easy_handle;
    const CURLcode code = message->data.result;
    Transfer& transfer = *transfers_.at(easy);
    HttpAnswer& answer = answers.emplace_back();
    answer.id = transfer.id;
    answer.address_refused = transfer.address_refused && code != CURLE_OK;
    long status = 0;
    curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
    // An answer that is too long is cut; its status had come before.
    if (code == CURLE_OK || code == CURLE_WRITE_ERROR) {
      answer.status = static_cast<int>(status);
    } else {
      answer.error =
          answer.address_refused ? "the address is not allowed" : curl_easy_strerror(code);
    }
    curl_off_t micros = 0;
    curl_easy_getinfo(easy, CURLINFO_TOTAL_TIME_T, &micros);
    answer.took = absl::Microseconds(micros);
    curl_multi_remove_handle(multi_, easy);
    curl_easy_cleanup(easy);
    transfers_.erase(easy);
  }
}

void HttpPoster::Wake() { curl_multi_wakeup(multi_); }

}  // namespace likeness::server
