import { randomBytes } from 'node:crypto'
import { buffer } from 'node:stream/consumers'
import { expect, test } from 'vitest'
import { open, Planes } from '../fixture/planes.ts'

const MIB = 2 ** 20

async function openOne(checksums = false) {
  const planes = await Planes.start()
  const ticket = await planes.createJob('j-1', [await planes.startNode(), await planes.startNode()])
  return { planes, job: await open(ticket, { checksums }) }
}

const ranges = [
  { start: 0 },
  { start: 0, end: 1 },
  { start: 1, end: 3 },
  { start: 7 },
  { start: 5, end: 10 ** 9 },
  { start: MIB - 1, end: MIB + 1 },
  { start: MIB },
  { start: MIB, end: 3 * MIB },
  { start: 2 * MIB + 5, end: 2 * MIB + 6 },
]

test.each([false, true])(
  'a range gives the bytes that subarray would, of values, appended objects and objects in chunks (checksums: %s)',
  async (checksums) => {
    const { job } = await openOne(checksums)
    for (const bytes of [10, MIB, 3 * MIB + 17]) {
      const object = randomBytes(bytes)
      await job.put(`put/${bytes}`, object)
      for (let at = 0; at < bytes; at += 700_000) {
        await job.append(`appended/${bytes}`, object.subarray(at, at + 700_000))
      }
      for (const key of [`put/${bytes}`, `appended/${bytes}`]) {
        for (const range of ranges.filter(({ start }) => start < bytes)) {
          const expected = object.subarray(range.start, range.end)
          expect((await job.get(key, { range })).equals(expected), `${key} ${JSON.stringify(range)}`).toBe(
            true,
          )
          expect((await buffer(job.getStream(key, { range }))).equals(expected)).toBe(true)
        }
      }
    }
  },
)

test('a range that begins at the end of the object or past it is RANGE_NOT_SATISFIABLE', async () => {
  const { job } = await openOne()
  for (const bytes of [0, 10, 2 * MIB]) {
    await job.put('k', randomBytes(bytes))
    for (const start of [bytes, bytes + 1, bytes + 5 * MIB]) {
      const range = { start, end: start + 4 }
      await expect(job.get('k', { range })).rejects.toMatchObject({ code: 'RANGE_NOT_SATISFIABLE' })
      await expect(buffer(job.getStream('k', { range }))).rejects.toMatchObject({
        code: 'RANGE_NOT_SATISFIABLE',
      })
    }
  }
})

test.each([
  [{ start: -1 }, 'range.start'],
  [{ start: 1.5 }, 'range.start'],
  [{ start: 3, end: 3 }, 'ends'],
  [{ start: 3, end: Number.NaN }, 'range.end'],
])('the range %j is refused', async (range, why) => {
  const { job } = await openOne()
  await expect(job.get('k', { range })).rejects.toThrow(why)
  await expect(job.get('k', { range: { start: 0 }, consume: true })).rejects.toThrow('contradicts')
})
