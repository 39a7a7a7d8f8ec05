import type { ChildProcess } from 'node:child_process'

/** Resolves with the next message of the type. Rejects if the process exits first. */
export function childAnswer<Message extends { readonly type: string }, Type extends Message['type']>(
  child: ChildProcess,
  type: Type,
): Promise<Extract<Message, { type: Type }>> {
  return new Promise((resolve, reject) => {
    const onExit = (code: number | null): void => reject(new Error(`a load process ended with ${code}`))
    const onMessage = (message: Message): void => {
      if (message.type !== type) return
      child.off('exit', onExit)
      child.off('message', onMessage)
      resolve(message as Extract<Message, { type: Type }>)
    }
    child.once('exit', onExit)
    child.on('message', onMessage)
  })
}
