/*
 * The clients of the benchmark: one thread, one epoll. Usage: load PORT CONTROL-PORT PROXY-PIDS BACKEND-PID
 *
 * Each line on stdin is a command; one line of JSON on stdout reports its end:
 *   open COUNT AT-ONCE PATH [OF [FIELD]]
 *                                    opens streams; with the client's number after PATH if it ends in "="; a "*" in
 *                                    PATH and in FIELD, a field of the request, is the client's number modulo OF.
 *                                    PATH /plain: one ordinary request on each connection, which stays open
 *   reopen COUNT AT-ONCE             closes the open streams and opens them again, one after the other, COUNT in all
 *   pace OP RATE BURST WARM-MS MS    makes the backend send (OP: pace, tick or publish) RATE bursts per second
 *   saturate WARM-MS MS              the next event of a stream is sent when the last one has arrived
 *   plain COUNT WARM-MS MS [KIND]    ordinary requests, each on a reused connection after the previous response;
 *                                    KIND: small (default), large (GET /large) or upload (a body of LARGE_BYTES)
 *   idle MS                          reads for MS
 *   close                            resets all connections
 */
#include "client.h"
#include "measure.h"

#define MAX_CLIENTS 20000
#define READ_BYTES 65536
#define OPEN_LIMIT_NS 60000000000u
#define DRAIN_LIMIT_NS 3000000000u
#define HEADERS "Host: bench.example\r\nUser-Agent: bench\r\nAccept-Language: en\r\n"
#define PLAIN_HEADERS HEADERS "Accept: */*\r\n"
#define STREAM_HEADERS HEADERS "Accept: text/event-stream\r\nCache-Control: no-cache\r\n"

enum mode { IDLE, OPENING, SATURATING, PLAIN };

static struct client clients[MAX_CLIENTS];
static uint32_t count, opened, in_flight;
static enum mode mode;
static int epoll, control, is_measuring, is_shared;
static uint16_t port;
static uint64_t received, answered;
static struct histogram latency;
static struct watched watched;
static struct message credits[MAX_CLIENTS];
static uint32_t credit_count;
static char path[256], command[1024];
/* What an open adds to each request; its "*" and that of the path are the client's number modulo `numbers`. */
static char field_line[256];
static uint32_t numbers = 1;
static struct ticks ticks;

static const char PLAIN_REQUEST[] = "GET /plain HTTP/1.1\r\n" PLAIN_HEADERS "\r\n";
static const char LARGE_REQUEST[] = "GET /large HTTP/1.1\r\n" PLAIN_HEADERS "\r\n";
static const char UPLOAD_HEAD[] = "POST /upload HTTP/1.1\r\n" PLAIN_HEADERS "Content-Length: 1048576\r\n\r\n";
static char upload[sizeof UPLOAD_HEAD - 1 + LARGE_BYTES];
/* The request that the clients of the mode PLAIN send. */
static const char *request = PLAIN_REQUEST;
static uint32_t request_bytes = sizeof PLAIN_REQUEST - 1;

static void ask_backend(const void *message, size_t length) {
  for (const char *at = message; length > 0;) {
    ssize_t n = send(control, at, length, 0);
    if (n < 0) die("control");
    at += n;
    length -= (size_t)n;
  }
}

static struct report stop_backend(void) {
  struct message message = {.op = OP_STOP};
  struct report report;
  ask_backend(&message, sizeof message);
  if (recv(control, &report, sizeof report, MSG_WAITALL) != sizeof report) die("report");
  return report;
}

static void credit(const struct client *c) {
  credits[credit_count++] = (struct message){.op = OP_CREDIT, .arg = c->number};
  if (credit_count < MAX_CLIENTS) return;
  ask_backend(credits, sizeof credits);
  credit_count = 0;
}

static void mark_open(struct client *c) {
  if (c->is_open) return;
  c->is_open = 1;
  opened++;
  in_flight--;
  free(c->head);
  c->head = NULL;
  record(&latency, now_ns() - c->opened_at);
}

static void on_event(struct client *c, uint64_t sent_ns) {
  received++;
  if (mode == OPENING) mark_open(c);
  if (is_measuring) {
    uint64_t late_ns = now_ns() - sent_ns;
    record(&latency, late_ns);
    if (is_shared) count_tick(&ticks, c->next - 1, late_ns);
  }
  if (mode == SATURATING) credit(c);
}

static void close_client(struct client *c) {
  struct linger reset = {.l_onoff = 1, .l_linger = 0};
  if (c->state == CLOSED) return;
  setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
  close(c->fd);
  free(c->head);
  c->head = NULL;
  c->state = CLOSED;
}

static void break_client(struct client *c) {
  faults.broken++;
  if (mode == OPENING && !c->is_open) in_flight--;
  close_client(c);
}

static void send_text(struct client *c, const char *text, size_t length) {
  if (send(c->fd, text, length, MSG_NOSIGNAL) != (ssize_t)length) break_client(c);
}

static void want(const struct client *c, uint32_t events) {
  struct epoll_event interest = {.events = events, .data.u32 = c->number};
  epoll_ctl(epoll, EPOLL_CTL_MOD, c->fd, &interest);
}

/* Sends the rest of the request of the mode PLAIN; epoll tells when the socket takes more. */
static void send_request(struct client *c) {
  int waited = c->unsent < request_bytes;
  ssize_t n = send(c->fd, request + request_bytes - c->unsent, c->unsent, MSG_NOSIGNAL);
  if (n < 0 && errno != EAGAIN) {
    break_client(c);
    return;
  }
  if (n > 0) c->unsent -= (uint32_t)n;
  if (c->unsent > 0) want(c, EPOLLIN | EPOLLOUT);
  else if (waited) want(c, EPOLLIN);
}

/* Writes the text with the number for each "*", and returns the end. */
static char *put_numbered(char *to, const char *text, uint32_t number) {
  for (; *text != 0; text++) {
    if (*text == '*') to += sprintf(to, "%u", number);
    else *to++ = *text;
  }
  return to;
}

static void ask(struct client *c) {
  char text[8192], *end = text;
  if (mode == PLAIN) {
    c->opened_at = now_ns();
    c->state = HEAD;
    c->unsent = request_bytes;
    send_request(c);
    return;
  }
  const char *fields = strcmp(path, "/plain") == 0 ? PLAIN_HEADERS : STREAM_HEADERS;
  end = put_numbered(end + sprintf(end, "GET "), path, c->number % numbers);
  if (path[strlen(path) - 1] == '=') end += sprintf(end, "%u", c->number);
  end = put_numbered(end + sprintf(end, " HTTP/1.1\r\n%s", fields), field_line, c->number % numbers);
  end += sprintf(end, field_line[0] == 0 ? "\r\n" : "\r\n\r\n");
  c->state = HEAD;
  send_text(c, text, (size_t)(end - text));
}

static void open_client(struct client *c, uint32_t number) {
  uint64_t opened_at = now_ns();
  int fd = dial(epoll, number, port);
  *c = (struct client){.fd = fd, .number = number, .state = CONNECTING, .opened_at = opened_at};
  if (is_shared) c->next = UINT64_MAX;
}

static void connected(struct client *c) {
  want(c, EPOLLIN);
  ask(c);
}

static void read_client(struct client *c) {
  static char bytes[READ_BYTES];
  ssize_t n = recv(c->fd, bytes, sizeof bytes, 0);
  if (n <= 0) {
    if (n == 0 || errno != EAGAIN) break_client(c);
    return;
  }
  take(c, bytes, (size_t)n);
  if (mode == OPENING && is_shared && c->state == BODY) mark_open(c);
  if (c->state != BODY || !c->is_done) return;
  if (c->framing == LENGTH || mode == PLAIN) {
    answered++;
    if (is_measuring) record(&latency, now_ns() - c->opened_at);
    if (mode == PLAIN) ask(c);
  } else {
    break_client(c); /* a stream that the proxy ended */
  }
}

/* One turn of the loop; returns 1 when a command waits on stdin. */
static int turn(int wait_ms) {
  static struct epoll_event ready[512];
  int has_command = 0, n = epoll_wait(epoll, ready, 512, wait_ms);
  for (int i = 0; i < n; i++) {
    uint32_t number = ready[i].data.u32;
    if (number == MAX_CLIENTS) {
      has_command = 1;
      continue;
    }
    struct client *c = &clients[number];
    if (c->state == CONNECTING && (ready[i].events & (EPOLLERR | EPOLLHUP))) break_client(c);
    else if (c->state == CONNECTING) connected(c);
    else if (c->state != CLOSED) {
      if (c->unsent > 0 && (ready[i].events & EPOLLOUT)) send_request(c);
      if (c->state != CLOSED && (ready[i].events & ~(uint32_t)EPOLLOUT)) read_client(c);
    }
  }
  if (credit_count > 0) ask_backend(credits, credit_count * sizeof *credits);
  credit_count = 0;
  return has_command;
}

static void run_ms(uint64_t ms) {
  uint64_t end = now_ns() + ms * 1000000u;
  for (uint64_t now; (now = now_ns()) < end;) turn((int)((end - now) / 1000000u) + 1);
}

static void print_faults(void) {
  printf(",\"faults\":{\"lost\":%lu,\"repeated\":%lu,\"garbled\":%lu,\"broken\":%lu,\"refused\":%lu}}\n",
         faults.lost, faults.repeated, faults.garbled, faults.broken, faults.refused);
  fflush(stdout);
  faults = (struct faults){0};
}

static void print_window(const char *name, uint64_t n, double seconds, struct cpu from, struct cpu to) {
  printf("{\"%s\":%lu,\"seconds\":%.4f,\"p50us\":%.1f,\"p99us\":%.1f,\"p999us\":%.1f,", name, n, seconds,
         quantile_us(&latency, .5), quantile_us(&latency, .99), quantile_us(&latency, .999));
  print_cpu(from, to);
}

/* Runs warm, then measures for a while; returns with the counts of that while printed but for the faults. */
static void measure(const char *name, const uint64_t *counter, uint64_t warm_ms, uint64_t ms) {
  run_ms(warm_ms);
  latency = (struct histogram){0};
  is_measuring = 1;
  struct cpu from = cpu_now(&watched);
  uint64_t began = now_ns(), before = *counter;
  run_ms(ms);
  uint64_t ended = now_ns(), after = *counter;
  is_measuring = 0;
  print_window(name, after - before, (double)(ended - began) / 1e9, from, cpu_now(&watched));
}

static uint64_t missing_events(const struct report *report) {
  uint64_t missing = 0;
  if (!is_shared) return report->sent > received ? report->sent - received : 0;
  for (uint32_t i = 0; i < count; i++)
    if (clients[i].state == BODY && clients[i].next != UINT64_MAX) missing += report->ticks + 1 - clients[i].next;
  return missing;
}

/* Every event that was sent must arrive; those that are still on the way get some time. */
static void drain(void) {
  struct report report = stop_backend();
  uint64_t limit = now_ns() + DRAIN_LIMIT_NS;
  while (missing_events(&report) > 0 && now_ns() < limit) {
    turn(10);
    uint64_t late_ns = report.late_ns, skipped = report.skipped;
    report = stop_backend(); /* credits on the way may have sent more */
    report.late_ns = late_ns;
    report.skipped = skipped;
  }
  faults.lost += missing_events(&report);
  printf(",\"skipped\":%lu,\"lateUs\":%lu", report.skipped, report.late_ns / 1000);
}

static void run_open(uint32_t wanted, uint32_t at_once) {
  uint32_t until = count + wanted < MAX_CLIENTS ? count + wanted : MAX_CLIENTS;
  is_shared = strstr(path, "stream=") == NULL;
  latency = (struct histogram){0};
  mode = OPENING;
  in_flight = 0;
  struct cpu from = cpu_now(&watched);
  uint64_t began = now_ns();
  while ((count < until || in_flight > 0) && now_ns() - began < OPEN_LIMIT_NS) {
    for (; count < until && in_flight < at_once; count++, in_flight++) open_client(&clients[count], count);
    turn(100);
  }
  faults.broken += in_flight;
  mode = IDLE;
  print_window("opened", opened, (double)(now_ns() - began) / 1e9, from, cpu_now(&watched));
  opened = 0;
}

static void run_reopen(uint32_t wanted, uint32_t at_once) {
  uint32_t done = 0;
  mode = OPENING;
  in_flight = opened = 0;
  struct cpu from = cpu_now(&watched);
  uint64_t began = now_ns();
  while ((done < wanted || in_flight > 0) && now_ns() - began < OPEN_LIMIT_NS) {
    for (; done < wanted && in_flight < at_once; done++, in_flight++) {
      struct client *c = &clients[done % count];
      if (!c->is_open && c->state != CLOSED) break;
      close_client(c);
      open_client(c, done % count);
    }
    turn(100);
  }
  faults.broken += in_flight;
  mode = IDLE;
  print_window("opened", opened, (double)(now_ns() - began) / 1e9, from, cpu_now(&watched));
  opened = 0;
}

static void run_pace(const char *op, double rate, uint32_t burst, uint64_t warm_ms, uint64_t ms) {
  uint32_t code = strcmp(op, "pace") == 0 ? OP_PACE : strcmp(op, "tick") == 0 ? OP_TICK : OP_PUBLISH;
  struct message message = {.op = code, .arg = burst, .value = (uint64_t)(rate * 1000)};
  ask_backend(&message, sizeof message);
  ticks = (struct ticks){0};
  measure("events", &received, warm_ms, ms);
  if (is_shared) printf(",\"lastMs\":%.2f", last_ms(&ticks, count));
  drain();
}

static void run_saturate(uint64_t warm_ms, uint64_t ms) {
  mode = SATURATING;
  for (uint32_t i = 0; i < count; i++) credit(&clients[i]);
  measure("events", &received, warm_ms, ms);
  mode = IDLE;
  drain();
}

static void run_plain(uint32_t connections, uint64_t warm_ms, uint64_t ms, const char *kind) {
  int is_large = strcmp(kind, "large") == 0, is_upload = strcmp(kind, "upload") == 0;
  request = is_large ? LARGE_REQUEST : is_upload ? upload : PLAIN_REQUEST;
  request_bytes = is_large ? sizeof LARGE_REQUEST - 1 : is_upload ? sizeof upload : sizeof PLAIN_REQUEST - 1;
  mode = PLAIN;
  for (uint32_t i = 0; i < connections; i++) open_client(&clients[count++], i);
  measure("answers", &answered, warm_ms, ms);
  mode = IDLE;
}

static void run_close(void) {
  for (uint32_t i = 0; i < count; i++) close_client(&clients[i]);
  count = 0;
  printf("{\"closed\":true");
}

static void obey(void) {
  unsigned long a = 0, b = 0, c = 0;
  unsigned burst = 1;
  double rate = 0;
  char op[16], kind[16] = "small";
  if (fgets(command, sizeof command, stdin) == NULL) exit(0);
  if (strncmp(command, "open ", 5) == 0) {
    numbers = 1;
    field_line[0] = 0;
    if (sscanf(command, "open %lu %lu %255s %u %255[^\n]", &a, &b, path, &numbers, field_line) < 3) exit(2);
    run_open((uint32_t)a, (uint32_t)b);
  }
  else if (sscanf(command, "reopen %lu %lu", &a, &b) == 2) run_reopen((uint32_t)a, (uint32_t)b);
  else if (sscanf(command, "pace %15s %lf %u %lu %lu", op, &rate, &burst, &a, &b) == 5) run_pace(op, rate, burst, a, b);
  else if (sscanf(command, "saturate %lu %lu", &a, &b) == 2) run_saturate(a, b);
  else if (sscanf(command, "plain %lu %lu %lu %15s", &a, &b, &c, kind) >= 3) run_plain((uint32_t)a, b, c, kind);
  else if (sscanf(command, "idle %lu", &a) == 1) run_ms(a), printf("{\"idle\":%lu", a);
  else if (strncmp(command, "close", 5) == 0) run_close();
  else exit(2);
  print_faults();
}

int main(int argc, char **argv) {
  if (argc != 5) return 2;
  prepare_process();
  setvbuf(stdin, NULL, _IONBF, 0);
  fill_event(template_event);
  memset(upload, 'x', sizeof upload);
  memcpy(upload, UPLOAD_HEAD, sizeof UPLOAD_HEAD - 1);
  port = (uint16_t)atoi(argv[1]);
  control = connect_to((uint16_t)atoi(argv[2]));
  for (char *pid = strtok(argv[3], ","); pid != NULL && watched.count < MAX_PIDS; pid = strtok(NULL, ","))
    watched.proxies[watched.count++] = atoi(pid);
  watched.backend = atoi(argv[4]);
  epoll = epoll_create1(0);
  struct epoll_event interest = {.events = EPOLLIN, .data.u32 = MAX_CLIENTS};
  if (epoll_ctl(epoll, EPOLL_CTL_ADD, STDIN_FILENO, &interest) < 0) die("stdin");
  for (;;)
    if (turn(-1)) obey();
}
