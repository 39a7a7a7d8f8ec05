/** Where an object belongs. Every byte of the object depends on it, so that a misplaced byte is detected. */
export interface Home {
  readonly job: string
  readonly bucket: string
  readonly key: string
}

/** One name for each key of each bucket of each job. */
export function nameOf({ job, bucket, key }: Home): string {
  return `${job}/${bucket}/${key}`
}

/** A value's name in the model: `id:bytes` of one put or append, joined with `+` for appends. */
export type ValueName = string

export function nameValue(id: number, bytes: number): ValueName {
  return `${id}:${bytes}`
}

export function bytesOf(name: ValueName): number {
  return name.split('+').reduce((sum, part) => sum + Number(part.split(':')[1]), 0)
}

/** The bytes of one put: a head with its name, then filler that depends on every letter of the head. */
export function makeValue(home: Home, id: number, bytes: number): Buffer {
  const head = headOf(home, id, bytes)
  const value = Buffer.alloc(bytes)
  value.write(head, 'latin1')
  let state = 0
  for (let i = 0; i < head.length; i++) state = (Math.imul(state, 31) + head.charCodeAt(i)) | 0
  for (let at = head.length; at < bytes; at++) {
    state = (Math.imul(state, 1_103_515_245) + 12_345) | 0
    value[at] = state >>> 16
  }
  return value
}

/** The shortest value that has room for its head. */
export const VALUE_BYTES_MIN = 64

/** The value's name if every byte of it belongs where it was found; else what is wrong. */
export function readValue(home: Home, bytes: Buffer): { name: ValueName } | { wrong: string } {
  const names: string[] = []
  for (let at = 0; at < bytes.length; ) {
    const head = bytes.toString('latin1', at, Math.min(bytes.length, at + VALUE_BYTES_MIN))
    const [, id, length] = /^<[^<>]*#(\d+):(\d+)>/.exec(head) ?? []
    if (id === undefined || length === undefined) return { wrong: `at byte ${at} begins no value: ${head}` }
    const expected = makeValue(home, Number(id), Number(length))
    const found = bytes.subarray(at, at + expected.length)
    if (!found.equals(expected)) {
      const differs = expected.findIndex((byte, index) => byte !== found[index])
      return {
        wrong: `byte ${at + differs} of ${bytes.length} is not that of ${headOf(home, Number(id), Number(length))}, where ${head} was read`,
      }
    }
    names.push(nameValue(Number(id), Number(length)))
    at += expected.length
  }
  return names.length === 0 ? { wrong: 'it is empty' } : { name: names.join('+') }
}

function headOf({ job, bucket, key }: Home, id: number, bytes: number): string {
  return `<${job}/${bucket}/${key}#${id}:${bytes}>`
}
