// What of an expression is the number, and with what it is compared.

/** `sum(x) > 5` is the number `sum(x)` and the limit 5; without a comparison at its end the whole is the number.
 * @param {string} text @returns {{expression: string, limits: number[]}} */
export function compared(text) {
  const found = /^(.*?)\s*(?:[<>]=?|[=!]=)\s*(?:bool\s+)?(-?\d+(?:\.\d+)?(?:e[+-]?\d+)?)\s*$/is.exec(text);
  if (!found || !balanced(found[1])) return { expression: text, limits: [] };
  return { expression: found[1], limits: [Number(found[2])] };
}

/** @param {string} text */
function balanced(text) {
  let depth = 0;
  for (const one of text.replace(/"(?:[^"\\]|\\.)*"/g, "")) {
    if ("([{".includes(one)) depth += 1;
    if (")]}".includes(one)) depth -= 1;
    if (depth < 0) return false;
  }
  return depth === 0 && !/\b(?:and|or|unless)\b/.test(text);
}

/** Milliseconds as a rule has them: 5m. @param {number} ms */
export function spelled(ms) {
  if (!ms) return "0s";
  for (const [unit, size] of /** @type {[string, number][]} */ ([["d", 86_400_000], ["h", 3_600_000], ["m", 60_000], ["s", 1_000]])) if (ms % size === 0) return `${ms / size}${unit}`;
  return `${ms}ms`;
}
