// A local HTTP server that receives calls to webhooks and answers as it is told.
#pragma once

#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/time/time.h"

struct mg_context;
struct mg_connection;

namespace likeness::testing {

struct ReceivedCall {
  std::string path;
  std::map<std::string, std::string> headers;  // names in lower case
  std::string body;
  absl::Time time;
};

class WebhookReceiver {
 public:
  // The whole answer to a call: "HTTP/1.1 204 No Content\r\n\r\n". Called on its threads.
  using Answer = std::function<std::string(const ReceivedCall&)>;

  explicit WebhookReceiver(int port = 0);  // 0: a free one
  ~WebhookReceiver();

  int port() const;
  std::string Url(const std::string& path = "/hook") const;
  void set_answer(Answer answer);
  std::vector<ReceivedCall> calls() const;
  // The calls, once there are so many; a test that waits in vain is cut by its time limit.
  std::vector<ReceivedCall> WaitFor(size_t count) const;

 private:
  static int Serve(mg_connection* connection, void* self);

  mg_context* context_;
  mutable std::mutex mutex_;
  Answer answer_ ABSL_GUARDED_BY(mutex_);
  std::vector<ReceivedCall> calls_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace likeness::testing
