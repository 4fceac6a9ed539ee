#include "server/base/tcp_socket.h"

#include <fcntl.h>
#include <linux/filter.h>
#include <linux/sockios.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <iterator>
#include <utility>

namespace likeness::server {
namespace {

constexpr uint8_t kEstablished = 1;
constexpr uint8_t kCloseWait = 8;  // the peer sends no more
constexpr int kAnyWindow = 1 << 30;
constexpr int kUsualBuffer =
    64 << 10;  // half of what a socket has by default; the kernel doubles it

// The sequence number of the first byte, from the SYN that the listener has kept.
std::optional<uint32_t> FirstByteOf(int fd) {
  uint8_t syn[256] = {};
  socklen_t size = sizeof(syn);
  if (getsockopt(fd, IPPROTO_TCP, TCP_SAVED_SYN, syn, &size) != 0) return std::nullopt;
  const bool ip6 = syn[0] >> 4 == 6;
  const size_t tcp = ip6 ? sizeof(ip6_hdr) : size_t{syn[0] & 0xFu} * 4;
  if (size < tcp + sizeof(tcphdr) || (ip6 && syn[offsetof(ip6_hdr, ip6_nxt)] != IPPROTO_TCP)) {
    return std::nullopt;
  }
  uint32_t sequence = 0;
  std::memcpy(&sequence, syn + tcp + offsetof(tcphdr, seq), sizeof(sequence));
  return ntohl(sequence) + 1;  // the SYN counts as one
}

// 0 where the kernel cannot unlock a buffer's size once it was set.
bool CanUnlockBuffers(int fd, int* locked) {
  socklen_t size = sizeof(*locked);
  return getsockopt(fd, SOL_SOCKET, SO_BUF_LOCK, locked, &size) == 0;
}

void UnlockReceiveBuffer(int fd, int locked) {
  locked &= ~SOCK_RCVBUF_LOCK;
  setsockopt(fd, SOL_SOCKET, SO_BUF_LOCK, &locked, sizeof(locked));
}

ino_t InodeOf(int fd) {
  struct stat facts = {};
  return fstat(fd, &facts) == 0 ? facts.st_ino : 0;
}

}  // namespace

TcpSocket TcpSocket::CopyOf(int fd) { return {fcntl(fd, F_DUPFD_CLOEXEC, 0), fd}; }

TcpSocket::TcpSocket(int fd, int owner) : fd_(fd), owner_(owner) {
  if (valid()) first_byte_ = FirstByteOf(fd_);
}

TcpSocket::TcpSocket(TcpSocket&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)), owner_(other.owner_), first_byte_(other.first_byte_) {}

TcpSocket& TcpSocket::operator=(TcpSocket&& other) noexcept {
  std::swap(fd_, other.fd_);
  owner_ = other.owner_;
  first_byte_ = other.first_byte_;
  return *this;
}

TcpSocket::~TcpSocket() {
  if (valid()) close(fd_);
}

TcpSocket::Traffic TcpSocket::Look() const {
  tcp_info info = {};
  socklen_t size = sizeof(info);
  if (getsockopt(fd_, IPPROTO_TCP, TCP_INFO, &info, &size) != 0 ||
      size < offsetof(tcp_info, tcpi_bytes_received) + sizeof(info.tcpi_bytes_received)) {
    return {};
  }
  const bool open = info.tcpi_state == kEstablished || info.tcpi_state == kCloseWait;
  int unread = 0;
  (void)ioctl(fd_, SIOCINQ, &unread);
  return {open, static_cast<int64_t>(info.tcpi_bytes_received), unread};
}

// The number of the owner's fd may be another file's by now, but not another socket's with this
// inode, as long as this copy is there.
bool TcpSocket::IsHeldByOwner() const { return InodeOf(owner_) == InodeOf(fd_); }

void TcpSocket::AllowFirst(int64_t bytes) const {
  if (!first_byte_) return;
  const auto limit = static_cast<uint32_t>(std::min<int64_t>(bytes, uint32_t{1} << 31));
  // The filter sees a segment from its TCP header on, and returns how much of it is taken. Segments
  // without payload pass: what they acknowledge has nothing to do with it. One that ends the stream
  // is not cut, or the end would come too early.
  sock_filter program[] = {
      BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 12),        // the header's size: the upper half
      BPF_STMT(BPF_ALU | BPF_AND | BPF_K, 0xF0),     //   of the byte, in words of four
      BPF_STMT(BPF_ALU | BPF_RSH | BPF_K, 2),        //
      BPF_STMT(BPF_ST, 0),                           //   kept
      BPF_STMT(BPF_MISC | BPF_TAX, 0),               //
      BPF_STMT(BPF_LD | BPF_W | BPF_LEN, 0),         //
      BPF_STMT(BPF_ALU | BPF_SUB | BPF_X, 0),        // the payload's size
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 5, 0),  //   none: taken
      BPF_STMT(BPF_MISC | BPF_TAX, 0),               //
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 4),         // its sequence number
      BPF_STMT(BPF_ALU | BPF_ADD | BPF_X, 0),        // where it ends
      BPF_STMT(BPF_ALU | BPF_SUB | BPF_K, *first_byte_),
      BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, limit, 1, 0),   //   beyond: a part at most
      BPF_STMT(BPF_RET | BPF_K, 0xFFFFFFFF),              // taken
      BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 13),             // flags
      BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, 1, 9, 0),      //   FIN: dropped
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 4),              //
      BPF_STMT(BPF_ALU | BPF_SUB | BPF_K, *first_byte_),  // where it begins
      BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, limit, 6, 0),   //   beyond: dropped
      BPF_STMT(BPF_MISC | BPF_TAX, 0),                    //
      BPF_STMT(BPF_LD | BPF_IMM, limit),                  //
      BPF_STMT(BPF_ALU | BPF_SUB | BPF_X, 0),             // so much of the payload
      BPF_STMT(BPF_LDX | BPF_MEM, 0),                     //
      BPF_STMT(BPF_ALU | BPF_ADD | BPF_X, 0),             //   and the header
      BPF_STMT(BPF_RET | BPF_A, 0),                       //
      BPF_STMT(BPF_RET | BPF_K, 0),                       // dropped
  };
  const sock_fprog attached = {static_cast<uint16_t>(std::size(program)), program};
  setsockopt(fd_, SOL_SOCKET, SO_ATTACH_FILTER, &attached, sizeof(attached));
}

void TcpSocket::AllowAll() const {
  const int unused = 0;
  if (first_byte_) setsockopt(fd_, SOL_SOCKET, SO_DETACH_FILTER, &unused, sizeof(unused));
}

void TcpSocket::KeepSmall(int bytes) const {
  int locked = 0;
  if (!CanUnlockBuffers(fd_, &locked)) return;
  setsockopt(fd_, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
}

void TcpSocket::LetGrow() const {
  int locked = 0;
  if (!CanUnlockBuffers(fd_, &locked)) return;
  setsockopt(fd_, SOL_SOCKET, SO_RCVBUF, &kUsualBuffer, sizeof(kUsualBuffer));
  // The window was fitted to the small buffer, too.
  setsockopt(fd_, IPPROTO_TCP, TCP_WINDOW_CLAMP, &kAnyWindow, sizeof(kAnyWindow));
  UnlockReceiveBuffer(fd_, locked);
}

void TcpSocket::Reset(int fd) {
  sockaddr nowhere = {};
  nowhere.sa_family = AF_UNSPEC;
  if (connect(fd, &nowhere, sizeof(nowhere)) != 0) shutdown(fd, SHUT_RDWR);
}

void TcpSocket::PrepareListener(int fd, int unread_bytes) {
  const int yes = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_SAVE_SYN, &yes, sizeof(yes));
  int locked = 0;
  if (!CanUnlockBuffers(fd, &locked)) return;
  setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &unread_bytes, sizeof(unread_bytes));
  // A size that is locked would bound the windows of its connections for good.
  UnlockReceiveBuffer(fd, locked);
}

}  // namespace likeness::server
