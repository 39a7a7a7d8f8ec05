/**
 * Whether a command printed what a page shows. In the page `…` stands for anything; ids, tickets, numbers and their units stand for
 * any of their kind; and all space is alike.
 */
export function isAsShown(printed: string, shown: string): boolean {
  return patternOf(shown).test(collapse(printed))
}

const kinds = [
  /…/,
  /mayfly2\.[\w…-]+/,
  /\b[jn]-[a-z2-7]{4,}…?/,
  /\b\d{2}:\d{2}:\d{2}(?:\.\d+)?/,
  /\d[\d,.]*(?: (?:B|KiB|MiB|GiB)\b)?/,
]
const anyKind = new RegExp(kinds.map(({ source }) => `(${source})`).join('|'), 'g')
const patterns = [
  '.*?',
  'mayfly2\\.[\\w-]+',
  '[jn]-[a-z2-7]+',
  '\\d{2}:\\d{2}:\\d{2}(?:\\.\\d+)?',
  '\\d[\\d,.]*(?: (?:B|KiB|MiB|GiB))?',
]

function patternOf(shown: string): RegExp {
  const text = collapse(shown)
  let pattern = ''
  let at = 0
  for (const match of text.matchAll(anyKind)) {
    pattern +=
      escapePattern(text.slice(at, match.index)) +
      patterns[match.slice(1).findIndex((kind) => kind !== undefined)]
    at = match.index + match[0].length
  }
  return new RegExp(`^${pattern}${escapePattern(text.slice(at))}$`, 's')
}

function escapePattern(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\/-]/g, '\\$&')
}

function collapse(text: string): string {
  return text.replace(/\s+/g, ' ').trim()
}
