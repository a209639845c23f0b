/*
 * The backend of the benchmark: one thread, one epoll, prepared responses.
 *
 *   GET /events?stream=K   an event stream; its first event is sent with the head
 *   GET /shared            an event stream that gets the events of a tick
 *   GET /large             a response of LARGE_BYTES on a connection that stays open
 *   any other              a small response on a connection that stays open, once the request's body is read
 *
 * It listens on HOSTS addresses, 127.0.0.1 and those that follow, which a proxy takes for as many backends.
 *
 * The control connection sets what is sent and when (common.h). Usage: backend [POST-PORT POST-PATH]
 */
#include "common.h"
#include <math.h>

#define MAX_FDS 65536
#define REQUEST_BYTES 4096
#define HOSTS 100
#define CHUNK_HEAD 4
#define CHUNK_BYTES (CHUNK_HEAD + EVENT_BYTES + 2)
/* Beyond this the events in arrears are let go instead of sent in one heap. */
#define MAX_BEHIND_NS 200000000u
/* Events in one turn at most, so that requests are answered however high the rate. */
#define MAX_PER_TURN 256

enum kind { CLOSED, LISTENER, CONTROL_LISTENER, CONTROL, HTTP, PACED, SHARED, PUBLISHER };

struct connection {
  enum kind kind;
  uint32_t stream; /* of PACED: the client's own number; its place in `order` is `place` */
  uint32_t place;
  uint64_t seq;
  uint32_t held; /* bytes of `in` */
  char *in;      /* an unfinished request or control message */
  uint32_t rest; /* bytes of a chunk that the socket did not take yet */
  uint32_t large; /* bytes of a large response that the socket did not take yet */
  uint64_t body;  /* bytes of a request's body that have not come yet */
  char tail[CHUNK_BYTES];
};

static struct connection connections[MAX_FDS];
static int by_stream[MAX_FDS]; /* stream number -> fd */
static int order[MAX_FDS];     /* open streams, in the order of turns */
static uint32_t streams, turn;
static int epoll, publisher = -1;
static uint32_t mode, burst;
static double gap_ns, due_ns;
static uint64_t random_state = 88172645463325252u;
static struct report report;
static char chunk[CHUNK_BYTES + 1];
static char *const event = chunk + CHUNK_HEAD;
static uint16_t publish_port;
static const char *publish_path;

static const char STREAM_HEAD[] =
    "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-cache\r\n"
    "Transfer-Encoding: chunked\r\n\r\n";
static const char SMALL_ANSWER[] =
    "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 64\r\n\r\n"
    "{\"answer\":\"0123456789012345678901234567890123456789012345678\"}\r\n";

static const char LARGE_HEAD[] =
    "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: 1048576\r\n\r\n";

static void watch(int fd, enum kind kind, uint32_t events) {
  struct epoll_event interest = {.events = events, .data.fd = fd};
  if (fd >= MAX_FDS) die("too many connections");
  connections[fd] = (struct connection){.kind = kind};
  if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &interest) < 0) die("epoll_ctl");
}

static void close_connection(int fd) {
  struct connection *c = &connections[fd];
  if (c->kind == PACED || c->kind == SHARED) {
    int last = order[--streams];
    order[c->place] = last;
    connections[last].place = c->place;
    if (c->kind == PACED && by_stream[c->stream] == fd) by_stream[c->stream] = -1;
  }
  free(c->in);
  *c = (struct connection){.kind = CLOSED};
  close(fd);
}

static void want(int fd, uint32_t events) {
  struct epoll_event interest = {.events = events, .data.fd = fd};
  epoll_ctl(epoll, EPOLL_CTL_MOD, fd, &interest);
}

/* Writes the prepared chunk to one stream. A full socket skips whole events, and never cuts one. */
static void send_chunk(int fd) {
  struct connection *c = &connections[fd];
  if (c->rest > 0) {
    report.skipped++;
    return;
  }
  ssize_t n = send(fd, chunk, CHUNK_BYTES, MSG_NOSIGNAL);
  if (n < 0 && errno != EAGAIN) return; /* its end is read by epoll */
  if (n <= 0) {
    report.skipped++;
    return;
  }
  report.sent++;
  c->seq++;
  if (n == CHUNK_BYTES) return;
  c->rest = (uint32_t)(CHUNK_BYTES - n);
  memcpy(c->tail, chunk + n, c->rest);
  want(fd, EPOLLIN | EPOLLOUT);
}

static void send_rest(int fd) {
  struct connection *c = &connections[fd];
  ssize_t n = send(fd, c->tail, c->rest, MSG_NOSIGNAL);
  if (n <= 0) return;
  memmove(c->tail, c->tail + n, c->rest - (size_t)n);
  c->rest -= (uint32_t)n;
  if (c->rest == 0) want(fd, EPOLLIN);
}

static void open_stream(int fd, enum kind kind, uint32_t stream) {
  struct connection *c = &connections[fd];
  char bytes[sizeof STREAM_HEAD + CHUNK_BYTES];
  int before = by_stream[stream % MAX_FDS];
  /* http-proxy keeps the request of a client that left: its stream would go on getting events, unseen. */
  if (kind == PACED && before >= 0) close_connection(before);
  size_t length = sizeof STREAM_HEAD - 1;
  memcpy(bytes, STREAM_HEAD, length);
  c->kind = kind;
  c->stream = stream % MAX_FDS;
  c->place = streams;
  order[streams++] = fd;
  free(c->in);
  c->in = NULL;
  if (kind == PACED) {
    by_stream[c->stream] = fd;
    stamp_event(event, c->seq++);
    memcpy(bytes + length, chunk, CHUNK_BYTES);
    length += CHUNK_BYTES;
    report.sent++;
  }
  if (send(fd, bytes, length, MSG_NOSIGNAL) != (ssize_t)length) close_connection(fd);
}

static char large[sizeof LARGE_HEAD - 1 + LARGE_BYTES];

static void send_large(int fd) {
  struct connection *c = &connections[fd];
  ssize_t n = send(fd, large + sizeof large - c->large, c->large, MSG_NOSIGNAL);
  if (n < 0 && errno != EAGAIN) return; /* its end is read by epoll */
  uint32_t before = c->large;
  if (n > 0) c->large -= (uint32_t)n;
  if (c->large > 0) want(fd, EPOLLIN | EPOLLOUT);
  else if (before < sizeof large) want(fd, EPOLLIN);
}

static void answer(int fd, const char *request) {
  const char *path = strchr(request, ' ');
  if (path == NULL) return;
  if (strncmp(path, " /events", 8) == 0) {
    const char *stream = strstr(path, "stream=");
    open_stream(fd, PACED, stream == NULL ? 0 : (uint32_t)atoi(stream + 7));
  } else if (strncmp(path, " /shared", 8) == 0) {
    open_stream(fd, SHARED, 0);
  } else if (strncmp(path, " /large", 7) == 0) {
    connections[fd].large = sizeof large;
    send_large(fd);
  } else {
    /* A lost answer shows as a closed connection. */
    if (send(fd, SMALL_ANSWER, sizeof SMALL_ANSWER - 1, MSG_NOSIGNAL) < 0) errno = 0;
  }
}

/* Reads and drops a request's body; the small response follows its last byte. */
static void read_body(int fd) {
  static char bytes[1 << 16];
  struct connection *c = &connections[fd];
  ssize_t n = recv(fd, bytes, sizeof bytes < c->body ? sizeof bytes : c->body, 0);
  if (n <= 0) {
    if (n == 0 || errno != EAGAIN) close_connection(fd);
    return;
  }
  c->body -= (uint64_t)n;
  if (c->body == 0) answer(fd, "POST /");
}

/* Reads a head with a body behind it; returns 1 when the head is whole. */
static int begin_body(int fd) {
  struct connection *c = &connections[fd];
  const char *end = strstr(c->in, "\r\n\r\n"), *length = strcasestr(c->in, "\r\nContent-Length:");
  if (end == NULL || length == NULL) return 0;
  c->body = strtoull(length + 17, NULL, 10) - (c->held - (size_t)(end + 4 - c->in));
  c->held = 0;
  if (c->body == 0) answer(fd, "POST /");
  return 1;
}

static void read_request(int fd) {
  struct connection *c = &connections[fd];
  if (c->body > 0) {
    read_body(fd);
    return;
  }
  if (c->in == NULL) c->in = malloc(REQUEST_BYTES + 1);
  ssize_t n = recv(fd, c->in + c->held, REQUEST_BYTES - c->held, 0);
  if (n <= 0) {
    if (n == 0 || errno != EAGAIN) close_connection(fd);
    return;
  }
  c->held += (uint32_t)n;
  c->in[c->held] = 0;
  if (strncmp(c->in, "POST ", 5) == 0 && begin_body(fd)) return;
  if (c->held < 4 || memcmp(c->in + c->held - 4, "\r\n\r\n", 4) != 0) {
    if (c->held == REQUEST_BYTES) close_connection(fd);
    return;
  }
  c->held = 0;
  answer(fd, c->in);
}

/* What comes in on a stream or from the publisher's server is dropped; the end counts. */
static void read_end(int fd) {
  char bytes[4096];
  ssize_t n = recv(fd, bytes, sizeof bytes, 0);
  if (n == 0 || (n < 0 && errno != EAGAIN)) close_connection(fd);
}

static void publish(void) {
  char bytes[512];
  if (publisher < 0) watch(publisher = connect_to(publish_port), PUBLISHER, EPOLLIN);
  int head = snprintf(bytes, sizeof bytes, "POST %s HTTP/1.1\r\nHost: bench\r\nContent-Length: %d\r\n\r\n",
                      publish_path, FILL_END - SEQ_AT);
  memcpy(bytes + head, event + SEQ_AT, FILL_END - SEQ_AT); /* nchan writes "data: " itself */
  if (send(publisher, bytes, (size_t)head + FILL_END - SEQ_AT, MSG_NOSIGNAL) < 0) die("publish");
}

static void emit(void) {
  for (uint32_t i = 0; i < burst; i++) {
    if (mode == OP_PACE) {
      if (streams == 0) return;
      int fd = order[turn % streams];
      stamp_event(event, connections[fd].seq);
      send_chunk(fd);
    } else {
      stamp_event(event, ++report.ticks);
      if (mode == OP_PUBLISH) publish();
      else
        for (uint32_t k = 0; k < streams; k++) send_chunk(order[k]);
    }
  }
  if (mode == OP_PACE) turn++;
}

/* Gaps are drawn at random, as in life: some events come close together, some alone. Ticks come evenly. */
static double next_gap(void) {
  if (mode != OP_PACE) return gap_ns;
  random_state ^= random_state << 13;
  random_state ^= random_state >> 7;
  random_state ^= random_state << 17;
  return -log(((double)(random_state >> 11) + 1.0) / 9007199254740993.0) * gap_ns;
}

/* Sends what is due, and returns how long to wait for the next; -1: for nothing. */
static int64_t pace(void) {
  if (mode == 0) return -1;
  double now = (double)now_ns();
  for (int i = 0; due_ns <= now; i++) {
    if (i == MAX_PER_TURN) return 0;
    uint64_t behind = (uint64_t)(now - due_ns);
    if (behind > report.late_ns) report.late_ns = behind;
    if (behind > MAX_BEHIND_NS) due_ns = now;
    emit();
    due_ns += next_gap();
    now = (double)now_ns();
  }
  return (int64_t)(due_ns - now);
}

static void obey(int fd, const struct message *message) {
  if (message->op == OP_CREDIT) {
    int stream = by_stream[message->arg % MAX_FDS];
    if (stream < 0) return;
    stamp_event(event, connections[stream].seq);
    send_chunk(stream);
  } else if (message->op == OP_STOP) {
    mode = 0;
    if (send(fd, &report, sizeof report, MSG_NOSIGNAL) < 0) errno = 0;
    report.late_ns = 0;
  } else {
    mode = message->op;
    burst = message->arg;
    gap_ns = 1e12 / (double)message->value;
    due_ns = (double)now_ns();
  }
}

static void read_control(int fd) {
  static char bytes[1 << 20];
  static size_t held;
  ssize_t n = recv(fd, bytes + held, sizeof bytes - held, 0);
  if (n <= 0) {
    if (n == 0 || errno != EAGAIN) {
      close_connection(fd);
      mode = 0;
      held = 0;
    }
    return;
  }
  held += (size_t)n;
  size_t at = 0;
  for (; held - at >= sizeof(struct message); at += sizeof(struct message))
    obey(fd, (const struct message *)(bytes + at));
  memmove(bytes, bytes + at, held - at);
  held -= at;
}

/* Listens on a port of 127.0.0.HOST; port 0 is any. Returns the port. */
static uint16_t listen_as(enum kind kind, uint32_t host, uint16_t port) {
  struct sockaddr_in address = loopback(host, port);
  socklen_t length = sizeof address;
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  if (fd < 0 || bind(fd, (struct sockaddr *)&address, length) < 0 || listen(fd, 4096) < 0) die("listen");
  getsockname(fd, (struct sockaddr *)&address, &length);
  watch(fd, kind, EPOLLIN);
  return ntohs(address.sin_port);
}

static void accept_all(int listener, enum kind kind) {
  for (int i = 0; i < 64; i++) {
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
    if (fd < 0) return;
    set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    watch(fd, kind, EPOLLIN);
  }
}

static void turn_to(int fd, uint32_t events) {
  switch (connections[fd].kind) {
  case LISTENER: accept_all(fd, HTTP); break;
  case CONTROL_LISTENER: accept_all(fd, CONTROL); break;
  case CONTROL: read_control(fd); break;
  case HTTP:
    if (events & EPOLLOUT) send_large(fd);
    if (events & ~(uint32_t)EPOLLOUT) read_request(fd);
    break;
  case PACED:
  case SHARED:
    if (events & EPOLLOUT) send_rest(fd);
    if (events & ~(uint32_t)EPOLLOUT) read_end(fd);
    break;
  case PUBLISHER: read_end(fd); break;
  case CLOSED: break;
  }
}

int main(int count, char **values) {
  struct epoll_event ready[256];
  prepare_process();
  epoll = epoll_create1(0);
  memset(by_stream, -1, sizeof by_stream);
  snprintf(chunk, sizeof chunk, "%x\r\n", EVENT_BYTES);
  fill_event(event);
  memcpy(event + EVENT_BYTES, "\r\n", 2);
  memset(large, 'x', sizeof large);
  memcpy(large, LARGE_HEAD, sizeof LARGE_HEAD - 1);
  uint16_t port = listen_as(LISTENER, 1, 0);
  for (uint32_t host = 2; host <= HOSTS; host++) listen_as(LISTENER, host, port);
  printf("{\"port\":%d,\"control\":%d}\n", port, listen_as(CONTROL_LISTENER, 1, 0));
  fflush(stdout);
  if (count == 3) {
    publish_port = (uint16_t)atoi(values[1]);
    publish_path = values[2];
  }
  for (;;) {
    int64_t wait = pace();
    struct timespec timeout = {wait / 1000000000, wait % 1000000000};
    int n = epoll_pwait2(epoll, ready, 256, wait < 0 ? NULL : &timeout, NULL);
    for (int i = 0; i < n; i++) turn_to(ready[i].data.fd, ready[i].events);
  }
}
