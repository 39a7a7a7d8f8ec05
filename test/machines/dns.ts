import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { request } from 'node:https'
import { join } from 'node:path'
import { json } from 'node:stream/consumers'
import { addAddress, removeAddress } from './forwarder.ts'

/** Types of the records that are asked for, and codes of answers (RFC 1035). */
const A = 1
const IN = 1
const NO_SUCH_NAME = 3
const TTL_SECONDS = 1

/** A label of slices whose Service has no address of its own. */
const HEADLESS = 'service.kubernetes.io/headless'
/** Of a pod's own loopback, where nothing listens: as a Service proxy does, it refuses connections. */
const REFUSING = '127.0.0.1'

interface Slice {
  readonly metadata: { readonly labels?: Readonly<Record<string, string>> }
  readonly endpoints?: readonly {
    readonly addresses: readonly string[]
    readonly conditions: { readonly ready?: boolean }
  }[]
}

/**
 * The part of a cluster's DNS that is needed, from the API server of the kit in `kit`: names of Services have the addresses of their ready pods. No
 * Service proxy runs, so that holds for Services with an address of their own too. Resolves with a function that ends it.
 */
export async function startDns(address: string, kit: string): Promise<() => void> {
  const read = (name: string) => readFileSync(join(kit, 'pki', name))
  const tls = { ca: read('ca.crt'), cert: read('admin.crt'), key: read('admin.key') }
  const addressesOf = async (service: string, namespace: string): Promise<string[]> => {
    const selector = encodeURIComponent(`kubernetes.io/service-name=${service}`)
    const path = `/apis/discovery.k8s.io/v1/namespaces/${namespace}/endpointslices?labelSelector=${selector}`
    const sent = request({ host: '127.0.0.1', port: 6443, path, ...tls }).end()
    const [response] = await once(sent, 'response')
    const { items = [] } = (await json(response)) as { items?: Slice[] }
    const ready = items.flatMap(({ endpoints }) =>
      (endpoints ?? []).flatMap(({ addresses, conditions }) => (conditions.ready === false ? [] : addresses)),
    )
    const hasAddress = items.some(({ metadata }) => metadata.labels?.[HEADLESS] === undefined)
    return ready.length === 0 && hasAddress ? [REFUSING] : ready
  }
  addAddress(address)
  const socket = createSocket('udp4')
  socket.on('message', (query, from) => {
    const { name, type, end } = questionOf(query)
    const [, service = '', namespace = ''] = /^([\w-]+)\.([\w-]+)\.svc\.cluster\.local$/.exec(name) ?? []
    const found = service === '' ? Promise.resolve([]) : addressesOf(service, namespace)
    found.then(
      (addresses) => {
        const answers = type === A ? addresses : []
        const code = addresses.length === 0 ? NO_SUCH_NAME : 0
        socket.send(answerTo(query.subarray(0, end), code, answers), from.port, from.address)
      },
      // The asker repeats it.
      () => undefined,
    )
  })
  socket.bind(53, address)
  await once(socket, 'listening')
  return () => {
    socket.close()
    removeAddress(address)
  }
}

/** The first question of a query, and where it ends. */
function questionOf(query: Buffer): { name: string; type: number; end: number } {
  const labels: string[] = []
  let at = 12
  for (let length = query[at] ?? 0; length > 0; length = query[at] ?? 0) {
    labels.push(query.toString('latin1', at + 1, at + 1 + length))
    at += 1 + length
  }
  return { name: labels.join('.').toLowerCase(), type: query.readUInt16BE(at + 1), end: at + 5 }
}

function answerTo(question: Buffer, code: number, addresses: readonly string[]): Buffer {
  const head = Buffer.alloc(12)
  question.copy(head, 0, 0, 2)
  // An answer, with authority, to a query that asked for recursion.
  head.writeUInt16BE(0x8580 | code, 2)
  head.writeUInt16BE(1, 4)
  head.writeUInt16BE(addresses.length, 6)
  const records = addresses.map((address) => {
    const record = Buffer.alloc(16)
    // The name is that of the question.
    record.writeUInt16BE(0xc00c, 0)
    record.writeUInt16BE(A, 2)
    record.writeUInt16BE(IN, 4)
    record.writeUInt32BE(TTL_SECONDS, 6)
    record.writeUInt16BE(4, 10)
    Buffer.from(address.split('.').map(Number)).copy(record, 12)
    return record
  })
  return Buffer.concat([head, question.subarray(12), ...records])
}
