// The server's threads, by whom they serve: what clients do to theirs leaves workers' heartbeats
// alone, and a search through every job of a tenant leaves its other calls alone.
#pragma once

#include <algorithm>

#include "server/base/executor.h"

namespace likeness::server {

enum class Pool {
  kClients,
  kSearches,  // through many jobs: lists
  kWorkers,
};

class Pools {
 public:
  // `threads` are those of clients and workers together, 2 or more.
  explicit Pools(int threads)
      : workers_({.threads = threads / 2, .max_queued = 20'000}),
        clients_({.threads = threads - threads / 2, .fair = true}),
        searches_({.threads = std::max(2, threads / 8), .max_queued = 1'000, .fair = true}) {}

  Executor& Of(Pool pool) {
    switch (pool) {
      case Pool::kWorkers:
        return workers_;
      case Pool::kSearches:
        return searches_;
      default:
        return clients_;
    }
  }

  void Stop() {
    workers_.Stop();
    clients_.Stop();
    searches_.Stop();
  }

 private:
  Executor workers_;
  Executor clients_;
  Executor searches_;
};

}  // namespace likeness::server
