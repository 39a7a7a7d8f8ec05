import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, onTestFinished, test } from 'vitest'
import { MayflyError } from '../../../protocol/errors.ts'
import { peerOperations, SlotOrigin } from '../../../protocol/operations/plane-operations.ts'
import { systemRuntime } from '../../../protocol/runtime.ts'
import { CallerPool } from '../../../protocol/transport/caller-pool.ts'
import type { Link } from '../../../protocol/transport/link.ts'
import { dialTcp } from '../../../protocol/transport/tcp.ts'
import { Background } from '../../../service/process/background.ts'
import { clusterToken } from '../../../service/process/cluster-token.ts'
import { createLog } from '../../../service/process/log.ts'
import { Handlers } from '../../../service/server/handlers.ts'
import { ChunkGc } from '../../../storage-node/gc/chunk-gc.ts'
import { Puller } from '../../../storage-node/handoff/puller.ts'
import { receiveIndex, takeOver } from '../../../storage-node/handoff/target.ts'
import type { PlacementCache } from '../../../storage-node/membership/placement-cache.ts'
import { tableHash } from '../../../storage-node/memory/table-hash.ts'
import type { StorageNode } from '../../../storage-node/node.ts'
import { startWireServer } from '../../fixture/wire-server.ts'
import { indexPage, newSpace } from '../support/space.ts'

const { clock } = systemRuntime
const secret = randomBytes(32)
const log = createLog('storage-node', 'silent')
const large = Buffer.from('large')

/** Faults of a peer's answer; `well` answers correctly. */
const wrongs = [
  'answers INTERNAL',
  'answers BAD_REQUEST',
  'answers PROTOCOL_VIOLATION',
  'answers an error of another version',
  'answers too little',
  'answers with bytes that are no frame',
  'closes the connection',
  'answers nothing for a while',
] as const
type Wrong = (typeof wrongs)[number]

/** A peer on a real socket that speaks the wire protocol, or does not. */
class Peer {
  wrong: Wrong | 'well' = 'well'
  met = 0
  address = ''
  readonly background = new Background({ runtime: systemRuntime, log })
  readonly pool = new CallerPool({
    dial: dialTcp,
    runtime: systemRuntime,
    token: () => clusterToken(secret, Date.now()),
  })
  #link: Link | null = null

  static async start(): Promise<Peer> {
    const peer = new Peer()
    const handlers = new Handlers()
      .on(peerOperations.pull, async (_peer, { items }) => {
        await peer.#err()
        const isShort = peer.wrong === 'answers too little'
        const payload = Buffer.alloc(isShort ? 0 : 5 * items.length, 'v')
        return { head: { bytes: isShort ? [] : items.map(() => 5) }, payload }
      })
      .on(peerOperations.versionsAlive, async (_peer, { versions }) => {
        await peer.#err()
        const isShort = peer.wrong === 'answers too little'
        return { head: { alive: Buffer.alloc(isShort ? 0 : versions.length, 0xff) } }
      })
    const { address } = await startWireServer({ server: 'n-peer', secret, handlers }, (link) => {
      peer.#link = link
    })
    peer.address = address
    onTestFinished(() => {
      peer.background.stop()
      peer.pool.close()
    })
    return peer
  }

  async #err(): Promise<void> {
    if (this.wrong === 'well') return
    this.met++
    if (this.wrong === 'answers INTERNAL') throw new TypeError('a bug of the peer')
    if (this.wrong === 'answers BAD_REQUEST') throw new MayflyError('BAD_REQUEST', 'so says the peer')
    if (this.wrong === 'answers PROTOCOL_VIOLATION')
      throw new MayflyError('PROTOCOL_VIOLATION', 'so says the peer')
    if (this.wrong === 'answers an error of another version')
      throw new MayflyError('JOB_ENDED', 'which this code does not mean')
    if (this.wrong === 'answers with bytes that are no frame')
      this.#link?.write([Buffer.alloc(64, 0xff)], () => undefined)
    if (this.wrong === 'closes the connection') this.#link?.destroy()
    if (this.wrong === 'answers nothing for a while') await sleep(300)
  }
}

test.each(wrongs)(
  'I21: a source that %s loses nothing, and the pull goes on when it answers again',
  async (wrong) => {
    const peer = await Peer.start()
    const job = newSpace()
    receiveIndex(job, indexPage(3, ['a', 'b', 'c']), clock)
    takeOver(job, { index: 0, epoch: 3, lost: false, origin: SlotOrigin.handedOver, source: peer.address })
    const puller = new Puller({ pool: peer.pool, runtime: systemRuntime, background: peer.background })
    onTestFinished(() => puller.stop())
    peer.wrong = wrong
    const settled = puller.pullSlot(job, 0)
    await expect.poll(() => peer.met).toBeGreaterThan(wrong === 'answers nothing for a while' ? 0 : 1)
    if (wrong !== 'answers nothing for a while') {
      expect(peer.background.report()).toMatchObject([{ task: 'pull', failing: 1 }])
      expect(job.slots[0]?.isComplete).toBe(false)
    }
    peer.wrong = 'well'
    await settled
    const keys = ['a', 'b', 'c'].map((name) => ({
      bucket: 0,
      key: Buffer.from(name),
      hash: tableHash(Buffer.from(name), 0),
    }))
    for (const of of keys) expect(job.slots[0]?.find(of)?.bytes).toBe(5)
    expect(job.slots[0]?.isComplete).toBe(true)
    expect(peer.background.report().every(({ failing }) => failing === 0)).toBe(true)
  },
)

test.each(wrongs)(
  'I21: an owner of keys that %s keeps no other job from being freed, and nothing that it wants is freed',
  async (wrong) => {
    const peer = await Peer.start()
    const jobs = new Map(['asked', 'asked-too'].map((id) => [id, newSpace()]))
    for (const job of jobs.values()) {
      takeOver(job, { index: 0, epoch: 3, lost: false, origin: SlotOrigin.fresh, source: '' })
      const slot = job.owned.touch(0)
      if (slot === undefined) throw new Error('the slot is owned')
      const chunk = slot.chunks.write(Buffer.alloc(9))
      slot.chunks.set(
        { bucket: 0, key: large, version: 7 },
        { groupKey: 'large', index: 0, checksum: null },
        chunk,
      )
    }
    const placements: Pick<PlacementCache, 'ownerOf' | 'forget' | 'forgetOthers'> = {
      ownerOf: async () => ({ id: 'n-peer', address: peer.address }),
      forget: () => undefined,
      forgetOthers: () => undefined,
    }
    const node = { id: 'n-1', jobs } as unknown as StorageNode
    const { pool, background } = peer
    const reclaim = new ChunkGc(node, { pool, clock, placements: placements as PlacementCache, background })
    peer.wrong = wrong
    await reclaim.round()
    expect(peer.met).toBe(2)
    for (const job of jobs.values()) expect(job.slots[0]?.chunks.groups.size).toBe(1)
    peer.wrong = 'well'
    await reclaim.round()
    for (const job of jobs.values()) expect(job.slots[0]?.chunks.groups.size).toBe(1)
    expect(background.report().every(({ failing }) => failing === 0)).toBe(true)
  },
)
