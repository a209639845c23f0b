/* What the load generator measures with: latencies in a histogram, CPU time from /proc. */
#ifndef MEASURE_H
#define MEASURE_H
#include "common.h"
#include <dirent.h>

/* 64 buckets for each power of two: within 1.6 % of the value. */
#define BUCKET_BITS 6
#define BUCKETS (64 << BUCKET_BITS)
#define MAX_PIDS 64

struct histogram {
  uint64_t count, buckets[BUCKETS];
};

static inline unsigned bucket_of(uint64_t value) {
  if (value < 1 << BUCKET_BITS) return (unsigned)value;
  unsigned shift = 63 - (unsigned)__builtin_clzll(value) - BUCKET_BITS;
  return ((shift + 1) << BUCKET_BITS) + (unsigned)((value >> shift) & ((1 << BUCKET_BITS) - 1));
}

static inline void record(struct histogram *h, uint64_t ns) {
  h->count++;
  h->buckets[bucket_of(ns)]++;
}

/* The value below which `share` of all lie, in microseconds. */
static inline double quantile_us(const struct histogram *h, double share) {
  uint64_t rank = (uint64_t)((double)h->count * share), seen = 0;
  for (unsigned i = 0; i < BUCKETS; i++) {
    seen += h->buckets[i];
    if (seen <= rank) continue;
    if (i < 1 << BUCKET_BITS) return i / 1e3;
    unsigned shift = (i >> BUCKET_BITS) - 1;
    uint64_t base = (1u << BUCKET_BITS) + (i & ((1 << BUCKET_BITS) - 1));
    return (double)(base << shift) / 1e3;
  }
  return 0;
}

/* How late the last of all clients got the event of a tick, by the tick's place in the measured while. */
#define MAX_TICKS 1024

struct ticks {
  uint64_t first;
  struct { uint64_t late_ns, clients; } found[MAX_TICKS];
};

static inline void count_tick(struct ticks *t, uint64_t tick, uint64_t late_ns) {
  if (t->first == 0) t->first = tick;
  if (tick - t->first >= MAX_TICKS) return;
  t->found[tick - t->first].clients++;
  if (late_ns > t->found[tick - t->first].late_ns) t->found[tick - t->first].late_ns = late_ns;
}

/* The median over the ticks that all clients got, in milliseconds. */
static inline double last_ms(const struct ticks *t, uint64_t clients) {
  struct histogram found = {0};
  for (uint32_t i = 0; i < MAX_TICKS; i++)
    if (t->found[i].clients == clients) record(&found, t->found[i].late_ns);
  return quantile_us(&found, .5) / 1e3;
}

/* CPU milliseconds, user and system with all threads; `others`: every other process, `stolen`: the host's. */
struct cpu {
  double proxy, backend, load, others, stolen;
};

struct watched {
  int proxies[MAX_PIDS], count, backend;
};

/* With `children`, the time of its ended and reaped children too: none that ends in between is missed. */
static inline double process_ms(const char *pid, int with_children) {
  char path[64], text[1024];
  unsigned long user = 0, system = 0;
  long child_user = 0, child_system = 0;
  snprintf(path, sizeof path, "/proc/%.20s/stat", pid);
  FILE *file = fopen(path, "r");
  if (file == NULL) return 0;
  size_t n = fread(text, 1, sizeof text - 1, file);
  fclose(file);
  text[n] = 0;
  const char *after_name = strrchr(text, ')');
  if (after_name == NULL) return 0;
  sscanf(after_name + 2, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu %ld %ld", &user, &system,
         &child_user, &child_system);
  double ticks = (double)(user + system) + (with_children ? (double)(child_user + child_system) : 0);
  return ticks * 1000.0 / (double)sysconf(_SC_CLK_TCK);
}

static inline double all_processes_ms(void) {
  double sum = 0;
  DIR *directory = opendir("/proc");
  if (directory == NULL) return 0;
  for (struct dirent *entry; (entry = readdir(directory)) != NULL;)
    if (entry->d_name[0] >= '0' && entry->d_name[0] <= '9') sum += process_ms(entry->d_name, 1);
  closedir(directory);
  return sum;
}

static inline double stolen_ms(void) {
  unsigned long steal = 0;
  FILE *file = fopen("/proc/stat", "r");
  if (file == NULL || fscanf(file, "cpu %*u %*u %*u %*u %*u %*u %*u %lu", &steal) != 1) die("/proc/stat");
  fclose(file);
  return (double)steal * 1000.0 / (double)sysconf(_SC_CLK_TCK);
}

static inline struct cpu cpu_now(const struct watched *watched) {
  struct cpu cpu = {0};
  char pid[16];
  for (int i = 0; i < watched->count; i++) {
    snprintf(pid, sizeof pid, "%d", watched->proxies[i]);
    cpu.proxy += process_ms(pid, 0);
  }
  snprintf(pid, sizeof pid, "%d", watched->backend);
  cpu.backend = process_ms(pid, 0);
  cpu.load = process_ms("self", 0);
  cpu.others = all_processes_ms() - cpu.proxy - cpu.backend - cpu.load;
  cpu.stolen = stolen_ms();
  return cpu;
}

static inline void print_cpu(struct cpu from, struct cpu to) {
  printf("\"cpuMs\":{\"proxy\":%.0f,\"backend\":%.0f,\"load\":%.0f,\"others\":%.0f,\"stolen\":%.0f}",
         to.proxy - from.proxy, to.backend - from.backend, to.load - from.load, to.others - from.others,
         to.stolen - from.stolen);
}
#endif
