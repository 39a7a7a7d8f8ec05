const HEADER_BYTES = 16

/** Objects of one size in which every byte is known: number and version first, then one pattern. */
export class Objects {
  readonly #pattern: Buffer

  constructor(bytes: number) {
    this.#pattern = Buffer.alloc(bytes, 'Mayfly bench. ')
  }

  static keyOf(number: number): string {
    return `object/${number}`
  }

  make(number: number, version: number): Buffer {
    const object = Buffer.from(this.#pattern)
    object.writeDoubleLE(number, 0)
    object.writeDoubleLE(version, 8)
    return object
  }

  /** The version of object `number` that these bytes are; null if they are not that object. */
  versionOf(number: number, object: Buffer): number | null {
    const isWhole =
      object.length === this.#pattern.length &&
      object.readDoubleLE(0) === number &&
      object.compare(this.#pattern, HEADER_BYTES, undefined, HEADER_BYTES) === 0
    return isWhole ? object.readDoubleLE(8) : null
  }
}
