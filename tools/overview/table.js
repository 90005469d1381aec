"use strict";
// Filters, sorts and shows the table of clips. Works from a file: no module, no request.
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const at = (id) => document.getElementById(id);
  const STEP = 100;
  const [ID, STATUS, SPLIT, SHARD, FRAMES, SECONDS, VIDEO, LICENCE, CONSENT, SUBJECT, REASON, LOOK, LINKED] = Array(13).keys();
  const columns = [
    ["clip", ID], ["status", STATUS], ["split", SPLIT], ["shard", SHARD], ["frames", FRAMES], ["seconds", SECONDS], ["to look at", LOOK],
    ["file", VIDEO], ["subject", SUBJECT], ["licence", LICENCE], ["consent", CONSENT], ["reason", REASON],
  ].filter(([, column]) => column <= SECONDS || column === LOOK || data.rows.some((row) => row[column]));
  const FIGURE = "figure";
  const numbers = new Set([FRAMES, SECONDS, LOOK, FIGURE]);
  let sort = SHARD, down = false, limit = STEP, range = null;

  const figure = () => at("figure").value;
  const value = (index, column) =>
    column === FIGURE ? (data.figures[figure()] || [])[index] : data.rows[index][column];

  function shown(number, unit) {
    if (number === null || number === undefined) return "";
    if (unit === "%") return (100 * number).toFixed(1) + " %";
    return (Math.abs(number) >= 100 ? number.toFixed(0) : String(Number(number.toPrecision(3)))) + (unit ? " " + unit : "");
  }

  function choose() {
    const words = at("words").value.toLowerCase().split(/\s+/).filter(Boolean);
    const found = [];
    data.rows.forEach((row, index) => {
      if (at("status").value && row[STATUS] !== at("status").value) return;
      if (at("split").value && row[SPLIT] !== at("split").value) return;
      if (range) {
        const number = value(index, FIGURE);
        if (number === null || number === undefined || !range.holds(number)) return;
      }
      const text = [ID, VIDEO, SHARD, LICENCE, CONSENT, SUBJECT, REASON].map((column) => row[column]).join(" ").toLowerCase();
      if (words.every((word) => text.includes(word))) found.push(index);
    });
    const missing = (cell) => cell === null || cell === undefined || cell === "";
    found.sort((a, b) => {
      const [x, y] = [value(a, sort), value(b, sort)];
      if (missing(x) || missing(y)) return missing(x) - missing(y) || a - b;
      return (x < y ? -1 : x > y ? 1 : 0) * (down ? -1 : 1) || a - b;
    });
    return found;
  }

  function cell(row, content, className) {
    const made = document.createElement("td");
    if (className) made.className = className;
    made.append(content);
    row.append(made);
  }

  function link(row, content) {
    if (!row[LINKED]) return content;
    const made = document.createElement("a");
    made.href = `${row[SPLIT]}/${row[SHARD]}.html#${row[ID]}`;
    made.append(content);
    return made;
  }

  function draw() {
    const found = choose();
    const body = document.createElement("tbody");
    for (const index of found.slice(0, limit)) {
      const row = data.rows[index];
      const line = document.createElement("tr");
      let picture = "";
      if (data.posters[row[ID]]) {
        picture = document.createElement("img");
        picture.src = data.posters[row[ID]];
        picture.alt = "";
      }
      cell(line, picture && link(row, picture));
      for (const [, column] of columns) {
        let content = row[column] ?? "";
        if (column === ID) {
          content = document.createElement("span");
          content.className = "mono";
          content.textContent = row[ID];
          content = link(row, content);
        }
        cell(line, content, numbers.has(column) ? "number" : column === REASON ? "small reason" : "");
      }
      cell(line, shown(value(index, FIGURE), data.units[figure()]), "number");
      body.append(line);
    }
    at("table").tBodies[0].replaceWith(body);
    at("found").textContent = `${found.length} of ${data.rows.length} clips` +
      (found.length > limit ? `, the first ${limit} shown` : "");
    at("more").hidden = found.length <= limit;
    at("range").hidden = !range;
    if (range) at("range").textContent = `${figure()}: ${range.text} \u2715`;
    for (const bar of document.querySelectorAll("a[data-bar]")) {
      const chosen = range && range.bar === Number(bar.dataset.bar) && bar.dataset.figure === figure();
      chosen ? bar.setAttribute("aria-current", "true") : bar.removeAttribute("aria-current");
    }
  }

  function head() {
    const line = at("table").tHead.rows[0];
    line.replaceChildren();
    const blank = document.createElement("td");
    line.append(blank);
    for (const [title, column] of [...columns, [figure() || "figure", FIGURE]]) {
      const made = document.createElement("th");
      made.scope = "col";
      if (numbers.has(column)) made.className = "number";
      if (column === sort) made.setAttribute("aria-sort", down ? "descending" : "ascending");
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = title;
      button.onclick = () => {
        down = sort === column ? !down : column === LOOK;
        sort = column;
        head();
        draw();
        at("table").tHead.querySelector("[aria-sort] button").focus();
      };
      made.append(button);
      line.append(made);
    }
  }

  function options(select, values) {
    for (const name of values) select.add(new Option(name, name));
  }

  function restrict(name, found) {
    at("figure").value = name;
    range = found;
    [sort, down, limit] = [FIGURE, false, STEP];
    head();
    draw();
  }

  options(at("status"), [...new Set(data.rows.map((row) => row[STATUS]))].sort());
  options(at("split"), [...new Set(data.rows.map((row) => row[SPLIT]))].filter(Boolean).sort());
  options(at("figure"), Object.keys(data.figures));
  if (data.first) at("figure").value = data.first;
  at("filter").onsubmit = (event) => event.preventDefault();
  for (const id of ["words", "status", "split"]) at(id).oninput = () => { limit = STEP; draw(); };
  at("figure").oninput = () => restrict(figure(), null);
  at("range").onclick = () => { range = null; draw(); };
  at("more").onclick = () => { limit += 5 * STEP; draw(); };
  for (const bar of document.querySelectorAll("a[data-bar]")) {
    bar.addEventListener("click", () => {
      const name = bar.dataset.figure, index = Number(bar.dataset.bar);
      const [low, high] = data.bars[name][index];
      const unit = data.units[name];
      const text = low === high ? shown(low, unit) : `${shown(low, unit)} to ${shown(high, unit)}`;
      const last = index === data.bars[name].length - 1;
      restrict(name, { text, bar: index, holds: (number) => number >= low && (number < high || (last && number <= high)) });
    });
  }
  for (const odd of document.querySelectorAll("a[data-odd]")) {
    odd.addEventListener("click", () => {
      const name = odd.dataset.odd;
      const [below, above] = data.odd[name];
      const holds = (number) => (below !== null && number < below) || (above !== null && number > above);
      restrict(name, { text: odd.dataset.hint, bar: -1, holds });
    });
  }
  head();
  draw();
})();
