import fc from 'fast-check'
import { afterAll, expect, test } from 'vitest'
import { operations } from '../../protocol/operations/operations.ts'
import { FRAME_HEADER_BYTES } from '../../protocol/wire/frame.ts'
import { Attacker } from './support/attacker.ts'
import { LENGTH, note, printRows } from './support/judge.ts'
import { type Chance, randomMessage } from './support/random-message.ts'
import { Siege } from './support/siege.ts'

afterAll(printRows)

/** `FRAMES=1000000 npx vitest run test/attack/fuzz.test.ts` runs longer; `SEED=7` repeats the same frames. */
const FRAMES = Number(process.env.FRAMES ?? 5_000 * LENGTH)
const SEED = Number(process.env.SEED ?? 1)
/** Frames of one write. After each batch the attacker yields, so that the test process itself does not delay the bystander. */
const BATCH = 50
/** Attackers at once, each of which sends a batch and waits until it was processed. */
const LANES = 4
const GROWN_MIB_MAX = 400

/** A linear congruential generator (Numerical Recipes), so that a seed gives the same frames everywhere. */
function chanceOf(seed: number): Chance {
  let state = seed >>> 0
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state / 2 ** 32
  }
}

/** All operations, including those of the planes, which a ticket must not reach. */
const targets = Object.values(operations).map(({ number, request }) => ({ number, shape: request.shape }))

/** Ids do not repeat, except in one frame of 500. */
function randomFrame(chance: Chance, id: number): Buffer {
  const target = targets[Math.floor(chance() * targets.length)] as (typeof targets)[number]
  const kind = chance() < 0.999 ? target.number : Math.floor(chance() * 65_536)
  let head = randomMessage(target.shape, chance)
  // One frame of 500 is truncated or too long: it violates the protocol, and its connection is closed.
  if (chance() < 0.002)
    head = chance() < 0.5 ? head.subarray(0, head.length / 2) : Buffer.concat([head, Buffer.alloc(3)])
  const payload = Buffer.alloc(chance() < 0.5 ? 0 : Math.floor(chance() * (chance() < 0.98 ? 300 : 100_000)))
  const frame = Buffer.alloc(FRAME_HEADER_BYTES)
  frame.writeUInt32LE(head.length, 0)
  frame.writeUInt32LE(payload.length, 4)
  frame.writeUInt32LE(chance() < 0.998 ? id : Math.floor(chance() * 1_000), 8)
  frame.writeUInt16LE(kind, 12)
  return Buffer.concat([frame, head, payload])
}

test(
  `${FRAMES} random frames of all operations harm neither the processes nor a bystander`,
  async () => {
    console.log(`SEED=${SEED} FRAMES=${FRAMES}`)
    const siege = await Siege.lay()
    let connections = 0
    const attack = async (address: string, lane: number, frames: number): Promise<void> => {
      const chance = chanceOf(SEED * LANES + lane)
      let attacker: Attacker | null = null
      for (let sent = 0; sent < frames; sent += BATCH) {
        if (attacker === null || attacker.isClosed) {
          attacker = await Attacker.connect(address, siege.attackersTicket)
          connections++
        }
        const frames = Array.from({ length: BATCH }, (_, index) => randomFrame(chance, 2 + sent + index))
        await attacker.send(Buffer.concat(frames))
        if (chance() < 0.02) attacker.vanish()
        else await attacker.heard()
      }
      attacker?.vanish()
    }
    const lanes = Array.from({ length: LANES }, (_, lane) => lane)
    const outcome = await siege.endure(async () => {
      await Promise.all(lanes.map((lane) => attack(siege.node.address, lane, (FRAMES * 0.8) / LANES)))
      await Promise.all(lanes.map((lane) => attack(siege.metadata.address, lane, (FRAMES * 0.2) / LANES)))
    })
    console.log(`${connections} connections; bystander ${JSON.stringify(outcome)}`)
    note(`${FRAMES} random frames`, outcome)
    expect(outcome.grownMib).toBeLessThan(GROWN_MIB_MAX)
    expect(connections).toBeGreaterThan(10)
  },
  60_000 + FRAMES * 5,
)

test('a random message has the shape that it was made for', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1 }), (seed) => {
      const chance = chanceOf(seed)
      for (const { shape } of targets) expect(randomMessage(shape, chance)).toBeInstanceOf(Buffer)
    }),
    { numRuns: 20 },
  )
})
