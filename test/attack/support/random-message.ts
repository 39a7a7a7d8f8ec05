/** Items of a list that differ; a longer one repeats them, as making them takes longer than all else of the fuzzer. */
const ITEMS_VARIED_MAX = 10

/** Uniform in [0, 1). */
export type Chance = () => number

const KEYS = [
  'a',
  'b',
  'map/3/part/7',
  'ключ',
  '🪰',
  '\u0000',
  '\ufffe',
  'x'.repeat(1_024),
  'y'.repeat(2_000),
  '',
]
const TEXTS = ['', 'default', 'name', 'j-attacker', 'j-bystander', 'x'.repeat(300), '../..', '\u0001']
const U32 = [0, 1, 2, 3, 7, 255, 1_023, 65_535, 2 ** 20, 2 ** 31, 2 ** 32 - 1]
const U64 = [0, 1, 2, 2 ** 21, 2 ** 32, 2 ** 32 + 1, 2 ** 52, Number.MAX_SAFE_INTEGER]

/**
 * The bytes of a random message of that shape (the text of `Codec.shape`). Each field is well-formed, with an ordinary value or one at a bound. Epoch and
 * bucket are mostly right, so that requests pass the first check.
 */
export function randomMessage(shape: string, chance: Chance): Buffer {
  const parts: Buffer[] = []
  const end = write(shape, { at: 0, field: '', chance, parts })
  if (end !== shape.length) throw new Error(`the shape ${shape} is not understood at ${end}`)
  return Buffer.concat(parts)
}

interface Writing {
  readonly at: number
  readonly field: string
  readonly chance: Chance
  readonly parts: Buffer[]
}

/** Writes a value of the type that begins at `at`; returns where the type ends. */
function write(shape: string, writing: Writing): number {
  const { at, field, chance, parts } = writing
  switch (shape[at]) {
    case '{':
      return writeFields(shape, writing)
    case '[':
      return writeList(shape, writing)
    case '?': {
      const isThere = chance() < 0.5
      parts.push(Buffer.from([isThere ? 1 : 0]))
      return write(shape, { ...writing, at: at + 1, parts: isThere ? parts : [] })
    }
    default: {
      const name = /^[a-z0-9]+/.exec(shape.slice(at))?.[0] ?? ''
      parts.push(scalar(name, field, chance))
      return at + name.length
    }
  }
}

function writeFields(shape: string, writing: Writing): number {
  let { at } = writing
  at++
  while (shape[at] !== '}') {
    const colon = shape.indexOf(':', at)
    const field = shape.slice(at, colon)
    at = write(shape, { ...writing, at: colon + 1, field })
    if (shape[at] === ',') at++
  }
  return at + 1
}

function writeList(shape: string, writing: Writing): number {
  const { chance, parts } = writing
  const count = chance() < 0.9 ? Math.floor(chance() * 5) : Math.floor(chance() * 1_200)
  const head = Buffer.alloc(4)
  head.writeUInt32LE(count)
  parts.push(head)
  let end = write(shape, { ...writing, at: writing.at + 1, parts: [] })
  const items: Buffer[] = []
  for (let index = 0; index < Math.min(count, ITEMS_VARIED_MAX); index++) {
    const item: Buffer[] = []
    end = write(shape, { ...writing, at: writing.at + 1, parts: item })
    items.push(Buffer.concat(item))
  }
  for (let index = 0; index < count; index++) parts.push(items[index % items.length] as Buffer)
  return end + 1
}

function scalar(type: string, field: string, chance: Chance): Buffer {
  const pick = <T>(values: readonly T[]): T => values[Math.floor(chance() * values.length)] as T
  const isUsual = chance() < 0.9
  switch (type) {
    case 'flag':
      return Buffer.from([chance() < 0.999 ? Math.floor(chance() * 2) : 2])
    case 'u8':
      return Buffer.from([isUsual ? Math.floor(chance() * 3) : Math.floor(chance() * 256)])
    case 'u16': {
      const value = Buffer.alloc(2)
      value.writeUInt16LE(isUsual ? Math.floor(chance() * 4) : pick([0, 1, 1_023, 1_024, 65_534, 65_535]))
      return value
    }
    case 'u32': {
      const value = Buffer.alloc(4)
      value.writeUInt32LE(isUsual ? usual(field, chance) : pick(U32))
      return value
    }
    case 'u64': {
      const value = Buffer.alloc(8)
      value.writeBigUInt64LE(BigInt(isUsual ? Math.floor(chance() * 20) : pick(U64)))
      return value
    }
    case 'text':
    case 'bytes': {
      const bytes =
        isUsual && field.startsWith('key') ? Buffer.from(pick(KEYS.slice(0, 5))) : random(type, chance)
      const length = Buffer.alloc(2)
      length.writeUInt16LE(bytes.length)
      return Buffer.concat([length, bytes])
    }
    default:
      throw new Error(`there is no type '${type}'`)
  }
}

/** A value with which a request passes the first check. */
function usual(field: string, chance: Chance): number {
  if (field === 'epoch') return 1
  if (field === 'bucket') return 0
  if (field === 'waitMs') return Math.floor(chance() * 50)
  return Math.floor(chance() * 10)
}

function random(type: string, chance: Chance): Buffer {
  const pick = <T>(values: readonly T[]): T => values[Math.floor(chance() * values.length)] as T
  if (type === 'text' || chance() < 0.7) return Buffer.from(pick([...KEYS, ...TEXTS]))
  return Buffer.from(Array.from({ length: Math.floor(chance() * 200) }, () => Math.floor(chance() * 256)))
}
