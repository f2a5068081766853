// What makes a page live: ages that count, values that change, regions that renew themselves.
// Without it every page still shows everything the server knew when it was asked.

import { appendPoints, drawCharts, moveCharts } from "./charts.js";
import { keepRefreshing, refreshSoon } from "./refresh.js";
import { announce } from "./toasts.js";

const RETRY_MS = 5000;

const body = document.body;
let clockAheadMs = Number(body.dataset.now) - Date.now();
let values = new Map();
let devices = new Map();
let ages = new Map();

const serverNow = () => Date.now() + clockAheadMs;
const keyOf = (parts) => parts.join("\n");

function indexPage() {
  const index = (selector, attribute) => {
    const found = new Map();
    for (const element of document.querySelectorAll(selector)) {
      const key = keyOf(JSON.parse(element.dataset[attribute]));
      found.set(key, [...(found.get(key) ?? []), element]);
    }
    return found;
  };
  values = index("[data-value]", "value");
  ages = index("[data-series-age]", "seriesAge");
  devices = index("[data-device]", "device");
}

function ageText(atMs) {
  const seconds = Math.floor((serverNow() - atMs) / 1000);
  if (seconds < 1) return "now";
  if (seconds < 60) return `${seconds} s ago`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)} h ago`;
  return `${Math.floor(seconds / 86400)} d ago`;
}

function showAges() {
  for (const element of document.querySelectorAll("[data-age]")) {
    const text = ageText(Number(element.dataset.age));
    if (element.textContent !== text) element.textContent = text;
  }
}

function renewAge(element, tsMs) {
  const age = element.querySelector("[data-age]");
  if (age && Number(age.dataset.age) < tsMs) age.dataset.age = tsMs;
}

function takePoints(event) {
  const { now, rate, points } = JSON.parse(event.data);
  clockAheadMs = now - Date.now();
  for (const element of document.querySelectorAll("[data-rate]")) element.textContent = rateText(rate);
  for (const [tenant, device, metric, tsMs, , text] of points) {
    const key = keyOf([tenant, device, metric]);
    for (const element of values.get(key) ?? []) element.textContent = text;
    for (const element of ages.get(key) ?? []) renewAge(element, tsMs);
    for (const element of devices.get(keyOf([tenant, device])) ?? []) {
      const age = element.querySelector(":scope > .num [data-age]");
      if (age && Number(age.dataset.age) < tsMs) age.dataset.age = tsMs;
    }
  }
  appendPoints(points);
  showAges();
}

function rateText(rate) {
  return rate >= 1000 ? Math.round(rate).toLocaleString("en").replaceAll(",", "\u202f") : rate.toFixed(1);
}

function takePresence(event) {
  const { tenant, device, state } = JSON.parse(event.data);
  const shown = devices.get(keyOf([tenant, device])) ?? [];
  for (const element of shown) {
    const badge = element.querySelector(".presence");
    badge.dataset.state = state;
    badge.textContent = state;
  }
  refreshSoon();
}

function takeAlert(event) {
  announce(JSON.parse(event.data));
  refreshSoon();
}

function listen(address) {
  const badge = document.getElementById("live-state");
  const say = (state, text) => {
    badge.dataset.state = state;
    badge.textContent = text;
  };
  const source = new EventSource(address);
  source.addEventListener("open", () => say("live", "live"));
  source.addEventListener("error", () => {
    say("lost", "connection lost, trying again …");
    if (source.readyState !== EventSource.CLOSED) return;
    // Refused, not lost: the session may be over, which a refresh finds out.
    refreshSoon();
    setTimeout(() => listen(address), RETRY_MS);
  });
  source.addEventListener("points", takePoints);
  source.addEventListener("presence", takePresence);
  source.addEventListener("alert", takeAlert);
  addEventListener("pagehide", () => source.close(), { once: true });
}

function offerCopying() {
  for (const button of document.querySelectorAll("[data-copy]")) {
    if (!navigator.clipboard) continue;
    button.hidden = false;
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent);
      button.textContent = "Copied";
    });
  }
}

function offerCheckingAll() {
  for (const offer of document.querySelectorAll("[data-check-all]")) {
    const all = offer.querySelector("input");
    const form = document.getElementById(offer.dataset.checkAll);
    const boxes = [...form.querySelectorAll("td input[type=checkbox]")];
    const show = () => {
      const checked = boxes.filter((box) => box.checked).length;
      all.checked = checked === boxes.length;
      all.indeterminate = checked > 0 && !all.checked;
    };
    offer.hidden = false;
    all.addEventListener("change", () => boxes.forEach((box) => (box.checked = all.checked)));
    form.addEventListener("change", (event) => event.target === all || show());
    show();
  }
}

function listenToHotkeys() {
  addEventListener("keydown", (event) => {
    const typing = /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName);
    const target = document.querySelector(`[data-hotkey="${CSS.escape(event.key)}"]`);
    if (!target || typing || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    target.focus();
  });
}

indexPage();
showAges();
setInterval(() => {
  showAges();
  moveCharts(serverNow());
}, 1000);
offerCopying();
offerCheckingAll();
listenToHotkeys();
keepRefreshing(Number(body.dataset.refreshS ?? 0), () => {
  indexPage();
  showAges();
});
drawCharts(serverNow());
addEventListener("pageshow", (event) => event.persisted && location.reload());
if (body.dataset.live) listen(body.dataset.live);
