/** Nodes report every second, so a job's bytes are free before the report that says so. */
const WAIT_MS_MAX = 10_000
const LOOK_MS = 100

/** Bytes on all storage nodes, by tier: `ram`, `ssd` or `s3`. */
export type StoredBytes = ReadonlyMap<string, number>

interface NodesReply {
  readonly nodes: readonly { readonly tiers: Readonly<Record<string, { readonly usedBytes: number }>> }[]
}

/** Samples repeatedly while `work` is under way. Resolves with the maximum on each tier. */
export async function watchStored<Result>(
  work: Promise<Result>,
): Promise<{ result: Result; most: StoredBytes }> {
  const most = new Map<string, number>()
  for (let pending = true; pending; ) {
    for (const [tier, bytes] of await readStored()) most.set(tier, Math.max(bytes, most.get(tier) ?? 0))
    pending = await Promise.race([work.then(() => false), pause().then(() => true)])
  }
  return { result: await work, most }
}

/** Bytes that are still on the storage nodes, after the time in which they report that they have none. */
export async function countBytesLeft(): Promise<number> {
  const deadlineMs = performance.now() + WAIT_MS_MAX
  let left = sum(await readStored())
  while (left > 0 && performance.now() < deadlineMs) {
    await pause()
    left = sum(await readStored())
  }
  return left
}

/** Uses the controller's HTTP API, as any tool would. */
async function readStored(): Promise<StoredBytes> {
  const reply = await fetch(new URL('/v1/nodes', process.env.MAYFLY_URL), {
    headers: { authorization: `Bearer ${process.env.MAYFLY_API_KEY}` },
  })
  if (!reply.ok) throw new Error(`The controller answered with HTTP status ${reply.status}`)
  const { nodes } = (await reply.json()) as NodesReply
  const stored = new Map<string, number>()
  for (const [tier, { usedBytes }] of nodes.flatMap((node) => Object.entries(node.tiers)))
    stored.set(tier, usedBytes + (stored.get(tier) ?? 0))
  return stored
}

function pause(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, LOOK_MS))
}

function sum(stored: StoredBytes): number {
  return [...stored.values()].reduce((total, bytes) => total + bytes, 0)
}
