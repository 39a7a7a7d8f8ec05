import { asMayflyError, isError, MayflyError } from '../../protocol/errors.ts'
import { DeleteResult, dataOperations } from '../../protocol/operations/data-operations.ts'
import { batchesOf } from '../routing/batches.ts'
import type { Deadline } from '../routing/deadline.ts'
import type { KeyAddress } from '../routing/key-address.ts'
import type { Router } from '../routing/router.ts'

/** How many keys were deleted, and the failures of the others. */
interface Outcome {
  readonly deleted: number
  readonly failures: readonly MayflyError[]
}

/**
 * Deletes keys, one message per node; keys whose slot has moved are sent again. Resolves with the number of
 * deleted objects. Fails only after all messages are done, and with `OUTCOME_UNKNOWN` if some keys were
 * deleted and others not.
 */
export async function deleteKeys(
  router: Router,
  keys: readonly KeyAddress[],
  bounds: Deadline,
): Promise<number> {
  const outcome = await deleteBatches(router, batchesOf(router, keys), bounds)
  const failure = failureOf(outcome)
  if (failure !== null) throw failure
  return outcome.deleted
}

async function deleteBatches(
  router: Router,
  batches: readonly (readonly KeyAddress[])[],
  bounds: Deadline,
): Promise<Outcome> {
  const outcomes = await Promise.all(batches.map((batch) => deleteBatch(router, batch, bounds)))
  return {
    deleted: outcomes.reduce((sum, { deleted }) => sum + deleted, 0),
    failures: outcomes.flatMap(({ failures }) => failures),
  }
}

async function deleteBatch(router: Router, batch: readonly KeyAddress[], bounds: Deadline): Promise<Outcome> {
  const results = await askOwner(router, batch, bounds).catch(asMayflyError)
  if (results instanceof MayflyError) return { deleted: 0, failures: [results] }
  const deleted = results.reduce((sum, result) => sum + (result === DeleteResult.deleted ? 1 : 0), 0)
  const stale = batch.filter((_, index) => results[index] === DeleteResult.stale)
  // Keys are sent one by one now, each to the owner of its slot.
  const rest = await deleteBatches(
    router,
    stale.map((key) => [key]),
    bounds,
  )
  return { deleted: deleted + rest.deleted, failures: rest.failures }
}

async function askOwner(router: Router, batch: readonly KeyAddress[], bounds: Deadline): Promise<Uint8Array> {
  const [first] = batch
  if (first === undefined) return new Uint8Array()
  const { hash, bucket } = first
  return await router.retry(bounds, router.slotOf(hash), async (caller, placement, owner) => {
    const { head } = await router.mutateAt({ caller, placement, owner }, dataOperations.deleteMany, {
      request: (sent) => ({ ...sent, bucket, keys: batch.map(({ key }) => key) }),
      ...bounds,
    })
    if (head.results.some((result) => result !== DeleteResult.stale)) return head.results
    throw new MayflyError('STALE_PLACEMENT', 'The node owns none of the slots')
  })
}

/** If some keys were deleted, the error must not suggest that nothing was done. */
function failureOf({ deleted, failures }: Outcome): MayflyError | null {
  const failure = failures.find(leavesOpen) ?? failures[0] ?? null
  if (failure === null || deleted === 0 || leavesOpen(failure)) return failure
  return new MayflyError(
    'OUTCOME_UNKNOWN',
    `${deleted} of the keys were deleted and others were not: ${failure.reason}`,
    { cause: failure },
  )
}

/** Whether the failure leaves open whether keys still exist. */
function leavesOpen(error: MayflyError): boolean {
  return isError(error, 'OUTCOME_UNKNOWN', 'CLOSED', 'JOB_ENDED', 'BUCKET_NOT_FOUND')
}
