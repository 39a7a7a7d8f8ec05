import type { MayflyError } from '../../protocol/errors.ts'

/** A get that is parked until its key is put. */
export interface Wait {
  /** Answers the get with what is under the key now; false if that is nothing, and it goes on waiting. */
  answer(): boolean
  fail(error: MayflyError): void
}
