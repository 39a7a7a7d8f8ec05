import type { MayflyError } from '../../protocol/errors.ts'

/** A get that is parked until its key is put. */
export interface Wait {
  /** Answers the get with the current object under the key. False if there is none and it stays parked. */
  answer(): boolean
  fail(error: MayflyError): void
}
