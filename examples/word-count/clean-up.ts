/** A node reports every second; the bytes of a job are free long before the report that says so. */
const WAIT_MS_MAX = 10_000
const LOOK_MS = 100

interface NodesReply {
  readonly nodes: readonly { readonly tiers: Readonly<Record<string, { readonly usedBytes: number }>> }[]
}

/** Bytes that still lie on the cluster's storage nodes, once they had the time to report that there are none. */
export async function countBytesLeft(): Promise<number> {
  const deadlineMs = performance.now() + WAIT_MS_MAX
  let used = await countUsedBytes()
  while (used > 0 && performance.now() < deadlineMs) {
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS))
    used = await countUsedBytes()
  }
  return used
}

/** The controller's HTTP API, as any tool would ask it. */
async function countUsedBytes(): Promise<number> {
  const reply = await fetch(new URL('/v1/nodes', process.env.MAYFLY_URL), {
    headers: { authorization: `Bearer ${process.env.MAYFLY_API_KEY}` },
  })
  if (!reply.ok) throw new Error(`The controller answered with HTTP status ${reply.status}`)
  const { nodes } = (await reply.json()) as NodesReply
  const tiers = nodes.flatMap((node) => Object.values(node.tiers))
  return tiers.reduce((sum, { usedBytes }) => sum + usedBytes, 0)
}
