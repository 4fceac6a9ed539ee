#include "tests/support/webhook_receiver.h"

#include <httplib.h>

#include <cstdlib>
#include <thread>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"

namespace likeness::testing {

struct WebhookReceiver::HttpServer {
  httplib::Server server;
  int port = 0;
  std::thread thread;
};

WebhookReceiver::WebhookReceiver(int port)
    : answer_([](const ReceivedCall&) { return ReceiverAnswer(); }),
      http_(std::make_unique<HttpServer>()) {
  httplib::Server& server = http_->server;
  server.new_task_queue = [] { return new httplib::ThreadPool(8); };
  server.set_keep_alive_max_count(1);
  server.Post(".*", [this](const httplib::Request& request, httplib::Response& response) {
    ReceivedCall call{.path = request.path, .body = request.body, .time = absl::Now()};
    for (const auto& [name, value] : request.headers) {
      call.headers[absl::AsciiStrToLower(name)] = value;
    }
    const ReceiverAnswer answer = Receive(call);
    response.status = answer.status;
    for (const auto& [name, value] : answer.headers) response.set_header(name, value);
    response.body = answer.body;
  });
  constexpr char kHost[] = "127.0.0.1";
  http_->port = port == 0                          ? server.bind_to_any_port(kHost)
                : server.bind_to_port(kHost, port) ? port
                                                   : -1;
  if (http_->port < 0) std::abort();
  http_->thread = std::thread([&server] { server.listen_after_bind(); });
}

WebhookReceiver::~WebhookReceiver() {
  // It does not stop before it runs.
  while (!http_->server.is_running()) absl::SleepFor(absl::Milliseconds(1));
  http_->server.stop();
  http_->thread.join();
}

int WebhookReceiver::port() const { return http_->port; }

std::string WebhookReceiver::Url(const std::string& path) const {
  return absl::StrCat("http://127.0.0.1:", port(), path);
}

void WebhookReceiver::set_answer(Answer answer) {
  std::lock_guard lock(mutex_);
  answer_ = std::move(answer);
}

std::vector<ReceivedCall> WebhookReceiver::calls() const {
  std::lock_guard lock(mutex_);
  return calls_;
}

std::vector<ReceivedCall> WebhookReceiver::WaitFor(size_t count) const {
  for (;;) {
    if (auto received = calls(); received.size() >= count) return received;
    absl::SleepFor(absl::Milliseconds(5));
  }
}

ReceiverAnswer WebhookReceiver::Receive(const ReceivedCall& call) {
  Answer answer;
  {
    std::lock_guard lock(mutex_);
    calls_.push_back(call);
    answer = answer_;
  }
  return answer(call);
}

}  // namespace likeness::testing
