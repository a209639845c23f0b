import type { Answer } from "../answers/answer.ts";
import type { AnswerClient } from "../answers/answer-client.ts";
import { type AnswerName, readName } from "../answers/answer-name.ts";
import type { Answers } from "../answers/answers.ts";
import { hashBody } from "../answers/body-hash.ts";
import { ProxyError } from "../base/errors.ts";
import type { Release } from "../base/release.ts";
import { send } from "../exchange/reply.ts";
import { retrySoon } from "../http/retry-after.ts";
import { isStreaming, takePlace } from "./answer.ts";
import { deliver, type Served } from "./deliver.ts";

/** A request that names an answer, and the answers of its route. */
interface Named extends Served {
  readonly answers: Answers;
  readonly name: AnswerName;
}

/**
 * Answers a request that names itself, or an answer (`resume`); returns false for any other request, and for one whose
 * answer cannot be kept: both are served as usual.
 */
export async function answerNamed(served: Served): Promise<boolean> {
  const { exchange, route } = served;
  const { answers } = route;
  const name = answers && readName(exchange, route, answers.config);
  if (answers === undefined || name === undefined) return false;
  const named = { ...served, answers, name };
  if (exchange.request.method === "POST") return ask(named);
  exchange.request.body?.stream.resume();
  if (exchange.request.method === "DELETE") await cancel(named);
  else await attach(named);
  return true;
}

/** Answers a POST: with the answer that it is known for, or with a new one. */
async function ask(named: Named): Promise<boolean> {
  const { exchange, response, answers, name } = named;
  const place = await placeFor(named);
  if (exchange.isEnded) return true;
  const claimed = await answers.claim(name, { exchange, response });
  if (claimed.is === "unrecorded") {
    // The usual way takes a place of its own.
    place();
    return false;
  }
  const { answer } = claimed;
  const isFirst = claimed.is === "new";
  try {
    if (isFirst || (await isSameRequest(named, answer))) answer.join(clientOf(named, place, isFirst));
  } finally {
    answer.release();
  }
  return true;
}

/**
 * Whether a POST has the body of the request that an answer is for; false if its client has left. Throws the refusal of
 * another body.
 */
async function isSameRequest({ exchange, response, answers }: Named, answer: Answer): Promise<boolean> {
  const hashed = hashBody(exchange);
  exchange.request.body?.stream.resume();
  const own = await hashed;
  if (own === undefined) return false;
  const known = await answer.state.bodyHash();
  if (exchange.isEnded || response.isClosed) return false;
  if (known === own) return true;
  answers.resumed(known === undefined ? "failed" : "mismatch");
  if (known !== undefined) throw new ProxyError("answer_mismatch", "the key belongs to another body");
  throw new ProxyError("answer_unavailable", "the request was lost before the backend had it", {
    fields: [retrySoon()],
  });
}

/** Answers a GET: it attaches to an answer, and never asks the backend. */
async function attach(named: Named): Promise<void> {
  const { exchange, response, answers, name } = named;
  const place = await placeFor(named);
  const answer = exchange.isEnded ? undefined : await answers.find(name);
  const isGone = exchange.isEnded || response.isClosed;
  if (answer === undefined) {
    answers.resumed("unknown");
    if (!isGone) nothing(named);
    return;
  }
  try {
    if (!isGone) answer.join(clientOf(named, place, false));
  } finally {
    answer.release();
  }
}

/** Answers a DELETE, always in the same way: it tells nobody whether an answer exists. */
async function cancel(named: Named): Promise<void> {
  const answer = await named.answers.find(named.name);
  try {
    await answer?.cancel(new ProxyError("answer_cancelled", "the client has cancelled it"));
  } finally {
    answer?.release();
  }
  if (!named.response.isClosed) nothing(named);
}

/**
 * Takes a place of the limits for the client, until it leaves: its exchange may last as long as the answer, and it needs the
 * place when it comes back. The answer's backend connection counts by itself.
 */
async function placeFor({ exchange, response, route, runtime }: Named): Promise<Release> {
  const place = await takePlace(exchange, route, runtime.capacity, false);
  response.onClose(place);
  return place;
}

function clientOf(named: Named, place: Release, isFirst: boolean): AnswerClient {
  const { exchange, response, runtime, name } = named;
  return {
    exchange,
    response,
    isFirst,
    lastEventId: isFirst ? "" : name.lastEventId,
    open: runtime.relays,
    onRead: () => nothing(named),
    onPassed: (source) => {
      place();
      // The end of the exchange is too late: where tokens are counted, it waits for the end of the response.
      response.onClose(() => source.cancel());
      deliver(named, { source, isStream: isStreaming(exchange, source, named.route) });
    },
  };
}

/** Sends a 204, which ends an EventSource; no cache may keep it. */
function nothing({ exchange, response }: Served): void {
  const fields = [["Cache-Control", "no-store"], ...exchange.ownFields] as const;
  send(exchange, response, { status: 204, fields, body: "" });
}
