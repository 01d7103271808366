// What pages do better with JavaScript: components, the countdown by the server's clock, and a warning before text is lost.
import { initAll } from "./govuk-frontend.min.js";

document.body.classList.add("govuk-frontend-supported"); // without this its components do nothing
initAll();

const banner = document.querySelector("[data-closes-at]");
if (banner) countdown(banner);

// The rest of the time by the portal's clock: asked for at the start, each five minutes and when the page is looked at again.
// In between the device's running time counts, so that its clock may be set meanwhile.
async function countdown(element) {
  const words = JSON.parse(element.dataset.words);
  const left = element.querySelector("[data-left]");
  const note = element.querySelector("[data-clock]");
  const own = element.querySelector("[data-own]");
  let closes = 0;
  let base = Date.parse(element.dataset.serverNow) - performance.now();
  let timer = 0;
  const now = () => base + performance.now();
  const moved = (instant) => {
    closes = Date.parse(instant);
    const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
    const shown = new Intl.DateTimeFormat(document.documentElement.lang === "en" ? "en-GB" : document.documentElement.lang, { day: "numeric", month: "long", hour: "2-digit", minute: "2-digit", timeZoneName: "short" }).format(closes);
    own.textContent = `${words.own} ${shown}${zone && !shown.endsWith(zone) ? ` (${zone})` : ""}`;
  };
  const measure = async () => {
    const sent = performance.now();
    try {
      const answer = await fetch("/api/v1/time", { cache: "no-store" });
      const received = performance.now();
      base = Date.parse((await answer.json()).now) - (sent + received) / 2;
    } catch { /* what was known before still counts */ }
    note.textContent = Math.abs(now() - Date.now()) > 30000 ? words.clock : "";
  };
  const tick = () => {
    clearTimeout(timer);
    const seconds = Math.floor((closes - now()) / 1000);
    const days = Math.floor(seconds / 86400);
    const clock = [Math.floor(seconds / 3600) % 24, Math.floor(seconds / 60) % 60, seconds % 60].map((n) => String(n).padStart(2, "0")).join(":");
    left.textContent = seconds < 0 ? words.closed : `${days} ${words.days} ${clock}`;
    element.classList.toggle("cutoff--closed", seconds < 0);
    element.classList.toggle("cutoff--soon", seconds >= 0 && seconds < 3600);
    document.dispatchEvent(new CustomEvent("left", { detail: seconds }));
    if (element.isConnected) timer = setTimeout(tick, 1000 - (now() % 1000));
  };
  document.addEventListener("deadline", ({ detail }) => { if (Date.parse(detail) !== closes) { moved(detail); tick(); } });
  document.addEventListener("visibilitychange", () => { if (!document.hidden) measure(); });
  setInterval(measure, 300000);
  moved(element.dataset.closesAt);
  await measure();
  tick();
}

for (const form of document.querySelectorAll("form[data-guard]")) {
  let changed = "unsaved" in form.dataset;
  form.addEventListener("input", () => { changed = true; });
  form.addEventListener("submit", () => { changed = false; });
  window.addEventListener("beforeunload", (event) => { if (changed) event.preventDefault(); });
}

// At the cutoff the task list and the check page show what the server shows then: what was submitted, and nothing to press. What
// somebody is typing there is left alone: the answer to their press shows it again.
if (banner && /^\/apply\/[^/]+(\/check)?$/.test(location.pathname)) {
  let typed = false;
  document.addEventListener("input", () => { typed = true; });
  document.addEventListener("left", function passed({ detail }) {
    if (detail >= 0) return;
    document.removeEventListener("left", passed);
    setTimeout(() => { if (!typed) location.replace(location.pathname); }, 1000 + Math.random() * 3000); // not all at once
  });
}

// Texts that draft.js kept on this device: gone when somebody signs out, or settled them on the page that shows both texts.
const forget = (start) => { for (const key of Object.keys(localStorage)) if (start(key)) localStorage.removeItem(key); };
document.querySelector("form[action='/account/sign-out']")?.addEventListener("submit", () => forget((key) => key.startsWith("draft:")));
for (const form of document.querySelectorAll("form[data-clears]")) {
  form.addEventListener("submit", () => forget((key) => key.startsWith("draft:") && key.includes(`:${form.dataset.clears}:`)));
}
