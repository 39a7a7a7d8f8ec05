import type { TextFile } from './corpus.ts'
import { type WordEntry, wordsOf } from './plan.ts'
import { Tally } from './tally.ts'

/**
 * Counts the words of the same files in this process, without Mayfly, and compares each word, count and list of files. Returns the first difference, or null.
 */
export function findDifference(files: readonly TextFile[], result: readonly WordEntry[]): string | null {
  const tally = new Tally()
  for (const [file, { text }] of files.entries()) {
    for (const word of wordsOf(text)) tally.add(word, 1, [file])
  }
  const expected = new Map(tally.entries().map((entry) => [entry[0], entry]))
  for (const [word, count, found] of result) {
    const wanted = expected.get(word)
    if (wanted === undefined) return `'${word}' does not stand in the files, or is there twice`
    if (count !== wanted[1]) return `'${word}' is counted ${count} times, not ${wanted[1]}`
    if (!isSame(found, wanted[2])) return `'${word}' is said to stand in other files than it does`
    expected.delete(word)
  }
  const [missing] = expected.keys()
  return missing === undefined ? null : `'${missing}' is missing`
}

function isSame(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((value, i) => value === b[i])
}
