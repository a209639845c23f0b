/* What the backend and the load generator agree on: the event's bytes, the control messages, the clock. */
#ifndef COMMON_H
#define COMMON_H
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/*
 * One event is 100 bytes: "data: " sequence (10 digits) space sent (19 digits, ns of CLOCK_MONOTONIC) space
 * and padding, then the blank line. Backend and load run on one machine, so they share that clock.
 */
#define EVENT_BYTES 100
#define SEQ_AT 6
#define SENT_AT (SEQ_AT + 11)
#define FILL_AT (SENT_AT + 20)
#define FILL_END (EVENT_BYTES - 2)

/* The body of a large request or response. */
#define LARGE_BYTES (1 << 20)

/* A message on the control connection; both sides run on one machine, so it travels as it lies in memory. */
struct message {
  uint32_t op;
  uint32_t arg;
  uint64_t value;
};
enum {
  OP_PACE = 1, /* one stream after the other; arg: events in a burst, value: bursts per 1000 s over all streams */
  OP_TICK,     /* the same event to all streams at once; arg and value as above */
  OP_PUBLISH,  /* as OP_TICK, but posted once to the publisher address */
  OP_STOP,     /* no more events; answered with a report */
  OP_CREDIT,   /* arg: the stream that gets one event now */
};
struct report {
  uint64_t sent;    /* events written since the start, over all streams */
  uint64_t ticks;   /* sequence number of the last tick */
  uint64_t skipped; /* events not written because the stream's socket was full */
  uint64_t late_ns; /* the longest that a paced event was behind its time */
};

static inline uint64_t now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static inline void put_digits(char *to, int digits, uint64_t value) {
  for (int i = digits - 1; i >= 0; i--, value /= 10) to[i] = (char)('0' + value % 10);
}

static inline uint64_t get_digits(const char *from, int digits) {
  uint64_t value = 0;
  for (int i = 0; i < digits; i++) value = value * 10 + (uint64_t)(from[i] - '0');
  return value;
}

static inline void fill_event(char *event) {
  memset(event, 0, EVENT_BYTES);
  memcpy(event, "data: ", 6);
  for (int i = SEQ_AT; i < FILL_END; i++) event[i] = (char)('a' + i % 26);
  event[SENT_AT - 1] = event[FILL_AT - 1] = ' ';
  event[FILL_END] = event[FILL_END + 1] = '\n';
}

static inline void stamp_event(char *event, uint64_t seq) {
  put_digits(event + SEQ_AT, 10, seq);
  put_digits(event + SENT_AT, 19, now_ns());
}

static inline void die(const char *what) {
  fprintf(stderr, "%s: %s\n", what, strerror(errno));
  exit(1);
}

static inline void set_option(int fd, int level, int name, int value) {
  if (setsockopt(fd, level, name, &value, sizeof value) < 0) die("setsockopt");
}

static inline struct sockaddr_in loopback(uint32_t host, uint16_t port) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
  address.sin_addr.s_addr = htonl(0x7f000000u | host);
  return address;
}

static inline int connect_to(uint16_t port) {
  struct sockaddr_in address = loopback(1, port);
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) < 0) die("connect");
  set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
  return fd;
}

/* As many open files as allowed, and sleeps that end on time: the default timer slack is a whole event late. */
static inline void prepare_process(void) {
  struct rlimit limit;
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
  prctl(PR_SET_TIMERSLACK, 1000);
  prctl(PR_SET_PDEATHSIG, 15);
}
#endif
