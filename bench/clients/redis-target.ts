import { readFileSync } from 'node:fs'

interface RedisTarget {
  readonly host: string
  readonly port: number
  /** Of a server with TLS, in PEM. */
  readonly ca?: string
}

/** Parses the target of a Redis: `host:port`, followed by the file of the CA for TLS. */
export function parseRedisTarget(target: string): RedisTarget {
  const [address = '', caFile] = target.split(' ')
  const [host = '', port] = address.split(':')
  return { host, port: Number(port), ...(caFile !== undefined && { ca: readFileSync(caFile, 'utf8') }) }
}
