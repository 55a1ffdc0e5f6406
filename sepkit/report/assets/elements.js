"use strict";
// Makes elements, never from strings of HTML, so no name of a song can become one; and writes numbers and times.

const SVG = "http://www.w3.org/2000/svg";

function element(tag, attributes = {}, ...children) {
  return filled(document.createElement(tag), attributes, children);
}

function drawing(tag, attributes = {}, ...children) {
  return filled(document.createElementNS(SVG, tag), attributes, children);
}

function filled(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") node.addEventListener(name, value);
    else if (value === true) node.setAttribute(name, "");
    else if (value !== false && value !== undefined) node.setAttribute(name, value);
  }
  node.append(...children);
  return node;
}

function button(text, attributes, click) {
  return element("button", { type: "button", ...attributes, click }, text);
}

function definitions(pairs, style) {
  const items = pairs.map(([name, text]) => element("div", {}, element("dt", {}, name), element("dd", {}, text)));
  return element("dl", { class: style }, ...items);
}

function data(id) {
  return JSON.parse(document.getElementById(id).textContent);
}

function number(value, digits = 2) {
  const text = value.toFixed(digits);
  return Number(text) === 0 ? text.replace("-", "") : text.replace("-", "\u2212");
}

function clock(seconds, digits = 0) {
  const unit = 10 ** digits;
  const rounded = Math.floor(seconds * unit + 1e-6) / unit;
  const [hours, minutes] = [Math.floor(rounded / 3600), Math.floor(rounded / 60) % 60];
  const rest = (rounded % 60).toFixed(digits).padStart(digits ? digits + 3 : 2, "0");
  return hours ? `${hours}:${String(minutes).padStart(2, "0")}:${rest}` : `${minutes}:${rest}`;
}

function bytes(base64) {
  return Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
}

function roundSteps(low, high, count) {
  // The multiples of 1, 2 or 5 times a power of ten between two numbers: about `count` of them.
  const rough = (high - low) / count || 1;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * [1, 2, 5, 10].find((factor) => power * factor >= rough);
  const steps = [];
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + step * 1e-9; i++) steps.push(i * step);
  return steps;
}
