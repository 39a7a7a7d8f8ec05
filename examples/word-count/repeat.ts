import { MayflyError } from 'mayfly'

const TRIES_MAX = 5

/** Repeats a put whose bytes are always the same: whatever became of an earlier one, as when its node died, the last one counts. */
export async function repeat<Result>(put: () => Promise<Result>): Promise<Result> {
  for (let tries = 1; ; tries++) {
    try {
      return await put()
    } catch (error) {
      if (!(error instanceof MayflyError) || tries === TRIES_MAX) throw error
    }
  }
}
