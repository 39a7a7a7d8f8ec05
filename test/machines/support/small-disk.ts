import { execFile } from 'node:child_process'
import { chmod, mkdir, open, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { onTestFinished } from 'vitest'
import { type Skippable, skipMissing } from '../../fixture/peers.ts'
import { tempDir } from '../../fixture/temp-dir.ts'

const run = promisify(execFile)

/** A file system of its own in RAM, until the end of the test. */
export interface SmallDisk {
  readonly dir: string
  /** Leaves no byte free. */
  fill(): Promise<void>
  /** Frees what `fill` has taken. */
  free(): Promise<void>
}

/** Skips the test where nothing can be mounted, and fails with CI=true. */
export async function startSmallDisk(bytes: number, test: Skippable): Promise<SmallDisk> {
  const parent = await tempDir()
  // PostgreSQL runs as another user.
  await chmod(parent, 0o755)
  const dir = join(parent, 'disk')
  await mkdir(dir)
  try {
    await run('mount', ['-t', 'tmpfs', '-o', `size=${bytes},mode=755`, 'tmpfs', dir])
  } catch (error) {
    skipMissing(`a file system in RAM needs root: ${(error as Error).message}`, test)
  }
  // Whoever uses it ends later than the test: what is mounted there goes with the last of them.
  onTestFinished(async () => void (await run('umount', ['--lazy', dir])))
  const ballast = join(dir, 'ballast')
  return {
    dir,
    fill: async () => {
      const file = await open(ballast, 'a')
      try {
        for (let size = 2 ** 20; size >= 1; ) {
          try {
            await file.write(Buffer.alloc(size))
          } catch (error) {
            if ((error as { code?: string }).code !== 'ENOSPC') throw error
            size = Math.floor(size / 2)
          }
        }
      } finally {
        await file.close()
      }
    },
    free: () => rm(ballast),
  }
}
