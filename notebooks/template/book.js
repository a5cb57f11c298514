// What makes reading easier: copying code, search, the contents column. Without it, all text is there.
"use strict";

const one = (selector, within = document) => within.querySelector(selector);
const all = (selector, within = document) => [...within.querySelectorAll(selector)];

function make(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

// Contents: always open beside the text, folded above it. The section being read is marked.
const contents = one("nav[aria-label=Contents] details"), column = matchMedia("(min-width: 68rem)");
const unfold = () => { contents.open = column.matches; };
column.addEventListener("change", unfold);
unfold();
one("[aria-current=page]", contents)?.scrollIntoView({block: "nearest"});

const links = new Map(all(".sections a").map(link => [decodeURIComponent(link.hash.slice(1)), link]));
const headings = all("article h2").filter(heading => links.has(heading.id));

function markSection() {
  const read = headings.findLast(heading => heading.getBoundingClientRect().top < innerHeight / 3);
  links.forEach((link, id) => id === read?.id ? link.setAttribute("aria-current", "location") : link.removeAttribute("aria-current"));
}
addEventListener("scroll", markSection, {passive: true});
markSection();

// What is wider than its place scrolls, by the keyboard as well.
function letScroll() {
  for (const box of all("pre, .table")) {
    if (box.scrollWidth > box.clientWidth) box.tabIndex = 0; else box.removeAttribute("tabindex");
  }
}
addEventListener("resize", letScroll);
addEventListener("toggle", letScroll, true);
letScroll();

// A formula that cannot be broken (a matrix, aligned lines) is set smaller until it fits.
window.fitFormulas = () => {
  for (const formula of all(".MathJax_Display, .MathJax")) {
    const block = formula.closest("p, li, td, figcaption, article");
    const wide = (one(".math", formula) || formula).getBoundingClientRect().width, room = block.clientWidth;
    if (room && wide > room) formula.style.fontSize = Math.floor(99 * room / wide) + "%";
  }
};
addEventListener("toggle", () => window.MathJax?.isReady && window.fitFormulas(), true);

// Code can be copied.
const said = make("p", {className: "unseen", role: "status"});
document.body.append(said);
for (const block of all(".code")) {
  const button = make("button", {type: "button", className: "copy", textContent: "Copy"});
  button.setAttribute("aria-label", "Copy this code");
  button.addEventListener("click", async () => {
    const text = one("code", block).textContent;
    try {
      await navigator.clipboard.writeText(text);
    } catch {                                           // a browser that allows it only to pages from a server
      const area = make("textarea", {value: text});
      block.append(area);
      area.select();
      document.execCommand("copy");
      area.remove();
      button.focus();
    }
    button.textContent = said.textContent = "Copied";
    setTimeout(() => { button.textContent = "Copy"; said.textContent = ""; }, 2000);
  });
  block.append(button);
}

// Search. Its engine and the text of all pages are read when somebody begins to search.
const form = one("form[role=search]"), input = one("input", form), found = one(".found", form), status = one("[role=status]", form);
let engine;

function load(file) {
  return new Promise((done, failed) => document.head.append(make("script", {src: `assets/${file}`, onload: done, onerror: failed})));
}

async function start() {
  await Promise.all([load("minisearch.js"), load("sections.js")]);
  const search = new MiniSearch({
    fields: ["title", "chapter", "text"],
    tokenize: text => text.split(/[\s\p{P}\p{S}]+|(?=\p{Script=Han})|(?<=\p{Script=Han})/u).filter(Boolean),
    searchOptions: {boost: {title: 4, chapter: 2}, prefix: term => term.length > 2, fuzzy: term => term.length > 5 ? 0.15 : 0, combineWith: "AND"},
  });
  search.addAll(SECTIONS.map((section, id) => ({id, ...section})));
  return search;
}

function excerpt(text, terms) {
  const place = terms.map(term => text.toLowerCase().indexOf(term.toLowerCase())).filter(i => i >= 0).sort((a, b) => a - b)[0] ?? 0;
  const from = place < 60 ? 0 : text.indexOf(" ", place - 60) + 1, part = text.slice(from, place + 110);
  const words = new RegExp(`(${terms.map(term => term.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")).join("|")})`, "iu");
  const pieces = part.split(words).map((piece, i) => i % 2 ? make("mark", {textContent: piece}) : piece);
  return make("p", {}, from ? "… " : "", ...pieces, place + 110 < text.length ? " …" : "");
}

async function search() {
  const words = input.value.trim();
  const hits = words ? (await (engine ??= start())).search(words) : [];
  if (words !== input.value.trim()) return;              // typed on meanwhile
  found.replaceChildren(...hits.slice(0, 12).map(hit => {
    const {page, chapter, anchor, title, text} = SECTIONS[hit.id];
    const link = make("a", {href: `${page}#${anchor}`}, make("strong", {textContent: title === chapter ? chapter : `${chapter}: ${title}`}));
    return make("li", {}, link, excerpt(text, hit.terms));
  }));
  found.hidden = !hits.length;
  status.textContent = !words ? "" : hits.length ? `${hits.length} section${hits.length > 1 ? "s" : ""} found` : `Nothing found for “${words}”`;
  status.classList.toggle("unseen", !words || hits.length > 0);
}

form.hidden = false;
input.addEventListener("focus", () => { engine ??= start(); });
input.addEventListener("input", search);
form.addEventListener("submit", event => { event.preventDefault(); one("a", found)?.click(); });
form.addEventListener("keydown", event => {
  const stops = [input, ...all("a", found)], at = stops.indexOf(document.activeElement);
  const step = {ArrowDown: 1, ArrowUp: -1}[event.key];
  if (step && stops[at + step]) {
    event.preventDefault();
    stops[at + step].focus();
  } else if (event.key === "Escape") {
    input.value = "";
    search();
    input.focus();
  }
});
document.addEventListener("click", event => { if (!form.contains(event.target) || event.target.closest(".found a")) found.hidden = true; });
addEventListener("keydown", event => {
  if (event.key === "/" && !event.ctrlKey && !event.metaKey && !event.altKey && !event.target.closest("input, textarea")) {
    event.preventDefault();
    input.focus();
  }
});
