import { setTimeout as delay } from "node:timers/promises";

/** The ways in which the Redis of two instances fails, by name; `random` returns a number from 0 up to 1. */
export function redisFaults({ redis, network, instances }, random) {
  const between = (from, to) => delay(from + random() * (to - from));
  return {
    async killed() {
      await redis.kill();
      await between(0, 4000);
      await redis.start();
    },
    async frozen() {
      redis.signal("SIGSTOP");
      await between(500, 4000);
      redis.signal("SIGCONT");
    },
    async emptied() {
      await redis.kill({ empty: true });
      await between(0, 4000);
      await redis.start();
    },
    async flushed() {
      await redis.command("FLUSHALL");
    },
    async readOnly() {
      await redis.command("REPLICAOF 127.0.0.1 1");
      await between(500, 4000);
      await redis.command("REPLICAOF NO ONE");
    },
    async outOfMemory() {
      await redis.command("CONFIG SET maxmemory 1");
      await between(500, 4000);
      await redis.command("CONFIG SET maxmemory 0");
    },
    async partitioned() {
      network.cut();
      await between(500, 5000);
      network.heal();
    },
    async silent() {
      network.cut(true);
      await between(500, 5000);
      network.heal();
    },
    async disconnected() {
      await redis.command("CLIENT KILL TYPE normal");
    },
    /** Longer than a lease and every timeout: afterwards the instance still believes that it leads. */
    async paused() {
      const instance = instances[Math.floor(random() * instances.length)];
      instance.signal("SIGSTOP");
      await between(500, 5000);
      instance.signal("SIGCONT");
    },
    async slow() {
      await redis.command("CLIENT PAUSE 1500 ALL");
    },
  };
}
