import { struct, text } from './codec.ts'

/** The head of a reply whose kind is an error's number. */
export const errorReply = struct({ reason: text })
