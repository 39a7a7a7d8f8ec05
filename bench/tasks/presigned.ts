import { randomBytes } from 'node:crypto'
import type { Client } from '../clients/client.ts'
import { HttpConnection } from '../clients/http-connection.ts'
import { type Lanes, runLanes } from './lanes.ts'
import type { Tallied } from './tally.ts'

export interface PresignedParams extends Lanes {
  readonly method: 'PUT' | 'GET'
  /** Presigned, each for an object of its own. */
  readonly urls: readonly string[]
  readonly objectBytes: number
}

/** HTTP requests of presigned URLs, without an S3 client, over one connection for each lane. */
export async function presigned(_: Client, params: PresignedParams): Promise<Tallied> {
  const { method, objectBytes, outstanding } = params
  const body = method === 'PUT' ? randomBytes(objectBytes) : null
  const urls = params.urls.map((url) => new URL(url))
  const heads = urls.map(({ pathname, search, host }) => {
    const length = body === null ? '' : `content-length: ${body.length}\r\n`
    return `${method} ${pathname}${search} HTTP/1.1\r\nhost: ${host}\r\n${length}\r\n`
  })
  const idle: HttpConnection[] = []
  for (let lane = 0; lane < outstanding; lane++) idle.push(await HttpConnection.open(urls[0] as URL))
  const all = [...idle]
  let next = 0
  try {
    return await runLanes(params, async () => {
      const connection = idle.pop() as HttpConnection
      const { status, bodyBytes } = await connection.ask(heads[next++ % heads.length] as string, body)
      idle.push(connection)
      if (status !== 200 || (body === null && bodyBytes !== objectBytes))
        throw new Error(`${method} was answered with ${status} and ${bodyBytes} bytes`)
      return objectBytes
    })
  } finally {
    for (const connection of all) connection.close()
  }
}

export interface CannonResult {
  readonly calls: number
  readonly seconds: number
  readonly p50Ms: number
  readonly p99Ms: number
  readonly failed: number
}

/** The same by autocannon, as others measure HTTP servers. */
export async function cannon(_: Client, params: PresignedParams): Promise<CannonResult> {
  const { default: autocannon } = await import('autocannon')
  const { method, objectBytes, outstanding: connections, ms } = params
  const body = randomBytes(objectBytes)
  const requests = params.urls.map((each) => {
    const { pathname, search } = new URL(each)
    return { method, path: pathname + search, ...(method === 'PUT' && { body }) }
  })
  const { origin: url } = new URL(params.urls[0] ?? '')
  const load = { url, connections, requests, timeout: 30 }
  await autocannon({ ...load, duration: params.warmUpMs / 1000 })
  const result = await autocannon({ ...load, duration: ms / 1000 })
  const { errors, non2xx, duration, latency } = result
  return {
    calls: result['2xx'],
    seconds: duration,
    p50Ms: latency.p50,
    p99Ms: latency.p99,
    failed: errors + non2xx,
  }
}
