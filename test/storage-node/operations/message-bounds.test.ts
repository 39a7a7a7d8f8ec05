import { expect, test } from 'vitest'
import { errorTable } from '../../../protocol/errors.ts'
import { MANY_KEYS_MAX } from '../../../protocol/limits.ts'
import { parseTicket } from '../../../protocol/model/ticket.ts'
import { dataOperations } from '../../../protocol/operations/data-operations.ts'
import { Reader } from '../../../protocol/wire/reader.ts'
import { METADATA_NAMES_MAX } from '../../../storage-node/limits.ts'
import { open, Planes } from '../../fixture/planes.ts'
import { frameBytes, RawConnection, type ReceivedFrame } from '../../fixture/raw-connection.ts'
import { putFields } from '../support/requests.ts'

const names = (count: number) =>
  Array.from({ length: count }, (_, index) => ({ name: String(index), value: '' }))
const keys = (count: number) => Array.from({ length: count }, (_, index) => Buffer.from(`k${index}`))
const at = (key: string) => ({ epoch: 1, bucket: 0, lane: 0, key: Buffer.from(key) })
const many = { epoch: 1, bucket: 0 }
const putManyFields = { conditions: [], ifVersions: [], ttlSeconds: [], metadata: [], checksums: [] }

/** A storage node with a job, and a connection that no SDK keeps from sending too much. */
async function start() {
  const planes = await Planes.start()
  const node = await planes.startNode()
  const ticket = await planes.createJob('j-1', [node])
  const job = await open(ticket)
  const connect = async () => {
    const connection = await RawConnection.open(node.address)
    connection.send(await connection.hello(parseTicket(ticket).token))
    return connection
  }
  /** The answer to a frame of id 2. */
  const answer = async (frame: Promise<Buffer>) => {
    const connection = await connect()
    connection.send(await frame)
    await expect.poll(() => connection.frames.find(({ id }) => id === 2)).toBeDefined()
    return connection.frames.find(({ id }) => id === 2) as ReceivedFrame
  }
  return { job, answer }
}

const putManyFrame = (keys: Buffer[], metadata: ReturnType<typeof names>[] = []) =>
  frameBytes(
    2,
    dataOperations.putMany,
    { ...many, ...putManyFields, lane: 0, sequence: 1, keys, lengths: keys.map(() => 1), metadata },
    Buffer.alloc(keys.length),
  )

const named = {
  put: (key: string, count: number) =>
    frameBytes(
      2,
      dataOperations.put,
      { ...at(key), ...putFields, sequence: 1, metadata: names(count) },
      Buffer.alloc(1),
    ),
  putMany: (key: string, count: number) => putManyFrame([Buffer.from(key)], [names(count)]),
}

test.each(Object.entries(named))(
  '%s with as many metadata names as are allowed is stored, and with one more it is refused',
  async (operation, frame) => {
    const { job, answer } = await start()
    expect((await answer(frame('most', METADATA_NAMES_MAX))).kind).toBe(0)
    expect(Object.keys((await job.stat('most'))?.metadata ?? {})).toHaveLength(METADATA_NAMES_MAX)
    const { kind, head } = await answer(frame('more', METADATA_NAMES_MAX + 1))
    // putMany answers for each key.
    const code = operation === 'put' ? kind : dataOperations.putMany.reply.read(new Reader(head)).results[0]
    expect(code).toBe(errorTable.BAD_REQUEST.wire)
    expect(await job.exists('more')).toBe(false)
  },
)

const manyKeys = {
  getMany: (count: number) =>
    frameBytes(2, dataOperations.getMany, { ...many, checksums: false, keys: keys(count) }),
  statMany: (count: number) => frameBytes(2, dataOperations.statMany, { ...many, keys: keys(count) }),
  waitMany: (count: number) =>
    frameBytes(2, dataOperations.waitMany, { ...many, waitMs: 1, keys: keys(count) }),
  deleteMany: (count: number) =>
    frameBytes(2, dataOperations.deleteMany, { ...many, lane: 0, sequence: 1, keys: keys(count) }),
  putMany: (count: number) => putManyFrame(keys(count)),
}

test.each(Object.entries(manyKeys))(
  '%s of as many keys as are allowed is answered, and of one more it is refused',
  async (_, frame) => {
    const { job, answer } = await start()
    await job.put('k0', 'value')
    expect((await answer(frame(MANY_KEYS_MAX + 1))).kind).toBe(errorTable.PROTOCOL_VIOLATION.wire)
    expect((await job.get('k0')).toString()).toBe('value')
    expect(await job.exists(`k${MANY_KEYS_MAX}`)).toBe(false)
    expect((await answer(frame(MANY_KEYS_MAX))).kind).toBe(0)
  },
)
