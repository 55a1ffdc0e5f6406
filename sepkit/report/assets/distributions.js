"use strict";
// How a score is distributed over the tracks: a dot for each, a box from quartile to quartile, a line at the median.

const PLOT = { width: 480, side: 16, row: 62, label: 16, top: 6 };

function distributions(list) {
  const plots = list.map(distribution);
  return element("section", { "aria-labelledby": "distributions" },
    element("h2", { id: "distributions" }, "Over all tracks"),
    element("p", { class: "hint" }, "A dot is a track. The box holds the middle half of them; its line is the median."),
    element("div", { class: "plots" }, ...plots));
}

function distribution({ name, unit, tracks, groups }) {
  const known = groups.flatMap((group) => group.values).filter((value) => value !== null);
  const caption = element("figcaption", {}, unit ? `${name}, ${unit}` : name);
  if (!known.length) return element("figure", {}, caption, element("p", { class: "hint" }, "undefined for all tracks"));
  const [low, high] = [Math.min(...known), Math.max(...known)];
  const margin = (high - low) * 0.05 || 1;
  const span = high - low + 2 * margin;
  const x = (value) => PLOT.side + ((value - low + margin) / span) * (PLOT.width - 2 * PLOT.side);
  const bottom = PLOT.top + groups.length * PLOT.row;
  const marks = roundSteps(low - margin, high + margin, 6).flatMap((value) => [
    drawing("line", { class: "axis", x1: x(value), x2: x(value), y1: PLOT.top, y2: bottom }),
    drawing("text", { x: x(value), y: bottom + 16, "text-anchor": "middle" }, number(value, span < 5 ? 1 : 0)),
  ]);
  const rows = groups.map((group, i) => strip(group, tracks, x, PLOT.top + i * PLOT.row, i > 0));
  const medians = groups.filter((g) => g.quartiles).map((g) => `${g.label} ${number(g.quartiles[1])} ${unit}`);
  const label = `${name}: medians ${medians.join(", ")}`;
  const view = `0 0 ${PLOT.width} ${bottom + 24}`;
  return element("figure", {}, caption, drawing("svg", { viewBox: view, role: "img", "aria-label": label }, ...marks, ...rows));
}

function strip({ label, values, quartiles }, tracks, x, top, other) {
  const words = label.length > 50 ? `${label.slice(0, 49)}\u2026` : label;
  const y = top + (PLOT.label + PLOT.row) / 2;
  const parts = [drawing("text", { x: PLOT.side, y: top + PLOT.label - 3 }, words, drawing("title", {}, label))];
  values.forEach((value, i) => {
    if (value === null) return;
    const shift = (((i * 7) % 11) - 5) * 2; // so that equal scores do not hide each other
    parts.push(drawing("circle", { class: "dot", cx: x(value), cy: y + shift, r: 3 },
      drawing("title", {}, `${tracks[i]}: ${number(value)}`)));
  });
  if (quartiles) {
    const [first, median, third] = quartiles.map(x);
    parts.push(drawing("rect", { class: "box", x: first, y: y - 15, width: Math.max(1, third - first), height: 30, rx: 3 }));
    parts.push(drawing("line", { class: "median", x1: median, x2: median, y1: y - 15, y2: y + 15 }));
  }
  return drawing("g", { class: other ? "other" : "model" }, ...parts);
}
