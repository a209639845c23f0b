/** How long a request or an event is drawn. */
export const SHOWN_MS = 20_000;

/** What one technique does: its requests, the bytes that they brought, and how late each event was. */
export class Lane {
  /** Those of the last moments: { from, until, events }, `until` undefined while one is open. */
  requests = [];
  /** Events of the last moments: { number, sentAt, at }. */
  arrivals = [];
  counts = { requests: 0, empty: 0, bytes: 0, events: 0 };
  /** The newest, for the median and the slowest. */
  delays = [];

  begin() {
    const request = { from: Date.now(), until: undefined, events: 0 };
    this.requests.push(request);
    this.counts.requests += 1;
    return request;
  }

  /** The head is counted as it looks on the wire of HTTP/1.1, from what a page may read of it. */
  head(response) {
    let bytes = `HTTP/1.1 ${response.status} ${response.statusText}\r\n\r\n`.length;
    for (const [name, value] of response.headers) bytes += name.length + value.length + 4;
    this.counts.bytes += bytes;
  }

  bytes(length) {
    this.counts.bytes += length;
  }

  take(request, data) {
    const { number, sentAt, requests } = JSON.parse(data);
    const event = { number, sentAt: Date.parse(sentAt), at: Date.now(), requests };
    request.events += 1;
    this.counts.events += 1;
    this.arrivals.push(event);
    this.delays.push(Math.max(0, event.at - event.sentAt));
    if (this.delays.length > MOST_DELAYS) this.delays.shift();
  }

  end(request) {
    request.until = Date.now();
    if (request.events === 0) this.counts.empty += 1;
  }

  /** Takes off what is no longer drawn. */
  forget(before) {
    this.requests = this.requests.filter(({ until }) => until === undefined || until > before);
    this.arrivals = this.arrivals.filter(({ at }) => at > before);
  }
}

const MOST_DELAYS = 500;
