import type { Codec } from '../wire/codec.ts'

/** One request and its answer: the number on the wire and the codecs of both heads. */
export interface Operation<Request, Reply> {
  readonly number: number
  readonly request: Codec<Request>
  readonly reply: Codec<Reply>
}

export type RequestOf<O> = O extends Operation<infer Request, infer _> ? Request : never
export type ReplyOf<O> = O extends Operation<infer _, infer Reply> ? Reply : never

export function operation<Request, Reply>(
  number: number,
  codecs: { request: Codec<Request>; reply: Codec<Reply> },
): Operation<Request, Reply> {
  return { number, ...codecs }
}
