// SPDX-License-Identifier: Apache-2.0
"use strict";
const $ = (id) => document.getElementById(id);
const SETTINGS = ["temperature", "top_p", "min_p", "repetition_penalty", "top_k", "max_tokens", "seed", "stops", "system"];
const THEMES = ["", "light", "dark"];

let mode = "completion";
let model = "";
let canChat = false;
let messages = []; // of the conversation: {role, content}
let before = null; // the text before the last completion
let running = null; // AbortController of the request that is under way

// What browsers keep may be forbidden to a page: then it forgets.
function kept(store, name, value) {
  try {
    if (value === undefined) return window[store].getItem("quamba2." + name);
    window[store].setItem("quamba2." + name, value);
  } catch { /* forgets */ }
  return null;
}

function headers() {
  const key = $("key").value.trim();
  return key ? { Authorization: "Bearer " + key } : {};
}

function say(trouble) {
  $("trouble").textContent = trouble;
  $("trouble").hidden = !trouble;
}

function showSettings(show) {
  $("settings").hidden = !show;
  $("toggle-settings").setAttribute("aria-expanded", show);
}

async function failure(response) {
  let why = "";
  try {
    why = (await response.json()).error.message;
  } catch { /* a proxy's answer, say */ }
  if (response.status === 401) {
    showSettings(true);
    $("key").focus();
    return new Error("This server asks for an API key. Give it in the settings.");
  }
  const error = new Error(why || "The server answers with status " + response.status + ".");
  error.soon = response.status === 503;
  return error;
}

async function get(path) {
  const response = await fetch(path, { headers: headers() });
  if (!response.ok) throw await failure(response);
  return response.json();
}

async function connect() {
  try {
    const models = await get("v1/models");
    model = models.data[0].id;
    $("model").textContent = document.title = model;
    canChat = (await get("tokenizer_info")).chat_template !== null;
    $("mode-chat").disabled = !canChat;
    $("mode-chat").title = canChat ? "" : "This model has no chat template.";
    setMode(canChat && kept("localStorage", "mode") !== "completion" ? "chat" : "completion");
    $("light").className = "light on";
    $("light").title = "connected";
    say("");
  } catch (error) {
    $("light").className = "light off";
    $("light").title = "not connected";
    say(error instanceof TypeError ? "The server cannot be reached." : error.message);
    if (error.soon) setTimeout(connect, 1000); // the model is loading
  }
}

function setMode(to) {
  mode = to;
  for (const name of ["chat", "completion"]) {
    $(name).hidden = mode !== name;
    $("mode-" + name).setAttribute("aria-selected", mode === name);
  }
  $("message").hidden = mode !== "chat";
  $("system-label").hidden = mode !== "chat";
  $("undo").hidden = mode !== "completion";
  $("send").textContent = mode === "chat" ? "Send" : "Continue";
  $(mode === "chat" ? "message" : "text").focus();
}

function number(id) {
  const value = $(id).value.trim();
  return value === "" || Number.isNaN(Number(value)) ? undefined : Number(value);
}

function request() {
  const body = { model, stream: true, stream_options: { include_usage: true } };
  for (const name of ["temperature", "top_p", "min_p", "repetition_penalty", "top_k", "seed"]) body[name] = number(name);
  const stops = $("stops").value.split("\n").filter((line) => line !== "");
  if (stops.length) body.stop = stops;
  body[mode === "chat" ? "max_completion_tokens" : "max_tokens"] = number("max_tokens");
  if (mode === "completion") {
    body.prompt = $("text").value;
    return ["v1/completions", body];
  }
  const system = $("system").value.trim();
  body.messages = (system ? [{ role: "system", content: system }] : []).concat(messages);
  return ["v1/chat/completions", body];
}

// Calls `take` with every event's JSON; running.abort() leaves the loop by an AbortError.
async function stream(path, body, take) {
  running = new AbortController();
  const response = await fetch(path, {
    method: "POST", body: JSON.stringify(body), signal: running.signal,
    headers: { ...headers(), "Content-Type": "application/json" },
  });
  if (!response.ok) throw await failure(response);
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  for (let pending = ""; ;) {
    const { value, done } = await reader.read();
    if (done) throw new Error("The answer was cut off.");
    const lines = (pending + value).split("\n");
    pending = lines.pop();
    for (const line of lines) {
      if (!line.startsWith("data: ")) continue;
      if (line === "data: [DONE]") return;
      const event = JSON.parse(line.slice(6));
      if (event.error) throw new Error(event.error.message);
      take(event);
    }
  }
}

function figures(times, usage) {
  if (!times.first) return;
  const seconds = (times.last - times.first) / 1000;
  const parts = [`first token ${Math.round(times.first - times.begin)} ms`];
  const tokens = usage ? usage.completion_tokens : times.events;
  if (tokens > 1 && seconds > 0) parts.push(`${((tokens - 1) / seconds).toFixed(1)} tokens/s`);
  parts.push(`${tokens} token${tokens === 1 ? "" : "s"}`);
  if (usage) {
    const cached = usage.prompt_tokens_details ? usage.prompt_tokens_details.cached_tokens : 0;
    parts.push(`prompt ${usage.prompt_tokens}` + (cached ? `, ${cached} of it kept` : ""));
  }
  $("figures").textContent = parts.join("  ·  ");
}

// One request: `show` is called with each new piece of text. Returns why it ended: "stop", "length", "aborted" or "error".
async function generate(show) {
  const [path, body] = request();
  const times = { begin: performance.now(), first: 0, last: 0, events: 0 };
  let usage = null, end = "stop";
  say("");
  $("figures").textContent = "reading …";
  $("stop").hidden = false;
  $("send").disabled = $("clear").disabled = true;
  try {
    await stream(path, body, (event) => {
      if (event.usage) usage = event.usage;
      const choice = event.choices[0];
      if (!choice) return;
      times.last = performance.now();
      times.first = times.first || times.last;
      ++times.events;
      if (choice.finish_reason) end = choice.finish_reason;
      show(choice.delta ? choice.delta.content || "" : choice.text);
      figures(times, null);
    });
  } catch (error) {
    end = error.name === "AbortError" ? "aborted" : "error";
    if (end === "error") say(error instanceof TypeError ? "The connection broke." : error.message);
  }
  running = null;
  $("stop").hidden = true;
  $("send").disabled = $("clear").disabled = false;
  if (times.first) figures(times, usage);
  else $("figures").textContent = "\u00a0";
  return end;
}

function addTurn(role, content) {
  const turn = document.createElement("div");
  turn.className = "turn " + role;
  turn.textContent = content;
  $("talk").append(turn);
  $("welcome").hidden = true;
  $("chat").scrollTop = $("chat").scrollHeight;
  return turn;
}

async function chat() {
  const content = $("message").value.trim();
  if (!content) return;
  messages.push({ role: "user", content });
  addTurn("user", content);
  $("message").value = "";
  fit();
  const turn = addTurn("assistant", "");
  turn.classList.add("grows");
  const end = await generate((piece) => {
    const follows = $("chat").scrollHeight - $("chat").scrollTop - $("chat").clientHeight < 40;
    turn.append(piece);
    if (follows) $("chat").scrollTop = $("chat").scrollHeight;
  });
  turn.classList.remove("grows");
  turn.classList.toggle("cut", end === "length" || end === "aborted");
  if (turn.textContent) {
    messages.push({ role: "assistant", content: turn.textContent });
  } else { // nothing came: the message is there to be sent again
    turn.remove();
    if (end === "error" || end === "aborted") {
      messages.pop();
      $("talk").lastChild.remove();
      $("message").value = content;
    }
  }
  $("message").focus();
}

async function complete() {
  const text = $("text");
  before = text.value;
  text.readOnly = true;
  await generate((piece) => {
    const follows = text.scrollHeight - text.scrollTop - text.clientHeight < 60;
    text.value += piece;
    if (follows) text.scrollTop = text.scrollHeight;
  });
  text.readOnly = false;
  $("undo").disabled = text.value === before;
}

function clear() {
  messages = [];
  $("talk").replaceChildren();
  $("welcome").hidden = false;
  if (mode === "completion") $("text").value = "";
  $("undo").disabled = true;
  $("figures").textContent = "\u00a0";
  say("");
  setMode(mode);
}

function fit() { // the message's box grows with it
  $("message").style.height = "auto";
  $("message").style.height = $("message").scrollHeight + 2 + "px";
}

function showValue(input) {
  const output = input.closest("label").querySelector("output");
  if (output) output.textContent = input.value;
}

function setTheme(theme) {
  document.documentElement.dataset.theme = theme;
  $("theme").textContent = theme ? theme[0].toUpperCase() + theme.slice(1) : "Auto";
  kept("localStorage", "theme", theme);
}

function send() {
  if (running) return;
  if (mode === "chat") chat();
  else complete();
}

for (const id of SETTINGS) {
  const saved = kept("localStorage", id);
  if (saved !== null) $(id).value = saved;
  showValue($(id));
  $(id).addEventListener("input", () => { showValue($(id)); kept("localStorage", id, $(id).value); });
}
$("defaults").addEventListener("click", () => {
  for (const id of SETTINGS) {
    $(id).value = $(id).defaultValue;
    kept("localStorage", id, $(id).value);
    showValue($(id));
  }
});
$("key").value = kept("sessionStorage", "key") || "";
$("key").addEventListener("change", () => { kept("sessionStorage", "key", $("key").value); connect(); });
for (const name of ["chat", "completion"]) {
  $("mode-" + name).addEventListener("click", () => {
    if (running) return;
    setMode(name);
    kept("localStorage", "mode", name);
  });
}
$("composer").addEventListener("submit", (event) => { event.preventDefault(); send(); });
$("message").addEventListener("input", fit);
$("message").addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  send();
});
$("text").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) send();
});
document.addEventListener("keydown", (event) => { if (event.key === "Escape" && running) running.abort(); });
$("stop").addEventListener("click", () => { if (running) running.abort(); });
$("undo").addEventListener("click", () => {
  $("text").value = before;
  $("undo").disabled = true;
});
$("clear").addEventListener("click", clear);
$("toggle-settings").addEventListener("click", () => showSettings($("settings").hidden));
$("theme").addEventListener("click", () =>
  setTheme(THEMES[(THEMES.indexOf(document.documentElement.dataset.theme || "") + 1) % THEMES.length]));
setTheme(kept("localStorage", "theme") || "");
setMode("completion");
connect();
