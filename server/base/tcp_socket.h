// What the kernel knows and does about one TCP connection, beside whoever reads it: how much has
// come in, how much of it may lie unread, and how much more is let in at all.
#pragma once

#include <cstdint>
#include <optional>

namespace likeness::server {

// A copy of a connection's socket, which is the same connection; closed with this. Where the kernel
// lacks a call (Linux before 5.15, or TCP with SYN cookies), what it would do is left undone.
class TcpSocket {
 public:
  // Another copy of `fd`, whose owner may close it at any time. Not valid where there are no more
  // file descriptors.
  static TcpSocket CopyOf(int fd);
  TcpSocket() = default;
  TcpSocket(TcpSocket&& other) noexcept;
  TcpSocket& operator=(TcpSocket&& other) noexcept;
  ~TcpSocket();

  bool valid() const { return fd_ >= 0; }

  struct Traffic {
    bool open = false;
    int64_t received = 0;  // bytes so far
    int64_t unread = 0;    // of these, that lie in the kernel
  };
  Traffic Look() const;
  // Whether the owner has not closed their copy yet.
  bool IsHeldByOwner() const;

  // Lets no more in than the first `bytes` of the connection: the kernel drops what comes beyond,
  // if need be a part of a segment, and the peer sends it again later. A call with more lets more
  // in.
  void AllowFirst(int64_t bytes) const;
  void AllowAll() const;

  // So that little lies there unread; the kernel doubles `bytes`.
  void KeepSmall(int bytes) const;
  // The kernel adapts the buffer's size to the traffic again.
  void LetGrow() const;

  // Ends the connection at once. After a mere shutdown what the peer goes on to send would still be
  // read.
  static void Reset(int fd);
  void Reset() const { Reset(fd_); }

  // Of a socket that listens, before it does: its connections begin with little that may lie
  // unread, and AllowFirst works on them.
  static void PrepareListener(int fd, int unread_bytes);

 private:
  TcpSocket(int fd, int owner);

  int fd_ = -1;
  int owner_ = -1;                      // the fd that this was copied from
  std::optional<uint32_t> first_byte_;  // its sequence number
};

}  // namespace likeness::server
