"use strict";
// The lanes of a view: waveform, curves and spectrograms on one time axis.

const SOURCES = { mixture: "Mixture", estimate: "Estimate", reference: "Reference", residual: "Residual" };

function keyOf(source, stem) {
  return source === "mixture" ? "mixture" : `${source} ${stem}`;
}

function lane(kind, title, details, ...content) {
  const label = element("div", { class: "label" }, title, ...details);
  return element("div", { class: `lane ${kind}` }, label, element("div", { class: "plot" }, ...content));
}

function lanesOf(song, view, stemIndex) {
  const stem = song.stems[stemIndex];
  const list = [];
  if (stem) list.push(...stem.curves.map((curve) => curveLane(view, curve)));
  for (const name of ["mixture", "estimate", "reference", "difference"]) {
    const picture = view.pictures[keyOf(name, stemIndex)];
    if (picture) list.push(spectrogramLane(song, name, picture));
  }
  list.push(timeLane(view));
  return list;
}

function waveLane(song, view, stemIndex, source) {
  const stem = song.stems[stemIndex];
  const { peaks, levels } = view.outlines[keyOf(source, stemIndex)];
  const shape = (style, text) => {
    const heights = bytes(text);
    const upper = Array.from(heights, (height, i) => `${i},${255 - height}`);
    const lower = Array.from(heights, (height, i) => `${i},${255 + height}`).reverse();
    return [drawing("polygon", { class: style, points: [...upper, ...lower].join(" ") }), heights.length];
  };
  const [outer, columns] = shape("peaks", peaks);
  const [inner] = shape("levels", levels);
  const x = (seconds) => ((seconds - view.start) / view.seconds) * columns;
  const band = (style) => ([from, to]) =>
    drawing("rect", { class: style, x: x(from), width: Math.max(0, x(to) - x(from)), y: 0, height: 510 });
  const silences = (stem?.silences || []).map(band("silence"));
  const marks = song.excerpts.filter((excerpt) => excerpt.seconds < song.seconds - 0.1 && view.seconds > excerpt.seconds + 0.1)
    .map((excerpt) => band("mark")([excerpt.start, excerpt.start + excerpt.seconds]));
  const picture = drawing("svg", { viewBox: `0 0 ${columns} 510`, preserveAspectRatio: "none", "aria-hidden": "true" },
    ...silences, ...marks, outer, inner);
  return lane("wave", "Waveform", [element("small", {}, `${SOURCES[source].toLowerCase()}, square root of the level`)], picture);
}

function curveLane(view, curve) {
  const first = Math.floor(view.start / curve.frame);
  const last = Math.ceil((view.start + view.seconds) / curve.frame);
  const values = curve.values.slice(Math.max(0, first), last);
  const known = curve.values.filter((value) => value !== null);
  const [low, high] = [Math.min(...known, 0), Math.max(...known, 0)];
  const y = (value) => 8 + ((high - value) / (high - low || 1)) * 84;
  let path = "";
  values.forEach((value, i) => {
    if (value === null) return;
    const from = (Math.max(0, first) + i) * curve.frame - view.start;
    const joined = i > 0 && values[i - 1] !== null;
    path += `${joined ? "L" : "M"}${from},${y(value)}H${from + curve.frame}`;
  });
  const content = [drawing("line", { class: "zero", x1: 0, x2: view.seconds, y1: y(0), y2: y(0) }),
    drawing("path", { class: "line", d: path })];
  const picture = drawing("svg", { viewBox: `0 0 ${view.seconds} 100`, preserveAspectRatio: "none", "aria-hidden": "true" },
    ...content);
  const digits = high - low < 10 ? 1 : 0;
  const scale = known.length ? [scaleText(number(high, digits), 86), scaleText(number(low, digits), 14)] : [];
  const now = element("span", { class: "now" });
  const made = lane("curve", curve.name, [element("small", {}, `${curve.unit}, ${curve.better} is better`), now], picture, ...scale);
  made.follow = (seconds) => {
    const value = curve.values[Math.floor(seconds / curve.frame + 1e-6)];
    const text = value === undefined || value === null ? "undefined" : `${number(value, 1)} ${curve.unit}`;
    if (now.textContent !== text) now.textContent = text;
  };
  return made;
}

function spectrogramLane(song, name, picture) {
  const difference = name === "difference";
  const words = difference ? `\u00b1${song.difference} dB; orange: too much, blue: too little` : `Hz; ${song.range} dB`;
  const image = element("img", { class: difference ? "difference" : "power", alt: "", draggable: "false",
    src: `data:image/webp;base64,${picture}` });
  const marks = song.ticks.filter(([text]) => !["500", "2k", "8k"].includes(text)).map(([text, at]) => scaleText(text, at * 100));
  const made = lane("spectrogram", difference ? "Difference" : SOURCES[name], [element("small", {}, words)], image, ...marks);
  made.dataset.source = name;
  return made;
}

function scaleText(text, percent) {
  const node = element("span", { class: "scale" }, text);
  node.style.bottom = `${Math.min(94, Math.max(6, percent))}%`;
  return node;
}

function timeLane(view) {
  const end = view.start + view.seconds;
  const digits = view.seconds < 4 ? 1 : 0;
  const labels = roundSteps(view.start, end, 6).map((seconds) => {
    const at = ((seconds - view.start) / view.seconds) * 100;
    const node = element("span", {}, clock(seconds, digits));
    node.style.left = `${at}%`;
    if (at < 3) node.style.transform = "none";
    if (at > 97) node.style.transform = "translateX(-100%)";
    return node;
  });
  return lane("time", "", [], ...labels);
}
