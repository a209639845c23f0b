/*
 * The clients of the soaks of shared streams: one thread, one epoll. Usage: clients PORT PATH
 *
 * Each client holds the same stream, is disconnected and reconnects with the id of its last event, which is the event's
 * number; so the numbers show events that are lost, repeated or out of order. Each line on stdin is a command; one line
 * of JSON on stdout reports its end, with all counts since the start:
 *   open COUNT            opens clients, some at a time, until each has its response head
 *   run MS CUTS           reads, and disconnects CUTS clients per second, evenly spread
 *   storm MS              disconnects all clients at once; they reconnect spread over that time
 *   settle EVENT MS       reads until each client has that event, for at most MS
 */
#include "../../bench/native/client.h"
#include "../../bench/native/measure.h"

#define MAX_CLIENTS 20000
#define READ_BYTES 65536
#define AT_ONCE 500 /* opened at a time at first */
#define OPEN_LIMIT_NS 60000000000u
#define RETRY_NS 1000000000u /* a client that was refused or ended comes back after that */
#define MOST_AWAY_NS 1000000000u
#define TURN_MS 5

/* What a client knows besides what its connection does. */
struct visitor {
  uint64_t back_at; /* it is away until then */
  uint64_t asked;   /* the event behind which it resumed; UINT64_MAX for a first visit */
};

static struct client clients[MAX_CLIENTS];
static struct visitor visitors[MAX_CLIENTS];
static uint32_t count;
static int epoll;
static uint16_t port;
static const char *path;
static uint64_t received, cuts, resumed, unresumed, ended, unanswered, random_state = 88172645463325252u;
static struct histogram latency;

static uint64_t draw(uint64_t below) {
  random_state ^= random_state << 13;
  random_state ^= random_state >> 7;
  random_state ^= random_state << 17;
  return random_state % below;
}

/* What was sent before it came is replayed, and as old as the client was away. */
static void on_event(struct client *c, uint64_t sent_ns) {
  received++;
  if (c->is_open && sent_ns > c->opened_at) record(&latency, now_ns() - sent_ns);
}

static void leave(uint32_t number, int is_reset, uint64_t away_ns) {
  struct client *c = &clients[number];
  struct linger reset = {.l_onoff = 1, .l_linger = 0};
  if (is_reset) setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
  close(c->fd);
  free(c->head);
  c->head = NULL;
  c->state = CLOSED;
  visitors[number].back_at = now_ns() + away_ns;
}

static void come(uint32_t number) {
  struct client *c = &clients[number];
  int fd = dial(epoll, number, port);
  *c = (struct client){.fd = fd, .number = number, .state = CONNECTING, .next = c->next, .events = c->events};
}

static void ask(uint32_t number) {
  struct client *c = &clients[number];
  struct epoll_event interest = {.events = EPOLLIN, .data.u32 = number};
  char text[512], resume[64] = "";
  visitors[number].asked = c->next == UINT64_MAX ? UINT64_MAX : c->next - 1;
  if (c->next != UINT64_MAX) snprintf(resume, sizeof resume, "Last-Event-ID: %lu\r\n", c->next - 1);
  int n = snprintf(text, sizeof text, "GET %s HTTP/1.1\r\nHost: soak\r\nAccept: text/event-stream\r\n%s\r\n", path,
                   resume);
  epoll_ctl(epoll, EPOLL_CTL_MOD, c->fd, &interest);
  c->state = HEAD;
  if (send(c->fd, text, (size_t)n, MSG_NOSIGNAL) == n) return;
  unanswered++;
  leave(number, 1, RETRY_NS);
}

/* Its answer has begun: it has to say that it goes on where the client stood. */
static void begin(uint32_t number) {
  struct client *c = &clients[number];
  const struct visitor *v = &visitors[number];
  const char *from = field(c->head, "\r\nSluice-Resumed-From:");
  c->is_open = 1;
  c->opened_at = now_ns();
  if (v->asked != UINT64_MAX) {
    if (from != NULL && strtoull(from, NULL, 10) == v->asked) resumed++;
    else unresumed++;
  }
  free(c->head);
  c->head = NULL;
}

static void read_client(uint32_t number) {
  static char bytes[READ_BYTES];
  struct client *c = &clients[number];
  ssize_t n = recv(c->fd, bytes, sizeof bytes, 0);
  if (n < 0 && errno == EAGAIN) return;
  if (n <= 0) {
    if (c->is_open) ended++;
    else unanswered++;
    leave(number, 1, RETRY_NS);
    return;
  }
  uint64_t refused = faults.refused;
  take(c, bytes, (size_t)n);
  if (c->state != BODY) return;
  if (faults.refused != refused) {
    leave(number, 1, RETRY_NS);
    return;
  }
  if (!c->is_open) begin(number);
  if (!c->is_done) return;
  ended++;
  leave(number, 1, RETRY_NS);
}

/* One turn of the loop; returns 1 when a command waits on stdin. The benchmark's load does other things at each step. */
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
    if (c->state == CONNECTING && (ready[i].events & (EPOLLERR | EPOLLHUP))) {
      unanswered++;
      leave(number, 1, RETRY_NS);
    } else if (c->state == CONNECTING) {
      ask(number);
    } else if (c->state != CLOSED) {
      read_client(number);
    }
  }
  return has_command;
}

/* Lets those come back whose time it is; returns how many have no answer yet. */
static uint32_t return_all(void) {
  uint32_t missing = 0;
  uint64_t now = now_ns();
  for (uint32_t i = 0; i < count; i++) {
    if (clients[i].state == CLOSED && visitors[i].back_at <= now) come(i);
    missing += clients[i].state != BODY;
  }
  return missing;
}

static void run_open(uint32_t wanted) {
  uint64_t limit = now_ns() + OPEN_LIMIT_NS;
  while ((count < wanted || return_all() > 0) && now_ns() < limit) {
    for (uint32_t missing = return_all(); missing < AT_ONCE && count < wanted && count < MAX_CLIENTS; missing++) {
      clients[count].next = UINT64_MAX;
      come(count++);
    }
    turn(TURN_MS);
  }
}

static void run(uint64_t ms, double per_second) {
  uint64_t began = now_ns(), end = began + ms * 1000000u, before = cuts, looked = 0;
  for (uint64_t now; (now = now_ns()) < end; turn(TURN_MS)) {
    uint64_t due = before + (uint64_t)((double)(now - began) / 1e9 * per_second);
    for (int tries = 0; cuts < due && tries < 1000; tries++) {
      uint32_t number = (uint32_t)draw(count);
      if (clients[number].state == CLOSED) continue;
      leave(number, (int)draw(2), draw(MOST_AWAY_NS));
      cuts++;
    }
    if (now - looked < TURN_MS * 1000000u) continue;
    looked = now;
    return_all();
  }
}

/* Prints how long it took until the last was back: from the cut, and from the time at which it came. */
static void run_storm(uint64_t ms) {
  uint64_t began = now_ns(), limit = began + ms * 1000000u + OPEN_LIMIT_NS, came = 0;
  for (uint32_t i = 0; i < count; i++, cuts++) leave(i, 1, i * ms * 1000000u / count);
  for (uint64_t now, looked = 0; (now = now_ns()) < limit; turn(TURN_MS)) {
    if (now - looked < TURN_MS * 1000000u) continue;
    looked = now;
    uint32_t missing = return_all(), away = 0;
    for (uint32_t i = 0; i < count; i++) away += clients[i].state == CLOSED;
    if (away == 0 && came == 0) came = now;
    if (missing == 0) break;
  }
  printf("\"cameMs\":%lu,\"backMs\":%lu,", (came - began) / 1000000u, (now_ns() - began) / 1000000u);
}

static uint64_t least_event(void) {
  uint64_t least = UINT64_MAX;
  for (uint32_t i = 0; i < count; i++) {
    uint64_t last = clients[i].next == UINT64_MAX ? 0 : clients[i].next - 1;
    if (last < least) least = last;
  }
  return least;
}

static void run_settle(uint64_t event, uint64_t ms) {
  uint64_t limit = now_ns() + ms * 1000000u;
  while ((return_all() > 0 || least_event() < event) && now_ns() < limit) turn(TURN_MS);
}

static void obey(void) {
  static char command[1024];
  unsigned long a = 0, b = 0;
  double rate = 0;
  if (fgets(command, sizeof command, stdin) == NULL) exit(0);
  printf("{");
  if (sscanf(command, "open %lu", &a) == 1) run_open((uint32_t)a);
  else if (sscanf(command, "run %lu %lf", &a, &rate) == 2) run(a, rate);
  else if (sscanf(command, "storm %lu", &a) == 1) run_storm(a);
  else if (sscanf(command, "settle %lu %lu", &a, &b) == 2) run_settle(a, b);
  else exit(2);
  uint32_t open = count - return_all();
  printf("\"open\":%u,\"deliveries\":%lu,\"cuts\":%lu,\"resumed\":%lu,\"unresumed\":%lu,\"ended\":%lu,"
         "\"unanswered\":%lu,\"refused\":%lu,\"lost\":%lu,\"repeated\":%lu,\"garbled\":%lu,\"least\":%lu,"
         "\"p50us\":%.0f,\"p99us\":%.0f,\"p999us\":%.0f,\"cpuMs\":%.0f}\n",
         open, received, cuts, resumed, unresumed, ended, unanswered, faults.refused, faults.lost, faults.repeated,
         faults.garbled, least_event(), quantile_us(&latency, .5), quantile_us(&latency, .99),
         quantile_us(&latency, .999), process_ms("self", 0));
  fflush(stdout);
}

int main(int argc, char **argv) {
  if (argc != 3) return 2;
  prepare_process();
  setvbuf(stdin, NULL, _IONBF, 0);
  fill_event(template_event);
  port = (uint16_t)atoi(argv[1]);
  path = argv[2];
  epoll = epoll_create1(0);
  struct epoll_event interest = {.events = EPOLLIN, .data.u32 = MAX_CLIENTS};
  if (epoll_ctl(epoll, EPOLL_CTL_ADD, STDIN_FILENO, &interest) < 0) die("stdin");
  for (;;)
    if (turn(-1)) obey();
}
