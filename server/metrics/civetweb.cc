#include "server/metrics/civetweb.h"

#include <atomic>
#include <thread>

#include "absl/time/clock.h"

namespace likeness::server {

int PortOf(const mg_context* context) {
  mg_server_port ports[1] = {};
  return mg_get_server_ports(context, 1, ports) == 1 ? ports[0].port : 0;
}

void StopCivetweb(mg_context* context, const std::string& host) {
  const int port = PortOf(context);
  std::atomic<bool> stopped = false;
  std::thread stopping([&] {
    mg_stop(context);
    stopped = true;
  });
  while (!stopped) {
    char ignored[100];
    auto* knock = mg_connect_client(host.c_str(), port, 0, ignored, sizeof(ignored));
    if (knock != nullptr) mg_close_connection(knock);
    absl::SleepFor(absl::Milliseconds(5));
  }
  stopping.join();
}

}  // namespace likeness::server
