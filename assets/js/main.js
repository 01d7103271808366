// What pages do better with JavaScript: components, the countdown by the server's clock, and a warning before text is lost.
import { initAll } from "./govuk-frontend.min.js";

initAll();

const banner = document.querySelector("[data-closes-at]");
if (banner) countdown(banner);

async function countdown(element) {
  const sent = Date.now();
  let offset = 0;
  try {
    const answer = await fetch("/api/v1/time", { cache: "no-store" });
    const received = Date.now();
    offset = new Date((await answer.json()).now).getTime() - (sent + received) / 2;
  } catch {
    offset = new Date(element.dataset.serverNow).getTime() - sent;
  }
  const closes = new Date(element.dataset.closesAt).getTime();
  const left = element.querySelector("[data-left]");
  const words = JSON.parse(element.dataset.words);
  if (Math.abs(offset) > 30000) {
    const note = document.createElement("p");
    note.textContent = words.clock;
    element.append(note);
  }
  const tick = () => {
    const seconds = Math.floor((closes - (Date.now() + offset)) / 1000);
    if (seconds < 0) {
      left.textContent = words.closed;
      element.classList.add("cutoff--closed");
      return;
    }
    const days = Math.floor(seconds / 86400);
    const clock = [Math.floor(seconds / 3600) % 24, Math.floor(seconds / 60) % 60, seconds % 60].map((n) => String(n).padStart(2, "0")).join(":");
    left.textContent = `${days} ${words.days} ${clock}`;
    element.classList.toggle("cutoff--soon", seconds < 3600);
    setTimeout(tick, 1000 - ((Date.now() + offset) % 1000));
  };
  tick();
}

for (const form of document.querySelectorAll("form[data-guard]")) {
  let changed = false;
  form.addEventListener("input", () => { changed = true; });
  form.addEventListener("submit", () => { changed = false; });
  window.addEventListener("beforeunload", (event) => { if (changed) event.preventDefault(); });
}
