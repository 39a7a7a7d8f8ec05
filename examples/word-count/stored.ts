import { readFileSync } from 'node:fs'
import http from 'node:http'
import https from 'node:https'
import { text } from 'node:stream/consumers'

/** Nodes report every second, so a job's bytes are free before the report that says so. */
const WAIT_MS_MAX = 10_000
const LOOK_MS = 100
const ANSWER_MS_MAX = 2_000

/** Bytes on all storage nodes, by tier: `ram`, `ssd` or `s3`. */
export type StoredBytes = ReadonlyMap<string, number>

interface NodesReply {
  readonly nodes: readonly {
    readonly state: string
    readonly tiers: Readonly<Record<string, { readonly usedBytes: number }>>
  }[]
}

/** Samples repeatedly while `work` is under way. Resolves with the maximum on each tier. Without an answer a sample is missing. */
export async function watchStored<Result>(
  work: Promise<Result>,
): Promise<{ result: Result; most: StoredBytes }> {
  const most = new Map<string, number>()
  for (let pending = true; pending; ) {
    const stored = await readStored().catch((): StoredBytes => new Map())
    for (const [tier, bytes] of stored) most.set(tier, Math.max(bytes, most.get(tier) ?? 0))
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

/** Uses the controller's HTTP API, as any tool would. Of several controllers one serves. */
async function readStored(): Promise<StoredBytes> {
  const urls = (process.env.MAYFLY_URL ?? '').split(',')
  const { nodes } = await Promise.any(urls.map((url) => getJson<NodesReply>(new URL('/v1/nodes', url))))
  const stored = new Map<string, number>()
  for (const [tier, { usedBytes }] of nodes.filter(isThere).flatMap((node) => Object.entries(node.tiers)))
    stored.set(tier, usedBytes + (stored.get(tier) ?? 0))
  return stored
}

function isThere({ state }: NodesReply['nodes'][number]): boolean {
  return state !== 'lost'
}

/** `fetch` cannot be told which CA to trust. */
function getJson<Reply>(url: URL): Promise<Reply> {
  const caFile = process.env.MAYFLY_CA_FILE
  const options = {
    headers: { authorization: `Bearer ${process.env.MAYFLY_API_KEY}` },
    timeout: ANSWER_MS_MAX,
    ...(caFile !== undefined && { ca: readFileSync(caFile) }),
  }
  return new Promise((resolve, reject) => {
    const request = url.protocol === 'https:' ? https.get(url, options) : http.get(url, options)
    request
      .once('timeout', () => request.destroy(new Error(`${url} does not answer`)))
      .on('error', reject)
      .once('response', (reply) => {
        if (reply.statusCode !== 200)
          reject(new Error(`${url} answered with HTTP status ${reply.statusCode}`))
        text(reply).then((body) => resolve(JSON.parse(body) as Reply), reject)
      })
  })
}

function pause(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, LOOK_MS))
}

function sum(stored: StoredBytes): number {
  return [...stored.values()].reduce((total, bytes) => total + bytes, 0)
}
