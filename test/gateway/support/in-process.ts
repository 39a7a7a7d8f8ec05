import { connect } from 'node:net'
import { Registry } from 'prom-client'
import { onTestFinished } from 'vitest'
import {
  ALGORITHM,
  encodePath,
  encodeUri,
  scopeText,
  sha256Hex,
  signatureOf,
  signingKey,
  timeText,
} from '../../../client/signature-v4.ts'
import { secretsOfCluster } from '../../../gateway/access/secrets.ts'
import type { Issue } from '../../../gateway/jobs/open-jobs.ts'
import { type Gateway, startGateway } from '../../../gateway/server.ts'
import { MayflyError } from '../../../protocol/errors.ts'
import { type S3Key, s3KeyOf } from '../../../protocol/model/s3-key.ts'
import { parseTicket } from '../../../protocol/model/ticket.ts'
import { type Claims, signToken } from '../../../protocol/model/token.ts'
import { systemRuntime } from '../../../protocol/runtime.ts'
import { createLog } from '../../../service/process/log.ts'
import { Planes, type RunningNode } from '../../fixture/planes.ts'

/** A gateway in this process, before real planes in this process. The test is the controller that issues tickets. */
export interface TestGateway extends Gateway, S3Key {
  readonly planes: Planes
  readonly nodes: readonly RunningNode[]
  readonly registry: Registry
  readonly region: string
  /** The ticket of the job with all rights. */
  readonly ticket: string
  /** Jobs that have ended. */
  readonly ended: Set<string>
  keyOf(claims: Partial<Claims>): S3Key
}

const JOB = 'j-gateway'

interface TestGatewayOptions {
  readonly nodes?: number
  readonly ramBytes?: number
  /** Where clients reach the first node, if not at its address; a node without the job is at `other`. */
  readonly reach?: (address: string, other: string) => Promise<string>
}

export async function startTestGateway({
  nodes: count = 1,
  ramBytes = 256 * 2 ** 20,
  reach,
}: TestGatewayOptions = {}): Promise<TestGateway> {
  const planes = await Planes.start()
  const nodes: RunningNode[] = []
  for (let index = 0; index < count; index++) nodes.push(await planes.startNode(ramBytes))
  const [first] = nodes
  if (reach !== undefined && first !== undefined)
    nodes[0] = { ...first, address: await reach(first.address, (await planes.startNode()).address) }
  const ticket = await planes.createJob(JOB, nodes, {
    capacityBytes: count * ramBytes * 0.8,
    bytesPerSecond: 1e10,
  })
  const { placement } = parseTicket(ticket)
  const ended = new Set<string>()
  const issue: Issue = async ({ job, read, write, prefix }) => {
    if (ended.has(job)) throw new MayflyError('JOB_ENDED', 'The job has ended')
    if (job !== JOB) throw new MayflyError('JOB_NOT_FOUND', `There is no job '${job}'`)
    return {
      ticket: planes.ticket(job, placement, { read, write, prefix: Buffer.from(prefix) }),
      createdAt: new Date(0).toISOString(),
    }
  }
  const registry = new Registry()
  const gateway = await startGateway({
    listen: { host: '127.0.0.1', port: 0 },
    certificates: null,
    endpoint: null,
    runtime: systemRuntime,
    secretOf: secretsOfCluster(planes.secret),
    issue,
    registry,
    accessLog: { write: () => undefined, close: () => undefined },
    log: createLog('gateway', 'silent'),
  })
  onTestFinished(() => gateway.stop())
  const keyOf = (claims: Partial<Claims>): S3Key => {
    const expiresSeconds = Math.floor(Date.now() / 1000) + 3600
    return s3KeyOf(signToken(planes.secret, { job: JOB, read: true, write: true, expiresSeconds, ...claims }))
  }
  return { ...gateway, ...keyOf({}), planes, nodes, registry, region: 'us-east-1', ticket, ended, keyOf }
}

export interface Asked {
  readonly method: string
  /** Not encoded. */
  readonly path: string
  /** The path as it is sent, where that is not `path` encoded. */
  readonly rawPath?: string
  readonly query?: readonly (readonly [string, string])[]
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string | Buffer
  readonly key?: S3Key
  readonly wallMs?: number
  readonly payloadHash?: string
}

interface Head {
  readonly text: string
  readonly signature: string
  readonly scope: string
  readonly time: string
  readonly signingKey: Buffer
}

/** The head of a signed request. Headers that the test names are sent as they are. */
export function signedHead(gateway: TestGateway, asked: Asked): Head {
  const { method, path, query = [], headers = {}, body = '', key = gateway, wallMs = Date.now() } = asked
  const { host } = new URL(gateway.endpoint)
  const time = timeText(wallMs)
  const scope = { day: time.slice(0, 8), region: gateway.region, service: 's3' }
  const payloadHash = asked.payloadHash ?? sha256Hex(typeof body === 'string' ? Buffer.from(body) : body)
  const all: Record<string, string> = {
    host,
    'x-amz-date': time,
    'x-amz-content-sha256': payloadHash,
    ...headers,
  }
  const signed = Object.entries(all)
    .map(([name, value]) => [name.toLowerCase(), value] as const)
    .sort(([a], [b]) => (a < b ? -1 : 1))
  const signing = signingKey(key.secretAccessKey, scope)
  const request = { method, path, query, headers: signed, payloadHash }
  const signature = signatureOf(signing, { time, scope, request })
  const names = signed.map(([name]) => name).join(';')
  const authorization = `${ALGORITHM} Credential=${key.accessKeyId}/${scopeText(scope)}, SignedHeaders=${names}, Signature=${signature}`
  const search = query.map(([name, value]) => `${encodeUri(name)}=${encodeUri(value)}`).join('&')
  const target = `${asked.rawPath ?? encodePath(path)}${search === '' ? '' : `?${search}`}`
  const lines = Object.entries({ ...all, authorization }).map(([name, value]) => `${name}: ${value}`)
  return {
    text: `${method} ${target} HTTP/1.1\r\n${lines.join('\r\n')}\r\n`,
    signature,
    scope: scopeText(scope),
    time,
    signingKey: signing,
  }
}

export interface Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
  /** `Code` of the document. */
  readonly code: string
}

/** Sends bytes as they are, and reads until the gateway closes the connection. */
export async function sendRaw(
  gateway: TestGateway,
  pieces: readonly (string | Buffer)[],
  { ends = false } = {},
): Promise<Answer> {
  const { hostname, port } = new URL(gateway.endpoint)
  const socket = connect(Number(port), hostname)
  let text = ''
  socket.setEncoding('latin1').on('data', (piece: string) => {
    text += piece
  })
  for (const piece of pieces) socket.write(piece)
  if (ends) socket.end()
  await new Promise<void>((resolve) => {
    socket.on('close', () => resolve()).on('error', () => resolve())
  })
  return parseAnswer(text)
}

function parseAnswer(text: string): Answer {
  const [head = '', ...rest] = text.split('\r\n\r\n')
  const [line = '', ...lines] = head.split('\r\n')
  const headers = Object.fromEntries(
    lines.map((each) => [
      each.slice(0, each.indexOf(':')).toLowerCase(),
      each.slice(each.indexOf(':') + 1).trim(),
    ]),
  )
  const body = rest.join('\r\n\r\n')
  const code = /<Code>(\w+)<\/Code>/.exec(body)?.[1] ?? ''
  return { status: Number(line.split(' ')[1]), headers, body, code }
}

/** Sends a signed request on a connection of its own. */
export async function ask(gateway: TestGateway, asked: Asked): Promise<Answer> {
  const { body = '' } = asked
  const { text } = signedHead(gateway, asked)
  const length =
    asked.headers?.['content-length'] === undefined ? `content-length: ${Buffer.byteLength(body)}\r\n` : ''
  return await sendRaw(gateway, [`${text}${length}connection: close\r\n\r\n`, body])
}
