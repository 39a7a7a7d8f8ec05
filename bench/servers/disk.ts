import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Server } from './server.ts'

/** A folder on the disk of the machine. The kernel serves it, so no process of a server counts. */
export async function startDisk(): Promise<Server> {
  const dir = await mkdtemp(join(tmpdir(), 'mayfly-bench-disk-'))
  return {
    target: dir,
    pids: async () => [],
    stop: () => rm(dir, { recursive: true, force: true }),
  }
}
