"use strict";
// The list of songs. One is open at a time; what it shows is made when it opens and dropped when it closes.

class Songs {
  constructor(report) {
    this.settings = { equal: true, loop: false };
    this.player = null;
    this.items = report.songs.map((name, index) => this.item(report, name, index));
    const heading = element("h2", { id: "songs" }, "Songs");
    const limit = `Sound is mp3 of about 140 kb/s with treble up to 16 kHz, and the page at most ${report.megabytes} MB: ` +
      "of songs that do not fit as a whole it holds excerpts around the worst moments.";
    this.node = element("section", { "aria-labelledby": "songs" }, heading, element("p", { class: "hint" }, limit), ...this.items);
  }

  item(report, name, index) {
    const column = report.columns.findIndex((_, i) => report.rows.some((row) => row.values[i] !== null));
    const rows = column < 0 ? [] : report.rows.filter((row) => row.track === name && row.values[column] !== null);
    const whose = column < 0 ? "" : `${report.columns[column].group} of ${report.columns[column].name}`;
    const texts = rows.map((row) => `${row.stem} ${number(row.values[column], 1)} ${report.columns[column].unit}`);
    // After a click the space bar is to play, not to close the song again.
    const click = (event) => { if (event.detail > 0 && !item.open) setTimeout(() => item.player?.node.focus({ preventScroll: true })); };
    const summary = element("summary", { click }, element("span", { class: "name" }, name),
      element("span", { class: "headline" }, texts.length ? `${whose}: ${texts.join(" \u00b7 ")}` : ""));
    const item = element("details", { toggle: () => (item.open ? this.fill(item, index) : this.empty(item)) }, summary);
    return item;
  }

  fill(item, index) {
    for (const other of this.items) if (other !== item) other.open = false;
    if (item.player) return;
    const song = data(`song-${index}`);
    if (!song.whole) {
      item.append(element("p", { class: "player hint", tabindex: "-1" }, "Left out: the page would exceed its size limit."));
      item.player = { node: item.lastChild, close() {} };
      return;
    }
    item.player = this.player = new Player(song, this.settings);
    item.append(item.player.node);
  }

  empty(item) {
    if (!item.player) return;
    item.player.close();
    item.player.node.remove();
    if (this.player === item.player) this.player = null;
    item.player = null;
  }

  open(index) {
    const item = this.items[index];
    if (!item) return;
    for (const other of this.items) if (other !== item) other.open = false;
    item.open = true;
    this.fill(item, index); // the event that does it comes later
    item.player.node.focus({ preventScroll: true });
    item.scrollIntoView({ block: "start" });
  }

  step(by) {
    const current = this.items.findIndex((item) => item.open);
    this.open(current < 0 ? 0 : Math.max(0, Math.min(this.items.length - 1, current + by)));
  }
}
