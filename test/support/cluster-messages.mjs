// Prints the messages between the two processes of a node:cluster about one connection, as JSON.
import cluster from "node:cluster";
import { once } from "node:events";
import { connect, createServer } from "node:net";

if (cluster.isWorker) {
  createServer((socket) => socket.pipe(socket)).listen(0, "127.0.0.1");
} else {
  const sent = [];
  const handles = [];
  const received = [];
  const worker = cluster.fork();
  const send = worker.process.send;
  worker.process.send = function record(message, handle, ...rest) {
    if (message.act === "newconn") {
      sent.push({ key: typeof message.key, seq: message.seq, close: typeof handle?.close });
      handles.push(handle);
    }
    return Reflect.apply(send, this, [message, handle, ...rest]);
  };
  worker.process.on("internalMessage", ({ cmd, ack, accepted }) => received.push({ cmd, ack, accepted }));
  const [{ port }] = await once(worker, "listening");
  const clients = [];
  for (let n = 0; n < 2; n++) {
    const client = connect(port, "127.0.0.1");
    client.write("echo");
    await once(client, "data");
    clients.push(client);
  }
  // The worker has these connections: the primary no longer needs its handles.
  for (const handle of handles) handle.close();
  clients[0].write("again");
  const [echo] = await once(clients[0], "data");
  for (const client of clients) client.destroy();
  worker.kill("SIGKILL");
  await once(worker, "exit");
  console.log(JSON.stringify({ sent, received, echo: String(echo) }));
}
