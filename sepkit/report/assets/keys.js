"use strict";
// The keyboard. Keys that a control needs for itself stay with it, and so do those that are pressed with others.

const KEYS = [
  [["Space"], "play, pause"],
  [["\u2190", "\u2192"], "2 seconds back, forward"],
  [["1", "M"], "play the mixture"],
  [["2", "E"], "play the estimate"],
  [["3", "R"], "play the reference"],
  [["4", "D"], "play the residual: mixture minus estimate"],
  [["J", "K"], "next, previous song"],
  [["N", "P"], "next, previous excerpt"],
  [["L"], "loop"],
  [["Q"], "equal loudness, true levels"],
  [["?"], "this help"],
];

function listenToKeys(songs, help) {
  const source = (name) => () => songs.player?.choose(name);
  const press = (name) => () => songs.player?.[name].click();
  const actions = {
    " ": () => songs.player?.toggle(),
    ArrowLeft: () => songs.player?.step(-2),
    ArrowRight: () => songs.player?.step(2),
    1: source("mixture"), m: source("mixture"), 2: source("estimate"), e: source("estimate"),
    3: source("reference"), r: source("reference"), 4: source("residual"), d: source("residual"),
    j: () => songs.step(1), k: () => songs.step(-1),
    n: () => stepView(songs.player, 1), p: () => stepView(songs.player, -1),
    l: press("loop"), q: press("equal"),
    "?": () => help.showModal(),
  };
  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey || help.open) return;
    const action = actions[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    if (!action || needsItself(event)) return;
    event.preventDefault();
    action();
  });
}

function needsItself(event) {
  if (event.target.closest("select")) return true;
  if (event.key === " ") return Boolean(event.target.closest("button, summary, input"));
  return event.key.startsWith("Arrow") && Boolean(event.target.closest(".scroll"));
}

function stepView(player, by) {
  if (!player) return;
  const views = player.views;
  player.show(views[Math.max(0, Math.min(views.length - 1, views.indexOf(player.view) + by))]);
}

function fillHelp(help) {
  const rows = KEYS.flatMap(([keys, text]) => {
    const names = keys.flatMap((key, i) => (i ? [" ", element("kbd", {}, key)] : [element("kbd", {}, key)]));
    return [element("dt", {}, ...names), element("dd", {}, text)];
  });
  help.append(element("h2", { id: "help-title" }, "Keys"), element("dl", { class: "keys" }, ...rows),
    button("Close", {}, () => help.close()));
}
