import { markedIn } from "./answers.mjs";

/** Checks the marks that a client received: only its own responses, in the order of the requests. */
export function checkAnswers({ index, client, requests }, text) {
  const broken = [];
  const shared = new Set(requests.map(({ stream }) => stream));
  const isOthers = (name) => name.split(".")[0] !== String(index) && !shared.has(name);
  const others = markedIn(text).filter(isOthers);
  if (others.length > 0) broken.push(`answers: case ${index} got the answer of ${others[0]}`);
  // A line of its own is an event that no backend sent.
  if (/^data: forged$/m.test(text)) broken.push(`answers: case ${index} got what was written into Redis`);
  if (client === "http2") return broken;
  const order = [...text.matchAll(/\r\nX-Mark: (?:\d+)\.(\d+)\r\n/gi)].map(([, at]) => Number(at));
  const isInOrder = order.every((at, place) => place === 0 || at >= order[place - 1]);
  if (!isInOrder) broken.push(`answers: case ${index} got its answers in the order ${order.join()}`);
  return broken;
}
