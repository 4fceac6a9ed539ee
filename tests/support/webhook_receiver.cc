#include "tests/support/webhook_receiver.h"

#include <cstdlib>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "server/metrics/civetweb.h"

namespace likeness::testing {

WebhookReceiver::WebhookReceiver(int port)
    : answer_([](const ReceivedCall&) {
        return "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n";
      }) {
  const std::string address = absl::StrCat("127.0.0.1:", port);
  const char* options[] = {"listening_ports", address.c_str(), "num_threads", "8", nullptr};
  const mg_callbacks callbacks = {};
  context_ = mg_start(&callbacks, nullptr, options);
  if (context_ == nullptr) std::abort();
  mg_set_request_handler(context_, "/", &Serve, this);
}

WebhookReceiver::~WebhookReceiver() { server::StopCivetweb(context_, "127.0.0.1"); }

int WebhookReceiver::port() const { return server::PortOf(context_); }

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

int WebhookReceiver::Serve(mg_connection* connection, void* self) {
  auto* receiver = static_cast<WebhookReceiver*>(self);
  const mg_request_info* request = mg_get_request_info(connection);
  ReceivedCall call;
  call.time = absl::Now();
  call.path = request->local_uri;
  for (int i = 0; i < request->num_headers; ++i) {
    call.headers[absl::AsciiStrToLower(request->http_headers[i].name)] =
        request->http_headers[i].value;
  }
  char piece[4096];
  for (int count; (count = mg_read(connection, piece, sizeof(piece))) > 0;) {
    call.body.append(piece, static_cast<size_t>(count));
  }
  Answer answer;
  {
    std::lock_guard lock(receiver->mutex_);
    receiver->calls_.push_back(call);
    answer = receiver->answer_;
  }
  const std::string reply = answer(call);
  mg_write(connection, reply.data(), reply.size());
  return 200;
}

}  // namespace likeness::testing
