import { randomUUID } from 'node:crypto'

/** A random id of 16 hex digits. Node draws the bytes of many UUIDs at once; a call of `randomBytes` takes longer than a signature. */
export function randomId(): string {
  return randomUUID().replaceAll('-', '').slice(0, 16)
}
