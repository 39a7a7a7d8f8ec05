import { execFile } from 'node:child_process'
import { mkdtemp, open, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { promisify } from 'node:util'
import { systemRuntime } from '../../protocol/runtime.ts'
import { Background } from '../../service/process/background.ts'
import { createLog } from '../../service/process/log.ts'
import { SsdTier } from '../../storage-node/tiers/ssd/ssd-tier.ts'

/** The bytes that are written and read again, with `inFlight` operations under way. */
export interface Load {
  readonly bytes: number
  readonly count: number
  readonly inFlight: number
}

export interface Throughput {
  readonly writeBytesPerSecond: number
  readonly readBytesPerSecond: number
  /** The longest stall of the event loop. */
  readonly blockedMsMax: number
  /** Reads that returned other bytes than were written. */
  readonly wrong: number
}

/** A store of payloads. */
interface Store {
  write(index: number, payload: Buffer): Promise<void>
  read(index: number): Promise<Buffer>
}

/** One file, written and read by Node at fixed offsets: the ceiling. */
export async function measurePlainFile(load: Load): Promise<Throughput> {
  const dir = await mkdtemp(join(tmpdir(), 'mayfly-bench-'))
  const file = await open(join(dir, 'plain'), 'w+')
  const { bytes } = load
  try {
    return await measure(load, {
      write: async (index, payload) => void (await file.write(payload, 0, bytes, index * bytes)),
      read: async (index) => (await file.read(Buffer.allocUnsafe(bytes), 0, bytes, index * bytes)).buffer,
    })
  } finally {
    await file.close()
    await rm(dir, { recursive: true })
  }
}

/** The SSD tier on the same disk. */
export async function measureSsdTier(load: Load): Promise<Throughput> {
  const dir = await mkdtemp(join(tmpdir(), 'mayfly-bench-'))
  const background = new Background({ runtime: systemRuntime, log: createLog('storage-node', 'warn') })
  const tier = new SsdTier(join(dir, 'ssd'), { clock: systemRuntime.clock, background })
  const job = tier.open('bench')
  const records = new Uint32Array(load.count)
  try {
    return await measure(load, {
      write: async (index, payload) => {
        records[index] = await job.write(payload)
      },
      read: (index) => job.read(records[index] ?? 0, { offset: 0, length: load.bytes }),
    })
  } finally {
    await tier.close()
    await rm(dir, { recursive: true })
  }
}

/** Whether the page cache can be dropped, so that reads come from the disk. */
export async function canForgetPages(): Promise<boolean> {
  // The kernel drops only pages that have been written to disk.
  await promisify(execFile)('sync')
  try {
    await writeFile('/proc/sys/vm/drop_caches', '1')
    return true
  } catch (error) {
    if (error instanceof Error && 'code' in error) return false
    throw error
  }
}

/** Reads in another order than the writes, so that read-ahead has no advantage. */
async function measure({ bytes, count, inFlight }: Load, store: Store): Promise<Throughput> {
  const payload = Buffer.alloc(bytes, 0x5a)
  const written = await timed({ bytes, count, inFlight }, (index) => store.write(index, payload))
  await canForgetPages()
  let wrong = 0
  const read = await timed({ bytes, count, inFlight }, async (index) => {
    const found = await store.read((index * 7919) % count)
    if (found.length !== bytes || found[0] !== 0x5a || found[bytes - 1] !== 0x5a) wrong++
  })
  return {
    writeBytesPerSecond: written.bytesPerSecond,
    readBytesPerSecond: read.bytesPerSecond,
    blockedMsMax: Math.max(written.blockedMsMax, read.blockedMsMax),
    wrong,
  }
}

async function timed(
  { bytes, count, inFlight }: Load,
  work: (index: number) => Promise<void>,
): Promise<{ bytesPerSecond: number; blockedMsMax: number }> {
  let next = 0
  const lane = async (): Promise<void> => {
    while (next < count) await work(next++)
  }
  const delay = monitorEventLoopDelay({ resolution: 1 })
  delay.enable()
  const startMs = performance.now()
  await Promise.all(Array.from({ length: inFlight }, lane))
  const bytesPerSecond = (bytes * count * 1000) / (performance.now() - startMs)
  delay.disable()
  return { bytesPerSecond, blockedMsMax: delay.max / 1e6 }
}
