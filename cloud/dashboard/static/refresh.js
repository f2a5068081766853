// Renews the regions marked `data-refresh` from a fresh copy of the same page, so that the server
// stays the only place that knows how things look.

const SOON_MS = 1500;
const TIMEOUT_MS = 10000;
let soon = 0;
let afterwards = () => {};

export function keepRefreshing(everyS, whenDone) {
  afterwards = whenDone;
  if (everyS > 0) setInterval(() => document.hidden || refresh(), everyS * 1000);
  document.addEventListener("visibilitychange", () => document.hidden || everyS === 0 || refreshSoon());
}

export function refreshSoon() {
  if (!soon) soon = setTimeout(refresh, SOON_MS);
}

async function refresh() {
  clearTimeout(soon);
  soon = 0;
  const html = await freshPage();
  if (html === null) return;
  const fresh = new DOMParser().parseFromString(html, "text/html");
  for (const region of document.querySelectorAll("[data-refresh]")) {
    const renewed = fresh.getElementById(region.id);
    if (renewed && !isInUse(region)) region.replaceWith(renewed);
  }
  afterwards();
}

async function freshPage() {
  try {
    const answer = await fetch(location.href, { signal: AbortSignal.timeout(TIMEOUT_MS) });
    if (answer.redirected && new URL(answer.url).pathname === "/login") location.reload();
    return answer.ok ? await answer.text() : null;
  } catch {
    return null; // Away for now; the live badge says so, and the next round tries again.
  }
}

function isInUse(region) {
  const selection = getSelection();
  const marks = selection && !selection.isCollapsed && region.contains(selection.anchorNode);
  return marks || region.contains(document.activeElement);
}
