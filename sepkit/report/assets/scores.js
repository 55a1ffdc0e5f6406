"use strict";
// The table of scores, sorted by any column, and what surrounds it: what failed, what it cost.

function scores(report, openSong) {
  const section = element("section", { "aria-labelledby": "scores" }, element("h2", { id: "scores" }, "Scores"));
  const groups = [...new Set(report.columns.map((column) => column.group))];
  const place = element("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Table of scores" });
  const show = (group) => place.replaceChildren(scoreTable(report, group, openSong));
  if (groups.length > 1) {
    const options = groups.map((group) => element("option", { value: group }, group));
    const choice = element("select", { change: (event) => show(event.target.value) }, ...options);
    section.append(element("div", { class: "controls" }, element("label", {}, "Score ", choice)));
  }
  if (groups.length) section.append(place);
  if (groups.length) show(groups[0]);
  return section;
}

function scoreTable(report, group, openSong) {
  const shown = report.columns.map((column, index) => ({ ...column, index })).filter((c) => c.group === group);
  const columns = [
    { name: "Track", text: true, value: (row) => row.track },
    { name: "Source", text: true, value: (row) => row.stem },
    ...shown.map((column) => ({ ...column, value: (row) => row.values[column.index] })),
  ];
  const body = element("tbody", {});
  const heads = columns.map((column) => element("th", { scope: "col", class: column.text ? false : "number" }));
  const draw = (rows) => body.replaceChildren(...rows.map((row) => scoreRow(report, columns, row, openSong)));
  heads.forEach((head, i) => {
    const sort = () => {
      const before = head.getAttribute("aria-sort");
      const first = columns[i].better === "lower" ? "descending" : "ascending"; // the worst ones on top
      const second = first === "ascending" ? "descending" : "ascending";
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", before === first ? second : first);
      draw(sorted(report.rows, columns[i].value, head.getAttribute("aria-sort") === "ascending" ? 1 : -1));
    };
    head.append(button(columns[i].unit ? `${columns[i].name}, ${columns[i].unit}` : columns[i].name, {}, sort));
  });
  draw(report.rows);
  const better = { higher: ", higher is better", lower: ", lower is better" }[shown[0].better] || "";
  const foot = report.totals.map((row) => scoreRow(report, columns, row, null));
  return element("table", {}, element("caption", {}, group + better), element("thead", {}, element("tr", {}, ...heads)),
    body, element("tfoot", {}, ...foot));
}

function sorted(rows, value, sign) {
  // Undefined scores come last in both directions.
  return [...rows].sort((a, b) => {
    const [x, y] = [value(a), value(b)];
    if (x === null || y === null) return (x === null) - (y === null);
    return sign * (typeof x === "string" ? x.localeCompare(y, undefined, { numeric: true }) : x - y);
  });
}

function scoreRow(report, columns, row, openSong) {
  const index = openSong ? report.songs.indexOf(row.track) : -1;
  const name = index < 0 ? row.track : button(row.track, {}, () => openSong(index));
  const cells = columns.slice(2).map((column) => {
    const value = column.value(row);
    if (value !== null) return element("td", { class: "number" }, number(value));
    const reason = row.undefined[column.index];
    if (reason === "perfect") return element("td", { class: "number" }, reason);
    const why = reason ? [": ", element("small", {}, reason)] : [];
    return element("td", { class: "number" }, "undefined", ...why);
  });
  return element("tr", {}, element("th", { scope: "row" }, name), element("td", {}, row.stem), ...cells);
}

function failures(failed) {
  const items = failed.map(([track, why]) => element("li", {}, element("b", {}, track), ` ${why}`));
  return element("section", { "aria-labelledby": "failed" }, element("h2", { id: "failed" }, "Not scored"),
    element("ul", { class: "failed" }, ...items));
}
