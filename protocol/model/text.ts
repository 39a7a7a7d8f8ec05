/** Of ASCII: a name has none of them, so that it can be printed and put into a header. */
function hasControl(text: string): boolean {
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at)
    if (code < 0x20 || code === 0x7f) return true
  }
  return false
}

/**
 * What is wrong with the text of a key or of the beginning of keys, as in "it has half of a surrogate pair";
 * null for none. Keys may have control characters, because programs choose and read them.
 */
export function flawOfKeyText(text: string): string | null {
  if (!text.isWellFormed()) return 'has half of a surrogate pair, which UTF-8 cannot carry'
  return text.includes('\0') ? 'holds a NUL character' : null
}

/** As `flawOfKeyText`, of a name, which has no control characters either. */
export function flawOfName(text: string): string | null {
  return flawOfKeyText(text) ?? (hasControl(text) ? 'holds a control character' : null)
}
