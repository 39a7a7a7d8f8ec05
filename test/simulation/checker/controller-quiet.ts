import { reservedBy, type Share } from '../../../controller/records/job.ts'
import { decodeRecord } from '../../../metadata/decide/job-record.ts'
import type { Tenancy } from '../traffic/tenants.ts'
import type { Cluster } from '../world/cluster.ts'
import { reservedRam } from '../world/inspection.ts'
import type { Deciding, RealController } from '../world/real-controller.ts'

/** Checks that the controller's decisions are carried out: nothing is under way, and nodes have what the ledger says. Returns the violations. */
export function checkSettled(
  cluster: Cluster,
  controller: RealController,
  living: readonly string[],
): string[] {
  const deciding = controller.process?.controller
  if (deciding === undefined) return ['the controller does not run']
  const { ledger, nodes, registrations, reconciler, background } = deciding
  const wrong: string[] = []
  const jobs = ledger.living()
  for (const { id, name, state, shares, movingTo } of jobs) {
    if (!living.includes(id)) wrong.push(`job ${id} (${name}) is ${state}, and nobody has it`)
    if (state !== 'active') wrong.push(`job ${id} is ${state}`)
    if (movingTo !== null) wrong.push(`job ${id} is on its way to ${movingTo}`)
    for (const { node, leaving } of shares) {
      if (leaving !== undefined) wrong.push(`a part of job ${id} is leaving ${node}`)
      if (!nodes.serves(node)) wrong.push(`job ${id} has a share on ${node}, which does not serve`)
    }
  }
  for (const id of living) if (!jobs.some((job) => job.id === id)) wrong.push(`job ${id} is gone`)
  if (!reconciler.isIdle) wrong.push('jobs wait for the reconciler')
  if (reconciler.unreported.size > 0)
    wrong.push(`metadata has not heard of the death of ${[...reconciler.unreported].join(', ')}`)
  if (registrations.underWay > 0) wrong.push(`${registrations.underWay} registrations are under way`)
  for (const { task, failing, reason } of background.report())
    if (failing > 0) wrong.push(`the task ${task} fails: ${reason}`)
  return [...wrong, ...checkNodes(controller, deciding), ...checkReservations(cluster, deciding)]
}

/** Registry and fleet have the same nodes, all of which serve; those without a job are the warm ones. */
function checkNodes({ fleet, warmNodes, nodeClass }: RealController, { nodes, ledger }: Deciding): string[] {
  const wrong = nodes
    .all()
    .filter(({ record }) => record.state !== 'active' && record.state !== 'lost')
    .map(({ record }) => `node ${record.id} is ${record.state}`)
  const known = nodes.all().flatMap(({ record }) => (record.state === 'lost' ? [] : [record.id]))
  const running = fleet.nodes
  for (const node of running)
    if (!known.includes(node)) wrong.push(`node ${node} runs, and the controller does not know it`)
  for (const node of known) if (!running.includes(node)) wrong.push(`node ${node} does not run`)
  const idle = known.filter((node) => !ledger.isReserved(node))
  const most = Math.min(warmNodes, nodeClass.nodesMax - (known.length - idle.length))
  if (idle.length !== most) wrong.push(`${idle.length} nodes have no job, and ${most} are to be kept warm`)
  return wrong
}

/** The reservations of metadata and nodes equal the ledger's, and the ledger's sums equal those of its jobs. */
function checkReservations({ living, metadata }: Cluster, { ledger }: Deciding): string[] {
  const jobs = ledger.living()
  const wrong: string[] = []
  for (const { id, service } of living) {
    for (const [job, ramBytes] of service === null ? [] : reservedRam(service)) {
      const share = jobs.find((each) => each.id === job)?.shares.find(({ node }) => node === id)
      if (ramBytes !== (share?.ramBytes ?? 0))
        wrong.push(
          `${id} has ${ramBytes} bytes of RAM reserved for ${job}, and the ledger ${share?.ramBytes}`,
        )
    }
  }
  const records = metadata.all.flatMap(({ disk }) => [...disk.records.values()].map(decodeRecord))
  for (const { id, shares } of jobs) {
    const placed = records.find((record) => record.id === id && record.departure === null)?.shares ?? []
    const [has, due] = [placed, shares].map((of) => JSON.stringify(of.map(amountsOf).sort()))
    if (has !== due) wrong.push(`metadata has ${has} for ${id}, and the ledger ${due}`)
  }
  const sums = [...ledger.reserved().values()].reduce((sum, { ramBytes }) => sum + ramBytes, 0)
  const due = jobs.reduce((sum, job) => sum + reservedBy(job).ramBytes, 0)
  if (sums !== due) wrong.push(`the ledger has ${sums} bytes of RAM reserved, and its jobs ${due}`)
  return wrong
}

function amountsOf({ node, ramBytes, ssdBytes, s3Bytes, bytesPerSecond }: Share): string {
  return `${node}: ${ramBytes} RAM, ${ssdBytes} SSD, ${s3Bytes} S3, ${bytesPerSecond}/s`
}

/** Changes whenever anything moves, starts or is reported: two equal trails mean that nothing happened between them. */
export function trail({ metadata, living }: Cluster, { told, fleet }: RealController): string {
  const records = metadata.all.map(({ disk }) =>
    [...disk.records].map(([id, bytes]) => `${id} ${bytes.toString('base64')}`),
  )
  const events = told.map(({ type, data, atMs }) => `${atMs.toFixed(0)} ms ${type} ${JSON.stringify(data)}`)
  return JSON.stringify({
    changedMs: fleet.changedMs,
    nodes: living.map(({ id }) => id),
    records,
    events: [events.length, ...events.slice(-6)],
  })
}

/** A job ends only if its tenant asks for it or its lease lapses. */
export function checkEnds({ told }: RealController, tenancies: readonly Tenancy[]): string[] {
  return told.flatMap(({ atMs, type, data }) => {
    if (type !== 'job.ended') return []
    const tenancy = tenancies.find(({ id }) => id === data.job)
    if (tenancy === undefined || data.reason === 'deregistered') return []
    const { id, usedMs, unusedMs, leaseSeconds } = tenancy
    if (data.reason !== 'lease') return [`job ${id} ended, for the reason ${String(data.reason)}`]
    const idleMs = Math.max(unusedMs, atMs - usedMs)
    return idleMs >= leaseSeconds * 1000
      ? []
      : [`the lease of ${leaseSeconds} s of job ${id} lapsed, which was used all ${idleMs.toFixed(0)} ms`]
  })
}

/** After every job has ended nothing is reserved, placed or recorded for any, and only warm nodes run. */
export async function checkAllEnded({ metadata }: Cluster, controller: RealController): Promise<string[]> {
  const { process, disk } = controller
  const wrong: string[] = []
  for (const [node] of process?.controller.ledger.reserved() ?? [])
    wrong.push(`something is reserved on ${node}`)
  for (const { id, state } of (await disk.read()).jobs)
    if (state !== 'ended') wrong.push(`job ${id} is written down as ${state}`)
  for (const { id, disk } of metadata.all) {
    for (const job of disk.records.keys()) wrong.push(`${id} has the record of job ${job}`)
    for (const job of disk.moved.keys()) wrong.push(`${id} remembers where job ${job} went`)
  }
  return wrong
}
