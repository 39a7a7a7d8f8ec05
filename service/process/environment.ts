import { MayflyError } from '../../protocol/errors.ts'
import { readPrivateFile } from './private-file.ts'

/** Environment variables, from which each `config.ts` reads the settings of its plane. */
export type Environment = Readonly<Record<string, string | undefined>>

/** Throws `BAD_REQUEST`, naming the variable, if it is missing. */
export function readText(env: Environment, name: string, fallback?: string): string {
  const value = env[name] ?? fallback
  if (value === undefined || value === '')
    throw new MayflyError('BAD_REQUEST', `The environment variable ${name} is not set`)
  return value
}

/** An integer from 0 to 2^53 - 1. */
export function readNumber(env: Environment, name: string, fallback?: number): number {
  const text = readText(env, name, fallback === undefined ? undefined : String(fallback))
  const value = Number(text)
  if (!Number.isSafeInteger(value) || value < 0) {
    throw new MayflyError('BAD_REQUEST', `${name} is '${text}', not a whole number from 0`)
  }
  return value
}

/** Where spans of traced requests are sent; null if they are not recorded. */
export function readTracesUrl(env: Environment): string | null {
  const url = env.MAYFLY_TRACES_URL
  if (url === undefined || url === '') return null
  if (URL.canParse(url) && /^https?:/.test(url)) return url
  throw new MayflyError('BAD_REQUEST', `MAYFLY_TRACES_URL is '${url}', not an http: or https: URL`)
}

/** The cluster's secret, from the file that MAYFLY_SECRET_FILE names. */
export function readSecret(env: Environment): Buffer {
  const path = readText(env, 'MAYFLY_SECRET_FILE')
  const secret = Buffer.from(readPrivateFile(path).trim(), 'hex')
  if (secret.length < 32)
    throw new MayflyError('BAD_REQUEST', `${path} does not hold a secret of at least 32 bytes in hex`)
  return secret
}
