// A page of the form that saves itself while somebody types. What the server has not confirmed stays on this device.

const KEPT = "draft:"; // before the keys of texts on this device; main.js removes them when somebody signs out
const PAUSE = 1500; // ms without typing before a save
const LONGEST = 10000; // ms between saves while somebody keeps typing
const BEAT = 15000; // ms between looks at who is here and whether the call is open
const PART = 2 * 1024 * 1024; // bytes of a file that go at once
const TRIES = 6; // for each part
const IDLE = 30 * 60000; // ms without typing after which the page asks no more

function open(form) {
  const address = form.dataset.draft;
  const words = JSON.parse(form.dataset.words);
  const state = document.getElementById("state");
  const people = document.getElementById("people");
  const field = (name) => form.elements.namedItem(name);
  let saved = written();
  let sending = null; // what was sent and not answered yet: sent again as it was, so that it is saved once
  let timer = 0;
  let waits = 0; // failed tries in a row
  let since = 0; // when the first unsaved letter was typed
  let typedAt = Date.now();
  let stopped = ""; // why nothing is saved: conflict, stranger, closed
  let out = false; // not signed in any more
  let leaving = false;
  let goes = false; // signing out: nothing may stay on this device

  function written() {
    return JSON.stringify([...new FormData(form)].filter(([name, value]) => typeof value === "string" && !["csrf_token", "revision", "marks"].includes(name)));
  }
  const key = () => `${KEPT}${form.dataset.person}:${address}:${field("revision").value}`;
  const dirty = () => sending !== null || written() !== saved;
  const later = (ms) => { clearTimeout(timer); timer = setTimeout(save, ms); };

  function drop(name = key()) { try { localStorage.removeItem(name); } catch { /* nothing could be kept either */ } }
  function keep() {
    if (goes) return false;
    try {
      localStorage.setItem(key(), JSON.stringify({ at: Date.now(), revision: field("revision").value, marks: field("marks").value, pairs: JSON.parse(written()) }));
      return true;
    } catch { return false; }
  }

  function say(text, kind = "") {
    if (state.textContent !== text) state.textContent = text;
    delete state.dataset.offer;
    state.className = `state${kind && ` state--${kind}`}`;
  }
  function offer(text, ...buttons) { // a sentence with buttons or links behind it
    if (state.dataset.offer === text) return; // its links may have the focus
    say(text, "alarm");
    state.dataset.offer = text;
    for (const [label, act] of buttons) {
      const made = document.createElement(typeof act === "string" ? "a" : "button");
      made.textContent = label;
      if (typeof act === "string") Object.assign(made, { href: act, target: "_blank", rel: "noopener", className: "govuk-link" });
      else Object.assign(made, { type: "button", className: "link-button", onclick: act });
      state.append(" ", made);
    }
  }
  function blocks(html) { // what still blocks a submit, where the page tells of it
    const line = document.getElementById("blocking");
    if (line && html) line.innerHTML = html;
  }
  function right(input) { // a file came: what was wrong before is told anew by the server
    const group = input.closest(".govuk-form-group");
    group.classList.remove("govuk-form-group--error");
    input.classList.remove("govuk-file-upload--error");
    document.getElementById(`${input.id}-error`)?.remove();
    input.setAttribute("aria-describedby", (input.getAttribute("aria-describedby") ?? "").replace(`${input.id}-error`, "").trim());
  }
  const unsaved = (text) => (keep() ? `${text} ${words.kept}` : `${text} ${words.lost}`);

  async function ask(path, body) {
    const answer = await fetch(address + path, { method: body ? "POST" : "GET", body, cache: "no-store", headers: { Accept: "application/json" }, signal: AbortSignal.timeout(20000) });
    const told = await answer.json();
    return { status: answer.status, ...told };
  }

  async function save() {
    clearTimeout(timer);
    if (save.running) return save.running;
    if (stopped || !dirty()) return undefined;
    save.running = attempt().finally(() => { save.running = null; });
    return save.running;
  }
  async function attempt() {
    sending ??= written();
    const quiet = out || waits; // a failing try is not told anew
    const body = new FormData();
    for (const [name, value] of JSON.parse(sending)) body.append(name, value);
    for (const name of ["csrf_token", "revision", "marks"]) body.append(name, field(name).value);
    if (!quiet) say(words.saving);
    let told;
    try { told = await ask("/revisions", body); } catch { told = { status: 0 }; }
    if (told.status === 200) return settle(told);
    if (told.code === "stale_step") return conflict();
    if (told.code === "call_closed") return close();
    if (told.status === 401) return signedOut();
    if (told.code === "cross_site" && await renew()) return later(0);
    if ([400, 403, 404, 413, 422].includes(told.status)) { sending = null; return say(unsaved(words.refused), "alarm"); }
    waits += 1;
    say(unsaved(words.away), "alarm");
    return later(Math.min(1000 * 2 ** waits, 10000));
  }
  function settle(told) {
    drop();
    out = false;
    saved = sending;
    sending = null;
    waits = 0;
    field("revision").value = told.revision;
    field("marks").value = told.marks;
    if (dirty()) { keep(); since = Date.now(); return later(PAUSE); }
    since = 0;
    blocks(told.blocking);
    return say(told.words, "well");
  }
  function conflict() {
    stopped = "conflict";
    keep();
    offer(words.conflict, [words.compare, () => post()]);
  }
  function post() { // as without scripts: the answer is the page that shows both texts
    leaving = true;
    form.requestSubmit(form.querySelector("button[value=save]"));
  }
  function signedOut() {
    offer(unsaved(words.signedOut), [words.signIn, `/account/sign-in?next=${encodeURIComponent(address)}`]);
    out = true;
    clearTimeout(timer);
    timer = setTimeout(async () => { if (await renew()) save(); else if (!stopped) signedOut(); }, 4000);
  }
  async function renew() { // after signing in in another tab this page has an old token
    try { return hear(await ask("/presence")); } catch { return false; }
  }

  function hear(told) { // what a look at the server told; true where this person may go on saving
    if (told.status !== 200) return false;
    if (told.person !== form.dataset.person) { stopped = "stranger"; offer(unsaved(words.stranger)); return false; }
    if (stopped === "stranger") { stopped = ""; later(0); }
    for (const input of document.querySelectorAll("input[name=csrf_token]")) input.value = told.csrf_token;
    people.replaceChildren(...told.people.map((line) => Object.assign(document.createElement("p"), { textContent: line })));
    document.dispatchEvent(new CustomEvent("deadline", { detail: told.closes_at }));
    if (told.state !== "open") { close(); return false; }
    if (told.revision > Number(field("revision").value) && !stopped && !save.running && sending === null) {
      if (dirty()) conflict();
      else { stopped = "conflict"; offer(words.newer, [words.reload, () => location.reload()]); }
    }
    return true;
  }
  async function beat() {
    if (document.hidden || stopped === "closed" || Date.now() - typedAt > IDLE) return;
    try { hear(await ask("/presence")); } catch { /* the next look comes by itself */ }
  }

  async function close() { // shows the page as the server shows it now, and below it what came too late
    if (stopped === "closed") return;
    if (save.running) await Promise.race([save.running, new Promise((go) => { setTimeout(go, 3000); })]);
    let page;
    try {
      const answer = await fetch(address, { cache: "no-store" });
      page = new DOMParser().parseFromString(await answer.text(), "text/html").querySelector("main");
    } catch { page = null; }
    if (!page || page.querySelector("form[data-draft]")) return; // not told yet that it is closed: asked again
    stopped = "closed";
    clearTimeout(timer);
    const rest = dirty() ? JSON.parse(written()).filter(([, value]) => value.trim()) : [];
    document.querySelector("main").replaceWith(page);
    const note = document.createElement("div");
    note.className = "standing standing--changed";
    note.setAttribute("role", "alert");
    note.append(Object.assign(document.createElement("p"), { className: "govuk-body", textContent: rest.length ? `${words.closed} ${words.late}` : words.closed }));
    if (rest.length) {
      const typed = document.createElement("textarea");
      typed.className = "govuk-textarea";
      typed.readOnly = true;
      typed.rows = 6;
      typed.setAttribute("aria-label", words.typed);
      typed.value = rest.map(([, value]) => value).join("\n\n");
      note.append(typed);
    }
    page.querySelector("h1").after(note);
  }

  function restore() { // texts of an earlier visit that the server never confirmed
    const start = `${KEPT}${form.dataset.person}:${address}:`;
    for (const name of Object.keys(localStorage).filter((name) => name.startsWith(KEPT))) {
      const kept = JSON.parse(localStorage.getItem(name));
      if (Date.now() - kept.at > 7 * 86400000) { localStorage.removeItem(name); continue; }
      if (!name.startsWith(start)) continue;
      if (JSON.stringify(kept.pairs) === saved) { localStorage.removeItem(name); continue; }
      if (kept.revision === field("revision").value) { put(kept.pairs); say(words.restored, "alarm"); later(PAUSE); } else {
        stopped = "kept";
        offer(words.older, [words.compare, () => { old(kept, name); }], [words.discard, () => { localStorage.removeItem(name); location.reload(); }]);
      }
      return;
    }
  }
  function put(pairs) {
    const given = new Map();
    for (const [name, value] of pairs) given.set(name, [...(given.get(name) ?? []), value]);
    for (const input of form.elements) {
      if (!input.name || input.type === "hidden" || input.type === "file" || input.tagName === "BUTTON") continue;
      if (input.type === "radio" || input.type === "checkbox") input.checked = (given.get(input.name) ?? []).includes(input.value);
      else if (given.has(input.name)) [input.value] = given.get(input.name);
    }
  }
  function old(kept, name) { // posts the kept text from the revision it began with: the server shows both
    const made = document.createElement("form");
    made.method = "post";
    made.action = address;
    for (const [label, value] of [...kept.pairs, ["csrf_token", field("csrf_token").value], ["revision", kept.revision], ["marks", kept.marks], ["action", "save"]]) {
      made.append(Object.assign(document.createElement("input"), { type: "hidden", name: label, value }));
    }
    document.body.append(made);
    leaving = true;
    drop(name);
    made.submit();
  }

  const uploads = new Set(); // under way
  const digest = async (file) => [...new Uint8Array(await crypto.subtle.digest("SHA-256", await file.arrayBuffer()))].slice(0, 16).map((byte) => byte.toString(16).padStart(2, "0")).join("");
  function upload(input, file) { // as soon as it is chosen, apart from the answers: its progress, then its digest
    const list = listOf(input);
    const line = list.appendChild(document.createElement("li"));
    const told = input.parentElement.querySelector("[data-uploads]");
    line.textContent = `${words.uploading} ${file.name}`;
    told.textContent = line.textContent;
    const failed = (reason, isFinal = false) => {
      line.textContent = `${words.failed} ${file.name}. ${reason} `;
      if (!isFinal) line.append(Object.assign(document.createElement("button"), { type: "button", className: "link-button", textContent: words.again, onclick: async () => { await renew(); line.remove(); upload(input, file); } }));
      told.textContent = `${words.failed} ${file.name}. ${reason}`;
    };
    const base = address.slice(0, address.lastIndexOf("/"));
    const send = (name, start) => new Promise((settled) => { // a part; what was answered, or nothing where nobody was reached
      const body = new FormData();
      body.append("csrf_token", field("csrf_token").value);
      body.append("question", input.dataset.question);
      if (name) for (const [key, value] of Object.entries({ upload: name, start, whole: file.size })) body.append(key, value);
      body.append("file", name ? file.slice(start, start + PART) : file, file.name);
      const request = new XMLHttpRequest();
      request.open("POST", `${base}/attachments`);
      request.setRequestHeader("Accept", "application/json");
      request.responseType = "json";
      request.upload.onprogress = (event) => { line.textContent = `${words.uploading} ${file.name}: ${Math.floor((100 * Math.min(start + event.loaded, file.size)) / Math.max(file.size, 1))} %`; };
      request.onerror = () => settled(null);
      request.onload = () => settled(request);
      request.send(body);
    });
    const arrived = async (name) => {
      try { return (await (await fetch(`${base}/uploads/${name}`, { headers: { Accept: "application/json" } })).json()).held; } catch { return 0; }
    };
    const whole = async () => { // the parts one after another, each again until it arrives; what had arrived is not sent twice
      const name = file.size > PART && crypto.subtle ? await digest(file) : "";
      for (let start = name ? await arrived(name) : 0, tries = 0; tries < TRIES;) {
        const request = await send(name, start);
        const got = request?.response;
        if (request?.status === 200 && got?.sha256) return shown(got);
        if (request?.status === 202 && got.held > start) { start = got.held; tries = 0; continue; }
        if (request && request.status !== 202 && request.status < 500) return failed(got?.words ?? (request.status === 401 ? words.signedOut : words.refused), Boolean(got?.words));
        tries += 1;
        line.textContent = `${words.uploading} ${file.name}: ${words.unreached}`;
        await new Promise((go) => { setTimeout(go, 1000 * tries); window.addEventListener("online", go, { once: true }); });
        if (name) start = await arrived(name);
      }
      return failed(words.unreached);
    };
    const shown = (got) => {
      for (const older of [...list.children]) if (older !== line && (older.querySelector("a")?.textContent === got.name || older.querySelector(".hash")?.textContent === got.sha256)) older.remove();
      line.replaceChildren(
        Object.assign(document.createElement("a"), { className: "govuk-link", href: `${base}/attachments/${got.id}`, textContent: got.name }), " ",
        Object.assign(document.createElement("span"), { className: "quiet", textContent: got.shown_size }), document.createElement("br"),
        Object.assign(document.createElement("span"), { className: "quiet", textContent: "SHA-256 " }),
        Object.assign(document.createElement("span"), { className: "hash", textContent: got.sha256 }), document.createElement("br"),
        Object.assign(document.createElement("button"), { className: "link-button", type: "submit", name: "action", value: `detach:${got.id}`, textContent: words.remove }),
      );
      line.lastChild.append(Object.assign(document.createElement("span"), { className: "govuk-visually-hidden", textContent: ` ${got.name}` }));
      right(input);
      blocks(got.blocking);
      told.textContent = `${got.is_replaced ? words.replaced : words.uploaded} ${got.name}`;
    };
    const done = whole().catch(() => failed(words.unreached)); // a file that went away while it was read, too
    uploads.add(done);
    return done.finally(() => uploads.delete(done));
  }
  function listOf(input) {
    const there = input.parentElement.querySelector("ul.files");
    if (there) return there;
    const made = Object.assign(document.createElement("ul"), { className: "files" });
    input.before(made);
    return made;
  }
  form.addEventListener("change", async ({ target }) => {
    if (target.type !== "file" || stopped) return;
    const chosen = [...target.files];
    target.value = ""; // so that no button sends them a second time
    for (const file of chosen) await upload(target, file);
  });

  const typing = () => {
    typedAt = Date.now();
    if (!dirty()) { drop(); return; } // leaving a field tells of a change too, long after it was saved
    keep();
    if (stopped || out || waits) return;
    since ||= Date.now();
    say(words.typing);
    later(Date.now() - since > LONGEST ? 0 : PAUSE);
  };
  form.addEventListener("input", typing);
  form.addEventListener("change", typing);
  form.addEventListener("submit", async (event) => {
    if (leaving || stopped) { leaving = true; return; }
    const { submitter } = event;
    if (!dirty() && !uploads.size) { leaving = true; return; }
    event.preventDefault();
    while (uploads.size) await Promise.allSettled([...uploads]);
    await save();
    if (dirty()) await save(); // typed while it was being saved
    if (!dirty() && !stopped) { leaving = true; form.requestSubmit(submitter); }
  });
  window.addEventListener("beforeunload", (event) => { if (!leaving && stopped !== "closed" && (dirty() || uploads.size)) { keep(); event.preventDefault(); } });
  window.addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });
  window.addEventListener("online", () => { waits = 0; save(); });
  window.addEventListener("focus", () => { if (out) later(0); else beat(); });
  document.querySelector("form[action='/account/sign-out']")?.addEventListener("submit", () => { goes = true; });
  document.addEventListener("visibilitychange", () => { if (document.hidden) save(); else beat(); });
  document.addEventListener("left", ({ detail }) => {
    if (detail <= 3 && detail >= 0) save();
    if (detail < 0 && !form.inert) {
      form.inert = true; // at once; what stands is asked for a moment later, as every open page asks for it
      setTimeout(async () => { await close(); if (stopped !== "closed") setTimeout(() => { form.inert = false; }, 3000); }, 300 + Math.random() * 3000);
    }
  });
  setInterval(beat, BEAT);
  try { restore(); } catch { /* this browser keeps nothing */ }
}

const found = document.querySelector("form[data-draft]");
if (found) open(found);
