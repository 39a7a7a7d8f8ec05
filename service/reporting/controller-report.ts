import { errorOf, isError, MayflyError } from '../../protocol/errors.ts'
import { CONTROL_CALL_MS } from '../../protocol/limits.ts'
import type { Clock } from '../../protocol/runtime.ts'
import { tlsFault } from '../../protocol/transport/tls.ts'
import { fetchTrusting } from '../../protocol/transport/trusting-fetch.ts'
import { NONCE_HEADER, PROOF_HEADER, RequestSigner } from './signed-requests.ts'

/** Sends a report to the controller and returns its answer. Rejects with `UNAVAILABLE` if there is none, and with `NODE_DEAD`. */
export type Tell<Report, Answer> = (report: Report) => Promise<Answer>

/** The controller, as a process of the cluster calls it. */
export interface ToController {
  /** Of the controller, or of the processes of which one is the controller, separated by commas. */
  readonly url: string
  readonly secret: Buffer
  readonly clock: Clock
  /** The CA of an https URL in PEM; null for those that Node trusts. */
  readonly ca: () => string | null
  /** The error of an answer that is not 2xx; `UNAVAILABLE` if not given. */
  readonly errorOf?: (text: string, status: number) => MayflyError
}

/** The machine of a controller may be lost, and then nothing refuses a connection: after this time the next one is asked. */
const SILENT_MS = 1_000

/** Posts a body to a path below `/internal/v1/`, and returns the answer. */
export type Post = (path: string, body: unknown) => Promise<unknown>

/** `path`: `nodes/ID/heartbeat`, `nodes/ID/capacity` or `metadata/ID/heartbeat`. */
export function reportTo<Report, Answer>(post: Post, path: string): Tell<Report, Answer> {
  return async (report) => (await post(path, report)) as Answer
}

/**
 * Returns a function that posts to the controller's internal port. It begins with the process that answered last, or after a failure with the next one, and
 * rejects with `TLS_FAILED` or `UNAVAILABLE` if none answers. Any other error is the controller's answer.
 */
export function postTo(to: ToController): Post {
  const controllers = to.url.split(',').map((url) => ({ url, signer: new RequestSigner(to.secret) }))
  let first = 0
  return async (path, body) => {
    const { clock } = to
    const deadlineMs = clock.monotonicMs() + CONTROL_CALL_MS
    let failure: unknown
    for (let tried = 0; tried < controllers.length; tried++) {
      const index = (first + tried) % controllers.length
      const controller = controllers[index] as Controller
      const leftMs = Math.max(1, deadlineMs - clock.monotonicMs())
      const isLast = tried === controllers.length - 1
      const answerMs = isLast ? leftMs : Math.min(leftMs, SILENT_MS)
      try {
        const answer = await post(controller, { to, path, body, answerMs })
        first = index
        return answer
      } catch (error) {
        if (!isError(error, 'UNAVAILABLE', 'TLS_FAILED')) throw error
        failure = error
      }
    }
    // One that is busy gets more time as the last one.
    first = (first + 1) % controllers.length
    throw failure
  }
}

interface Controller {
  readonly url: string
  readonly signer: RequestSigner
}

async function post(
  { url: base, signer }: Controller,
  { to, path, body, answerMs }: { to: ToController; path: string; body: unknown; answerMs: number },
): Promise<unknown> {
  const { ca, errorOf = refused } = to
  const url = new URL(`/internal/v1/${path}`, base)
  const request = {
    method: 'POST',
    body: JSON.stringify(body),
    signal: AbortSignal.timeout(Math.ceil(answerMs)),
  }
  const send = async () => {
    const { header, isAnswer } = signer.sign(url.pathname, request.body)
    const headers = { 'content-type': 'application/json', authorization: header }
    const response = await fetchTrusting(url, { ...request, headers }, ca())
    const text = await response.text()
    const { status } = response
    const nonce = response.headers.get(NONCE_HEADER)
    const proof = response.headers.get(PROOF_HEADER) ?? ''
    return { status, text, nonce, isProved: isAnswer({ proof, status, body: text }) }
  }
  try {
    let answer = await send()
    if (answer.nonce !== null && !answer.isProved) {
      signer.adopt(answer.nonce)
      answer = await send()
    }
    if (!answer.isProved) throw noController(base)
    if (answer.status >= 300) throw errorOf(answer.text, answer.status)
    return JSON.parse(answer.text)
  } catch (cause) {
    if (cause instanceof MayflyError) throw cause
    const fault = tlsFault(cause instanceof Error ? cause.cause : null)
    if (fault !== null) throw new MayflyError('TLS_FAILED', `The controller at ${base} ${fault}`, { cause })
    throw new MayflyError('UNAVAILABLE', `The controller at ${base} does not answer`, { cause })
  }
}

function noController(base: string): MayflyError {
  return new MayflyError(
    'UNAVAILABLE',
    `What answers at ${base} does not know the secret of this process (MAYFLY_SECRET_FILE): it is another cluster, or no controller`,
  )
}

function refused(text: string, status: number): MayflyError {
  const error = errorOf(text, status)
  if (error.code === 'NODE_DEAD') return error
  return new MayflyError('UNAVAILABLE', `The controller answered ${status}: ${text}`)
}
