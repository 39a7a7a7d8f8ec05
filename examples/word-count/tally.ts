import type { WordEntry } from './plan.ts'

/** Counts words and remembers the files that they stand in. A Map, because `constructor` is a word like any other. */
export class Tally {
  readonly #words = new Map<string, { count: number; files: number[] }>()

  /** Notes that `word` stands `count` more times in `files`. */
  add(word: string, count: number, files: readonly number[]): void {
    const known = this.#words.get(word)
    if (known === undefined) {
      this.#words.set(word, { count, files: [...files] })
      return
    }
    known.count += count
    // The words of one file come one after the other, so a file that is known already is the last one.
    for (const file of files) if (known.files.at(-1) !== file) known.files.push(file)
  }

  entries(): WordEntry[] {
    return [...this.#words].map(([word, { count, files }]) => [word, count, files.sort((a, b) => a - b)])
  }
}
