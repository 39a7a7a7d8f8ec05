/** Distance between the starts of two objects in the sequence, and the number of distinct objects: more than any suite has under way. */
const STEP_BYTES = 8
const DIFFERENT = 4_096
/** Every 32nd object is compared whole; comparing every byte of all of them would cost as much as the gets. */
const WHOLE_EVERY = 32
const STAMP_BYTES = 8

/**
 * Objects whose every byte is known to every process, and which need not be generated while the clock runs: each object is a window on one sequence of words
 * that do not repeat, chosen by the object's number.
 */
export class Samples {
  readonly #words: Buffer
  #checks = 0

  constructor(bytesMax: number) {
    const words = new Uint32Array(Math.ceil((bytesMax + STEP_BYTES * DIFFERENT) / 4))
    // Knuth's multiplicative hash. The factor is odd, so no value repeats within 2³² words.
    for (let index = 0; index < words.length; index++) words[index] = Math.imul(index + 1, 2_654_435_761)
    this.#words = Buffer.from(words.buffer)
  }

  of(number: number, bytes: number): Buffer {
    const from = STEP_BYTES * (number % DIFFERENT)
    return this.#words.subarray(from, from + bytes)
  }

  /**
   * Describes the mismatch between the received and the expected object, or returns null. Checks length, head and tail of each object, and every byte of some.
   */
  wrong(object: Buffer, number: number, bytes: number): string | null {
    const wanted = this.of(number, bytes)
    if (object.length !== bytes) return `object ${number} has ${object.length} bytes, not ${bytes}`
    const isSame =
      this.#checks++ % WHOLE_EVERY === 0
        ? object.equals(wanted)
        : sameRange(object, wanted, 0) && sameRange(object, wanted, Math.max(0, bytes - STAMP_BYTES))
    return isSame ? null : `object ${number} of ${bytes} bytes is not what was put`
  }
}

function sameRange(a: Buffer, b: Buffer, from: number): boolean {
  const to = Math.min(from + STAMP_BYTES, a.length)
  for (let index = from; index < to; index++) if (a[index] !== b[index]) return false
  return true
}
