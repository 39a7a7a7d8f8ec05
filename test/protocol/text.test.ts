import { expect, test } from 'vitest'
import { flawOfKeyText, flawOfName } from '../../protocol/model/text.ts'

const cases: readonly (readonly [text: string, inName: string | null, inKey: string | null])[] = [
  ['plain', null, null],
  ['\u00fc \u{1f98b}', null, null],
  ['a\0b', 'NUL', 'NUL'],
  ['a\ud800', 'surrogate', 'surrogate'],
  ['\udc00a', 'surrogate', 'surrogate'],
  ['a\nb', 'control', null],
  ['\u0001', 'control', null],
  ['\u001f', 'control', null],
  ['\u007f', 'control', null],
]

test.each(cases)('%j is told what is wrong with it as a name, and as a key', (text, inName, inKey) => {
  for (const [flaw, wanted] of [
    [flawOfName(text), inName],
    [flawOfKeyText(text), inKey],
  ] as const) {
    if (wanted === null) expect(flaw).toBeNull()
    else expect(flaw).toContain(wanted)
  }
})
