"use strict";
// Plays one source of one excerpt at a time. Sources are decoded when they are first played, and a change of source keeps
// the position to the sample: all excerpts share one clock, that of the audio context.

const FADE = 0.012; // seconds: no click when the source changes

class Sound {
  constructor(tell) {
    this.tell = tell; // called when the sound has ended by itself
    this.buffers = new Map();
    this.playing = null;
    this.request = 0;
  }

  get isPlaying() { return this.playing !== null; }

  get offset() {
    // Seconds since the start of the excerpt.
    const { node, from, since } = this.playing;
    return Math.min(from + Math.max(0, Sound.context.currentTime - since), node.buffer.duration);
  }

  async play(excerpt, source, offset, equal) {
    // Where a sound is playing it goes on until the next one is decoded.
    const request = ++this.request;
    Sound.context ??= new AudioContext();
    const resumed = Sound.context.resume();
    const asked = performance.now();
    const before = this.playing;
    const buffer = await this.decoded(excerpt.sounds[source].mp3);
    await resumed;
    if (request !== this.request) return;
    const late = before && before === this.playing ? (performance.now() - asked) / 1000 : 0;
    if (Sound.sounding && Sound.sounding !== this) Sound.sounding.stop();
    this.fade();
    this.start(buffer, excerpt.sounds[source], Math.min(offset + late, buffer.duration), equal);
  }

  start(buffer, { level, equal: equalGain }, offset, equal) {
    const context = Sound.context;
    const [node, gain] = [context.createBufferSource(), context.createGain()];
    node.buffer = buffer;
    node.connect(gain).connect(context.destination);
    gain.gain.setValueAtTime(0, context.currentTime);
    gain.gain.linearRampToValueAtTime(equal ? equalGain : level, context.currentTime + FADE);
    node.start(context.currentTime, offset);
    this.playing = { node, gain, from: offset, since: context.currentTime };
    Sound.sounding = this;
    node.onended = () => {
      if (this.playing?.node !== node) return;
      this.playing = null;
      this.tell();
    };
  }

  stop() {
    this.request++;
    this.fade();
  }

  fade() {
    if (!this.playing) return;
    const { node, gain } = this.playing;
    const now = Sound.context.currentTime;
    gain.gain.setTargetAtTime(0, now, FADE / 3);
    node.stop(now + 2 * FADE);
    this.playing = null;
  }

  forget() {
    this.stop();
    this.buffers.clear();
  }

  async decoded(mp3) {
    if (!this.buffers.has(mp3)) this.buffers.set(mp3, await Sound.context.decodeAudioData(bytes(mp3).buffer));
    return this.buffers.get(mp3);
  }
}
Sound.context = null;
Sound.sounding = null;
