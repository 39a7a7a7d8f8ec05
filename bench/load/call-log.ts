import { readFile, writeFile } from 'node:fs/promises'

/** One call: its key, its start in ms since the Unix epoch, and its latency in ms. */
export interface LoggedCall {
  readonly key: number
  readonly atMs: number
  readonly ms: number
}

const FIELDS = 3

/** Records calls at full speed, without an object per call. */
export class CallLog {
  #numbers = new Float64Array(FIELDS * 65_536)
  #length = 0

  add({ key, atMs, ms }: LoggedCall): void {
    if (this.#length === this.#numbers.length) {
      const larger = new Float64Array(2 * this.#length)
      larger.set(this.#numbers)
      this.#numbers = larger
    }
    this.#numbers.set([key, atMs, ms], this.#length)
    this.#length += FIELDS
  }

  async write(file: string): Promise<void> {
    await writeFile(file, this.#numbers.subarray(0, this.#length))
  }
}

export async function readCallLog(file: string): Promise<LoggedCall[]> {
  const bytes = await readFile(file)
  const numbers = new Float64Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length))
  return Array.from({ length: numbers.length / FIELDS }, (_, index) => {
    const [key = 0, atMs = 0, ms = 0] = numbers.subarray(index * FIELDS, (index + 1) * FIELDS)
    return { key, atMs, ms }
  })
}
