import { isError } from '../errors.ts'
import { metadataOperations } from '../operations/control-operations.ts'
import type { Operation } from '../operations/operation.ts'
import type { CallOptions } from './call.ts'
import type { Caller } from './caller.ts'

/**
 * Sends a request about a job to a metadata server. If the job was transferred, the result is the address of
 * its new server.
 */
export async function askServerOf<Request, Reply>(
  job: string,
  to: { caller: Caller; bounds: Pick<CallOptions, 'deadlineMs' | 'signal' | 'context'> },
  ask: { operation: Operation<Request, Reply>; request: Request },
): Promise<{ reply: Reply } | { movedTo: string }> {
  const { caller, bounds } = to
  try {
    return { reply: (await caller.call(ask.operation, ask.request, bounds)).head }
  } catch (error) {
    if (!isError(error, 'JOB_MOVED')) throw error
  }
  return { movedTo: (await caller.call(metadataOperations.jobServer, { job }, bounds)).head.metadata }
}
