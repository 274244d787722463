"use strict";
// Moves a dot along the cursor's path; everything that it touches is there without it.
(() => {
  const LONGEST_S = 20, SLOWEST = 2;
  const clock = (s) => `${Math.floor(s / 60)}:${(s % 60).toFixed(1).padStart(4, "0")}`;
  const within = (span, t) => t >= span[0] && t < span[1];

  function place(runs, t) {
    const points = runs.filter((run) => t >= run[0][0] && t < run[run.length - 1][0] + 0.5).pop();
    if (!points) return null;
    let low = 0, high = points.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (points[middle][0] <= t) low = middle + 1; else high = middle;
    }
    const before = points[low - 1], after = points[low];
    if (!after) return before;
    const share = (t - before[0]) / Math.max(1e-9, after[0] - before[0]);
    return before.map((v, i) => v + share * (after[i] - v));
  }

  function move(dot, at) {
    if (!dot) return;
    dot.classList.toggle("shown", at !== null);
    if (at) { dot.setAttribute("cx", at[1]); dot.setAttribute("cy", at[2]); }
  }

  function equip(article) {
    const clip = JSON.parse(article.querySelector("script.data").textContent);
    const find = (selector) => [...article.querySelectorAll(selector)];
    const button = article.querySelector(".play"), now = article.querySelector(".now");
    const line = article.querySelector(".timeline"), head = article.querySelector(".head");
    const list = article.querySelector(".said");
    const speed = Math.max(SLOWEST, Math.ceil((clip.end - clip.start) / LONGEST_S));
    let at = clip.start, last = null, spoken = null;

    function show(t) {
      article.classList.add("playing");
      const x = `${(100 * (t - clip.start) / (clip.end - clip.start)).toFixed(2)}%`;
      head.setAttribute("x1", x); head.setAttribute("x2", x);
      now.textContent = clock(t);
      clip.views.forEach((view, i) => {
        const box = article.querySelector(`[data-view="${i}"]`), on = view.spans.some((s) => within(s, t));
        box.classList.toggle("on", on);
        move(box.querySelector(".dot.found"), on ? place(view.trace, t) : null);
        move(box.querySelector(".dot.true"), on ? place(view.truth, t) : null);
      });
      for (const [index, span] of Object.entries(clip.episodes))
        for (const e of find(`[data-episode="${index}"]`)) e.classList.toggle("on", within(span, t));
      clip.said.forEach((span, i) => {
        for (const e of find(`[data-said="${i}"]`)) {
          e.classList.toggle("on", within(span, t));
          if (within(span, t) && spoken !== i && e.parentNode === list) {
            spoken = i;
            list.scrollTop = e.offsetTop - list.clientHeight / 3;
          }
        }
      });
    }

    function label() { button.textContent = last === null ? `▶ play ×${speed}` : "❚❚ pause"; }

    function step(time) {
      if (last === null) return;
      at += speed * Math.max(0, time - last) / 1000;
      last = time;
      if (at >= clip.end) { stop(); reset(); return; }
      show(at);
      requestAnimationFrame(step);
    }

    function stop() { last = null; label(); }

    function reset() {
      at = clip.start;
      spoken = null;
      article.classList.remove("playing");
      now.textContent = "";
      for (const e of find(".on, .dot.shown")) e.classList.remove("on", "shown");
    }

    button.addEventListener("click", () => {
      if (last !== null) { stop(); return; }
      last = performance.now();
      label();
      requestAnimationFrame(step);
    });
    line.addEventListener("click", (event) => {
      const box = line.getBoundingClientRect();
      const share = Math.min(1, Math.max(0, (event.clientX - box.left) / box.width));
      at = clip.start + share * (clip.end - clip.start);
      show(at);
    });
    label();
    button.hidden = false;
    line.classList.add("seekable");
  }

  for (const article of document.querySelectorAll("article.clip")) if (article.querySelector(".play")) equip(article);
})();
