// A local HTTP server that receives calls to webhooks and answers as it is told.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/time/time.h"

namespace likeness::testing {

struct ReceivedCall {
  std::string path;
  std::map<std::string, std::string> headers{};  // names in lower case
  std::string body;
  absl::Time time;
};

struct ReceiverAnswer {
  int status = 204;
  std::map<std::string, std::string> headers{};
  std::string body{};
};

class WebhookReceiver {
 public:
  // Called on its threads.
  using Answer = std::function<ReceiverAnswer(const ReceivedCall&)>;

  explicit WebhookReceiver(int port = 0);  // 0: a free one
  ~WebhookReceiver();

  int port() const;
  std::string Url(const std::string& path = "/hook") const;
  void set_answer(Answer answer);
  std::vector<ReceivedCall> calls() const;
  // The calls, once there are so many; a test that waits in vain is cut by its time limit.
  std::vector<ReceivedCall> WaitFor(size_t count) const;

 private:
  struct HttpServer;
  ReceiverAnswer Receive(const ReceivedCall& call);

  mutable std::mutex mutex_;
  Answer answer_ ABSL_GUARDED_BY(mutex_);
  std::vector<ReceivedCall> calls_ ABSL_GUARDED_BY(mutex_);
  std::unique_ptr<HttpServer> http_;
};

}  // namespace likeness::testing
