import { isError, MayflyError } from '../../protocol/errors.ts'
import { NODE_START_MS_MAX } from '../../protocol/limits.ts'
import { type Clock, sleep } from '../../protocol/runtime.ts'
import { type Credentials, request } from '../api/http.ts'
import type { ClusterReply } from '../api/replies.ts'

/** A metadata server registers with its first heartbeat, which it sends as soon as it serves. */
const CHECK_MS = 20

/** Resolves once the controller answers and knows a metadata server; then jobs can be registered. */
export async function untilServing(
  credentials: Credentials,
  { clock, signal }: { clock: Clock; signal: AbortSignal },
): Promise<void> {
  const deadlineMs = clock.monotonicMs() + NODE_START_MS_MAX
  while (!(await serves(credentials, signal))) {
    if (clock.monotonicMs() > deadlineMs) {
      throw new MayflyError(
        'UNAVAILABLE',
        `No metadata server registered with the controller within ${NODE_START_MS_MAX} ms`,
      )
    }
    await sleep(clock, CHECK_MS)
  }
}

async function serves(credentials: Credentials, signal: AbortSignal): Promise<boolean> {
  signal.throwIfAborted()
  try {
    const { metadata } = await request<ClusterReply>(credentials, { path: '/v1/cluster', signal })
    return metadata.length > 0
  } catch (error) {
    // The controller may crash and restart while the cluster starts.
    if (isError(error, 'UNAVAILABLE')) return false
    throw error
  }
}
