"""What the code does not say in words about the step contract; `step_config` puts both together.

A key, a part or an example that the code does not have any more, or has without words here, is
an error when the page is made.
"""

KEYS = {
    "type": "What starts the step.",
    "name": "Unique among all steps; not `tidegate.…`.",
    "description": "One line for lists of steps.",
    "flows": "Names by which pictures group steps.",
    "emits": "Topics that it may emit, `a.*` too; another raises `UndeclaredEmit`. Absent: any.",
    "method": "HTTP method.",
    "path": "`/carts/:id/*`: `req.path_params` has `id`, and what `*` stands for as `0`.",
    "middleware": "Run in this order before the handler: `async mw(req, ctx, next)`, or names.",
    "body_schema": "What the body must fit, else 422.",
    "query_params": "What the query must fit, else 422; texts become the types that it declares.",
    "response_schema": "`{status: schema}`; checked by `tidegate dev` and in tests: else 500.",
    "websocket": "`req.ws` is a connection; `method` is GET.",
    "subscribes": "Topics, or `a.*` for one more segment.",
    "input": "What the event's data must fit, else it is a dead letter.",
    "key": "JSON pointer into the data: strict order inside a key, keys in parallel.",
    "batch": "The handler gets a list of events; not with `key`.",
    "batch.size": "At most so many in a list.",
    "batch.wait": "Seconds to wait for a full list.",
    "batch.key": "JSON pointer: a list holds events of one key.",
    "rate_limit": "At most so many events start; over all processes, what is above waits.",
    "rate_limit.limit": "Events in any `per`.",
    "rate_limit.per": "Seconds.",
    "delay": "Seconds from the emit to the first attempt.",
    "fifo": "One event at a time, in order, where there is no key.",
    "topic": "MQTT filter, with `+` and `#`.",
    "qos": "0 or 1.",
    "cron": "5 fields, 6 with leading seconds, or `@every 10s` (`ms`, `s`, `m`, `h`, `d`).",
    "timezone": "IANA zone of `cron`.",
    "overlap": "When a run is due while one is going on: leave it out, or begin it afterwards.",
    "catch_up": "Runs that were due while nothing ran: none, the last, all (at most 1,000).",
    "retry": "When a failed run is tried again, before it is a dead letter.",
    "retry.attempts": "All of them: 5 is one and four retries.",
    "retry.backoff": "The n-th retry waits `base * 2 ** (n - 1)`, or always `base`.",
    "retry.base": "Seconds.",
    "retry.cap": "No wait is longer; seconds.",
    "retry.jitter": "Wait a random part of it.",
    "timeout": "Seconds for one run; a run that is over it cannot commit.",
    "lease": "Seconds after which the event of a process that died goes to another.",
    "concurrency": "Runs at a time in one process; or `{limit, key}`: for each key.",
    "concurrency_key": "JSON pointer; `concurrency.key` written flat.",
    "key_concurrency": "Runs at a time of one key; `concurrency.limit` written flat.",
    "execution": "`process` runs a CPU-bound handler in a process of its own, without resources.",
}

TYPES = {
    "middleware": "list of names and functions",
    "body_schema": "schema",
    "query_params": "schema",
    "response_schema": "dict",
    "input": "schema",
    "concurrency": "whole number or dict",
}

STARTS = {
    "api": "A request. `handler(req, ctx)`; it may be an async generator, which streams.",
    "event": "An event of its topics. `handler(data, ctx)`; with `batch`, data is a list.",
    "cron": "A schedule. `handler(ctx)`; one run at a time over all processes.",
    "mqtt": "A message. `handler(message, ctx)`: a dict of `topic`, `payload`, `qos`, `retain`; "
    "the payload is decoded JSON, else text, else bytes.",
    "noop": "Nothing: it stands in pictures only and has no handler.",
}

OLDER = {
    "infrastructure.queue.maxRetries": 2,
    "infrastructure.queue.visibilityTimeout": 60,
    "infrastructure.queue.delaySeconds": 5,
    "infrastructure.queue.concurrency": 4,
    "infrastructure.queue.type": "fifo",
    "infrastructure.handler.timeout": 10,
}
"""Older spellings, each with an example; what it becomes is seen by reading it."""

PARTS = {
    "method": "`GET`, …",
    "path": "Without the query, decoded.",
    "target": "Path and query as sent.",
    "headers": "Names in lower case.",
    "cookies": "Name to value.",
    "path_params": "Parameters of the path; `pathParams` too.",
    "query_params": "The last value of each name, of the type in the schema; `queryParams` too.",
    "client": "The peer's address.",
    "scheme": "`http` or `https`.",
    "raw_body": "Bytes; `rawBody` too.",
    "body": "Decoded JSON, or the fields of a form, or None.",
    "files": "Name to file: `filename`, `content_type`, `size`, `await read()`, `await seek(n)`.",
    "user": "Set by `authMiddleware` and others.",
    "tenant": "Set by `tenantMiddleware`.",
    "ws": "The connection of a `websocket` step.",
}

ANSWERS = (
    "None",
    '{"id": "a1"}',
    '{"status": 201, "body": {"id": "a1"}}',
    '(404, {"why": "no such order"})',
    '"text"',
    '{"status": 200, "headers": {"Content-Type": "text/html"}, "body": "<p>text"}',
    'b"\\x00"',
    '[Decimal("1.10"), datetime(2026, 1, 2, tzinfo=UTC)]',
    '{"status": 303, "headers": {"Location": "/", "Set-Cookie": ["a=1", "b=2"]}}',
    'Path("report.pdf")',
    '{"status": 200, "body": pieces()}',
)
"""What a handler may return, as code; what is answered is seen by forming the answer."""
