/** How long a request or an event is shown, in ms. */
export const SHOWN_MS = 20_000;

/** The lane of one technique: its requests, their bytes, and the delay of each event. */
export class Lane {
  /** The shown requests: { from, until, events }, with `until` undefined while a request is open. */
  requests = [];
  /** The shown events: { number, sentAt, at }. */
  arrivals = [];
  counts = { requests: 0, empty: 0, bytes: 0, events: 0 };
  /** The newest delays, in ms, for the median and the slowest. */
  delays = [];

  begin() {
    const request = { from: Date.now(), until: undefined, events: 0 };
    this.requests.push(request);
    this.counts.requests += 1;
    return request;
  }

  /** Counts a response head as HTTP/1.1 sends it, with the fields that the page may read. */
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

  /** Removes what is not shown any more. */
  forget(before) {
    this.requests = this.requests.filter(({ until }) => until === undefined || until > before);
    this.arrivals = this.arrivals.filter(({ at }) => at > before);
  }
}

const MOST_DELAYS = 500;
