import { Server } from "node:net";
import { expect, onTestFinished, test, vi } from "vitest";
import { startGateway } from "../support/gateway.ts";

// The error event once had no listener: one connection that the system refused ended the process.
test.each(["EMFILE", "ENFILE", "ENOBUFS", "EPERM"])(
  "%s at a new connection is logged, and the listener keeps accepting",
  async (code) => {
    const listen = vi.spyOn(Server.prototype, "listen");
    onTestFinished(() => listen.mockRestore());
    const routes = { main: { match: { path: "/*" }, mock: { status: 200, body: "ok" } } };
    const gateway = await startGateway({ routes });
    const server = listen.mock.contexts[0] as Server | undefined;
    // As in Node when `accept` fails.
    server?.emit("error", Object.assign(new Error(`accept ${code}`), { code, syscall: "accept" }));
    expect(await (await fetch(gateway.url)).text()).toBe("ok");
    const line = gateway.log.find(({ msg }) => msg === "connection not accepted");
    expect(line).toMatchObject({ level: 40, err: { code } });
  },
);
