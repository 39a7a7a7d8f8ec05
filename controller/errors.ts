import { MayflyError } from '../protocol/errors.ts'

/** The same request is served within a second or so. The HTTP API says that with `Retry-After`, and the SDK repeats what is idempotent. */
export class PostponedError extends MayflyError {
  constructor(reason: string) {
    super('UNAVAILABLE', reason)
  }
}
