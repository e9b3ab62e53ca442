// Draws what the server describes as data: tables, facts, timelines, logs, graphs. Every text of a user becomes a text
// node, never markup. A click on a link inside of the console asks the server for that page instead of loading anew;
// with a modifier key, or the middle button, it is an ordinary link.

const RELATIVE = new Intl.RelativeTimeFormat("en", { numeric: "auto" });
const ABSOLUTE = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "medium" });
const UNITS = [[86400, "day"], [3600, "hour"], [60, "minute"]];
const WEEK_S = 7 * 86400;

export default function ({ data: [data], parentElement, setTriggerValue }) {
  const root = parentElement.querySelector(".view");
  const drawn = JSON.stringify(data);
  if (root.drawn === drawn) return;
  root.drawn = drawn;
  const send = (name, value) => setTriggerValue(name, value);
  const focused = focusKey(root);
  const draw = { head, table, facts, timeline, log, graph, cards, empty, strip, samples, rendered }[data.kind];
  root.replaceChildren(draw(data, send, root));
  if (focused) root.querySelector(`[data-focus="${CSS.escape(focused)}"]`)?.focus();
}

function focusKey(root) {
  return root.getRootNode().activeElement?.dataset?.focus;
}

function make(tag, className, ...children) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  element.append(...children.filter((child) => child !== null && child !== undefined && child !== ""));
  return element;
}

function when(iso) {
  const time = new Date(iso);
  const seconds = (time.getTime() - Date.now()) / 1000;
  const element = make("time", "", relative(seconds) ?? ABSOLUTE.format(time));
  element.dateTime = iso;
  element.title = ABSOLUTE.format(time);
  return element;
}

function relative(seconds) {
  if (Math.abs(seconds) > WEEK_S) return null;
  for (const [size, unit] of UNITS) {
    if (Math.abs(seconds) >= size) return RELATIVE.format(Math.round(seconds / size), unit);
  }
  return "just now";
}

function anchor(cell, send, ...children) {
  const link = make("a", cell.mono ? "mono" : "", ...children);
  link.href = cell.href;
  if (cell.download) {
    link.setAttribute("download", "");
    return link;
  }
  link.addEventListener("click", (event) => {
    if (event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    send("goto", cell.href);
  });
  link.dataset.focus = cell.href;
  return link;
}

function bar(share, label) {
  const fill = make("span", "fill");
  fill.style.width = `${Math.round(Math.min(1, Math.max(0, share)) * 100)}%`;
  const track = make("span", "bar", fill);
  track.setAttribute("role", "progressbar");
  track.setAttribute("aria-valuenow", String(Math.round(share * 100)));
  track.setAttribute("aria-label", label ?? "progress");
  return track;
}

function shown(cell, send) {
  if (cell === null || cell === undefined || cell === "") return make("span", "none", "–");
  if (typeof cell !== "object") return document.createTextNode(String(cell));
  if (Array.isArray(cell)) return make("span", "parts", ...cell.map((part) => shown(part, send)));
  let main = cell.time ? when(cell.time) : document.createTextNode(cell.text ?? "");
  if (cell.tone) main = make("span", `badge ${cell.tone}`, main);
  if (cell.href) main = anchor(cell, send, main);
  else if (cell.mono) main = make("span", "mono", main);
  else if (cell.pre) main = make("span", "pre", main);
  const all = [main];
  if (cell.image) {
    const picture = make("img", "");
    picture.src = cell.image;
    picture.alt = cell.text ?? "";
    picture.loading = "lazy";
    all.unshift(picture);
  }
  if (cell.bar !== undefined && cell.bar !== null) all.push(bar(cell.bar, cell.text));
  if (cell.sub) all.push(make("span", "sub", cell.sub));
  const element = make("span", "cell", ...all);
  if (cell.title) element.title = cell.title;
  return element;
}

function button(label, name, send, value, enabled = true) {
  const element = make("button", "", label);
  element.type = "button";
  element.disabled = !enabled;
  element.dataset.focus = `${name}:${label}`;
  element.addEventListener("click", () => send(name, value));
  return element;
}

function table(data, send) {
  const head = make("tr", "");
  if (data.selectable) head.append(make("th", "pick"));
  for (const column of data.columns) head.append(heading(column, data.sort ?? "", send));
  const picked = new Set(data.picked ?? []);
  const body = make("tbody", "");
  for (const row of data.rows) {
    const line = make("tr", "");
    if (data.selectable) line.append(pick(row, picked, send));
    row.cells.forEach((cell, index) => {
      const column = data.columns[index];
      const field = make("td", column.align ?? "", shown(cell, send));
      field.dataset.label = column.label;
      line.append(field);
    });
    body.append(line);
  }
  const element = make("table", data.selectable ? "selectable" : "", make("thead", "", head), body);
  element.setAttribute("aria-label", data.label);
  const pages = data.pages ? pager(data, send) : null;
  return make("div", "scroll", element, pages);
}

function heading(column, sort, send) {
  const cell = make("th", column.align ?? "");
  cell.scope = "col";
  if (!column.sort) {
    cell.append(column.label);
    return cell;
  }
  const isSorted = sort.replace(/^-/, "") === column.sort;
  const isDown = sort.startsWith("-");
  const next = isSorted && isDown ? column.sort : `-${column.sort}`;
  const arrow = isSorted ? (isDown ? " ↓" : " ↑") : "";
  cell.append(button(`${column.label}${arrow}`, "sort", send, next));
  cell.setAttribute("aria-sort", isSorted ? (isDown ? "descending" : "ascending") : "none");
  return cell;
}

function pick(row, picked, send) {
  const box = document.createElement("input");
  box.type = "checkbox";
  box.checked = picked.has(row.id);
  box.setAttribute("aria-label", `Choose ${row.label ?? row.id}`);
  box.dataset.focus = `pick:${row.id}`;
  box.addEventListener("change", () => {
    box.checked ? picked.add(row.id) : picked.delete(row.id);
    send("pick", [...picked]);
  });
  return make("td", "pick", box);
}

function pager(data, send) {
  const { number, hasPrevious, hasNext, note } = data.pages;
  const buttons = [
    button("First", "page", send, "first", number > 1),
    button("Previous", "page", send, "previous", hasPrevious),
    make("span", "", `Page ${number}`),
    button("Next", "page", send, "next", hasNext),
  ];
  const element = make("nav", "pager", make("span", "sub", note), make("span", "buttons", ...buttons));
  element.setAttribute("aria-label", "Pages");
  return element;
}

function facts(data, send) {
  const list = make("dl", "facts");
  for (const [label, cell] of data.items) {
    list.append(make("div", "", make("dt", "", label), make("dd", "", shown(cell, send))));
  }
  return list;
}

function cards(data, send) {
  return make("div", "cards", ...data.items.map((item) => {
    const value = make("span", "value", item.value);
    const sub = item.sub ? make("span", "sub", item.sub) : null;
    const inside = [make("span", "label", item.label), value, sub];
    if (!item.href) return make("div", "card", ...inside);
    const link = anchor(item, send, ...inside);
    link.className = "card";
    return link;
  }));
}

function strip(data, send) {
  return make("div", "strip", ...data.items.map((cell) => shown(cell, send)));
}

function head(data, send) {
  const crumbs = data.crumbs.map((crumb) => shown(crumb, send));
  const trail = crumbs.length ? make("nav", "crumbs", ...crumbs.flatMap((crumb) => [crumb, make("span", "sub", "/")])) : null;
  trail?.setAttribute("aria-label", "Where you are");
  const badges = make("span", "strip", ...(data.badges ?? []).map((badge) => shown(badge, send)));
  const line = make("div", "headline", make("h1", "", data.title), badges);
  return make("header", "top", trail, line, data.text ? make("p", "sub", data.text) : null);
}

function empty(data, send) {
  const action = data.action ? anchor(data.action, send, data.action.text) : null;
  if (action) action.className = "action";
  return make("div", "empty", make("strong", "", data.title), make("span", "", data.text), action);
}

function timeline(data, send) {
  return make("ol", "timeline", ...data.items.map((item) => {
    const head = make("span", "head", make("strong", "", item.title), item.time ? when(item.time) : "");
    const detail = item.detail ? make("span", "sub", shown(item.detail, send)) : null;
    return make("li", item.tone ?? "idle", head, detail);
  }));
}

function log(data, send, root) {
  const before = root.querySelector(".log");
  const follows = !before || before.scrollTop + before.clientHeight >= before.scrollHeight - 8;
  const box = make("div", "log", ...data.lines.map((line) => {
    const stamp = line.time ? make("time", "", new Date(line.time).toLocaleTimeString("en-GB")) : "";
    return make("div", line.level ?? "", stamp, make("span", "", line.message));
  }));
  box.tabIndex = 0;
  box.setAttribute("role", "log");
  box.setAttribute("aria-label", data.label);
  requestAnimationFrame(() => { box.scrollTop = follows ? box.scrollHeight : before.scrollTop; });
  return box;
}

function samples(data) {
  return make("div", "samples", ...data.items.map((item) => {
    const fields = item.fields.map(([label, text, tone]) =>
      make("div", "", make("span", "label", label), make("div", `pre ${tone ?? ""}`, text)));
    return make("article", "", make("header", "", make("span", `badge ${item.tone}`, item.verdict), item.note ?? ""), ...fields);
  }));
}

function rendered(data) {
  return make("div", "samples", ...data.rows.map((row) => make("article", "one", make("header", "", row.note),
    ...row.sequences.map((spans) => make("div", "pre",
      ...spans.map(([text, trained]) => make(trained ? "mark" : "span", "", text)))))));
}

// Nodes stand in columns, one per kind and in the order given; edges are drawn between them once they have a place.
function graph(data, send) {
  const columns = make("div", "columns");
  const boxes = new Map();
  for (const column of data.columns) {
    const stack = make("div", "column", make("span", "label", column.label));
    for (const node of column.nodes) {
      const name = make("span", "name", node.text);
      const box = node.href ? anchor(node, send, name) : make("span", "", name);
      box.className = node.current ? "node current" : "node";
      box.title = node.text;
      boxes.set(node.id, box);
      stack.append(box);
    }
    columns.append(stack);
  }
  const lines = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  lines.setAttribute("aria-hidden", "true");
  const holder = make("div", "graph", lines, columns);
  const redraw = () => drawEdges(lines, holder, boxes, data.edges);
  new ResizeObserver(redraw).observe(holder);
  return holder;
}

function drawEdges(lines, holder, boxes, edges) {
  const origin = holder.getBoundingClientRect();
  lines.setAttribute("width", String(holder.scrollWidth));
  lines.setAttribute("height", String(holder.scrollHeight));
  lines.replaceChildren(...edges.flatMap((edge) => {
    const from = boxes.get(edge.source)?.getBoundingClientRect();
    const to = boxes.get(edge.target)?.getBoundingClientRect();
    if (!from || !to) return [];
    const forward = from.left <= to.left;
    const [x1, x2] = forward ? [from.right, to.left] : [from.left, to.right];
    const points = [x1 - origin.left, from.top + from.height / 2 - origin.top, x2 - origin.left,
      to.top + to.height / 2 - origin.top];
    const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
    const middle = (points[0] + points[2]) / 2;
    path.setAttribute("d", `M${points[0]},${points[1]} C${middle},${points[1]} ${middle},${points[3]} ${points[2]},${points[3]}`);
    const title = document.createElementNS("http://www.w3.org/2000/svg", "title");
    title.textContent = edge.relation;
    path.append(title);
    return [path];
  }));
}
