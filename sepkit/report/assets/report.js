"use strict";
// Puts the page together.

function start() {
  const report = data("report");
  const [main, help] = [document.getElementById("main"), document.getElementById("help")];
  const songs = new Songs(report);
  if (report.facts.length) main.append(definitions(report.facts, "facts"));
  main.append(...report.notes.map((note) => element("p", { class: "note" }, note)));
  if (report.failed.length) main.append(failures(report.failed));
  if (report.rows.length) main.append(scores(report, (index) => songs.open(index)));
  if (report.cost.length) {
    main.append(element("section", { "aria-labelledby": "cost" }, element("h2", { id: "cost" }, "Cost"),
      definitions(report.cost, "facts")));
  }
  const several = report.distributions.filter((plot) => plot.tracks.length > 1);
  if (several.length) main.append(distributions(several));
  if (report.songs.length) main.append(songs.node);
  if (report.songs.length === 1) songs.items[0].open = true;
  fillHelp(help);
  listenToKeys(songs, help);
  document.getElementById("help-open").addEventListener("click", () => help.showModal());
  followTheme(document.getElementById("theme"));
}

function followTheme(toggle) {
  const system = matchMedia("(prefers-color-scheme: dark)");
  const set = (dark) => {
    document.documentElement.dataset.theme = dark ? "dark" : "light";
    toggle.setAttribute("aria-pressed", String(dark));
  };
  set(system.matches);
  system.addEventListener("change", () => set(system.matches));
  toggle.addEventListener("click", () => set(document.documentElement.dataset.theme !== "dark"));
}

start();
