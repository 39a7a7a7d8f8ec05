import { rm } from 'node:fs/promises'
import { MayflyError } from '../../../protocol/errors.ts'
import type { Clock } from '../../../protocol/runtime.ts'
import type { Background } from '../../../service/process/background.ts'
import type { TierStore } from '../tier-store.ts'
import { SsdTier } from './ssd-tier.ts'

/**
 * The SSD tier of this process, in a folder that is emptied first. Rejects with `BAD_REQUEST`, naming the
 * folder, if that fails.
 */
export async function openSsd(
  { bytes, dir }: { bytes: number; dir: string },
  deps: { clock: Clock; background: Background },
): Promise<{ bytes: number; store: TierStore }> {
  try {
    await rm(dir, { recursive: true, force: true })
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw new MayflyError('BAD_REQUEST', `The folder of the SSD tier, ${dir}: ${reason}`, { cause })
  }
  return { bytes, store: new SsdTier(dir, deps) }
}
