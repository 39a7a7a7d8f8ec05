import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, expect, test } from 'vitest'
import { putManyRuns } from '../../bench/enforcement/many-runs.ts'
import { METADATA_BYTES_MAX } from '../../protocol/limits.ts'
import { dataOperations } from '../../protocol/operations/data-operations.ts'
import { METADATA_NAMES_MAX } from '../../storage-node/limits.ts'
import type { Attacker } from './support/attacker.ts'
import { FLOOD_MS, judge, LENGTH, printRows } from './support/judge.ts'
import { at, get, list, manyKeys } from './support/requests.ts'
import { Siege } from './support/siege.ts'

const MIB = 2 ** 20

afterAll(printRows)

/** Sends the same batch of frames repeatedly, each time when the network has accepted the last batch. */
async function flood(
  attacker: Attacker,
  frames: (lane: number) => Promise<Buffer>,
  batch: number,
): Promise<void> {
  const bytes = Buffer.concat(await Promise.all(Array.from({ length: batch }, (_, lane) => frames(lane))))
  for (const endMs = performance.now() + FLOOD_MS; performance.now() < endMs && !attacker.isClosed; ) {
    await attacker.send(bytes)
    await new Promise((resolve) => setImmediate(resolve))
  }
}

const floods: readonly {
  name: string
  batch: number
  ssdBytes?: number
  prepare?: (siege: Siege) => Promise<unknown>
  frame: (attacker: Attacker, lane: number) => Promise<Buffer>
}[] = [
  {
    name: 'a flood of gets of one key',
    batch: 500,
    prepare: ({ attackersJob }) => attackersJob.put('small', 'value'),
    frame: (attacker) => attacker.frame(dataOperations.get, { ...at('small'), ...get }),
  },
  {
    name: 'a flood of getMany of 1,000 keys',
    batch: 20,
    frame: (attacker) =>
      attacker.frame(dataOperations.getMany, { epoch: 1, bucket: 0, checksums: false, keys: manyKeys }),
  },
  {
    name: 'a flood of deleteMany of 1,000 keys',
    batch: 20,
    frame: (attacker, lane) =>
      attacker.frame(dataOperations.deleteMany, { epoch: 1, bucket: 0, lane, sequence: 1, keys: manyKeys }),
  },
  {
    name: 'a flood of stat of an object with as many metadata names as there may be',
    batch: 2_000,
    prepare: ({ attackersJob }) =>
      attackersJob.put('names', 'value', {
        metadata: Object.fromEntries(
          Array.from({ length: Math.min(METADATA_NAMES_MAX, 1_000) }, (_, index) => [`n${index}`, '']),
        ),
      }),
    frame: (attacker) => attacker.frame(dataOperations.stat, at('names')),
  },
  {
    name: 'a flood of statMany of 1,000 keys of an object with as much metadata as there may be',
    batch: 20,
    prepare: ({ attackersJob }) =>
      attackersJob.put('names', 'value', { metadata: { name: 'm'.repeat(METADATA_BYTES_MAX - 4) } }),
    frame: (attacker) =>
      attacker.frame(dataOperations.statMany, {
        ...{ epoch: 1, bucket: 0 },
        keys: manyKeys.map(() => at('names').key),
      }),
  },
  {
    name: 'a flood of stat of an object whose manifest has as many runs as there may be',
    batch: 2_000,
    prepare: ({ attackersTicket }) => putManyRuns(attackersTicket, 'runs'),
    frame: (attacker) => attacker.frame(dataOperations.stat, at('runs')),
  },
  {
    name: 'a flood of gets of objects below RAM',
    batch: 50,
    ssdBytes: 256 * MIB,
    prepare: async ({ attackersJob }) => {
      // More than the job's RAM.
      for (let index = 0; index < 150; index++)
        await attackersJob.put(`spilled-${index}`, Buffer.alloc(MIB, 1))
      const tiers = await Promise.all(
        Array.from({ length: 50 }, async (_, index) => (await attackersJob.stat(`spilled-${index}`))?.tier),
      )
      expect(tiers.filter((tier) => tier === 'ssd').length).toBeGreaterThan(10)
    },
    frame: (attacker, lane) => attacker.frame(dataOperations.get, { ...at(`spilled-${lane % 50}`), ...get }),
  },
  {
    name: 'a flood of list',
    batch: 20,
    prepare: ({ attackersJob }) =>
      attackersJob.putMany(
        Array.from({ length: 5_000 }, (_, index) => ({ key: `listed-${index}`, bytes: Buffer.alloc(8) })),
      ),
    frame: (attacker) => attacker.frame(dataOperations.list, { ...list, listing: 0 }),
  },
]

/** Every flood runs twice: its attacker reads the answers, or reads nothing. */
for (const { name, batch, ssdBytes, prepare, frame } of floods) {
  for (const reads of [true, false]) {
    const title = reads ? name : `${name}, by a peer that reads no answer`
    test(
      `${title} leaves a bystander its time`,
      async () => {
        const siege = await Siege.lay({ ssdBytes })
        await prepare?.(siege)
        const outcome = await siege.endure(async () => {
          const attackers = await Promise.all(Array.from({ length: 4 }, () => siege.connect()))
          if (!reads) for (const attacker of attackers) attacker.stopReading()
          const flooding = attackers.map((attacker) =>
            flood(attacker, (lane) => frame(attacker, lane), batch),
          )
          await Promise.race([Promise.all(flooding), sleep(FLOOD_MS)])
          for (const attacker of attackers) attacker.vanish()
          await Promise.all(flooding)
        })
        judge(title, outcome)
      },
      60_000 * LENGTH,
    )
  }
}
