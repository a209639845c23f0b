/* One client of the load generator: decodes an answer however it is framed, and checks every event in it. */
#ifndef CLIENT_H
#define CLIENT_H
#include "common.h"
#include <strings.h>

#define HEAD_BYTES 4096
#define LINE_BYTES 128
#define PER_SOURCE 10000 /* connections from one source address, below the ephemeral ports of one */

enum state { CLOSED, CONNECTING, HEAD, BODY };
enum framing { UNTIL_CLOSE, LENGTH, CHUNKED };
enum part { SIZE, DATA, DATA_END, LAST };

struct client {
  int fd;
  uint32_t number;
  enum state state;
  enum framing framing;
  enum part part;
  int is_open; /* its first event, or on a shared stream its head, has come */
  int is_done; /* the answer is whole */
  uint64_t left;
  uint64_t opened_at, next, events;
  uint32_t unsent; /* bytes of the request that the socket did not take yet */
  uint32_t held;
  char line[LINE_BYTES];
  char *head;
};

/* What a proxy must not do. */
struct faults {
  uint64_t lost, repeated, garbled, broken, refused;
};

static struct faults faults;
static char template_event[EVENT_BYTES];

/* Defined by the load: what an event means to the measurement. */
static void on_event(struct client *c, uint64_t sent_ns);

static inline void check_event(struct client *c, const char *line) {
  if (memcmp(line + FILL_AT, template_event + FILL_AT, FILL_END - FILL_AT) != 0) {
    faults.garbled++;
    return;
  }
  uint64_t seq = get_digits(line + SEQ_AT, 10);
  if (c->next == UINT64_MAX) c->next = seq;
  if (seq < c->next) {
    faults.repeated++;
    return;
  }
  faults.lost += seq - c->next;
  c->next = seq + 1;
  c->events++;
  on_event(c, get_digits(line + SENT_AT, 19));
}

/* Comment lines, ids and blank lines are a proxy's right; a data line must be ours to the last byte. */
static inline void take_line(struct client *c, const char *line, size_t length) {
  if (length < 5 || memcmp(line, "data:", 5) != 0) return;
  if (length != FILL_END) faults.garbled++;
  else check_event(c, line);
}

static inline void take_text(struct client *c, const char *bytes, size_t length) {
  while (length > 0) {
    const char *end = memchr(bytes, '\n', length);
    size_t n = end == NULL ? length : (size_t)(end - bytes);
    if (c->held == 0 && end != NULL) {
      take_line(c, bytes, n);
    } else {
      size_t room = LINE_BYTES - c->held, kept = n < room ? n : room;
      memcpy(c->line + c->held, bytes, kept);
      c->held += (uint32_t)kept;
      if (end != NULL) {
        take_line(c, c->line, c->held);
        c->held = 0;
      }
    }
    if (end == NULL) return;
    bytes = end + 1;
    length -= n + 1;
  }
}

static inline int hex_of(char byte) {
  if (byte >= '0' && byte <= '9') return byte - '0';
  byte |= 0x20;
  return byte >= 'a' && byte <= 'f' ? byte - 'a' + 10 : -1;
}

static inline void take_chunked(struct client *c, const char *bytes, size_t length) {
  const char *end = bytes + length;
  while (bytes < end && !c->is_done) {
    if (c->part == DATA) {
      size_t n = (size_t)(end - bytes) < c->left ? (size_t)(end - bytes) : c->left;
      take_text(c, bytes, n);
      bytes += n;
      c->left -= n;
      if (c->left == 0) c->part = DATA_END;
      continue;
    }
    char byte = *bytes++;
    int digit = hex_of(byte);
    if (c->part == SIZE && digit >= 0) c->left = c->left * 16 + (uint64_t)digit;
    else if (c->part == SIZE && byte == '\n') c->part = c->left == 0 ? LAST : DATA;
    else if (c->part == DATA_END && byte == '\n') c->part = SIZE;
    else if (c->part == LAST && byte == '\n') c->is_done = 1;
    else if (byte != '\r') faults.garbled++;
  }
}

static inline void take_body(struct client *c, const char *bytes, size_t length) {
  if (c->framing == CHUNKED) {
    take_chunked(c, bytes, length);
  } else if (c->framing == LENGTH) {
    c->left -= length < c->left ? length : c->left;
    c->is_done = c->left == 0;
  } else {
    take_text(c, bytes, length);
  }
}

static inline const char *field(const char *head, const char *name) {
  const char *found = strcasestr(head, name);
  return found == NULL ? NULL : found + strlen(name);
}

static inline void begin_body(struct client *c) {
  const char *length = field(c->head, "\r\nContent-Length:");
  c->framing = field(c->head, "\r\nTransfer-Encoding: chunked") ? CHUNKED : length ? LENGTH : UNTIL_CLOSE;
  c->left = c->framing == LENGTH ? strtoull(length, NULL, 10) : 0;
  c->part = SIZE;
  c->state = BODY;
  c->is_done = 0;
  if (strncmp(c->head + 8, " 200", 4) != 0) faults.refused++;
}

/* Takes what came in: a head in any number of pieces, then its body. */
static inline void take(struct client *c, const char *bytes, size_t length) {
  if (c->state == BODY) {
    take_body(c, bytes, length);
    return;
  }
  if (c->head == NULL) c->head = malloc(HEAD_BYTES + 1);
  size_t room = HEAD_BYTES - c->held, n = length < room ? length : room, before = c->held;
  memcpy(c->head + c->held, bytes, n);
  c->held += (uint32_t)n;
  c->head[c->held] = 0;
  char *end = strstr(c->head, "\r\n\r\n");
  if (end == NULL) return;
  end[2] = 0;
  size_t taken = (size_t)(end + 4 - c->head) - before;
  c->held = 0;
  begin_body(c);
  if (length > taken) take_body(c, bytes + taken, length - taken);
}

/* Begins to connect the client of that number, which epoll reports when it can ask; returns its socket. */
static inline int dial(int epoll, uint32_t number, uint16_t port) {
  struct sockaddr_in source = loopback(2 + number / PER_SOURCE, 0), target = loopback(1, port);
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  if (fd < 0) die("socket");
  set_option(fd, SOL_IP, IP_BIND_ADDRESS_NO_PORT, 1);
  set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
  if (bind(fd, (struct sockaddr *)&source, sizeof source) < 0) die("bind");
  if (connect(fd, (struct sockaddr *)&target, sizeof target) < 0 && errno != EINPROGRESS) die("connect");
  struct epoll_event interest = {.events = EPOLLOUT, .data.u32 = number};
  if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &interest) < 0) die("epoll_ctl");
  return fd;
}
#endif
