/**
 * Follows a group of a stream: its values in a Map that is kept up to date, and its events.
 *
 *     import { connect } from "/streams.js";
 *
 *     const board = connect("/api/v1/streams/game%3A42/board", {
 *       onChange: (values) => draw(values),
 *       onEvent: (event) => flash(event.data),
 *     });
 *
 * It connects by WebSocket, or by server-sent events where no WebSocket gets through, and comes
 * back after every loss with the number of the last frame: nothing is lost, nothing comes twice.
 */

const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 30_000;

/**
 * @typedef {object} Frame
 * @property {number} seq number of the change in its group
 * @property {"snapshot" | "set" | "delete" | "event"} type
 * @property {string | null} id key of the value, or what the event was sent with
 * @property {*} data the value, the event, or all values by key
 */

/**
 * @typedef {object} Options
 * @property {number} [after] number of the last frame that is known already
 * @property {Map<string, *>} [values] the values that belong to `after`
 * @property {(values: Map<string, *>, frame: Frame) => void} [onChange] after every change
 * @property {(frame: Frame) => void} [onEvent] for what was sent with `send`
 * @property {(status: "connecting" | "open" | "waiting" | "closed") => void} [onStatus]
 * @property {string | (() => string | Promise<string>)} [token] access token, where there is no
 *   cookie; a WebSocket cannot send one, so then it goes by server-sent events
 * @property {"auto" | "websocket" | "sse"} [transport]
 */

/**
 * Connects, and stays connected until `close()`.
 *
 * @param {string | URL} url of the group, names percent-encoded: http(s), or relative to the page
 * @param {Options} [options]
 * @returns {Connection}
 */
export function connect(url, options = {}) {
  return new Connection(new URL(url, globalThis.location?.href), options);
}

/** A connection that comes back. */
export class Connection {
  /**
   * @param {URL} url
   * @param {Options} options
   */
  constructor(url, options) {
    /** @type {Map<string, *>} the values as of `seq` */
    this.values = options.values ?? new Map();
    /** @type {number | null} number of the last frame */
    this.seq = options.after ?? null;
    this._url = url;
    this._options = options;
    this._failures = 0;
    this._bySse = options.transport === "sse" || !this._maySocket();
    this._link = null;
    this._timer = null;
    this._isClosed = false;
    this._open();
  }

  /** Ends the connection for good. */
  close() {
    this._isClosed = true;
    clearTimeout(this._timer);
    this._link?.end();
    this._tell("onStatus", "closed");
  }

  _maySocket() {
    return "WebSocket" in globalThis && !this._options.token;
  }

  _open() {
    this._tell("onStatus", "connecting");
    const url = new URL(this._url);
    if (this.seq !== null) url.searchParams.set("after", String(this.seq));
    let wasOpen = false;
    const handlers = {
      open: () => {
        wasOpen = true;
        this._tell("onStatus", "open");
      },
      text: (text) => this._take(JSON.parse(text)),
      lost: () => this._lost(wasOpen),
    };
    const { token } = this._options;
    this._link = this._bySse ? bySse(url, handlers, token) : byWebSocket(url, handlers);
  }

  /** @param {boolean} wasOpen */
  _lost(wasOpen) {
    if (this._isClosed) return;
    // Something between us and the server may let no WebSocket through: try the other way in turn.
    const may = (this._options.transport ?? "auto") === "auto" && this._maySocket();
    if (!wasOpen && may) this._bySse = !this._bySse;
    const longest = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** this._failures);
    this._failures += 1;
    this._tell("onStatus", "waiting");
    clearTimeout(this._timer);
    this._timer = setTimeout(() => this._open(), Math.random() * longest);
  }

  /** @param {Frame} frame */
  _take(frame) {
    this._failures = 0;
    if (frame.type === "snapshot") {
      this.values = new Map(Object.entries(frame.data));
    } else if (this.seq !== null && frame.seq <= this.seq) {
      return; // It is known already.
    } else if (this.seq !== null && frame.seq !== this.seq + 1) {
      this._link.end(); // Something is missing: come again with the number that we have.
      this._lost(true);
      return;
    }
    this.seq = frame.seq;
    if (frame.type === "set") this.values.set(frame.id, frame.data);
    if (frame.type === "delete") this.values.delete(frame.id);
    if (frame.type === "event") this._tell("onEvent", frame);
    else this._tell("onChange", this.values, frame);
  }

  _tell(name, ...args) {
    try {
      this._options[name]?.(...args);
    } catch (error) {
      // A page's mistake must not cost it the stream; it is reported as any other.
      setTimeout(() => {
        throw error;
      });
    }
  }
}

function byWebSocket(url, { open, text, lost }) {
  const address = new URL(url);
  address.protocol = address.protocol.replace("http", "ws");
  const socket = new WebSocket(address);
  socket.onopen = open;
  socket.onmessage = (message) => text(message.data);
  socket.onclose = lost;
  return {
    end() {
      socket.onmessage = socket.onclose = null;
      socket.close();
    },
  };
}

function bySse(url, { open, text, lost }, token) {
  // Not by EventSource: that cannot send a token, and comes back at its own pace, or never.
  const stop = new AbortController();
  const read = async () => {
    const bearer = await (typeof token === "function" ? token() : token);
    const headers = { Accept: "text/event-stream" };
    if (bearer) headers.Authorization = `Bearer ${bearer}`;
    const answer = await fetch(url, { headers, credentials: "include", signal: stop.signal });
    if (answer.status !== 200) return;
    open();
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    for (let part = await reader.read(); !part.done; part = await reader.read()) {
      const lines = (rest + part.value).split("\n");
      rest = lines.pop();
      for (const line of lines) if (line.startsWith("data: ")) text(line.slice(6));
    }
  };
  // However it ends, it is lost; unless we have ended it.
  const ended = () => stop.signal.aborted || lost();
  read().then(ended, ended);
  return { end: () => stop.abort() };
}
