"use strict";
// The player of a song: its view, its source and its position.

class Player {
  constructor(song, settings) {
    this.song = song;
    this.settings = settings; // shared by all songs: equal loudness, loop
    this.views = [song.whole, ...song.views];
    this.stem = 0;
    this.source = song.stems.length ? "estimate" : "mixture";
    this.view = song.whole;
    this.excerpt = song.excerpts[0] || null;
    this.position = this.excerpt ? this.excerpt.start : 0;
    this.sound = new Sound(() => this.ended());
    this.node = element("div", { class: "player", tabindex: "-1", click: (event) => this.afterClick(event) });
    this.build();
  }

  build() {
    this.playButton = button("Play", { class: "play", disabled: !this.excerpt }, () => this.toggle());
    this.time = element("span", { class: "clock" });
    this.equal = this.switch("Equal loudness", "equal", () => this.isPlaying && this.play());
    this.loop = this.switch("Loop", "loop", () => {});
    this.sources = element("div", { class: "choice", role: "group", "aria-label": "Source" });
    this.lanes = element("div", { class: "lanes", pointerdown: (event) => this.drag(event) });
    this.playhead = element("div", { class: "playhead" });
    this.slider = element("div", { class: "seek", role: "slider", tabindex: "0", "aria-label": "Position in the song" });
    this.status = element("p", { class: "status hint", role: "status" });
    this.moments = element("div", { class: "moments", role: "group", "aria-label": "What is shown" });
    const bar = [this.playButton, this.time, this.sources];
    if (this.song.stems.length > 1) bar.push(this.stemChoice());
    this.node.append(element("div", { class: "controls" }, ...bar, this.equal, this.loop), this.moments, this.slider, this.status);
    this.slider.append(this.lanes);
    this.slider.after(this.legend());
    if (!this.excerpt) this.say("The page had no room for the sound of this song.");
    this.moments.hidden = this.views.length < 2;
    this.moments.append(...this.views.map((view, i) =>
      button(i ? `${clock(view.start)} \u00b7 ${view.why}` : "Whole song", {}, () => this.show(view))));
    this.drawStem();
  }

  switch(text, name, changed) {
    const node = button(text, { "aria-pressed": String(this.settings[name]) }, () => {
      this.settings[name] = !this.settings[name];
      node.setAttribute("aria-pressed", String(this.settings[name]));
      changed();
    });
    return node;
  }

  stemChoice() {
    const options = this.song.stems.map((stem, i) => element("option", { value: i }, stem.name));
    const choose = (event) => { this.stem = Number(event.target.value); this.drawStem(); if (this.isPlaying) this.play(); };
    return element("label", {}, "Stem ", element("select", { change: choose }, ...options));
  }

  legend() {
    const parts = [];
    if (this.song.stems.some((stem) => stem.silences.length)) {
      parts.push(element("span", {}, element("i", {}), "the reference is silent"));
    }
    if (this.song.excerpts.some((excerpt) => excerpt.seconds < this.song.seconds - 0.1)) {
      parts.push(element("span", {}, element("i", { class: "mark" }), "excerpts with sound"));
    }
    parts.push(element("span", {}, `Spectrograms on the mel scale, ${this.song.range} dB down from the mixture's loudest point. ` +
      "Residual: the mixture minus the estimate. Click anywhere to seek."));
    return element("p", { class: "legend" }, ...parts);
  }

  get available() {
    const stem = this.song.stems[this.stem];
    return Object.keys(SOURCES).filter((name) => name === "mixture" || (stem && (name !== "reference" || stem.reference)));
  }

  get isPlaying() { return this.sound.isPlaying; }

  get range() {
    // What plays without a stop: the part of the excerpt that is in view.
    if (!this.excerpt) return [0, 0];
    const end = Math.min(this.excerpt.start + this.excerpt.seconds, this.view.start + this.view.seconds);
    return [Math.max(this.excerpt.start, this.view.start), end];
  }

  drawStem() {
    if (!this.available.includes(this.source)) this.source = "estimate";
    this.sources.replaceChildren(...this.available.map((name) => button(SOURCES[name], { "data-source": name }, () => this.choose(name))));
    this.drawView();
  }

  drawView() {
    const list = lanesOf(this.song, this.view, this.stem);
    this.followers = list.filter((node) => node.follow);
    this.wave = element("div", {});
    this.lanes.replaceChildren(this.wave, ...list, element("div", { class: "over" }, this.playhead));
    [...this.moments.children].forEach((node, i) => node.setAttribute("aria-pressed", String(this.views[i] === this.view)));
    this.drawSource();
    this.follow();
  }

  drawSource() {
    const wave = waveLane(this.song, this.view, this.stem, this.source);
    this.wave.replaceWith(wave);
    this.wave = wave;
    for (const node of this.sources.children) node.setAttribute("aria-pressed", String(node.dataset.source === this.source));
    for (const node of this.lanes.children) node.classList.toggle("active", node.dataset.source === this.source);
  }

  show(view) {
    this.view = view;
    const own = this.song.excerpts.find((excerpt) => excerpt.start <= view.start + 0.01 && excerpt.start + excerpt.seconds >= view.start + view.seconds - 0.01);
    if (own) this.excerpt = own;
    const [from, to] = this.range;
    if (this.excerpt && (this.position < from || this.position >= to)) this.seek(from);
    this.drawView();
  }

  choose(source) {
    if (!this.available.includes(source)) return;
    this.source = source;
    this.drawSource();
    if (this.isPlaying) this.play();
  }

  toggle() { if (this.isPlaying) this.pause(); else this.play(); }

  async play() {
    if (!this.excerpt) return;
    const [from, to] = this.range;
    this.now();
    if (this.position < from || this.position >= to - 0.02) this.position = from;
    try {
      await this.sound.play(this.excerpt, keyOf(this.source, this.stem), this.position - this.excerpt.start, this.settings.equal);
    } catch (error) {
      this.say(`This browser cannot play it: ${error.message}`);
      return;
    }
    this.tick();
  }

  pause() {
    this.now();
    this.sound.stop();
    this.follow();
  }

  seek(seconds) {
    const excerpt = this.excerptAt(seconds);
    if (!excerpt) return;
    const inside = seconds >= excerpt.start && seconds <= excerpt.start + excerpt.seconds;
    this.say(inside ? "" : `No sound at ${clock(seconds)} in the page; this is the nearest excerpt.`);
    const playing = this.isPlaying;
    this.sound.stop();
    this.excerpt = excerpt;
    this.position = Math.max(excerpt.start, Math.min(seconds, excerpt.start + excerpt.seconds - 0.05));
    if (playing) this.play();
    this.follow();
  }

  excerptAt(seconds) {
    const gap = (excerpt) => Math.max(excerpt.start - seconds, seconds - excerpt.start - excerpt.seconds, 0);
    return [...this.song.excerpts].sort((a, b) => gap(a) - gap(b))[0];
  }

  step(seconds) {
    this.now();
    const [from, to] = this.range;
    this.seek(Math.max(from, Math.min(this.position + seconds, to)));
  }

  drag(event) {
    // A mouse seeks at once and drags; a finger may be about to scroll, so it seeks when it is lifted where it was.
    if (event.button > 0 || !this.excerpt) return;
    const box = this.playhead.parentElement.getBoundingClientRect();
    if (event.clientX < box.left) return;
    const to = ({ clientX }) => {
      const share = Math.max(0, Math.min(1, (clientX - box.left) / box.width));
      this.seek(this.view.start + share * this.view.seconds);
    };
    const touch = event.pointerType === "touch";
    const stop = new AbortController();
    const lift = (last) => {
      stop.abort();
      if (touch && Math.hypot(last.clientX - event.clientX, last.clientY - event.clientY) < 10) to(last);
    };
    addEventListener("pointerup", lift, { signal: stop.signal });
    addEventListener("pointercancel", () => stop.abort(), { signal: stop.signal });
    if (touch) return;
    to(event);
    addEventListener("pointermove", to, { signal: stop.signal });
  }

  now() { if (this.isPlaying) this.position = this.excerpt.start + this.sound.offset; }

  tick() {
    if (!this.isPlaying) { this.follow(); return; }
    this.now();
    if (this.position >= this.range[1] - 0.005) { this.sound.stop(); this.ended(); return; }
    this.follow();
    cancelAnimationFrame(this.frame);
    this.frame = requestAnimationFrame(() => this.tick());
  }

  ended() {
    this.position = this.range[0];
    if (this.settings.loop) this.play();
    this.follow();
  }

  follow() {
    const text = `${clock(this.position, 1)} / ${clock(this.song.seconds)}`;
    if (this.time.textContent !== text) this.time.textContent = text;
    this.playButton.textContent = this.isPlaying ? "Pause" : "Play";
    const share = (this.position - this.view.start) / this.view.seconds;
    this.playhead.hidden = share < 0 || share > 1;
    this.playhead.style.left = `${share * 100}%`;
    const values = { valuemin: 0, valuemax: this.song.seconds.toFixed(2), valuenow: this.position.toFixed(2), valuetext: clock(this.position) };
    for (const [name, value] of Object.entries(values)) this.slider.setAttribute(`aria-${name}`, value);
    for (const node of this.followers) node.follow(this.position);
  }

  afterClick(event) {
    // A mouse leaves the focus on what it clicked, where the space bar would click again instead of playing.
    if (event.detail > 0 && event.target.closest("button, .seek")) this.node.focus({ preventScroll: true });
  }

  say(text) { this.status.textContent = text; }

  close() { this.sound.forget(); }
}
