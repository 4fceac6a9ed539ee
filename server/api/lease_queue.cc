#include "server/api/lease_queue.h"

#include <algorithm>
#include <utility>

namespace likeness::server {
namespace {

constexpr int kOffersAtOnce = 64;  // asked because time has passed

}  // namespace

// Workers with one offer.
struct LeaseQueue::Group {
  std::string offer;
  int waiters = 0;
  int64_t looked = 0;  // the news that its last look began with; 0: it has to look in any case
  std::list<Waiter*> idle;
  std::list<Group*>::iterator place;
  bool placed = false;  // stands in order_
};

struct LeaseQueue::Waiter {
  Group* group = nullptr;
  std::function<void()> wake;
  enum { kIdle, kTold, kLooking, kServed } state = kLooking;
  bool told = false;  // counts as under way
  std::list<Waiter*>::iterator place;
  int64_t news = 0;  // that this look began with
};

LeaseQueue::LeaseQueue(int max_looks) : max_looks_(max_looks) {}

LeaseQueue::~LeaseQueue() = default;

std::unique_ptr<LeaseQueue::Turn> LeaseQueue::Join(const std::string& offer,
                                                   std::function<void()> wake) {
  auto waiter = std::make_unique<Waiter>();
  waiter->wake = std::move(wake);
  {
    std::lock_guard lock(mutex_);
    std::unique_ptr<Group>& group = groups_[offer];
    if (!group) {
      group = std::make_unique<Group>();
      group->offer = offer;
      group->looked = news_;
    }
    ++group->waiters;
    waiter->group = group.get();
    waiter->news = news_;
  }
  return std::make_unique<Turn>(*this, std::move(waiter));
}

void LeaseQueue::Publish() {
  std::lock_guard lock(mutex_);
  ++news_;
  Dispatch();
}

void LeaseQueue::PublishByTime() {
  std::lock_guard lock(mutex_);
  int left = kOffersAtOnce;
  for (Group* group : order_) {
    if (left-- == 0) break;
    group->looked = 0;
  }
  Dispatch();
}

int64_t LeaseQueue::looks() const {
  std::lock_guard lock(mutex_);
  return looks_;
}

void LeaseQueue::Begin(Waiter& waiter) {
  std::lock_guard lock(mutex_);
  if (waiter.state == Waiter::kLooking) return;
  if (waiter.state == Waiter::kIdle) {  // woken by something else
    waiter.group->idle.erase(waiter.place);
    Place(*waiter.group);
  }
  waiter.state = Waiter::kLooking;
  waiter.news = news_;
}

void LeaseQueue::End(Waiter& waiter, Outcome outcome) {
  std::lock_guard lock(mutex_);
  EndLook(waiter, outcome);
  Group& group = *waiter.group;
  if (outcome == Outcome::kNothing) {
    waiter.state = Waiter::kIdle;
    waiter.place = group.idle.insert(group.idle.end(), &waiter);
    group.looked = std::max(group.looked, waiter.news);
  } else {
    waiter.state = Waiter::kServed;
  }
  Place(group);
  Dispatch();
}

void LeaseQueue::EndLook(Waiter& waiter, Outcome outcome) {
  if (std::exchange(waiter.told, false)) --under_way_;
  if (outcome != Outcome::kNothing) waiter.group->looked = 0;  // there may be more
}

void LeaseQueue::Leave(Waiter& waiter) {
  std::lock_guard lock(mutex_);
  Group& group = *waiter.group;
  if (waiter.state == Waiter::kIdle) {
    group.idle.erase(waiter.place);
  } else if (waiter.state != Waiter::kServed) {
    EndLook(waiter, Outcome::kGone);
  }
  --group.waiters;
  Place(group);
  if (group.waiters == 0) groups_.erase(std::string(group.offer));
  Dispatch();
}

void LeaseQueue::Place(Group& group) {
  if (std::exchange(group.placed, false)) order_.erase(group.place);
  if (group.idle.empty()) return;
  const auto before = group.looked < news_ ? order_.begin() : order_.end();
  group.place = order_.insert(before, &group);
  group.placed = true;
}

void LeaseQueue::Dispatch() {
  while (under_way_ < max_looks_ && !order_.empty() && order_.front()->looked < news_) {
    Group& group = *order_.front();
    Waiter& waiter = *group.idle.front();
    group.idle.pop_front();
    group.looked = news_;
    Place(group);
    waiter.state = Waiter::kTold;
    waiter.told = true;
    ++under_way_;
    ++looks_;
    waiter.wake();
  }
}

LeaseQueue::Turn::Turn(LeaseQueue& queue, std::unique_ptr<Waiter> waiter)
    : queue_(queue), waiter_(std::move(waiter)) {}

LeaseQueue::Turn::~Turn() { queue_.Leave(*waiter_); }

void LeaseQueue::Turn::Begin() { queue_.Begin(*waiter_); }

void LeaseQueue::Turn::End(bool found) {
  queue_.End(*waiter_, found ? Outcome::kFound : Outcome::kNothing);
}

}  // namespace likeness::server
