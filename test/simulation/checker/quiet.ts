import { CHUNK_BYTES, ENTRY_OVERHEAD_BYTES } from '../../../protocol/limits.ts'
import type { Call } from '../traffic/history.ts'
import type { RunningNode } from '../world/cluster.ts'
import { describeNode, ownsSlot, totalOf, usageOf } from '../world/inspection.ts'

/** Every slot of a living job has exactly one owner. Returns what is wrong. */
export function checkOwners(nodes: readonly RunningNode[], job: { id: string; slots: number }): string[] {
  const wrong: string[] = []
  for (let slot = 0; slot < job.slots; slot++) {
    const owners = nodes.filter(({ service }) => service !== null && ownsSlot(service, job.id, slot))
    if (owners.length === 1) continue
    wrong.push(
      `slot ${slot} of ${job.id} is owned by ${owners.map(({ id }) => id).join(' and ') || 'nobody'}`,
    )
  }
  return wrong
}

/**
 * The nodes account for what the last reading of every key found, byte for byte. `readings` are the gets of one job,
 * each made when nothing else happened any more.
 */
export function checkLeaks(nodes: readonly RunningNode[], job: string, readings: readonly Call[]): string[] {
  const services = nodes.flatMap(({ service }) => (service === null ? [] : [service]))
  const usages = services.map((service) => usageOf(service, job))
  const usedBytes = usages.reduce((sum, usage) => sum + usage.usedBytes, 0)
  const objects = usages.reduce((sum, usage) => sum + usage.objects, 0)
  const found = readings.filter(({ outcome }) => outcome.kind === 'stat' && outcome.stat !== null)
  const [least, most] = accountOf(found, readings)
  if (usedBytes >= least && usedBytes <= most && objects === found.length) return []
  const nodesNow = nodes.flatMap(({ id, service }) =>
    service === null ? [] : [`  ${id}: ${describeNode(service, job)}`],
  )
  return [
    `${job} uses ${usedBytes} bytes in ${objects} objects; ${found.length} living objects account for ` +
      `${least === most ? least : `${least} to ${most}`}\n${nodesNow.join('\n')}`,
  ]
}

/** Jobs have ended: nothing of them is left anywhere. */
export function checkEmpty(nodes: readonly RunningNode[]): string[] {
  return nodes.flatMap(({ id, service }) => {
    if (service === null) return []
    const { usedBytes, jobs } = totalOf(service)
    return usedBytes === 0 && jobs === 0
      ? []
      : [`${id} holds ${usedBytes} bytes of ${jobs} jobs that have ended`]
  })
}

/** What the objects take; of one that has lost chunks any part may be left, and one that was appended to has room to grow. */
function accountOf(found: readonly Call[], readings: readonly Call[]): [number, number] {
  let least = 0
  let most = 0
  for (const { home, outcome } of found) {
    if (outcome.kind !== 'stat' || outcome.stat === null) continue
    const { bytes } = outcome.stat
    const value = readings
      .filter((call) => call.home.key === home.key && call.home.bucket === home.bucket)
      .flatMap((call) => (call.outcome.kind === 'value' ? [call.outcome.value] : []))[0]
    const isAppended = value?.includes('+') === true
    const isLarge = bytes > CHUNK_BYTES && !isAppended
    const content = isLarge ? bytes + Math.ceil(bytes / CHUNK_BYTES) * ENTRY_OVERHEAD_BYTES : bytes
    const entry = ENTRY_OVERHEAD_BYTES + Buffer.byteLength(home.key)
    least += entry + (value === undefined ? 0 : content)
    most += entry + content * (isAppended ? 2 : 1)
  }
  return [least, most]
}
