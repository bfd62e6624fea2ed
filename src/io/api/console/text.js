// Text as the page may show it. Agents' text is attackers' text: what it hides (direction overrides,
// zero-width and control characters, smuggled tags, towers of accents, seas of blanks) is made visible, and
// it becomes text nodes only, never markup.

const EMOJI = String.raw`\p{Extended_Pictographic}(?:\uFE0F|\p{EMod})?`;
const HIDDEN = String.raw`[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{DI}\p{Bidi_C}\p{Zl}\p{Zp}\p{NChar}\u2800]`;
const PIECES = new RegExp(
  [`(?<emoji>${EMOJI}(?:\\u200D${EMOJI})*)`, `(?<hidden>${HIDDEN}+)`, String.raw`(?<marks>\p{M}{5,})`, String.raw`(?<blanks>[\p{Zs}]{16,})`].join("|"),
  "gu",
);
const MARKS_KEPT = 3;
const KINDS_NAMED = 8;
const LENGTH_MAX = 4000;

const NAMES = new Map([
  [0x00, "null character"],
  [0x1b, "escape"],
  [0xad, "soft hyphen"],
  [0x61c, "Arabic letter mark"],
  [0x200b, "zero-width space"],
  [0x200c, "zero-width non-joiner"],
  [0x200d, "zero-width joiner"],
  [0x200e, "left-to-right mark"],
  [0x200f, "right-to-left mark"],
  [0x202a, "left-to-right embedding"],
  [0x202b, "right-to-left embedding"],
  [0x202c, "end of embedding or override"],
  [0x202d, "left-to-right override"],
  [0x202e, "right-to-left override"],
  [0x2060, "word joiner"],
  [0x2066, "left-to-right isolate"],
  [0x2067, "right-to-left isolate"],
  [0x2068, "first strong isolate"],
  [0x2069, "end of isolate"],
  [0xfeff, "zero-width no-break space"],
]);

const codeOf = (point) => `U+${point.toString(16).toUpperCase().padStart(4, "0")}`;
const isTag = (point) => point >= 0xe0020 && point <= 0xe007f;

function namedRun(point, count, block) {
  if (point === 0x0a && !block) return { shown: "⏎".repeat(Math.min(count, 3)), title: "line break" };
  const times = count > 1 ? ` ×${count}` : "";
  return { shown: `⟨${codeOf(point)}${times}⟩`, title: `${NAMES.get(point) ?? "hidden character"}${times}` };
}

// Runs of the same character and runs of tags (which spell ASCII) become one note each.
function hiddenRuns(text) {
  const runs = [];
  for (const character of text) {
    const point = character.codePointAt(0);
    const last = runs.at(-1);
    if (isTag(point) && last?.tags !== undefined) {
      last.tags += String.fromCharCode(point - 0xe0000);
    } else if (isTag(point)) {
      runs.push({ tags: String.fromCharCode(point - 0xe0000) });
    } else if (last?.point === point) {
      last.count += 1;
    } else {
      runs.push({ point, count: 1 });
    }
  }
  return runs;
}

function hiddenPieces(text, block) {
  const pieces = [];
  const runs = hiddenRuns(text);
  for (const run of runs.slice(0, KINDS_NAMED)) {
    if (block && (run.point === 0x0a || run.point === 0x09)) {
      pieces.push({ shown: String.fromCodePoint(run.point).repeat(Math.min(run.count, 3)) });
      if (run.count > 3) pieces.push({ shown: `⟨${run.count} line breaks or tabs⟩`, title: "blank space" });
    } else if (run.tags !== undefined) {
      const letters = run.tags.replaceAll("\x7f", "␡");
      pieces.push({ shown: `⟨tags “${letters}”⟩`, title: "invisible tag characters, which spell this" });
    } else {
      pieces.push(namedRun(run.point, run.count, block));
    }
  }
  const left = runs.length - KINDS_NAMED;
  if (left > 0) pieces.push({ shown: `⟨+${left} hidden⟩`, title: `${left} more runs of hidden characters` });
  return pieces;
}

// The text in pieces; those with a `title` stand for something that would not be seen.
function piecesOf(text, block) {
  const pieces = [];
  let from = 0;
  for (const match of text.matchAll(PIECES)) {
    if (match.index > from) pieces.push({ shown: text.slice(from, match.index) });
    const { emoji, hidden, marks, blanks } = match.groups;
    if (emoji) {
      pieces.push({ shown: emoji });
    } else if (hidden) {
      pieces.push(...hiddenPieces(hidden, block));
    } else if (marks) {
      const kept = [...marks];
      pieces.push({ shown: kept.slice(0, MARKS_KEPT).join("") });
      pieces.push({ shown: `⟨+${kept.length - MARKS_KEPT} accents⟩`, title: "stacked combining marks" });
    } else {
      pieces.push({ shown: `⟨${blanks.length} blanks⟩`, title: "a long run of blanks" });
    }
    from = match.index + match[0].length;
  }
  if (from < text.length) pieces.push({ shown: text.slice(from) });
  return pieces;
}

function cut(value, max) {
  const text = String(value);
  if (text.length <= max) return { text, left: 0 };
  // Not between the two halves of a character.
  const end = /[\uD800-\uDBFF]/.test(text[max - 1]) ? max - 1 : max;
  return { text: text.slice(0, end), left: text.length - end };
}

// Nodes for a value: plain text, and marked notes for what would be hidden. `block` keeps line breaks.
export function nodesOf(value, { block = false, max = LENGTH_MAX } = {}) {
  const { text, left } = cut(value, max);
  const pieces = piecesOf(text, block);
  if (left > 0) pieces.push({ shown: `… ⟨+${left.toLocaleString()} characters⟩`, title: "cut here" });
  return pieces.map(({ shown, title }) => {
    if (!title) return document.createTextNode(shown);
    const note = document.createElement("span");
    note.className = "hid";
    note.title = title;
    note.textContent = shown;
    return note;
  });
}

// The same as a string, for attributes and announcements.
export function plain(value, max = 300) {
  const { text, left } = cut(value ?? "", max);
  const shown = piecesOf(text, false).map((piece) => piece.shown);
  return shown.join("") + (left > 0 ? `… (+${left.toLocaleString()} characters)` : "");
}

// An excerpt with the piece from `mark[0]` to `mark[1]` (in characters, not in UTF-16 units) marked.
export function markedNodes(excerpt, mark) {
  const block = { block: true };
  const characters = [...String(excerpt)];
  const [from, to] = Array.isArray(mark) ? mark : [0, 0];
  if (!(from >= 0 && from < to && to <= characters.length)) return nodesOf(excerpt, block);
  const marked = document.createElement("mark");
  marked.append(...nodesOf(characters.slice(from, to).join(""), block));
  return [
    ...nodesOf(characters.slice(0, from).join(""), block),
    marked,
    ...nodesOf(characters.slice(to).join(""), block),
  ];
}
