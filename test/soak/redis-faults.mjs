import { setTimeout as delay } from "node:timers/promises";

/**
 * The ways in which the Redis of two instances fails, by name. Each fault gets the server that has the stream; `random`
 * returns a number from 0 up to 1. `setup` is needed for a cluster and for sentinels, `network` for a single Redis.
 */
export function redisFaults({ kind = "single", setup, network, instances }, random) {
  const between = (from, to) => delay(from + random() * (to - from));
  const common = {
    async killed(server) {
      await server.kill();
      await between(0, 4000);
      await server.start();
    },
    async frozen(server) {
      server.signal("SIGSTOP");
      await between(500, 4000);
      server.signal("SIGCONT");
    },
    async emptied(server) {
      await server.kill({ empty: true });
      await between(0, 4000);
      await server.start();
    },
    async flushed(server) {
      await server.command("FLUSHALL");
    },
    async outOfMemory(server) {
      await server.command("CONFIG SET maxmemory 1");
      await between(500, 4000);
      await server.command("CONFIG SET maxmemory 0");
    },
    async disconnected(server) {
      await server.command("CLIENT KILL TYPE normal");
    },
    /** Longer than a lease and every timeout: afterwards the instance still believes that it leads. */
    async paused() {
      const instance = instances[Math.floor(random() * instances.length)];
      instance.signal("SIGSTOP");
      await between(500, 5000);
      instance.signal("SIGCONT");
    },
    async slow(server) {
      await server.command("CLIENT PAUSE 1500 ALL");
    },
  };
  const own = {
    single: {
      async readOnly(server) {
        await server.command("REPLICAOF 127.0.0.1 1");
        await between(500, 4000);
        await server.command("REPLICAOF NO ONE");
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
    },
    sentinel: { failedOver: () => setup.failOver() },
    cluster: { moved: () => setup.move() },
  };
  return { ...common, ...own[kind] };
}
