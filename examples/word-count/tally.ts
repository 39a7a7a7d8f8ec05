import type { WordEntry } from './plan.ts'

/** Counts words and the files that contain them. A Map, because `constructor` is also a word. */
export class Tally {
  readonly #words = new Map<string, { count: number; files: number[] }>()

  /** Adds `count` occurrences of `word` in `files`. */
  add(word: string, count: number, files: readonly number[]): void {
    const known = this.#words.get(word)
    if (known === undefined) {
      this.#words.set(word, { count, files: [...files] })
      return
    }
    known.count += count
    // The words of one file are added consecutively, so a known file is the last one of the list.
    for (const file of files) if (known.files.at(-1) !== file) known.files.push(file)
  }

  entries(): WordEntry[] {
    return [...this.#words].map(([word, { count, files }]) => [word, count, files.sort((a, b) => a - b)])
  }
}
